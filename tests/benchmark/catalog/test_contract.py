"""The contract of algorithms: a good one passes, and each rule can be broken."""

import shutil

import house
import numpy as np
import pytest
from scipy import ndimage

from cytosuite.benchmark.catalog.contract import checks, example, nucleus, trial
from cytosuite.contract.manifest import read_algorithm
from cytosuite.contract.tasks import TRACKED, TRACKS
from cytosuite.contract.weights import read_cards
from cytosuite.errors import InputError, ModelError
from cytosuite.files import read_json, write_json
from cytosuite.volume import Volume

SLUG = "microscopy-image"


@pytest.fixture
def root(tmp_path):
    """Return the rooms that the contract looks into, with one algorithm that thresholds."""
    (tmp_path / "algorithms").mkdir()
    house._algorithm(tmp_path, "toy_threshold")
    (tmp_path / "algorithms/toy_threshold/README.md").write_text("How it works.\n")
    (tmp_path / "docker").mkdir()
    for lock in (house.ROOT / "docker").glob("requirements-*.txt"):
        shutil.copy(lock, tmp_path / "docker")
    return tmp_path


def _threshold(inputs, level=175):
    image = inputs[SLUG]
    return {"instance-labels": image.like(ndimage.label(image.array > level)[0].astype(np.uint16))}


def _failed(root, run=_threshold):
    """Return the reasons of the failures by the beginning of the rule."""
    return {
        done.title: done.reason
        for done in checks(
            root, read_algorithm(root / "algorithms/toy_threshold/algorithm.toml"), run
        )
        if done.result == "FAIL"
    }


def _only(failed, title, reason):
    assert list(failed) == [title]
    assert reason in failed[title]


def _card(root, **changes):
    path = root / "weights/toy_threshold/plain.json"
    write_json(path, {**read_json(path), **changes})


def test_the_example_is_one_bright_nucleus(root):
    manifest = read_algorithm(root / "algorithms/toy_threshold/algorithm.toml")
    for axes in ("ZYX", "YX"):
        image = example(manifest, axes)[SLUG]
        mask = nucleus(axes)
        assert image.axes == axes
        assert image.array[mask].mean() - image.array[~mask].mean() == pytest.approx(150, abs=1)
    assert nucleus("ZYX").sum() * 0.25 == pytest.approx(4 / 3 * np.pi * 5**3, rel=0.05)


def test_a_missing_readme_fails(root):
    (root / "algorithms/toy_threshold/README.md").unlink()
    _only(_failed(root), "files: function, README, row in algorithms/README.md", "is missing")
    (root / "algorithms/toy_threshold/README.md").touch()
    (root / "algorithms/README.md").write_text("| [other](other/README.md) |\n")
    reason = "does not list [toy_threshold]"
    _only(_failed(root), "files: function, README, row in algorithms/README.md", reason)


@pytest.mark.parametrize(
    "line, reason",
    {
        "from cytosuite.metrics import seg": "the core of cytosuite alone",
        "from cytosuite.algorithms.toy_threshold.training import x": "the core of cytosuite",
        "import pandas": "name it and what it needs in algorithms/toy_threshold/requirements.txt",
        "def (": "invalid syntax",
    }.items(),
)
def test_imports_that_an_image_lacks_fail(root, line, reason):
    with (root / "algorithms/toy_threshold/predict.py").open("a") as stream:
        stream.write(f"\n{line}\n")
    _only(_failed(root), "imports: the library's core and packages of the image", reason)


@pytest.mark.parametrize("line", ["from . import a", "import torch, json", "import pandas"])
def test_imports_that_an_image_holds_pass(root, line):
    with (root / "algorithms/toy_threshold/predict.py").open("a") as stream:
        stream.write(f"\n{line}\nfrom cytosuite.algorithms.toy_threshold import b\n")
    if "pandas" in line:
        (root / "algorithms/toy_threshold/requirements.txt").write_text("pandas==2.2.3\n")
    assert _failed(root) == {}


@pytest.mark.parametrize(
    "reason, changes",
    {
        "expected the task segment, found enhance": {"task": "enhance"},
        "are missing": {"weights": "none.safetensors", "sha256": "0" * 64},
        "own.pt: expected weights as .safetensors": {"weights": "own.pt", "sha256": "0" * 64},
    }.items(),
)
def test_wrong_model_cards_fail_and_nothing_runs(root, changes, reason):
    _card(root, **changes)
    _only(_failed(root, None), "model cards: valid, of this task, weights there", reason)


