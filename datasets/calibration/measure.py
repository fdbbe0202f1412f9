"""Measure the look of real and of simulated stacks, side by side, and their detector's noise."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count as counter
from math import copysign, inf, isfinite, nan, sqrt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from cytosuite.datasets.calibration.objects import edges, segment
from cytosuite.denoising.camera import (
    EXTREME,
    lag_of,
    level_of_neighbours,
    neighbour_correlation,
    noise_by_level,
    seen_late,
)
from cytosuite.files import FloatDict, FloatPair, IntTriple, TextDict, Texts, read_toml
from cytosuite.metrics.realism.arrangement import Properties, arrangement, numbers
from cytosuite.metrics.realism.features import object_features
from cytosuite.metrics.realism.scene import Scene, stack
from cytosuite.volume import Volume
from cytosuite.volume.arrays import (
    Array,
    Bools,
    Box,
    Columns,
    DoublePair,
    Doubles,
    Integers,
    Lengths,
)
from cytosuite.volume.objects import box_of, objects_in
from cytosuite.volume.pieces import evenly

Work = Callable[[Any], Any]
# Work and its pieces: yields number and result of each as it is done; both may have to pickle.
Each = Callable[[Work, Sequence[Any]], Iterable[tuple[int, Any]]]
Step = Callable[[float, int, str], None]  # done, total, note
CORRELATED = 0.12  # correlation of neighbours above which second differences miss noise
ENOUGH = 2.0  # the variance must grow this much from the darkest to the brightest level
SURE = 2.5  # standard errors by which something must differ from nothing
SURE_OFFSET = 0.25  # largest error of the offset by third cumulants, relative to its distance
LEAST_EXCESS = 0.15  # below it multiplication cannot be distinguished from none
Labels = Integers
RealStack = tuple[Volume, Labels | None]  # image, and its labels where it has some
NEAR_UM, WIDE_UM, FAR_UM = 2.0, 6.0, 12.0  # from objects: edge | halo | between | far
BESIDE_UM = 5.0  # from objects in the same plane, where the tissue itself shows
NARROW_UM = 12.0  # width of objects below which these distances shrink with it
SAMPLE = 20_000  # grey values kept of a stack, inside and outside of objects
CORE = 0.4  # of the largest distance to the border: deeper voxels are the core of an object
GRAIN_UM = 1.6  # lateral distance at which structure in a core is compared
LEAST_PAIRS = 30  # pairs of voxels in a core below which structure looks like noise
FEW = 4  # objects below which a stack has no spread or trend of its own
STATISTICS: Mapping[str, TextDict] = read_toml(Path(__file__).with_name("statistics.toml"))
VOLUME_STATISTICS = STATISTICS["volume"]
OBJECT_STATISTICS = STATISTICS["object"]


def in_turn(work: Callable[[Any], Any], pieces: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    """Do one piece after the other, in this process."""
    for number, piece in enumerate(pieces):
        yield number, work(piece)


def in_order(each: Each, work: Callable[[Any], Any], pieces: Sequence[Any]) -> list[Any]:
    """Return the results of all pieces in their order, however they are done."""
    results = dict(each(work, pieces))
    return [results[number] for number in range(len(pieces))]


def counted(each: Each, step: Step, total: int, note: str, turns: int = 1) -> Each:
    """Return `each` that shows how many of `total` stacks are there after their `turns` of work."""
    done = counter(1)

    def one_by_one(work: Callable[[Any], Any], pieces: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Yield as `each` does, and count."""
        for pair in each(work, pieces):
            step(min(next(done) / turns, total), total, note)
            yield pair

    return one_by_one


class Noise(NamedTuple):
    """Properties of a detector estimated from noise; NaN where that is not possible."""

    correlation: float  # of lateral neighbours in the dark part; 0 for an untouched image
    note: str = ""  # why a value is missing or uncertain
    slope: float = nan  # of the variance over the mean, counts: gain (1 + excess)
    gain: float = nan  # counts per photon
    excess: float = nan  # variance by multiplication / shot noise
    offset: float = nan  # counts in the dark
    read_counts: float = nan  # standard deviation of the electronic noise, counts
    lag: float = 0.0  # share of electrons that is read one x pixel later


