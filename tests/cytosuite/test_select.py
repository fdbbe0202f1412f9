from math import log

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cytosuite.errors import ModelError
from cytosuite.manifest import ModelCard, SelectPolicy
from cytosuite.select import cautions, describe, select
from cytosuite.volume import Volume

POLICY = SelectPolicy(channel="must", study=4.0, spacing=1.0, missing=1.0)
sizes = st.tuples(*[st.floats(0.05, 5.0)] * 3)


SCORED = {"other images": {"SEG": 0.7}}


def _card(name, scores=SCORED, **describes):
    return ModelCard(
        name=name,
        version="0.1.0",
        algorithm="net",
        task="segment",
        description="d",
        authors="a",
        license="MIT",
        describes=describes,
        scores=scores,
    )


def test_the_nearest_voxel_size_wins():
    cards = [_card("fine", spacing=(0.5, 0.1, 0.1)), _card("coarse", spacing=(2.0, 0.8, 0.8))]
    assert select(cards, {"spacing": (1.9, 0.7, 0.7)}, POLICY).card.name == "coarse"
    assert select(cards, {"spacing": (0.4, 0.1, 0.1)}, POLICY).card.name == "fine"


def test_the_cost_is_what_it_is_said_to_be():
    found = select(
        [_card("a", channel="nucleus", study=1, spacing=(1.0, 1.0, 1.0))],
        {"channel": "nucleus", "study": 2, "spacing": (2.0, 1.0, 0.5)},
        POLICY,
    )
    assert found.terms["spacing"] == pytest.approx(2 * log(2))
    assert found.terms["study"] == 4.0
    assert found.cost == pytest.approx(4 + 2 * log(2))
    assert not found.fallback


def test_words_cost_their_weight_when_they_differ():
    cards = [_card("a", study="brain"), _card("b", study="liver")]
    assert select(cards, {"study": "liver"}, POLICY).cost == 0.0
    assert select(cards[:1], {"study": "liver"}, POLICY).cost == 4.0


def test_numbers_and_their_texts_are_equal_words():
    policy = SelectPolicy(study="must")
    assert not select([_card("a", study=1)], {"study": "1.0"}, policy).fallback
    assert select([_card("a", study=1)], {"study": 2}, policy).fallback


def test_a_must_excludes_even_the_nearest():
    cards = [
        _card("near", channel="membrane", spacing=(1.0, 1.0, 1.0)),
        _card("far", channel="nucleus", spacing=(9.0, 9.0, 9.0)),
    ]
    found = select(cards, {"channel": "nucleus", "spacing": (1.0, 1.0, 1.0)}, POLICY)
    assert found.card.name == "far"


def test_when_nothing_passes_the_nearest_is_taken_and_recorded():
    cards = [_card("a", channel="membrane")]
    found = select(cards, {"channel": "nucleus"}, POLICY)
    assert found.fallback
    assert found.broken == ("channel",)


def test_or_it_fails_with_what_there_is():
    policy = SelectPolicy(channel="must", fallback="fail")
    with pytest.raises(ModelError, match="net: made for channel a or b, found actin"):
        select([_card("x", channel="a"), _card("y", channel="b")], {"channel": "actin"}, policy)


def test_a_missing_key_costs_and_does_not_exclude():
    found = select([_card("a", channel="nucleus", study=1)], {}, POLICY)
    assert found.terms == {"channel": 1.0, "study": 1.0}
    assert not found.fallback


def test_ties_go_to_the_first_name():
    cards = [_card("b", study=1), _card("a", study=1)]
    assert select(cards, {"study": 1}, POLICY).card.name == "a"


def test_a_model_of_other_axes_is_never_taken():
    policy = SelectPolicy(axes="must", channel="must", fallback="relax")
    cards = [_card("a", axes="ZYX", channel="x"), _card("b", axes="ZYX", channel="membrane")]
    for some, who in ((cards, "net"), (cards[:1], "net a")):
        with pytest.raises(ModelError, match=f"{who}: made for axes ZYX, found YX"):
            select(some, {"axes": "YX", "channel": "x"}, policy)
    plane = _card("c", axes="YX", channel="nucleus")
    found = select([*cards, plane], {"axes": "YX", "channel": "x"}, policy)
    assert (found.card.name, found.broken) == ("c", ("channel",))


def test_voxel_sizes_of_plane_and_volume_are_compared_by_their_last_axes():
    cards = [
        _card("a-coarse", spacing=(9.0, 0.8, 0.8)),
        _card("b-fine", spacing=(9.0, 0.1, 0.1)),
    ]
    found = select(cards, {"spacing": (0.1, 0.2)}, POLICY)
    assert found.card.name == "b-fine"
    assert found.cost == pytest.approx(log(2))
    plane = [_card("a", spacing=(0.8, 0.8)), _card("b", spacing=(0.1, 0.1))]
    assert select(plane, {"spacing": (7.0, 0.1, 0.1)}, POLICY).card.name == "b"


def test_a_model_without_scores_of_other_images_is_not_chosen_by_itself():
    new, old = _card("a-new", scores={}, study=1), _card("b-old", study=2)
    assert select([new, old], {"study": 1}, POLICY).card.name == "b-old"
    assert select([new], {"study": 1}, POLICY).card.name == "a-new"
    with pytest.raises(ModelError, match="name one with --model: a-new, c-new"):
        select([new, _card("c-new", scores={})], {"study": 1}, POLICY)


def test_no_card_is_an_error():
    with pytest.raises(ModelError, match="no model to choose from"):
        select([], {}, POLICY)


@given(sizes, sizes, st.floats(0.1, 10))
def test_only_ratios_of_voxel_sizes_count(image, card, factor):
    first = select([_card("a", spacing=card)], {"spacing": image}, POLICY).cost
    scaled = select(
        [_card("a", spacing=tuple(factor * v for v in card))],
        {"spacing": tuple(factor * v for v in image)},
        POLICY,
    ).cost
    assert scaled == pytest.approx(first, abs=1e-9)
    swapped = select([_card("a", spacing=image)], {"spacing": card}, POLICY).cost
    assert swapped == pytest.approx(first, abs=1e-9)


def test_an_assumed_voxel_size_counts_as_missing():
    known = Volume(np.zeros((2, 3)), (0.5, 0.5), "YX", {"channel": "nucleus"})
    assert describe(known) == {
        "channel": "nucleus",
        "axes": "YX",
        "shape": (2.0, 3.0),
        "spacing": (0.5, 0.5),
    }
    guessed = Volume(np.zeros((2, 3)), (1, 1), "YX", {"spacing_source": "assumed"})
    assert set(describe(guessed)) == {"axes", "shape"}


def test_a_pixel_counts_where_the_step_alone_is_missing():
    volume = Volume(np.zeros((2, 3, 4)), (0.2, 0.2, 0.2), "ZYX", {"spacing_source": "assumed"})
    assert describe(volume)["spacing"] == (0.2, 0.2)


def _volume(spacing=(2.0, 0.5, 0.5), **metadata):
    shape, axes = ((2, 3, 4), "ZYX") if len(spacing) == 3 else ((3, 4), "YX")
    return Volume(np.zeros(shape), spacing, axes, metadata)


def _cautions(volume, **describes):
    card = _card("mine", **describes)
    return cautions(select([card], describe(volume), POLICY), volume)


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
