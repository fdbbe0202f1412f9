"""What every algorithm, dataset and metric must obey; each is found in the tree by itself."""

import importlib

import numpy as np
import pytest

from cytosuite.benchmark.catalog import ROOT, algorithms, dataset_manifests
from cytosuite.benchmark.data.dataset import prepare
from cytosuite.benchmark.data.recipe import DataRequest, recipe
from cytosuite.errors import ModelError
from cytosuite.metrics import metrics_of
from cytosuite.metrics.boards import BOARDS
from cytosuite.metrics.labels.overlap import OVERLAP, overlap
from cytosuite.select import describe, select
from cytosuite.tasks import TASKS
from cytosuite.volume import Volume
from cytosuite.weights import open_model, read_cards

ALGORITHMS = algorithms()
DATASETS = dataset_manifests()
SEGMENTERS = [name for name, found in ALGORITHMS.items() if found.task == "segment"]
SERVED = [  # with the axes that an algorithm has a model for
    (name, axes)
    for name in SEGMENTERS
    for axes in ("ZYX", "YX")
    if any(
        c.describes.get("axes") in {axes, None} for c in read_cards(ROOT / "weights" / name, name)
    )
]
SIMULATED = [name for name, found in DATASETS.items() if found.kind == "simulated"]
METRICS = {m.name: m for m in metrics_of("labels") if m.evidence is OVERLAP}


def _ball(axes, dtype=np.uint16):
    """Return an image with one bright nucleus of 10 µm."""
    shape, spacing = ((24, 48, 48), (1.0, 0.5, 0.5)) if axes == "ZYX" else ((48, 48), (0.5, 0.5))
    grid = np.meshgrid(
        *[(np.arange(n) - n / 2) * s for n, s in zip(shape, spacing, strict=True)], indexing="ij"
    )
    ball = sum(axis**2 for axis in grid) < 25
    noise = np.random.default_rng(0).normal(100, 4, shape)
    array = (noise + 150 * ball).astype(dtype)
    return Volume(array, spacing, axes, {"channel": "nucleus"}), ball


def _predict(name, image):
    """Return what an algorithm predicts with the model it would choose."""
    folder = ROOT / "weights" / name
    chosen = select(read_cards(folder, name), describe(image), ALGORITHMS[name].select)
    predict = importlib.import_module(f"cytosuite.algorithms.{name}.predict").predict
    return predict({"microscopy-image": image}, open_model(folder, chosen.card))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_card_belongs_to_its_algorithm(name):
    cards = read_cards(ROOT / "weights" / name, name)
    for card in cards:
        assert card.task == ALGORITHMS[name].task
        assert open_model(ROOT / "weights" / name, card).card is card


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_card_is_chosen_for_the_images_it_describes(name):
    cards = read_cards(ROOT / "weights" / name, name)
    for card in cards:
        chosen = select(cards, dict(card.describes), ALGORITHMS[name].select)
        assert chosen.card.name == card.name
        assert not chosen.fallback


@pytest.mark.parametrize(("name", "axes"), SERVED)
def test_every_segmenter_finds_one_nucleus(name, axes):
    image, ball = _ball(axes)
    outputs = _predict(name, image)
    assert set(outputs) == {socket.slug for socket in TASKS["segment"].outputs}
    labels = outputs["instance-labels"]
    assert (labels.shape, labels.spacing, labels.axes) == (image.shape, image.spacing, image.axes)
    assert labels.array.dtype.kind == "u"
    assert METRICS["SEG"](ball.astype(np.uint8), labels.array) > 0.6
    assert METRICS["DET"](ball.astype(np.uint8), labels.array) == 1.0


@pytest.mark.parametrize(("name", "axes"), SERVED)
def test_every_segmenter_finds_nothing_where_nothing_is(name, axes):
    image, _ = _ball(axes)
    noise = np.random.default_rng(1).normal(100, 4, image.shape).astype(np.uint16)
    for array in (noise, np.full(image.shape, 7, np.uint16)):
        assert not _predict(name, image.like(array))["instance-labels"].array.any()


@pytest.mark.parametrize("name", SEGMENTERS)
def test_every_segmenter_is_refused_for_axes_without_a_model(name):
    for axes in {"ZYX", "YX"} - {axes for served, axes in SERVED if served == name}:
        with pytest.raises(ModelError, match=f"no model for axes = '{axes}'"):
            _predict(name, _ball(axes)[0])


def test_planes_and_volumes_have_a_model_in_the_choice_of_an_algorithm():
    chosen = {name for name, found in ALGORITHMS.items() if found.preference}
    assert {axes for name, axes in SERVED if name in chosen} == {"ZYX", "YX"}


@pytest.mark.parametrize("name", SEGMENTERS)
def test_every_segmenter_repeats_itself(name):
    image, _ = _ball("ZYX")
    first, second = (_predict(name, image)["instance-labels"].array for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", SIMULATED)
def test_every_simulated_dataset_offers_what_its_manifest_says(name, tmp_path):
    manifest = DATASETS[name]
    made = recipe(DataRequest(name, "mini"))
    sample = made.makers[0][1]()
    assert set(sample.sockets) == set(manifest.offers)
    volumes = [value for value in sample.sockets.values() if isinstance(value, Volume)]
    assert len({(volume.shape[-2:], volume.spacing[-2:]) for volume in volumes}) <= 1
    dataset = prepare(made, tmp_path, 2, lambda done, total: None)
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


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_metric_gives_the_truth_its_best_value(metric, situation):
    truth = situation[0]
    value = metric(truth, truth)
    if metric.best is not None and truth.any():
        assert value == metric.best


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_metric_is_described_and_stays_in_its_range(metric, situation):
    assert metric.description.endswith(".")
    value = metric.of(overlap(*situation[:2]))
    ends = [end for end in (metric.best, metric.worst) if end is not None]
    if len(ends) == 2 and not np.isnan(value):
        assert min(ends) <= value <= max(ends)
