"""Instances as the classes background, inside and border, and back."""

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from cytosuite.volume.arrays import Bools, Bytes, Integers, Spacing, Words

CLASSES = {"background": 0, "inside": 1, "border": 2}  # as in nnU-Net's dataset.json
Labels = Words


def classes_of(labels: Integers, spacing: Spacing, border_px: float) -> Bytes:
    """Return the classes of labels: within `border_px` of the finest voxels of others is border.

    An object that would be all border is all inside. Objects that touch have a border between them
    along coarse axes too.
    """
    width = border_px * min(spacing)
    reach = [max(1, int(width / step)) for step in spacing]
    offsets = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), -1)
    ball = ((offsets * np.asarray(spacing)) ** 2).sum(-1) <= width**2 * (1 + 1e-9)
    near = ball | (abs(offsets).sum(-1) == 1)
    numbers = labels.astype(np.int64)
    objects = labels > 0
    alone = np.where(objects, numbers, np.iinfo(np.int64).max)
    # The end of the image is no border.
    border = ndimage.minimum_filter(numbers, footprint=ball, mode="nearest") == 0
    border |= ndimage.maximum_filter(numbers, footprint=near, mode="nearest") != numbers
    border |= ndimage.minimum_filter(alone, footprint=near, mode="nearest") != numbers
    border &= np.isin(labels, np.unique(labels[objects & ~border]))
    return (objects * np.where(border, CLASSES["border"], CLASSES["inside"])).astype(np.uint8)


def instances_of(inside: Bools, border: Bools, spacing: Spacing) -> Labels:
    """Return connected insides as labels 1..n, grown over the border that they touch."""
    seeds, count = ndimage.label(inside)
    if not count:
        return np.zeros(inside.shape, np.uint32)
    distance = ndimage.distance_transform_edt(seeds == 0, sampling=spacing)
    grown = watershed(distance.astype(np.float32), seeds, mask=inside | border)
    return np.asarray(grown, dtype=np.uint32)
