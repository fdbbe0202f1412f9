from math import isnan

import numpy as np
import pytest

from benchmark.controls import broken_rulers
from benchmark.engines.outcome import Outcome
from benchmark.metrics import metric, overlap
from benchmark.plan import plan
from benchmark.ranking import COLUMNS
from benchmark.run import run_job
from benchmark.score import score


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
