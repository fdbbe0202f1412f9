from math import isnan

import numpy as np
import pytest

from benchmark.results.controls import broken_rulers
from benchmark.engines.outcome import Outcome
from cytosuite.metrics import metric, overlap
from benchmark.plan import plan
from benchmark.results.ranking import COLUMNS
from benchmark.run import run_job
from benchmark.results.score import by_condition, score


@pytest.fixture
def scored(tmp_path, watershed, fakes):
    """Return a function that runs an algorithm on a dataset and scores it."""

    def scored(dataset, behave):
        engine = fakes.Engine(behave)
        (job,) = plan(dataset, [watershed], engine, tmp_path / "run")
        run_job(job, dataset, engine, fakes.limits, "serve", lambda *_: None)
        return score(dataset, [job])

    return scored


def _values(found, algorithm, name):
    table = found.table
    rows = table[(table["algorithm"] == algorithm) & (table["metric"] == name)]
    return dict(zip(rows["case"], rows["value"], strict=True))


def test_a_perfect_algorithm_equals_the_oracle(scored, dataset, fakes):
    found = scored(dataset, fakes.perfect)
    assert tuple(found.table.columns) == COLUMNS
    for name in ("SEG", "DET", "F1"):
        assert _values(found, "watershed", name) == _values(found, "oracle", name)
        assert set(_values(found, "oracle", name).values()) == {1.0}
        assert set(_values(found, "blank", name).values()) == {0.0}
    assert found.pooled["oracle", "SEG"] == 1.0
    assert broken_rulers(found.table, found.metrics) == []


def test_a_failed_case_has_the_worst_value_and_counts_as_empty_when_pooled(scored, dataset, fakes):
    def behave(image, output):
        if image.array.sum() == 3 * 100 * 24:
            return Outcome("time-out", 9.0, None, None, "slow")
        return fakes.perfect(image, output)

    found = scored(dataset, behave)
    assert _values(found, "watershed", "SEG") == {"case_1": 1.0, "case_2": 1.0, "case_3": 0.0}
    assert found.pooled["watershed", "SEG"] == pytest.approx(3 / 6)
    assert isnan(_values(found, "watershed", "missed")["case_3"])
    assert found.pooled["watershed", "missed"] == 3
    failed = found.table[found.table["status"] == "time-out"]
    assert set(failed["case"]) == {"case_3"}


def test_pooled_values_count_objects_and_not_cases(scored, dataset, fakes):
    def behave(image, output):
        labels = np.zeros(image.shape, np.uint16)
        labels[1:3, 4:7, 5:9] = 1  # only the first object of each case
        fakes.write_labels(image, output, labels)

    found = scored(dataset, behave)
    values = _values(found, "watershed", "SEG")
    assert values == pytest.approx({"case_1": 1.0, "case_2": 1 / 2, "case_3": 1 / 3})
    assert found.pooled["watershed", "SEG"] == pytest.approx(3 / 6)


def _first_only(fakes):
    def behave(image, output):
        labels = np.zeros(image.shape, np.uint16)
        labels[1:3, 4:7, 5:9] = 1  # the first object of a case
        fakes.write_labels(image, output, labels)

    return behave


def test_the_objects_of_a_group_are_pooled(scored, dataset, fakes):
    found = by_condition(dataset, scored(dataset, _first_only(fakes)))
    squares, parity = found  # what is alike in all cases divides none
    assert (squares.name, squares.unit, squares.ordered) == ("squares", "", True)
    assert [(g.label, g.cases, g.objects) for g in squares.groups] == [
        ("below 3", ["case_1", "case_2"], 3),
        ("3 or more", ["case_3"], 3),
    ]
    seg = [group.scores["watershed", "SEG"].value for group in squares.groups]
    assert seg == pytest.approx([2 / 3, 1 / 3])
    assert (parity.name, parity.unit) == ("parity", "2")
    assert [len(group.cases) for group in parity.groups] == [1, 2]
    assert {group.scores["oracle", "DET"].value for group in parity.groups} == {1.0}


