"""Images that are not paired: stacks, stacks with their objects, and sets of them."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from cytosuite.errors import InputError
from cytosuite.files import frozen
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array
from cytosuite.volume.pieces import extremes, planes_of

Image = TypeVar("Image")


@frozen
class Scene:
    """A ZYX stack and labels of its objects; InputError for other axes, shapes, dtypes, NaN."""

    image: Volume  # axes ``ZYX``, integers or floats, spacing in µm
    labels: Array  # (Z, Y, X); 0 = background

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


Stacks = Volume | Sequence[Volume]  # a set, or its only member
Scenes = Scene | Sequence[Scene]


def stack(image: Volume) -> Array:
    """Return the (Z, Y, X) array of an image, an `InputError` unless it is of finite numbers."""
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


def members(images: Image | Sequence[Image], kind: type[Image]) -> list[Image]:
    """Return the images of a set, a list or tuple, or the only one; InputError for another type."""
    listed: list[Any] = [*images] if isinstance(images, list | tuple) else [images]
    for image in listed:
        if not isinstance(image, kind):
            raise InputError(
                f"expected a {kind.__name__} or a list of them, found {type(image).__name__}; an "
                "array becomes one by Volume(array, spacing), with labels Scene(volume, labels)"
            )
    return listed
