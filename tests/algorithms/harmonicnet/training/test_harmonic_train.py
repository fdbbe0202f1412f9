from dataclasses import replace

import numpy as np
import pytest
from mistakes import refused
from numpy.testing import assert_allclose, assert_array_equal
from training_data import SPACING, TURNS, simulated_folder, trained
from trainings import short

from cytosuite.algorithms.harmonicnet.network import SPHERE
from cytosuite.algorithms.harmonicnet.suppression import Candidates
from cytosuite.algorithms.harmonicnet.training.train import (
    TRAINING,
    batch_of,
    centre_heat,
    outlined,
    shaped,
    turning,
)
from cytosuite.bodies import fit
from cytosuite.contract.manifest import read_card
from cytosuite.training.images import Turn, turned
from cytosuite.training.nuclei.cases import SHARE_UNIT, find_cases, load_case
from cytosuite.training.nuclei.patches import DrawnPatch

SHAPE = (16, 24, 24)


@pytest.fixture
def settings():
    return short("harmonicnet")


def test_a_training_measures_voxels_and_radius(settings, tmp_path):
    cases = TRAINING.load(simulated_folder(tmp_path), "images", settings)
    measured = TRAINING.measure({"images": cases}, settings)
    # The level falls to 0.38 at sqrt(2 ln(1 / 0.38)) deviations of 2 voxels of 2, 3 of 0.8 µm.
    radius = pytest.approx(np.sqrt(2 * np.log(1 / 0.38)) * np.cbrt(4.0 * 2.4 * 2.4), rel=0.05)
    assert measured == {"spacing_um": list(SPACING), "radius_um": radius}


def test_the_threshold_that_scores_best_goes_into_the_card(tmp_path, monkeypatch):
    settings = short("harmonicnet", validation={"every": 2, "metric": "F1", "cases": 1})
    folder = simulated_folder(tmp_path / "data")
    true = fit(outlined(TRAINING.load(folder, "images", settings)[1], 0.38), SPACING, 2, 0.0)
    middles = true.centres + np.divide(SPACING, 2)

    def candidates(volume, ratio, parameters, network):
        """Return two nuclei that are there, and one of a heat of 0.42 that is not."""
        centres = np.concatenate([middles, [[18.0, 17.0, 2.0]]])
        coefficients = true.coefficients[[0, 1, 0]]
        return Candidates(np.array([0.9, 0.6, 0.42], np.float32), centres, coefficients)

    monkeypatch.setitem(TRAINING.tune.__func__.__globals__, "candidates", candidates)
    card = trained(TRAINING, settings, folder)
    assert read_card(card).parameters["threshold"] == 0.45
    assert [*read_card(card).scores.values()] == [{"F1": 1.0}]


FITTED = "change the shapes of objects, which are fitted once"


@pytest.mark.parametrize(
    "patches, message",
    [
        ({"cut": True}, FITTED),
        ({"augment": {"queue": ["noise", "stretch"]}}, FITTED),
        ({"shape": (16, 24, 24)}, r"expected 24 or more, found \(16, 24, 24\)$"),
    ],
)
def test_other_shapes_and_small_patches_are_refused(patches, message):
    refused(message, short, "harmonicnet", patches=patches)


def test_volumes_of_two_voxel_sizes_are_refused(settings, tmp_path):
    (case,) = TRAINING.load(simulated_folder(tmp_path, 1), "images", settings)
    refused(
        r"expected voxels of about \[2.0, 0.8, 0.8\] µm.* found",
        TRAINING.measure,
        {"images": [case, case, replace(case, spacing=(4.0, 0.8, 0.8))]},
        settings,
    )


@pytest.fixture
def case(tmp_path):
    (files,) = find_cases(simulated_folder(tmp_path, 1))
    return load_case(files, SHAPE)


