"""Bundles held against MONAI's own programs, and against the containers of the algorithms.

The official schema of the metadata is a file to be downloaded, and tests are offline:
``bundle_schema.json`` is written after the text of the specification, and is stricter.
"""

import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import monai
import numpy as np
import pytest
import torch

from cytosuite.benchmark.catalog.contract import example
from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.container import Algorithm
from cytosuite.contract.interface import write_case
from cytosuite.contract.manifest import read_card
from cytosuite.contract.tasks import TASKS
from cytosuite.errors import InputError, ModelError
from cytosuite.files import read_json, write_json
from cytosuite.formats import read
from cytosuite.training.bundle import write_bundle
from cytosuite.training.publish import ALGORITHMS

# MONAI warns of configurations that run code, and of optional files.
pytestmark = pytest.mark.filterwarnings("ignore")
WEIGHTS = ALGORITHMS.parent / "weights"
MODELS = {
    "cellpose3d": "spheroid-nuclei-3d",
    "cyclegan3d": "ix71-embryo-3d",
    "diffusion": "culture-nuclei-2d",
    "view_fusion": "nucleus-study1",
}
MULTIPLES = {
    "cellpose3d": ["8*n", "16*n", "16*n"],
    "cyclegan3d": ["4*n", "8*n", "8*n"],
    "diffusion": ["*", "8*n", "8*n"],
    "view_fusion": ["2*n", "8*n", "8*n"],
}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Return a folder with an unpacked bundle of each algorithm, as ``unzip`` makes it."""
    folder = tmp_path_factory.mktemp("bundles")
    for algorithm, model in MODELS.items():
        path = write_bundle(WEIGHTS / algorithm / f"{model}.json", folder / "dist")
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
    return folder


@pytest.fixture(params=MODELS)
def algorithm(request):
    return request.param


@pytest.fixture
def bundle(bundles, algorithm):
    return bundles / f"{algorithm}-{MODELS[algorithm]}"


def _metadata(bundle):
    return read_json(bundle / "configs/metadata.json")


def test_a_bundle_has_the_layout_of_the_specification(bundle, algorithm):
    model = MODELS[algorithm]
    names = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    weights = read_card(WEIGHTS / algorithm / f"{model}.json").weights
    assert names == {
        "configs/metadata.json",
        "configs/inference.json",
        "configs/train.json",
        "models/model.pt",
        f"models/{model}.json",
        f"models/{weights}",
        "docs/README.md",
        "docs/license.txt",
    }
    for name in (f"{model}.json", weights):  # nothing is lost
        assert (bundle / "models" / name).read_bytes() == (WEIGHTS / algorithm / name).read_bytes()


@pytest.mark.long
def test_the_same_model_gives_the_same_bytes_under_sorted_names(bundles, tmp_path):
    name = "view_fusion-nucleus-study1.zip"
    card = WEIGHTS / "view_fusion/nucleus-study1.json"
    command = [sys.executable, "-m", "cytosuite.training.bundle", card, "--out", tmp_path]
    subprocess.run(command, cwd=ALGORITHMS.parents[1], check=True, timeout=1800)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == (bundles / "dist" / name).read_bytes()
    with zipfile.ZipFile(tmp_path / name) as archive:
        assert archive.namelist() == sorted(archive.namelist())
        assert {info.date_time[0] for info in archive.infolist()} == {1980}
        assert {info.external_attr >> 16 & 0o777 for info in archive.infolist()} == {0o644}


def test_monai_finds_the_declared_tensors(bundle, algorithm):
    declared = _metadata(bundle)["network_data_format"]
    assert declared["inputs"]["image"]["spatial_shape"] == MULTIPLES[algorithm]
    for tensor in (*declared["inputs"].values(), *declared["outputs"].values()):
        assert list(tensor["channel_def"]) == [str(n) for n in range(tensor["num_channels"])]
    for n in (1, 2):
        monai.bundle.verify_net_in_out(
            net_id="network_def",
            meta_file=str(bundle / "configs/metadata.json"),
            config_file=str(bundle / "configs/inference.json"),
            device="cpu",
            n=n,
            extra_forward_args={"time": torch.tensor([0.5])} if algorithm == "diffusion" else {},
        )


def test_metadata_pass_the_schema(bundle):
    pytest.importorskip("jsonschema")
    monai.bundle.verify_metadata(
        str(bundle / "configs/metadata.json"),
        filepath=Path(__file__).with_name("bundle_schema.json"),
    )


def test_metadata_are_those_of_the_card(bundle, algorithm):
    card = read_card(WEIGHTS / algorithm / f"{MODELS[algorithm]}.json")
    metadata = _metadata(bundle)
    assert metadata["version"] == card.version
    assert metadata["authors"] == card.authors
    assert card.license in metadata["copyright"]
    assert metadata["description"].startswith(card.description)
    assert metadata["eval_metrics"] == card.scores
    assert f"channel {card.describes['channel']}" in metadata["intended_use"]
    assert metadata["pytorch_version"] == version("torch")
    digests = card.trained.get("data", {"dataset": [card.trained.get("dataset")]})
    assert all(digest in metadata["data_source"] for group in digests.values() for digest in group)
    assert all(text.startswith("https://doi.org/10.") for text in metadata["references"])


def _case(algorithm, folder):
    """Write the example of a contract as a case; return the task and the image's path."""
    card = read_card(WEIGHTS / algorithm / f"{MODELS[algorithm]}.json")
    task = TASKS[card.task]
    socket = task.inputs[1 if algorithm == "diffusion" else 0]
    image = example(algorithms()[algorithm], card.describes["axes"])[socket.slug]
    write_case(folder, task, "h2b_balls", {socket.slug: image})
    return task, folder / socket.relative_path / "h2b_balls.tif"


