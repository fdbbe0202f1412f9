import math
import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rendered import macro
from scipy.stats import gaussian_kde

from cytosuite.benchmark.report.figures import DOT, LANES, lanes, violin
from cytosuite.benchmark.scores.results import axis_of
from cytosuite.benchmark.scores.standings import Summary
from cytosuite.figures.svg import Axis, axis_of_times, near
from cytosuite.metrics import metrics_of

UNIT = Axis(0.0, 1.0, rising=True)
WHISKER = macro("whisker")
METRICS = {metric.name: metric for metric in (*metrics_of("labels"), *metrics_of("images"))}


@given(st.floats(1e-3, 1e3), st.floats(1.001, 1e4))
def test_ticks_are_few_and_on_the_axis(low, ratio):
    for axis in (Axis(low, low * ratio), Axis(low, low * ratio, log=True)):
        ticks = axis.ticks()
        assert len(ticks) <= 9
        assert all(axis.low * 0.999 <= tick <= axis.high * 1.001 for tick in ticks)


def test_goodness_follows_the_better_end():
    errors = Axis(0.0, 10.0, rising=False)
    assert (errors.goodness(0.0), errors.goodness(10.0)) == (1.0, 0.0)
    assert UNIT.goodness(1.0) == 1.0
    assert Axis(0.0, 1.0).goodness(0.5) is None


def test_a_metric_without_end_takes_that_of_its_values():
    distance, ratio, count = (METRICS[name] for name in ("ASSD", "PSNR", "truth_count"))
    assert axis_of(METRICS["SEG"], [0.3]) == Axis(0.0, 1.0, True)
    assert axis_of(distance, [3.0, math.nan, 8.0]) == Axis(0.0, 8.0, False)
    assert axis_of(ratio, [30.0, math.inf]) == Axis(0.0, 30.0, True)
    assert axis_of(distance, []).low < 0.0 < axis_of(distance, []).high
    assert axis_of(count, []) == Axis(0.0, 1.0, None)


def test_times_far_apart_get_a_logarithmic_axis():
    assert axis_of_times([1.0, 2.0]).low == 0.0
    assert axis_of_times([0.5, 100.0]).log
    assert axis_of_times([]) == axis_of_times([0.0]) == Axis(0.0, 1.0)


@given(st.lists(st.floats(0, 100), max_size=60))
def test_dots_of_a_lane_do_not_overlap_while_there_is_room(places):
    chosen = lanes(places)
    assert len(chosen) == len(places)
    assert set(chosen) <= set(range(-(LANES // 2), LANES // 2 + 1))
    if len(places) <= LANES:
        for lane in set(chosen):
            mine = sorted(at for at, here in zip(places, chosen, strict=True) if here == lane)
            assert all(b - a >= DOT for a, b in pairwise(mine))


def test_whisker_shows_interval_and_pooled_value():
    drawing = str(WHISKER(UNIT, Summary(0.8, 0.7, 0.9, 0.75)))
    assert ET.fromstring(drawing).get("aria-label") == (
        "mean 0.80, 95 % interval 0.70 to 0.90, pooled 0.75"
    )
    assert 'x1="70.00%" x2="90.00%"' in drawing
    assert 'cx="80.00%"' in drawing


@example([0.0, 5e-324], 0.0)
@given(st.lists(st.floats(0, 1), min_size=1), st.floats(0, 1))
def test_an_axis_near_values_has_room_for_them_and_little_else(values, beyond):
    axis = near(UNIT, values)
    assert 0.0 <= axis.low <= min(values) <= max(values) <= axis.high <= 1.0
    spread = max(values) - min(values)
    assert axis.high - axis.low <= max(1.1 * spread + 1e-9, 0.11 * max(values), 0.5 * (spread == 0))
    assert WHISKER(axis, Summary(beyond)).count("<circle") == (axis.low <= beyond <= axis.high)


def test_strip_escapes_names_and_crosses_failures():
    values = {'"><script>': 0.5, "b": 0.0, "undefined": math.nan}
    numbers = {name: place for place, name in enumerate(values)}
    tree = ET.fromstring(str(macro("strip")(UNIT, values, numbers, {"b"}, "", True)))
    assert [title.text for title in tree.iter("title")] == [
        '"><script>: 0.500',
        "b: 0.000 (failed)",
    ]
    assert len(list(tree.iter("circle"))) == 1


def test_a_violin_is_the_density_of_scipy(rng):
    values = rng.beta(5, 2, 60)
    drawn = violin(Axis(0.0, 1.0), values.tolist())
    up = [10 - float(y) for y in re.findall(r"\d+ ([\d.]+)", drawn.split('d="M')[1])[:48]]
    density = gaussian_kde(values)(np.linspace(values.min(), values.max(), 48))
    assert up == pytest.approx((10 * density / density.max()).tolist(), abs=0.05)


def test_the_area_of_a_blob_is_its_share():
    blobs = macro("blobs")
    drawn = blobs([0.25, 0.64, 0.11], (1.0, 3.0))
    assert [float(r) for r in re.findall(r' r="([\d.]+)"', drawn)] == pytest.approx(
        [14 * s**0.5 for s in (0.25, 0.64, 0.11)], abs=0.01
    )
    assert "median place 2, 95 % interval 1 to 3" in drawn
    assert 'r="' not in blobs([0.0, 1.0], (2.0, 2.0)).split("circle", 1)[0]
    assert blobs([0.0, 1.0], (2.0, 2.0)).count("<circle") == 1
