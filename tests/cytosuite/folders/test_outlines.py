from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mistakes import refused

from cytosuite.folders.outlines import fill, trace

planes = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.uint32, shape, elements=st.sampled_from([0, 0, 1, 2, 70_000]))
)


@given(planes)
def test_outlines_of_labels_hold_their_pixels_and_no_others(plane):
    painted = np.zeros(plane.size, np.uint32)
    for label, paths in trace(plane):
        inside = fill(paths, plane.shape)
        assert not painted[inside].any()
        painted[inside] = label
        for path in paths:  # corners alone, across and along in turn
            steps = np.diff([*path, path[0]], axis=0) != 0
            assert (steps.sum(1) == 1).all()
            assert (steps[1:] != steps[:-1]).any(1).all()
    assert np.array_equal(painted.reshape(plane.shape), plane)


@pytest.mark.parametrize(
    "rows, corners",
    [
        (["#"], [4]),
        (["##", "#."], [6]),
        (["#.", ".#"], [8]),  # pixels that touch at a corner: one outline
        (["###", "#.#", "###"], [4, 4]),  # a hole
        (["#.#"], [4, 4]),
    ],
)
def test_a_region_has_an_outline_for_each_piece_and_hole(rows, corners):
    plane = np.array([[letter == "#" for letter in row] for row in rows], np.uint8)
    ((label, paths),) = trace(plane)
    assert (label, [len(path) for path in paths]) == (1, corners)


@example([(200, 240), (20, 100), (80, 340)])  # a crossing at a centre that float64 misses
@example([(0, 0), (0, 175), (5, 175)])  # centres on a horizontal edge belong to what is below
@example([(-90, -90), (490, -90), (490, 490)])
@given(st.lists(st.tuples(*[st.integers(-40, 440)] * 2), min_size=2, max_size=5))
def test_exact_numbers_give_the_same_pixels(tenths):
    corners = [(Fraction(x, 10), Fraction(y, 10)) for x, y in tenths]
    middles = [Fraction(2 * n + 1, 2) for n in range(40)]
    inside = []
    for y in middles:
        left = [
            x + (y - top) * (end - x) / (bottom - top)
            for (x, top), (end, bottom) in zip(corners, corners[1:] + corners[:1], strict=True)
            if (top <= y) != (bottom <= y)
        ]
        inside.append([sum(x < middle for x in left) % 2 == 1 for middle in middles])
    assert np.array_equal(np.flatnonzero(inside), fill([np.array(corners, np.float64)], (40, 40)))


def test_what_no_program_draws_is_refused():
    for place in (np.nan, np.inf, 1e30):
        refused(
            "expected corners nearer than", fill, [np.array([(0, 0), (place, 0), (0, 5)])], (9, 9)
        )
    refused("crosses rows less than", fill, [np.array([(0, 0), (1, 60_000)] * 50)], (60_000, 1))
