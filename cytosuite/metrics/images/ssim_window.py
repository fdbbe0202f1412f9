"""The sliding window of the structural similarity: Gaussian or uniform weights along each axis."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cytosuite.errors import InputError

SIGMA = 1.5  # voxels (Wang et al. 2004)
TRUNCATE = 3.5  # sigmas, which makes 11 voxels of 1.5
WIDEST = 17.0  # voxels


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A product of symmetric weights along Z, Y and X.

    Parameters
    ----------
    weights : three float64 arrays
        From the centre outwards; the centre and twice the others sum to 1.
    shrinkage : float
        Population variance over the variance that is compared: 1, or ``(N - 1) / N`` for the
        sample variance of N voxels.
    """

    weights: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
    shrinkage: float = 1.0

    @property
    def radii(self) -> tuple[int, int, int]:
        """Voxels on either side of the centre, along Z, Y, X."""
        z, y, x = (half.size - 1 for half in self.weights)
        return z, y, x


def gaussian_window(
    shape: tuple[int, ...], *, sigma: tuple[float, ...] | float = SIGMA, shrink: bool = False
) -> Window:
    """Return the Gaussian window for images of a shape.

    Parameters
    ----------
    shape : tuple of int
        (Z, Y, X) or (Y, X). A volume of one slice has the window of an image.
    sigma : float or tuple of float
        Standard deviation in voxels, for all axes or for each (see `sigmas_from_um`); 0 for an
        axis along which nothing is averaged. The radius is ``int(3.5 sigma + 0.5)``.
    shrink : bool
        Whether to narrow the window along axes that are shorter than it, which gives another
        number; otherwise they are refused.

    Returns
    -------
    Window
        Of 11 voxels along each axis by default.

    Raises
    ------
    InputError
        If an axis is shorter than the window, the image is neither two- nor three-dimensional, or
        a sigma is not a number from 0 to 17 voxels.

    Examples
    --------
    >>> gaussian_window((32, 64, 64)).radii, gaussian_window((64, 64)).radii
    ((5, 5, 5), (0, 5, 5))
    """
    if len(shape) not in (2, 3):
        raise InputError(f"SSIM needs images (Z, Y, X) or (Y, X), found shape {shape}; give one")
    sigmas = (sigma,) * len(shape) if isinstance(sigma, (int, float)) else tuple(sigma)
    if len(sigmas) != len(shape) or not all(0 <= value <= WIDEST for value in sigmas):
        raise InputError(
            f"SSIM: {len(shape)} standard deviations from 0 to {WIDEST:g} voxels are needed for "
            f"shape {shape}, found {sigmas}; give one per axis, or one number"
        )
    weights = [np.ones(1)] * (3 - len(shape))
    for axis, width in enumerate(sigmas):
        weights.append(_half(shape, axis, width, shrink))
    return Window((weights[0], weights[1], weights[2]))


def uniform_window(
    shape: tuple[int, ...], *, size: int = 7, sample_covariance: bool = True
) -> Window:
    """Return the window of equal weights for images of a shape.

    Parameters
    ----------
    shape : tuple of int
        (Z, Y, X) or (Y, X). A volume of one slice has the window of an image.
    size : int
        Voxels along each axis, odd and at least 3.
    sample_covariance : bool
        Whether variances and covariance are divided by N - 1, for the N voxels of the window.

    Returns
    -------
    Window
        With the defaults that of `skimage.metrics.structural_similarity`, which averages over the
        windows within the image too.

    Raises
    ------
    InputError
        If the size is even or below 3, or larger than an axis.

    Examples
    --------
    >>> uniform_window((32, 64, 64)).radii
    (3, 3, 3)
    """
    axes = [1] * (3 - len(shape)) + list(shape)
    sizes = [1 if length == 1 and axis == 0 else size for axis, length in enumerate(axes)]
    fits = len(axes) == 3 and all(n <= length for n, length in zip(sizes, axes, strict=True))
    if not fits or len(shape) < 2 or size < 3 or size % 2 == 0:
        raise InputError(
            f"SSIM: a window of an odd number of voxels, at least 3, within images (Z, Y, X) or "
            f"(Y, X) is needed, found size {size} for shape {shape}"
        )
    z, y, x = (np.full(length // 2 + 1, 1 / length) for length in sizes)
    voxels = sizes[0] * sizes[1] * sizes[2]
    return Window((z, y, x), (voxels - 1) / voxels if sample_covariance else 1.0)


def sigmas_from_um(sigma_um: float, spacing: tuple[float, ...]) -> tuple[float, ...]:
    """Return the standard deviations in voxels of a window that is round in µm.

    For a standard deviation and the voxel size along each axis in µm; at least 0.15 voxel, so that
    the radius of the window is at least 1.

    Examples
    --------
    >>> gaussian_window((32, 64, 64), sigma=sigmas_from_um(0.6, (1.0, 0.2, 0.2))).radii
    (2, 11, 11)
    """
    return tuple(max(sigma_um / step, 0.15) for step in spacing)


def _half(shape: tuple[int, ...], axis: int, sigma: float, shrink: bool) -> NDArray[np.float64]:
    """Return the weights along one axis from the centre outwards."""
    radius = int(TRUNCATE * sigma + 0.5 + 1e-9)  # 3 voxels are 3, also as 0.6 / 0.2
    length = shape[axis]
    if length == 1 and len(shape) == 3 and axis == 0:
        radius = 0  # a volume of one slice is an image
    if length < 2 * radius + 1:
        if not shrink:
            raise InputError(
                f"SSIM: axis {axis} of shape {shape} is shorter than the window of "
                f"{2 * radius + 1} voxels; allow it to shrink or take a smaller sigma"
            )
        radius = (length - 1) // 2
    if radius == 0:
        return np.ones(1)
    half = np.exp(-(np.arange(radius + 1) ** 2) / (2 * sigma**2))
    return np.asarray(half / (half[0] + 2 * half[1:].sum()), np.float64)
