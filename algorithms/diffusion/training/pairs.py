"""Real images and, for a conditioned network, their sketches: decoded once, read crop by crop."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.diffusion.intensity import (
    HIDDEN,
    Units,
    image_units,
    sketch_of_labels,
    sketch_units,
)
from cytosuite.algorithms.diffusion.parameters import Given
from cytosuite.algorithms.diffusion.predict import SKETCH
from cytosuite.errors import InputError, at
from cytosuite.formats import read
from cytosuite.imagefiles import IMAGE_SUFFIXES
from cytosuite.interface import is_finite
from cytosuite.training.images import find_images, mapped, padded, turned, twin_of

Box = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class SketchedImage:
    """An image to learn from; 2 bytes per voxel on disk, 4 with a sketch, few in memory.

    Parameters
    ----------
    path : Path
        The image's file.
    twin : Path or None
        The file of its labels.
    image : (Z, Y, X) float16 array
        In units of the network, at least as large as a crop; mapped from a file without a name.
    sketch : (Z, Y, X) float16 array or None
        Ground at 0, objects at 1; None for a network that is given none.
    spacing : tuple of float or None
        µm per voxel, of the axes of the image; None where its file gives none.
    given : {"sketch", "labels"} or None
        Kind of the file that the sketch comes from.
    """

    path: Path
    twin: Path | None
    image: NDArray[np.float16]
    sketch: NDArray[np.float16] | None
    spacing: tuple[float, ...] | None
    given: Given | None


def load_pairs(
    folder: Path,
    names: Sequence[str],
    crop: Sequence[int],
    axes: str,
    *,
    units: Units,
    sketched: bool,
) -> list[SketchedImage]:
    """Return the images of a folder, each in units of its own background.

    Parameters
    ----------
    folder : Path
        A dataset, a folder with ``images/`` (and ``labels/``, ``structure-sketch/``), one with a
        list, or one with images at any depth, see `cytosuite.training.images.find_images`.
    names : sequence of str
        Patterns of names without suffix.
    crop : sequence of int
        Voxels z y x; smaller images go on beyond their far sides with their border values.
    axes : {"ZYX", "YX"}
        Of the images; a stack of one plane, as in lists, passes for a plane.
    units : {"background", "contrast"}
        Of the images, see `cytosuite.algorithms.diffusion.intensity.image_units`.
    sketched : bool
        Whether each needs a sketch, or labels to make one of.

    Raises
    ------
    InputError
        If there is no image, one has other axes or numbers that are not finite, a sketch is
        missing or of another shape, or some images have sketches and others labels alone.

    Notes
    -----
    The units of an image follow from itself alone: other files in the folder change nothing.
    """
    found = []
    for path, twin in find_images(folder, names):
        with at(path):
            found.append(_pair(path, twin, crop, axes, units, sketched=sketched))
    given_of(found)
    return found


def given_of(items: Sequence[SketchedImage]) -> Given | None:
    """Return the source of the sketches of images, None where they have none.

    Raises
    ------
    InputError
        If some are sketches and others labels: the network would learn from two kinds.
    """
    first = {item.given: item.path for item in reversed(items)}
    if len(first) > 1:
        raise InputError(
            f"expected sketches for all images or labels for all, found a sketch for "
            f"{first['sketch']} and labels alone for {first['labels']}; add the missing sketches, "
            "or take the others away"
        )
    return next(iter(first), None)


def deep(array: NDArray[Any]) -> NDArray[Any]:
    """Return an image as (Z, Y, X), with z of 1 for a plane."""
    return array if array.ndim == 3 else array[None]


def _pair(
    path: Path,
    twin: Path | None,
    crop: Sequence[int],
    axes: str,
    units: Units,
    *,
    sketched: bool,
) -> SketchedImage:
    """Return one image with its sketch."""
    volume = read(path)
    if volume.axes != axes and (axes, volume.axes, volume.shape[0]) != ("YX", "ZYX", 1):
        raise InputError(f"expected an image with the axes {axes}, found {volume.axes}")
    if not is_finite(volume.array):
        raise InputError("expected finite grey values, found NaN or infinity")
    sketch, given = _sketch(path, twin, volume.shape) if sketched else (None, None)
    return SketchedImage(
        path,
        twin,
        _stored(image_units(volume.array, units), crop),
        None if sketch is None else _stored(sketch, crop),
        None if volume.spacing_is_assumed else volume.spacing[-len(axes) :],
        given,
    )


def _sketch(
    path: Path, twin: Path | None, shape: tuple[int, ...]
) -> tuple[NDArray[np.float32], Given]:
    """Return the sketch of an image, its own or one that is made of its labels, and its kind."""
    # Beside images/ or, in a dataset, beside the folder of the image's socket.
    folder = path.parent.parent / SKETCH
    file = twin_of(path, folder) or twin
    if file is None:
        raise InputError(
            f"expected a sketch ({folder / path.stem}{IMAGE_SUFFIXES[0]}) or labels for a "
            "conditioned network, found none; give them, or choose network.conditioned = false"
        )
    given = read(file).array
    if given.shape != shape:
        raise InputError(f"{file}: expected the shape {shape}, found {given.shape}")
    if file == twin:
        if given.dtype.kind not in "iu":
            raise InputError(f"{file}: labels must be integers, found {given.dtype}")
        return sketch_of_labels(given), "labels"
    return sketch_units(given), "sketch"


def _stored(array: NDArray[np.float32], crop: Sequence[int]) -> NDArray[np.float16]:
    """Return an array as float16, mapped from a file."""
    stored: NDArray[np.float16] = mapped(padded(deep(array).astype(np.float16), crop))
    return stored


def draw_crops(
    items: Sequence[SketchedImage],
    shape: Sequence[int],
    count: int,
    seed: int,
    step: int,
    dropped: float = 0,
) -> dict[str, NDArray[np.float32]]:
    """Return crops of a step, noise for them, and places in the schedule.

    Parameters
    ----------
    items : sequence of SketchedImage
    shape : sequence of int
        Voxels of a crop, z y x.
    count : int
        Crops.
    seed, step : int
        All is drawn from these numbers alone: any step without those before it.
    dropped : float
        Share of crops whose sketch is hidden, 0..1; all else is drawn as without it.

    Returns
    -------
    image, noise, sketch : (N, 1, Z, Y, X) float32 array
        In units of the network; no sketch where the images have none.
    place : (N,) float32 array
        Even over 0..1 within the step, one in each of N equal parts: losses differ much between
        levels of noise, and less from step to step so.

    Notes
    -----
    Every place of a crop is as likely, the far borders too. Crops are mirrored along y and x and
    exchanged in y and x, not along z: light fades and blurs along it.
    """
    streams = np.random.SeedSequence([seed, step]).spawn(count)
    found: dict[str, list[NDArray[np.float32]]] = {}
    for number, stream in enumerate(streams):
        rng = np.random.default_rng(stream)
        item = items[int(rng.integers(len(items)))]
        sides = zip(item.image.shape, shape, strict=True)
        box: Box = tuple(
            slice(low := int(rng.integers(n - size + 1)), low + size) for n, size in sides
        )
        turn = rng.random(3) < 0.5
        drawn = {"image": item.image, "sketch": item.sketch}
        for name, array in drawn.items():
            if array is not None:
                crop = turned(array[box].astype(np.float32), turn)
                found.setdefault(name, []).append(crop[None])
        found.setdefault("noise", []).append(rng.standard_normal((1, *shape), np.float32))
        place = np.float32((number + rng.random()) / count)
        found.setdefault("place", []).append(np.array(place))
        if item.sketch is not None and rng.random() < dropped:
            found["sketch"][-1].fill(HIDDEN)
    return {name: np.stack(parts) for name, parts in found.items()}
