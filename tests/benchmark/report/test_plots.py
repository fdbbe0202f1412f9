from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from rendered import macro

from cytosuite.benchmark.report.figures import (
    HIGH,
    LEFT,
    LOW,
    SHAPES,
    Line,
    PointPlot,
    Spot,
    curves,
    place_labels,
)
from cytosuite.benchmark.report.sections.cost import front, staircase
from cytosuite.benchmark.scores.standings import Summary
from cytosuite.figures.svg import Axis, axis_of_ratios, part

DRAW = macro("draw", "plots.html")
AXES = (Axis(0.0, 10.0), Axis(0.0, 1.0))
UNIT = Axis(0.0, 1.0, rising=True)
TITLES = ("density", "SEG")


def boxes(middles, labels, width):
    rectangles = []
    for (x, y), label, side in zip(
        middles, labels, place_labels(middles, labels, width), strict=True
    ):
        if side:
            dx, dy, anchor = side
            wide = 6.3 * len(label)
            left = x * width / 100 + dx - {"start": 0, "end": wide, "middle": wide / 2}[anchor]
            rectangles.append((left, y + dy - 10, left + wide, y + dy + 3))
    return rectangles


def meet(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@pytest.mark.parametrize("width", [290.0, 440.0, 700.0])
def test_labels_never_cover_each_other_nor_leave_the_figure(width):
    middles = [(10 + 7.3 * (n % 11), 20 + 31.0 * (n % 6)) for n in range(24)]
    rectangles = boxes(middles, [f"algorithm{n}" for n in range(24)], width)
    assert len(rectangles) >= 6
    assert not [1 for n, a in enumerate(rectangles) for b in rectangles[:n] if meet(a, b)]
    assert all(left >= LEFT * width / 100 and right <= width for left, _, right, _ in rectangles)


def test_a_better_score_lies_higher_and_all_text_is_escaped():
    spots = [Spot(5.0, 0.9, 0, "<b>", "<i>", case=3), Spot(5.0, 0.1, 1, "y")]
    drawing = DRAW(PointPlot(AXES, TITLES, spots, [Line((0, 0.5), (10, 0.5), "trend c0")]))
    root = ET.fromstring(drawing)
    heights = {
        mark.find("g").get("class"): float(mark.get("y"))
        for mark in root.findall("svg")
        if mark.find("g") is not None and mark.find("g").get("class")[0] == "c"
    }
    assert heights["c0"] < heights["c1"]
    assert root.find("svg/g[@data-case='3']") is not None
    assert "<b>" not in drawing
    assert "&lt;i&gt;" in drawing


@pytest.mark.parametrize(
    "rising, expected",
    {True: [(1.0, 0.5), (2.0, 0.9)], False: [(1.0, 0.5), (1.5, 0.4)], None: []}.items(),
)
def test_the_front_holds_what_nothing_beats(rising, expected):
    assert front([(3.0, 0.7), (1.0, 0.5), (2.0, 0.9), (1.5, 0.4)], rising) == expected


def test_the_staircase_goes_from_the_worst_end_to_the_dearest():
    lines = staircase([(1.0, 0.5), (2.0, 0.9)], Axis(0.5, 4.0, log=True), UNIT)
    assert (lines[0].start, lines[-1].end) == ((1.0, 0.0), (4.0, 0.9))
    assert all(a.end == b.start for a, b in pairwise(lines))


@pytest.mark.parametrize("seen", [[0.3, 0.5], [1e-3, 2e4], [7.0], [100.0, 101.0]])
def test_an_axis_of_ratios_holds_all_and_has_two_ticks_or_more(seen):
    axis = axis_of_ratios(seen)
    assert axis.log
    assert axis.low <= min(seen) <= max(seen) <= axis.high
    assert 2 <= len(axis.ticks()) <= 10


def test_a_part_is_a_fifth_at_least():
    whole = Axis(0.0, 1.0)
    near = part(whole, [0.71, 0.72])
    assert (near.low, near.high) == (pytest.approx(0.6), pytest.approx(0.8))
    assert (part(whole, []).low, part(whole, []).high) == (0.0, 1.0)


LABELS = ["low", "middle", "high"]


def line(*values):
    return [Summary(v, v - 0.05, v + 0.05) for v in values]


def draw(*lines, labels=LABELS, joined=True):
    named = {f"n{place}": scores for place, scores in enumerate(lines)}
    return ET.fromstring(DRAW(curves(UNIT, labels, named, joined, [1] * len(labels))))


def of(tree, kind):
    return [element for element in tree.iter() if element.get("class") == kind]


def test_a_line_leads_through_ranges_but_not_through_words():
    assert len(of(draw(line(0.2, 0.5, 0.6)), "way")) == 2
    assert of(draw(line(0.2, 0.5, 0.6), joined=False), "way") == []


def test_undefined_scores_are_left_out():
    tree = draw([Summary(), Summary(0.5)], labels=LABELS[:2])
    assert len(of(tree, "spot")) == 1
    assert of(tree, "reach") == of(tree, "way") == []
    assert "nan" not in ET.tostring(tree, "unicode")


def test_of_many_the_best_have_colours_and_intervals_and_stand_in_front():
    tree = draw(*(line(0.9 - 0.03 * n, 0.9, 0.9) for n in range(20)))
    assert [group.get("class") for group in tree.iter("g")] == ["c-rest"] * 14 + [
        f"c{n}" for n in reversed(range(len(SHAPES)))
    ]
    assert len(of(tree, "reach")) == 3 * len(SHAPES)
    assert float(tree.get("height")) == HIGH > LOW == float(draw(line(1, 1, 1)).get("height"))
