from math import isnan, nan

import numpy as np
import pytest
import torch
from known import facts

from cytosuite.contract.manifest import read_card
from cytosuite.training.validate import least_gain

SCORED = {"every": 6, "metric": "SSIM", "also": ("PSNR",), "cases": 1}
BY_SSIM, BY_N_SSIM = (f'[select]\nscore = "{name}"\n' for name in ("SSIM", "N_SSIM"))
TRUTH = np.random.default_rng(0).random((12, 12))


def _judged(noise):
    """Return facts about a prediction with some noise; NaN: of an input that is the truth."""
    rng = np.random.default_rng(1)
    image = TRUTH + 0.2 * rng.standard_normal(TRUTH.shape) * (not isnan(noise))
    prediction = TRUTH + np.nan_to_num(noise) * rng.standard_normal(TRUTH.shape)
    return [facts(truth=TRUTH, prediction=prediction, image=image, data_range=1.0)]


@pytest.fixture
def scored(toy, settings, tmp_path):
    """Return a function that trains the toy with scores and baselines of given noise, itself of 0.1."""

    def scored(simpler, validation=SCORED):
        manifest = tmp_path / "algorithms/toy/algorithm.toml"
        manifest.write_text(manifest.read_text() + BY_SSIM)
        training = toy.altered(
            validate=lambda *_: _judged(0.1),
            baselines=lambda *_: ((name, _judged(noise)) for name, noise in simpler.items()),
        )
        return read_card(toy(settings(validation), training=training))

    return scored


def test_baselines_have_the_metrics_of_the_scores(scored):
    card = scored({"identity": 0.2, "gaussian": 0.3})
    (scores,) = card.scores.values()
    assert list(card.baselines) == ["identity", "gaussian"]
    for baseline in card.baselines.values():
        assert set(baseline) == set(scores) == {"SSIM", "PSNR"}
        assert baseline["SSIM"] < scores["SSIM"]
        assert baseline == {name: round(value, 4) for name, value in baseline.items()}
    assert card.description == "A toy."


@pytest.mark.parametrize(
    "simpler, named",
    [
        ({"identity": 0.1}, "identity"),  # as good is not better
        ({"identity": 0.05, "gaussian": 0.0}, "identity and gaussian"),
    ],
)
def test_the_card_names_the_methods_that_a_model_did_not_beat(scored, simpler, named):
    assert scored(simpler).description == (
        f"A toy. Did not beat {named} on its held-out images: used only by name."
    )


def test_the_metric_of_the_choice_counts_and_not_that_of_the_weights(scored):
    validation = {**SCORED, "metric": "NRMSE"}  # lower is better
    card = scored({"identity": 0.05}, validation={**validation, "also": ("SSIM",)})
    assert "Did not beat identity" in card.description


@pytest.mark.parametrize("cases, adopted", [(6, True), (5, False)])
def test_a_model_is_adopted_by_a_margin_on_six_held_out_images(toy, settings, cases, adopted):
    # Both are scored on the same held-out cases; without a parent the user puts it in use.

    def validate(state, held, settings):
        with torch.inference_mode():
            output = float(state.average(torch.full((1, 1, 12, 12), 0.2)).mean())
        for number in range(cases):
            yield facts(truth=TRUTH + 1.5 + number / 50, prediction=TRUTH + output, data_range=1.0)

    training = toy.altered(validate=validate)
    lines = []
    validation = {"every": 30, "metric": "NRMSE", "cases": 1}  # lower is better
    parent = toy(settings(validation, steps=6), training=training, say=lines.append)
    assert not read_card(parent).adopted
    assert lines[-1] == "used only by its name, --model m, until `cytosuite model use toy:m`"
    same = toy(settings(validation, steps=1, learning_rate=1e-12), "same", training, parent=parent)
    better = toy(settings(validation, steps=60), "better", training, parent=parent)
    for path, above in ((same, False), (better, adopted)):
        card = read_card(path)
        (scores,) = card.scores.values()
        former = card.trained["parent"]
        assert former["cases"] == cases
        assert card.adopted is above
        assert ("Did not beat m on" in card.description) is (cases >= 6 and not above)
        few = f"NRMSE gave {cases} scores of held-out images; to be above m needs 6: used only by name."
        assert card.description.endswith(few) is (cases < 6)
    assert scores["NRMSE"] < former["scores"]["NRMSE"]


@pytest.mark.parametrize(
    "gains, above",
    [
        ([0.1] * 5, False),  # too few
        ([0.1] * 6, True),
        ([0.3, -0.1, 0.2, -0.1, 0.1, 0.0], False),  # a mean above, by chance
        ([0.1, 0.1, 0.1, 0.1, 0.1, nan], False),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_gain_that_may_be_chance_is_none(gains, above, sign):
    assert (
        least_gain([0.5 + sign * gain for gain in gains], [0.5] * len(gains), sign) > 0
    ) is above
