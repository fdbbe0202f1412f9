from dataclasses import replace
from pathlib import Path

import numpy as np
from rendered import html

from cytosuite.benchmark.report import page
from cytosuite.benchmark.report.pictures.stills import GUESS, LETTERS, TRUTH
from cytosuite.benchmark.report.sections.errors import (
    CLASSES,
    SECTION,
    MissedShares,
    view,
)
from cytosuite.benchmark.scores.matches import match
from cytosuite.benchmark.scores.objects import measured_places, write_object_scores
from cytosuite.figures import svg
from cytosuite.metrics.labels.overlap import overlap
from cytosuite.volume import Volume


def column(missed):
    """Return 60 true objects below each other, larger with depth, and an answer without some."""
    truth = np.zeros((60, 8, 8), np.uint16)
    for z in range(60):
        truth[z, 0, : 1 + z // 10] = z + 1
    return truth, np.where(np.isin(truth, missed), 0, truth)


def test_numbers_of_objects_by_hand(make):
    truth = np.array([1, 1, 2, 2, 3, 3, 4, 4, 0, 5])
    answer = np.array([5, 5, 5, 5, 6, 7, 0, 0, 8, 9])
    matches = {("good", case): match(overlap(truth, answer)) for case in ("a", "b")}
    shown = view(replace(make(), matches=matches))
    assert shown.counts == {
        "good": {"matched": 2, "split": 2, "merged": 4, "missed": 2, "false": 2}
    }
    assert shown.true == {"good": 10}
    assert shown.places == []


def test_missed_objects_are_counted_by_depth_and_by_size(make, tmp_path):
    matches = {}
    files = {}
    for name, lost in {"good": (), "fair": range(1, 13)}.items():  # the 12 of 60 at the top
        truth, answer = column(lost)
        table = overlap(truth, answer)
        places = [measured_places(Volume(labels, (2.0, 0.5, 0.5))) for labels in (truth, answer)]
        files[name, "a"] = tmp_path / f"{name}.csv"
        write_object_scores(files[name, "a"], table, *places)
        matches[name, "a"] = match(table)
    depth, size = view(replace(make(), matches=matches, object_scores=files)).places
    assert (depth.name, depth.unit, depth.edges[0], depth.edges[-1]) == ("depth", "µm", 0, 118)
    assert depth.missed["fair"] == [(6, 6), (6, 6), *[(0, 6)] * 8]
    assert depth.missed["good"] == [(0, 6)] * 10
    assert (size.name, size.unit, size.top) == ("size", "µm³", 1.0)
    assert sum(lost for lost, _ in size.missed["fair"]) == 12
    assert all(sum(of for _, of in bins) == 60 for bins in size.missed.values())


def test_the_palette_colours_viewer_stills_and_table(make):
    sheets = "".join(path.read_text() for path in Path(page.__file__).parent.glob("*.css"))
    assert svg.style() in html(make())
    for name, colour in svg.PALETTE.items():
        assert f"--{name}:" not in sheets
        letter = {**LETTERS, svg.TRUTH: ".", svg.PREDICTION: "."}.get(name)
        sides = {svg.TRUTH: [TRUTH], svg.PREDICTION: [GUESS]}.get(name, [TRUTH, GUESS])
        drawn = {"#" + bytes(side[letter]).hex() for side in sides} if letter else {colour}
        assert drawn == {colour}
    assert {*CLASSES} <= {*svg.PALETTE}


def test_classes_of_the_annotation_have_scores_of_their_own(make, tmp_path):
    truth = np.array([[1, 1, 0, 2, 0, 3]])
    answer = np.array([[5, 0, 0, 6, 0, 0]])
    table = overlap(truth, answer)
    places = [measured_places(Volume(labels, (1.0, 1.0), "YX")) for labels in (truth, answer)]
    places[0] = replace(places[0], kinds={"1": "basal", "2": "fed", "3": "fed"})
    write_object_scores(tmp_path / "t.csv", table, *places)
    results = replace(make(), matches={("good", "a"): match(table)})
    shown = view(replace(results, object_scores={("good", "a"): tmp_path / "t.csv"}))
    assert shown.kinds == [
        ("basal", "good", "1", "0.00", "0.00"),  # half of it is not more than half
        ("fed", "good", "2", "0.50", "0.50"),
    ]
    assert any("| fed | good | 2 |" in line for line in SECTION.markdown(None, shown))


def test_heights_are_shares_of_the_largest():
    place = MissedShares(
        "depth", "µm", (0, 1, 2, 3), {"a": [(0, 4), (1, 4), (2, 4)], "b": [(0, 0)] * 3}
    )
    assert place.top == 0.5
    assert place.bars("a") == [
        ("0 to 1 µm: 0 of 4 missed", 0.0),
        ("1 to 2 µm: 1 of 4 missed", 0.5),
        ("2 to 3 µm: 2 of 4 missed", 1.0),
    ]
    assert place.bars("unknown") == []
