from itertools import pairwise

import numpy as np
import pytest
from known import facts
from mistakes import refused

from cytosuite.contract.progress import report
from cytosuite.metrics.evidence import Facts
from cytosuite.training import validate
from cytosuite.training.settings import Schedule, Validation
from cytosuite.training.validate import hold_out, in_sight, metric_named, score, wanted_metrics

ONE = np.array([[1, 1, 0, 0], [0, 0, 2, 2]])
HALF = np.array([[1, 1, 0, 0], [0, 0, 0, 0]])
SAME = facts(truth=ONE, prediction=ONE)


def _score(name, facts):
    return score([metric_named(name, ranks=False)], facts)[name]


@pytest.mark.parametrize("amount, held", [(0, 0), (3, 3), (0.25, 3)])
def test_cases_are_held_out_by_number_or_share(amount, held):
    cases = list(range(100, 110))
    rest, out = hold_out(cases, amount, "a")
    assert len(out) == held
    assert sorted(rest + out) == cases
    assert hold_out(cases, amount, "a") == (rest, out)


def test_explains_that_no_case_is_left():
    refused("leaves none of the 3 cases of a to train on", hold_out, [1, 2, 3], 0.99, "a")


def test_explains_unknown_and_describing_metrics_and_missing_facts():
    for name in ("SEGG", "label_AUC_change"):
        refused(rf"expected one of SEG, .*, found '{name}'", metric_named, name)
    refused("MAE needs data_range, which the validation", _score, "MAE", [SAME])


def test_metrics_take_the_facts_that_they_need_and_read_them_once():
    read = []
    zeros = [np.zeros((4, 4))] * 2
    cases = (
        *(
            Facts({"truth": lambda: ONE, "prediction": lambda v=v: read.append(v) or v})
            for v in (ONE, HALF)
        ),
        facts(real__arrays=zeros, synthetic__arrays=[zeros[0] + 2] * 2),
    )
    names = ("SEG", "W1", "splits", "prediction_count")
    scores = score([metric_named(name, ranks=False) for name in names], iter(cases))
    assert list(scores) == list(names)
    assert (scores["SEG"], scores["W1"], scores["splits"]) == (pytest.approx(3 / 4), 2, 0)
    assert [scores[name] for name in names] == [_score(name, cases) for name in names]
    assert len(read) == 2


def test_the_chosen_metric_comes_first_and_each_counts_once():
    rules = Validation(every=1, metric="W1", cases=1, also=("label_AUC_change", "W1", "SEG"))
    assert [metric.name for metric in wanted_metrics(rules)] == ["W1", "label_AUC_change", "SEG"]
    refused(
        r"validation\.also: expected one of SEG, .*, found 'W7'",
        wanted_metrics,
        rules.model_copy(update={"also": ("W7",)}),
    )


def test_explains_which_further_metric_lacks_facts():
    # Of several incomplete facts those that lack least are meant.
    refused(
        r"validation\.also: HD needs spacing, which the valid",
        score,
        [metric_named("SEG"), metric_named("HD")],
        [SAME, facts(real__arrays=[ONE])],
    )


def _rates(**options):
    schedule = Schedule(steps=101, learning_rate=2e-3, warm_up=0.1, **options)
    return [schedule.rate(step) for step in range(101)]


@pytest.mark.parametrize("fall", ["cosine", "linear"])
def test_the_rate_may_be_held_before_it_falls_or_stay(fall):
    rates = _rates(fall=fall, hold=0.5)
    assert rates[10:56] == pytest.approx([2e-3] * 46)
    steps = [before - after for before, after in pairwise(rates[55:])]
    assert min(steps) > 0
    assert (max(steps) == pytest.approx(min(steps))) is (fall == "linear")
    assert rates[-1] == pytest.approx(2e-7)
    assert _rates(fall="none")[10:] == pytest.approx([2e-3] * 91)


def test_a_validation_tells_how_far_it_is_also_within_a_case(monkeypatch):
    now = {"s": 0.0}
    lines = []
    monkeypatch.setattr(validate.time, "perf_counter", lambda: now["s"])

    def facts():
        for _ in range(2):
            for tile in range(4):
                now["s"] += 3.0
                report(tile, 4)
            yield Facts({})

    assert len(list(in_sight(facts(), 2, lines.append))) == 2
    assert lines == [
        "validation of 2 held-out cases",
        "validation: 0.25 of 2 cases",  # all may yet come at once
        "validation: 0.75 of 2 cases",
        "validation: 1.25 of 2 cases, 0 min 11 s left",
        "validation: 1.75 of 2 cases, 0 min 03 s left",
    ]
    report(1, 2)  # outside nobody listens
    assert len(lines) == 5
