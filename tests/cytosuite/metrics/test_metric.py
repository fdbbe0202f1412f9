import pickle
import pydoc
import subprocess
import sys
from importlib import import_module
from math import isnan

import numpy as np
import pytest

from cytosuite import metrics
from cytosuite.errors import InputError
from cytosuite.metrics import FAMILIES, board_metrics, metric, metrics_of
from cytosuite.metrics.boards import BOARDS, Board
from cytosuite.metrics.labels.ctc import ctc_errors, missed, seg
from cytosuite.metrics.labels.overlap import OVERLAP, Overlap, overlap
from cytosuite.metrics.labels.surfaces import hausdorff
from cytosuite.metrics.metric import Metric

LABELS = [found for found in metrics_of("labels") if found.evidence is OVERLAP]
ALL = [found for family in FAMILIES for found in metrics_of(family)]


def test_metrics_are_found_in_their_family_in_order():
    names = [found.name for found in metrics_of("labels")]
    assert names[:2] == ["SEG", "DET"]
    kinds = [(m.worst is None, m.best is None) for m in metrics_of("labels")]
    assert kinds == sorted(kinds)
    assert {"F1", "AP50", "PQ", "AJI", "Dice", "splits", "ASSD", "truth_count"} <= set(names)
    assert {found.family for found in metrics_of("labels")} == {"labels"}


@pytest.mark.parametrize("task", BOARDS)
def test_boards_show_their_families_primary_metrics_first(task):
    board, found = BOARDS[task], board_metrics(task)
    assert tuple(metric.name for metric in found[: len(board.primary)]) == board.primary
    assert {metric.family for metric in found} == set(board.families)
    names = {metric.name for family in board.families for metric in metrics_of(family)}
    assert names - {metric.name for metric in found} == set(board.without)
    assert all(metric.higher_is_better is not None for metric in found[: len(board.primary)])


def test_an_unknown_board_is_an_error():
    with pytest.raises(InputError, match="^task track: no board, expected one of segment, enhance"):
        board_metrics("track")


def test_a_name_used_twice_on_a_board_is_an_error(monkeypatch):
    board = Board(("labels", "tracks"), ("SEG",), ("oracle",))
    module = import_module("cytosuite.metrics.metric")
    monkeypatch.setattr(module, "BOARDS", {"follow": board})
    with pytest.raises(InputError, match="^metrics of task follow: the name '.*' is used twice"):
        board_metrics("follow")


@pytest.mark.parametrize("found", ALL, ids=lambda found: f"{found.family}-{found.name}")
class TestEveryMetricOfAllFamilies:
    def test_is_a_name_of_the_package_where_its_family_is_the_first_with_it(self, found):
        first = next(other for other in ALL if other.__name__ == found.__name__)
        assert getattr(metrics, found.__name__) is first

    def test_is_described(self, found):
        assert found.description.startswith("Return ")
        assert found.description.endswith(".")
        assert found.title
        assert found.undefined == "" or found.undefined.startswith("when ")
        assert 0 < found.tolerance <= 1e-6

    def test_survives_the_way_to_another_process(self, found):
        assert pickle.loads(pickle.dumps(found)) is found


@pytest.mark.parametrize("found", LABELS, ids=lambda found: found.name)
class TestEveryMetricOfTheOverlap:
    def test_is_best_where_all_is_right(self, found, situations):
        if found.best is not None:
            assert found(*situations.perfect()) == found.best

    def test_is_worst_where_nothing_is_predicted_or_undefined(self, found, situations):
        value = found(*situations.nothing_predicted())
        if found.worst is not None:
            assert value == found.worst or (isnan(value) and found.undefined)

    def test_never_fails_and_is_undefined_only_where_it_states_so(self, found, situation):
        value = found(*situation)
        assert isinstance(value, float)
        assert not isnan(value) or found.undefined.startswith("when ")

    def test_of_a_table_is_the_value_of_the_volumes(self, found, situations):
        value = found.of(overlap(*situations.merged()))
        assert found(*situations.merged()) == pytest.approx(value, nan_ok=True)


def test_metrics_are_names_of_the_package_and_labels_come_first():
    assert metrics.seg is seg
    assert metrics.seg.family == "labels"
    assert metrics.ssim(np.ones((11, 11)), np.ones((11, 11)), data_range=1.0) == 1
    with pytest.raises(AttributeError, match="module 'cytosuite.metrics' has no attribute 'iou'"):
        metrics.iou  # noqa: B018


def test_importing_the_package_loads_no_family():
    code = "import sys, cytosuite.metrics as m; m.seg if len(sys.argv) > 1 else None; "
    code += "print(any(name in sys.modules for name in ('numba', 'scipy')))"
    for more, loaded in (([], "False"), (["seg"], "True")):
        command = [sys.executable, "-c", code, *more]
        assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == loaded


def test_keeps_name_and_documentation_of_the_function():
    assert seg.__name__ == "seg"
    assert "Jaccard" in seg.__doc__
    assert seg.__module__ == ctc_errors.__module__


def test_help_shows_formula_arguments_range_and_source():
    text = pydoc.plain(pydoc.render_doc(seg))
    for part in ("SEG = 1/N sum_R J(R)", "overlap`: truth, prediction", "best 1, worst 0"):
        assert part in text
    assert "NaN when the truth holds no object" in text
    assert "doi:10.1093/bioinformatics/btu080" in text
    assert "truth, prediction, spacing, matching" in hausdorff.__doc__


def test_cannot_be_changed():
    with pytest.raises(AttributeError):
        seg.best = 2.0


def declare(**arguments) -> Metric:
    """Return a metric made of a function that counts pairs."""

    @metric("pairs", "Pairs", evidence=OVERLAP, **arguments)
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


def test_an_error_count_is_better_the_lower():
    assert missed.higher_is_better is False


def test_a_metric_made_elsewhere_has_no_family():
    assert declare().family == ""
    assert (declare().scope, declare().neutral) == ("case", None)
