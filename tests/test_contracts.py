"""What every algorithm, dataset and board must obey; each is found in the tree by itself."""

import importlib
from dataclasses import replace
from functools import partial

import pytest
from toys import made_in

from cytosuite.benchmark.catalog.contract import checks
from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.runs.data.recipe import DataRequest, recipe
from cytosuite.contract.select import describe, select
from cytosuite.contract.tasks import ACQUISITION, TASKS
from cytosuite.contract.weights import open_model, read_cards
from cytosuite.datasets.recipes import dataset_manifests
from cytosuite.folders.index import SOCKETS
from cytosuite.formats import header
from cytosuite.metrics import metrics_of
from cytosuite.metrics.boards import BOARDS

ALGORITHMS = algorithms()
DATASETS = dataset_manifests()
SIMULATED = [name for name, manifest in DATASETS.items() if manifest.kind == "simulated"]


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
    results = list(checks(ROOT, ALGORITHMS[name], partial(_run, name)))
    assert [done for done in results if done.result in ("FAIL", "note")] == []
    skipped = ALGORITHMS[name].optional and results[-1].result == "skip"  # no card, or no package
    assert skipped or any(done.title.startswith("3D: ") for done in results)


@pytest.mark.parametrize("name", SIMULATED)
def test_every_simulated_dataset_offers_what_its_manifest_says(name, tmp_path):
    manifest = DATASETS[name]
    mini = recipe(DataRequest(name, "mini"))
    assert len(mini.makers) == manifest.sizes["mini"].cases
    dataset = made_in(tmp_path, replace(mini, makers=mini.makers[:1]))
    assert dataset.serves(TASKS[manifest.task])
    (case,) = dataset.cases
    further = {ACQUISITION.slug}  # also of those whose manifest does not name it
    assert {*case.facts()["sockets"]} - further == {*manifest.offers} - further
    images = [case.socket(slug) for slug in manifest.offers if SOCKETS[slug].is_volume]
    assert len({(image.shape[-2:], image.spacing[-2:]) for image in map(header, images)}) <= 1


def test_every_task_has_a_board_of_metrics_that_exist():
    assert set(BOARDS) == set(TASKS)
    for board in BOARDS.values():
        names = {metric.name for family in board.families for metric in metrics_of(family)}
        assert set(board.primary) <= names


@pytest.mark.parametrize("name", SIMULATED)
def test_every_size_is_valid_and_has_the_usual_names(name):
    assert {"mini", "default", "full"} <= set(DATASETS[name].sizes)
    for size in DATASETS[name].sizes:
        assert recipe(DataRequest(name, size)).makers
