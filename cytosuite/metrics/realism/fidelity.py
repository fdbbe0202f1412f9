"""Fidelity to known labels: objects moved, lost, faded or invented by a translation.

Judges a prediction by the labels of the objects in its input. Objects that do not stand out of
their surroundings in the input do not count: nothing can be kept of them.
Cohen, Luck, Honari, MICCAI 2018, doi:10.1007/978-3-030-00928-1_60 (hallucinated features); Zitová,
Flusser, Image and Vision Computing 21 (2003) 977, doi:10.1016/S0262-8856(03)00137-9.
"""

from functools import partial
from math import pi
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.images.pair import checked
from cytosuite.metrics.known import known, ratio
from cytosuite.metrics.metric import metric
from cytosuite.metrics.realism.structure import SMOOTHING_UM, SURROUND_UM, checked_labels, smooth
from cytosuite.segmentation.foreground import background_and_noise, remove_background
from cytosuite.segmentation.kept import (
    VISIBLE,
    alike,
    edges,
    shifts,
    standing_out,
    stays,
    surroundings,
)
from cytosuite.volume.arrays import Array, Bools, Doubles, Floats, Ints, Lengths, Spacing
from cytosuite.volume.objects import means, numbered, opened

MARGIN_UM = 1.0  # around objects, where light of theirs is no new body
WIDE = 3.0  # radii of the typical object: radius from which structure counts as background
DIM = 0.25  # quantile of the objects' brightness: half of it is enough for a body
APART = 0.5  # of that brightness, in the input, below which a body is new
LEAST_VOLUME = 0.25  # of the median object's, of a body
VOXEL_BYTES = 80  # of smoothed images, zones, edges and signal


class Kept(NamedTuple):
    """Fate of the objects that stand out in the input."""

    # objects that stand out in the input, and how many of them do not in the prediction
    visible: int
    lost: int
    invented: int  # bodies of the prediction outside of the labels, where the input has none
    shift_um: Doubles  # how far the edges of each visible object that is not lost have moved
    contrast: Doubles  # contrast of each visible object in the prediction over that in the input


def kept(
    prediction: Array,
    image: Array,
    labels: Array,
    spacing: Spacing,
) -> Kept:
    """Return the fate of the objects of an input in a prediction.

    Arguments and errors are those of `cytosuite.metrics.realism.structure.structure`; the
    background next to another object is the nearest one's, the Gaussian comes before all else.

    Notes
    -----
    An object stands out if its voxels are brighter than those around with a probability of 3/4, and
    is lost if less than half of that probability beyond 1/2 is left. Edges, the gradients of the
    smoothed volumes, are compared after a monotone map has given the prediction the input's
    distribution of grey values around objects. The contrast is ``(in - around) / (|in - dark| +
    |around - dark|)`` of mean grey values, ``dark`` the most frequent one.
    """
    prediction, image = checked({"prediction": prediction, "image": image})
    labels, step = checked_labels(labels, image.shape, spacing)
    objects = numbered(labels)[1]
    before, after = (smooth(volume, SMOOTHING_UM, step) for volume in (image, prediction))
    around = surroundings(objects, step, SURROUND_UM)
    clear, now = (standing_out(volume, objects, around) for volume in (before, after))
    with np.errstate(invalid="ignore"):
        visible = clear >= VISIBLE
    if not visible.any():
        return Kept(0, 0, 0, np.zeros(0), np.zeros(0))
    remains = visible & stays(clear, now)
    zones = np.where(visible[objects], objects, np.where(visible[around], around, 0))
    moved = shifts(edges(before, step), edges(alike(after, before, zones != 0), step), zones, step)
    moved = moved[remains[: len(moved)]]
    old, new = (_contrast(volume, objects, around)[visible] for volume in (before, after))
    return Kept(
        visible=int(visible.sum()),
        lost=int(visible.sum() - remains.sum()),
        invented=_invented(before, after, objects, visible, step),
        shift_um=np.linalg.norm(moved, axis=1),
        contrast=new / old,
    )


