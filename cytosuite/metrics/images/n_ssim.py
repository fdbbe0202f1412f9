"""N_SSIM of the Fuse My Cells challenge: the share of the lost similarity that is restored.

References
----------
Fuse My Cells challenge, IEEE International Symposium on Biomedical Imaging 2025, evaluation
metrics.
Wang et al. (2004), doi:10.1109/TIP.2003.819861, for the similarity.
"""

from dataclasses import dataclass
from functools import partial
from math import nan

from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.images.pair import Real, checked
from cytosuite.metrics.images.ssim_compare import AS_IT_IS, Scale, compare
from cytosuite.metrics.images.ssim_window import SIGMA, Window, gaussian_window
from cytosuite.metrics.metric import metric
from cytosuite.metrics.percentiles import percentiles

LOW, HIGH = 2.0, 99.8  # percentiles that become 0 and 1
SAME = 1e-12  # similarities closer to 1 than this are those of equal volumes


@dataclass(frozen=True, slots=True, eq=False)
class ImageTriple:
    """Truth, prediction and input, each with its own normalisation.

    Parameters
    ----------
    truth, prediction, image : real arrays of one shape
        (Z, Y, X) or (Y, X), as they were given, not normalised.
    scales : list of three tuples (gain, offset)
        ``gain * value + offset`` is the normalised value; (1, 0) where the percentiles are equal.
    """

    truth: Real
    prediction: Real
    image: Real
    scales: list[Scale]


def triple(truth: Real, prediction: Real, image: Real) -> ImageTriple:
    """Check three volumes and find the normalisation of each.

    Parameters
    ----------
    truth, prediction, image : real arrays of one shape, (Z, Y, X) or (Y, X)
        The fused volume, that predicted, and the single view from which it was predicted.

    Returns
    -------
    ImageTriple
        The volumes as they are, nothing copied, with ``(I - p2) / (p99.8 - p2)`` of each: the
        percentiles of all its voxels, nothing clipped.

    Raises
    ------
    InputError
        If a volume is empty, not real, or has NaN or infinite voxels, or the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> ramp = np.arange(101.0)
    >>> triple(ramp, ramp * 2 - 1, np.zeros(101)).scales[2]
    (1.0, 0.0)
    """
    truth, prediction, image = checked({"truth": truth, "prediction": prediction, "image": image})
    scales = [_scale(volume) for volume in (truth, prediction, image)]
    return ImageTriple(truth, prediction, image, scales)


def _scale(volume: Real) -> Scale:
    """Return gain and offset that normalise a volume."""
    low, high = percentiles(volume, (LOW, HIGH))
    return AS_IT_IS if low == high else (1 / (high - low), -low / (high - low))


def _restored(images: ImageTriple, window: Window, data_range: float = 1.0) -> float:
    """Return the part of the lost similarity that is restored, NaN if none is lost."""
    truth, of_prediction, of_image = images.scales
    before = compare(images.truth, images.image, data_range, window, (truth, of_image))
    if 1 - before < SAME:
        return nan
    scales = (truth, of_prediction)
    after = compare(images.truth, images.prediction, data_range, window, scales)
    return (after - before) / (1 - before)


TRIPLE = Evidence(triple, ("truth", "prediction", "image"))
restoration = partial(
    metric,
    evidence=TRIPLE,
    best=1.0,
    worst=0.0,  # that of the input itself; a prediction can be worse than that
    reference="10.1109/TIP.2003.819861",  # of the similarity; N_SSIM itself has no publication
    undefined="when the input equals the truth",
    tolerance=1e-6,
    neutral=0.0,
)


@restoration("N_SSIM", "Structural similarity restored")
def n_ssim(images: ImageTriple) -> float:
    """Return the part of the structural similarity lost in the input that a prediction restores.

    ``(SSIM(prediction, truth) - SSIM(input, truth)) / (1 - SSIM(input, truth))``, each volume
    scaled by its own percentiles 2 and 99.8, not clipped, and L = 1 although 2.2 % of the values
    lie outside [0, 1]. It is 1 for a prediction equal to the truth, 0 for the input itself,
    negative without lower end for a worse one: report the median with the mean.

    The challenge does not state which SSIM it takes: this is that of `ssim`, in three dimensions;
    `n_ssim_2d` and `n_ssim_tf10` are others in use. The challenge averages nuclei and membranes
    apart. Where the percentiles are equal the volume is used as it is.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.random.default_rng(0).random((11, 11, 11))
    >>> blurred = (truth + truth[::-1]) / 2
    >>> n_ssim(truth, blurred, blurred), n_ssim(truth, truth, blurred), n_ssim(truth, truth, truth)
    (0.0, 1.0, nan)
    """
    return _restored(images, gaussian_window(images.truth.shape))


@restoration("n_ssim_2d", "Structural similarity restored, slice by slice")
def n_ssim_2d(images: ImageTriple) -> float:
    """Return N_SSIM with the similarity in two dimensions, averaged over the slices.

    The volumes are normalised as volumes, not slice by slice.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.random.default_rng(0).random((3, 11, 11))
    >>> n_ssim_2d(truth, truth, truth[::-1])
    1.0
    """
    flat = (0.0,) * (images.truth.ndim - 2) + (SIGMA, SIGMA)
    return _restored(images, gaussian_window(images.truth.shape, sigma=flat))


@restoration(
    "n_ssim_tf10", "Structural similarity restored, as tf.image.ssim with max_val 10 reads a volume"
)
def n_ssim_tf10(images: ImageTriple) -> float:
    """Return N_SSIM with windows along Z and Y only, and L = 10.

    ``tf.image.ssim(truth, prediction, max_val=10)`` takes a volume for an image of height Z, at
    least 11, and width Y with X channels: two-dimensional SSIM per channel, averaged. Some
    participants of the challenge measured so; the wide range L makes it less sensitive.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.random.default_rng(0).random((11, 11, 3))
    >>> n_ssim_tf10(truth, truth, truth[::-1])
    1.0
    """
    sigma = (SIGMA, SIGMA) + (0.0,) * (images.truth.ndim - 2)
    return _restored(images, gaussian_window(images.truth.shape, sigma=sigma), data_range=10.0)