def test_a_group_of_all_cases_has_the_score_of_the_dataset(scored, make_dataset, fakes):
    dataset = make_dataset(0, 1, 2, 3, 4)  # the parity of none is not known
    found = scored(dataset, _first_only(fakes))
    parity = by_condition(dataset, found)[1]
    assert parity.unknown == 1
    odd, even = parity.groups[1], parity.groups[0]
    whole = found.pooled["watershed", "SEG"]
    sums = [group.scores["watershed", "SEG"].value * group.objects for group in (odd, even)]
    assert sum(sums) / (odd.objects + even.objects) == pytest.approx(whole)


def test_failed_cases_of_a_group_are_counted_and_empty(scored, dataset, fakes):
    def behave(image, output):
        if image.array.sum() == 3 * 100 * 24:
            return Outcome("time-out", 9.0, None, None, "slow")
        return fakes.perfect(image, output)

    few, many = by_condition(dataset, scored(dataset, behave))[0].groups
    assert (few.failed, many.failed) == ({}, {"watershed": 1})
    assert many.scores["watershed", "SEG"].value == 0.0


def test_intervals_need_three_cases_and_stay_in_the_range(scored, make_dataset, fakes):
    dataset = make_dataset(1, 2, 3, 4, 5)
    groups = by_condition(dataset, scored(dataset, _first_only(fakes)))[0].groups
    assert [len(group.cases) for group in groups] == [2, 3]
    for group, known in zip(groups, (False, True), strict=True):
        score = group.scores["watershed", "SEG"]
        assert isnan(score.low) is not known
        assert not known or 0.0 <= score.low < score.value < score.high <= 1.0
        assert isnan(group.scores["watershed", "missed"].low)  # a count has no upper end


def test_conditions_that_rise_together_are_named(scored, make_dataset, fakes):
    dataset = make_dataset(2, 3, 5)  # the odd ones are the larger ones
    squares, parity = by_condition(dataset, scored(dataset, fakes.perfect))
    # Ranks 1, 2, 3 and 1, 2.5, 2.5: 1.5 / sqrt(2 * 1.5)
    assert squares.goes_with == {"parity": pytest.approx(np.sqrt(3) / 2)}
    assert parity.goes_with == {"squares": pytest.approx(np.sqrt(3) / 2)}


def test_conditions_that_hardly_rise_together_are_not_named(scored, make_dataset, fakes):
    dataset = make_dataset(2, 3, 4, 5)  # rank correlation 0.45
    squares, _ = by_condition(dataset, scored(dataset, fakes.perfect))
    assert squares.goes_with == {}


def test_without_truth_there_is_nothing_to_break_down(scored, make_dataset, fakes):
    dataset = make_dataset(1, 3, annotated=False)
    assert by_condition(dataset, scored(dataset, fakes.perfect)) == []


def test_without_truth_only_objects_are_counted(scored, make_dataset, fakes):
    found = scored(make_dataset(1, 3, annotated=False), fakes.perfect)
    assert [metric.name for metric in found.metrics] == ["prediction_count"]
    assert _values(found, "watershed", "prediction_count") == {"case_1": 1.0, "case_3": 3.0}
    assert set(found.table["algorithm"]) == {"watershed"}


def test_a_broken_ruler_is_found(scored, dataset, fakes):
    found = scored(dataset, fakes.perfect)

    @metric(evidence=overlap, task="segment", title="Wrong", name="SEG", best=0.9)
    def wrong(table):
        """Return a wrong value."""

    (line,) = broken_rulers(found.table, [wrong])
    assert line.startswith("SEG gives the truth itself 1 instead of 0.9 on case_1: ")


def test_stale_records_are_not_scored(tmp_path, watershed, dataset, fakes):
    engine = fakes.Engine(fakes.perfect)
    (job,) = plan(dataset, [watershed], engine, tmp_path / "run")
    run_job(job, dataset, engine, fakes.limits, "serve", lambda *_: None)
    (other,) = plan(dataset, [watershed], fakes.Engine(fakes.perfect, "2"), job.folder.parent)
    assert score(dataset, [other]).records == {}
