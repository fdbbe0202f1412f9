import numpy as np
import pytest
from scipy import ndimage
from trainings import short
from view_pairs import SHAPE, dataset

from cytosuite.algorithms.view_fusion.training.train import TRAINING
from cytosuite.formats import read
from cytosuite.training.loop import begin
from cytosuite.training.validate import score, wanted_metrics

NAMES = ("N_SSIM", "SSIM", "PSNR", "NRMSE")


def _settings(**crops):
    validation = {"every": 1, "cases": 1, "metric": NAMES[0], "also": NAMES[1:]}
    card = {"parameters": {"method": "network", "least_agreement": -1.0}}
    return short("view_fusion", crops=crops, validation=validation, card=card)


def _held(folder, settings, **metadata):
    return {"pairs": TRAINING.load(dataset(folder, 2, **metadata), "pairs", settings)}


def _validated(held, settings):
    """Return facts by a new network, which changes nothing."""
    return TRAINING.validate(begin(TRAINING, settings, None, "cpu"), held, settings)


def _scores(facts, settings):
    return score(wanted_metrics(settings.validation), facts)


def test_a_new_network_scores_as_the_view_itself(tmp_path):
    settings = _settings()
    held = _held(tmp_path, settings)
    found = _scores(_validated(held, settings), settings)
    methods = {name: _scores(facts, settings) for name, facts in TRAINING.baselines(held, settings)}
    assert list(methods) == ["identity", "gaussian"]
    assert methods["identity"]["N_SSIM"] == 0
    assert found == pytest.approx(methods["identity"], abs=1e-5)
    assert 0.2 < found["SSIM"] < 0.98
    assert methods["gaussian"]["N_SSIM"] > 0.01  # the views are noisy
    assert found["NRMSE"] < 1


def test_the_middle_of_a_large_image_is_judged(tmp_path):
    settings = _settings(shown=(8, 24, 16))
    held = _held(tmp_path, settings)
    (facts, _, _) = _validated(held, settings)
    view = read(held["pairs"][0].path).array
    np.testing.assert_array_equal(facts.get("image"), view[3:11, 8:32, 10:26])
    assert facts.get("prediction").shape == facts.get("truth").shape == (8, 24, 16)
    assert TRAINING.real(held, _settings())[0].shape == SHAPE


@pytest.mark.parametrize("channel", ["membrane", "other"])
def test_the_gaussian_is_that_of_the_channel(channel, tmp_path):
    settings = _settings()
    held = _held(tmp_path, settings, channel=channel)
    (facts, _) = dict(TRAINING.baselines(held, settings))["gaussian"]
    sigma = {"membrane": 0.5}.get(channel, 0.442)
    expected = ndimage.gaussian_filter(facts.get("image").astype(float), sigma)
    np.testing.assert_allclose(facts.get("prediction"), expected, atol=1)
