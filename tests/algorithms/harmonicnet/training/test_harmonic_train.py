from dataclasses import replace

import numpy as np
import pytest
from mistakes import refused
from training_data import SPACING, simulated_folder, trained
from trainings import short

from cytosuite.algorithms.harmonicnet.suppression import Candidates
from cytosuite.algorithms.harmonicnet.training.train import TRAINING, outlined
from cytosuite.bodies import fit
from cytosuite.contract.manifest import read_card


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
