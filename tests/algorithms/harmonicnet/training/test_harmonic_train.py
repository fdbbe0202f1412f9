from dataclasses import replace

import numpy as np
import pytest
from mistakes import refused
from training_data import SPACING, simulated_folder, trained

from cytosuite.algorithms.harmonicnet.candidates import Candidates
from cytosuite.algorithms.harmonicnet.network import load
from cytosuite.algorithms.harmonicnet.training.train import TRAINING, Settings, outlined
from cytosuite.bodies import fit
from cytosuite.contract.manifest import parse, read_card

TINY = {
    "network": {"order": 2, "features": 4},
    "schedule": {"steps": 2, "report": 1},
    "patches": {"shape": (24, 24, 24)},
}
VALIDATION = {"every": 2, "metric": "F1", "cases": 1}


@pytest.fixture
def settings():
    return parse("t.toml", TINY, Settings)


def test_a_training_measures_voxels_and_radius(settings, tmp_path):
    folder = simulated_folder(tmp_path / "data")
    card = trained(TRAINING, settings, folder)
    found = read_card(card)
    assert found.parameters["network"] == {"order": 2, "features": 4}
    assert found.parameters["spacing_um"] == list(SPACING)
    # The level falls to 0.38 at sqrt(2 ln(1 / 0.38)) deviations of 2 voxels of 2, 3 of 0.8 µm.
    expected = np.sqrt(2 * np.log(1 / 0.38)) * np.cbrt(4.0 * 2.4 * 2.4)
    assert found.parameters["radius_um"] == pytest.approx(expected, rel=0.05)
    assert load(found.parameters["network"], card.with_suffix(".safetensors")).core


def test_the_threshold_that_scores_best_goes_into_the_card(tmp_path, monkeypatch):
    settings = parse("t.toml", {**TINY, "validation": VALIDATION}, Settings)
    folder = simulated_folder(tmp_path / "data")
    true = fit(outlined(TRAINING.load(folder, "images", settings)[1], 0.38), SPACING, 2, 0.0)
    middles = true.centres + np.divide(SPACING, 2)

    def found(volume, ratio, parameters, network):
        """Return two nuclei that are there, and one of a heat of 0.42 that is not."""
        centres = np.concatenate([middles, [[18.0, 17.0, 2.0]]])
        coefficients = true.coefficients[[0, 1, 0]]
        return Candidates(np.array([0.9, 0.6, 0.42], np.float32), centres, coefficients)

    monkeypatch.setitem(TRAINING.tune.__func__.__globals__, "candidates", found)
    card = trained(TRAINING, settings, folder)
    assert read_card(card).parameters["threshold"] == 0.45
    assert [*read_card(card).scores.values()] == [{"F1": 1.0}]


FITTED = "change the shapes of objects, which are fitted once"


@pytest.mark.parametrize(
    ("patches", "message"),
    [
        ({"cut": True}, FITTED),
        ({"augment": {"queue": ["noise", "stretch"]}}, FITTED),
        ({"shape": (16, 24, 24)}, "expected 24 or more"),
    ],
)
def test_other_shapes_and_small_patches_are_refused(patches, message):
    own = {**TINY, "patches": TINY["patches"] | patches}
    refused(message, parse, "t.toml", own, Settings)


def test_volumes_of_two_voxel_sizes_are_refused(settings, tmp_path):

    (case,) = TRAINING.load(simulated_folder(tmp_path, 1), "images", settings)
    cases = [case, case, replace(case, spacing=(4.0, 0.8, 0.8))]
    refused(
        r"expected voxels of about \[2.0, 0.8, 0.8\] µm.* found",
        TRAINING.measure,
        {"images": cases},
        settings,
    )
