"""Light spread by sampled point spread functions into the voxels of the detector."""

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from cytosuite.datasets.physics.camera import area_average
from cytosuite.datasets.physics.grid import Grid, Image
from cytosuite.datasets.physics.optics import padded_shape
from cytosuite.datasets.physics.psf import Sampled
from cytosuite.datasets.physics.spread_gaussian import axis_um
from cytosuite.errors import InputError

Spectrum = NDArray[np.complex64]


class SampledSpread:
    """Spreads light by sampled point spread functions: convolution, then means over the detector.

    Raises
    ------
    InputError
        If a point spread function is larger than the simulated volume.

    Notes
    -----
    The light of a plane is shared out among the point spread functions of its depth before it is
    convolved, so that nothing is gained, lost or rescaled where they blend.
    """

    def __init__(self, psf: Sampled, grid: Grid, detector: Grid) -> None:
        self._grid, self._detector = grid, detector
        resampled = psf.resampled(grid.spacing)
        self._kernels = [kernel.image for kernel in resampled.kernels]
        size = np.max([kernel.shape for kernel in self._kernels], axis=0)
        if (size > grid.shape).any():
            extent = ", ".join(
                f"{n * step:.4g}" for n, step in zip(size, grid.spacing, strict=True)
            )
            room = ", ".join(f"{value:.4g}" for value in grid.size_um)
            raise InputError(
                f"the point spread function ({extent} µm, z y x) is larger than the simulated "
                f"volume ({room} µm); crop it or simulate a larger image"
            )
        self._reach = tuple(int(n) // 2 for n in size)
        depths = axis_um(grid, 0)[0] - detector.origin[0]
        self._weights = resampled.weights(depths, detector.size_um[0])
        self._transfers: dict[tuple[int, tuple[int, ...]], Spectrum] = {}

    def slab_bytes(self, planes: int) -> int:
        """Return the memory needed for a slab of so many planes, besides the light itself."""
        _, y, x = (n + 2 * r for n, r in zip(self._grid.shape, self._reach, strict=True))
        images = 5 + min(len(self._kernels), 3)  # padded light, spectra, results; kernels in use
        return 4 * (planes + 2 * self._reach[0]) * y * x * images

    @property
    def least(self) -> int:
        """Planes of a slab below which most of the work would be for its borders."""
        return 2 * self._reach[0] + 1

    def add(self, light: Image, start: int, out: Image) -> None:
        """Add the light (n, Y, X) of the planes from `start` on to the image `out`."""
        whole = tuple(n + 2 * r for n, r in zip(light.shape, self._reach, strict=True))
        shape = padded_shape(whole, (0, 0, 0))
        weights = self._weights[:, start : start + len(light)]
        used = [(index, shape) for index, weight in enumerate(weights) if weight.any()]
        self._transfers = {key: t for key, t in self._transfers.items() if key in used}
        spectrum = None
        for key in used:
            if key not in self._transfers:
                self._transfers[key] = self._transfer(*key)
            weight = weights[key[0]]
            part = light if (weight == 1).all() else light * weight[:, None, None]
            term = scipy.fft.rfftn(part, shape, workers=1)
            term *= self._transfers[key]
            spectrum = term if spectrum is None else np.add(spectrum, term, out=spectrum)
        spread = scipy.fft.irfftn(spectrum, shape, workers=1, overwrite_x=True)
        spread = spread[tuple(slice(n) for n in whole)]
        first = (start, 0, 0)
        z, y, x = (
            self._grid.origin[axis] + (first[axis] - self._reach[axis]) * step
            for axis, step in enumerate(self._grid.spacing)
        )
        around = Grid((whole[0], whole[1], whole[2]), self._grid.spacing, (z, y, x))
        add_means(np.asarray(spread, np.float32), around, self._detector, out)

    def finish(self, out: Image) -> None:
        """All light is added already."""

    def _transfer(self, index: int, shape: tuple[int, ...]) -> Spectrum:
        """Return the transform of a kernel that begins `reach` before the point."""
        kernel = self._kernels[index]
        sizes = zip(self._reach, kernel.shape, shape, strict=True)
        pads = [(r - n // 2, size - n - (r - n // 2)) for r, n, size in sizes]
        transfer: Spectrum = scipy.fft.rfftn(np.pad(kernel, pads), workers=1, overwrite_x=True)
        return transfer


def add_means(image: Image, grid: Grid, detector: Grid, out: Image) -> None:
    """Add the means of an image over the voxels of a detector to the image `out`.

    The image (Z, Y, X) is on `grid`, which may be a slab, and dark outside; `out` (z, y, x) is
    changed in place, only where the image reaches.
    """
    step = detector.spacing[0]
    top = grid.origin[0] - detector.origin[0]
    first = max(int(np.floor(top / step)), 0)
    last = min(int(np.ceil((top + grid.size_um[0]) / step)), len(out))
    if first < last:
        part = detector.slab(first, last)
        offset = [a - b for a, b in zip(part.origin, grid.origin, strict=True)]
        out[first:last] += area_average(image, grid.spacing, part.shape, part.spacing, offset)
