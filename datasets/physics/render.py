"""The image before the camera: painted, dimmed by tissue above, blurred and sampled by slabs."""

from collections.abc import Callable

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array
from scipy.special import erf

from cytosuite.bodies.grid import Grid
from cytosuite.datasets.physics.grid import area_average
from cytosuite.datasets.physics.optics import REACH, Attenuation, attenuate
from cytosuite.datasets.physics.psf import Gaussian, Psf, Sampled
from cytosuite.errors import InputError
from cytosuite.files import IntPair
from cytosuite.volume import memory
from cytosuite.volume.arrays import Doubles, Image, Reals, Shape, Spacing
from cytosuite.volume.pieces import slabs_of

FINE = 2.0  # steps of the grid of the haze in one of its standard deviations
Spectrum = NDArray[np.complex64]
Paint = Callable[[Grid], Image]
Watch = Callable[[str, Image], None]
MAX_BYTES = 256 * 2**20  # for a slab and all computed from it, the result not counted
STEPS = ("dye", "attenuated", "light")  # that can be watched


def means(
    source: tuple[Doubles, float], target: tuple[Doubles, float], sigma: Doubles | float
) -> csr_array:
    """Return the matrix of exact means of blurred light over intervals, µm, up to `REACH` sigma."""
    (sources, length), (targets, size) = source, target
    widths = np.broadcast_to(np.asarray(sigma, np.float64), sources.shape)
    reach = REACH * float(widths.max()) + (length + size) / 2
    first = np.searchsorted(sources, targets - reach)
    terms = int((np.searchsorted(sources, targets + reach) - first).max())
    column = first[:, None] + np.arange(terms)  # (targets, terms)
    inside = column < len(sources)
    column = np.minimum(column, len(sources) - 1)
    distance = np.abs(targets[:, None] - sources[column])
    far = (size + length) / 2
    near = abs(size - length) / 2
    weight = np.zeros(column.shape)
    for sign, edge in ((1, far), (-1, near), (-1, -near), (1, -far)):
        weight += sign * _ramp(distance + edge, widths[column])
    keep = inside & (weight > 1e-9 * size)  # below is rounding
    row = np.broadcast_to(np.arange(len(targets))[:, None], column.shape)
    entries = ((weight[keep] / size).astype(np.float32), (row[keep], column[keep]))
    return csr_array(entries, shape=(len(targets), len(sources)))


def _ramp(position: Doubles, sigma: Doubles) -> Doubles:
    """Return ``max(position, 0)`` convolved with a Gaussian: its second derivative is that."""
    scaled = position / np.maximum(sigma, 1e-9)
    bell = np.exp(-(scaled**2) / 2) / np.sqrt(2 * np.pi)
    return np.asarray(sigma * bell + position * (1 + erf(scaled / np.sqrt(2))) / 2)


def axis_um(grid: Grid, axis: int) -> tuple[Doubles, float]:
    """Return the middles (n,) of the voxels along an axis and their length, in µm."""
    step = grid.spacing[axis]
    middles = grid.origin[axis] + (np.arange(grid.shape[axis]) + 0.5) * step
    return np.asarray(middles, np.float64), step


class GaussianSpread:
    """Spreads light by a Gaussian and its haze, axis by axis; haze by `FINE` steps per sigma."""

    least = 1  # planes of a slab below which most of the work would be for its borders

    def __init__(self, psf: Gaussian, grid: Grid, detector: Grid) -> None:
        self._psf, self._grid, self._detector = psf, grid, detector
        planes = axis_um(grid, 0)
        self._depths = planes[0] - detector.origin[0]
        self._up = means(planes, axis_um(detector, 0), psf.sigma_at(0, self._depths)).tocsc()
        self._up *= np.float32(1 - psf.haze)
        self._across = self._lateral(0.0)
        self._haze = _Haze(psf, grid, detector) if psf.haze > 0 else None

    def slab_bytes(self, planes: int) -> int:
        """Return the memory needed for a slab of so many planes, besides the light itself."""
        _, y, x = self._detector.shape
        return 4 * planes * (y * x + (self._haze.plane if self._haze else 0))

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
            out[index] += (up[[index]] @ narrow.reshape(planes, -1)).reshape(x, y).T
        if self._haze:
            self._haze.add(light, start)

    def finish(self, out: Image) -> None:
        """Add the haze."""
        if self._haze:
            self._haze.finish(out)

    def _lateral(self, depth_um: float) -> tuple[csr_array, csr_array]:
        """Return the matrices along y and x for light from a depth."""
        source, target, depth = self._grid, self._detector, np.asarray(depth_um)
        rows, columns = (
            means(axis_um(source, axis), axis_um(target, axis), self._psf.sigma_at(axis, depth))
            for axis in (1, 2)
        )
        return rows, columns


