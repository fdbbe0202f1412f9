import numpy as np
import pytest
from mistakes import refused
from training_data import trained
from trainings import short

from cytosuite.algorithms.masks.predict import predict
from cytosuite.algorithms.masks.training.train import TRAINING
from cytosuite.contract.manifest import read_card
from cytosuite.contract.weights import open_model
from cytosuite.formats import write
from cytosuite.formats.request import canvas_of
from cytosuite.training.publish import ALGORITHMS
from cytosuite.training.validate import hold_out
from cytosuite.volume import Volume


def _labels(folder, *, simulated=False, spacing=(0.5, 0.5)):
    """Write three pairs of label images, as a folder or as the cases of a dataset."""
    for number in range(3):
        cells, nuclei = np.zeros((2, 24, 30), np.uint16)
        for label, (y, x) in enumerate([(2, 3 + number), (10, 14), (18, 24)], start=1):
            cells[y : y + 6, x : x + 7 + number % 2] = label
            nuclei[y + 2 : y + 4, x + 2 : x + 4] = 9 - label  # of any number
        for name, place, array in (
            ("labels", "sockets/images/instance-labels", cells),
            ("nucleus-labels", "extras/nucleus-labels", nuclei),
        ):
            home = f"cases/c{number}/{place}" if simulated else name
            write(folder / home / f"c{number}.tif", Volume(array, spacing, "YX"))
    return folder


def test_folders_and_datasets_are_read_alike(tmp_path):
    pair = [
        TRAINING.load(_labels(tmp_path / name, simulated=simulated), "images", short("masks"))
        for name, simulated in (("plain", False), ("set", True))
    ]
    for plain, own in zip(*pair, strict=True):
        np.testing.assert_array_equal(plain.fields, own.fields)
    assert pair[0][0].fields.shape == (2, 1, 24, 30)
    assert pair[0][0].fields[0, 0, 4, 5] == pytest.approx(np.tanh(1.25 / 3), abs=1e-3)


def test_gates_are_percentiles_of_the_whole_cells(tmp_path):
    settings = short("masks")
    found = TRAINING.measure(
        {"images": TRAINING.load(_labels(tmp_path), "images", settings)}, settings
    )
    assert found["gates"]["area"] == pytest.approx((42 / 4, 48 / 4), rel=0.02)
    assert (found["spacing"], found["scale_um"]) == ([0.5, 0.5], 3.0)


def test_a_short_training_makes_a_model_that_answers(tmp_path):
    card = trained(
        TRAINING,
        short("masks", validation={"every": 2, "metric": "arrangement_distance", "cases": 1}),
        _labels(tmp_path / "data", simulated=True),
    )
    model = open_model(card.parent, read_card(card))
    canvas = canvas_of({"seed": 1, "shape": [20, 20], "spacing": [0.5, 0.5]})
    assert predict({"sample-request": canvas}, model)["sampled-nuclei"].shape == (20, 20)
    assert read_card(card).describes == {"axes": "YX", "spacing": (0.5, 0.5)}
    assert len(list((tmp_path / "work/pictures").iterdir())) == 1


def test_what_nothing_can_be_learned_from_is_refused(tmp_path):
    settings, folder = short("masks"), _labels(tmp_path / "a")
    others = TRAINING.load(_labels(tmp_path / "b", spacing=(1.0, 1.0)), "images", settings)
    both = [*TRAINING.load(folder, "images", settings), *others]
    refused("give labels of one voxel size", TRAINING.measure, {"images": both}, settings)
    (folder / "nucleus-labels/c1.tif").unlink()
    refused("c1.tif: expected labels of the nuclei", TRAINING.load, folder, "images", settings)
    odd = short("masks", network={"channels": 1})
    refused("network: expected channels = 2", TRAINING.check, folder, "images", odd)


def test_shipped_settings_learn_from_the_eight_cases_of_neurons():
    settings, _ = TRAINING.translate(ALGORITHMS / "masks/training/train.toml", {})
    rest, held = hold_out(range(8), settings["validation"]["cases"], "images")
    assert (len(rest), len(held)) == (6, 2)