KEPT = Evidence(kept, ("prediction", "image", "labels", "spacing"), voxel_bytes=VOXEL_BYTES)
NO_OBJECT = "when no labelled object stands out of its surroundings in the input"
HALLUCINATION = "10.1007/978-3-030-00928-1_60"
faithful = partial(metric, evidence=KEPT, undefined=NO_OBJECT)


@faithful(
    "edge_shift_um",
    "Shift of the edges of objects, median, µm",
    best=0.0,
    neutral=0.0,
    reference="10.1016/S0262-8856(03)00137-9",
    undefined="when no labelled object stands out of its surroundings in both images",
)
def edge_shift_um(fate: Kept) -> float:
    """Return the median over objects of how far their edges have moved, in µm.

    By the correlation of gradients around each object that stands out in both images. Blur, noise
    and maps of the grey values move them by a tenth of a voxel or so.
    """
    return known(fate.shift_um, np.median)


@faithful(
    "objects_lost",
    "Objects that no longer stand out / objects that did",
    best=0.0,
    worst=1.0,
    neutral=0.0,
    reference=HALLUCINATION,
)
def objects_lost(fate: Kept) -> float:
    """Return the share of objects visible in the input that are gone, or dark, since."""
    return ratio(fate.lost, fate.visible)


@faithful(
    "objects_invented",
    "Bodies outside of the labels that the input has not / objects",
    best=0.0,
    neutral=0.0,
    reference=HALLUCINATION,
)
def objects_invented(fate: Kept) -> float:
    """Return the number of new bright bodies of the prediction per visible object of the input.

    A body is as bright as half of the dimmest quarter of objects, has a quarter of their
    volume, and is not in the labels nor half as bright in the input.
    """
    return ratio(fate.invented, fate.visible)


@faithful("contrast_kept", "Contrast of objects, prediction over input, median", neutral=1.0)
def contrast_kept(fate: Kept) -> float:
    """Return the median over objects of their contrast in the prediction over that in the input.

    Negative where contrast is inverted, towards 0 where gaps are filled, above 1 where blur is
    taken away; offset and gain of the grey values change nothing.
    """
    return known(fate.contrast, np.median)


def _contrast(volume: Floats, objects: Ints, around: Ints) -> Doubles:
    """Return the contrast of each object with its surroundings, -1 to 1, by number."""
    dark = background_and_noise(volume)[0]
    inside, outside = (
        means(volume, group, int(objects.max()) + 1) - dark for group in (objects, around)
    )
    scale = np.abs(inside) + np.abs(outside)
    return (inside - outside) / np.where(scale > 0, scale, 1)


def _invented(
    before: Floats,
    after: Floats,
    objects: Ints,
    visible: Bools,
    step: Lengths,
) -> int:
    """Return the number of bodies in a smoothed prediction that are not in the smoothed input."""
    count = np.bincount(objects.ravel())
    typical = float(np.median(count[visible]))
    voxel = float(np.prod(step))
    radius = (3 * typical * voxel / (4 * pi)) ** (1 / 3)
    if len(step) == 2:
        radius = (typical * voxel / pi) ** 0.5
    bright = []
    for volume in (before, after):
        signal = remove_background(volume, step, WIDE * radius)
        signal -= np.float32(background_and_noise(signal)[0])
        light = float(np.quantile(means(signal, objects, count.size)[visible], DIM))
        if light <= 0:
            return 0  # the objects are no brighter than background: no measure of a body
        bright.append(signal / np.float32(light / 2))
    new = (bright[1] > 1) & (bright[0] < APART) & (objects == 0)
    margin = [2 * max(1, round(MARGIN_UM / size)) + 1 for size in step]
    new &= ndimage.maximum_filter(objects, margin) == 0
    pieces, _ = ndimage.label(opened(new))
    return int(np.count_nonzero(np.bincount(pieces.ravel())[1:] >= LEAST_VOLUME * typical))
