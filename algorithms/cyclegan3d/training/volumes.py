"""Volumes of both domains: decoded once into a mapped file, read crop by crop."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.cyclegan3d.intensity import Scale, Scaling, scaling_of
from cytosuite.errors import InputError, at
from cytosuite.formats import read
from cytosuite.normalise import Target
from cytosuite.training.images import find_images, mapped, padded


@dataclass(frozen=True, slots=True)
class DomainVolume:
    """One volume of a domain; 2 to 8 bytes per voxel on disk, few in memory.

    Parameters
    ----------
    path : Path
        The image's file.
    twin : Path or None
        The file of its labels: of a real volume None, it is not even looked for.
    image : (C, Z, Y, X) float16 or float32 array
        In units of the network, at least as large as a crop; mapped from a file without a name.
    labels : (Z, Y, X) int32 array or None
        Known objects of a simulated volume.
    shape : tuple of int
        Voxels z y x of the image without what was added to reach a crop.
    spacing : tuple of float
        µm per voxel, z y x.
    counts : tuple of float
        A grey count of each channel where crops are dithered: in units of the network with the
        scale ``dtype``, else before their inverse hyperbolic sine.
    scale : {"style", "background", "dtype"}
        Units of the network.
    """

    path: Path
    twin: Path | None
    image: NDArray[np.float16]
    labels: NDArray[np.int32] | None
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    counts: tuple[float, ...] = ()
    scale: Scale = "background"


def load_items(
    folder: Path,
    patterns: Sequence[str],
    scale: Scale,
    crop: Sequence[int],
    *,
    labelled: bool,
    dithered: bool = False,
) -> list[DomainVolume]:
    """Return the volumes of a domain.

    Parameters
    ----------
    folder, patterns
        As for `find_images`.
    scale : {"style", "background", "dtype"}
        Units of the network; with ``style`` those of the own background, until the target's is
        measured: see `in_grey_values_of`.
    crop : sequence of int
        Voxels z y x; smaller volumes go on beyond their far sides with their border values.
    labelled : bool
        Whether labels are decoded for the crops.
    dithered : bool
        Whether crops of integers are dithered: for images that a judge compares with those of a
        generator, which are not whole grey counts.

    Raises
    ------
    InputError
        If an image is no volume, holds a number that is not finite, or labels do not fit.
    """
    found = []
    for path, labels in find_images(folder, patterns):
        with at(path):
            found.append(_item(path, labels, scale, crop, labelled=labelled, dithered=dithered))
    return found


def in_grey_values_of(
    item: DomainVolume, image: NDArray[Any], target: Target, crop: Sequence[int]
) -> DomainVolume:
    """Return a volume of one channel with another image, in units of a target's background.

    Parameters
    ----------
    item : DomainVolume
        Shape, files and labels stay.
    image : (Z, Y, X) array of numbers
        In the grey values of the target; crops of integers are dithered.
    target : Target
    crop : sequence of int
        As for `load_items`.
    """
    units = scaling_of(image, "style", target=target)
    return replace(
        item,
        image=mapped(padded(units(image)[None].astype(np.float16), crop)),
        counts=_counts(image[None], [units], "style"),
        scale="style",
    )


def _counts(channels: NDArray[Any], units: Sequence[Scaling], scale: Scale) -> tuple[float, ...]:
    """Return a grey count of each channel of integers, see `DomainVolume`; none for floats."""
    if channels.dtype.kind not in "ui":
        return ()
    ends = np.stack([own(np.arange(2)) for own in units]).astype(np.float64)
    ends = ends if scale == "dtype" else np.sinh(2 * ends)
    return tuple(np.diff(ends)[:, 0].tolist())


def _item(
    path: Path,
    twin: Path | None,
    scale: Scale,
    crop: Sequence[int],
    *,
    labelled: bool,
    dithered: bool,
) -> DomainVolume:
    """Return one volume."""
    volume = read(path)
    array = volume.array
    if volume.axes not in ("ZYX", "CZYX"):
        raise InputError(f"expected a volume with the axes ZYX or CZYX, found {volume.axes}")
    if not np.isfinite(array).all():
        raise InputError("expected finite grey values, found NaN or infinity")
    array = array if volume.axes == "CZYX" else array[None]
    first: Scale = "background" if scale == "style" else scale
    units = [scaling_of(channel, first) for channel in array]
    values = np.stack([own(channel) for own, channel in zip(units, array, strict=True)])
    labels = read(twin).array if labelled and twin is not None else None
    if labels is not None and labels.shape != array.shape[1:]:
        raise InputError(f"expected labels of the shape {array.shape[1:]}, found {labels.shape}")
    return DomainVolume(
        path=path,
        twin=twin,
        # float16 has steps of 16 grey counts where the range of 16 bits is -1..1.
        image=mapped(padded(values.astype(np.float32 if first == "dtype" else np.float16), crop)),
        labels=None if labels is None else mapped(padded(labels.astype(np.int32), crop)),
        shape=array.shape[1:],
        spacing=volume.spacing,
        counts=_counts(array, units, first) if dithered else (),
        scale=first,
    )
