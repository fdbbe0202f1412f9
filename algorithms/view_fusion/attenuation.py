"""The loss of light on its way through a specimen, estimated from one image.

References
----------
Lawson, Hanson, Solving Least Squares Problems (1974), doi:10.1137/1.9781611971217, chapter 23
(least squares with coefficients that are not negative).
"""

from collections.abc import Sequence
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import optimize

from cytosuite.algorithms.view_fusion.channels import (
    TISSUE_UM,
    CoarseMap,
    Grid,
    coarse_image,
    smoothed,
    specimen_of,
)
from cytosuite.manifest import Described

_FEWEST = 8  # blocks that a loss is estimated from
_COARSE = 3  # coarse voxels along an edge of a block, at least
_FILLED = 0.25  # part of the fullest block that another must hold to count


class LossEstimate(Described):
    """Parameters of the estimate, and of the gain that follows from it."""

    block_um: float = Field(
        20.0, gt=0, le=1000, description="Edge [µm] of the blocks whose brightness is compared."
    )
    percentile: float = Field(
        90.0, ge=50, le=100, description="Of the specimen in a block: its brightness."
    )
    strength: float = Field(
        0.3, ge=0, le=1, description="Part of the loss, as its logarithm, that is corrected."
    )
    most_gain: float = Field(
        2.0, ge=1, le=10, description="Limit of the gain: noise is amplified, too."
    )


class Loss(NamedTuple):
    """Loss of light on its way through the specimen, and the gain that corrects it."""

    per_um: tuple[float, ...]  # from low z, high z, low y, high y, low x, high x
    gain: CoarseMap
    background: float


def loss_of(image: NDArray[Any], spacing: Sequence[float], given: LossEstimate) -> Loss:
    """Return the loss of light on its way through the specimen, estimated from one image.

    Parameters
    ----------
    image : (Z, Y, X) array of finite numbers
    spacing : sequence of float
        µm per voxel, z y x.
    given : LossEstimate

    Notes
    -----
    Of blocks of specimen, the logarithm of the brightness (a high percentile above the
    background) is a constant minus a loss per µm of specimen that lies between the block and each
    of the six sides: least squares with losses that are not negative find the sides that light
    comes from or leaves by. Beyond the specimen the gain fades to 1.
    """
    coarse, stride, step = coarse_image(image, spacing)
    specimen = specimen_of(coarse, step)
    one = CoarseMap(np.ones((1, 1, 1), np.float32), image.shape, image.shape)
    none = Loss((0.0,) * 6, one, 0.0)
    if specimen.all() or not specimen.any():
        return none
    background = float(np.median(coarse[~specimen]))
    paths = paths_of(specimen, step)
    lengths, bright, weight = _blocks(coarse - np.float32(background), specimen, paths, step, given)
    if len(bright) < _FEWEST:
        return none
    mean = np.average(lengths, 0, weight)
    heavy = np.sqrt(weight)
    fall = np.average(bright, 0, weight) - bright
    per_um, _ = optimize.nnls((lengths - mean) * heavy[:, None], fall * heavy, maxiter=1000)
    logs = np.tensordot(per_um * given.strength, paths, 1)
    logs = np.clip(logs - logs[specimen].min(), 0, np.log(given.most_gain))
    logs *= smoothed(specimen.astype(np.float32), step, TISSUE_UM)
    gain = CoarseMap(np.exp(logs).astype(np.float32), stride, image.shape)
    return Loss(tuple(map(float, per_um)), gain, background)


def paths_of(specimen: NDArray[np.bool_], step: Sequence[float]) -> NDArray[np.float64]:
    """Return how much specimen lies between each block and each side, µm.

    Parameters
    ----------
    specimen : (z, y, x) bool array
    step : sequence of float
        Edges of a block, µm.

    Returns
    -------
    (6, z, y, x) array
        From low z, high z, low y, high y, low x, high x to the middle of the block.
    """
    found = []
    for axis, edge in enumerate(step):
        passed = np.cumsum(specimen, axis) - specimen / 2
        found += [edge * passed, edge * (specimen.sum(axis, keepdims=True) - passed)]
    return np.stack(found)


def _blocks(
    level: Grid,
    specimen: NDArray[np.bool_],
    paths: NDArray[np.float64],
    step: Sequence[float],
    given: LossEstimate,
) -> tuple[NDArray[np.float64], ...]:
    """Return paths (n, 6), log brightness and number of coarse voxels of blocks of specimen."""
    places = np.nonzero(specimen)
    number = np.zeros(len(places[0]), np.intp)
    for place, edge, size in zip(places, step, specimen.shape, strict=True):
        width = min(size, max(_COARSE, round(given.block_um / edge)))
        number = number * ceil(size / width) + place // width
    order = np.argsort(number, kind="stable")
    starts = np.flatnonzero(np.diff(number[order], prepend=-1))
    pieces = np.split(order, starts[1:])
    values, ways = level[specimen], paths[:, specimen]
    enough = max(map(len, pieces)) * _FILLED
    pieces = [piece for piece in pieces if len(piece) >= enough]
    lengths = np.array([ways[:, piece].mean(1) for piece in pieces])
    bright = np.array([np.percentile(values[piece], given.percentile) for piece in pieces])
    weight, seen = np.array([float(len(piece)) for piece in pieces]), bright > 0
    return lengths[seen], np.log(bright[seen]), weight[seen]
