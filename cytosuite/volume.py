"""An image with its axes, voxel size and metadata."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.errors import InputError

AXES = "TCZYX"
SPATIAL = "ZYX"

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
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    spacing: tuple[float, ...]
    axes: str


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
        If axes and array disagree, an axis is unknown or out of order, or a spacing is not a
        positive number.

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
        """Refuse axes, shapes and spacings that contradict each other."""
        ordered = "".join(axis for axis in AXES if axis in self.axes)
        if ordered != self.axes or not self.axes.endswith("YX"):
            raise InputError(
                f"axes must be an ordered subset of {AXES} that ends in YX, found {self.axes!r}"
            )
        if self.array.ndim != len(self.axes):
            raise InputError(
                f"an image with axes {self.axes} has {len(self.axes)} dimensions, "
                f"found shape {self.array.shape}"
            )
        spatial = sum(axis in SPATIAL for axis in self.axes)
        values = [float(value) for value in self.spacing]
        if len(values) != spatial or not all(np.isfinite(v) and v > 0 for v in values):
            raise InputError(
                f"spacing must be {spatial} positive numbers in µm "
                f"({', '.join(axis.lower() for axis in self.axes if axis in SPATIAL)}), "
                f"found {list(self.spacing)}"
            )
        object.__setattr__(self, "spacing", tuple(values))

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
