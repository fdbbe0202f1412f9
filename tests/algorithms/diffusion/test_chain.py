"""A case with sketch and labels on its way through a chain to a network that wants the labels."""

import numpy as np
import pytest

from cytosuite.algorithms.diffusion.predict import LABELS, MADE, SKETCH, predict
from cytosuite.algorithms.diffusion.training.settings import Settings
from cytosuite.algorithms.diffusion.training.train import TRAINING
from cytosuite.benchmark.cluster.processes import processes
from cytosuite.benchmark.data.chain import through
from cytosuite.benchmark.data.dataset import prepare
from cytosuite.benchmark.data.recipe import DataRequest, recipe
from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.benchmark.engines.process import ProcessEngine
from cytosuite.files import link
from cytosuite.formats import read
from cytosuite.manifest import read_card
from cytosuite.tasks import IMAGE, TASKS
from cytosuite.training.loop import train
from cytosuite.weights import open_model

pytestmark = pytest.mark.slow

SHORT = {
    "network": {"widths": [4, 6], "embedding": 8},
    "crops": {"shape": [8, 16, 16], "batch": 2},
    "process": {"steps": 2, "t_start": 1000},
    "schedule": {"steps": 4},
    "card": {"authors": "nobody", "parameters": {"seed": 1}},
}


@pytest.fixture
def dataset(tmp_path):
    """Return one small case of `membrane`."""
    made = recipe(DataRequest("membrane", size="mini", cases=1))
    return prepare(made, tmp_path / "datasets", processes(1), lambda done, total: None)


def _trained(folder, case, *sockets):
    """Return the card of a network that was trained on a case with these sockets alone."""
    for slug in (IMAGE.slug, *sockets):
        name = {IMAGE.slug: "images", LABELS: "labels"}.get(slug, slug)
        link(folder / name / "a.tif", case.path(slug))
    card = folder / "weights" / "tiny.json"
    settings = Settings.model_validate(SHORT)
    return train(TRAINING, settings, {"images": [folder]}, card, work=folder / "work")


@pytest.mark.parametrize("given", ["labels", "sketch"])
def test_a_chain_hands_both_inputs_over_and_the_card_says_which_counts(given, dataset, tmp_path):
    (case,) = dataset.cases
    assert set(case.inputs(TASKS["synthesise"])) == {SKETCH, LABELS}
    sockets = [LABELS] if given == "labels" else [SKETCH, LABELS]
    card = _trained(tmp_path / "pairs", case, *sockets)
    model = open_model(card.parent, read_card(card))
    assert model.card.parameters["given"] == given
    engine = ProcessEngine(models={"diffusion": card})
    (made,) = through(dataset, "diffusion", engine, Limits(), api="exec").cases
    found = read(made.socket(IMAGE.slug))
    alone = {slug: {slug: read(case.path(slug))} for slug in (SKETCH, LABELS)}
    wanted = predict(alone[LABELS if given == "labels" else SKETCH], model)[MADE]
    np.testing.assert_array_equal(found.array, wanted.array)
    assert (found.spacing, found.axes) == (wanted.spacing, wanted.axes)
    if given == "sketch":  # of the labels another image is made
        assert not np.array_equal(predict(alone[LABELS], model)[MADE].array, found.array)
