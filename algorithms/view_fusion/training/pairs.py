"""Views and fused images: their files, decoded once into mapped arrays, read part by part."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.view_fusion.channels import Channel, CoarseMap, maps_of
from cytosuite.algorithms.view_fusion.intensity import to_network, units_of
from cytosuite.errors import InputError, at
from cytosuite.formats import read
from cytosuite.imagefiles import image_files
from cytosuite.interface import is_finite
from cytosuite.metadata import described, study_of, view_role
from cytosuite.tasks import TASKS, VIEW
from cytosuite.tiling import Box
from cytosuite.training.images import Places, find_images, mapped
from cytosuite.volume import Scalar, Volume

FUSED = TASKS["fuse"].outputs[0].slug
PLACES = Places((VIEW, FUSED), (VIEW, FUSED))
MESH = (2, 4, 4)  # voxels z y x between the places of the foreground that are kept


@dataclass(frozen=True, slots=True)
class ViewPair:
    """A view with its fused image; 4 bytes per voxel on disk, few in memory.

    Parameters
    ----------
    path : Path
        The view's file.
    view, fused : (Z, Y, X) float16 array
        Each in units of its own percentiles, at least as large as a crop; mapped from a file
        without a name.
    maps : list of CoarseMap
        Further input channels, of the whole view.
    places : (N, 3) uint16 array
        Voxels z y x of the foreground, at or above the mean of the fused image, on a grid of
        `MESH`.
    shape : tuple of int
        Voxels z y x without what was added to reach a crop.
    spacing : tuple of float or None
        µm per voxel z y x; None where the file gives none.
    channel, study : str, number or None
        As the metadata say, else the name; the study also of the folder, like ``Study1``.
    """

    path: Path
    view: NDArray[np.float16]
    fused: NDArray[np.float16]
    maps: list[CoarseMap]
    places: NDArray[np.uint16]
    shape: tuple[int, ...]
    spacing: tuple[float, ...] | None
    channel: Scalar | None
    study: Scalar | None

    def channels(self, box: Box) -> NDArray[np.float32]:
        """Return a part of the network's input, (C, Z, Y, X): the view, then its maps."""
        return np.stack([self.view[box].astype(np.float32), *(m.read(box) for m in self.maps)])


def find_pairs(folder: Path, patterns: Sequence[str]) -> list[tuple[Path, Path]]:
    """Return the views in a folder, each with its fused image, by name.

    Parameters
    ----------
    folder : Path
        A dataset; a folder with two others, named like the sockets, with files of one name; one
        with a list ``*_train.csv``; or one with ``<specimen>_angle.tif`` beside
        ``<specimen>_fused.tif`` at any depth, as the challenge gives them.
    patterns : sequence of str
        Names of views without suffix; one must fit.

    Raises
    ------
    InputError
        If there is no view, or one has no fused image: the message names the missing file.
    """
    found = []
    for view, twin in find_images(folder, patterns, PLACES):
        names = view_role(view.stem)
        if twin is None and names is not None and names[1] == "fused":
            continue
        found.append((view, twin or _fused(view, names)))
    if not found:
        raise InputError(
            f"{folder}: expected views with fused images, like image_1_nucleus_angle.tif with "
            "image_1_nucleus_fused.tif, found fused images alone; add the views"
        )
    return found


def load_pairs(
    folder: Path,
    patterns: Sequence[str],
    crop: Sequence[int],
    inputs: Sequence[Channel],
    spacing: Sequence[float] | None = None,
) -> list[ViewPair]:
    """Return the views in a folder with their fused images, each in units of its own percentiles.

    Parameters
    ----------
    folder, patterns
        As for `find_pairs`.
    crop : sequence of int
        Voxels z y x; smaller images go on beyond their far sides with their border values.
    inputs : sequence of {"distance", "light"}
        Further channels of the network.
    spacing : sequence of float, optional
        µm per voxel, z y x, of views whose files give none; 1 without it.

    Raises
    ------
    InputError
        If there is no view, one has no fused image or one of another shape, or an image is no
        volume of finite grey values.
    """
    found = []
    for view, fused in find_pairs(folder, patterns):
        with at(view):
            found.append(_pair(view, fused, crop, inputs, spacing))
    return found


