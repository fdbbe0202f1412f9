import numpy as np
import pytest
import torch
from restorers import TINY, random_network
from scipy import ndimage
from view_pairs import SHAPE, dataset

from cytosuite.algorithms.view_fusion.intensity import to_network, units_of
from cytosuite.algorithms.view_fusion.predict import predict
from cytosuite.algorithms.view_fusion.training.train import (
    TRAINING,
    Settings,
    baselines,
    load,
    middle,
    restored,
    validate,
)
from cytosuite.contract.manifest import ModelCard, read_card
from cytosuite.contract.tasks import VIEW
from cytosuite.contract.weights import Model
from cytosuite.formats import read
from cytosuite.training.loop import begin
from cytosuite.training.publish import ALGORITHMS
from cytosuite.training.validate import score, wanted_metrics

NAMES = ("N_SSIM", "SSIM", "PSNR", "NRMSE")


def _settings(shown=(64, 256, 256), **given):
    network = TINY.model_copy(update={"inputs": ("distance",)}).model_dump()
    validation = {"every": 1, "cases": 1, "metric": NAMES[0], "also": NAMES[1:]}
    return Settings.model_validate(
        {
            "network": network,
            "crops": {"shape": (8, 16, 16), "shown": shown},
            "validation": validation,
            **given,
        }
    )


def _held(folder, settings, **metadata):
    return {"pairs": load(dataset(folder, 2, **metadata), "pairs", settings)}


def _state(settings, seed=None):
    """Return a state of a new network, which changes nothing, or of one that does."""
    state = begin(TRAINING, settings, None, "cpu")
    if seed is not None:
        state.average = random_network(settings.network, seed)
    return state


def _scores(facts, settings):
    return score(wanted_metrics(settings.validation), facts)


def test_a_new_network_scores_as_the_view_itself(tmp_path):
    settings = _settings()
    held = _held(tmp_path, settings)
    found = _scores(validate(_state(settings), held, settings), settings)
    methods = {name: _scores(facts, settings) for name, facts in baselines(held, settings)}
    assert list(methods) == ["identity", "gaussian"]
    assert methods["identity"]["N_SSIM"] == 0
    assert found == pytest.approx(methods["identity"], abs=1e-5)
    assert 0.2 < found["SSIM"] < 0.98
    assert methods["gaussian"]["N_SSIM"] > 0.01  # the views are noisy
    assert found["NRMSE"] < 1


def test_the_answer_is_that_of_the_published_model(tmp_path, monkeypatch):
    settings = _settings()
    item = _held(tmp_path, settings)["pairs"][0]
    state = _state(settings, seed=3)
    whole = tuple(slice(n) for n in SHAPE)
    found = restored(state, settings, item, whole)
    card = ModelCard.model_validate(
        read_card(ALGORITHMS.parents[0] / "weights" / "view_fusion" / "identity.json").model_dump()
        | {
            "parameters": {
                "method": "network",
                "network": settings.network.model_dump(),
                "least_agreement": -1.0,
            }
        }
    )
    monkeypatch.setattr(
        "cytosuite.algorithms.view_fusion.predict.load_once", lambda *_: state.average
    )
    view = read(item.path)
    (made,) = predict({VIEW: view}, Model(card, None)).values()
    units = units_of(view.array)
    counts = np.clip(units.low + units.scale * found, 0, 65535)  # an image holds no other
    # Units are float16 in training, and a random network makes more of the difference.
    apart = np.abs(made.array - counts) / units.scale
    assert apart.mean() < 2e-3
    assert apart.max() < 0.05
    assert np.abs(found - to_network(view.array, units)).mean() > 0.1


def test_the_average_network_is_judged(tmp_path):
    settings = _settings()
    held = _held(tmp_path, settings)
    state = _state(settings)
    before = _scores(validate(state, held, settings), settings)
    for weight in state.modules["network"].parameters():
        torch.nn.init.ones_(weight)
    assert _scores(validate(state, held, settings), settings) == before
    state.average = random_network(settings.network)
    assert _scores(validate(state, held, settings), settings)["N_SSIM"] < before["N_SSIM"]


def test_the_middle_of_a_large_image_is_judged(tmp_path):
    settings = _settings(shown=(8, 24, 16))
    held = _held(tmp_path, settings)
    item = held["pairs"][0]
    assert middle(item, settings) == (slice(3, 11), slice(8, 32), slice(10, 26))
    (facts, _) = validate(_state(settings), held, settings)
    assert facts.get("prediction").shape == (8, 24, 16)
    whole = _settings()
    assert middle(item, whole) == tuple(slice(0, n) for n in SHAPE)


@pytest.mark.parametrize("channel", ["membrane", "other"])
def test_the_gaussian_is_that_of_the_channel(channel, tmp_path):
    settings = _settings()
    held = _held(tmp_path, settings, channel=channel)
    (facts, _) = dict(baselines(held, settings))["gaussian"]
    sigma = {"membrane": 0.5}.get(channel, 0.442)
    expected = ndimage.gaussian_filter(facts.get("image"), sigma)
    np.testing.assert_allclose(facts.get("prediction"), expected, atol=1e-5)
