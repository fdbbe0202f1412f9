"""One contract of all algorithms and metrics: an image changed in a known way has a known answer.

`CHANGES` holds the ways. An answer stays as it is and moves with the image; `OTHERWISE` is the
table of all that does not, with the factor, or the reason, which must be true of these images.
"""

import importlib
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import ndimage

from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.contract.select import describe, select
from cytosuite.contract.tasks import TASKS
from cytosuite.contract.weights import open_model, read_cards
from cytosuite.errors import InputError
from cytosuite.metrics import FAMILIES, f1, metrics_of, seg
from cytosuite.metrics.evidence import Facts
from cytosuite.metrics.realism.edges import TILE_UM
from cytosuite.metrics.realism.scene import Scene
from cytosuite.metrics.tracks.lineage import Track, TrackedSequence
from cytosuite.volume import Volume

BY = (1, 3, -2)  # voxels of the shift


def same(values):
    """Return what is given."""
    return values


def cast(dtype):
    """Return a function that changes the dtype."""
    return lambda array: array.astype(dtype)


def renamed(labels):
    """Return labels with other numbers in another order."""
    numbers = np.random.default_rng(1).permutation(np.arange(500, 500 + labels.max()))
    return np.append(0, numbers).astype(labels.dtype)[labels]


class Change(NamedTuple):
    """A way to change a case: its grey values, labels, places, units, or how often it is there."""

    grey: Callable[[Any], Any] = same
    labels: Callable[[Any], Any] = same
    moved: Callable[[Any], Any] = same  # voxels
    places: Callable[[Any, Any], Any] = lambda places, shape: places  # of points, of a shape
    gain: float = 1.0
    um: float = 1.0
    copies: int = 1

    @property
    def exact(self):
        """Whether the voxels stay where and as large as they are."""
        return self.moved is same and self.um == 1


CHANGES = {
    "signed": Change(cast("i4"), cast("i1")),
    "unsigned": Change(cast("u8"), cast("u8")),
    "byte order and strides": Change(
        lambda grey: np.asfortranarray(grey.astype(">u2")),
        lambda labels: np.asfortranarray(labels.astype(">i4")),
        places=lambda places, _: places.astype(">f8"),
    ),
    "half": Change(cast("f2")),
    "float": Change(cast("f4"), cast("i8")),
    "double": Change(cast(">f8"), cast(">u2")),
    "offset below 0": Change(lambda grey: (grey - 32768.0).astype("i2")),
    "large offset": Change(lambda grey: (grey + 3e9).astype("u4")),
    "gain": Change(lambda grey: grey * 2.0**20, gain=2.0**20),
    "shift": Change(
        moved=lambda a: np.roll(a, BY[-a.ndim :], range(a.ndim)),
        places=lambda places, shape: places + BY[-len(shape) :],
    ),
    "mirror": Change(
        moved=lambda a: a[..., ::-1, ::-1],
        places=lambda places, shape: np.where(
            [0, 1, 1][-len(shape) :], np.array(shape) - 1 - places, places
        ),
    ),
    "upside down": Change(
        moved=lambda a: a[::-1] if a.ndim == 3 else a,
        places=lambda places, shape: np.where(
            [1, 0, 0][-len(shape) :], np.array(shape) - 1 - places, places
        ),
    ),
    "units": Change(um=10.0),
    "names": Change(labels=renamed),
    "twins": Change(copies=2),
}