def noise_of(image: Volume) -> Noise:
    """Return the properties of the detector, estimated from the noise of a ZYX stack.

    All NaN but the correlation where brightness varies too little. With correlated noise
    (resampled, denoised or compressed images) the numbers are too small; the note says so, as it
    does where few voxels leave multiplication in doubt (NaN) and gain is an upper limit.

    With photons of mean n the second and third cumulants of the counts are ``g² (1 + e) n + r²``
    and ``g³ (1 + e) (1 + 2e) n``: gain g and excess e follow from how both grow with the mean, the
    point where the line of the former reaches 0 is ``offset - r² / slope``. The lowest 1 % of
    voxels without light lie 2.33 r below the offset, so that both follow. Where the lowest voxels
    lie above that point, read noise and light everywhere look alike, and the third cumulant, 0 at
    the offset, decides; if it is too uncertain the darkest voxels are taken to have no light.
    Read noise is not late and hides a part of a lag, which its share of the noise gives back; a lag
    of 0.1 is not found (0) where reading makes four fifths of the noise of the brighter voxels.

    References
    ----------
    Janesick, Photon Transfer (SPIE 2007), doi:10.1117/3.725073; Immerkaer, Fast noise variance
    estimation, CVIU 64 (1996), doi:10.1006/cviu.1996.0060.
    """
    array = stack(image).astype(np.float64)
    correlation = neighbour_correlation(array)
    if min(array.shape[1:]) < 9 or array.shape[0] < 3:
        return Noise(correlation, "too few voxels for photon transfer")
    curve = noise_by_level(array, level_of_neighbours(array))
    mean, second, third, voxels = (values[curve[1] > 0] for values in curve)
    if not (len(mean) > 3 and second.max() > ENOUGH * second[0] > 0):
        return Noise(correlation, "the noise hardly grows with the signal: no photon transfer")
    slope, zero, _, _ = _line(mean, second, voxels / second**2)
    if not slope > 0:
        return Noise(correlation, "the noise does not grow with the signal: no photon transfer")
    steep, dark, steep_error, dark_error = _line(mean, third, voxels / second**3)
    lowest, bright = np.quantile(array, (0.01, 0.75)).tolist()
    root = EXTREME**2 - 4 * (zero - lowest) / slope
    read = slope / 2 * (EXTREME - copysign(sqrt(root), zero - lowest)) if root > 0 else 0.0
    if zero <= lowest and dark_error < SURE_OFFSET * abs(lowest - zero):
        read = sqrt(max(slope * (dark - zero), 0.0))
    read = min(read, sqrt(second[0]))
    # Read noise is not late: it hides as much of a lag as its share of the noise, here at most 2/3.
    lag = lag_of(array) / max(1 - read**2 / (slope * (bright - zero)), 1 / 3)
    seen, seen_third = seen_late(lag)
    full = slope / seen
    ratio, error = steep / seen_third / full, steep_error / seen_third / full  # g (1 + 2e)
    excess = 0.0
    if ratio - full > max(SURE * error, LEAST_EXCESS * full):
        excess = min((ratio - full) / (2 * full - ratio), 1.0) if ratio < 1.5 * full else 1.0
    note = ""
    if correlation > CORRELATED:
        note = "noise is correlated: gain and read noise are lower limits"
    gain = full / (1 + excess)
    if not (note or excess) and ratio + SURE * error > 1.5 * full:  # as of an EMCCD
        note = "multiplication cannot be told from gain, which may be half of that given"
        excess = nan
    return Noise(
        correlation,
        note,
        slope=full,
        gain=gain,
        excess=excess,
        offset=zero + read**2 / slope,
        read_counts=read,
        lag=lag,
    )


