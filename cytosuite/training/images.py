"""Images to learn from: their files, arrays mapped from the disk, random and turned crops."""

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from math import prod
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.errors import InputError
from cytosuite.folders.index import Item
from cytosuite.segmentation.foreground import li_threshold
from cytosuite.segmentation.objects import keep_by
from cytosuite.training.settings import BESIDE, FileSettings
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Box, Bytes, Floats, Ints, Rng, Sizes
from cytosuite.volume.objects import box_at
from cytosuite.volume.pieces import deep

_SMOOTH = 1.0  # pixels, before the threshold that finds objects
_LEAST = 50  # voxels of an object
_MARGIN, _DARK, _LIGHT = 4, 1.0, 99.8  # pixels between planes; percentiles shown as black and white

T = TypeVar("T", bound=np.generic)
Drawn = TypeVar("Drawn")


def find_images(
    folder: Path,
    patterns: Sequence[str],
    files: FileSettings = BESIDE,
    task: str | None = "segment",
) -> list[Item]:
    """Return the images of a folder or list with fitting names, each with all its files."""
    items = files.index(folder, task).items
    fitting = [item for item in items if any(fnmatch(item.image.stem, p) for p in patterns)]
    if not fitting:
        raise InputError(
            f"{folder}: expected images with names like {', '.join(patterns)}, found {len(items)} "
            "of other names; give another folder, or patterns of names in the settings"
        )
    return fitting


def middle(volume: Volume, shape: Sizes) -> Volume:
    """Return the middle of an image, at most `shape` voxels z, y, x."""
    array = volume.array
    for axis, most in zip((-3, -2, -1), shape, strict=True):
        if axis > -3 or "Z" in volume.axes:
            low = max(0, array.shape[axis] - most) // 2
            array = array.take(range(low, min(low + most, array.shape[axis])), axis)
    return replace(volume, array=array)


def seen(volume: Volume, dimensions: int) -> Volume:
    """Return an image as a network sees it: of a stack one of planes sees the middle plane."""
    if dimensions == 3 or "Z" not in volume.axes:
        return volume
    plane = volume.array.take(volume.shape[-3] // 2, -3)
    return replace(
        volume, array=plane, axes=volume.axes.replace("Z", ""), spacing=volume.spacing[1:]
    )


def mapped(array: Array) -> Array:
    """Return an array mapped from a file: the system keeps in memory the parts in use."""
    with TemporaryFile() as stream:
        mapped = np.memmap(stream, array.dtype, "w+", shape=array.shape)
    mapped[:] = array
    mapped.flush()
    return mapped


def padded(array: Array, crop: Sizes) -> Array:
    """Return an array extended by its far border values until a crop fits in."""
    missing = [(0, max(0, c - n)) for n, c in zip(array.shape[-len(crop) :], crop, strict=True)]
    return np.pad(array, [(0, 0)] * (array.ndim - len(crop)) + missing, mode="edge")


def streams(seed: int, step: int, count: int) -> list[Rng]:
    """Return the random numbers of each crop of a step."""
    return [*map(np.random.default_rng, np.random.SeedSequence([seed, step]).spawn(count))]


def chosen(rng: Rng, items: Sequence[Drawn]) -> Drawn:
    """Return one of several, each as likely."""
    return items[int(rng.integers(len(items)))]


def draw_box(rng: Rng, sides: Sizes, shape: Sizes) -> Box:
    """Return the voxels of a crop in an image; every place that is possible is as likely."""
    return box_at(rng.integers(np.subtract(sides, shape) + 1), shape)


def cut(array: Array, box: Box) -> Floats:
    """Return a crop (C, Z, Y, X); nothing else of the array is read."""
    return array[(slice(None), *box)].astype(np.float32)


def filled(shapes: Sequence[Sizes], crop: Sizes) -> list[str]:
    """Return a line on images (voxels z, y, x) that are smaller than a crop, or none."""
    shares = [prod(min(n / c, 1.0) for n, c in zip(shape, crop, strict=True)) for shape in shapes]
    small = [share for share in shares if share < 1]
    size = " x ".join(map(str, crop))
    most = f"up to {1 - min(small, default=1):.0%} of a crop are repeated border values"
    return [f"{len(small)} of {len(shapes)} images are smaller than {size}: {most}"] * bool(small)


class Turn(NamedTuple):
    """A symmetry of the voxel grid."""

    flips: tuple[bool, bool, bool]  # whether to mirror z, y, x
    swap: bool  # whether to exchange y and x, after mirroring


def turn_of(rng: Rng, *, noise: bool) -> Turn:
    """Return a turn in planes; a camera reads along x, so that its noise keeps that axis."""
    y, x, swap = np.logical_and(rng.random(3) < 0.5, [True, not noise, not noise]).tolist()
    return Turn((False, y, x), swap)


def turned(image: NDArray[T], turn: Turn) -> NDArray[T]:
    """Return a turned image (..., Z, Y, X); only squares exchange their axes."""
    z, y, x = (slice(None, None, -1 if flipped else 1) for flipped in turn.flips)
    image = image[..., z, y, x]
    square = image.shape[-1] == image.shape[-2]
    return np.ascontiguousarray(image.swapaxes(-1, -2) if turn.swap and square else image)


def views(volume: Volume) -> Bytes:
    """Return the middle planes across z and across y side by side, uint8."""
    array = volume.array[0] if volume.array.ndim == 4 else deep(volume.array)
    low, high = np.percentile(array, (_DARK, _LIGHT))
    z, y, _ = array.shape
    planes = []
    for plane in (array[z // 2], array[:, y // 2])[: min(z, 2)]:  # one of a plane
        light = (plane.astype(np.float32) - low) / max(float(high - low), 1e-6)
        planes.append((np.clip(light, 0, 1) * 255).astype(np.uint8))
    return joined(planes, 1)


def joined(planes: Sequence[Bytes], axis: int) -> Bytes:
    """Return planes of any size one after the other, with white margins."""
    across = 1 - axis
    longest = max(plane.shape[across] for plane in planes)
    framed = []
    for plane in planes:
        margins = [(0, _MARGIN), (0, _MARGIN)]
        margins[across] = (0, longest - plane.shape[across])
        framed.append(np.pad(plane, margins, constant_values=255))
    return np.concatenate(framed, axis)


def stacked(volume: Volume) -> Volume:
    """Return a plane as a stack of one, which the metrics of spectra take."""
    if volume.axes != "YX":
        return volume
    return replace(volume, array=volume.array[None], axes="ZYX", spacing=(1.0, *volume.spacing))


def objects_of(image: Array) -> Ints:
    """Return the pieces of a smoothed image above Li's threshold, numbered."""
    smooth = ndimage.gaussian_filter(image.astype(np.float32), _SMOOTH)
    labels, _ = ndimage.label(smooth > li_threshold(smooth))
    return keep_by(labels, np.bincount(labels.ravel()) >= _LEAST)