ALIKE = "alike"  # within 5 %; the same objects; the same image but for noise
LEVEL = "measures the level of the grey values"
TILES = "tiles begin at the first pixel"
HANN = "the middle of an image weighs most"
DRAWN = "patches are drawn by the order of voxels"
LENGTHS = "lengths in µm are part of the definition"
WITHIN = "no window reaches over the border"
DEPTH = "depth has a direction"
SIZE = "knows how large objects are in µm"
NOISE = ALIKE  # noise is drawn by the values
THINNED = ALIKE  # the order of voxels says which of an object's edge count
EDGES = [f"edge_degradation{part}" for part in ("", "_upper", "_middle", "_lower")]
PATCHES = ["patch_KID", "patch_FID"]
SPECTRA = ["lateral_spectrum_distance", "axial_spectrum_distance"]
REGIONS = ["region_similarity", "gap_similarity", "outside_similarity"]
ROUND_OBJECTS = ["label_AUC", "label_AUC_change", "structure_correlation", "edge_shift_um"]
ROUND_OBJECTS += ["objects_lost", "objects_invented", "contrast_kept"]
COUNTS = ["splits", "missed", "spurious", "truth_count", "prediction_count"]
COUNTS += ["count_error_absolute"]
OFFSET = dict.fromkeys(["SSIM", "NRMSE", "feature_distance", "object_similarity", *REGIONS], LEVEL)
OFFSET |= {"cyclegan3d ZYX": NOISE}
SIZED = ["watershed ZYX", "cellpose3d ZYX", "harmonicnet ZYX", "spots ZYX", "spots YX"]
SIZED += ["cyclegan3d ZYX", "N_IOU"]
OTHERWISE = {  # metrics by name; algorithms by name and axes
    "offset below 0": OFFSET,
    "large offset": OFFSET,
    "half": {"view_fusion ZYX": ALIKE},  # the answer is of half precision
    "gain": {"W1": 2.0**20, "cyclegan3d ZYX": NOISE},
    "shift": dict.fromkeys(EDGES, TILES)
    | dict.fromkeys(PATCHES, DRAWN)
    | dict.fromkeys(SPECTRA, HANN)
    | {"SSIM": WITHIN, "N_SSIM": WITHIN, "N_SSIM_centre": WITHIN}
    | {"contrast_kept": ALIKE, "N_IOU": ALIKE},  # backgrounds are of blocks
    "mirror": dict.fromkeys(PATCHES, DRAWN) | {"edge_shift_um": THINNED},
    "upside down": dict.fromkeys(PATCHES, DRAWN)
    | dict.fromkeys(EDGES, DEPTH)
    | {"edge_shift_um": THINNED},
    "units": dict.fromkeys(SIZED, SIZE)
    | dict.fromkeys(["ASSD", "HD", "HD95", "RMSE_lateral", "RMSE_axial"], 10.0)
    | dict.fromkeys([*EDGES, *PATCHES, *ROUND_OBJECTS, *REGIONS], LENGTHS),
    "names": {"diffusion YX": NOISE},
    "twins": dict.fromkeys(COUNTS, 2.0)
    | dict.fromkeys(PATCHES, DRAWN)
    | dict.fromkeys(EDGES, ALIKE),  # quantiles lie between values
}

SHAPE = (24, 64, 64)
SPACING = (TILE_UM / 16, TILE_UM / 32, TILE_UM / 32)


