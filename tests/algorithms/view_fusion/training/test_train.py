import numpy as np
import pytest
from scipy import ndimage
from sketches import SPACING, volume
from training_data import merged
from trainings import short
from view_pairs import SHAPE, dataset, published

from cytosuite.algorithms.view_fusion.training.train import TRAINING
from cytosuite.formats import read, write
from cytosuite.training.loop import begin, take_step
from cytosuite.training.validate import score, wanted_metrics


def _settings(**changes):
    """Return settings of a network with maps, for images in folders of any depth."""
    network = {"inputs": ["distance", "light"]}
    return short("view_fusion", files={"recursive": True}, **merged({"network": network}, changes))


def _cases(folder, settings):
    return {"pairs": TRAINING.load(folder, "pairs", settings)}


def test_the_first_loss_is_that_of_the_view_itself(tmp_path):
    settings = _settings(loss={"kind": "n_ssim", "similarity": 1})
    cases = _cases(dataset(tmp_path), settings)
    state = begin(TRAINING, settings, None, "cpu")
    drawn = TRAINING.batch(cases, settings, 0)
    losses = take_step(TRAINING, settings, state, drawn)
    apart = np.abs(drawn["image"][:, :1] - drawn["target"]).mean()
    assert losses["similarity"].item() == pytest.approx(1, abs=1e-4)
    assert losses["total"].item() == pytest.approx(1 + apart, rel=1e-3)


def test_the_card_describes_the_views(tmp_path):
    settings = _settings()
    cases = _cases(dataset(tmp_path), settings)
    assert TRAINING.describe(cases, settings) == {
        "axes": "ZYX",
        "shape": list(SHAPE),
        "spacing": list(SPACING),
        "channel": "nucleus",
        "study": 3,
    }
    assert TRAINING.measure(cases, settings) == {"method": "network"}
    assert TRAINING.notes(cases, settings) == []


def test_what_the_files_do_not_give_is_said(tmp_path):
    settings = _settings()
    cases = _cases(published(tmp_path / "h5"), settings)
    unread = "data/light_map, data/surface_distance not read: maps are made of the image"
    assert TRAINING.notes(cases, settings) == [
        "3 of 3 views give no voxel size [µm]: card.describes.spacing sets it",
        f"3 of 3 views: {unread}",
    ]
    assert "spacing" not in TRAINING.describe(cases, settings)
    told = _settings(card={"describes": {"spacing": SPACING}})
    assert TRAINING.notes(cases, told) == [f"3 of 3 views: {unread}"]
    assert _cases(tmp_path / "h5", told)["pairs"][0].maps[0].stride == (1, 2, 2)
    assert cases["pairs"][0].maps[0].stride == (1, 1, 1)
    for role in ("angle", "fused"):
        write(tmp_path / f"tif/a_{role}.tif", volume(np.ones(SHAPE, np.uint16)))
    both = [*cases["pairs"], *_cases(tmp_path / "tif", settings)["pairs"]]
    assert TRAINING.notes({"pairs": both}, settings)[1] == (
        "1 of 4 views give no channel: card.describes.channel sets it"
    )


NAMES = ("N_SSIM", "SSIM", "PSNR", "NRMSE")


def _judged(**crops):
    """Return settings of a validation by all metrics, of any answer."""
    validation = {"every": 1, "cases": 1, "metric": NAMES[0], "also": NAMES[1:]}
    card = {"parameters": {"method": "network", "least_agreement": -1.0}}
    return short("view_fusion", crops=crops, validation=validation, card=card)


def _validated(held, settings):
    """Return facts by a new network, which changes nothing."""
    return TRAINING.validate(begin(TRAINING, settings, None, "cpu"), held, settings)


def _scores(facts, settings):
    return score(wanted_metrics(settings.validation), facts)


def test_a_new_network_scores_as_the_view_itself(tmp_path):
    settings = _judged()
    held = _cases(dataset(tmp_path, 2), settings)
    scores = _scores(_validated(held, settings), settings)
    methods = {name: _scores(facts, settings) for name, facts in TRAINING.baselines(held, settings)}
    assert list(methods) == ["identity", "gaussian"]
    assert methods["identity"]["N_SSIM"] == 0
    assert scores == pytest.approx(methods["identity"], abs=1e-5)
    assert 0.2 < scores["SSIM"] < 0.98
    assert methods["gaussian"]["N_SSIM"] > 0.01  # the views are noisy
    assert scores["NRMSE"] < 1


def test_the_middle_of_a_large_image_is_judged(tmp_path):
    settings = _judged(shown=(8, 24, 16))
    held = _cases(dataset(tmp_path, 2), settings)
    (facts, _, _) = _validated(held, settings)
    view = read(held["pairs"][0].path).array
    np.testing.assert_array_equal(facts.get("image"), view[3:11, 8:32, 10:26])
    assert facts.get("prediction").shape == facts.get("truth").shape == (8, 24, 16)
    assert TRAINING.real(held, _judged())[0].shape == SHAPE


@pytest.mark.parametrize("channel", ["membrane", "other"])
def test_the_gaussian_is_that_of_the_channel(channel, tmp_path):
    settings = _judged()
    held = _cases(dataset(tmp_path, 2, channel=channel), settings)
    (facts, _) = dict(TRAINING.baselines(held, settings))["gaussian"]
    sigma = {"membrane": 0.5}.get(channel, 0.442)
    expected = ndimage.gaussian_filter(facts.get("image").astype(float), sigma)
    np.testing.assert_allclose(facts.get("prediction"), expected, atol=1)
