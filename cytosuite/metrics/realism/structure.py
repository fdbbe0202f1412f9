"""Structure under known labels: brightness of the objects, and agreement with the input.

Judges an image without a paired truth by the labels of the objects in its input. Voxels of objects
are compared with the background voxels at most `SURROUND_UM` away from an object. Hanley and
McNeil, Radiology 143 (1982), doi:10.1148/radiology.143.1.7063747 (area under the ROC curve).
"""

from functools import partial
from math import nan

import numpy as np
from scipy import ndimage

from cytosuite.errors import InputError
from cytosuite.files import frozen
from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.images.pair import checked
from cytosuite.metrics.known import voxel_size
from cytosuite.metrics.metric import metric
from cytosuite.metrics.realism.regions import dilated
from cytosuite.volume.arrays import Array, Floats, Lengths, Shape, Spacing
from cytosuite.volume.pieces import from_lowest

SURROUND_UM = 3.0  # about a third of a nucleus: the background that borders on the objects
SMOOTHING_UM = 1.0  # keeps the structure of a nucleus, not the noise
VOXEL_BYTES = 32  # of masks, smoothed images and sorted values


@frozen
class Structure:
    """Contrast of the objects in a prediction and in its input, and how the two correlate."""

    # probability that a voxel of an object is brighter than one of the surrounding background, in
    # the prediction and in the input, in [0, 1]; NaN without voxels of both kinds
    auc: float
    image_auc: float
    # of prediction and input, both smoothed, within objects and surroundings, in [-1, 1]; NaN where
    # one of them is constant
    correlation: float


def structure(
    prediction: Array,
    image: Array,
    labels: Array,
    spacing: Spacing,
    *,
    surround_um: float = SURROUND_UM,
) -> Structure:
    """Return the contrast of known objects in a prediction and its input, (Z, Y, X) or (Y, X).

    Background counts up to `surround_um` away from an object; the Gaussian before the correlation
    has the standard deviation `SMOOTHING_UM` (nearest border, cut at 4 sigma). InputError if the
    shapes differ, labels are no integers, an image is not real and finite, or a length is not
    positive.

    Examples
    --------
    >>> labels = np.array([[0, 1, 1, 0, 0, 0]])
    >>> image = np.array([[0, 5, 5, 5, 1, 9]])
    >>> structure(image, image, labels, (1, 1), surround_um=2).auc  # 2 x 2 of 6 brighter, 2 equal
    0.8333333333333334
    """
    prediction, image = checked({"prediction": prediction, "image": image})
    labels, step = checked_labels(labels, image.shape, spacing)
    if not surround_um > 0:
        raise InputError(f"surround_um must be a positive length in µm, found {surround_um}")
    inside = labels != 0
    near = dilated(inside, step, surround_um)
    around = near & ~inside
    return Structure(
        auc=brighter(prediction[inside], prediction[around]),
        image_auc=brighter(image[inside], image[around]),
        correlation=_correlation(
            *(smooth(volume, SMOOTHING_UM, step)[near] for volume in (prediction, image))
        ),
    )


STRUCTURE = Evidence(
    structure, ("prediction", "image", "labels", "spacing"), voxel_bytes=VOXEL_BYTES
)
NO_SURROUNDING = "when the labels hold no object, or no background next to one"
preserved = partial(metric, evidence=STRUCTURE)


@preserved(
    "label_AUC",
    "Objects brighter than their surroundings",
    best=1.0,
    worst=0.0,
    reference="10.1148/radiology.143.1.7063747",
    undefined=NO_SURROUNDING,
)
def label_auc(measured: Structure) -> float:
    """Return the probability that a voxel of an object is brighter than one of its surroundings.

    ``P(inside > around) + P(inside = around) / 2``, the area under the ROC curve of the grey value:
    1/2 for noise, below it for dark objects. No increasing map of the grey values changes it.
    """
    return measured.auc


@preserved(
    "label_AUC_change",
    "Change of objects brighter than their surroundings, prediction minus input",
    undefined=NO_SURROUNDING,
    neutral=0.0,
)
def label_auc_change(measured: Structure) -> float:
    """Return `label_auc` of the prediction minus `label_auc` of the input."""
    return measured.auc - measured.image_auc


@preserved(
    "structure_correlation",
    "Correlation of prediction and input around objects, both smoothed",
    undefined="when the labels hold no object, or an image is constant around them",
    neutral=1.0,
)
def structure_correlation(measured: Structure) -> float:
    """Return the correlation of the smoothed prediction with the smoothed input around objects.

    Pearson's, over the voxels of objects and of their surroundings: 1 where the structure was
    kept, lower where it was moved, removed or invented.
    """
    return measured.correlation


def checked_labels(labels: Array, shape: Shape, spacing: Spacing) -> tuple[Array, Lengths]:
    """Return labels and spacing as they are needed, refused unless they suit an image."""
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu" or labels.shape != shape:
        raise InputError(
            f"labels must be integers of the shape of the image, {shape}, found "
            f"{labels.dtype} of shape {labels.shape}"
        )
    return labels, tuple(voxel_size(spacing, len(shape)).tolist())


def brighter(inside: Array, around: Array) -> float:
    """Return the probability that one value exceeds another, equal ones counting half."""
    if not (inside.size and around.size):
        return nan
    inside = np.sort(inside)
    around = np.sort(around)
    below, not_above = (int(np.searchsorted(around, inside, s).sum()) for s in ("left", "right"))
    return (below + not_above) / (2 * inside.size * around.size)


def smooth(volume: Array, sigma_um: float, step: Spacing) -> Floats:
    """Return a volume, but for its offset, after a Gaussian of some width in µm."""
    smoothed: Floats = ndimage.gaussian_filter(
        from_lowest(volume), [sigma_um / size for size in step], output=np.float32, mode="nearest"
    )
    return smoothed


def _correlation(first: Array, second: Array) -> float:
    """Return the correlation of two samples, NaN if one is empty or constant."""
    if not first.size or first.min() == first.max() or second.min() == second.max():
        return nan
    return float(np.corrcoef(first, second)[0, 1])
