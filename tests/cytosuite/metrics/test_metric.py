"""Metrics and evidence: declared, found, documented, carried to other processes, gathered once."""

import pickle
import pydoc
import re
import sys
from functools import cache
from importlib import import_module
from itertools import product
from math import isnan
from pathlib import Path

import numpy as np
import pytest
from house import ran
from known import facts
from mistakes import refused
from scipy import ndimage

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
from cytosuite.metrics.labels.prepare import without_border, without_small
from cytosuite.metrics.metric import Metric, reference
from cytosuite.metrics.realism.scene import Scene
from cytosuite.metrics.tracks.biology import bc1
from cytosuite.volume import Volume
from cytosuite.volume.memory import is_mapped
from cytosuite.volume.pieces import distinct, extremes

ALL = [metric for family in FAMILIES for metric in metrics_of(family)]
README = (Path(metrics.__file__).parent / "README.md").read_text(encoding="utf-8")
TABLES = "python -c \"from cytosuite.metrics.metric import reference; print(reference(), end='')\""
HEAVY = {"numba", "scipy"}
TRUTH = np.zeros((12, 12, 12), np.uint16)
TRUTH[3:9, 3:9, 3:9] = 1
PAIRED = [m for f in ("labels", "images", "realism") for m in metrics_of(f) if m.scope == "case"]
OF_SETS = [metric for metric in metrics_of("realism") if metric.scope == "set"]
SPACING = (2.0, 0.5, 0.7)


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


@cache
def scene(seed, label=np.uint16, grey=np.uint16):
    """Return labels of blobs and a noisy image of them."""
    rng = np.random.default_rng(seed)
    shape = (50, 31, 29)
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), 2)
    labels, _ = ndimage.label(smooth > smooth.std())
    return labels.astype(label), (300 * (labels > 0) + rng.normal(200, 20, shape)).astype(grey)


def case(seed, label, grey, place=lambda array: array):
    """Return the facts about a case, its arrays put into some place."""
    truth, image = scene(seed, label, grey)
    shifted = np.roll(truth, 1, 1)
    blurred = ndimage.gaussian_filter(image, 1)
    masks = {"labels": truth, "truth": truth, "prediction": shifted}
    pictures = {"labels": truth, "truth": image, "prediction": blurred, "image": image[::-1]}

    def facts(metric):
        arrays = masks if metric.family == "labels" else pictures
        sources = {name: lambda a=array: place(a) for name, array in arrays.items()}
        sources |= {"spacing": lambda: SPACING, "data_range": lambda: 500.0}
        return Facts(sources)

    return facts


def equal(metrics, facts, places):
    """Hold that metrics have one value wherever their facts lie, bit by bit."""
    kinds = {metric.evidence: metric for metric in metrics}
    held = [{kind: kind.of(facts(place, m)) for kind, m in kinds.items()} for place in places]
    for measure in metrics:
        values = [measure.of(evidence[measure.evidence]) for evidence in held]
        assert np.array_equal(values[0], values[1], equal_nan=True), measure.name


@pytest.mark.parametrize("dtypes", [(np.uint16, np.uint16), (">u4", ">f4")], ids=str)
def test_a_case_on_disk_has_the_values_of_one_in_memory(dtypes, mapped):
    places = (lambda array: array), mapped
    equal(PAIRED, lambda place, metric: case(0, *dtypes, place)(metric), places)


def test_a_set_on_disk_has_the_values_of_one_in_memory(mapped):
    def facts(place, _):
        """Return the facts of two sets in their three forms."""
        sources = {}
        for side, seeds in (("real", (0, 1)), ("synthetic", (2, 3))):
            pairs = [tuple(map(place, scene(seed))) for seed in seeds]
            volumes = [Volume(image, SPACING) for _, image in pairs]
            scenes = [Scene(v, labels) for v, (labels, _) in zip(volumes, pairs, strict=True)]
            forms = {"arrays": [v.array for v in volumes], "volumes": volumes, "scenes": scenes}
            sources |= {
                f"{side}:{form}": lambda images=images: images for form, images in forms.items()
            }
        return Facts(sources)

    equal(OF_SETS, facts, ((lambda array: array), mapped))


