from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cytosuite.errors import ModelError
from cytosuite.manifest import ModelCard, SelectPolicy
from cytosuite.select import describe, select
from cytosuite.volume import Volume

POLICY = SelectPolicy(channel="must", study=4.0, spacing=1.0, missing=1.0)
sizes = st.tuples(*[st.floats(0.05, 5.0)] * 3)


def _card(name, **describes):
    return ModelCard(
        name=name,
        version="0.1.0",
        algorithm="net",
        task="segment",
        description="d",
        authors="a",
        license="MIT",
        describes=describes,
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
    with pytest.raises(
        ModelError, match="no model for channel = 'actin'; there are models for a, b"
    ):
        select([_card("x", channel="a"), _card("y", channel="b")], {"channel": "actin"}, policy)


def test_a_missing_key_costs_and_does_not_exclude():
    found = select([_card("a", channel="nucleus", study=1)], {}, POLICY)
    assert found.terms == {"channel": 1.0, "study": 1.0}
    assert not found.fallback


def test_ties_go_to_the_first_name():
    cards = [_card("b", study=1), _card("a", study=1)]
    assert select(cards, {"study": 1}, POLICY).card.name == "a"


def test_other_numbers_of_axes_never_fit():
    cards = [_card("plane", spacing=(1.0, 1.0)), _card("volume", spacing=(9.0, 9.0, 9.0))]
    assert select(cards, {"spacing": (1.0, 1.0, 1.0)}, POLICY).card.name == "volume"


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
