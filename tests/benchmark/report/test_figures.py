import math
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.report import MetricInfo
from benchmark.report.figures import (
    DOT,
    LANES,
    Dot,
    Scale,
    axis,
    heat,
    lanes,
    scale_of,
    scale_of_times,
    strip,
    whisker,
)

UNIT = Scale(0.0, 1.0, best=1.0)
REALS = st.floats(-1e6, 1e6)


@given(REALS, REALS, REALS)
def test_positions_lie_on_the_axis(low, high, value):
    assert 0.0 <= Scale(min(low, high), max(low, high)).position(value) <= 1.0


@given(st.floats(0, 1), st.floats(0, 1))
def test_position_grows_with_value(a, b):
    assert (a <= b) == (UNIT.position(a) <= UNIT.position(b))


@given(st.floats(1e-3, 1e3), st.floats(1.001, 1e4))
def test_ticks_are_few_and_on_the_axis(low, ratio):
    for scale in (Scale(low, low * ratio), Scale(low, low * ratio, log=True)):
        ticks = scale.ticks()
        assert len(ticks) <= 9
        assert all(scale.low * 0.999 <= tick <= scale.high * 1.001 for tick in ticks)


def test_goodness_follows_the_better_end():
    errors = Scale(0.0, 10.0, best=0.0)
    assert (errors.goodness(0.0), errors.goodness(10.0)) == (1.0, 0.0)
    assert UNIT.goodness(1.0) == 1.0
    assert Scale(0.0, 1.0).goodness(0.5) is None


def test_a_metric_without_end_takes_that_of_its_values():
    distance = MetricInfo("W1", "distance", "", best=0.0, worst=None)
    assert scale_of(distance, [3.0, 8.0]) == Scale(0.0, 8.0, 0.0)
    assert scale_of(distance, []).low < 0.0 < scale_of(distance, []).high
    assert scale_of(MetricInfo("n", "count", "", None, None), []) == Scale(0.0, 1.0)


def test_times_far_apart_get_a_logarithmic_axis():
    assert scale_of_times([1.0, 2.0]).low == 0.0
    assert scale_of_times([0.5, 100.0]).log
    assert scale_of_times([]) == scale_of_times([0.0]) == Scale(0.0, 1.0)


@given(st.lists(st.floats(0, 100), max_size=60))
def test_dots_of_a_lane_do_not_overlap_while_there_is_room(places):
    chosen = lanes(places)
    assert len(chosen) == len(places)
    assert set(chosen) <= set(range(-(LANES // 2), LANES // 2 + 1))
    if len(places) <= LANES:
        for lane in set(chosen):
            mine = sorted(at for at, own in zip(places, chosen, strict=True) if own == lane)
            assert all(b - a >= DOT for a, b in pairwise(mine))


def test_whisker_shows_interval_and_pooled_value():
    drawing = str(whisker(UNIT, 0.8, 0.7, 0.9, 0.75))
    assert ET.fromstring(drawing).get("aria-label") == (
        "mean 0.80, 95 % interval 0.70 to 0.90, pooled 0.75"
    )
    assert 'x1="70.00%" x2="90.00%"' in drawing
    assert 'cx="80.00%"' in drawing


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
def test_whisker_leaves_out_what_is_undefined(missing):
    drawing = str(whisker(UNIT, missing, missing, missing, missing))
    assert "<circle" not in drawing
    assert "nan" not in drawing
    assert "not defined" in drawing


def test_strip_escapes_names_and_crosses_failures():
    dots = [Dot(0, '"><script>', 0.5), Dot(1, "b", 0.0, failed=True)]
    tree = ET.fromstring(str(strip(UNIT, dots)))
    titles = [title.text for title in tree.iter("title")]
    assert titles == ['"><script>: 0.500', "b: 0.000 (failed)"]
    assert len(list(tree.iter("circle"))) == 1


def test_drawings_are_well_formed():
    for drawing in (axis(UNIT), strip(UNIT, []), whisker(UNIT, 0.5)):
        ET.fromstring(str(drawing))


def test_heat_grows_away_from_the_middle():
    assert heat(None) == heat(0.5) == ""
    assert "good" in heat(0.9)
    assert "poor" in heat(0.1)
    assert "55%" in heat(0.0)
