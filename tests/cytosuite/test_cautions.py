"""Doubts about the choice of a model: one line each, and none about a good one."""

from math import log

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cytosuite.cautions import cautions
from cytosuite.manifest import ModelCard, SelectPolicy
from cytosuite.select import describe, select
from cytosuite.volume import Volume

POLICY = SelectPolicy(channel="must", study=4.0, spacing=1.0, missing=1.0)
GENERAL = SelectPolicy(channel="must", study=4.0, spacing=1.0, missing=0.5, general=2.0)
sizes = st.tuples(*[st.floats(0.05, 5.0)] * 3)


def _card(name, scores=None, baselines=None, **describes):
    return ModelCard(
        name=name,
        version="0.1.0",
        algorithm="net",
        task="segment",
        description="d",
        authors="a",
        license="MIT",
        describes=describes,
        scores={"other images": scores or {"SEG": 0.7}},
        baselines=baselines or {},
    )


def _volume(spacing=(2.0, 0.5, 0.5), **metadata):
    shape, axes = ((2, 3, 4), "ZYX") if len(spacing) == 3 else ((3, 4), "YX")
    return Volume(np.zeros(shape), spacing, axes, metadata)


def _doubts(volume, *cards, policy=POLICY):
    return cautions(select(cards, describe(volume), policy), volume)


def _cautions(volume, **describes):
    return _doubts(volume, _card("mine", **describes))


def test_a_good_choice_needs_no_caution():
    assert _cautions(_volume(channel="nucleus"), channel="nucleus", spacing=(1.0, 1.0, 0.3)) == []
    assert _cautions(_volume()) == []
    assert cautions(select([_card("a")], {}, POLICY), None) == []


def test_each_doubt_about_a_choice_is_one_line():
    (line,) = _cautions(_volume(channel="actin"), channel="nucleus")
    assert line == "model does not fit: channel is 'actin', mine was made for 'nucleus'"
    (line,) = _cautions(_volume(), channel="nucleus")
    assert line == "channel assumed: nucleus, not given by the file"
    guessed = _volume((1.0, 1.0), spacing_source="assumed")
    (line,) = _cautions(guessed, spacing=(0.1, 0.1))
    assert line == "voxel size assumed: 1 x 1 µm, not given by the file"
    (line,) = _cautions(_volume(), spacing=(2.0, 1.01, 0.5))
    assert line == (
        "voxel size far from the model's: 2 x 0.5 x 0.5 µm, up to 2.02 times smaller than "
        "2 x 1.01 x 0.5 µm of mine"
    )
    assert "up to 5 times larger" in _cautions(_volume(), spacing=(0.1, 0.1))[0]


@given(sizes, sizes)
def test_a_caution_on_voxel_sizes_comes_beyond_a_factor_of_two(image, card):
    worst = max(max(a / b, b / a) for a, b in zip(image, card, strict=True))
    assume(abs(worst - 2) > 1e-9)
    assert bool(_cautions(_volume(image), spacing=card)) == (worst > 2)


def test_an_impossible_voxel_size_of_a_card_is_far():
    (line,) = _cautions(_volume(), spacing=(0.0, 0.5, 0.5))
    assert "up to inf times larger than 0 x 0.5 x 0.5 µm of mine" in line


def test_a_card_that_is_named_though_it_beat_nothing_is_a_doubt():
    policy = SelectPolicy(score="N_SSIM")
    simple = {"gaussian": {"N_SSIM": 0.03}}
    worse = _card("worse", {"N_SSIM": 0.01}, simple)
    (line,) = _doubts(_volume(), worse, policy=policy)
    assert line == "model not proven: worse: did not beat gaussian: N_SSIM 0.01 <= 0.03"
    (line,) = _doubts(_volume(), _card("mute", {"SEG": 1.0}, simple), policy=policy)
    assert line == "model not proven: mute: no score by N_SSIM to hold against gaussian"
    assert _doubts(_volume(), _card("better", {"N_SSIM": 0.1}, simple), policy=policy) == []
    mine = _card("mine").model_copy(update={"scores": {}})  # a user's own, just trained
    assert _doubts(_volume(), mine, policy=policy) == []
    assert _doubts(_volume(), worse, _card("plain"), policy=policy) == []  # it is not taken