@pytest.mark.parametrize("form", ["arrays", "volumes", "scenes"])
def test_an_image_that_evidence_has_no_memory_for_is_refused_in_one_line(form, monkeypatch):
    labels, image = scene(0)
    held = Volume(image, SPACING)
    content = {"arrays": image, "volumes": held, "scenes": Scene(held, labels)}[form]
    needs = Evidence(lambda **_: 1, ("real", "synthetic"), form=form, voxel_bytes=2**20)
    sources = {f"real:{form}": lambda: [content, content], f"synthetic:{form}": list}
    monkeypatch.setattr("cytosuite.volume.memory.free_gib", lambda: 40.0)
    refused(
        r"44950 voxels is too large: it needs 43.9 GiB .*, 40 GiB are free",
        gather,
        [needs],
        Facts(sources),
    )
    monkeypatch.setattr("cytosuite.volume.memory.free_gib", lambda: 44.0)
    assert gather([needs], Facts(sources)) == {needs: 1}


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float32])
def test_distinct_numbers_and_extremes_are_those_of_numpy(dtype, mapped, rng):
    array = rng.integers(-(2**40), 2**40, (7, 5, 6)).astype(dtype)
    for stored in (array, mapped(array), mapped(array)[:, ::2]):
        assert [v.item() for v in extremes(stored)] == [stored.min().item(), stored.max().item()]
        if stored.dtype.kind != "f":
            assert (distinct(stored) == np.unique(stored)).all()


def test_of_distinct_numbers_there_may_be_none_and_too_many():
    assert distinct(np.zeros((0, 3), int)).size == 0
    assert distinct(np.arange(2**21) >> 10 << 40, most=10).size == 2**10  # the first part's


def test_nan_is_an_extreme_wherever_it_lies():
    for place in (0, 3, 9):
        array = np.arange(10.0)
        array[place] = np.nan
        assert np.isnan(extremes(array)).all()


PEAK = """
import numpy as np, sys
from cytosuite.volume import memory
from cytosuite.metrics import assd, n_ssim, prediction_count, psnr, seg, ssim, w1
from cytosuite.metrics.labels.prepare import without_border, without_small
from cytosuite.metrics.labels.object_table import object_table

def volume(planes, dtype, seed):
    found = memory.room((planes, 512, 512), dtype)
    rng = np.random.default_rng(seed)
    blocks = np.arange(1, 65).reshape(8, 8).repeat(64, 0).repeat(64, 1)
    blocks[::64] = blocks[:, ::64] = 0
    for z in range(planes):
        found[z] = (z // 16 * 64 + np.roll(blocks, seed, 0)) * (blocks > 0) * (z % 16 > 0)
        memory.release(found)
    return found

def judge(truth, prediction, grey):
    seg(truth, prediction), prediction_count(truth), assd(truth, prediction, (1, 1, 1))
    object_table(truth, (1, 1, 1), grey, prediction)
    without_small(truth, prediction, 10**6), without_border(truth, 9)
    psnr(truth, prediction, data_range=1), ssim(truth, prediction, data_range=1)
    n_ssim(truth, prediction, grey), w1(truth, prediction)

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

memory.fits = lambda size: size < 2**24
planes = int(sys.argv[1])
few = [volume(16, dtype, seed) for seed, dtype in enumerate((np.uint16, np.uint16, np.float32))]
judge(*few)
volumes = [volume(planes, dtype, seed) for seed, dtype in enumerate((np.uint16, np.uint16, np.float32))]
before = peak()
judge(*volumes)
print(peak() - before, sum(v.nbytes for v in volumes) / 2**20, memory.is_mapped(volumes[0]))
"""


@pytest.mark.long
def test_the_memory_of_a_volume_on_disk_is_that_of_a_slab():
    # Each arena of the allocator keeps memory of its own, in some runs twice as much.
    run = ran(sys.executable, "-c", PEAK, "160", MALLOC_ARENA_MAX="1")
    assert run.returncode == 0, run.stderr
    more, size, on_disk = run.stdout.split()
    assert on_disk == "True"
    assert float(size) == 320
    assert float(more) < 100  # MiB


def test_volumes_of_noise_on_disk_are_refused(mapped, monkeypatch, rng):
    from cytosuite.metrics import seg

    noise = rng.integers(0, 2**31, (40, 80, 90))
    monkeypatch.setattr("cytosuite.metrics.labels.overlap.free_gib", lambda: 1e-3)
    assert seg(noise, noise) == 1
    refused(r"shape \(40, 80, 90\) overlap in so many pairs", seg, mapped(noise), noise)


def test_what_is_made_of_labels_on_disk_lies_on_disk(mapped, tight):
    truth, _ = scene(0)
    stored = mapped(truth)
    tight()
    for labels, expected in (
        (without_border(stored, 5), without_border(truth, 5)),
        (without_small(stored, stored, 90)[0], without_small(truth, truth, 90)[0]),
        (without_small(stored, stored, 90)[1], without_small(truth, truth, 90)[1]),
    ):
        assert is_mapped(labels)
        assert (labels == expected).all()
        assert (labels != truth).any()
    assert without_small(stored, stored, 0)[0] is stored