def _line(x: Doubles, y: Doubles, weights: Doubles) -> tuple[float, float, float, float]:
    """Return slope and zero of a weighted straight line, and the standard errors of both."""
    middle = float(np.average(x, weights=weights))  # there, slope and height err independently
    (slope, height), cov = np.polyfit(x - middle, y, 1, w=np.sqrt(weights), cov=True)
    if slope == 0:
        return 0.0, nan, nan, nan
    distance = height / slope
    error = sqrt(cov[1, 1] + distance**2 * cov[0, 0]) / abs(slope)
    return float(slope), float(middle - distance), sqrt(cov[0, 0]), error


class StackStatistics(NamedTuple):
    """A set of stacks and their statistics."""

    images: tuple[Volume, ...]
    annotated: int  # stacks with labels
    volumes: Columns  # VOLUME_STATISTICS (V,), one value per stack
    objects: Columns  # OBJECT_STATISTICS (N,), one per object; shapes of whole ones
    greys: tuple[DoublePair, ...]  # of each stack: in and out of objects, sampled
    arrangements: tuple[Columns, ...]  # of each stack, see `arrangement`
    notes: Texts = ()  # missing or uncertain values, with the reason

    @property
    def inside(self) -> Doubles:
        """Grey values in objects of all stacks."""
        return np.concatenate([inside for inside, _ in self.greys])

    @property
    def outside(self) -> Doubles:
        """Grey values out of objects of all stacks."""
        return np.concatenate([outside for _, outside in self.greys])

    def part(self, chosen: Sequence[int]) -> "StackStatistics":
        """Return the statistics of some of the stacks, without notes."""
        ends = np.cumsum(self.volumes["objects"]).astype(int)
        mask = np.isin(np.searchsorted(ends, np.arange(ends[-1]), side="right"), chosen)
        return StackStatistics(
            images=tuple(self.images[index] for index in chosen),
            annotated=self.annotated,
            volumes={name: values[list(chosen)] for name, values in self.volumes.items()},
            objects={name: values[mask] for name, values in self.objects.items()},
            greys=tuple(self.greys[index] for index in chosen),
            arrangements=tuple(self.arrangements[index] for index in chosen),
        )

    def median(self, name: str) -> float:
        """Return the median over stacks of a statistic, NaN if no stack has it."""
        return self.quantile(name, 0.5)

    def quantile(self, name: str, share: float) -> float:
        """Return a quantile over stacks of a statistic, NaN if no stack has it."""
        values = self.volumes[name][np.isfinite(self.volumes[name])]
        return float(np.quantile(values, share)) if values.size else nan


def measure(
    stacks: Sequence[RealStack],
    *,
    dark: float | None = None,
    each: Each = in_turn,
) -> StackStatistics:
    """Return the statistics of ZYX stacks of one kind, with labels or None (found by `segment`)."""
    rows, tables, arrangements, remarks, greys = zip(
        *in_order(each, partial(_measure, dark), stacks), strict=True
    )
    count = len(stacks)
    annotated = sum(labels is not None for _, labels in stacks)
    repeated = Counter(filter(None, remarks)).items()
    notes = [f"{times} of {count} stacks: {remark}" for remark, times in repeated]
    if annotated < count:
        notes.append(f"{count - annotated} of {count} stacks: objects by threshold only")
    return StackStatistics(
        images=tuple(image for image, _ in stacks),
        annotated=annotated,
        volumes={name: np.array([row[name] for row in rows]) for name in VOLUME_STATISTICS},
        objects={name: np.concatenate([part[name] for part in tables]) for name in tables[0]},
        greys=greys,
        arrangements=arrangements,
        notes=tuple(notes),
    )


def _sampled(values: Array) -> Doubles:
    """Return at most `SAMPLE` evenly spaced values."""
    return evenly(values, SAMPLE).astype(np.float64)


