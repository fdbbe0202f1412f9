import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from cytosuite.benchmark.report.index import index
from cytosuite.benchmark.report.paper import paper_figures
from cytosuite.benchmark.report.section import views

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def results(make, ranked, conditions):
    """Return a run of six cases with a ranking and a number as a condition."""
    cases = tuple("abcdef")
    found = ranked(make(cases=cases), [("good", "fair")])
    density, drug = conditions()
    density = replace(density, values={case: 3.0 * n for n, case in enumerate(cases)})
    return replace(found, conditions=[density, drug])


def drawn(results):
    indexed = index(results)
    return {figure.path: figure.text for figure in paper_figures(indexed, views(indexed))}


def test_figures_stand_alone(results):
    for path, text in drawn(results).items():
        root = ElementTree.fromstring(text)
        assert re.fullmatch(r"[\d.]+mm", root.get("width")), path
        assert root.find(f"{SVG}rect").get("fill") == "#fff"
        assert "var(" not in text
        assert "url(" not in text
        assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
        inner = [each for each in root.iter() if each is not root]
        assert not [each for each in inner if each.tag == f"{SVG}svg"]
        shares = [
            v for e in inner for k, v in e.attrib.items() if "%" in v and e.tag != f"{SVG}rect"
        ]
        assert not shares, path
        known = set(re.findall(r"\.([\w-]+)", root.find(f"{SVG}style").text))
        used = {
            n for e in inner for n in e.get("class", "").split() if e.tag[-4:] in ("path", "line")
        }
        assert used <= known, used - known


def test_names_become_text_and_plain_paths(make, ranked):
    evil = '../<b>&\x01"x'
    found = drawn(ranked(make(algorithms=(evil, "fair"))))
    for path, text in found.items():
        assert re.fullmatch(r"figures/[a-z0-9-]+\.svg", path)
        assert "<b>" not in text
        ElementTree.fromstring(text)
    assert '../&lt;b&gt;&amp;"x' in found["figures/leaderboard.svg"]
