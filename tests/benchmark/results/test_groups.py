from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cytosuite.benchmark.results.groups import (
    CASES,
    RANGES,
    WORDS,
    divide,
    edges,
    named,
    roundest,
)

NUMBERS = st.floats(-1e6, 1e6) | st.integers(-30, 30)


def sizes(values):
    return [(label, len(cases)) for label, cases in divide(dict(enumerate(values))).items()]


@given(st.lists(NUMBERS | st.integers(0, 3), max_size=60))
def test_every_case_is_in_one_group(values):
    groups = divide({str(n): value for n, value in enumerate(values)})
    found = [case for cases in groups.values() for case in cases]
    assert sorted(found) == sorted(str(n) for n in range(len(values)))
    assert all(groups.values())
    assert len(groups) <= RANGES


@given(st.lists(NUMBERS, min_size=2, max_size=60))
def test_ranges_follow_each_other(values):
    groups = divide(dict(enumerate(values)))
    ends = [(min(values[n] for n in own), max(values[n] for n in own)) for own in groups.values()]
    assert all(below[1] < above[0] for below, above in pairwise(ends))
    assert (len(groups) < 2) == (len(set(values)) < 2)


@given(st.lists(NUMBERS, min_size=2, max_size=80, unique=True))
def test_ranges_of_different_numbers_hold_about_equally_many(values):
    counts = [len(cases) for cases in divide(dict(enumerate(values))).values()]
    wanted = len(values) / len(counts)
    assert len(counts) == max(2, min(RANGES, len(values) // CASES))
    assert all(abs(found - wanted) <= 1 + 2 * wanted / 5 for found in counts)


@given(NUMBERS, NUMBERS)
def test_a_round_number_parts_two_others(one, other):
    low, high = sorted((float(one), float(other)))
    if low < high:
        assert low < roundest(low, high) <= high


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (3, 11, 10),
        (11, 21, 20),
        (0, 5e-324, 5e-324),
        (0.113, 0.118, 0.115),
        (-7, 5, 0),
        (99, 101, 100),
        (-8.2, -4.1, -5),
    ],
)
def test_edges_are_round(low, high, found):
    assert roundest(low, high) == pytest.approx(found)


def test_few_cases_make_two_ranges_and_many_make_four():
    assert sizes([1.5, 8.2]) == [("below 5", 1), ("5 or more", 1)]
    assert sizes(range(0, 120, 10)) == [
        ("below 30", 3), ("30 to 60", 3), ("60 to 90", 3), ("90 or more", 3),
    ]  # fmt: skip


def test_repeated_values_are_groups_of_their_own():
    assert sizes([2, 8, 2, 8, 8.0]) == [("2", 2), ("8", 3)]
    assert [label for label, _ in sizes([1, 1, 2, 2, 3, 3, 4, 4, 5, 5])] != list("12345")


def test_equal_numbers_are_never_parted():
    assert sizes([0] * 7 + [4]) == [("below 2", 7), ("2 or more", 1)]
    assert len(sizes([5] * 9)) == 1
    assert edges([3, 3, 3]) == []
    assert divide({}) == {}


def test_words_are_groups_by_name_and_the_rarest_stand_together():
    found = divide({"a": "late", "b": "early", "c": "late"})
    assert list(found.items()) == [("early", ["b"]), ("late", ["a", "c"])]
    many = [f"w{n}" for n in range(12)] + ["w11", "w10"]
    found = sizes(many)
    assert len(found) == WORDS
    assert found[-1] == ("5 others", 5)
    assert dict(found)["w11"] == 2
    assert len(sizes([f"w{n}" for n in range(WORDS)])) == WORDS


def test_a_number_among_words_is_a_word():
    assert sizes([1, "1", "x"]) == [("1", 2), ("x", 1)]


def test_units_stand_in_brackets():
    assert named("depth of field [µm]") == ("depth of field", "µm")
    assert named("[a]") == ("[a]", "")
