"""The image before the camera: painted, dimmed, blurred and sampled slab by slab.

Each slab is dimmed by the tissue above it, whose depth is carried on to the next, and its light is
spread over all planes of the detector in reach: slabs overlap in the result, not in the dye.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cytosuite import large
from cytosuite.datasets.physics.grid import Grid, Image
from cytosuite.datasets.physics.grid import slabs as grid_slabs
from cytosuite.datasets.physics.optics import Attenuation, attenuate
from cytosuite.datasets.physics.psf import Gaussian, Psf
from cytosuite.datasets.physics.spread_gaussian import GaussianSpread
from cytosuite.datasets.physics.spread_sampled import SampledSpread, add_means

Paint = Callable[[Grid], Image]
Watch = Callable[[str, Image], None]
LightSpread = GaussianSpread | SampledSpread

MAX_BYTES = 256 * 2**20  # for a slab and all computed from it, the result not counted
STEPS = ("dye", "attenuated", "light")  # that can be watched


def spread_of(psf: Psf, grid: Grid, detector: Grid) -> LightSpread:
    """Return the way of light from a grid to a detector through a point spread function.

    Raises `InputError` if that is larger than the simulated volume.
    """
    if isinstance(psf, Gaussian):
        return GaussianSpread(psf, grid, detector)
    return SampledSpread(psf, grid, detector)


def simulation_grid(
    detector: Grid, oversampling: Sequence[float], reach_um: Sequence[float]
) -> Grid:
    """Return the finer grid of the simulation, wider than the detector's by a margin.

    Parameters
    ----------
    detector : Grid
    oversampling : sequence of float
        Simulated voxels per voxel of the detector along z, y, x; need not be whole.
    reach_um : sequence of float
        Margin on each side, rounded up to whole voxels: from how far light comes in, see
        `psf.Gaussian.reach_um`. That holds the whole reach of a Gaussian but only
        one standard deviation of its haze, and 99 % of the light of a stack, which bounds the
        margins; fainter light from farther outside is left out.
    """
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
    above_um: NDArray[np.floating] | float = 0.0,
    *,
    watch: Watch | None = None,
    max_bytes: int = MAX_BYTES,
) -> Image:
    """Return the light that is expected in each voxel of the detector.

    Parameters
    ----------
    paint : callable
        Returns the dye (n, Y, X) float32 on a slab of `grid`, front to back; changed in place.
    share : callable
        Returns the share of each voxel of a slab, in [0, 1], that is tissue.
    grid, detector : Grid
        Of the simulation, see `simulation_grid`, and of the result.
    psf, attenuation, above_um : Psf, Attenuation, (Y, X) float array or float
        See `cytosuite.datasets.physics.optics.attenuate`.
    watch : callable, optional
        Called at the end with each name of `STEPS` and the image of that step.
    max_bytes : int
        See `slabs`.

    Returns
    -------
    (z, y, x) float32 array
        Not negative, in the units of the dye; the same whatever the slabs but for rounding.

    Raises
    ------
    InputError
        If the point spread function is larger than the simulated volume.
    """
    spread = spread_of(psf, grid, detector)
    count = 1 if watch is None else 3
    out, *steps = (large.room(detector.shape, np.float32) for _ in range(count))
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
        large.release(out, *steps)
    spread.finish(out)
    _clip(out)  # rounding of transforms around zero
    if watch is not None:
        for name, seen in zip(STEPS, (*steps, out), strict=True):
            watch(name, seen)
    return out


def _clip(image: Image) -> None:
    """Set values below 0 to 0, in place."""
    for start, stop in grid_slabs(image.shape):
        np.maximum(image[start:stop], 0, out=image[start:stop])
        large.release(image)


def slabs(grid: Grid, spread: LightSpread, max_bytes: int) -> list[tuple[int, int]]:
    """Return first plane and end of slabs, of one thickness but for the last.

    `max_bytes` is for the dye and tissue of a slab and the memory of the spread, not for the result
    nor for painting. Only this and the sizes decide the thickness, so that a result is the same on
    every machine; a slab is never thinner than a plane or a sampled point spread function, even if
    the bound is exceeded.
    """
    planes, y, x = grid.shape
    most = spread.least
    while most < planes and 8 * (most + 1) * y * x + spread.slab_bytes(most + 1) <= max_bytes:
        most += 1
    count = -(-planes // most)
    thickness = -(-planes // count)
    return [(start, min(start + thickness, planes)) for start in range(0, planes, thickness)]
