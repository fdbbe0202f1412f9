"""Images that are not paired: stacks, stacks with their objects, and sets of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cytosuite.errors import InputError
from cytosuite.large import slabs
from cytosuite.metrics.chunks import extremes
from cytosuite.volume import Volume

Image = TypeVar("Image")


@dataclass(frozen=True, slots=True)
class Scene:
    """A stack and the instance labels of its objects, drawn by hand or simulated.

    Parameters
    ----------
    image : Volume
        Axes ``ZYX``, integers or floats, spacing in µm.
    labels : (Z, Y, X) integer array
        0 = background.

    Raises
    ------
    InputError
        If the axes are others, the shapes differ, labels are no integers or negative, or a grey
        value is NaN.
    """

    image: Volume
    labels: NDArray[Any]

    def __post_init__(self) -> None:
        """Refuse images and labels without a score."""
        stack(self.image)
        if self.labels.dtype.kind not in "biu" or (
            self.labels.size and extremes(self.labels)[0] < 0
        ):
            raise InputError(
                "labels must be integers of at least 0, found "
                f"{self.labels.dtype}; use 0 for background"
            )
        if self.labels.shape != self.image.shape:
            raise InputError(
                f"labels must have the shape of their image, {self.image.shape}, found "
                f"{self.labels.shape}; labels must cover the image voxel by voxel"
            )


def stack(image: Volume) -> NDArray[Any]:
    """Return the (Z, Y, X) array, of integers or floats, of an image that is a stack of numbers.

    Raises
    ------
    InputError
        If the axes are not ``ZYX``, the dtype is no real number, or a value is not finite.
    """
    array = image.array
    if image.axes != "ZYX" or array.dtype.kind not in "biuf":
        raise InputError(
            f"the image must be a ZYX stack of integers or floats, found axes {image.axes} of "
            f"{array.dtype}; take one channel of one time point"
        )
    for z, plane in enumerate(planes_of(array) if array.dtype.kind == "f" else ()):
        if not np.isfinite(plane).all():
            raise InputError(
                f"plane {z}: grey values must be finite numbers, found NaN or infinity; "
                "replace such voxels"
            )
    return array


def planes_of(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the planes of a stack one by one; of one on disk they take the memory of a slab."""
    for part in slabs(array):
        yield from array[part]


def members(images: Image | Sequence[Image]) -> list[Image]:
    """Return the images of a set, a list or tuple, or the only one.

    Examples
    --------
    >>> members("one"), members(["one", "other"])
    (['one'], ['one', 'other'])
    """
    return list(images) if isinstance(images, list | tuple) else [images]  # type: ignore[list-item]
