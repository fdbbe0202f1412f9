"""Metrics and evidence: declared, found, documented, carried to other processes, gathered once."""

import pickle
import pydoc
import re
import sys
from importlib import import_module
from itertools import product
from math import isnan
from pathlib import Path

import numpy as np
import pytest
from house import ran
from known import facts
from mistakes import refused

from cytosuite import metrics
from cytosuite.metrics import (
    FAMILIES,
    assd,
    board_metrics,
    dice,
    metric,
    metrics_of,
    n_ssim,
    seg,
    w1,
)
from cytosuite.metrics.boards import BOARDS, Board
from cytosuite.metrics.evidence import CASE_FACTS, SET_FACTS, Evidence, Facts, gather
from cytosuite.metrics.images.pair import pair
from cytosuite.metrics.labels.ctc import missed
from cytosuite.metrics.labels.overlap import OVERLAP, Overlap
from cytosuite.metrics.metric import Metric, reference
from cytosuite.metrics.realism.scene import Scene
from cytosuite.metrics.tracks.biology import bc1
from cytosuite.volume import Volume

ALL = [metric for family in FAMILIES for metric in metrics_of(family)]
README = (Path(metrics.__file__).parent / "README.md").read_text(encoding="utf-8")
TABLES = "python -c \"from cytosuite.metrics.metric import reference; print(reference(), end='')\""
HEAVY = {"numba", "scipy"}
TRUTH = np.zeros((12, 12, 12), np.uint16)
TRUTH[3:9, 3:9, 3:9] = 1


def test_every_metric_is_described_and_travels_to_another_process():
    for entry in ALL:
        first = next(other for other in ALL if other.__name__ == entry.__name__)
        assert getattr(metrics, entry.__name__) is first, entry.name
        assert re.match(r"Return .*\.$", entry.description), entry.name
        assert entry.title, entry.name
        assert not entry.undefined or entry.undefined.startswith("when "), entry.name
        assert 0 < entry.tolerance <= 1e-6, entry.name
        assert "." not in entry.name
        assert entry.reference.startswith("10.") or entry.best is None, entry.name
        assert pickle.loads(pickle.dumps(entry)) is entry, entry.name
        assert pickle.loads(pickle.dumps(entry.evidence)) is entry.evidence, entry.name
        needs = CASE_FACTS if entry.scope == "case" else SET_FACTS
        assert set(entry.evidence.needs) <= set(needs), entry.name


def test_metrics_of_the_overlap_keep_their_range_in_every_situation(situations):
    for entry in (m for m in metrics_of("labels") if m.evidence is OVERLAP):
        value = entry(*situations.nothing_predicted())
        assert entry.worst is None or value == entry.worst or isnan(value), entry.name
        ends = sorted(end for end in (entry.best, entry.worst) if end is not None)
        for make in situations.ALL.values():
            truth, prediction = make()
            assert entry.best is None or not truth.any() or entry(truth, truth) == entry.best
            value = entry(truth, prediction)
            assert isinstance(value, float), entry.name
            assert entry.undefined if isnan(value) else not ends or value >= ends[0], entry.name
            assert isnan(value) or len(ends) < 2 or value <= ends[1], entry.name


def test_boards_show_their_families_primary_metrics_first():
    for task, board in BOARDS.items():
        shown = board_metrics(task)
        primary = shown[: len(board.primary)]
        assert tuple(metric.name for metric in primary) == board.primary
        assert {metric.family for metric in shown} == set(board.families)
        names = {metric.name for family in board.families for metric in metrics_of(family)}
        assert names - {metric.name for metric in shown} == set(board.without)
        assert all(metric.higher_is_better is not None for metric in primary)


def test_boards_that_make_no_sense_are_refused(monkeypatch):
    refused("^task paint: no board, expected one of segment, detect, track", board_metrics, "paint")
    board = Board(("labels", "tracks"), ("SEG",), ("oracle",))
    monkeypatch.setattr(import_module("cytosuite.metrics.metric"), "BOARDS", {"follow": board})
    refused("^metrics of task follow: the name '.*' is used twice", board_metrics, "follow")


def test_names_of_the_package_are_those_of_labels_first():
    assert (seg.family, missed.higher_is_better) == ("labels", False)
    with pytest.raises(AttributeError, match="module 'cytosuite.metrics' has no attribute 'iou'"):
        metrics.iou  # noqa: B018
    with pytest.raises(AttributeError):
        seg.best = 2.0


def test_importing_the_package_loads_no_family():
    assert {*sys.modules} >= HEAVY  # by this file
    code = "import sys, cytosuite.metrics; print(*sys.modules)"
    assert not HEAVY & {*ran(sys.executable, "-c", code).stdout.split()}


