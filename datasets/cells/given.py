"""Cells from a file: labels of a user on the voxels of an image."""

from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from cytosuite.bodies.grid import Grid, Labels, Lengths
from cytosuite.datasets.physics.labels import tidy
from cytosuite.datasets.physics.packing import MOST
from cytosuite.errors import InputError, at
from cytosuite.folders.entries import readable
from cytosuite.formats import read
from cytosuite.formats.hdf5 import LABELS_FIRST
from cytosuite.formats.imagefiles import is_image
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Integers, Rng
from cytosuite.volume.objects import numbered

T = TypeVar("T", bound=np.generic)

NAME = "cells_file"  # in the record of a case
NUDGE = 1e-6  # voxels: rounding takes the same side all along an axis


def read_labels(path: Path, spacing_um: Lengths | None = None, axes: str = "") -> Volume:
    """Return labels (Z, Y, X) or (Y, X) of a voxel size that is known; else InputError."""
    volume = read(path, group=LABELS_FIRST)
    allowed = (axes,) if axes else ("ZYX", "YX")
    if volume.axes not in allowed:
        raise InputError(
            f"{path}: expected labels with the axes {' or '.join(allowed)}, found {volume.axes} of "
            f"{' x '.join(map(str, volume.shape))}"
        )
    if volume.array.dtype.kind not in "iu":
        raise InputError(
            f"{path}: expected whole numbers, one for each object, found {volume.array.dtype}"
        )
    spacing = volume.sized(
        spacing_um, f"{path}: the labels give no voxel size in µm; set source_um or --spacing"
    )
    if len(spacing) != len(volume.axes):
        raise InputError(
            f"{path}: expected a voxel size of {len(volume.axes)} numbers for the axes "
            f"{volume.axes}, found {len(spacing)}"
        )
    return Volume(volume.array, spacing, volume.axes, {NAME: path.name})


def read_cells(rng: Rng, source: str, spacing_um: Lengths | Literal["auto"], axes: str) -> Volume:
    """Return the labels of a recipe's file, or of one file, drawn, of its folder."""
    place = Path(source)
    if not place.exists():
        raise InputError(f"{place}: no such file of labels; paths count from the recipe's folder")
    paths = readable(place) if place.is_dir() and not is_image(place) else [place]
    if not paths:
        raise InputError(f"{place}: expected label images in the folder, found none")
    return read_labels(
        paths[int(rng.integers(len(paths)))], None if spacing_um == "auto" else spacing_um, axes
    )


def nearest(array: NDArray[T], source: Grid, grid: Grid) -> NDArray[T]:
    """Return the values (Z, Y, X) on a grid of the nearest voxels of another; 0 beyond it."""
    index = []
    outside = []
    for axis, n in enumerate(source.shape):
        away = grid.origin[axis] - source.origin[axis]
        ticks = (np.arange(grid.shape[axis]) + 0.5) * grid.spacing[axis] + away
        place = np.floor(ticks / source.spacing[axis] + NUDGE).astype(np.int64)
        index.append(place.clip(0, n - 1))
        outside.append((place < 0) | (place >= n))
    values = np.array(array[np.ix_(*index)])
    for axis, beyond in enumerate(outside):
        values[(slice(None),) * axis + (beyond,)] = 0
    return values


def on_grid(source: Volume, grid: Grid) -> Labels:
    """Return labels (Z, Y, X), 1 to N, of the nearest voxels; both have the same middle."""
    array = source.array.reshape((1, *source.shape)[-3:])
    steps = (grid.spacing[0], *source.spacing)[-3:]
    middle = np.add(grid.origin, np.divide(grid.size_um, 2))
    with at(source.metadata.get(NAME, "labels")):
        return _tidied(nearest(array, Grid.around(array.shape, steps, middle.tolist()), grid))


def _tidied(labels: Integers) -> Labels:
    """Return labels 1 to N, one piece each; InputError without any or with too many."""
    if labels.min(initial=0) < 0:
        raise InputError(f"expected labels of 0 and more, found {labels.min()}")
    if labels.max(initial=0) > MOST:
        numbers, labels = numbered(labels)
        if len(numbers) > MOST:
            raise InputError(f"expected at most {MOST} cells, found {len(numbers)}; crop it")
    tidied, chosen = tidy(labels.astype(np.uint16), 1)
    if not len(chosen):
        raise InputError("expected labels of cells in the image, found 0 in all of its voxels")
    return tidied