@pytest.fixture(scope="module")
def labels():
    """Return an object without any symmetry."""
    z, y, x = np.indices((20, 31, 31)) - np.reshape([9, 12, 14], (3, 1, 1, 1))
    inside = ((z / 6) ** 2 + (y / 9) ** 2 + (x / 7) ** 2 < 1) & ~((x > 2) & (y > z))
    inside |= (abs(z - 4) < 3) & (abs(y + 3) < 5) & (abs(x + 4) < 6)
    return inside.astype(np.uint16)


@pytest.mark.parametrize("turn", TURNS)
def test_coefficients_turn_as_the_image(labels, turn):
    spacing = (1.5, 0.5, 0.5)
    (original,), (expected,) = (
        fit(np.ascontiguousarray(image), spacing, 4, 0.006).coefficients
        for image in (labels, turned(labels, turn))
    )
    matrix = turning(turn, original.size)
    assert (np.abs(matrix).sum(0) == 1).all()
    assert (np.abs(matrix).sum(1) == 1).all()
    assert_allclose(matrix @ original, expected, atol=0.02)


def test_heat_falls_with_the_distance_in_mean_radii(labels):
    spacing = (1.5, 0.5, 0.5)
    fitted = fit(labels, spacing, 3, 0.006)
    heat = centre_heat(labels, spacing, fitted)
    assert not heat[labels == 0].any()
    width = fitted.coefficients[0, 0] / SPHERE / 2
    place = (9, 10, 15)
    away = np.linalg.norm(np.multiply(place, spacing) - fitted.centres[0])
    assert heat[place] == pytest.approx(np.exp(-(away**2) / (2 * width**2)), rel=1e-4)


def test_a_case_keeps_the_shapes_of_its_outlined_objects(case):
    result = shaped(case, 2, 0.006, 0.4)
    assert_array_equal(result.labels, outlined(case, 0.4))
    assert 0 < np.count_nonzero(result.labels) < np.count_nonzero(case.labels)
    expected = fit(result.labels[tuple(map(slice, case.unpadded))], SPACING, 2, 0.006).coefficients
    assert_array_equal(result.coefficients, np.concatenate([np.zeros((1, 9)), expected]))
    assert result.shares.shape == (1, *case.shape)
    assert result.shares.max() == pytest.approx(SHARE_UNIT, rel=0.2)


def test_a_batch_gathers_the_coefficients_of_each_hot_voxel(case):
    one = shaped(case, 1, 0.006, 0.4)
    none = replace(one, coefficients=one.coefficients[:2])
    whole = np.stack([one.level / 255, one.shares[0] / 255, one.labels]).astype(np.float32)
    only = whole * (one.labels == 1)
    turn = Turn((True, False, True), True)
    image = np.zeros((1, *SHAPE), np.float32)
    drawn = [DrawnPatch(none, image, only, TURNS[0])]
    drawn += [DrawnPatch(one, image, np.stack([turned(a, turn) for a in whole]), turn)]
    batch = batch_of(drawn, 2.0)
    assert batch["image"].shape == (2, 8, *(n // 2 for n in SHAPE))
    assert batch["heat"].shape == batch["rows"].shape == (2, 8, 12, 12)
    assert batch["table"].shape == (2, 3, 4)
    assert batch["heat"][0, 2, 3, 3] == pytest.approx(whole[1, 4:6, 6:8, 6:8].mean(), rel=1e-5)
    assert_array_equal(batch["heat"] > 0, batch["rows"] > 0)
    gathered = [table[rows] for table, rows in zip(batch["table"], batch["rows"], strict=True)]
    assert_array_equal(gathered[0][2, 3, 3], one.coefficients[1] / 2)
    assert not gathered[0][0, 0, 0].any()
    # Mirrored along z and x, then y and x exchanged: the second nucleus at y 16, x 15 of 24.
    place = (8 - 1 - 2, (24 - 1 - 15) // 2, 16 // 2)
    assert_allclose(gathered[1][place], turning(turn, 4) @ one.coefficients[2] / 2, rtol=1e-6)
