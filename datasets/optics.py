"""Light on its way to the camera: attenuation by tissue, blur by the point spread function.

Widths are in µm, so that results do not depend on the voxel size. Images are (Z, Y, X) with the
objective on the side of z = 0.
"""

from collections.abc import Sequence

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Image = NDArray[np.float32]

REACH = 4.0  # standard deviations of a Gaussian beyond which its light is left out of account


def attenuate(
    image: Image,
    tissue: NDArray[np.bool_],
    step_um: float,
    length_um: float,
    above_um: NDArray[np.floating] | float = 0.0,
) -> Image:
    """Dim an image, in place, by the tissue between each voxel and the objective.

    Parameters
    ----------
    image : (Z, Y, X) float32 array
        Changed in place and returned.
    tissue : (Z, Y, X) bool array
        Where light is scattered and absorbed.
    step_um : float
        Height of a voxel.
    length_um : float
        Attenuation length: tissue depth after which 1/e of the light is left, for excitation and
        emission together.
    above_um : (Y, X) float array or float
        Tissue in µm between the objective and the first slice.

    Returns
    -------
    (Z, Y, X) float32 array
        ``image * exp(-depth / length_um)`` where depth counts tissue only, up to the middle of
        the voxel. Memory: two slices.
    """
    depth = np.zeros(image.shape[1:], np.float32)
    depth += np.asarray(above_um, np.float32)
    for plane, solid in zip(image, tissue, strict=True):
        half = solid * np.float32(step_um / 2)
        depth += half
        plane *= np.exp(depth * np.float32(-1 / length_um))
        depth += half
    return image


def gaussian_transfer(size: int, sigma: float, *, real: bool = False) -> Image:
    """Return the Fourier transform of a periodic discrete Gaussian.

    Parameters
    ----------
    size : int
        Period in samples.
    sigma : float
        Standard deviation in samples.
    real : bool
        Only the ``size // 2 + 1`` frequencies of a real transform.

    Returns
    -------
    (size,) or (size // 2 + 1,) float32 array
        ``exp(sigma² (cos(2πf) - 1))``: the kernel ``exp(-sigma²) I_n(sigma²)`` is positive, has sum
        1 and variance exactly ``sigma²`` for every sigma, unlike a sampled Gaussian.

    References
    ----------
    Lindeberg, Scale-space for discrete signals, IEEE PAMI 12 (1990), doi:10.1109/34.49051.
    """
    frequency = (scipy.fft.rfftfreq if real else scipy.fft.fftfreq)(size)
    return np.asarray(np.exp(sigma**2 * (np.cos(2 * np.pi * frequency) - 1)), np.float32)


def blur(
    image: Image,
    spacing: Sequence[float],
    sigma_um: Sequence[float],
    *,
    haze: float = 0.0,
    haze_sigma_um: Sequence[float] = (0.0, 0.0, 0.0),
) -> Image:
    """Return an image seen through a Gaussian point spread function, with a wide haze if wanted.

    Parameters
    ----------
    image : (Z, Y, X) float32 array
        Dark outside.
    spacing : sequence of float
        µm per voxel, z y x.
    sigma_um : sequence of float
        Standard deviations in µm, z y x.
    haze : float
        Share in [0, 1] of the light that goes into a second, wider Gaussian (scattered light).
    haze_sigma_um : sequence of float
        Its standard deviations in µm.

    Returns
    -------
    (Z, Y, X) float32 array
        The sum is kept but for what leaves the volume. Zeros of `REACH` standard deviations are
        appended so that nothing wraps around. Memory: 12 bytes per padded voxel.
    """
    narrow = [sigma / step for sigma, step in zip(sigma_um, spacing, strict=True)]
    wide = [sigma / step for sigma, step in zip(haze_sigma_um, spacing, strict=True)]
    widest = np.maximum(narrow, wide) if haze > 0 else np.asarray(narrow)
    shape = padded_shape(image.shape, np.ceil(REACH * widest).astype(int).tolist())
    spectrum = scipy.fft.rfftn(image, shape, workers=1)
    factors = _transfers(shape, narrow)
    hazes = _transfers(shape, wide) if haze > 0 else None
    for index, plane in enumerate(spectrum):
        transfer = (1 - haze) * factors[0][index] * factors[1][:, None] * factors[2]
        if hazes is not None:
            transfer += haze * hazes[0][index] * hazes[1][:, None] * hazes[2]
        plane *= transfer
    return _cropped(spectrum, shape, image.shape)


def convolve(image: Image, kernel: NDArray[np.floating]) -> Image:
    """Return the convolution of an image with any point spread function.

    Parameters
    ----------
    image : (Z, Y, X) float32 array
        Dark outside.
    kernel : (z, y, x) float array
        At the voxel size of the image; its centre is voxel ``size // 2``. Normalised to sum 1.

    Returns
    -------
    (Z, Y, X) float32 array
        A true convolution: light of a point spreads as in `kernel`, not as in its mirror image.
    """
    shape = padded_shape(image.shape, kernel.shape)
    spread = np.zeros(shape, np.float32)
    spread[tuple(slice(size) for size in kernel.shape)] = kernel / kernel.sum(dtype=np.float64)
    spread = np.roll(spread, [-(size // 2) for size in kernel.shape], axis=(0, 1, 2))
    spectrum = scipy.fft.rfftn(image, shape, workers=1)
    spectrum *= scipy.fft.rfftn(spread, workers=1)
    return _cropped(spectrum, shape, image.shape)


def padded_shape(shape: Sequence[int], reach: Sequence[int]) -> tuple[int, ...]:
    """Return a shape, fast to transform, with at least `reach` more samples along each axis."""
    return tuple(
        scipy.fft.next_fast_len(size + extra, real=True)
        for size, extra in zip(shape, reach, strict=True)
    )


def _transfers(shape: Sequence[int], sigma: Sequence[float]) -> list[Image]:
    """Return the transforms along z, y and x of a Gaussian with deviations in voxels."""
    last = len(shape) - 1
    return [
        gaussian_transfer(size, deviation, real=axis == last)
        for axis, (size, deviation) in enumerate(zip(shape, sigma, strict=True))
    ]


def _cropped(
    spectrum: NDArray[np.complexfloating], padded: Sequence[int], shape: Sequence[int]
) -> Image:
    """Return the inverse transform without its padding."""
    image = scipy.fft.irfftn(spectrum, padded, workers=1, overwrite_x=True)
    return np.asarray(image[tuple(slice(size) for size in shape)], np.float32)  # a view
