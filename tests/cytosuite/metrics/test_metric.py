import pickle
from math import isnan

import numpy as np
import pytest

from cytosuite.errors import InputError
from cytosuite.metrics import Overlap, metric, metrics_for, overlap
from cytosuite.metrics.labels.ctc import ctc_errors, missed, seg

SEGMENT = [found for found in metrics_for("segment") if found.evidence is overlap]


def test_metrics_are_found_in_the_package_in_order():
    names = [found.name for found in metrics_for("segment")]
    assert names[:2] == ["SEG", "DET"]
    kinds = [(not m.primary, m.worst is None, m.best is None) for m in metrics_for("segment")]
    assert kinds == sorted(kinds)
    assert {"F1", "AP50", "PQ", "AJI", "Dice", "splits", "ASSD", "truth_count"} <= set(names)


def test_a_task_without_metrics_has_none():
    assert metrics_for("nothing") == ()


@pytest.mark.parametrize("found", SEGMENT, ids=lambda found: found.name)
class TestEveryMetric:
    def test_says_what_it_is(self, found):
        assert found.description.startswith("Return ")
        assert found.description.endswith(".")
        assert found.title
        assert found.best is None or found.reference.startswith("10.")

    def test_is_best_where_all_is_right(self, found, situations):
        if found.best is not None:
            assert found(*situations.perfect()) == found.best

    def test_is_worst_where_nothing_is_predicted_or_undefined(self, found, situations):
        value = found(*situations.nothing_predicted())
        if found.worst is not None:
            assert value == found.worst or (isnan(value) and found.undefined)

    def test_never_fails_and_is_undefined_only_where_it_says_so(self, found, situation):
        value = found(*situation)
        assert isinstance(value, float)
        assert not isnan(value) or found.undefined.startswith("when ")

    def test_of_a_table_is_the_value_of_the_volumes(self, found, situations):
        value = found.of(overlap(*situations.merged()))
        assert found(*situations.merged()) == pytest.approx(value, nan_ok=True)

    def test_survives_the_way_to_another_process(self, found):
        assert pickle.loads(pickle.dumps(found)) is found


def test_keeps_name_and_documentation_of_the_function():
    assert seg.__name__ == "seg"
    assert "Jaccard" in seg.__doc__
    assert seg.__module__ == ctc_errors.__module__


def test_cannot_be_changed():
    with pytest.raises(AttributeError):
        seg.best = 2.0


def declare(**arguments):
    """Return a metric made of a function that counts pairs."""

    @metric(evidence=overlap, task="segment", title="Pairs", **arguments)
    def pairs(table: Overlap) -> float:
        """Return the number of overlapping pairs."""
        return table.shared.size

    return pairs


@pytest.mark.parametrize(
    ("best", "worst", "higher"),
    [
        (1.0, 0.0, True),
        (0.0, 1.0, False),
        (0.0, None, False),
        (None, 0.0, True),
        (None, None, None),
    ],
)
def test_direction_follows_from_the_range(best, worst, higher):
    assert declare(best=best, worst=worst).higher_is_better is higher


def test_value_is_a_float_whatever_the_function_returns():
    assert isinstance(declare()(np.ones(2, int), np.ones(2, int)), float)


def test_name_is_that_of_the_function_by_default():
    assert (declare().name, declare(name="PAIRS").name) == ("pairs", "PAIRS")


def test_a_primary_metric_needs_both_ends():
    with pytest.raises(InputError, match=r"^metric pairs: a primary metric needs best and worst"):
        declare(best=1.0, primary=True)


def test_an_error_count_is_better_the_lower():
    assert missed.higher_is_better is False
