"""An image with its axes, voxel size and metadata."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.errors import LINE, InputError, plain
from cytosuite.large import planes

AXES = "TCZYX"
SPATIAL = "ZYX"
SIZES = (1e-12, 1e12)  # µm: beyond, the units of files overflow
KEYS = 1000  # of the metadata of an image
KEY_LETTERS = 100  # of one of them
LARGEST = 2**64  # of an integer that other programs can hold
KINDS, LARGEST_ITEM = "buif", 8  # of numpy's dtypes; bytes of a number

Scalar = str | int | float


@dataclass(frozen=True, slots=True)
class Header:
    """Geometry and number type of an image file, read without its pixels.

    Parameters
    ----------
    shape : tuple of int
        Size of each axis in voxels.
    dtype : numpy dtype
        Of the pixels.
    spacing : tuple of float
        µm per voxel along z, y, x; 1 where the file gives none.
    axes : str
        As of `Volume`.

    Raises
    ------
    InputError
        As of `Volume`.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    spacing: tuple[float, ...]
    axes: str

    def __post_init__(self) -> None:
        """Refuse numbers, axes, shapes and spacings that no image here has."""
        _check_geometry(self.shape, self.spacing, self.axes, self.dtype)


@dataclass(frozen=True, slots=True)
class Origin:
    """Origin of an image's voxel size and metadata.

    Parameters
    ----------
    sources : mapping of str to str
        Source of the voxel size (key ``spacing``) and of keys of the metadata: ``json``, ``ome``,
        ``imagej``, ``tiff``, ``metaimage``, ``hdf5``, ``name``, ``user`` or ``assumed``.
    unit : str
        The unit in which the source gives the voxel size: ``um``, ``nm``, ``mm``, ``cm``,
        ``inch``, ``m``.
    warnings : tuple of str
        Remarks that a user must see, one short line each.
    """

    sources: Mapping[str, str] = field(default_factory=dict)
    unit: str = "um"
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Volume:
    """An image with its axes, its voxel size in µm and its metadata.

    Parameters
    ----------
    array : ndarray
        The pixels, in the order of `axes`.
    spacing : tuple of float
        µm per voxel, one positive number per spatial axis of `axes`, in the order z, y, x.
    axes : str
        Ordered subset of ``TCZYX`` that ends in ``YX``, one letter per dimension of `array`.
    metadata : mapping
        Strings and numbers (channel, study, ...). The key ``spacing_source`` is ``"assumed"``
        where the file gave no voxel size.
    origin : Origin
        Where voxel size and metadata come from; it is no part of the content.

    Raises
    ------
    InputError
        If axes and array disagree, an axis is unknown or out of order, a spacing is not a positive
        number or beyond 1e-12 to 1e12 µm, or the pixels are complex numbers, objects or records.

    Examples
    --------
    >>> Volume(np.zeros((8, 64, 64), np.uint16), spacing=(1.0, 0.2, 0.2)).shape
    (8, 64, 64)
    """

    array: NDArray[Any]
    spacing: tuple[float, ...]
    axes: str = "ZYX"
    metadata: Mapping[str, Scalar] = field(default_factory=dict)
    origin: Origin = field(default=Origin(), compare=False)

    def __post_init__(self) -> None:
        """Refuse numbers, axes, shapes and spacings that no image here has."""
        values = _check_geometry(self.array.shape, self.spacing, self.axes, self.array.dtype)
        object.__setattr__(self, "spacing", values)

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of each axis in voxels."""
        return tuple(self.array.shape)

    @property
    def spacing_is_assumed(self) -> bool:
        """Whether the voxel size is a stand-in because the file gave none."""
        return self.metadata.get("spacing_source") == "assumed"

    def like(self, array: NDArray[Any]) -> "Volume":
        """Return another image of the same scene: all but the pixels is kept.

        Parameters
        ----------
        array : ndarray
            The new pixels, of the same shape.

        Raises
        ------
        InputError
            If the shape differs.
        """
        if array.shape != self.array.shape:
            raise InputError(f"expected the shape {self.array.shape}, found {array.shape}")
        return Volume(array, self.spacing, self.axes, self.metadata, self.origin)


def scalars(found: Mapping[str, object]) -> tuple[dict[str, Scalar], tuple[str, ...]]:
    """Return the texts and numbers among a file's metadata that every program can hold.

    Parameters
    ----------
    found : mapping
        Keys and values of any origin. Lists and objects do not count.

    Returns
    -------
    metadata : dict
        At most 1000 keys of at most 100 printable characters; finite numbers, integers of at most
        64 bits, and texts as `cytosuite.errors.plain` leaves them.
    warnings : tuple of str
        At most one line, which names keys that do not count.
    """
    metadata: dict[str, Scalar] = {}
    refused = []
    for key, value in found.items():
        if not isinstance(value, str | int | float):
            continue
        if not _is_key(key) or not _is_number(value) or len(metadata) == KEYS:
            refused.append(plain(str(key), KEY_LETTERS))
        else:
            metadata[key] = _text(value) if isinstance(value, str) else value
    if not refused:
        return metadata, ()
    more = ", ..." if len(refused) > 3 else ""
    return metadata, (
        f"metadata that no program can hold do not count: {', '.join(refused[:3])}{more}",
    )


def is_size(value: object) -> bool:
    """Return whether a value is an edge of a voxel in µm that can be calculated with."""
    return isinstance(value, int | float) and SIZES[0] <= value <= SIZES[1]


def _text(value: str) -> str:
    """Return a text as one printable line; one that is so already stays as it is."""
    return value if value.isprintable() and len(value) <= LINE else plain(value)


def _is_key(key: object) -> bool:
    """Return whether a key of metadata is a short printable text."""
    return isinstance(key, str) and 0 < len(key) <= KEY_LETTERS and key.isprintable()


def _is_number(value: Scalar) -> bool:
    """Return whether a value is a text, or a number that JSON can hold."""
    if isinstance(value, str):
        return True
    return abs(value) < LARGEST if isinstance(value, int) else isfinite(value)


def _check_geometry(
    shape: Sequence[int], spacing: Sequence[float], axes: str, dtype: np.dtype[Any]
) -> tuple[float, ...]:
    """Return a voxel size after a check that it, shape and axes fit each other."""
    if dtype.kind not in KINDS or dtype.itemsize > LARGEST_ITEM:
        raise InputError(f"expected real numbers of at most 64 bits, found dtype {dtype}")
    ordered = "".join(axis for axis in AXES if axis in axes)
    if ordered != axes or not axes.endswith("YX"):
        raise InputError(
            f"axes must be an ordered subset of {AXES} that ends in YX, found {axes!r}"
        )
    if len(shape) != len(axes):
        raise InputError(
            f"an image with axes {axes} has {len(axes)} dimensions, found shape {tuple(shape)}"
        )
    spatial = [axis.lower() for axis in axes if axis in SPATIAL]
    values = tuple(float(value) for value in spacing)
    if len(values) != len(spatial) or not all(isfinite(v) and v > 0 for v in values):
        raise InputError(
            f"spacing must be {len(spatial)} positive numbers in µm ({', '.join(spatial)}), "
            f"found {list(spacing)}"
        )
    if not all(map(is_size, values)):
        raise InputError(f"spacing must be {SIZES[0]:g} to {SIZES[1]:g} µm, found {list(spacing)}")
    return values


def seed_of(volume: Volume) -> int:
    """Return a seed from the digest of an image: the same image gets the same noise."""
    digest = sha256()
    for slab in planes(volume.array):
        digest.update(np.ascontiguousarray(slab).data)
    return int.from_bytes(digest.digest()[:8])
