"""What every algorithm, dataset and board must obey; each is found in the tree by itself."""

import importlib
from functools import partial

import numpy as np
import pytest

from cytosuite.benchmark.catalog.catalog import ROOT, algorithms, dataset_manifests
from cytosuite.benchmark.catalog.contract import checks
from cytosuite.benchmark.cluster.processes import processes
from cytosuite.benchmark.data.dataset import prepare
from cytosuite.benchmark.data.recipe import DataRequest, recipe
from cytosuite.contract.select import describe, select
from cytosuite.contract.tasks import TASKS
from cytosuite.contract.weights import open_model, read_cards
from cytosuite.metrics import metrics_of
from cytosuite.metrics.boards import BOARDS
from cytosuite.volume import Volume

ALGORITHMS = algorithms()
DATASETS = dataset_manifests()
SIMULATED = [name for name, found in DATASETS.items() if found.kind == "simulated"]


def _run(name, inputs):
    """Return the outputs of an algorithm with the model that it would choose."""
    folder = ROOT / "weights" / name
    image = next(iter(inputs.values()))
    chosen = select(read_cards(folder, name), describe(image), ALGORITHMS[name].select)
    predict = importlib.import_module(f"cytosuite.algorithms.{name}.predict").predict
    return predict(inputs, open_model(folder, chosen.card))


SLOWEST = "diffusion"  # draws each image in many steps


@pytest.mark.parametrize(
    "name",
    [
        *(name for name in ALGORITHMS if name != SLOWEST),
        pytest.param(SLOWEST, marks=pytest.mark.long),
    ],
)
def test_every_algorithm_keeps_its_contract(name):
    found = list(checks(ROOT, ALGORITHMS[name], partial(_run, name)))
    assert [done for done in found if done.result in ("FAIL", "note")] == []
    skipped = ALGORITHMS[name].optional and found[-1].result == "skip"  # no card, or no package
    assert skipped or any(done.title.startswith("3D: ") for done in found)


def _blobs(width, edge):
    """Return a stack (8, 96, 96) of five objects, whole numbers from 0 to 65532."""
    z, y, x = np.mgrid[:8, :96, :96]
    places = [(20, 24), (24, 70), (60, 48), (76, 18), (74, 80)]
    away = [(y - a) ** 2 + (x - b) ** 2 + 12 * (z - 4) ** 2 for a, b in places]
    light = sum(np.exp(-((square / width**2) ** edge)) for square in away)
    noise = np.random.default_rng(0).normal(0, 0.01, y.shape)
    return np.clip((light + noise + 0.05) / 1.2 * 16383, 0, 16383).astype(int) * 4


OURS = [
    name
    for name, found in ALGORITHMS.items()
    if found.task in ("segment", "detect")
    and not (ROOT / "algorithms" / name / "requirements.txt").exists()
]  # others are tools, with dtypes of their own


@pytest.mark.parametrize("name", OURS)
def test_answers_depend_neither_on_the_dtype_nor_on_an_offset(name):
    task = TASKS[ALGORITHMS[name].task]
    step, blobs = (0.1, _blobs(2, 1)) if task.name == "detect" else (0.5, _blobs(10, 3))
    cards = read_cards(ROOT / "weights" / name, name)
    flat = any(card.describes.get("axes") != "ZYX" for card in cards)

    def answer(dtype, offset):
        array = (blobs + offset).astype(dtype)
        image = (
            Volume(array[4], (step, step), "YX") if flat else Volume(array, (3 * step, step, step))
        )
        return _run(name, {task.inputs[0].slug: image})[task.outputs[0].slug].array

    expected = answer("u2", 0)
    assert len(np.unique(expected)) > 4
    for dtype, offset in [
        ("i2", -32768),
        (">u2", 0),
        ("u4", 3 * 10**9),
        ("i8", -(10**12)),
        ("f8", 2**30),
    ]:
        np.testing.assert_allclose(answer(dtype, offset), expected, atol=1e-3, err_msg=dtype)


def test_planes_and_volumes_have_a_model_in_the_choice_of_an_algorithm():
    chosen = {name for name, found in ALGORITHMS.items() if found.preference}
    cards = [card for name in chosen for card in read_cards(ROOT / "weights" / name, name)]
    assert {"ZYX", "YX"} <= {card.describes.get("axes") for card in cards}


@pytest.mark.parametrize("name", SIMULATED)
def test_every_simulated_dataset_offers_what_its_manifest_says(name, tmp_path):
    manifest = DATASETS[name]
    made = recipe(DataRequest(name, "mini"))
    sample = made.makers[0][1]()
    assert set(sample.sockets) == set(manifest.offers)
    volumes = [value for value in sample.sockets.values() if isinstance(value, Volume)]
    assert len({(volume.shape[-2:], volume.spacing[-2:]) for volume in volumes}) <= 1
    dataset = prepare(made, tmp_path, processes(2), lambda done, total: None)
    assert len(dataset.cases) == manifest.sizes["mini"].cases
    assert dataset.serves(TASKS[manifest.task])


def test_every_task_has_a_board_of_metrics_that_exist():
    assert set(BOARDS) == set(TASKS)
    for board in BOARDS.values():
        known = {metric.name for family in board.families for metric in metrics_of(family)}
        assert set(board.primary) <= known


@pytest.mark.parametrize("name", SIMULATED)
def test_every_size_is_valid_and_has_the_usual_names(name):
    assert {"mini", "default", "full"} <= set(DATASETS[name].sizes)
    for size in DATASETS[name].sizes:
        assert recipe(DataRequest(name, size)).makers
