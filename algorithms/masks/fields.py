"""Signed distances to the borders of cells and nuclei, and the cells that such fields draw."""

from collections.abc import Mapping
from math import prod
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull
from skimage.segmentation import watershed

from cytosuite.volume.arrays import Bools, Doubles, Floats, Integers, Interval, Spacing

Fields = Floats  # (2, [Z,] Y, X): of cells, of nuclei; positive inside
Labels = Integers
MEASURES = ("area", "solidity", "nucleus_share", "nucleus_solidity")
NO_NUCLEUS, OUTSIDE = "no_nucleus", "nucleus_outside"
INSIDE = 0.9  # share of a nucleus that lies in its cell, at least
FAR_UM = 1e6  # to a border that does not lie in the image
SCRAP = 0.5  # of the smallest area: less is no nucleus, and no cell


def signed_distance(labels: Labels, spacing: Spacing) -> Floats:
    """Return µm to the border of the own object (> 0), or of the nearest (< 0); faces are none."""
    half = min(spacing) / 2  # borders lie between voxels, distances are from centre to centre
    distance = np.full(labels.shape, -FAR_UM, np.float32)
    if (labels > 0).any():
        distance = half - ndimage.distance_transform_edt(labels == 0, spacing).astype(np.float32)
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        wide = tuple(slice(max(0, part.start - 1), part.stop + 1) for part in box)
        inside = labels[wide] == number
        inner = np.full(inside.shape, FAR_UM)
        if not inside.all():
            inner = ndimage.distance_transform_edt(inside, spacing) - half
        distance[wide][inside] = inner[inside]
    return distance


def fields_of(cells: Labels, nuclei: Labels, spacing: Spacing, scale_um: float) -> Fields:
    """Return tanh(distance / scale) of cells and nuclei, (2, [Z,] Y, X)."""
    return np.stack(
        [np.tanh(signed_distance(labels, spacing) / scale_um) for labels in (cells, nuclei)]
    )


class DrawnCells(NamedTuple):
    """Cells and their nuclei of the same numbers, and how many were rejected."""

    cells: Labels
    nuclei: Labels
    rejected: dict[str, int]  # by reason
    proposed: int  # cells before the gates


def draw(fields: Fields, spacing: Spacing, gates: Mapping[str, Interval]) -> DrawnCells:
    """Return the cells of fields, each around a nucleus; whole ones must pass the gates."""
    cell, nucleus = fields
    least = SCRAP * gates["area"][0] / prod(spacing)
    seeds = _without_small(ndimage.label(nucleus > 0)[0], least * gates["nucleus_share"][0])
    cells = watershed(-cell, seeds, mask=cell > 0)
    empty = _without_small(ndimage.label((cell > 0) & (cells == 0))[0], least)
    rejected = {NO_NUCLEUS: np.unique(empty).size - 1}
    nuclei = np.where(seeds == cells, seeds, 0)
    size = cells.max(initial=0) + 1
    inside = np.bincount(nuclei.ravel(), minlength=size)[:size]
    all_of_it = np.bincount(seeds.ravel(), minlength=size)[:size]
    bad = {int(n) for n in np.flatnonzero(inside < INSIDE * all_of_it) if n > 0}
    rejected[OUTSIDE] = len(bad)
    measures = measured(cells, nuclei, spacing)
    for name in MEASURES:
        low, high = gates[name]
        odd = (measures[name] < low) | (measures[name] > high)
        new = {int(n) for n in measures["label"][odd]} - bad
        rejected[name] = len(new)
        bad |= new
    valid = np.isin(cells, [*bad, 0], invert=True)
    numbers = np.zeros(size, np.uint16 if size < 2**16 else np.uint32)
    whole = np.unique(cells[valid])
    numbers[whole] = np.arange(1, whole.size + 1)
    nuclei = numbers[np.where(valid, nuclei, 0)]
    return DrawnCells(numbers[cells], nuclei, rejected, whole.size + sum(rejected.values()))


def measured(cells: Labels, nuclei: Labels, spacing: Spacing) -> dict[str, Doubles]:
    """Return ``label`` and `MEASURES` of cells with a nucleus that no face cuts, (N,)."""
    thick = [axis for axis, size in enumerate(cells.shape) if size > 1]
    cut = np.unique(np.concatenate([cells.take([0, -1], axis).ravel() for axis in thick]))
    boxes, cores = ndimage.find_objects(cells), ndimage.find_objects(nuclei)
    rows = []
    for number, (box, core) in enumerate(zip(boxes, cores, strict=False), start=1):
        if box is None or core is None or number in cut:
            continue
        (size, solidity), (inner, smooth) = (
            _size_and_solidity(labels[place] == number)
            for labels, place in ((cells, box), (nuclei, core))
        )
        rows.append((number, size * prod(spacing), solidity, inner / size, smooth))
    table = np.array(rows, np.float64).reshape(-1, 1 + len(MEASURES))
    return dict(zip(("label", *MEASURES), table.T, strict=True))


def _size_and_solidity(mask: Bools) -> tuple[int, float]:
    """Return the voxels of an object, and their share of the convex hull of all corners."""
    rim = np.argwhere(mask & ~ndimage.binary_erosion(mask))
    corners = np.unique(np.concatenate([rim + way for way in np.ndindex((2,) * mask.ndim)]), axis=0)
    size = int(mask.sum())
    return size, size / float(ConvexHull(corners).volume)


def _without_small(labels: Labels, least: float) -> Labels:
    """Return labels without the objects of fewer voxels."""
    large = np.bincount(labels.ravel()) >= least
    large[0] = False
    return np.where(large[labels], labels, 0)
