"""Level and flow of every voxel of an image, as the network predicts them."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cytosuite.algorithms.cellpose3d.network import FIELDS
from cytosuite.algorithms.cellpose3d.parameters import Parameters
from cytosuite.network import Forward, predict_tiles

EMPTY_BLOCK = (4, 8, 8)  # voxels, about a small nucleus
EMPTY_BELOW = 0.04  # normalised, a quarter of the background's standard deviation


class Fields(NamedTuple):
    """Level and flow of an image."""

    # (Z, Y, X), in [0, 1]: brightness relative to the peak of the own nucleus, 0 outside
    level: NDArray[np.float32]
    # (3, Z, Y, X), in [-1, 1]: motion along z, y, x towards the centre of the own nucleus
    flow: NDArray[np.float32]
    tiles: int
    skipped: int  # tiles that were empty


def predict_fields(
    image: NDArray[np.float32],
    network: Forward,
    parameters: Parameters,
    device: str = "cpu",
) -> Fields:
    """Return level and flow of an image.

    Parameters
    ----------
    image : (Z, Y, X) float32 array
        Normalised intensities, background near 0.
    network : callable
        (1, 1, Z, Y, X) float32 tensor to (1, >= 4, Z, Y, X): logit of the level, flow z, y, x.
    parameters : Parameters
        `tile`, `halo`, `network`. A tile that `is_empty` has level and flow 0.
    device : str
        Device of the network.
    """
    found = predict_tiles(
        image[None],
        network,
        channels=FIELDS,
        multiple=parameters.network.multiple,
        tile=parameters.tile,
        halo=parameters.halo,
        activate=_activate,
        skip=lambda part: is_empty(part[0]),
        device=device,
    )
    return Fields(found.values[0], found.values[1:], found.tiles, found.skipped)


def is_empty(part: NDArray[np.float32]) -> bool:
    """Return whether no block of a normalised image is brighter than the background.

    Parameters
    ----------
    part : (Z, Y, X) float32 array
        Blocks have 4 x 8 x 8 voxels, fewer at the end; a mean above 0.04, a quarter of the
        background's standard deviation, is brighter.
    """
    sums: NDArray[np.float32] = part
    count: NDArray[np.float32] = np.ones((1, 1, 1), np.float32)
    for axis, block in enumerate(EMPTY_BLOCK):
        starts = np.arange(0, part.shape[axis], block)
        sums = np.add.reduceat(sums, starts, axis)
        sizes = np.diff(np.append(starts, part.shape[axis])).astype(np.float32)
        count = count * sizes.reshape([-1 if i == axis else 1 for i in range(3)])
    return bool((sums <= EMPTY_BELOW * count).all())


def _activate(fields: Tensor) -> Tensor:
    """Return fields with the level in place of its logit."""
    fields[0] = torch.sigmoid(fields[0])
    return fields
