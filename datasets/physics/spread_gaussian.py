"""Light spread by a Gaussian from simulated planes into the voxels of the detector."""

import numpy as np
from scipy.sparse import csr_array, eye_array
from scipy.special import erf

from cytosuite import large
from cytosuite.datasets.physics.grid import Array, Grid, Image
from cytosuite.datasets.physics.optics import REACH
from cytosuite.datasets.physics.psf import Gaussian

FINE = 2.0  # steps of the grid of the haze in one of its standard deviations


def means(
    source: tuple[Array, float], target: tuple[Array, float], sigma: Array | float
) -> csr_array:
    """Return the means of blurred light over the intervals of an axis.

    Parameters
    ----------
    source, target : tuple of (n,) float array and float
        Middles of the intervals in µm, evenly spaced, and their length. Light is even in each
        interval of the source.
    sigma : (n,) float array or float
        Standard deviation in µm of the Gaussian, for each interval of the source.

    Returns
    -------
    (targets, sources) sparse float32 matrix
        Its product with the light is the mean over each target interval of the light convolved
        with the Gaussian, in closed form: no voxel is too coarse. Light farther than `REACH`
        standard deviations from an interval is left out (below 1e-4).
    """
    (sources, length), (targets, size) = source, target
    widths = np.broadcast_to(np.asarray(sigma, np.float64), sources.shape)
    reach = REACH * float(widths.max()) + (length + size) / 2
    first = np.searchsorted(sources, targets - reach)
    terms = int((np.searchsorted(sources, targets + reach) - first).max())
    column = first[:, None] + np.arange(terms)  # (targets, terms)
    inside = column < len(sources)
    column = np.minimum(column, len(sources) - 1)
    distance = np.abs(targets[:, None] - sources[column])
    far, near = (size + length) / 2, abs(size - length) / 2
    weight = np.zeros(column.shape)
    for sign, edge in ((1, far), (-1, near), (-1, -near), (1, -far)):
        weight += sign * _ramp(distance + edge, widths[column])
    keep = inside & (weight > 1e-9 * size)  # below is rounding
    row = np.broadcast_to(np.arange(len(targets))[:, None], column.shape)
    entries = ((weight[keep] / size).astype(np.float32), (row[keep], column[keep]))
    return csr_array(entries, shape=(len(targets), len(sources)))


def _ramp(position: Array, sigma: Array) -> Array:
    """Return ``max(position, 0)`` convolved with a Gaussian: its second derivative is that."""
    scaled = position / np.maximum(sigma, 1e-9)
    bell = np.exp(-(scaled**2) / 2) / np.sqrt(2 * np.pi)
    return np.asarray(sigma * bell + position * (1 + erf(scaled / np.sqrt(2))) / 2)


def axis_um(grid: Grid, axis: int) -> tuple[Array, float]:
    """Return the middles (n,) of the voxels along an axis and their length, in µm."""
    step = grid.spacing[axis]
    middles = grid.origin[axis] + (np.arange(grid.shape[axis]) + 0.5) * step
    return np.asarray(middles, np.float64), step