OWN = _card("own", channel="x", spacing=(1.0, 1.0, 1.0))
ANY = _card("any")


def test_a_card_for_any_image_is_a_doubt_where_those_for_some_are_far():
    image = _volume((1.0, 1.0, 1.0), channel="x")
    assert _doubts(image, OWN, ANY, policy=GENERAL) == []
    (line,) = _doubts(_volume((9.0, 9.0, 9.0), channel="x"), OWN, ANY, policy=GENERAL)
    assert line == (
        "no model near: any serves any channel, spacing, at a cost of 4; the nearest other is own, "
        f"{3 * log(9):.3g}"
    )


def test_a_card_for_any_image_is_a_doubt_where_those_for_some_do_not_pass():
    image = _volume((1.0, 1.0, 1.0), channel="actin")
    (line,) = _doubts(image, OWN, ANY, policy=GENERAL)
    assert line == "no model for channel: none was made for 'actin', any serves any"


def test_a_card_for_any_image_is_no_doubt_where_there_is_no_other():
    image = _volume((9.0, 9.0, 9.0), channel="x")
    assert _doubts(image, ANY, policy=GENERAL) == []
    assert _doubts(image, ANY, _card("general"), policy=GENERAL) == []
    worse = _card("worse", {"N_SSIM": 0.0}, {"any": {"N_SSIM": 0.0}}, channel="x")
    policy = GENERAL.model_copy(update={"score": "N_SSIM"})
    assert _doubts(image, worse, ANY, policy=policy) == []


SETS = [
    _card("one", study=1, spacing=(1.0, 0.2, 0.2)),
    _card("two", study=2, spacing=(1.0, 0.2, 0.2)),
    _card("three", study=3, spacing=(1.0, 0.4, 0.4)),
]
FINE, COARSE, OTHER = (1.0, 0.2, 0.2), (1.0, 0.4, 0.4), (3.0, 0.3, 0.3)


@pytest.mark.parametrize(
    ("study", "spacing"),
    [(1, FINE), (2, FINE), (3, COARSE), (3, (1.1, 0.36, 0.4)), (6, FINE), (3, OTHER), (None, FINE)],
)
def test_facts_that_one_card_or_none_has_are_no_contradiction(study, spacing):
    facts = {} if study is None else {"study": study}
    lines = _doubts(_volume(spacing, **facts), *SETS)
    assert not [line for line in lines if "contradictory" in line]


@pytest.mark.parametrize(
    ("study", "spacing", "own", "other"),
    [(3, FINE, "three", "one"), ("study 3", FINE, "three", "one"), (2, COARSE, "two", "three")],
)
def test_facts_of_different_cards_are_a_contradiction(study, spacing, own, other):
    (line,) = _doubts(_volume(spacing, study=study), *SETS)
    size = " x ".join(f"{edge:g}" for edge in spacing)
    assert line == (
        f"study and voxel size contradictory: {study} is that of {own}, {size} µm that of {other}; "
        f"{own} was used"
    )


def test_a_contradiction_is_one_whichever_fact_wins():
    by_size = POLICY.model_copy(update={"spacing": 9.0})
    (line,) = _doubts(_volume(FINE, study=3), *SETS, policy=by_size)
    assert line.endswith("; one was used")


def test_another_channel_has_no_say_in_a_contradiction():
    cards = [_card("x-three", channel="x", study=3, spacing=COARSE)]
    cards += [_card("y-one", channel="y", study=1, spacing=FINE)]
    lines = _doubts(_volume(FINE, study=3, channel="x"), *cards)
    assert lines == []
