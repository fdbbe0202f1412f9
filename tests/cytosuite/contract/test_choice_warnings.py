"""Warnings on the choice of a model: one line each, and none about a good one."""

import cards
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rasters import away_from

from cytosuite.contract.choice_warnings import choice_warnings, stretched
from cytosuite.contract.manifest import SelectPolicy
from cytosuite.contract.select import describe, select
from cytosuite.volume import Volume

POLICY = SelectPolicy(channel="must", study=4.0, spacing=1.0, missing=1.0)
sizes = st.tuples(*[st.floats(0.05, 5.0)] * 3)


def _card(name, scores=None, baselines=None, **describes):
    return cards.card(
        name=name,
        describes=describes,
        scores={"other images": scores or {"SEG": 0.7}},
        baselines=baselines or {},
    )


def _volume(spacing=(2.0, 0.5, 0.5), **metadata):
    shape, axes = ((2, 3, 4), "ZYX") if len(spacing) == 3 else ((3, 4), "YX")
    return Volume(np.zeros(shape), spacing, axes, metadata)


def _doubts(volume, *cards, policy=POLICY):
    return [*choice_warnings(select(cards, describe(volume), policy), volume, describe(volume))]


def _warnings(volume, **describes):
    return _doubts(volume, _card("mine", **describes))


@given(sizes, sizes)
def test_a_caution_on_voxel_sizes_comes_beyond_a_factor_of_two(image, card):
    worst = max(max(a / b, b / a) for a, b in zip(image, card, strict=True))
    assume(abs(worst - 2) > 1e-9)
    assert bool(_warnings(_volume(image), spacing=card)) == (worst > 2)


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


SETS = [
    _card("one", study=1, spacing=(1.0, 0.2, 0.2)),
    _card("two", study=2, spacing=(1.0, 0.2, 0.2)),
    _card("three", study=3, spacing=(1.0, 0.4, 0.4)),
]
FINE, COARSE, OTHER = (1.0, 0.2, 0.2), (1.0, 0.4, 0.4), (3.0, 0.3, 0.3)


@pytest.mark.parametrize(
    "study, spacing",
    [(1, FINE), (2, FINE), (3, COARSE), (3, (1.1, 0.36, 0.4)), (6, FINE), (3, OTHER), (None, FINE)],
)
def test_facts_that_one_card_or_none_has_are_no_contradiction(study, spacing):
    facts = {} if study is None else {"study": study}
    for several in (SETS, [*SETS, _card("mine", spacing=OTHER)]):
        assert "contradictory" not in "".join(_doubts(_volume(spacing, **facts), *several))


@pytest.mark.parametrize(
    "study, spacing, used, other",
    [(3, FINE, "three", "one"), ("study 3", FINE, "three", "one"), (2, COARSE, "two", "three")],
)
def test_facts_of_different_cards_are_a_contradiction(study, spacing, used, other):
    (line,) = _doubts(_volume(spacing, study=study), *SETS)
    size = " x ".join(f"{edge:g}" for edge in spacing)
    assert line == (
        f"study and voxel size contradictory: {study} is that of {used}, {size} µm that of {other}; "
        f"{used} was used"
    )


def test_each_doubt_about_a_choice_is_one_line():
    (line,) = _warnings(_volume(channel="actin"), channel="nucleus")
    assert line == "model does not fit: channel is 'actin', mine was made for 'nucleus'"
    (line,) = _warnings(_volume(), channel="nucleus")
    assert line == "channel assumed: nucleus, not given by the file"
    (line,) = _warnings(_volume((1.0, 1.0), spacing_source="assumed"), spacing=(0.1, 0.1))
    assert line == (
        "voxel size assumed: 1 x 1 µm, not given by the file (--spacing z,y,x or "
        "acquisition-metadata.json overrides)"
    )
    (line,) = _warnings(_volume(), spacing=(2.0, 1.01, 0.5))
    assert line == (
        "voxel size far from the model's: 2 x 0.5 x 0.5 µm, up to 2.02 times smaller than "
        "2 x 1.01 x 0.5 µm of mine"
    )
    assert "up to 5 times larger" in _warnings(_volume(), spacing=(0.1, 0.1))[0]


def _labels(radii, spacing=(1.0, 1.0, 1.0)):
    one = away_from((12, 15, 15), (24, 30, 30), np.divide(1, radii)) < 1
    return Volume(np.kron(7 * np.arange(1, 10).reshape(1, 3, 3), one), spacing)


@pytest.mark.parametrize("radii", [(6, 6, 6), (3, 8, 8), (11, 5, 5), (6, 7, 6)])
def test_objects_as_long_along_y_as_along_x_are_not_told(radii):
    assert stretched(_labels(radii)) == ""


def test_swapped_axes_are_told():
    right = _labels((4, 8, 8), spacing=(2.0, 1.0, 1.0))
    assert stretched(right) == ""
    swapped = Volume(right.array.transpose(2, 1, 0), right.spacing)
    told = "objects odd: 2.1 times as long along y as along x; check the order"
    assert stretched(swapped).startswith(told)


def test_few_objects_and_those_cut_by_the_border_are_not_told():
    labels = _labels((3, 10, 5)).array[12].copy()
    assert stretched(Volume(labels, (1.0, 1.0), "YX")) != ""
    labels[labels > 7 * 7] = 0
    assert stretched(Volume(labels, (1.0, 1.0), "YX")) == ""
    bars = np.repeat(np.arange(1, 31, dtype=np.uint16), 3)[None].repeat(80, axis=0)
    assert stretched(Volume(bars, (1.0, 1.0), "YX")) == ""


def test_the_pixels_size_counts():
    assert stretched(_labels((6, 5, 10), spacing=(1.0, 1.0, 0.5))) == ""
    assert stretched(_labels((6, 8, 8), spacing=(1.0, 1.0, 0.5))).startswith(
        "objects odd: 2 times as long along y as along x"
    )