class GaussianSpread:
    """Spreads light by a Gaussian and its haze, one axis after the other, in closed form.

    Notes
    -----
    The mean over a detector voxel of the blurred light is a sum over few simulated voxels along
    each axis: no transform, no padding, nothing wraps around, and dark stays exactly 0. The haze
    goes through a grid of `FINE` steps per standard deviation: half its variance is spread on the
    way there, half on the way to the detector (exact to 1e-3 of its own light).
    """

    def __init__(self, psf: Gaussian, grid: Grid, detector: Grid) -> None:
        self._psf, self._grid, self._detector = psf, grid, detector
        middles, step = axis_um(grid, 0)
        self._depths = middles - detector.origin[0]
        targets = axis_um(detector, 0)
        self._up = means((middles, step), targets, psf.sigma_at(0, self._depths)).tocsc()
        self._up *= np.float32(1 - psf.haze)
        self._across = self._lateral(0.0)
        self._haze = _Haze(psf, grid, detector) if psf.haze > 0 else None

    def slab_bytes(self, planes: int) -> int:
        """Return the memory needed for a slab of so many planes, besides the light itself."""
        _, y, x = self._detector.shape
        return 4 * planes * (y * x + (self._haze.plane if self._haze is not None else 0))

    @property
    def least(self) -> int:
        """Planes of a slab below which most of the work would be for its borders."""
        return 1

    def add(self, light: Image, start: int, out: Image) -> None:
        """Add the light (n, Y, X) of the planes from `start` on to the image `out`."""
        planes, (_, y, x) = len(light), self._detector.shape
        narrow = np.empty((planes, x, y), np.float32)
        for index, plane in enumerate(light):
            rows, columns = self._across
            if self._psf.growth:
                rows, columns = self._lateral(self._depths[start + index])
            narrow[index] = columns @ np.ascontiguousarray((rows @ plane).T)
        up = self._up[:, start : start + planes].tocsr()
        touched = np.flatnonzero(np.diff(up.indptr))
        for index in touched.tolist():  # a plane of the detector at a time: no second stack
            seen = up[[index]] @ narrow.reshape(planes, -1)
            out[index] += seen.reshape(x, y).T
        if self._haze is not None:
            self._haze.add(light, start)

    def finish(self, out: Image) -> None:
        """Add the haze."""
        if self._haze is not None:
            self._haze.finish(out)

    def _lateral(self, depth_um: float) -> tuple[csr_array, csr_array]:
        """Return the matrices along y and x for light from a depth."""
        sigmas = [self._psf.sigma_at(axis, np.asarray(depth_um)) for axis in range(3)]
        source, target = self._grid, self._detector
        rows, columns = (means(axis_um(source, a), axis_um(target, a), sigmas[a]) for a in (1, 2))
        return rows, columns


class _Haze:
    """Wide Gaussian by way of a coarse grid."""

    def __init__(self, psf: Gaussian, grid: Grid, detector: Grid) -> None:
        self._share = np.float32(psf.haze)
        self._there, self._back = [], []
        for axis in range(3):
            source, target = axis_um(grid, axis), axis_um(detector, axis)
            sigma = psf.haze_sigma_um[axis]
            step = sigma / FINE
            if step <= source[1]:  # a grid for this axis would be finer than the simulation's
                self._there.append(means(source, target, sigma))
                self._back.append(eye_array(len(target[0]), dtype=np.float32, format="csr"))
                continue
            half = np.sqrt((sigma**2 - step**2 / 6) / 2)  # a voxel, too, has its variance
            margin = REACH * half + step
            low, high = target[0][0] - margin, target[0][-1] + margin
            middle = (low + np.arange(int(np.ceil((high - low) / step)) + 1) * step, step)
            self._there.append(means(source, middle, half))
            self._back.append(means(middle, target, half))
        z, y, x = (matrix.shape[0] for matrix in self._there)
        self._coarse = np.zeros((z, y * x), np.float32)
        self.plane = y * x

    def add(self, light: Image, start: int) -> None:
        """Collect the light of the planes from `start` on."""
        up, rows, columns = self._there
        seen = np.empty((len(light), self._coarse.shape[1]), np.float32)
        for index, plane in enumerate(light):
            seen[index] = (columns @ np.ascontiguousarray((rows @ plane).T)).ravel()
        self._coarse += up.tocsc()[:, start : start + len(light)].tocsr() @ seen

    def finish(self, out: Image) -> None:
        """Add the collected light to the image `out`."""
        up, rows, columns = self._back
        for index in range(len(out)):
            seen = (up[[index]] @ self._coarse).reshape(columns.shape[1], rows.shape[1])
            plane = rows @ np.ascontiguousarray((columns @ seen).T)
            plane *= self._share
            out[index] += plane
            large.release(out)
