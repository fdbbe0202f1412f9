import numpy as np
import pandas as pd
import pytest

from cytosuite.benchmark.results.controls import broken_rulers, control_answer
from cytosuite.metrics import board_metrics
from cytosuite.volume import Volume

METRICS = {m.name: m for name in ("segment", "enhance") for m in board_metrics(name)}


def volume(*shape):
    return Volume(np.ones(shape, np.uint16), (1.0,) * len(shape))


def test_answers_of_the_controls():
    truth, image = volume(2, 3, 4), volume(2, 3, 4)
    given = (lambda: truth, lambda: image)
    assert control_answer("oracle", *given)() is truth
    assert control_answer("identity", *given)() is image
    blank = control_answer("blank", *given)()
    assert (blank.shape, blank.array.dtype, blank.array.max()) == ((2, 3, 4), np.uint16, 0)
    assert control_answer("real", *given) is None


def test_controls_without_what_they_need_have_no_answer():
    image = volume(2, 3, 4)
    assert control_answer("oracle", None, lambda: image) is None
    assert control_answer("blank", None, lambda: image) is None
    assert control_answer("identity", None, None) is None
    assert control_answer("identity", lambda: volume(4, 6, 8), lambda: image) is None


def scores(algorithm, metric, *values):
    cases = {"case": [f"case_{n}" for n in range(len(values))], "value": values}
    return pd.DataFrame({"algorithm": algorithm, "metric": metric, **cases})


def test_the_oracle_must_have_the_best_value():
    (line,) = broken_rulers(scores("oracle", "SEG", 1.0, np.nan, 0.9, 0.8), [METRICS["SEG"]])
    assert line == (
        "SEG gives the truth itself 0.9 instead of 1 on case_2: the metric is wrong, no score of "
        "this run can be trusted"
    )


def test_the_input_handed_in_as_the_answer_must_have_the_neutral_value():
    (line,) = broken_rulers(scores("identity", "N_SSIM", 0.0, 0.25), [METRICS["N_SSIM"]])
    assert line.startswith("N_SSIM gives the unchanged input 0.25 instead of 0 on case_1: ")


@pytest.mark.parametrize("name", ["SSIM", "SEG"])
def test_a_control_may_miss_its_value_by_the_tolerance(name):
    metric = METRICS[name]
    near, far = 1 - metric.tolerance / 2, 1 - metric.tolerance * 2
    assert broken_rulers(scores("oracle", name, near), [metric]) == []
    assert len(broken_rulers(scores("oracle", name, far), [metric])) == 1


def test_a_metric_that_does_not_compare_with_the_truth_is_passed_over():
    found = broken_rulers(scores("oracle", "label_AUC", 0.9), [METRICS["label_AUC"]])
    assert found == []
