"""Read one image with its labels, and refuse what cannot be segmented or scored."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from cytosuite.errors import InputError
from cytosuite.formats import read
from cytosuite.volume import Volume
from datasets.conditions import measured
from datasets.folder.collect import Item
from datasets.sample import Sample


def load(item: Item, spacing: tuple[float, ...] | None = None) -> Sample:
    """Return the sample of one item; what can be measured of it is among its conditions.

    Parameters
    ----------
    item : Item
        Image file and label file.
    spacing : tuple of float, optional
        µm per voxel (z, y, x), in place of what the image file says.

    Raises
    ------
    InputError
        If a file cannot be read, the image is not 2D or 3D or holds NaN, or the labels are not
        non-negative integers of the image's shape.
    """
    image = _with_spacing(read(item.image), spacing)
    if image.axes not in {"YX", "ZYX"}:
        raise InputError(
            f"{item.image}: expected a 2D or 3D image, found shape {image.shape} with axes "
            f"{image.axes}; give one file per time point and channel"
        )
    if image.array.size == 0:
        raise InputError(f"{item.image}: the image is empty, shape {image.shape}")
    if image.array.dtype.kind == "f" and not np.isfinite(image.array).all():
        raise InputError(f"{item.image}: expected finite intensities, found NaN or infinity")
    if image.array.dtype.kind not in "uif":
        raise InputError(f"{item.image}: expected numbers, found dtype {image.array.dtype}")
    inputs = {"microscopy-image": image}
    if item.labels is None:
        return Sample(inputs, {}, conditions=item.conditions)
    labels = _labels(item.labels, image)
    conditions = measured(image.array, labels.array) | dict(item.conditions)
    return Sample(inputs, {"instance-labels": labels}, conditions=conditions)


def _with_spacing(image: Volume, spacing: tuple[float, ...] | None) -> Volume:
    """Return the image with the voxel size that the user gave."""
    if spacing is None:
        return image
    known = {key: value for key, value in image.metadata.items() if key != "spacing_source"}
    return replace(image, spacing=spacing, metadata=known)


def _labels(path: Path, image: Volume) -> Volume:
    """Return the labels of an image as the smallest unsigned integers that hold them."""
    labels = read(path).array
    if labels.dtype.kind not in "ui":
        raise InputError(
            f"{path}: labels must be integers, found dtype {labels.dtype}; "
            "save them as 16- or 32-bit integers"
        )
    if labels.shape != image.shape:
        raise InputError(
            f"{path}: labels must have the image's shape {image.shape}, found {labels.shape}"
        )
    if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
        raise InputError(f"{path}: labels must not be negative, found {labels.min()}")
    highest = int(labels.max()) if labels.size else 0
    small = labels.astype(np.min_scalar_type(max(highest, 256)), copy=False)
    return Volume(small, image.spacing, image.axes)
