"""Numbers that describe the texture of a patch, in physical units."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.errors import InputError

LEAST = 1e-6  # added to shares before their logarithm, so that nothing counts as minus infinity

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Extractor:
    """Settings of the numbers that describe a patch.

    Parameters
    ----------
    patch_um : tuple of 3 floats
        Size z, y, x of a patch in µm.
    bands : tuple of float
        Limits of the bands of the power spectrum in cycles per µm, ascending.
    openings_um : tuple of float
        Edges of the cubes of the granularity in µm, ascending.

    Raises
    ------
    InputError
        If a number is not positive or a list not ascending.

    Notes
    -----
    The numbers, and why each is there:

    - mean and logarithm of the standard deviation of the grey values, their skewness and excess
      kurtosis (both with the sign kept and compressed by ``log(1 + |x|)``): brightness, contrast,
      and how the light is shared out between few bright and many dark voxels;
    - the logarithm of the gradient energy over the variance, along z and laterally, per µm²: blur
      and noise, and how both differ between the axis and the plane;
    - the logarithm of the share of the variance in each band of radial frequency: the sizes of
      structures, apart from contrast;
    - granularity: the share of the light above the minimum that openings with cubes of growing
      size take away from one to the next: sizes of bright grains, which the spectrum, blind to
      phase, cannot tell from dark ones.

    Examples
    --------
    >>> Extractor().names[:4], len(Extractor().names)
    (('mean', 'spread', 'skewness', 'kurtosis'), 13)
    """

    patch_um: tuple[float, float, float] = (12.0, 12.0, 12.0)
    bands: tuple[float, ...] = (0.04, 0.1, 0.2, 0.35, 0.6)
    openings_um: tuple[float, ...] = (2.5, 5.0, 8.0)

    def __post_init__(self) -> None:
        """Refuse sizes without meaning."""
        for name in ("patch_um", "bands", "openings_um"):
            values = getattr(self, name)
            ascending = name == "patch_um" or list(values) == sorted(set(values))
            if not (values and all(value > 0 for value in values) and ascending):
                raise InputError(
                    f"{name} must be positive numbers"
                    f"{'' if name == 'patch_um' else ' in ascending order'}, found {values}"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each number."""
        return (
            *("mean", "spread", "skewness", "kurtosis", "gradient_z", "gradient_yx"),
            *(f"power_{low:g}_{high:g}" for low, high in pairwise(self.bands)),
            *(f"grains_{size:g}" for size in self.openings_um),
        )

    def shape(self, spacing: Sequence[float]) -> tuple[int, int, int]:
        """Return the size of a patch in voxels, at least 2 along each axis.

        Parameters
        ----------
        spacing : sequence of 3 floats
            Voxel size z, y, x in µm.
        """
        z, y, x = (
            max(round(size / step), 2) for size, step in zip(self.patch_um, spacing, strict=True)
        )
        return z, y, x


def statistics(patches: NDArray[Any], spacing: Sequence[float], extractor: Extractor) -> Floats:
    """Return the numbers that describe each patch.

    Parameters
    ----------
    patches : (N, Z, Y, X) array of integers or floats
        Patches of one stack.
    spacing : sequence of 3 floats
        Voxel size z, y, x in µm.
    extractor : Extractor
        Settings of the numbers.

    Returns
    -------
    (N, D) float64 array
        In the order of ``extractor.names``; finite also for constant patches.
    """
    grey = patches.astype(np.float64)
    steps = np.asarray(spacing, np.float64)
    space = (1, 2, 3)
    mean = grey.mean(axis=space)
    centred = grey - mean[:, None, None, None]
    variance = (centred**2).mean(axis=space)
    varied = variance > (1e-12 * np.abs(mean)) ** 2
    safe = np.where(varied, variance, 1.0)
    skew = np.where(varied, (centred**3).mean(axis=space) / safe**1.5, 0.0)
    kurtosis = np.where(varied, (centred**4).mean(axis=space) / safe**2 - 3.0, 0.0)
    columns = [mean, np.log(np.sqrt(variance) + LEAST * (np.abs(mean) + 1.0))]
    columns += [np.sign(value) * np.log1p(np.abs(value)) for value in (skew, kurtosis)]
    energy = [(np.diff(grey, axis=a) ** 2).mean(axis=space) / steps[a - 1] ** 2 for a in space]
    columns += [np.log(e / safe + LEAST) for e in (energy[0], energy[1] + energy[2])]
    columns += _bands(centred, steps, safe, extractor.bands)
    columns += _grains(grey, steps, extractor.openings_um)
    return np.stack(columns, axis=1)


def _bands(
    centred: Floats, steps: Floats, variance: Floats, bands: Sequence[float]
) -> list[Floats]:
    """Return the logarithm of the share of the variance in each band of frequency."""
    shape = centred.shape[1:]
    window = np.ones(1)
    for size in shape:
        window = np.multiply.outer(window, np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2)
    window = window[0]
    power = np.abs(np.fft.fftn(centred * window, axes=(1, 2, 3))) ** 2
    axes = [np.fft.fftfreq(size, step) for size, step in zip(shape, steps, strict=True)]
    radius = np.sqrt(sum(f**2 for f in np.meshgrid(*axes, indexing="ij")))
    power /= (window**2).sum() * window.size
    shares = []
    for low, high in pairwise(bands):
        inside = (radius >= low) & (radius < high)
        shares.append(np.log(power[:, inside].sum(axis=1) / variance + LEAST))
    return shares


def _grains(grey: Floats, steps: Floats, sizes: Sequence[float]) -> list[Floats]:
    """Return the share of the light above the minimum that each opening takes away."""
    floor = grey.min(axis=(1, 2, 3), keepdims=True)
    light = (grey - floor).mean(axis=(1, 2, 3))
    safe = np.where(light > 0, light, 1.0)
    left, taken = light, []
    for size in sizes:
        cube = tuple(max(round(size / step), 1) for step in steps)
        opened = ndimage.grey_opening(grey, size=(1, *cube), mode="nearest")
        remains = (opened - floor).mean(axis=(1, 2, 3))
        taken.append((left - remains) / safe)
        left = remains
    return taken
