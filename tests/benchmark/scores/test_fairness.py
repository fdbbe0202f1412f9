"""What each method was given."""

from types import SimpleNamespace

import pytest

from cytosuite.benchmark.report.sections.fairness import view
from cytosuite.benchmark.runs.record import Record
from cytosuite.benchmark.scores.gather import domain_of, with_domain


@pytest.mark.parametrize(
    "trained, dataset, expected",
    [
        ("nuclei-diffusion/culture", "nuclei/culture", "this"),
        ("a folder, spheroid/mini", "spheroid/default", "this"),
        ("spheroid/tissue", "spheroid/mini", "same simulator"),
        ("nuclei/culture", "nuclei_2d", "other"),
        ("nuclei_2d", "nuclei_2d", "this"),
        ("no training", "nuclei_2d", "no training"),
        ("", "nuclei_2d", "not said"),
    ],
)
def test_the_domain_is_dataset_and_recipe_without_size_and_chain(trained, dataset, expected):
    assert domain_of(trained, dataset) == expected


def record(case, **words):
    fields = {"algorithm": "a", "version": "1.0.0", "key": "k", "status": "ok", "model": "m"}
    return Record(**{**fields, "case": case, **words})


def test_the_records_of_a_run_get_their_domain(make_dataset):
    records = {
        ("a", "case_1"): record("case_1", facts={"trained": "squares/tiny"}),
        ("b", "case_1"): record("case_1"),
    }
    extended = with_domain(records, make_dataset(1))
    assert extended["a", "case_1"].facts["domain"] == "this"
    assert extended["b", "case_1"].facts == {}


def test_times_are_medians_and_the_rest_is_what_the_network_leaves():
    facts = {"trained": "x"}
    runs = [
        record(str(n), facts=facts, inside_seconds=n, network_seconds=n / 4, peak_memory=n)
        for n in (1, 2, 8)
    ]
    runs.append(record("late", facts=facts, status="time-out"))
    heads, (cells,) = view(SimpleNamespace(ranked=[], records=dict(enumerate(runs))))
    assert heads[-3:] == ["network", "rest", "peak memory"]  # none has a time of the CPU
    assert cells[-3:] == ["500 ms", "1.5 s", "8 B"]
