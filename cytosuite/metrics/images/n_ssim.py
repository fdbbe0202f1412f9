"""N_SSIM of Fuse My Cells (ISBI 2025): the share of the lost similarity that is restored."""

from functools import partial
from math import nan
from typing import NamedTuple

from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.images.pair import checked
from cytosuite.metrics.images.ssim import AS_IT_IS, RADIUS, Scale, compare, gaussian_window
from cytosuite.metrics.metric import metric
from cytosuite.volume.arrays import Array
from cytosuite.volume.pieces import percentiles

LOW, HIGH = 2.0, 99.8  # percentiles that become 0 and 1
SAME = 1e-12  # volumes with a similarity closer to 1 than this are equal


class ImageTriple(NamedTuple):
    """Truth, prediction and input, each with its own normalisation."""

    truth: Array  # (Z, Y, X) or (Y, X), as they were given, not normalised
    prediction: Array
    image: Array
    # ``gain * value + offset`` is the normalised value; (1, 0) where the percentiles are equal
    scales: list[Scale]


def triple(truth: Array, prediction: Array, image: Array) -> ImageTriple:
    """Check three volumes, (Z, Y, X) or (Y, X), and find ``(I - p2) / (p99.8 - p2)`` of each.

    The percentiles are of all voxels, nothing is clipped or copied. InputError if a volume is
    empty, not real, or has NaN or infinite voxels, or the shapes differ.
    """
    truth, prediction, image = checked({"truth": truth, "prediction": prediction, "image": image})
    return ImageTriple(
        truth, prediction, image, [_scale(volume) for volume in (truth, prediction, image)]
    )


def _scale(volume: Array) -> Scale:
    """Return gain and offset that normalise a volume."""
    low, high = percentiles(volume, (LOW, HIGH))
    return AS_IT_IS if low == high else (1 / (high - low), -low / (high - low))


def central(truth: Array, prediction: Array, image: Array) -> ImageTriple:
    """Return `triple` of the middle halves along each axis, each with percentiles of its own."""
    volumes = checked({"truth": truth, "prediction": prediction, "image": image})
    half = tuple(slice(n // 4, 3 * (n // 4) or n) for n in volumes[0].shape)
    return triple(*(volume[half] for volume in volumes))


TRIPLE = Evidence(triple, ("truth", "prediction", "image"))
CENTRE = Evidence(central, TRIPLE.needs)
restored = partial(
    metric,
    best=1.0,
    worst=0.0,  # the input's own; a prediction can be worse
    tolerance=1e-6,
    neutral=0.0,
)
SSIM_DOI = "10.1109/TIP.2003.819861"  # of the similarity; N_SSIM itself has no publication


@restored(
    "N_SSIM",
    "Structural similarity restored",
    evidence=TRIPLE,
    reference=SSIM_DOI,
    undefined="when the input equals the truth",
)
def n_ssim(images: ImageTriple) -> float:
    """Return the part of the structural similarity lost in the input that a prediction restores.

    ``(SSIM(prediction, truth) - SSIM(input, truth)) / (1 - SSIM(input, truth))``, each volume
    scaled by its own percentiles 2 and 99.8, not clipped, and L = 1 although 2.2 % of the values
    lie outside [0, 1]. It is 1 for a prediction equal to the truth, 0 for the input itself,
    negative without lower end for a worse one: report the median with the mean.

    The challenge does not state which SSIM it takes: this is that of `ssim`, in three dimensions.
    It averages nuclei and membranes apart. Where the percentiles are equal the volume is used as
    it is.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.random.default_rng(0).random((11, 11, 11))
    >>> blurred = (truth + truth[::-1]) / 2
    >>> n_ssim(truth, blurred, blurred), n_ssim(truth, truth, blurred), n_ssim(truth, truth, truth)
    (0.0, 1.0, nan)
    """
    window = gaussian_window(images.truth.shape)
    truth, of_prediction, of_image = images.scales
    before = compare(images.truth, images.image, 1.0, window, (truth, of_image))
    if 1 - before < SAME:
        return nan
    after = compare(images.truth, images.prediction, 1.0, window, (truth, of_prediction))
    return (after - before) / (1 - before)


@restored(
    "N_SSIM_centre",
    "Structural similarity restored, of the middle half along each axis",
    evidence=CENTRE,
    reference=SSIM_DOI,
    undefined="when the input equals the truth there, or the crop is narrower than the window",
)
def n_ssim_centre(images: ImageTriple) -> float:
    """Return `n_ssim` of the central crop: half as long along each axis, normalised by itself.

    So a participant of the challenge judges (Cyril-Meyer/FuseMyCells). The border decides much of
    `n_ssim`: on the real training set a plain Gaussian has 0.007 of it and 0.124 of this. They
    are never compared with each other.
    """
    if any(1 < length <= 2 * RADIUS for length in images.truth.shape):
        return nan
    return n_ssim.of(images)
