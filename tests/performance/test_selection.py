"""The study of the choice of a model: both rules on the strata themselves, and what it counts."""

from dataclasses import replace

import numpy as np
import pytest
import selection
from selection import NETWORKS, SHAPE, SPACING, TABLES, View

STRATA = [
    View(content, study, SHAPE[study], SPACING[study], {"channel": content})
    for content, study in NETWORKS
]


@pytest.mark.parametrize("view", STRATA, ids=lambda view: view.model)
@pytest.mark.parametrize("rule", [selection.published, selection.by_cost])
def test_both_rules_know_the_strata(view, rule):
    assert rule(view) == view.model
    named = replace(view, metadata={**view.metadata, "study": view.study})
    assert rule(named) == view.model


@pytest.mark.parametrize(
    ("metadata", "shape", "name"),
    [
        ({"channel": "membrane"}, SHAPE[2], "membrane-1"),
        ({"channel": "membrane"}, SHAPE[4], "membrane-1"),
        ({"channel": "Nucleus"}, SHAPE[3], "membrane-3"),
        ({"channel": "nucleus", "study": 6}, SHAPE[4], "nucleus-4"),
        ({"channel": "nucleus", "study": 2}, SHAPE[4], "nucleus-2"),
        ({"channel": "nucleus"}, (200, 1400, 900), "nucleus-2"),
    ],
)
def test_the_published_rule_is_the_published_one(metadata, shape, name):
    """By hand: of (200, 1400, 900), study 1 is 671 voxels away, study 2 640, study 3 908."""
    assert selection.published(View("", 0, shape, None, metadata)) == name


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        ({}, KeyError),
        ({"channel": "membrane", "study": 2}, FileNotFoundError),
        ({"channel": "nucleus", "study": "study 2"}, ValueError),
        ({"channel": "nucleus", "study": ""}, ValueError),
    ],
)
def test_the_published_rule_fails_where_the_program_does(metadata, error):
    view = View("nucleus", 2, SHAPE[2], SPACING[2], metadata)
    with pytest.raises(error):
        selection.published(view)
    assert selection.by_cost(view)


def test_the_difference_is_as_large_as_reported():
    """75 % and 97 % of images without a study, see the README."""
    old = selection.counts(selection.published, "nucleus", [], 1000)
    models = selection.cards()
    new = selection.counts(lambda view: selection.by_cost(view, models), "nucleus", [], 1000)
    assert 700 <= old["model"] <= 780
    assert 950 <= new["model"] <= 985
    assert old["content"] == new["content"] == 1000
    assert old["failed"] == new["failed"] == new["general"] == 0


@pytest.mark.parametrize("name", TABLES)
def test_one_cost_fails_nowhere(name):
    contents, changes = TABLES[name]
    found = selection.counts(selection.by_cost, contents, changes, 40)
    assert found["failed"] == 0
    assert found["model"] <= found["content"] <= 40


def test_images_differ_as_their_table_says():
    rng = np.random.default_rng(1)
    for _ in range(100):
        view = selection.drawn(rng)
        ratios = np.divide(view.shape, SHAPE[view.study])
        assert (ratios > 0.48).all()
        assert (ratios <= 1.25).all()
        assert (view.content, view.study) in NETWORKS
        wrong = np.divide(selection.jittered(view, rng).spacing, view.spacing)
        assert (abs(wrong - 1) <= 0.05).all()
        parts = np.divide(selection.cropped(view, rng).shape, view.shape)
        assert sorted(parts)[1:] == [1, 1]
        assert 0.2 < min(parts) <= 0.25
    assert {selection.drawn(rng, "membrane").content for _ in range(20)} == {"membrane"}


def test_what_fails_is_counted():
    def rule(view):
        if view.study == 1:
            raise FileNotFoundError
        return "gaussian-membrane"

    found = selection.counts(rule, "membrane", [], 100)
    assert found["failed"] + found["content"] == 100
    assert found["general"] == found["content"] > 0 == found["model"]
    assert 0 < found["failed"] < 100


def test_the_table_is_printed(capsys, monkeypatch):
    monkeypatch.setattr(selection, "IMAGES", 20)
    monkeypatch.setattr(selection, "TABLES", {"study missing": TABLES["study missing"]})
    assert selection.main() == 0
    head, kinds, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["published", "one", "cost"]
    assert kinds.split()[-4:] == ["model", "content", "general", "failed"]
    assert len(row.removeprefix("study missing").split()) == 8
