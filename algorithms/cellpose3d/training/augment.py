"""Mirrored, turned, brighter and noisier copies of a patch, with the flow turned along."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cytosuite.manifest import Described

Image = NDArray[np.float32]

FLOW = slice(1, 4)  # channels of a target: level, flow along z, y, x, then auxiliary ones


class AugmentRanges(Described):
    """Ranges of the changes to a normalised image."""

    brightness: tuple[float, float] = Field((0.8, 1.25), description="factor, uniform")
    noise: float = Field(0.06, ge=0, description="standard deviation of Gaussian noise added")


class Turn(NamedTuple):
    """A symmetry of the voxel grid."""

    flips: tuple[bool, bool, bool]  # whether to mirror z, y, x
    swap: bool  # whether to exchange y and x, after mirroring


def draw_turn(rng: np.random.Generator) -> Turn:
    """Return one of the 16 symmetries, each as likely."""
    z, y, x, swap = (bool(bit) for bit in rng.integers(0, 2, 4))
    return Turn((z, y, x), swap)


def turn_image(image: Image, turn: Turn) -> Image:
    """Return a turned image.

    Parameters
    ----------
    image : (..., Z, Y, X) array
        Leading axes are left as they are; y and x as long as each other where they are swapped.
    turn : Turn
    """
    z, y, x = (slice(None, None, -1 if flipped else 1) for flipped in turn.flips)
    turned: Image = image[..., z, y, x]
    return turned.swapaxes(-1, -2) if turn.swap else turned


def turn_target(target: Image, turn: Turn) -> Image:
    """Return a turned target, with its flow turned along.

    Parameters
    ----------
    target : (C, Z, Y, X) float32 array
        Level, flow along z, y, x, auxiliary channels.
    turn : Turn

    Returns
    -------
    (C, Z, Y, X) float32 array
        A copy.
    """
    turned = turn_image(target, turn).copy()
    signs = np.where(turn.flips, -1, 1).astype(np.float32)
    turned[FLOW] *= signs[:, None, None, None]
    if turn.swap:
        turned[[2, 3]] = turned[[3, 2]]
    return turned


def alter(rng: np.random.Generator, image: Image, ranges: AugmentRanges) -> Image:
    """Return a normalised image, brighter or darker and noisier.

    Parameters
    ----------
    rng : numpy Generator
    image : float32 array
        Any shape.
    ranges : AugmentRanges
    """
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    factor = np.float32(rng.uniform(*ranges.brightness))
    return image * factor + noise * np.float32(ranges.noise)