class _Haze:
    """Wide Gaussian by way of a coarse grid."""

    def __init__(self, psf: Gaussian, grid: Grid, detector: Grid) -> None:
        self._share = np.float32(psf.haze)
        self._there, self._back = [], []
        for axis in range(3):
            source = axis_um(grid, axis)
            target = axis_um(detector, axis)
            sigma = psf.haze_sigma_um[axis]
            step = sigma / FINE
            if step <= source[1]:  # a grid for this axis would be finer than the simulation's
                self._there.append(means(source, target, sigma))
                self._back.append(eye_array(len(target[0]), dtype=np.float32, format="csr"))
                continue
            half = np.sqrt((sigma**2 - step**2 / 6) / 2)  # a voxel, too, has its variance
            margin = REACH * half + step
            low = target[0][0] - margin
            high = target[0][-1] + margin
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
            memory.release(out)


class SampledSpread:
    """Spreads light by sampled point spread functions: convolution, then means over voxels."""

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
        self.least = 2 * self._reach[0] + 1  # planes, as of `GaussianSpread`
        self._weights = resampled.weights(
            axis_um(grid, 0)[0] - detector.origin[0], detector.size_um[0]
        )
        self._transfers: dict[tuple[int, Shape], Spectrum] = {}

    def slab_bytes(self, planes: int) -> int:
        """Return the memory needed for a slab of so many planes, besides the light itself."""
        _, y, x = (n + 2 * r for n, r in zip(self._grid.shape, self._reach, strict=True))
        images = 5 + min(len(self._kernels), 3)  # padded light, spectra, results; kernels in use
        return 4 * (planes + 2 * self._reach[0]) * y * x * images

    def add(self, light: Image, start: int, out: Image) -> None:
        """Add the light (n, Y, X) of the planes from `start` on to the image `out`."""
        whole = tuple(n + 2 * r for n, r in zip(light.shape, self._reach, strict=True))
        shape = tuple(scipy.fft.next_fast_len(size, real=True) for size in whole)
        weights = self._weights[:, start : start + len(light)]
        used = [(index, shape) for index, weight in enumerate(weights) if weight.any()]
        self._transfers = {key: t for key, t in self._transfers.items() if key in used}
        spectrum = None
        for key in used:
            if key not in self._transfers:
                self._transfers[key] = self._transfer(*key)
            weight = weights[key[0]]
            term = scipy.fft.rfftn(
                light if (weight == 1).all() else light * weight[:, None, None], shape, workers=1
            )
            term *= self._transfers[key]
            spectrum = term if spectrum is None else np.add(spectrum, term, out=spectrum)
        spread = scipy.fft.irfftn(spectrum, shape, workers=1, overwrite_x=True)
        spread = spread[tuple(slice(n) for n in whole)]
        around = self._grid.slab(start, start + len(light)).wider(self._reach)
        add_means(np.asarray(spread, np.float32), around, self._detector, out)

    def finish(self, out: Image) -> None:
        """All light is added already."""

    def _transfer(self, index: int, shape: Shape) -> Spectrum:
        """Return the transform of a kernel that begins `reach` before the point."""
        kernel = self._kernels[index]
        sizes = zip(self._reach, kernel.shape, shape, strict=True)
        pads = [(r - n // 2, size - n - (r - n // 2)) for r, n, size in sizes]
        transfer: Spectrum = scipy.fft.rfftn(np.pad(kernel, pads), workers=1, overwrite_x=True)
        return transfer


def add_means(image: Image, grid: Grid, detector: Grid, out: Image) -> None:
    """Add the means of an image (Z, Y, X) on a grid, dark outside, over voxels of a detector."""
    step = detector.spacing[0]
    top = grid.origin[0] - detector.origin[0]
    first = max(int(np.floor(top / step)), 0)
    last = min(int(np.ceil((top + grid.size_um[0]) / step)), len(out))
    if first < last:
        out[first:last] += area_average(image, grid, detector.slab(first, last))


LightSpread = GaussianSpread | SampledSpread


def spread_of(psf: Psf, grid: Grid, detector: Grid) -> LightSpread:
    """Return the way of light to a detector; InputError for too wide a point spread function."""
    if isinstance(psf, Gaussian):
        return GaussianSpread(psf, grid, detector)
    return SampledSpread(psf, grid, detector)


def simulation_grid(detector: Grid, oversampling: Spacing, reach_um: Spacing) -> Grid:
    """Return the finer grid of the simulation, wider than the detector's by `reach_um`."""
    spacing = np.divide(detector.spacing, oversampling)
    shape = np.ceil(np.multiply(detector.shape, oversampling) - 1e-9).astype(int)
    margin = np.ceil(reach_um / spacing - 1e-9).astype(int)
    inside = Grid(tuple(shape.tolist()), tuple(spacing.tolist()), detector.origin)
    return inside.wider(margin.tolist())


def render(
    paint: Paint,
    share: Paint,
    grid: Grid,
    detector: Grid,
    psf: Psf,
    attenuation: Attenuation,
    above_um: Reals | float = 0.0,
    *,
    watch: Watch | None = None,
    max_bytes: int = MAX_BYTES,
) -> Image:
    """Return the light (z, y, x) of voxels; `paint`, `share` give slabs, `watch` the `STEPS`."""
    spread = spread_of(psf, grid, detector)
    count = 3 if watch else 1
    out, *steps = (memory.room(detector.shape, np.float32) for _ in range(count))
    depth = above_um
    for start, stop in slabs(grid, spread, max_bytes):
        slab = grid.slab(start, stop)
        light = paint(slab)
        for seen in steps[:1]:
            add_means(light, slab, detector, seen)
        if attenuation.law != "none":
            depth = attenuate(light, share(slab), grid.spacing[0], attenuation, depth)
        for seen in steps[1:]:
            add_means(light, slab, detector, seen)
        spread.add(light, start, out)
        memory.release(out, *steps)
    spread.finish(out)
    for part in slabs_of(out):  # rounding of transforms around zero
        np.maximum(part, 0, out=part)
    if watch:
        for name, seen in zip(STEPS, (*steps, out), strict=True):
            watch(name, seen)
    return out


def render_whole(image: Image, grid: Grid, detector: Grid, psf: Psf) -> Image:
    """Return the light (z, y, x) of voxels, of an image (Z, Y, X) without anything that dims."""

    def paint(slab: Grid) -> Image:
        """Return the light of the planes of a slab."""
        first = slab.first[0] - grid.first[0]
        return image[first : first + slab.shape[0]].copy()

    return render(paint, paint, grid, detector, psf, Attenuation("none"))


def slabs(grid: Grid, spread: LightSpread, max_bytes: int) -> list[IntPair]:
    """Return first plane and end of slabs of one thickness, by sizes and the bound alone."""
    planes, y, x = grid.shape
    most = spread.least
    while most < planes and 8 * (most + 1) * y * x + spread.slab_bytes(most + 1) <= max_bytes:
        most += 1
    count = -(-planes // most)
    thickness = -(-planes // count)
    return [(start, min(start + thickness, planes)) for start in range(0, planes, thickness)]
