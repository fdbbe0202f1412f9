import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from cytosuite.benchmark.report import write_report
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


def test_there_is_a_figure_for_each_primary_metric(results):
    assert set(drawn(results)) == {
        f"figures/{name}.svg"
        for name in (
            "leaderboard", "ranks-all-together", "ranks-seg", "ranks-det", "density-seg",
            "density-det", "time-per-case-seg", "time-per-case-det", "peak-memory-seg",
            "peak-memory-det", "spread-seg", "spread-det",
        )
    }  # fmt: skip


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


def test_everything_lies_within_the_figure(results):
    for text in drawn(results).values():
        root = ElementTree.fromstring(text)
        _, _, wide, high = map(float, root.get("viewBox").split())
        for group in root.findall(f"{SVG}g"):
            x, y = map(
                float, re.match(r"translate\(([\d.]+) ([\d.]+)\)", group.get("transform")).groups()
            )
            assert 0 <= x < wide
            assert 0 <= y < high
            for each in group.iter(f"{SVG}circle"):
                assert x + float(each.get("cx", 0)) <= wide


def test_a_figure_of_an_earlier_report_goes(make, results, tmp_path):
    write_report(results, tmp_path / "report")
    assert (tmp_path / "report/figures/density-seg.svg").exists()
    write_report(make(), tmp_path / "report")
    names = {path.name for path in (tmp_path / "report/figures").iterdir()}
    assert "density-seg.svg" not in names
    assert "leaderboard.svg" in names


def test_names_become_text_and_plain_paths(make, ranked):
    evil = '../<b>&\x01"x'
    found = drawn(ranked(make(algorithms=(evil, "fair"))))
    for path, text in found.items():
        assert re.fullmatch(r"figures/[a-z0-9-]+\.svg", path)
        assert "<b>" not in text
        ElementTree.fromstring(text)
    assert '../&lt;b&gt;&amp;"x' in found["figures/leaderboard.svg"]


def test_conditions_of_one_plain_name_are_two_files(results):
    density = results.conditions[0]
    twins = [density, replace(density, name="density!")]
    paths = [path for path in drawn(replace(results, conditions=twins)) if "density" in path]
    assert len(paths) == len(set(paths)) == 4


def test_a_run_without_results_has_no_figures(empty):
    assert drawn(empty) == {}
