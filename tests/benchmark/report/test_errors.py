"""Errors by object: numbers by hand, the places of missed objects, and what cannot be shown."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from chromium import Chromium

from cytosuite.benchmark.pictures.stills import BOTH, GUESS, LETTERS, TRUTH
from cytosuite.benchmark.report import page, write_report
from cytosuite.benchmark.report.error_bars import COLOURS, MissedShares, error_bar, missed_bars
from cytosuite.benchmark.report.index import index
from cytosuite.benchmark.report.section import views
from cytosuite.benchmark.report.sections.errors import SECTION, markdown, view
from cytosuite.benchmark.results.gather import match
from cytosuite.benchmark.results.object_scores import measured_places, write_object_scores
from cytosuite.metrics.labels.overlap import overlap
from cytosuite.volume import Volume

EVIL = '"><script>alert(1)</script>|<b>'


def column(missed=()):
    """Return 60 true objects below each other, larger with depth, and an answer without some."""
    truth = np.zeros((60, 8, 8), np.uint16)
    for z in range(60):
        truth[z, 0, : 1 + z // 10] = z + 1
    return truth, np.where(np.isin(truth, missed), 0, truth)


@pytest.fixture
def judged(make, tmp_path):
    """Return results of one case in which algorithms miss some of 60 objects."""

    def made(**missed):
        found = make(algorithms=tuple(missed) or ("good", "fair"))
        matches, files = {}, {}
        for name, lost in missed.items():
            truth, answer = column(lost)
            table = overlap(truth, answer)
            places = [measured_places(Volume(own, (2.0, 0.5, 0.5))) for own in (truth, answer)]
            files[name, "a"] = tmp_path / f"{abs(hash(name))}.csv"
            write_object_scores(files[name, "a"], table, *places)
            matches[name, "a"] = match(table)
        return replace(found, matches=matches, object_scores=files)

    return made


def html_of(results):
    indexed = index(results)
    return page.html(indexed, views(indexed))


def test_numbers_of_objects_by_hand(make):
    found = make()
    truth = np.array([1, 1, 2, 2, 3, 3, 4, 4, 0, 5])
    answer = np.array([5, 5, 5, 5, 6, 7, 0, 0, 8, 9])
    matches = {("good", case): match(overlap(truth, answer)) for case in ("a", "b")}
    shown = view(index(replace(found, matches=matches)))
    assert shown.counts == {
        "good": {"matched": 2, "split": 2, "merged": 4, "missed": 2, "false": 2}
    }
    assert shown.true == {"good": 10}
    assert shown.places == []


def test_missed_objects_are_counted_by_depth_and_by_size(judged):
    shown = view(index(judged(good=(), fair=range(1, 13))))  # the 12 of 60 at the top
    depth, size = shown.places
    assert (depth.name, depth.unit, depth.edges[0], depth.edges[-1]) == ("depth", "µm", 0, 118)
    assert depth.missed["fair"] == [(6, 6), (6, 6), *[(0, 6)] * 8]
    assert depth.missed["good"] == [(0, 6)] * 10
    assert (size.name, size.unit, size.top) == ("size", "µm³", 1.0)
    assert sum(lost for lost, _ in size.missed["fair"]) == 12
    assert all(sum(of for _, of in own) == 60 for own in size.missed.values())


def test_few_objects_or_equal_ones_have_no_groups(make, tmp_path):
    flat = np.kron(np.arange(1, 37).reshape(6, 6), np.ones((2, 2), int))
    table, places = overlap(flat, flat), measured_places(Volume(flat, (1.0, 1.0), "YX"))
    write_object_scores(tmp_path / "flat.csv", table, places, places)
    files = {("good", "a"): tmp_path / "flat.csv"}
    results = replace(make(), matches={("good", "a"): match(table)}, object_scores=files)
    assert view(index(results)).places == []  # no depth in 2D, and one size


def test_markdown_has_the_numbers_and_the_ends(judged):
    results = judged(good=(), fair=range(1, 13))
    lines = markdown(index(results), view(index(results)))
    assert lines[0].startswith("| algorithm | true objects | matched | split | merged | missed |")
    assert "| missed, depth to 11.8 µm | from 106 µm |" in lines[0]
    assert lines[2].startswith("| good | 60 | 60 | 0 | 0 | 0 | 0 | 0% | 0% |")
    assert lines[3].startswith("| fair | 60 | 48 | 0 | 0 | 12 | 0 | 100% | 0% |")


def test_without_true_objects_there_is_no_section(make):
    empty = np.zeros(4, int)
    assert view(index(replace(make(), matches={}))) is None
    matches = {("good", "a"): match(overlap(empty, empty + 1))}
    assert view(index(replace(make(), matches=matches))) is None


def test_controls_are_left_out(judged):
    results = judged(good=())
    matches = {**results.matches, ("oracle", "a"): results.matches["good", "a"]}
    assert set(view(index(replace(results, matches=matches))).counts) == {"good"}


def test_the_page_shows_bars_and_links_the_table(judged):
    text = html_of(judged(good=(), fair=range(1, 13)))
    part = re.search(r'<section id="errors".*?</section>', text, re.S)[0]
    assert part.count('class="fig error-bar"') == 2
    assert part.count('class="fig missed-bars"') == 4
    assert "48 matched, 0 split, 0 merged, 12 missed, 0 false" in part
    assert 'href="object_scores.csv"' in part
    assert "0 to 118 µm<br>full height 100 %" in part


def test_names_from_outside_stay_text(judged):
    text = html_of(judged(**{EVIL: (1, 2)}))
    assert EVIL not in text
    assert "<script>alert" not in text


def test_twenty_algorithms_have_a_row_each_and_no_more(judged):
    text = html_of(judged(**{f"algorithm_{n}": range(1, 1 + 2 * n) for n in range(20)}))
    part = re.search(r'<section id="errors".*?</section>', text, re.S)[0]
    assert part.count('<tr><th scope="row">') == 20
    assert len(part) < 200_000


def test_classes_have_one_colour_each_in_viewer_stills_and_table():
    style = (Path(page.__file__).parent / "style.css").read_text()
    drawn = {**TRUTH, **GUESS, **BOTH}
    for name, letter in LETTERS.items():
        assert COLOURS[name] == f"var(--{name})"
        assert f"--{name}: #{bytes(drawn[letter]).hex()};" in style
        assert f".{name}-key {{ --c: var(--{name}); }}" in style


@pytest.mark.slow
def test_the_table_fits_a_laptop(judged, tmp_path, browser):
    names = ("a network with a longer name", "watershed")
    results = judged(**{name: range(1, 13 + n) for n, name in enumerate(names)})
    page_ = Chromium(browser, tmp_path / "profile", 1280, 900)
    try:
        page_.open(write_report(results, tmp_path / "report"))
        table = "document.querySelector('#errors .scroll')"
        shown, whole = page_.run(f"[{table}.clientWidth, {table}.scrollWidth]")
        assert shown > 1000
        assert whole == shown
    finally:
        page_.close()


@pytest.mark.parametrize("false", [0, 3, 10_000])
def test_a_bar_is_never_longer_than_its_cell(false):
    counts = {"matched": 4, "split": 1, "merged": 1, "missed": 4, "false": false}
    bar = error_bar(counts, 15)
    ends = [float(x) + float(w) for x, w in re.findall(r'x="([\d.]+)%" width="([\d.]+)%"', bar)]
    assert ends == sorted(ends)
    assert ends[-1] <= 100.01
    assert f"{false} false" in bar


def test_heights_are_shares_of_the_largest():
    place = MissedShares(
        "depth", "µm", (0, 1, 2, 3), {"a": [(0, 4), (1, 4), (2, 4)], "b": [(0, 0)] * 3}
    )
    assert place.top == 0.5
    heights = re.findall(r'height="([\d.]+)" style="fill:var\(--missed', missed_bars(place, "a"))
    assert heights == ["1.0", "15.5", "30.0"]
    assert missed_bars(place, "unknown") == ""


def test_the_section_stands_between_conditions_and_spread():
    assert 30 < SECTION.order < 40
