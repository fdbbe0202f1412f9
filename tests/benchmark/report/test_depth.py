"""Realism by depth: figures, medians and table of the evidence of whole sets."""

import re
from dataclasses import replace
from math import nan
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from rendered import macro

from cytosuite.benchmark.report import write_report
from cytosuite.benchmark.report.figures import boxes
from cytosuite.benchmark.report.sections import depth
from cytosuite.figures.svg import Axis
from cytosuite.metrics.realism.edges import EDGES, EdgeCurves
from cytosuite.metrics.realism.regions import REGION_SCORES, REGIONS, RegionScores


def evidence(fade, planes=9):
    """Return curves of a stack that fades, and similarities that fall with depth; no gaps."""
    curves = EdgeCurves(
        2.0 * np.arange(planes), 0.9 ** np.arange(planes), fade ** np.arange(planes)
    )
    place = (np.arange(planes) + 0.5) / planes
    scores = {REGIONS[0]: 1 - place, REGIONS[1]: np.full(planes, nan), REGIONS[2]: place - 9}
    return {EDGES: curves, REGION_SCORES: RegionScores(place, scores)}


@pytest.fixture
def results(make):
    sets = {name: evidence(0.5) for name in ("identity", "fair", "good")}
    return replace(make(task="enhance"), sets=sets | {"real": evidence(0.9, 6)})


def test_algorithms_come_first_and_quantities_without_a_plane_are_left_out(results):
    shown = depth.view(results)
    assert shown["names"] == ["good", "fair", "identity", "real"]
    assert [figure["title"] for figure in shown["figures"]][::2] == [
        "Strength of edges",
        "Similarity of intensities inside objects",
        "Similarity of intensities outside",
    ]
    edges, objects, outside = (panel.thirds for panel in shown["panels"])
    assert [len(thirds) for thirds in edges["good"]] == [3, 3, 3]
    assert max(map(max, edges["real"])) == 0
    assert [round(float(np.median(thirds)), 2) for thirds in objects["good"]] == [0.83, 0.5, 0.17]
    assert {float(value) for thirds in outside["good"] for value in thirds} == {depth.LEAST}
    assert depth.view(replace(results, sets={})) is None


def test_no_more_answers_than_colours(make):
    names = tuple(f"a{n}" for n in range(9))
    many = make(task="enhance", algorithms=names)
    shown = depth.view(replace(many, sets={n: evidence(0.5) for n in (*names, "real")}))
    assert (shown["names"], shown["left"]) == ([*names[:5], "real"], 4)


def test_page_figures_and_table(results, tmp_path):
    write_report(results, tmp_path / "report")
    page = (tmp_path / "report/index.html").read_text()
    section = re.search(r'<section id="depth">.*?</section>', page, flags=re.DOTALL)[0]
    assert section.count("<figure") == 6
    assert "| good | 0.400 |" in (tmp_path / "report/report.md").read_text()
    rows = pd.read_csv(tmp_path / "report/by_depth.csv")
    good = rows[(rows["answer"] == "good") & (rows["quantity"] == "edge strength")]
    assert good["depth"].tolist() == list(range(0, 18, 2))
    assert good["real"].to_numpy() == pytest.approx(0.9 ** np.arange(9))
    assert "bg_inner" not in set(rows["quantity"])


def test_a_box_holds_the_middle_half():
    values = {"a": [np.arange(101.0), []], "b": [[], [50.0]]}
    plot = boxes(Axis(0.0, 100.0), ("top", "bottom"), values)
    first, second = ElementTree.fromstring(macro("draw", "plots.html")(plot)).findall(".//rect")
    height = 250 - 12 - 26 - 13  # a line of labels, and one of sizes
    assert float(first.get("height")) == pytest.approx(height / 2, abs=0.1)
    assert float(first.get("y")) == pytest.approx(12 + height / 4, abs=0.1)
    assert float(second.get("height")) == 0
    assert float(second.get("x")[:-1]) > float(first.get("x")[:-1]) + 40
