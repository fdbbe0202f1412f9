"""The working grid of an image, on which nuclei have the size of the training."""

from collections.abc import Sequence
from dataclasses import replace
from math import exp, log, pi, prod, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.algorithms.cellpose3d.parameters import Parameters, Trained
from cytosuite.contract.spacing import text
from cytosuite.errors import InputError
from cytosuite.networks.normalise import background_of, normalise
from cytosuite.networks.tiling import Box
from cytosuite.volume import Volume
from cytosuite.volume.large import release, taken

Floats = NDArray[np.float32]

_RANGE = 5.0  # diameters from a fifth of the expected one to five times
_SCALES = 15
_SLICES, _PIXELS = 12, 3_000_000  # slices, and pixels in them, that suffice for a typical size
_FAINTEST = 0.05  # response of a blob as bright as the background's noise, normalised
_SPREAD = 0.8  # of ln diameter about the expected one
_FAR = 2.0  # nuclei that differ by more than this factor from the training's are worth a warning
_ENLARGED = 40.0  # voxels of the working grid per voxel of the image: more show nothing more
_ENOUGH = 5  # objects away from the border show the typical size
_NEAR = 0.1  # |ln| of a diameter by the network over the one it saw that changes nothing
_STRONG = 0.7  # blobs weaker than this part of the strongest do not count
_TRUNCATE = 3.0  # standard deviations of the Gaussian against aliasing


class Scale(NamedTuple):
    """The working grid of an image, and its reason."""

    factor: tuple[float, ...]  # working voxels per voxel of the image, z y x
    spacing: tuple[float, ...]  # µm per voxel of the image at the scale of the training, z y x
    ratio: float  # diameter of the image's nuclei divided by the training's
    source: str  # of the ratio: "given" by the user, "estimated", by the "network", or "trained"
    warnings: tuple[str, ...] = ()  # remarks that a user must see


