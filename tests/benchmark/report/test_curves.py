import math
from xml.etree import ElementTree as ET

import pytest

from cytosuite.benchmark.report.axis import Axis
from cytosuite.benchmark.report.curves import HIGH, LOW, SHAPES, colour, curves, line_mark
from cytosuite.benchmark.results.results import Pooled

UNIT = Axis(0.0, 1.0, rising=True)
LABELS = ["low", "middle", "high"]


def line(*values, half=0.05):
    return [Pooled(v, v - half, v + half) for v in values]


def draw(*lines, scale=UNIT, labels=LABELS, joined=True):
    named = {f"n{place}": scores for place, scores in enumerate(lines)}
    return ET.fromstring(str(curves(scale, labels, named, joined)))


def of(tree, kind):
    return [element for element in tree.iter() if element.get("class") == kind]


def test_better_scores_stand_higher():
    spots = [svg for svg in draw(line(0.2, 0.5, 1.0)).iter("svg") if svg.get("overflow")]
    heights = [float(spot.get("y")) for spot in spots]
    assert heights == sorted(heights, reverse=True)
    assert heights[-1] == 10.0


def test_a_line_leads_through_ranges_but_not_through_words():
    assert len(of(draw(line(0.2, 0.5, 0.6)), "way")) == 2
    assert of(draw(line(0.2, 0.5, 0.6), joined=False), "way") == []


def test_undefined_scores_are_left_out():
    tree = draw(
        [Pooled(math.nan, math.nan, math.nan), Pooled(0.5, math.nan, math.nan)],
        labels=LABELS[:2],
    )
    assert len(of(tree, "spot")) == 1
    assert of(tree, "reach") == of(tree, "way") == []
    assert "nan" not in ET.tostring(tree, "unicode")


def test_of_many_the_best_have_colours_and_intervals_and_stand_in_front():
    tree = draw(*(line(0.9 - 0.03 * n, 0.9, 0.9) for n in range(20)))
    drawn = [group.get("class") for group in tree.iter("g")]
    assert drawn == ["c-rest"] * 14 + [f"c{n}" for n in reversed(range(len(SHAPES)))]
    assert len(of(tree, "reach")) == 3 * len(SHAPES)
    assert float(tree.get("height")) == HIGH > LOW == float(draw(line(1, 1, 1)).get("height"))


def test_intervals_of_one_group_do_not_cover_each_other():
    tree = draw(*(line(0.5, 0.5, 0.5) for _ in SHAPES))
    places = [reach.get("x1") for reach in of(tree, "reach")]
    assert len(set(places)) == len(places)
    assert all(9 <= float(place[:-1]) <= 100 for place in places)


def test_long_names_are_cut_and_kept_as_titles():
    tree = draw(line(0.5, 0.5), labels=["x" * 90, "y"])
    ticks = [tick for tick in of(tree, "tick") if tick.get("text-anchor") == "middle"]
    assert [tick.text for tick in ticks] == ["x" * 30 + "…", "y"]
    assert ticks[0].find("title").text == "x" * 90


def test_the_figure_says_itself_in_words():
    assert draw(line(0.25, 0.5, 1.0)).get("aria-label") == "n0: low 0.25, middle 0.50, high 1.00"


@pytest.mark.parametrize("place", [0, 5, 6])
def test_the_mark_beside_a_name_has_the_colour_of_the_line(place):
    assert colour(place) in ET.fromstring(str(line_mark(place))).get("class").split()
