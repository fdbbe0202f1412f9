"""Metrics of volumes on disk: the values of those in memory, in the memory of a slab."""

import sys
from functools import cache

import numpy as np
import pytest
from house import ran
from mistakes import refused
from scipy import ndimage

from cytosuite.metrics import metrics_of
from cytosuite.metrics.evidence import Evidence, Facts, gather
from cytosuite.metrics.labels.prepare import without_border, without_small
from cytosuite.metrics.realism.scene import Scene
from cytosuite.volume import Volume
from cytosuite.volume.memory import is_mapped
from cytosuite.volume.pieces import distinct, extremes

PAIRED = [m for f in ("labels", "images", "realism") for m in metrics_of(f) if m.scope == "case"]
OF_SETS = [metric for metric in metrics_of("realism") if metric.scope == "set"]
SPACING = (2.0, 0.5, 0.7)


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
    for metric in metrics:
        values = [metric.of(evidence[metric.evidence]) for evidence in held]
        assert np.array_equal(values[0], values[1], equal_nan=True), metric.name


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