def test_a_card_that_is_never_chosen_fails_but_for_one_beside_exact_images(root):
    _card(root, scores={"a set": {"SEG": 0.5}})
    place = root / "weights/toy_threshold"
    twin = read_json(place / "plain.json") | {"name": "twin"}
    write_json(place / "twin.json", twin)
    title = "model cards: each chosen for the images it describes"
    _only(_failed(root), title, "plain is chosen for the images of twin")
    (place / "twin.json").unlink()  # those of a card for exact images may be taken from another
    write_json(
        place / "habit.json", twin | {"name": "habit", "exact": {"spacing": [2.0, 1.0, 1.0]}}
    )
    assert _failed(root) == {}


def _other(change):
    """Return an algorithm with changed labels."""
    return lambda inputs: {slug: change(labels) for slug, labels in _threshold(inputs).items()}


@pytest.mark.parametrize(
    "reason, change",
    {
        "expected the spacing": lambda v: Volume(v.array, v.spacing[::-1], v.axes),
        "expected the shape": lambda v: Volume(v.array[:, 1:], v.spacing, v.axes),
        "found the dtype float32": lambda v: v.like(v.array.astype(np.float32)),
    }.items(),
)
def test_another_geometry_fails(root, change, reason):
    assert reason in _failed(root, _other(change))["3D: outputs with the input's geometry"]


def test_a_segmenter_that_sees_nothing_fails(root):
    failed = _failed(root, _other(lambda v: v.like(np.zeros_like(v.array))))
    assert set(failed) == {"3D: finds one nucleus", "2D: finds one nucleus"}


def test_objects_in_noise_are_a_remark(root):
    """An honest threshold may find some there."""

    def run(inputs):
        return _threshold(inputs, 105 if inputs[SLUG].array.max() <= 175 else 175)

    manifest = read_algorithm(root / "algorithms/toy_threshold/algorithm.toml")
    odd = {done.title: done for done in checks(root, manifest, run) if done.result != "pass"}
    assert set(odd) == {f"{axes}: finds nothing where nothing is" for axes in ("2D", "3D")}
    assert {done.result for done in odd.values()} == {"note"}
    assert all(done.reason.endswith(" objects in noise") for done in odd.values())


def test_an_algorithm_that_differs_from_itself_fails(root):
    counts = iter(range(1, 100))
    failed = _failed(root, _other(lambda v: v.like(v.array * np.uint16(next(counts)))))
    assert set(failed) == {"3D: the same again", "2D: the same again"}


def _refuses(axes, error):
    def run(inputs):
        if inputs[SLUG].axes == axes:
            raise error
        return _threshold(inputs)

    return run


def test_images_that_no_card_is_made_for_may_be_refused_but_no_others(root):
    refuses = _refuses("YX", ModelError("no model for planes"))
    _only(_failed(root, refuses), "2D: outputs", "no model for planes")
    _card(root, describes={"axes": "ZYX"})
    assert _failed(root, refuses) == {}
    title = "2D: refused, as no model is made for it"
    _only(_failed(root), title, "no model card describes images with axes YX")
    _card(root, describes={})
    _only(_failed(root, _refuses("ZYX", InputError("no"))), "3D: outputs", "no")


def test_a_crash_is_no_refusal(root):
    _card(root, describes={"axes": "ZYX"})
    crash = ModelError("a crash")
    crash.exit_code = 1
    _only(_failed(root, _refuses("YX", crash)), "2D: outputs", "a crash")


def test_tracks_without_the_rows_of_labelled_frames_fail():
    manifest = read_algorithm(house.ROOT / "algorithms/linking/algorithm.toml")
    cards = read_cards(house.ROOT / "weights/linking", "linking")

    def run(inputs):
        movie = inputs["microscopy-movie"]
        return {TRACKED.slug: movie.like(movie.array // movie.array), TRACKS.slug: []}

    failed = [done for done in trial(manifest, cards, run) if done.result == "FAIL"]
    assert {done.title for done in failed} == {
        f"{d}: outputs with the input's geometry" for d in ("3D", "2D")
    }
    assert "labels and rows differ" in failed[0].reason
