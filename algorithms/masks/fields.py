"""Signed distances to the borders of cells and nuclei, and the cells that such fields draw."""

from collections.abc import Mapping
from math import prod
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from cytosuite.files import IntDict
from cytosuite.segmentation.objects import keep_by
from cytosuite.volume.arrays import (
    Bools,
    Columns,
    Floats,
    Integers,
    Interval,
    Ints,
    Spacing,
)
from cytosuite.volume.objects import hull_voxels, label_type, objects_in, wider

Fields = Floats  # (2, [Z,] Y, X): of cells, of nuclei; positive inside
Labels = Integers
MEASURES = ("area", "solidity", "nucleus_share", "nucleus_solidity")
NO_NUCLEUS = "no_nucleus"
OUTSIDE = "nucleus_outside"
INSIDE = 0.9  # share of a nucleus that lies in its cell, at least
FAR_UM = 1e6  # to a border that does not lie in the image
SCRAP = 0.5  # of the smallest area: less is no nucleus, and no cell


def signed_distance(labels: Labels, spacing: Spacing) -> Floats:
    """Return µm to the border of the own object (> 0), or of the nearest (< 0); faces are none."""
    half = min(spacing) / 2  # borders lie between voxels, distances are from centre to centre
    distance = np.full(labels.shape, -FAR_UM, np.float32)
    if (labels > 0).any():
        distance = half - ndimage.distance_transform_edt(labels == 0, spacing).astype(np.float32)
    for number, box, _ in objects_in(labels):
        wide = wider(box, (1,) * labels.ndim)
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
    rejected: IntDict  # by reason
    proposed: int  # cells before the gates


def draw(fields: Fields, spacing: Spacing, gates: Mapping[str, Interval]) -> DrawnCells:
    """Return the cells of fields, each around a nucleus; whole ones must pass the gates."""
    cell, nucleus = fields
    least = SCRAP * gates["area"][0] / prod(spacing)
    seeds = _pieces(nucleus > 0, least * gates["nucleus_share"][0])
    cells = watershed(-cell, seeds, mask=cell > 0)
    rejected = {NO_NUCLEUS: int(_pieces((cell > 0) & (cells == 0), least).max(initial=0))}
    nuclei = np.where(seeds == cells, seeds, 0)
    size = cells.max(initial=0) + 1
    inside = np.bincount(nuclei.ravel(), minlength=size)
    all_of_it = np.bincount(seeds.ravel(), minlength=size)[:size]
    bad = inside < INSIDE * all_of_it
    rejected[OUTSIDE] = int(bad.sum())
    measures = measured(cells, nuclei, spacing)
    for name in MEASURES:
        low, high = gates[name]
        odd = (measures[name] < low) | (measures[name] > high)
        labels = measures["label"][odd].astype(int)
        rejected[name] = int((~bad[labels]).sum())
        bad[labels] = True
    whole = ~bad & (np.bincount(cells.ravel()) > 0)
    whole[0] = False
    numbers = np.where(whole, np.cumsum(whole), 0).astype(label_type(size))
    return DrawnCells(
        numbers[cells], numbers[nuclei], rejected, int(whole.sum()) + sum(rejected.values())
    )


def measured(cells: Labels, nuclei: Labels, spacing: Spacing) -> Columns:
    """Return ``label`` and `MEASURES` of cells with a nucleus that no face cuts, (N,)."""
    thick = [axis for axis, size in enumerate(cells.shape) if size > 1]
    cut = np.unique(np.concatenate([cells.take([0, -1], axis).ravel() for axis in thick]))
    cores = {number: mask for number, _, mask in objects_in(nuclei)}
    rows = []
    for number, _, mask in objects_in(cells):
        if number not in cores or number in cut:
            continue
        size = int(mask.sum())
        inner = int(cores[number].sum())
        solidity = size / hull_voxels(mask)
        smooth = inner / hull_voxels(cores[number])
        rows.append((number, size * prod(spacing), solidity, inner / size, smooth))
    table = np.array(rows, np.float64).reshape(-1, 1 + len(MEASURES))
    return dict(zip(("label", *MEASURES), table.T, strict=True))


def _pieces(mask: Bools, least: float) -> Ints:
    """Return the connected pieces of a mask that have enough voxels, numbered."""
    labels = ndimage.label(mask)[0]
    return keep_by(labels, np.bincount(labels.ravel()) >= least)
