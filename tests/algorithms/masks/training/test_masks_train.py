from dataclasses import replace

import numpy as np
import pytest
from mistakes import refused
from training_data import planes_folder, trained
from trainings import short

from cytosuite.algorithms.masks.predict import predict
from cytosuite.algorithms.masks.training.train import TRAINING
from cytosuite.contract.manifest import read_card
from cytosuite.contract.weights import open_model
from cytosuite.formats.request import canvas_of
from cytosuite.training.publish import ALGORITHMS
from cytosuite.training.validate import hold_out


def _cases(folder):
    return TRAINING.load(folder, "images", short("masks"))


def test_labels_are_read_as_distances_and_gates_are_percentiles_of_whole_cells(tmp_path):
    cases = _cases(planes_folder(tmp_path))
    assert cases[0].fields.shape == (2, 1, 40, 48)
    assert cases[0].fields[0, 0, 10, 13] == pytest.approx(np.tanh(1.25 / 3), abs=1e-3)
    measured = TRAINING.measure({"images": cases}, short("masks"))
    assert measured["gates"]["area"] == pytest.approx((144 / 4, 168 / 4), rel=0.02)
    assert (measured["spacing"], measured["scale_um"]) == ([0.5, 0.5], 3.0)


def test_a_short_training_makes_a_model_that_answers(tmp_path):
    card = trained(
        TRAINING,
        short("masks", validation={"every": 2, "metric": "arrangement_distance", "cases": 1}),
        planes_folder(tmp_path / "data"),
    )
    model = open_model(card.parent, read_card(card))
    canvas = canvas_of({"seed": 1, "shape": [20, 20], "spacing": [0.5, 0.5]})
    assert predict({"sample-request": canvas}, model)["sampled-nuclei"].shape == (20, 20)
    assert read_card(card).describes == {"axes": "YX", "spacing": (0.5, 0.5)}
    assert len(list((tmp_path / "work/pictures").iterdir())) == 1


def test_what_nothing_can_be_learned_from_is_refused(tmp_path):
    settings = short("masks")
    folder = planes_folder(tmp_path)
    (case, _) = _cases(folder)
    both = [case, replace(case, spacing=(1.0, 1.0))]
    refused("give labels of one voxel size", TRAINING.measure, {"images": both}, settings)
    (folder / "nucleus-labels/b.tif").unlink()
    refused("b.tif: expected labels of the nuclei", _cases, folder)
    odd = short("masks", network={"channels": 1})
    refused("network: expected channels = 2", TRAINING.check, folder, "images", odd)


def test_shipped_settings_learn_from_the_eight_cases_of_neurons():
    settings, _ = TRAINING.translate(ALGORITHMS / "masks/training/train.toml", {})
    rest, held = hold_out(range(8), settings["validation"]["cases"], "images")
    assert (len(rest), len(held)) == (6, 2)
