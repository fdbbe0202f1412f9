"""The recipes of the READMEs, run as they are written, in a small checkout."""

import re
import shutil
import sys
from textwrap import dedent
from types import SimpleNamespace
from typing import ClassVar

import house
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from cytosuite.datasets.spheroid.generate import generate
from cytosuite.datasets.spheroid.parameters import Parameters
from cytosuite.files import read_json, write_text
from cytosuite.formats import read
from cytosuite.metrics import seg
from tests.hostile.tally import digests

SHOWN = re.compile(r"^ *print\(.*\)  # (.+)$", re.MULTILINE)
FENCE = re.compile(r"^([ ]*)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def _blocks(readme):
    """Return language, content and the path in `mine` named before it, of each block of code."""
    text, blocks, before = (house.ROOT / readme).read_text(), [], 0
    for fence in FENCE.finditer(text):
        paths = re.findall(r"`(\w+/mine/[\w/]+\.\w+)`", text[before : fence.start()])
        blocks.append((fence[2], dedent(fence[3]), paths[-1] if paths else ""))
        before = fence.end()
    return blocks


def _follow(readme, place):
    """Write the files and run the commands of a README in their order."""
    for language, content, path in _blocks(readme):
        if language == "sh":
            for line in content.splitlines():
                words = line.removeprefix(".venv/bin/cytosuite ").split()
                house.printed(house.command(place, *words))
        elif path:
            write_text(place / path, content)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """Return a checkout with the READMEs of its rooms."""
    place = house.build(tmp_path_factory.mktemp("house") / "checkout")
    shutil.copy(house.ROOT / "algorithms/README.md", place / "algorithms")
    return place


@pytest.mark.long
@pytest.mark.slow
def test_the_recipe_of_an_algorithm_runs_as_written(checkout):
    _follow("algorithms/README.md", checkout)
    _follow("weights/README.md", checkout)
    house.printed(house.command(checkout, "check", "mine"))


def test_the_readmes_show_the_files_that_new_writes(monkeypatch):
    from cytosuite.benchmark.commands.algorithms import _files
    from cytosuite.contract.tasks import TASKS

    files = {
        path.relative_to(house.ROOT).as_posix(): text
        for path, text in _files("mine", TASKS["segment"], torch=False).items()
    }
    shown = _blocks("algorithms/README.md") + _blocks("weights/README.md")
    shown = {path: text for language, text, path in shown if language != "sh"}
    assert {"algorithms/mine/predict.py", "weights/mine/default.json"} <= set(shown)
    for path, text in shown.items():
        assert text == files[path], path


@pytest.mark.long
@pytest.mark.slow
def test_the_recipe_of_a_dataset_runs_as_written(checkout):
    _follow("datasets/README.md", checkout)
    assert len(list((checkout / "balls/labels").iterdir())) == 2
    assert len(list((checkout / "runs").glob("mine*/report/index.html"))) == 2
    house.printed(
        house.command(
            checkout, "simulate", "mine", "--size", "mini", "--out", "b2", "--workers", "1"
        )
    )
    assert digests(checkout / "b2/images") == digests(checkout / "balls/images")


class _Viewer:
    """Stands for napari's, which needs a screen: keeps the layers."""

    layers: ClassVar = []

    def add_image(self, array, **options):
        self.layers.append(("image", array, options))

    def add_labels(self, array, **options):
        self.layers.append(("labels", array, options))


def test_the_pages_of_the_library_run_as_written_without_torch():
    names = ("metrics", "ranking", "simulation")
    texts = [text for name in names for _, text, _ in _blocks(f"docs/library/{name}.md")]
    shown = [SHOWN.findall(text) for text in texts]
    assert [len(lines) > 0 for lines in shown] == [True] * 3
    code = f"import sys; [exec(text, {{}}) for text in {texts}]; assert 'torch' not in sys.modules"
    printed = house.printed(house.ran(sys.executable, "-c", code))
    assert {line for lines in shown for line in lines} - {*printed.splitlines()} == set(), printed


@pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader")  # of MONAI beside a pydicom
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_the_examples_of_the_page_for_python_run_as_written(tmp_path, monkeypatch, capfd):
    pytest.importorskip("monai")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "napari", SimpleNamespace(Viewer=_Viewer, run=lambda: None))
    page = {"__name__": "page"}
    for language, text, _ in _blocks("docs/python.md"):
        if language == "python":
            capfd.readouterr()
            exec(compile(text, "docs/python.md", "exec"), page)
            for line in SHOWN.findall(text):
                assert line in capfd.readouterr().out
    image = page["image"]
    labels = page["labels"]
    for (kind, array, options), volume in zip(_Viewer.layers, (image, labels), strict=True):
        assert_array_equal(array, volume.array)
        assert options["name"] == kind
        assert options["scale"] == volume.spacing
    assert seg(labels.array, page["found"].array) > 0.5
    _loads_the_same_with_any_workers(page)
    _is_what_the_command_simulates(page, tmp_path)


def _loads_the_same_with_any_workers(page):
    """Compare the cases that loaders with other workers and batches give."""
    data = page["SimulatedDataset"](generate, page["parameters"], 4, seed=3)
    images = []
    for workers, batch in ((0, 1), (1, 4), (2, 2)):
        loader = page["DataLoader"](data, batch_size=batch, num_workers=workers)
        images.append(np.concatenate([case["image"].numpy() for case in loader]))
    for other in images[1:]:
        assert_array_equal(images[0], other)
    assert not np.array_equal(images[0][0], images[0][1])


def _is_what_the_command_simulates(page, folder):
    """Compare a case of the page with that of the command."""
    settings = ["image.shape=[16,64,64]", "image.spacing_um=[2,0.5,0.5]", "tissue.n_nuclei=[4,4]"]
    words = [word for setting in settings for word in ("--set", setting)]
    out = folder / "simulated"
    house.printed(
        house.command(
            house.ROOT,
            "simulate",
            "spheroid",
            *words,
            "--cases",
            2,
            "--seed",
            3,
            "--out",
            out,
            "--runs",
            folder / "runs",
        )
    )
    stored = read(sorted((out / "images").iterdir())[1])
    facts = read_json(next((out / "records").iterdir()))
    recorded = Parameters.model_validate(facts["recipe"]["parameters"])
    case = page["SimulatedDataset"](generate, recorded, 2, seed=3)[1]
    assert_array_equal(stored.array, case["image"][0].numpy())