def test_a_run_gives_the_voxels_of_the_container(bundle, algorithm, tmp_path, monkeypatch):
    pytest.importorskip("ignite")
    task, image = _case(algorithm, tmp_path / "in")
    Algorithm(algorithm, tmp_path / "in", tmp_path / "out", [bundle / "models"]).run_case()
    expected = read(tmp_path / "out" / task.main_output.relative_path / image.name)
    monkeypatch.setattr(sys, "path", [*sys.path])  # to which MONAI adds the bundle
    config = str(bundle / "configs/inference.json")
    folders = {"dataset_dir": str(image.parent), "output_dir": str(tmp_path / "made")}
    workflow = monai.bundle.ConfigWorkflow(config, workflow_type="inference", **folders)
    workflow.initialize()
    assert workflow.check_properties() == []
    monai.bundle.run(config_file=config, **folders)
    volume = read(tmp_path / "made" / image.name)
    np.testing.assert_array_equal(volume.array, expected.array)
    assert volume.array.dtype == expected.array.dtype
    assert (volume.axes, volume.spacing) == (expected.axes, expected.spacing)
    assert volume.array.std() > 0


def test_a_training_starts_from_the_weights_of_the_bundle(bundle, algorithm, monkeypatch):
    words = []
    monkeypatch.setattr("cytosuite.training.command.main", words.extend)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monai.bundle.run(
        config_file=str(bundle / "configs/train.json"),
        dataset_dir="data",
        options=["--steps", 3],
    )
    card = str(bundle / f"models/{MODELS[algorithm]}.json")
    assert words == [
        algorithm, "--data", "data", "--name", "mine", "--out", "trained",
        "--from", card, "--steps", "3",
    ]  # fmt: skip


@pytest.fixture
def copied(tmp_path):
    """Return a card of a user with weights, in a folder of its own."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for suffix in (".json", ".safetensors"):
        path = WEIGHTS / f"view_fusion/nucleus-study1{suffix}"
        (folder / path.name).write_bytes(path.read_bytes())
    return folder / "nucleus-study1.json"


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"weights": None, "sha256": None},
            (
                "nucleus-study1.json: a bundle holds a network, "
                "but this card has no weights; name another"
            ),
        ),
        (
            {"algorithm": "watershed", "task": "segment"},
            "algorithms/watershed: expected training/bundle.py, which says what its network takes",
        ),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(copied, tmp_path, changes, message):
    write_json(copied, {**read_json(copied), **changes})
    with pytest.raises((InputError, ModelError), match=message):
        write_bundle(copied, tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def test_a_users_own_licence_is_named(copied, tmp_path):
    write_json(copied, {**read_json(copied), "license": "CC-BY-4.0", "authors": "A. User"})
    with zipfile.ZipFile(write_bundle(copied, tmp_path)) as archive:
        text = archive.read("view_fusion-nucleus-study1/docs/license.txt").decode()
    assert text.splitlines()[:2] == [
        "nucleus-study1: A. User",
        "SPDX-License-Identifier: CC-BY-4.0",
    ]
    assert "Apache" not in text
