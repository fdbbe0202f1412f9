"""Restoration without a network: smoothing, the loss of light along its way, and the blur.

Richardson, J. Opt. Soc. Am. 62 (1972) 55, doi:10.1364/JOSA.62.000055; Lucy, Astron. J. 79 (1974)
745, doi:10.1086/111605 (deconvolution); Lawson, Hanson, Solving Least Squares Problems (1974),
doi:10.1137/1.9781611971217, chapter 23 (least squares with coefficients that are not negative).
"""

from functools import partial
from math import ceil, prod
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field
from scipy import ndimage, optimize

from cytosuite.algorithms.view_fusion.intensity import Units
from cytosuite.contract.manifest import Described, Share
from cytosuite.files import FloatTuple
from cytosuite.networks.normalise import in_dtype
from cytosuite.networks.tiling import tiles
from cytosuite.segmentation.specimen import (
    TISSUE_UM,
    CoarseMap,
    Grid,
    coarse_image,
    smoothed,
    specimen_of,
)
from cytosuite.volume.arrays import Array, Bools, Doubles, Reals, Sizes, Spacing
from cytosuite.volume.memory import put, room, taken

_FEWEST = 8  # blocks that a loss is estimated from
_COARSE = 3  # coarse voxels along an edge of a block, at least
_FILLED = 0.25  # part of the fullest block that another must hold to count
_TRUNCATE = 3.0  # standard deviations of a Gaussian that are summed
_WIDEST_PX = 3.0  # standard deviation of the blur that is corrected
_LARGEST = 1e20  # units of the percentiles that a signal may have

Um = Annotated[float, Field(ge=0, le=20)]


class LossEstimate(Described):
    """Parameters of the estimate, and of the gain that follows from it."""

    # edge [µm] of the blocks for comparing brightness
    block_um: float = Field(20.0, gt=0, le=1000)
    percentile: float = Field(90.0, ge=50, le=100)  # of the specimen in a block: its brightness
    # part of the loss, as its logarithm, that is corrected
    strength: Share = 0.3
    most_gain: float = Field(2.0, ge=1, le=10)  # limit of the gain: noise is amplified, too


class Loss(NamedTuple):
    """Loss of light on its way through the specimen, and the gain that corrects it."""

    per_um: FloatTuple  # from low z, high z, low y, high y, low x, high x
    gain: CoarseMap
    background: float


def loss_of(image: Array, spacing: Spacing, estimate: LossEstimate) -> Loss:
    """Return the loss of light in a finite (Z, Y, X) image; `spacing` in µm.

    The logarithm of the brightness of a block (a high percentile) is a constant minus a loss per
    µm of specimen between the block and each of the six sides; losses are not negative. Beyond the
    specimen the gain fades to 1.
    """
    coarse, stride, step = coarse_image(image, spacing)
    specimen = specimen_of(coarse, step)
    even = CoarseMap(np.ones((1, 1, 1), np.float32), image.shape, image.shape)
    none = Loss((0.0,) * 6, even, 0.0)
    if specimen.all() or not specimen.any():
        return none
    background = float(np.median(coarse[~specimen]))
    paths = paths_of(specimen, step)
    lengths, bright, weight = _blocks(
        coarse - np.float32(background), specimen, paths, step, estimate
    )
    if len(bright) < _FEWEST:
        return none
    mean = np.average(lengths, 0, weight)
    heavy = np.sqrt(weight)
    fall = np.average(bright, 0, weight) - bright
    per_um, _ = optimize.nnls((lengths - mean) * heavy[:, None], fall * heavy, maxiter=1000)
    logs = np.tensordot(per_um * estimate.strength, paths, 1)
    logs = np.clip(logs - logs[specimen].min(), 0, np.log(estimate.most_gain))
    logs *= smoothed(specimen.astype(np.float32), step, TISSUE_UM)
    gain = CoarseMap(np.exp(logs).astype(np.float32), stride, image.shape)
    return Loss(tuple(map(float, per_um)), gain, background)


def paths_of(specimen: Bools, step: Spacing) -> Doubles:
    """Return the specimen, (6, z, y, x) in µm, from the sides of `Loss.per_um` to each block."""
    paths = []
    for axis, edge in enumerate(step):
        passed = np.cumsum(specimen, axis) - specimen / 2
        paths += [edge * passed, edge * (specimen.sum(axis, keepdims=True) - passed)]
    return np.stack(paths)