def choose_scale(
    image: NDArray[Any], volume: Volume, trained: Trained, parameters: Parameters
) -> Scale:
    """Return the grid by `diameter_um` or an estimate; InputError for an image 40 times larger."""
    voxel, diameter = trained.spacing, trained.diameter_um
    given, ratio, source = volume.metadata.get("diameter_um"), 1.0, "trained"
    if given is not None:
        if not isinstance(given, int | float) or not given > 0:
            raise InputError(f"diameter_um must be a positive number of µm, found {given!r}")
        ratio, source = given / diameter, "given"
    elif parameters.diameter != "trained" or volume.spacing_is_assumed:
        count = min(_SLICES, max(1, _PIXELS // (image.shape[1] * image.shape[2])))
        places = np.linspace(0, image.shape[0] - 1, count + 2)[1:-1]
        typical = np.asarray(image[np.unique(places.round().astype(int))])
        release(image)
        slices = normalise(typical, background_of(image, parameters.quietest))
        found = estimate_diameter(slices, (voxel[0], *volume.spacing)[-3:], diameter)
        tolerated = 1.0 if volume.spacing_is_assumed else parameters.diameter_tolerance
        if found is not None and abs(log(found / diameter)) > log(tolerated):
            ratio, source = found / diameter, "estimated"
    own, factor = _grid(volume.spacing, ratio, trained, parameters)
    size = f"{text(volume.spacing)} µm"
    if (more := prod(factor)) > _ENLARGED:
        unit, cause = "µm", f"voxels of {size} (z, y, x) are too large"
        if parameters.network.dimensions == 2:
            unit, cause = "px", f"{ratio * diameter:.3g} px are too few"
        raise InputError(
            f"the model is for nuclei or cells of {diameter:.3g} {unit}, for which {cause}: the "
            f"image would be enlarged {more:.0f} times; check channel (--channel) and voxel size "
            "(--spacing), or give --diameter"
        )
    odd = source == "estimated" and not volume.spacing_is_assumed and abs(log(ratio)) > log(_FAR)
    warning = (
        f"nuclei odd: with voxels of {size} they look {ratio * diameter:.3g} µm wide, those of "
        f"the model are {diameter:.3g} µm; rescaled to fit, check the voxel size"
    )
    return Scale(factor, own, ratio, source, (warning,) if odd else ())


def in_pixels(volume: Volume) -> Volume:
    """Return a plane with pixels of 1 µm, and the user's diameter in pixels."""
    facts = {**volume.metadata, "spacing_source": "assumed"}
    given = facts.get("diameter_um")
    if isinstance(given, int | float) and not volume.spacing_is_assumed:
        facts["diameter_um"] = given / volume.spacing[-1]
    return replace(volume, spacing=(1.0, 1.0), metadata=facts)


def scale_of_objects(
    labels: NDArray[Any], scale: Scale, trained: Trained, parameters: Parameters
) -> Scale:
    """Return the scale by the median diameter of the objects found in a plane (1, Y, X)."""
    edge = np.concatenate([labels[:, [0, -1]].ravel(), labels[:, :, [0, -1]].ravel()])
    areas = np.bincount(labels.ravel())[1:]
    whole = np.delete(areas, np.unique(edge[edge > 0]) - 1)
    areas = whole if len(whole) >= _ENOUGH else areas
    if not len(areas):
        return scale
    ratio = 2 * sqrt(float(np.median(areas)) / pi) / trained.diameter_um
    if abs(log(ratio / scale.ratio)) <= _NEAR:
        return scale
    spacing, factor = _grid(
        [step * scale.ratio for step in scale.spacing[1:]], ratio, trained, parameters
    )
    return Scale(factor, spacing, ratio, "network", scale.warnings)


def _grid(
    spacing: Sequence[float], ratio: float, trained: Trained, parameters: Parameters
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return voxel size at the scale of the training, and working voxels per voxel, z y x."""
    # A plane is as thick as a slice of the training at any scale.
    own = (trained.spacing[0], *(step / ratio for step in spacing))[-3:]
    factor = tuple(old / new for old, new in zip(own, trained.spacing, strict=True))
    if all(abs(log(part)) <= parameters.rescale_tolerance + 1e-9 for part in factor):
        factor = (1.0,) * len(factor)  # the image is used as it is
    return own, factor


def estimate_diameter(slices: Floats, spacing: Sequence[float], expected_um: float) -> float | None:
    """Return the typical lateral diameter of bright blobs in µm, None where no blob stands out.

    Maxima in scale and place of the scale-normalised Laplacian of Gaussian in each normalised slice
    (Z, Y, X); a disc of radius r responds most at sigma = r / sqrt(2). The median over blobs,
    weighted with strength and diameter; smallest and largest scale do not count.
    Lindeberg, International Journal of Computer Vision 30 (1998) 79, doi:10.1023/A:1008045108935.
    """
    widest = min(slices.shape[1] * spacing[1], slices.shape[2] * spacing[2])
    diameters = [expected_um * _RANGE ** (2 * i / (_SCALES - 1) - 1) for i in range(_SCALES)]
    diameters = [d for d in diameters if 3 * max(spacing[1:]) <= d <= widest]
    if len(diameters) < 3:
        return None
    response = np.stack([_laplacian(slices, spacing, d / (2 * sqrt(2))) for d in diameters])
    peak = response == ndimage.maximum_filter(response, (3, 1, 5, 5))
    peak[[0, -1]] = False
    scale, *_ = where = np.nonzero(peak & (response > _FAINTEST))
    if not scale.size:
        return None
    logs = np.log(np.asarray(diameters))[scale]
    # Among blobs of many sizes (a whole embryo is one) the expected size is the likelier.
    weight = response[where] * np.exp(-0.5 * ((logs - log(expected_um)) / _SPREAD) ** 2)
    strong = weight > _STRONG * weight.max()
    logs, weight = logs[strong], weight[strong] * np.exp(logs[strong])
    order = np.argsort(logs, kind="stable")
    middle = np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)
    return exp(float(logs[order][middle]))


def _laplacian(slices: Floats, spacing: Sequence[float], sigma_um: float) -> Floats:
    """Return ``-sigma^2`` times the Laplacian of the smoothed slices, positive in bright blobs."""
    sigma = (0.0, sigma_um / spacing[1], sigma_um / spacing[2])
    smooth = ndimage.gaussian_filter(slices, sigma, mode="nearest", truncate=3.0)
    total = np.zeros_like(slices)
    for axis in (1, 2):
        # Differences, as a truncated kernel of derivatives responds to a constant too.
        inner, values = np.moveaxis(total, axis, 0)[1:-1], np.moveaxis(smooth, axis, 0)
        inner += np.float32(sigma[axis] ** 2) * (2 * values[1:-1] - values[:-2] - values[2:])
    total[:, [0, -1]] = total[:, :, [0, -1]] = 0  # no neighbours beyond the border
    return total


class Stencil(NamedTuple):
    """Places of the voxels of one grid on another over the same box, along one axis."""

    low: NDArray[np.intp]  # (N,) the two voxels of the other grid on either side of each centre
    high: NDArray[np.intp]
    weight: Floats  # (N,) of the second, in [0, 1]

    def of(self, part: slice, start: int = 0) -> "Stencil":
        """Return the stencil of a part of the voxels, on a grid that begins at `start`."""
        return Stencil(self.low[part] - start, self.high[part] - start, self.weight[part])


def working_shape(shape: Sequence[int], factor: Sequence[float]) -> tuple[int, ...]:
    """Return the size of the working grid; `factor`: working voxels per voxel of the image."""
    return tuple(max(1, round(n * f)) for n, f in zip(shape, factor, strict=True))


def to_working(image: NDArray[Any], factor: Sequence[float], box: Box | None = None) -> Floats:
    """Return an image, or a box of it, on the working grid, linear between voxels, float32."""
    shape = working_shape(image.shape, factor)
    box = box or tuple(slice(0, size) for size in shape)
    if shape == image.shape:
        return np.asarray(taken(image, box), np.float32)
    sigma = _widths(image.shape, shape)
    spans, found = [], []
    grid, reaches = stencils(image.shape, shape), reach_of(image.shape, shape)
    for stencil, part, old, reach in zip(grid, box, image.shape, reaches, strict=True):
        start = max(0, int(stencil.low[part][0]) - reach)
        spans.append(slice(start, min(old, int(stencil.high[part][-1]) + 1 + reach)))
        found.append(stencil.of(part, start))
    values = np.asarray(taken(image, tuple(spans)), np.float32)
    if any(sigma):
        values = ndimage.gaussian_filter(values, sigma, mode="nearest", truncate=_TRUNCATE)
    return interpolate(values, found)


def reach_of(shape: Sequence[int], working: Sequence[int]) -> list[int]:
    """Return the reach of a working voxel beyond its neighbours, in voxels of the image."""
    return [int(_TRUNCATE * width + 0.5) for width in _widths(shape, working)]


def _widths(shape: Sequence[int], working: Sequence[int]) -> list[float]:
    """Return the standard deviation of the Gaussian against aliasing along each axis, in voxels."""
    return [max(0.0, (old / new - 1) / 2) for old, new in zip(shape, working, strict=True)]


def interpolate(image: Floats, grid: Sequence[Stencil]) -> Floats:
    """Return an image interpolated linearly at places: one stencil per axis."""
    for axis, place in enumerate(grid):
        if place.weight.any() or place.low.size != image.shape[axis]:
            image = _between(image, place, axis)
    return image


def _between(values: Floats, place: Stencil, axis: int) -> Floats:
    lower, upper = np.take(values, place.low, axis), np.take(values, place.high, axis)
    weight = place.weight.reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    return np.asarray(lower + weight * (upper - lower), np.float32)


def stencils(old: Sequence[int], new: Sequence[int]) -> list[Stencil]:
    """Return the places of the voxels of a new grid on an old one over the same box."""
    found = []
    for before, after in zip(old, new, strict=True):
        if before == after:
            same = np.arange(after)
            found.append(Stencil(same, same, np.zeros(after, np.float32)))
            continue
        place = np.clip((np.arange(after) + 0.5) * (before / after) - 0.5, 0, before - 1)
        low = np.minimum(np.floor(place).astype(np.intp), max(before - 2, 0))
        high = np.minimum(low + 1, before - 1)
        found.append(Stencil(low, high, (place - low).astype(np.float32)))
    return found


def touched(grid: Sequence[Stencil], part: Box) -> tuple[Box, list[Stencil]]:
    """Return the box of an old grid under a part of a new one, and the stencils in it."""
    box = tuple(
        slice(int(place.low[span][0]), int(place.high[span][-1]) + 1)
        for place, span in zip(grid, part, strict=True)
    )
    return box, [p.of(span, b.start) for p, span, b in zip(grid, part, box, strict=True)]


def labels_to_image(
    labels: NDArray[np.integer], foreground: NDArray[np.bool_], grid: Sequence[Stencil]
) -> NDArray[np.int32]:
    """Return int32 labels on the image's grid: the largest linear indicator, the first of ties."""
    result = np.zeros(foreground.shape, np.int32)
    best = np.zeros(foreground.shape, np.float32)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        part, inside = [], (labels[box] == label).astype(np.float32)
        for axis, place in enumerate(grid):
            start, stop = box[axis].start, box[axis].stop
            reached = np.flatnonzero((place.high >= start) & (place.low < stop))
            part.append(slice(int(reached[0]), int(reached[-1]) + 1) if reached.size else slice(0))
            inside = _indicator(inside, place.of(part[axis], start), axis)
        here = tuple(part)
        wins = (inside > best[here] + 1e-6) & foreground[here]
        best[here][wins] = inside[wins]
        result[here][wins] = label
    return result


def _indicator(values: Floats, place: Stencil, axis: int) -> Floats:
    """Return values interpolated along an axis; outside of the array they are 0."""
    padded = np.pad(values, [(1, 1) if i == axis else (0, 0) for i in range(values.ndim)])
    low, high = (np.clip(n + 1, 0, padded.shape[axis] - 1) for n in (place.low, place.high))
    return _between(padded, Stencil(low, high, place.weight), axis)