def _measure(
    dark: float | None, pair: RealStack
) -> tuple[FloatDict, Columns, Columns, str, DoublePair]:
    """Return statistics of a stack and its objects, their arrangement, a note on missing, greys."""
    image, labels = pair
    scene = Scene(image, segment(image) if labels is None else labels)
    free = scene.image.array[scene.labels == 0]
    background = float(np.median(free)) if free.size else nan
    noise = _spread(free - background) if free.size else nan
    detector = noise_of(scene.image) if dark is None else Noise(nan, offset=dark)
    placed = arrangement(scene.labels, scene.image.spacing, scene.image.array)
    table, depth = _objects(scene, placed, background, noise)
    width = finite_median(table["width_um"])
    scale = min(width / NARROW_UM, 1.0) if width > 0 else 1.0
    axial, lateral = edges(scene)
    summary = numbers(placed)
    row = {
        **dict.fromkeys(VOLUME_STATISTICS, nan),
        **summary,
        "hollow": summary["radius"],
        **{name: getattr(detector, name) for name in ("offset", "gain", "excess", "read_counts")},
        "noise_correlation": detector.correlation,
        "lag": detector.lag,
        "background": background,
        "noise": noise,
        **_surroundings(scene, scale, detector.offset if dark is None else dark),
        **_summary(table, depth),
        "edge_z_um": axial.width_um,
        "edge_xy_um": lateral.width_um,
        "label_level": lateral.level,
    }
    greys = (_sampled(scene.image.array[scene.labels > 0]), _sampled(free))
    return row, table, placed, detector.note, greys


def _spread(values: Doubles) -> float:
    """Return 1.4826 MAD, or the standard deviation where most values are the same whole number."""
    spread = float(1.4826 * np.median(np.abs(values)))
    return spread if spread > 0 else float(values.std())


def _objects(
    scene: Scene, placed: Properties, background: float, noise: float
) -> tuple[Columns, Doubles]:
    """Return the statistics of each object, and its depth in µm."""
    above = Volume(scene.image.array.astype(np.float64) - background, scene.image.spacing)
    features = object_features(Scene(above, scene.labels))
    signal = features["mean_intensity"]
    extent = np.full((len(signal), 3), nan)
    flat, texture, grain = (np.full(len(signal), nan) for _ in range(3))
    for place, (_, box, mask) in enumerate(objects_in(scene.labels.astype(np.int32, copy=False))):
        if not features["cut"][place]:
            extent[place] = [part.stop - part.start for part in box]
            texture[place], grain[place] = _texture(above.array[box], mask, scene.image.spacing)
    low, high = np.linalg.eigvalsh(placed["covariance"][:, 1:, 1:]).T
    flat[np.isin(features["label"], placed["label"])] = np.sqrt(high / low)
    flat[features["cut"]] = nan
    extent *= scene.image.spacing
    width = extent[:, 1:].mean(axis=1)
    table = {
        "volume_um3": features["volume_um3"],
        "height_um": extent[:, 0],
        "width_um": width,
        "elongation": extent[:, 0] / width,
        "principal": features["elongation"],
        "flatness": flat,
        "signal": signal,
        "snr": signal / noise if noise > 0 else np.full(len(signal), nan),
        "contrast": np.where(signal > 0, features["cv_intensity"], nan),
        "texture": texture,
        "grain": grain,
        "neighbour_um": features["neighbour_um"],
    }
    return table, features["depth_um"]