def _blocks(
    level: Grid,
    specimen: Bools,
    paths: Doubles,
    step: Spacing,
    estimate: LossEstimate,
) -> tuple[Doubles, ...]:
    """Return paths (n, 6), log brightness and number of coarse voxels of blocks of specimen."""
    places = np.nonzero(specimen)
    number = np.zeros(len(places[0]), np.intp)
    for place, edge, size in zip(places, step, specimen.shape, strict=True):
        width = min(size, max(_COARSE, round(estimate.block_um / edge)))
        number = number * ceil(size / width) + place // width
    order = np.argsort(number, kind="stable")
    pieces = np.split(order, np.flatnonzero(np.diff(number[order], prepend=-1))[1:])
    values = level[specimen]
    ways = paths[:, specimen]
    enough = max(map(len, pieces)) * _FILLED
    pieces = [piece for piece in pieces if len(piece) >= enough]
    lengths = np.array([ways[:, piece].mean(1) for piece in pieces])
    bright = np.array([np.percentile(values[piece], estimate.percentile) for piece in pieces])
    weight = np.array([float(len(piece)) for piece in pieces])
    seen = bright > 0
    return lengths[seen], np.log(bright[seen]), weight[seen]


class Restoration(Described):
    """Parameters of the classical restoration."""

    loss: LossEstimate = LossEstimate()  # of light; strength 0 corrects none
    # standard deviations [µm] of the blur along z, y, x
    psf_um: tuple[Um, Um, Um] = (1.2, 0.25, 0.25)
    steps: int = Field(1, ge=0, le=10)  # steps of Richardson and Lucy; 0 for none
    # added to the signal, in units of the percentiles: dark noise is left alone
    pedestal: float = Field(0.1, gt=0, le=10)


def smooth(image: Array, sigma: float, *, tile: Sizes) -> Array:
    """Return a finite (Z, Y, X) image after a Gaussian, in voxels; a tile takes 12 B per voxel."""
    blurred = room(image.shape, image.dtype)
    for piece in tiles(image.shape, [int(4 * sigma + 0.5)] * 3, prod(tile)):
        part = taken(image, piece.input).astype(np.result_type(image, np.float32))
        part = ndimage.gaussian_filter(part, sigma)[piece.crop]
        put(blurred, piece.output, in_dtype(part, image.dtype))
    return blurred


def correct(
    image: Array,
    spacing: Spacing,
    units: Units,
    restoration: Restoration,
    *,
    tile: Sizes,
) -> tuple[Array, Loss]:
    """Return an image with loss of light and blur corrected in part; tiles take 30 B per voxel."""
    loss = loss_of(image, spacing, restoration.loss)
    sigma = [
        min(width / step, _WIDEST_PX)
        for width, step in zip(restoration.psf_um, spacing, strict=True)
    ]
    reach = [int(_TRUNCATE * width + 0.5) * 2 * restoration.steps for width in sigma]
    corrected = room(image.shape, image.dtype)
    for piece in tiles(image.shape, reach, prod(tile)):
        part = taken(image, piece.input).astype(np.result_type(image, np.float32))
        part -= loss.background
        part *= loss.gain.read(piece.input)
        part += loss.background
        if restoration.steps:
            with np.errstate(over="ignore"):
                signal = np.clip((part - units.low) / units.scale, 0, _LARGEST)
            part = units.low + units.scale * deconvolved(
                signal, sigma, restoration.steps, restoration.pedestal
            )
        put(corrected, piece.output, in_dtype(part[piece.crop], image.dtype))
    return corrected, loss


def deconvolved(signal: Reals, sigma: Spacing, steps: int, pedestal: float) -> Reals:
    """Return a signal after Richardson-Lucy steps from itself: smooth starts lose shared noise."""
    blurred = partial(ndimage.gaussian_filter, sigma=sigma, mode="nearest", truncate=_TRUNCATE)
    sharp = signal
    for _ in range(steps):
        sharp = sharp * blurred((signal + pedestal) / (blurred(sharp) + pedestal))
    return sharp
