"""Segmentation of an image too large for the memory, in blocks that overlap."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import ceil, prod

import numpy as np

from cytosuite.algorithms.watershed.parameters import Parameters
from cytosuite.algorithms.watershed.seeds import blob_response, border_distance
from cytosuite.algorithms.watershed.segment import (
    Measured,
    coarse_of,
    foreground,
    noise_of,
    radii_of,
    segment,
    smoothed,
)
from cytosuite.contract import progress
from cytosuite.files import FloatTuple
from cytosuite.networks.tiling import Tile, bricks, least, no_room, plan, tiles
from cytosuite.segmentation.assembly import Assembly, Labels, owned
from cytosuite.segmentation.foreground import (
    background_and_noise,
    background_steps,
    li_threshold,
    lower_envelope,
    reduced,
    restored,
    sigmas,
    wide_steps,
)
from cytosuite.volume.arrays import Array, Box, Floats, Shape, Sizes, Spacing
from cytosuite.volume.memory import GIB, NO_MATTER, fits, free_gib, release, taken
from cytosuite.volume.objects import grown

_VOXEL_BYTES = 50  # per voxel of a block: 30 where two in five are nuclei
_LABEL_BYTES = 4  # per voxel of the image; a half of them up to 65535 objects
_BRICK = {3: (16, 64, 64), 2: (256, 256)}  # pixels of a piece from which an image is measured
_NUCLEUS = 1.5  # largest radius of a nucleus, in multiples of the largest one looked for
_NEIGHBOURS = 4.0  # radii of nuclei around one that decide about it
_SURROUNDINGS = 2.0  # standard deviations of a mean over surroundings
_PIECE = 2**22  # voxels that are smoothed at a time for an uneven background
_TRUNCATE = 4.0  # standard deviations after which a Gaussian ends
_MEANS = 2.0  # largest radii over which means and blobs reach
_SMOOTHING = 3.0  # standard deviations of a Gaussian


def margin_of(spacing: Spacing, p: Parameters) -> Shape:
    """Return the margin in voxels per axis that a block sees around its core."""
    radius = _NUCLEUS * max(p.radii_um)
    surroundings = _SURROUNDINGS * p.local_um if p.local_weight > 0 else 0.0
    around = max(_NEIGHBOURS * radius, surroundings)
    length = radius + around + _SMOOTHING * p.smoothing_um
    return _voxels(length + 2 * p.opening_um, spacing, p)


def steps_of(spacing: Spacing, p: Parameters) -> Shape:
    """Return steps in voxels per axis: blocks begin at multiples, so that their means agree."""
    if p.local_um <= 0 or p.local_weight <= 0:
        return (1,) * len(spacing)
    return tuple(wide_steps(p.local_um, spacing, p.axial_elongation))


def plan_blocks(shape: Sizes, margin: Sizes, multiple: Sizes) -> list[Tile]:
    """Return the blocks in which an image fits into the free memory, or InputError."""
    size = prod(shape) * _VOXEL_BYTES
    if size <= NO_MATTER or size <= (free := free_gib() * GIB):
        return plan(shape, shape, (0,) * len(shape))
    labels = prod(shape) * _LABEL_BYTES
    spare = free - (labels if fits(labels / 2) else 0)
    smallest = least(shape, margin, multiple)
    if prod(smallest) * _VOXEL_BYTES > spare:
        needed = prod(smallest) * _VOXEL_BYTES + free - spare
        raise no_room(shape, smallest, needed / GIB, free / GIB)
    return tiles(shape, margin, spare / _VOXEL_BYTES, multiple=multiple)


def segment_blocks(
    image: Array, spacing: Spacing, parameters: Parameters, planned: Sequence[Tile]
) -> Labels:
    """Return one label per nucleus, found in blocks; uint16, from 65536 nuclei on uint32."""
    whole = measure(image, spacing, parameters)
    assembly = Assembly(image.shape)
    for number, block in enumerate(planned):
        part = taken(image, block.input)
        with progress.part(number, len(planned)):
            labels = segment(part, spacing, parameters, whole, block.input).view(np.uint32)
        assembly.add(labels, owned(labels, block, image.shape), block)
        del labels  # room for the next
    return assembly.finish()[0]


def measure(image: Array, spacing: Spacing, p: Parameters) -> Measured:
    """Return the quantities of a whole image that all of its blocks share."""
    lowest = min(float(image[box].min()) for box in bricks(image.shape, _BRICK[image.ndim]))
    release(image)
    uneven = uneven_background(image, spacing, p, lowest) if p.background_um > 0 else None
    measured = Measured(lowest, uneven, p.radii_um)
    samples = [
        [values[core].ravel() for values in (signal, residual, coarse_of(signal, spacing, p))]
        for signal, residual, core in _parts(image, spacing, p, measured)
    ]
    signal, residual, coarse = map(np.concatenate, zip(*samples, strict=True))
    del samples
    background, spread = background_and_noise(signal)
    signal -= np.float32(background)
    threshold = li_threshold(signal)
    noise = noise_of(signal, residual, coarse, spread, spacing, p)
    del signal, residual, coarse
    measured = measured._replace(background=background, noise=noise, threshold=threshold)
    if p.relative_radii:
        measured = measured._replace(radii=_typical_radii(image, spacing, p, measured))
    peak = 0.0
    for signal, _, core in _parts(image, spacing, p, measured):
        response = blob_response(signal, spacing, measured.radii, p.axial_elongation)
        peak = max(peak, float(response[core].max()))
    return measured._replace(peak=peak)


def uneven_background(
    image: Array, spacing: Spacing, p: Parameters, lowest: float
) -> Callable[[Box], Floats]:
    """Return the uneven background of a whole image, by parts of it, see `remove_background`."""
    sizes = zip(background_steps(p.background_um, spacing), image.shape, strict=True)
    block = tuple(min(want, size) for want, size in sizes)
    means = np.zeros(
        [ceil(n / step) for n, step in zip(image.shape, block, strict=True)], np.float32
    )
    sigma = sigmas(p.smoothing_um, spacing, p.axial_elongation)
    reach = [int(_TRUNCATE * width + 0.5) for width in sigma]
    coarse = [ceil(n / step) for n, step in zip(reach, block, strict=True)]
    for tile in tiles(means.shape, coarse, _PIECE / prod(block)):
        core = tuple(
            slice(side.start * step, min(side.stop * step, size))
            for side, step, size in zip(tile.output, block, image.shape, strict=True)
        )
        around, inner = grown(core, reach)
        signal, _ = smoothed(taken(image, around), spacing, p, lowest)
        means[tile.output] = reduced(signal[inner], block)[0]
    means = lower_envelope(means, block, spacing, p.background_um)
    return partial(restored, means, block, image.shape)


def _typical_radii(image: Array, spacing: Spacing, p: Parameters, measured: Measured) -> FloatTuple:
    """Return the radii to look for, relative to the typical one, as `typical_radius` does."""
    total = 0.0
    count = 0
    for signal, _, core in _parts(image, spacing, p, measured):
        mask, _ = foreground(signal, measured.threshold, spacing, p)
        inside = border_distance(mask, spacing, p.axial_elongation)[core][mask[core]]
        total += float(inside.sum(dtype=np.float64))
        count += inside.size
    return radii_of((image.ndim + 1) * total / count, p) if count else p.radii_um


def _voxels(length_um: float, spacing: Spacing, p: Parameters) -> Shape:
    """Return a length in whole voxels per axis, longer along z as nuclei are."""
    return tuple(ceil(width) for width in sigmas(length_um, spacing, max(1.0, p.axial_elongation)))


def _parts(
    image: Array, spacing: Spacing, p: Parameters, measured: Measured
) -> Iterator[tuple[Floats, Floats, Box]]:
    """Yield `smoothed` parts of an image less its background, and their cores, to measure in."""
    length = _TRUNCATE * p.smoothing_um + _MEANS * max(p.radii_um)
    if p.relative_radii and p.local_weight > 0:  # the foreground counts
        length += _SURROUNDINGS * p.local_um
    reach = _voxels(length, spacing, p)
    for core in bricks(image.shape, _BRICK[image.ndim]):
        around, inner = grown(core, reach)
        signal, residual = smoothed(taken(image, around), spacing, p, measured.lowest)
        signal -= measured.background_in(around)
        yield signal, residual, inner
