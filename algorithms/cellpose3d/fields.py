"""The network over a whole image, tile by tile: level and flow of every voxel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cytosuite.tiling import fit, paste, plan

CHANNELS = 4
EMPTY_BLOCK = (4, 8, 8)  # voxels, about a small nucleus
EMPTY_BELOW = 0.04  # normalised, a quarter of the background's standard deviation


@dataclass(frozen=True, slots=True)
class Fields:
    """What a network says of an image.

    Parameters
    ----------
    level : (Z, Y, X) float32 array
        In [0, 1]: brightness relative to the peak of the own nucleus; 0 where nothing is.
    flow : (3, Z, Y, X) float32 array
        In [-1, 1]: motion along z, y, x towards the centre of the own nucleus.
    tiles, skipped : int
        How many tiles there were, and how many of them were empty.
    """

    level: NDArray[np.float32]
    flow: NDArray[np.float32]
    tiles: int
    skipped: int


def predict_fields(
    image: NDArray[np.float32],
    network: Callable[[Tensor], Tensor],
    *,
    multiple: Sequence[int],
    tile: Sequence[int],
    halo: Sequence[int],
    device: str = "cpu",
) -> Fields:
    """Return level and flow of an image.

    Parameters
    ----------
    image : (Z, Y, X) float32 array
        Normalised intensities, background near 0.
    network : callable
        (1, 1, Z, Y, X) float32 tensor to (1, >= 4, Z, Y, X): logit of the level, flow z, y, x.
    multiple : sequence of int
        Sides the network takes are multiples of these.
    tile : sequence of int
        Its volume is the largest that one pass may have.
    halo : sequence of int
        Voxels at inner faces whose answer is thrown away.
    device : str
        Where the network lies.

    Notes
    -----
    A tile in which no block of 4 x 8 x 8 voxels has a mean above 0.04 (a quarter of the
    background's standard deviation) is not given to the network: level and flow are 0 there. An
    axis shorter than its multiple is extended at both ends by its border values.
    """
    before = [max(0, step - size) // 2 for size, step in zip(image.shape, multiple, strict=True)]
    after = [
        max(0, step - size) - lower
        for size, step, lower in zip(image.shape, multiple, before, strict=True)
    ]
    thick = np.pad(image, list(zip(before, after, strict=True)), mode="edge")
    size = fit(thick.shape, tile, halo, multiple)
    tiles = plan(thick.shape, size, halo, multiple=multiple)
    whole = np.zeros((CHANNELS, *thick.shape), np.float32)
    skipped = 0
    for piece in tiles:
        part = thick[piece.input]
        if is_empty(part):
            skipped += 1
            continue
        paste(whole, piece, _answer(part, network, multiple, device))
    inside = tuple(slice(low, low + n) for low, n in zip(before, image.shape, strict=True))
    whole = whole[(slice(None), *inside)]
    return Fields(whole[0], whole[1:], len(tiles), skipped)


def is_empty(part: NDArray[np.float32]) -> bool:
    """Return whether no block of a normalised image is brighter than the background.

    Parameters
    ----------
    part : (Z, Y, X) float32 array
        Blocks are of 4 x 8 x 8 voxels; those at the end may be smaller.
    """
    sums: NDArray[np.float32] = part
    count: NDArray[np.float32] = np.ones((1, 1, 1), np.float32)
    for axis, block in enumerate(EMPTY_BLOCK):
        starts = np.arange(0, part.shape[axis], block)
        sums = np.add.reduceat(sums, starts, axis)
        sizes = np.diff(np.append(starts, part.shape[axis])).astype(np.float32)
        count = count * sizes.reshape([-1 if i == axis else 1 for i in range(3)])
    return bool((sums <= EMPTY_BELOW * count).all())


def _answer(
    part: NDArray[np.float32],
    network: Callable[[Tensor], Tensor],
    multiple: Sequence[int],
    device: str,
) -> NDArray[np.float32]:
    """Return level and flow of one tile, extended at its end to what the network takes."""
    padding = [(0, -size % step) for size, step in zip(part.shape, multiple, strict=True)]
    given = torch.from_numpy(np.pad(part, padding, mode="edge"))[None, None].to(device)
    # Deterministic kernels, and float32 as on the CPU.
    with (
        torch.inference_mode(),
        torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
    ):
        fields = network(given)[0, :CHANNELS].float()
        fields[0] = torch.sigmoid(fields[0])
        answer: NDArray[np.float32] = fields.cpu().numpy()
    return answer
