"""Apply a network to a whole view, tile by tile, from grey values to grey values."""

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.view_fusion.channels import TISSUE_UM, coarse_image, maps_of, smoothed
from cytosuite.algorithms.view_fusion.intensity import Units, to_counts, to_network
from cytosuite.algorithms.view_fusion.network import RestorerArguments
from cytosuite.large import put, room, taken
from cytosuite.memory import free_gib
from cytosuite.network import Forward, answer
from cytosuite.progress import report
from cytosuite.tiling import fit, plan, smallest_tile

TILE_BYTES = 135  # per voxel of a tile in a pass of the default network, measured
_SHARE = 3  # of the free memory that a tile may take: one part in this many
_SMALL = (64, 192, 192)


class Restored(NamedTuple):
    """The answer of a network for a view."""

    image: NDArray[Any]  # of the view's shape and dtype
    tiles: int
    finite: bool  # whether the network gave numbers everywhere


def restore(
    view: NDArray[Any],
    spacing: Sequence[float],
    units: Units,
    network: Forward,
    arguments: RestorerArguments,
    *,
    tile: Sequence[int],
    device: str = "cpu",
) -> Restored:
    """Return the answer of a network for a whole view.

    Parameters
    ----------
    view : (Z, Y, X) array of finite numbers
    spacing : sequence of float
        µm per voxel, z y x.
    units : Units
        Of the whole view.
    network : callable
        Takes a (1, C, Z, Y, X) float32 tensor and returns a (1, 1, Z, Y, X) one.
    arguments : RestorerArguments
        Of the network: inputs, halo and multiples.
    tile : sequence of int
        Voxels z y x; its volume bounds the memory, `TILE_BYTES` per voxel for the default
        network. With little memory it is smaller.
    device : str
        Device of the network.

    Notes
    -----
    Of the whole there are the view and the result alone, 4 bytes per voxel with 16 bits, on disk
    where they do not fit into the memory: channels
    are made, and answers become grey values, tile by tile. Tiles overlap by the reach of a voxel
    and share their units, so that there are no seams.
    """
    maps = maps_of(view, spacing, arguments.inputs)
    size = fit(view.shape, _within(tile, arguments), arguments.halo, arguments.multiple)
    tiles = plan(view.shape, size, arguments.halo, multiple=arguments.multiple)
    image, finite = room(view.shape, view.dtype), True
    for done, piece in enumerate(tiles):
        report(done, len(tiles))
        given = taken(view, piece.input)
        part = [to_network(given, units), *(each.read(piece.input) for each in maps)]
        found = answer(np.stack(part), network, 1, arguments.multiple, device=device)[0]
        kept = found[piece.crop]
        finite = finite and bool(np.isfinite(kept).all())
        put(image, piece.output, to_counts(kept, units, view.dtype))
    return Restored(image, len(tiles), finite)


def agreement(view: NDArray[Any], made: NDArray[Any], spacing: Sequence[float]) -> float:
    """Return the correlation of two images after smoothing over 5 µm: of structures, not of noise.

    Parameters
    ----------
    view, made : (Z, Y, X) arrays of finite numbers
    spacing : sequence of float
        µm per voxel, z y x.

    Returns
    -------
    float
        -1..1; 0 if one of them is the same everywhere, 1 if both are.
    """
    first, second = (_structures(image, spacing) for image in (view, made))
    first -= first.mean()
    second -= second.mean()
    norms = float(np.linalg.norm(first)), float(np.linalg.norm(second))
    if not all(norms):
        return float(not any(norms))
    return float(np.vdot(first, second) / norms[0] / norms[1])


def _structures(image: NDArray[Any], spacing: Sequence[float]) -> NDArray[np.float64]:
    """Return an image on a coarse grid, smoothed over a cell."""
    coarse, _, step = coarse_image(image, spacing)
    return smoothed(coarse, step, TISSUE_UM).astype(np.float64)


def _within(tile: Sequence[int], arguments: RestorerArguments) -> tuple[int, ...]:
    """Return a tile, or a smaller one where a pass would take more than a third of the memory."""
    free = free_gib()
    if free is None or prod(tile) * TILE_BYTES * _SHARE <= free * 2**30:
        return tuple(tile)
    least = smallest_tile(arguments.halo, arguments.multiple)
    small = (min(side, few) for side, few in zip(tile, _SMALL, strict=True))
    return tuple(max(side, few) for side, few in zip(small, least, strict=True))