def _texture(above: Doubles, mask: Bools, spacing: Lengths) -> FloatPair:
    """Return the structure in the core of an object, without noise, and its grain."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    core = depth >= CORE * depth.max()
    mean = float(above[core].mean()) if core.any() else 0.0
    shared = _covariance(above, core, (1, 0, 0))
    if np.isnan(shared) or mean <= 0:
        return nan, nan
    y, x = (max(round(GRAIN_UM / step), 1) for step in spacing[1:])
    beside = np.array([_covariance(above, core, shift) for shift in ((1, y, 0), (1, 0, x))])
    finite = beside[np.isfinite(beside)]
    grain = float(finite.mean()) / shared if finite.size and shared > 0 else nan
    return float(np.sqrt(max(shared, 0.0))) / mean, float(np.clip(grain, -1, 1))


def _covariance(above: Doubles, core: Bools, shift: IntTriple) -> float:
    """Return the covariance of voxels of a core that a shift leads to each other, NaN of few."""
    near = tuple(slice(None, -step or None) for step in shift)
    far = tuple(slice(step, None) for step in shift)
    both = core[near] & core[far]
    if np.count_nonzero(both) < LEAST_PAIRS:
        return nan
    first = above[near][both]
    second = above[far][both]
    return float(((first - first.mean()) * (second - second.mean())).mean())


def _summary(table: Columns, depth_um: Doubles) -> FloatDict:
    """Return the medians over the objects of a stack, their spread, and the trend along z."""
    row = {name: finite_median(values) for name, values in table.items()}
    row["objects"] = float(len(table["signal"]))
    if np.isfinite(table["volume_um3"]).sum() < FEW:
        row["volume_cv"] = nan
    bright = table["signal"] > 0
    if bright.sum() > FEW and np.ptp(depth_um[bright]) > 0:
        depth = depth_um[bright]
        light = np.log(table["signal"][bright])
        trend = np.polyfit(depth, light, 1)
        rest = light - np.polyval(trend, depth)
        row["dimming"] = -float(trend[0])
        row["brightness_spread"] = float(np.sqrt((rest**2).sum() / (rest.size - 2)))
    return row


def _surroundings(scene: Scene, scale: float, offset: float) -> FloatDict:
    """Return light around objects relative to that inside, and the extent of all objects."""
    array, spacing, objects = scene.image.array, scene.image.spacing, scene.labels > 0
    box = box_of(objects)
    if box is None:
        return {}
    distance = ndimage.distance_transform_edt(~objects, sampling=spacing)

    def level(low: float, high: float) -> float:
        """Return the mean grey value at a distance from objects."""
        chosen = array[(distance >= low) & (distance < high)]
        return float(chosen.mean()) if chosen.size else nan

    far = level(FAR_UM, inf)
    dark = offset if np.isnan(far) else far
    above = float(array[objects].mean()) - dark
    inside = above if above > 0 else nan
    between = array[_between(objects, box, spacing, BESIDE_UM * scale)]
    glow = float(between.mean()) - dark if between.size >= 100 else nan
    extent = [(s.stop - s.start) * step for s, step in zip(box, spacing, strict=True)]
    return {
        "far": far,
        "halo": (level(NEAR_UM * scale, WIDE_UM * scale) - dark) / inside,
        "glow": glow / inside,
        "tissue_height_um": extent[0],
        "tissue_width_um": float(np.mean(extent[1:])),
        "middle": (box[0].start + box[0].stop) / 2 / len(array),
    }


def _between(objects: Bools, box: Box, spacing: Lengths, reach_um: float) -> Bools:
    """Return voxels near objects in the plane, within the ellipsoid in the box of all objects."""
    distance = sum(
        ((grid - (s.start + s.stop - 1) / 2) / ((s.stop - s.start) / 2)) ** 2
        for grid, s in zip(np.ogrid[tuple(map(slice, objects.shape))], box, strict=True)
    )
    flat = np.zeros(objects.shape, bool)
    for plane, out in zip(objects, flat, strict=True):
        if plane.any():
            out[:] = ndimage.distance_transform_edt(~plane, sampling=spacing[1:]) >= reach_um
    return np.asarray(flat & (distance <= 0.8**2))


def finite_or(value: float, otherwise: float = 0.0) -> float:
    """Return a number, or `otherwise` in place of NaN and infinity."""
    return float(value) if isfinite(value) else otherwise


def finite_median(values: Doubles) -> float:
    """Return the median of the finite values, NaN if there is none."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else nan
