"""Crops of views and fused images: aimed at structures, drawn by the number of the step alone."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.view_fusion.training.pairs import MESH, ViewPair
from cytosuite.algorithms.view_fusion.training.settings import ViewCrops
from cytosuite.tiling import Box


def draw_crops(
    items: Sequence[ViewPair], given: ViewCrops, seed: int, step: int
) -> dict[str, NDArray[np.float32]]:
    """Return the crops of a step.

    Parameters
    ----------
    items : sequence of ViewPair
        Each as likely, whatever its size.
    given : ViewCrops
    seed, step : int
        All is drawn from these numbers alone: any step without those before it.

    Returns
    -------
    image : (N, C, Z, Y, X) float32 array
        Channels of the network, the view the first.
    target : (N, 1, Z, Y, X) float32 array
        The fused image.
    """
    found: dict[str, list[NDArray[np.float32]]] = {"image": [], "target": []}
    for stream in np.random.SeedSequence([seed, step]).spawn(given.batch):
        rng = np.random.default_rng(stream)
        item = items[int(rng.integers(len(items)))]
        box = draw_box(rng, item, given)
        back = [axis for axis in given.mirror if rng.random() < 0.5]
        sides = tuple(slice(None, None, -1 if axis in back else 1) for axis in "zyx")
        found["image"].append(item.channels(box)[:, *sides])
        found["target"].append(item.fused[box].astype(np.float32)[None, *sides])
    return {name: np.stack(parts) for name, parts in found.items()}


def draw_box(rng: np.random.Generator, item: ViewPair, given: ViewCrops) -> Box:
    """Return the voxels of a crop: around a voxel of the foreground, or anywhere.

    Parameters
    ----------
    rng : numpy Generator
    item : ViewPair
    given : ViewCrops

    Notes
    -----
    Places come from a table of the foreground on a coarse grid, moved within its meshes, so that
    every place of the image can be the middle of a crop. One voxel gives all three coordinates,
    and the crop is pushed inwards at a border: it shows what it was drawn for.
    """
    size, sides = np.array(given.shape), np.array(item.fused.shape)
    aimed = rng.random() < given.aimed and len(item.places) > 0
    corner = rng.integers(0, sides - size + 1)
    if aimed:
        place = item.places[int(rng.integers(len(item.places)))].astype(np.int64)
        middle = place + rng.integers(0, MESH)
        corner = np.clip(middle - size // 2, 0, sides - size)
    return tuple(slice(int(low), int(low + n)) for low, n in zip(corner, size, strict=True))