def _pair(
    view: Path,
    fused: Path,
    crop: Sequence[int],
    inputs: Sequence[Channel],
    spacing: Sequence[float] | None,
) -> ViewPair:
    """Return one view with its fused image; one of the two is in memory at a time."""
    target = _volume(fused)
    shape, goal = target.shape, _in_units(target.array, crop)
    del target
    volume = _volume(view)
    if volume.shape != shape:
        raise InputError(
            f"expected a fused image of the view's shape {volume.shape}, found {shape} in {fused}"
        )
    size = volume.spacing if spacing is None or not volume.spacing_is_assumed else spacing
    image, maps = _in_units(volume.array, crop), maps_of(volume.array, size, inputs)
    return ViewPair(
        path=view,
        view=image,
        fused=goal,
        maps=[each._replace(shape=image.shape) for each in maps],  # of the added border, too
        places=_foreground(goal),
        shape=shape,
        spacing=None if volume.spacing_is_assumed else volume.spacing,
        channel=volume.metadata.get("channel"),
        study=volume.metadata.get("study", study_of(f"{view.parent.name} {view.stem}")),
    )


def _volume(path: Path) -> Volume:
    """Return a volume of finite grey values with the metadata of its file and name."""
    with at(path):
        volume = described(read(path, stack=True), {}, path.stem)
        if volume.axes != "ZYX":
            raise InputError(f"expected a volume with the axes ZYX, found {volume.axes}")
        if not is_finite(volume.array):
            raise InputError("expected finite grey values, found NaN or infinity")
    return volume


def _in_units(array: NDArray[Any], crop: Sequence[int]) -> NDArray[np.float16]:
    """Return an image in units of its percentiles, large enough for a crop, mapped from a file.

    It is converted plane by plane: as float32 it may be larger than the memory.
    """
    units = units_of(array)
    shape = tuple(max(n, least) for n, least in zip(array.shape, crop, strict=True))
    found: NDArray[np.float16] = mapped(np.broadcast_to(np.float16(0), shape))
    border = [(0, most - n) for n, most in zip(array.shape[1:], shape[1:], strict=True)]
    for number in range(len(found)):
        plane = to_network(array[min(number, len(array) - 1)], units)
        found[number] = np.pad(plane, border, mode="edge")
    return found


def _foreground(fused: NDArray[np.float16]) -> NDArray[np.uint16]:
    """Return the places z y x on a grid of `MESH` at or above the mean of an image."""
    mean = np.mean([plane.mean(dtype=np.float64) for plane in fused])
    coarse = fused[tuple(slice(None, None, step) for step in MESH)]
    return (np.argwhere(coarse >= mean) * MESH).astype(np.uint16)


def _fused(view: Path, names: tuple[str, str] | None) -> Path:
    """Return the fused image of a view by the challenge's names, or refuse the view."""
    place = view.parent.parent / FUSED / view.name
    if names is not None:
        place = view.with_name(f"{names[0]}_fused{view.suffix}")
        beside = [p for p in image_files(view.parent) if view_role(p.stem) == (names[0], "fused")]
        if place.is_file() or beside:  # ANGLE.TIF may lie beside fused.tif
            return place if place.is_file() else beside[0]
    elif view.parent.name.lower() != VIEW:
        raise InputError(
            f"{view}: expected views with fused images: <name>_angle.tif beside <name>_fused.tif, "
            f"folders {VIEW} and {FUSED}, or a list *_train.csv; found none of these"
        )
    raise InputError(
        f"{view}: expected its fused image {place}, found none; add it, or take the view away"
    )
