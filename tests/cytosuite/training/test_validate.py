import numpy as np
import pytest

from cytosuite.errors import InputError
from cytosuite.metrics.evidence import Facts
from cytosuite.training.validate import hold_out, metric_named, score

ONE = np.array([[1, 1, 0, 0], [0, 0, 2, 2]])
HALF = np.array([[1, 1, 0, 0], [0, 0, 0, 0]])


def _facts(truth, prediction, **more):
    found = {"truth": truth, "prediction": prediction, **more}
    return Facts({name: lambda value=value: value for name, value in found.items()})


@pytest.mark.parametrize(("amount", "held"), [(0, 0), (1, 1), (3, 3), (0.2, 2), (0.25, 3)])
def test_cases_are_held_out_by_number_or_share(amount, held):
    cases = {"a": list(range(10)), "b": list(range(100, 110))}
    kept, out = hold_out(cases, amount)
    for role, given in cases.items():
        assert len(out[role]) == held
        assert sorted(kept[role] + out[role]) == given
    assert hold_out(cases, amount) == (kept, out)


@pytest.mark.parametrize("amount", [3, 0.99, 7])
def test_explains_that_no_case_is_left(amount):
    with pytest.raises(InputError, match="leaves none of the 3 cases of a to train on"):
        hold_out({"a": [1, 2, 3]}, amount)


def test_label_scores_are_pooled_over_the_cases():
    facts = [_facts(ONE, ONE), _facts(ONE, HALF)]
    assert score(metric_named("SEG"), facts) == pytest.approx(3 / 4)


def test_scores_of_images_are_averaged_over_the_cases():
    zeros = np.zeros((4, 4))
    facts = [_facts(zeros, zeros + k, data_range=1.0) for k in (1, 3)]
    assert score(metric_named("MAE"), facts) == pytest.approx(2)


def test_a_set_has_one_score():
    real, made = [np.zeros((4, 4))] * 2, [np.ones((4, 4))] * 2
    facts = Facts({"real:arrays": lambda: real, "synthetic:arrays": lambda: made})
    assert score(metric_named("W1"), [facts]) == pytest.approx(1)


def test_no_case_has_no_score():
    assert np.isnan(score(metric_named("MAE"), []))


def test_explains_unknown_and_describing_metrics_and_missing_facts():
    for name in ("SEGG", "label_AUC_change"):
        with pytest.raises(InputError, match=rf"expected one of SEG, .*, found '{name}'"):
            metric_named(name)
    with pytest.raises(InputError, match="MAE needs data_range, which the validation"):
        score(metric_named("MAE"), [_facts(ONE, ONE)])
