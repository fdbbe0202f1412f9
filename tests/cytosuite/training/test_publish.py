from dataclasses import replace
from math import isnan

import numpy as np
import pytest

from cytosuite.contract.manifest import read_card
from cytosuite.metrics.evidence import Facts

SCORED = {"every": 6, "metric": "SSIM", "also": ("PSNR",), "cases": 1}
BY_SSIM, BY_N_SSIM = (f'[select]\nscore = "{name}"\n' for name in ("SSIM", "N_SSIM"))
TRUTH = np.random.default_rng(0).random((12, 12))


def _judged(noise):
    """Return facts about a prediction with some noise; NaN: of an input that is the truth."""
    rng = np.random.default_rng(1)
    image = TRUTH + 0.2 * rng.standard_normal(TRUTH.shape) * (not isnan(noise))
    prediction = TRUTH + np.nan_to_num(noise) * rng.standard_normal(TRUTH.shape)
    known = {"truth": TRUTH, "prediction": prediction, "image": image, "data_range": 1.0}
    return [Facts({name: (lambda value=value: value) for name, value in known.items()})]


@pytest.fixture
def scored(toy, settings, tmp_path):
    """Return a function that trains the toy with scores and baselines of given noise."""

    def scored(own, simpler, select=BY_SSIM, validation=SCORED):
        manifest = tmp_path / "algorithms" / "toy" / "algorithm.toml"
        manifest.write_text(manifest.read_text() + select)
        training = replace(
            toy.training,
            validate=lambda *_: _judged(own),
            baselines=lambda *_: ((name, _judged(noise)) for name, noise in simpler.items()),
        )
        return read_card(toy(settings(validation), training=training))

    return scored


def test_baselines_have_the_metrics_of_the_scores(scored):
    card = scored(0.1, {"identity": 0.2, "gaussian": 0.3})
    (scores,) = card.scores.values()
    assert list(card.baselines) == ["identity", "gaussian"]
    for found in card.baselines.values():
        assert set(found) == set(scores) == {"SSIM", "PSNR"}
        assert found["SSIM"] < scores["SSIM"]
        assert found == {name: round(value, 4) for name, value in found.items()}
    assert card.description == "A toy."


@pytest.mark.parametrize(
    ("simpler", "named"),
    [
        ({"identity": 0.1}, "identity"),  # as good is not better
        ({"identity": 0.05, "gaussian": 0.0}, "identity and gaussian"),
    ],
)
def test_the_card_names_the_methods_that_a_model_did_not_beat(scored, simpler, named):
    card = scored(0.1, simpler)
    assert card.description == (
        f"A toy. Did not beat {named} on its held-out images: used only by name."
    )


def test_the_metric_of_the_choice_counts_and_not_that_of_the_weights(scored):
    validation = {**SCORED, "metric": "NRMSE"}  # lower is better
    card = scored(0.1, {"identity": 0.05}, validation={**validation, "also": ("SSIM",)})
    assert "Did not beat identity" in card.description


W1 = {"every": 30, "metric": "W1", "cases": 1}  # lower is better


def test_a_model_is_chosen_by_itself_once_it_is_above_its_parent(toy, settings):
    """Both are scored on the same held-out cases; without a parent the user adopts it."""
    lines = []
    parent = toy(settings(W1, steps=6), say=lines.append)
    assert not read_card(parent).adopted
    assert lines[-1] == f"used only by its name, --model m, until `cytosuite model adopt {parent}`"
    same = toy(settings(W1, steps=1, learning_rate=1e-12), "same", parent=parent)
    better = toy(settings(W1, steps=60), "better", parent=parent)
    for path, above in ((same, False), (better, True)):
        card = read_card(path)
        (own,) = card.scores.values()
        theirs = card.trained["parent"]["scores"]
        assert (card.adopted, own["W1"] < theirs["W1"]) == (above, above)
        assert ("Did not beat m on its held-out images" in card.description) is not above
