"""Wrong metadata of many kinds on one simulated stack, through folder and container: never silent."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from cytosuite.benchmark.data.dataset import Case, make_case
from cytosuite.container import Algorithm
from cytosuite.datasets.folder.collect import collect
from cytosuite.datasets.folder.load import load
from cytosuite.errors import CytosuiteError
from cytosuite.formats import read
from cytosuite.metrics import seg
from cytosuite.tasks import TASKS

ROOT = Path(__file__).resolve().parents[2]
SPECIFICATION = importlib.util.spec_from_file_location(
    "wrong", ROOT / "performance" / "metadata.py"
)
experiment = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(experiment)
SIZE = (1.5, 0.5, 0.5)
REFUSED = {"absurd (90 mm)", "slices declared frames"}
QUIET = {"clean", "axes turned, declared so"}  # nothing is wrong with these


@pytest.fixture(scope="module")
def stack():
    """Return nine nuclei of 9 µm in noise, twice as tall as wide, and their labels."""
    grid = np.stack(np.indices((20, 84, 80)), axis=-1) * SIZE
    labels = np.zeros((20, 84, 80), np.uint16)
    places = ((15.0 + (n % 2), 7.0 + 13 * (n // 3), 7.0 + 13 * (n % 3)) for n in range(9))
    for number, centre in enumerate(places, start=1):
        away = ((grid - np.array(centre)) / (7.0, 4.5, 4.5)) ** 2
        labels[away.sum(-1) < 1] = number
    rng = np.random.default_rng(0)
    return rng.poisson(20 + 150 * (labels > 0)).astype(np.uint16), labels


def _segmented(folder, stack, kind):
    """Return score and record of the stack with metadata of a kind."""
    array, labels = stack
    given = experiment.KINDS[kind](array, SIZE)
    given.write(folder / "in", "stack")
    (item,) = collect(folder / "in", "segment").items
    case = Case("stack", folder / "case")
    make_case(case, lambda: load(item), {})
    models = [ROOT / "weights" / "watershed"]
    algorithm = Algorithm("watershed", case.input(TASKS["segment"]), folder / "out", models)
    record = algorithm.run_case()
    found = read(folder / "out" / "images" / "instance-labels" / "stack.tif").array
    return seg(labels.transpose() if given.turned else labels, found), record


@pytest.fixture(scope="module")
def clean(stack, tmp_path_factory):
    """Return score and record with right metadata."""
    return _segmented(tmp_path_factory.mktemp("clean"), stack, "clean")


@pytest.mark.parametrize("kind", sorted(set(experiment.KINDS) - REFUSED))
def test_no_loss_is_silent(tmp_path, stack, clean, kind):
    (best, usual), (score, record) = clean, _segmented(tmp_path, stack, kind)
    told = [line for line in record["warnings"] if line not in usual["warnings"]]
    assert best > 0.7
    assert bool(told) == (kind not in QUIET), told
    if any("corrected" in line for line in told):
        assert score == best


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_what_nothing_explains_is_refused_in_one_line(tmp_path, stack, kind):
    with pytest.raises(CytosuiteError) as error:
        _segmented(tmp_path, stack, kind)
    assert len(str(error.value).splitlines()) == 1
    assert error.value.exit_code == 2