def test_help_shows_formula_arguments_range_and_source():
    text = pydoc.plain(pydoc.render_doc(seg))
    for part in ("SEG = 1/N sum_R J(R)", "overlap`: truth, prediction", "best 1, worst 0"):
        assert part in text
    assert "NaN when the truth holds no object" in text
    assert "doi:10.1093/bioinformatics/btu080" in text
    assert "It is `branching_correctness` with 1." in bc1.__doc__


def test_sets_of_images_with_a_voxel_size_are_no_arrays():
    for entry in (entry for entry in ALL if entry.evidence.form != "arrays"):
        refused("^expected a (Scene|Volume) or a list of them, found ndarray", entry, TRUTH, TRUTH)


@pytest.mark.parametrize(
    "best, worst, higher",
    [
        (1.0, 0.0, True),
        (0.0, 1.0, False),
        (0.0, None, False),
        (None, 0.0, True),
        (None, None, None),
    ],
)
def test_a_metric_made_elsewhere_has_a_direction_and_no_family(best, worst, higher):
    @metric("pairs", "Pairs", evidence=OVERLAP, best=best, worst=worst)
    def pairs(table: Overlap) -> float:
        """Return the number of overlapping pairs."""
        return table.shared.size

    assert pairs.higher_is_better is higher
    assert isinstance(pairs(np.ones(2, int), np.ones(2, int)), float)
    assert (pairs.family, pairs.scope, pairs.neutral) == ("", "case", None)


def test_the_tables_of_the_readme_are_those_of_the_metrics():
    if not README.endswith(f"\n\n{reference()}"):
        pytest.fail(f"the tables of cytosuite/metrics/README.md are those of: {TABLES}")
    assert TABLES in README


def test_each_example_of_the_readme_runs_alone():
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        namespace = {"__name__": "readme"}  # each can be pasted alone
        exec(block, namespace)
        declared = [value for value in namespace.values() if isinstance(value, Metric)]
        assert declared
        assert {value.family for value in declared if value not in ALL} <= {""}


def test_evidence_and_facts_are_gathered_once_and_only_if_needed():
    read = []
    case = Facts(
        {name: lambda n=name: read.append(n) or TRUTH for name in ("truth", "prediction", "image")}
    )
    gather([seg.evidence, dice.evidence], case)
    assert read == ["truth", "prediction"]
    gather([n_ssim.evidence], case)
    assert read == ["truth", "prediction", "image"]
    calls = []
    counted = Evidence(lambda truth: calls.append(truth) or len(calls), ("truth",))
    assert gather([counted] * 3, facts(truth=1)) == {counted: 1}
    assert calls == [1]


def test_missing_facts_are_named_and_leave_the_evidence_out():
    case = facts(truth=TRUTH, prediction=TRUTH)
    assert assd.evidence.missing(case) == ["spacing"]
    assert set(gather([assd.evidence, seg.evidence], case)) == {seg.evidence}


def test_images_of_a_set_are_known_by_their_form():
    assert w1.of(w1.evidence.of(facts(real__arrays=[TRUTH], synthetic__arrays=[TRUTH + 2]))) == 2
    scene = Scene(Volume(TRUTH, (1, 1, 1)), TRUTH)
    scenes = facts(real__scenes=[scene], synthetic__scenes=[scene])
    assert w1.evidence.missing(scenes) == ["real", "synthetic"]
    ready = {m.name for m in metrics_of("realism") if not m.evidence.missing(scenes)}
    assert {"region_similarity", "feature_distance", "patch_KID"} <= ready
    assert "label_AUC" not in ready


def test_sets_of_volumes_are_stacks_of_finite_numbers():
    grey = np.zeros((12, 12, 12))
    grey[2, 1, 1] = np.nan
    wrong = {
        "plane 2: grey values must be finite numbers": Volume(grey, (1, 1, 1)),
        "the image must be a ZYX stack": Volume(grey[0], (1, 1), "YX"),
    }
    kinds = {m.evidence for m in metrics_of("realism") if m.evidence.form == "volumes"}
    for kind, (message, image) in product(kinds, wrong.items()):
        refused(message, kind.gather, image, image)


def test_uses_are_handed_over_where_they_are_known():
    def joined(truth, spacing=None):
        return truth, spacing

    optional = Evidence(joined, ("truth",), uses=("spacing",))
    assert optional.of(facts(truth=1)) == (1, None)
    assert optional.of(facts(truth=1, spacing=(2, 2))) == (1, (2, 2))


def test_evidence_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match=r"^evidence: unknown facts \['mask'\]$"):
        Evidence(len, ("truth", "mask"))
    with pytest.raises(pickle.PicklingError, match="pair has no name"):
        pickle.dumps(Evidence(pair, ("truth",)))