def nuclei(seed):
    """Return labels (Z, Y, X) of nine objects away from the borders."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(SHAPE, int)
    for number, (row, column) in enumerate(np.ndindex(3, 3), 1):
        middle = 8 + number * 5 % 9, 17 + 15 * row, 17 + 15 * column
        away = [
            (grid - at - rng.uniform(-1, 1)) ** 2
            for grid, at in zip(np.indices(SHAPE), middle, strict=True)
        ]
        inside = 4 * away[0] + away[1] * rng.uniform(0.8, 1.3) + away[2] < rng.uniform(18, 40)
        labels[inside & (labels == 0)] = number
    return labels


def film_of(labels, mother):
    """Return frames (5, Y, X) and rows of tracks: a cell divides, one of its daughters, too."""
    frames = np.stack([np.roll(labels.max(axis=0), t, axis=0) for t in range(5)])
    frames[:3][frames[:3] == 1] = 0  # another is seen late
    parents = {30: mother, 31: mother, 32: 30, 33: 30}
    for t, cell, first in [*((t, mother, 30) for t in (1, 2, 3, 4)), (3, 30, 32), (4, 30, 32)]:
        rows, columns = np.nonzero(frames[t] == cell)
        frames[t][rows, columns] = first + (rows > np.median(rows))
    times = {n: np.nonzero((frames == n).any(axis=(1, 2)))[0] for n in np.unique(frames) if n}
    return frames, [(n, int(t[0]), int(t[-1]), parents.get(n, 0)) for n, t in times.items()]


@cache
def world():
    """Return the things that metrics look at, as integers and as places."""
    rng = np.random.default_rng(0)
    truth = nuclei(0)
    far = nuclei(5)
    answer = np.roll(truth, (0, 1, 1), (0, 1, 2))
    answer[answer == 2], answer[answer == 4] = 0, 3  # one missed, two merged, one split, two false
    answer[(answer == 5) & (np.indices(SHAPE)[1] < 32)] = 20
    answer[4:7, 54:57, 54:57] = 21
    answer[4:7, 54:57, 8:11] = 22

    def image(labels, blur, noise):
        light = ndimage.gaussian_filter(
            1.0 * (labels > 0) * (9 + labels % 3), [blur / 2, blur, blur]
        )
        grey = 3000 + 5000 * light + rng.normal(0, noise, SHAPE)
        return grey.clip(0).astype("f2").astype(np.uint16)

    places = rng.uniform([8, 16, 16], [16, 48, 48], (30, 3))
    near = np.concatenate(
        [places[:18] + rng.normal(0, 0.6, (18, 3)), np.add(places[18:22], [0, 0, 3])]
    )
    return {
        "labels": (truth, answer, far),
        "grey": (
            image(truth, 0.6, 50),
            image(truth, 1, 300),
            image(truth, 2, 800),
            image(far, 1.5, 500),
        ),
        "places": (places, np.concatenate([near, rng.uniform(8, 16, (6, 3))])),
        "films": (film_of(truth, 6), film_of(answer, 6)),
    }


def facts_of(family, change):
    """Return the facts that the metrics of a family take."""
    things = world()
    truth, prediction, apart = (change.moved(change.labels(labels)) for labels in things["labels"])
    sharp, restored, image, far = (change.moved(change.grey(grey)) for grey in things["grey"])
    spacing = tuple(change.um * step for step in SPACING)
    case = {"truth": truth, "prediction": prediction, "spacing": spacing}
    if family == "images":
        case = {"truth": sharp, "prediction": restored, "image": image, "spacing": spacing}
        case["data_range"] = 65535 * change.gain
    elif family == "points":
        places, near = (change.places(side, SHAPE) for side in things["places"])
        case |= {"truth": places, "prediction": near, "labels": truth}
        case["radius_um"] = 3 * spacing[-1]
    elif family == "tracks":
        case["truth"], case["prediction"] = (film(*rows, change) for rows in things["films"])
    elif family == "realism":
        case |= {"prediction": restored, "image": image, "labels": truth}
        sides = {
            "real": ((sharp, truth), (restored, truth)),
            "synthetic": ((image, truth), (far, apart)),
        }
        for side, pairs in sides.items():
            scenes = [
                Scene(Volume(grey, spacing), labels) for grey, labels in pairs
            ] * change.copies
            volumes = [scene.image for scene in scenes]
            forms = {"arrays": [volume.array for volume in volumes], "volumes": volumes}
            case |= {
                f"{side}:{form}": images for form, images in (forms | {"scenes": scenes}).items()
            }
    return Facts({name: lambda value=value: value for name, value in case.items()})


def film(frames, rows, change):
    """Return a changed film."""
    names = change.labels(np.arange(frames.max() + 1)).tolist()
    tracks = [Track(names[n], begin, end, names[parent]) for n, begin, end, parent in rows]
    return TrackedSequence(tracks, [change.moved(frame) for frame in change.labels(frames)])


@cache
def values_of(family, change):
    """Return the value of every metric of a family, by name."""
    facts, evidence, values = facts_of(family, change), {}, {}
    for metric in metrics_of(family):
        kind = metric.evidence
        if kind not in evidence:
            gathered = kind.of(facts)
            evidence[kind] = kind.pool([gathered] * change.copies) if kind.pool else gathered
        values[metric.name] = metric.of(evidence[kind])
    return values


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", CHANGES)
def test_metrics_of_a_changed_case_are_those_of_the_table(name, family):
    before = values_of(family, Change())
    after = values_of(family, CHANGES[name])
    for metric, value in before.items():
        expected = OTHERWISE.get(name, {}).get(metric, 1.0)
        factor, near = (1.0, 0.05) if expected == ALIKE else (expected, 1e-5)
        if isinstance(factor, str):
            assert after[metric] != pytest.approx(value, rel=near), f"{metric}: {expected}"
        else:
            good = pytest.approx(factor * value, rel=near, abs=1e-9, nan_ok=True)
            assert after[metric] == good, metric


def test_the_case_of_the_table_has_a_value_of_every_metric():
    values = {name: v for family in FAMILIES for name, v in values_of(family, Change()).items()}
    assert [name for name, value in values.items() if np.isnan(value)] == []
    subjects = {subject for row in OTHERWISE.values() for subject in row}
    assert subjects <= {*values, *(f"{name} {axes}" for name, axes in SERVED)}


ALGORITHMS = algorithms()
ONE_STEP = {"diffusion": "culture-nuclei-2d-once"}  # in place of twenty
CARDS = {
    name: [
        c for c in read_cards(ROOT / "weights" / name, name) if ONE_STEP.get(name, c.name) == c.name
    ]
    for name, manifest in ALGORITHMS.items()
    if manifest.task != "sample"  # of a request there is no image to change
    and not (ROOT / "algorithms" / name / "requirements.txt").exists()  # tools, as they are
}
SERVED = [
    (name, axes)
    for name, cards in CARDS.items()
    for axes in ("ZYX", "YX")
    if any(card.describes.get("axes", axes) == axes for card in cards)
]
PLACES = [(4, 22, 26), (5, 24, 56), (6, 52, 22), (5, 54, 54)]


def case_of(name, axes, change):
    """Return the inputs of an algorithm: an image of four objects, or their labels."""
    task = TASKS[ALGORITHMS[name].task]
    needs = ALGORITHMS[name].needs
    wide, edge, long = (2, 1, 1) if task.name == "detect" else (9, 3, 9)
    z, y, x = np.indices((12, 80, 80))
    away = [long * (z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2 for a, b, c in PLACES]
    light = sum(np.exp(-((square / wide**2) ** edge)) * (9 - n) for n, square in enumerate(away))
    noise = np.random.default_rng(0).normal(0, 0.05, z.shape)
    grey = ((light + noise + 2) * 5000).astype("f2").astype(np.uint16)
    labels = ndimage.label(light > 3)[0].astype(np.uint16)
    step = change.um * (0.1 if task.name == "detect" else 0.5)
    spacing, part = ((3 * step, step, step), ...) if axes == "ZYX" else ((step, step), 5)

    def volume(array):
        return Volume(change.moved(array), spacing, axes, {"channel": "nucleus"})

    kinds = {
        "image": lambda: volume(change.grey(grey[part])),
        "labels": lambda: volume(change.labels(labels[part])),
    }
    sockets = [s for s in task.inputs if s.kind in kinds and (not s.optional or s.slug in needs)]
    sockets = sockets or [s for s in task.inputs if s.slug == "instance-labels"]
    return {socket.slug: kinds[socket.kind]() for socket in sockets}


@cache
def answer_of(name, axes, change):
    """Return the answer of an algorithm with the model that it would choose, and its task."""
    inputs = case_of(name, axes, change)
    task = TASKS[ALGORITHMS[name].task]
    card = select(CARDS[name], describe(next(iter(inputs.values()))), ALGORITHMS[name].select).card
    predict = importlib.import_module(f"cytosuite.algorithms.{name}.predict").predict
    for _ in range(change.copies):
        answer = predict(inputs, open_model(ROOT / "weights" / name, card))
    return answer[task.outputs[0].slug].array


def clear(places):
    """Return the clearest spots, in an order of their own."""
    first = places[: len(PLACES)]
    return first[np.lexsort(first.T)]


def smooth(image):
    """Return an image without most of its noise."""
    return ndimage.gaussian_filter(image.astype(float), [1, 3, 3][-image.ndim :])


def agree(kind, after, expected, exact):
    """Return whether two answers are the same, or alike."""
    if after.ndim != expected.ndim or (kind != "points" and after.shape != expected.shape):
        return False
    if kind == "points":
        return len(after) >= len(PLACES) and np.allclose(
            clear(after), clear(expected), atol=1e-3 if exact else 0.05, rtol=0
        )
    if kind == "labels":
        alike = f1(expected, after) == 1 and seg(expected, after) > 0.7
        return (after != expected).mean() < 1e-3 if exact else alike  # but for rounding
    if exact:
        return np.allclose(after, expected, rtol=0, atol=3e-5 * np.ptp(expected.astype(float)))
    sides = smooth(after), smooth(expected)
    return np.corrcoef(*map(np.ravel, sides))[0, 1] > 0.85 and np.allclose(
        *(side.std() for side in sides),
        rtol=0.2,  # four nuclei, each as bright as it is drawn
    )


@pytest.mark.parametrize(
    "change, name, axes",
    [
        (change, name, axes)
        for change in CHANGES
        for name, axes in SERVED
        if change != "names" or ALGORITHMS[name].task == "synthesise"  # others see no labels
    ],
)
def test_answers_to_a_changed_image_are_those_of_the_table(change, name, axes):
    changed = CHANGES[change]
    task = TASKS[ALGORITHMS[name].task]
    kind = task.outputs[0].kind
    expected = answer_of(name, axes, Change())
    assert len(np.unique(expected)) > 4
    if kind == "points":
        expected = changed.places(expected, (12, 80, 80)[-len(axes) :])
    else:
        expected = changed.moved(changed.grey(expected) if task.name == "fuse" else expected)
    rule = OTHERWISE.get(change, {}).get(f"{name} {axes}", "")
    with suppress(InputError) if rule == SIZE else nullcontext():  # voxels may be too large for it
        held = agree(
            kind, answer_of(name, axes, changed), expected, changed.exact and rule != ALIKE
        )
        assert held == (rule in ("", ALIKE)), rule
