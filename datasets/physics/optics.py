"""Light on its way to the camera: attenuation by tissue, blur by the point spread function.

Widths are in µm, so that results do not depend on the voxel size. Images are (Z, Y, X) with the
objective on the side of z = 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from cytosuite.datasets.physics.grid import Image
from cytosuite.errors import InputError

REACH = 4.0  # standard deviations of a Gaussian beyond which its light is left out of account
LAWS = ("exponential", "power", "none")


@dataclass(frozen=True, slots=True)
class Attenuation:
    """Law of the loss of light under a depth of tissue.

    Parameters
    ----------
    law : {"exponential", "power", "none"}
        ``exp(-d / length)``, ``(d / length + 1)^-6``, or no loss at all.
    length_um : float
        Attenuation length, for excitation and emission together.
    delay_um : float
        Tissue that does not dim: `d` counts from this depth on. Negative: additional tissue above
        the first.
    floor : float
        Added to the law at any depth, in [0, 1].

    Raises
    ------
    InputError
        If the law is unknown, the length is not positive or the floor not a share.

    References
    ----------
    The power laws: Bruch et al., Synthesis of large scale 3D microscopic images of 3D cell
    cultures for training and benchmarking, PLOS ONE 18 (2023), doi:10.1371/journal.pone.0283828.
    """

    law: str = "exponential"
    length_um: float = 100.0
    delay_um: float = 0.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a law, a length or a floor that has no meaning."""
        if self.law not in LAWS:
            raise InputError(f"attenuation must be {', '.join(LAWS)}, found {self.law!r}")
        if not (np.isfinite(self.length_um) and self.length_um > 0):
            raise InputError(f"attenuation length must be above 0 µm, found {self.length_um}")
        if not (np.isfinite(self.delay_um) and 0 <= self.floor <= 1):
            raise InputError(
                f"attenuation needs a delay in µm and a floor in [0, 1], "
                f"found {self.delay_um} and {self.floor}"
            )

    def factor(self, depth_um: NDArray[np.floating] | float) -> Image:
        """Return the share of the light, in [0, 1], that is left under any depths of tissue.

        Where the delay is not used up, 1: the formula would give more, or nonsense.
        """
        beyond = np.asarray(depth_um, np.float32) - np.float32(self.delay_um)
        if self.law == "none":
            return np.ones_like(beyond)
        beyond *= np.float32(1 / self.length_um)
        np.maximum(beyond, 0, out=beyond)
        if self.law == "power":
            beyond += 1
            beyond *= beyond * beyond  # cubed
            share = 1 / (beyond * beyond)
        else:
            share = np.exp(-beyond)
        if self.floor:
            share += np.float32(self.floor)
            np.minimum(share, 1, out=share)
        return np.asarray(share, np.float32)


def attenuate(
    image: Image,
    share: NDArray[np.floating] | NDArray[np.bool_],
    step_um: float,
    law: Attenuation,
    above_um: NDArray[np.floating] | float = 0.0,
) -> Image:
    """Dim an image, in place, by the tissue between each voxel and the objective.

    Parameters
    ----------
    image : (Z, Y, X) float32 array
        Changed in place.
    share : (Z, Y, X) float or bool array
        Share of each voxel, in [0, 1], that is tissue, where light is scattered and absorbed.
    step_um, law : float, Attenuation
        Height of a voxel; law of the loss.
    above_um : (Y, X) float array or float
        Tissue in µm between the objective and the first slice.

    Returns
    -------
    (Y, X) float32 array
        Tissue in µm between the objective and the slice after the last: `above_um` of the next
        slab.

    Notes
    -----
    Depth counts tissue only, up to the middle of the voxel. Memory: four slices.
    """
    depth = np.zeros(image.shape[1:], np.float32)
    depth += np.asarray(above_um, np.float32)
    for plane, solid in zip(image, share, strict=True):
        half = solid * np.float32(step_um / 2)
        depth += half
        plane *= law.factor(depth)
        depth += half
    return depth


def convolve(image: Image, kernel: NDArray[np.floating]) -> Image:
    """Return the convolution (Z, Y, X) of an image, dark outside, with a point spread function.

    The kernel (z, y, x) has its centre in voxel ``size // 2`` and is normalised to sum 1. Light of
    a point spreads as in `kernel`, not as in its mirror image.
    """
    shape = padded_shape(image.shape, kernel.shape)
    spread = np.zeros(shape, np.float32)
    spread[tuple(slice(size) for size in kernel.shape)] = kernel / kernel.sum(dtype=np.float64)
    spread = np.roll(spread, [-(size // 2) for size in kernel.shape], axis=(0, 1, 2))
    spectrum = scipy.fft.rfftn(image, shape, workers=1)
    spectrum *= scipy.fft.rfftn(spread, workers=1)
    result = scipy.fft.irfftn(spectrum, shape, workers=1, overwrite_x=True)
    return np.asarray(result[tuple(slice(size) for size in image.shape)], np.float32)  # a view


def padded_shape(shape: Sequence[int], reach: Sequence[int]) -> tuple[int, ...]:
    """Return a shape, fast to transform, with at least `reach` more samples along each axis."""
    return tuple(
        scipy.fft.next_fast_len(size + extra, real=True)
        for size, extra in zip(shape, reach, strict=True)
    )
