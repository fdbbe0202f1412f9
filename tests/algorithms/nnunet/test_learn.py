"""nnU-Net by a stub of its names and files; by itself where it is installed: `pytest -m rivals`."""

import json
import os
import sys
import zipfile
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import cards
import numpy as np
import pytest
import torch
from mistakes import no_model, refused

from cytosuite.algorithms.nnunet import learn as adapter
from cytosuite.algorithms.nnunet.predict import classes_of, instances_of, predict
from cytosuite.contract.learning import Pair
from cytosuite.contract.progress import gathered
from cytosuite.contract.weights import Model
from cytosuite.files import write_json
from cytosuite.metrics.labels.detection import f1
from cytosuite.volume import Volume

SETTINGS = {"epochs": 3, "steps": 7, "validation_steps": 1, "memory_gb": 1.0, "border_px": 1.0}
SETTINGS |= {"seed": 0}


@pytest.fixture
def environment():
    """Forget what nnU-Net, or its stub, and the adapter have set."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
    for name in [n for n in sys.modules if n.partition(".")[0] == "nnunetv2"]:
        del sys.modules[name]


@pytest.fixture
def stub(environment, monkeypatch):
    """Put the stub in place of nnU-Net; return its calls."""
    monkeypatch.syspath_prepend(Path(__file__).parent / "stub")
    return lambda: sys.modules["nnunetv2"].CALLS


def pair(axes="YX", seed=0):
    """Return a bright image of four objects and its labels; insides twice as bright as borders."""
    shape, spacing = ((40, 40), (0.5, 0.5)) if axes == "YX" else ((8, 40, 40), (1.0, 0.5, 0.5))
    labels = np.zeros(shape, np.uint16)
    for number, (y, x) in enumerate([(3, 3), (3, 13), (22, 4), (21, 21)], 1):
        labels[..., y : y + 10, x : x + 10] = number
    image = np.array([0, 250, 100], np.uint16)[classes_of(labels, spacing, 1.0)]
    image += np.random.default_rng(seed).integers(0, 9, shape, np.uint16)
    return Pair(f"case{seed}", Volume(image, spacing, axes), Volume(labels, spacing, axes))


@pytest.fixture
def learned(stub, tmp_path):
    """Return what the stub learns from two planes."""
    return adapter.learn([pair(seed=seed) for seed in (0, 1)], SETTINGS, tmp_path)


def model_of(learned, folder):
    """Return what was learned as a model on disk."""
    parameters = json.loads(json.dumps(learned.parameters))
    return cards.model(
        folder,
        learned.tensors,
        algorithm="nnunet",
        describes=dict(learned.describes),
        parameters=parameters,
    )


def zipped(folder):
    """Return the zip of the results of a training."""
    (top,) = (folder / "nnUNet_results/Dataset001_cytosuite").iterdir()
    with zipfile.ZipFile(folder / "trained.zip", "w") as archive:
        for name in ("plans.json", "dataset.json", "fold_0/checkpoint_final.pth"):
            archive.write(top / name, f"{top.name}/{name}")
    return folder / "trained.zip"


@pytest.mark.parametrize(
    "axes, configuration, sizes, size, spacing, rescaled",
    [
        ("YX", "2d", 0, "not used", [999.0, 1.0, 1.0], [999.0, 1.0, 1.0]),
        ("ZYX", "3d_fullres", 6, "given: voxel size", [1.0, 0.5, 0.5], [3.0, 0.4, 0.6]),
    ],
)
def test_a_training_is_nnunets_own_in_its_own_files_and_its_model_finds_the_objects(
    stub, tmp_path, axes, configuration, sizes, size, spacing, rescaled
):
    learned = adapter.learn([pair(axes, seed) for seed in range(6)], SETTINGS, tmp_path)
    assert learned.describes == {"axes": axes}
    split = {"train": sorted({f"case_{n:04d}" for n in (0, 1, 2, 3, 5)}), "val": ["case_0004"]}
    assert stub() == [("preprocess", configuration, "nnUNetPlans", 1), ("train", split, 3, 7)]
    raw = tmp_path / "nnUNet_raw/Dataset001_cytosuite"
    assert (raw / "imagesTr/case_0005_0000.tif").is_file()
    assert len(sorted(raw.glob("labelsTr/*.json"))) == sizes
    assert list(learned.tensors) == ["encoder.weight"]  # not decoder.0.weight, the same
    with gathered() as facts:
        image, labels = pair(axes, 9)[1:]
        outputs = predict({"microscopy-image": image}, model_of(learned, tmp_path))
    assert f1(labels.array, outputs["instance-labels"].array) == 1.0
    assert facts.words == {"tool": "nnunetv2 2.6.0", "size": size}
    assert facts.network_seconds > 0
    assert stub()[-2:] == [("mirroring", True), ("spacing", spacing)]
    assumed = Volume(image.array, (1.0,) * len(axes), axes, {"spacing_source": "assumed"})
    with gathered() as facts:
        predict({"microscopy-image": assumed}, model_of(learned, tmp_path))
    assert facts.words["size"] == "not used"
    assert stub()[-1] == ("spacing", rescaled)


def test_nnunets_own_files_become_the_same_model(learned, tmp_path):
    converted = adapter.convert(zipped(tmp_path), tmp_path)
    assert converted.parameters == json.loads(json.dumps(learned.parameters))
    assert converted.tensors == learned.tensors
    assert converted.describes == learned.describes


def broken(name, change):
    """Return a function that writes a zip with one file changed."""

    def write(path):
        other = path.with_name("other.zip")
        with zipfile.ZipFile(path) as archive, zipfile.ZipFile(other, "w") as target:
            for file in archive.namelist():
                content = archive.read(file)
                target.writestr(file, change(content) if file.endswith(name) else content)
        return other

    return write


def _text(path):
    path.write_text("no zip")
    return path


def _other_classes(content):
    return content.replace(b'"border": 2', b'"edge": 2')


def _with_code(content):
    class Code:
        def __reduce__(self):
            return os.getcwd, ()

    torch.save({"network_weights": Code()}, packed := BytesIO())
    return packed.getvalue()


@pytest.mark.parametrize(
    "change, message",
    [
        (_text, "cannot be unpacked .File is not a zip file"),
        (broken("dataset.json", _other_classes), "expected one channel and labels"),
        (broken("plans.json", lambda _: b"{"), "no model of nnU-Net"),
        (broken("plans.json", lambda _: b"{}"), "no model of nnU-Net"),
        (broken("checkpoint_final.pth", _with_code), "no model of nnU-Net"),
    ],
)
def test_other_files_are_refused_and_no_code_of_theirs_runs(learned, tmp_path, change, message):
    refused(message, adapter.convert, change(zipped(tmp_path)), tmp_path)


def test_several_folds_are_refused(learned, tmp_path):
    with zipfile.ZipFile(path := zipped(tmp_path), "a") as archive:
        archive.writestr("fold_1/checkpoint_final.pth", b"")
    refused("expected one each of plans.json, dataset.json", adapter.convert, path, tmp_path)


@pytest.mark.parametrize("axes", [["YX"], ["YX", "ZYX"]])
def test_images_that_do_not_go_together_are_refused(axes, tmp_path):
    refused(
        "expected two images or more, all YX or all ZYX, found",
        adapter.learn,
        [pair(name) for name in axes],
        SETTINGS,
        tmp_path,
    )


def test_images_that_the_model_is_not_for_are_refused_and_an_empty_one_has_no_objects(
    learned, tmp_path
):
    model = model_of(learned, tmp_path)
    for image in (np.zeros((40, 40), np.uint16), np.full((40, 40), 300, np.uint16)):
        inputs = {"microscopy-image": Volume(image, (0.5, 0.5), "YX")}
        assert predict(inputs, model)["instance-labels"].array.max() == 0
    refused(
        "expected 2d for YX, 3d for ZYX, found 2d, the image is",
        predict,
        {"microscopy-image": pair("ZYX").image},
        model,
    )
    two = Volume(np.ones((2, 40, 40), np.uint16), (0.5, 0.5), "CYX")
    refused("one frame and one channel at a time", predict, {"microscopy-image": two}, model)
    bare = Model(model.card.model_copy(update={"weights": None}))
    no_model("names no weights; train a model", predict, {"microscopy-image": pair().image}, bare)


@pytest.mark.rivals
@pytest.mark.parametrize("axes", ["YX", "ZYX"])
@pytest.mark.filterwarnings("default")
def test_classes_are_those_of_nnunet_called_directly(environment, tmp_path, axes):
    if find_spec("nnunetv2") is None:
        pytest.skip("nnU-Net is not installed: algorithms/nnunet/requirements.txt")
    import tifffile

    short = {**SETTINGS, "epochs": 2, "steps": 5}
    learned = adapter.learn([pair(axes, seed) for seed in range(5)], short, tmp_path)
    model = model_of(learned, tmp_path)
    image = pair(axes, 9).image
    converted = adapter.convert(zipped(tmp_path), tmp_path)
    assert all(
        (converted.tensors[name] == weight).all() for name, weight in learned.tensors.items()
    )
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    (top,) = (tmp_path / "nnUNet_results/Dataset001_cytosuite").iterdir()
    tool = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    tool.initialize_from_trained_model_folder(str(top), (0,))
    file = tmp_path / "a_0000.tif"
    tifffile.imwrite(file, image.array)
    write_json(tmp_path / "a.json", {"spacing": [1.0, 0.5, 0.5]})
    out = str(tmp_path / "out")
    tool.predict_from_files_sequential([[str(file)]], [out], save_probabilities=False)
    direct = tifffile.imread(f"{out}.tif").reshape(image.shape)
    spacing = (1.0, 1.0) if axes == "YX" else image.spacing
    expected = instances_of(direct == 1, direct == 2, spacing)
    labels = predict({"microscopy-image": image}, model)["instance-labels"].array
    assert labels.max() > 0
    assert (labels == expected).all()
