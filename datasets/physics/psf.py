"""Point spread functions: Gaussian with haze, or stacks of measured or computed light.

Each may change with depth: `render` spreads the light emitted at a depth by the point spread
function of that depth.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite import formats
from cytosuite.datasets.physics.grid import Array, Image, Lengths
from cytosuite.datasets.physics.kernel import Kernel
from cytosuite.datasets.physics.optics import REACH
from cytosuite.errors import InputError
from cytosuite.volume import Volume

HAZE_REACH = 1.0  # standard deviations of the haze from which light is let in from outside
MARGIN = 0.99  # of the light of a stack decides from how far light is let in from outside
NOISE = 3.0  # standard deviations of the background below which a voxel is dark
SPOT = 0.5  # of the brightest voxel: the core of a bead


@dataclass(frozen=True, slots=True)
class Gaussian:
    """A Gaussian with a wider one, the haze of scattered light.

    Parameters
    ----------
    sigma_um, haze_sigma_um : tuple of float
        Standard deviations along z, y, x.
    haze : float
        Share of the light in the haze, in [0, 1].
    growth : float
        Relative increase of `sigma_um` per 100 µm below the first plane of the image: 0.5 is half
        as wide again at 100 µm. The haze does not grow.

    Raises
    ------
    InputError
        If a width is not finite and at least 0, or the haze not a share.
    """

    sigma_um: Lengths
    haze: float = 0.0
    haze_sigma_um: Lengths = (0.0, 0.0, 0.0)
    growth: float = 0.0

    def __post_init__(self) -> None:
        """Refuse widths, shares and growths that are none."""
        _triple(self.sigma_um, "psf_sigma_um")
        _triple(self.haze_sigma_um, "haze_sigma_um")
        if not 0 <= self.haze <= 1:
            raise InputError(f"haze must be a share of the light in [0, 1], found {self.haze}")
        if not np.isfinite(self.growth):
            raise InputError(f"psf_growth must be a number per 100 µm, found {self.growth}")

    def sigma_at(self, axis: int, depth_um: NDArray[np.floating]) -> Array:
        """Return the standard deviation along an axis, µm, at depths below the first plane."""
        depth = np.maximum(np.asarray(depth_um, np.float64), 0)
        return np.asarray(self.sigma_um[axis] * np.maximum(1 + self.growth * depth / 100, 0))

    def reach_um(self, depth_um: float) -> Lengths:
        """Return the distance in µm from which light enters an image of this depth.

        The whole reach of the narrow Gaussian at its widest, one standard deviation of the haze.
        """
        depths = np.asarray([0.0, depth_um])
        wide = HAZE_REACH if self.haze > 0 else 0.0
        return tuple(
            max(REACH * float(self.sigma_at(axis, depths).max()), wide * self.haze_sigma_um[axis])
            for axis in range(3)
        )


@dataclass(frozen=True, slots=True)
class Sampled:
    """Point spread functions given as voxels, one or several from front to back.

    Parameters
    ----------
    kernels : tuple of Kernel
        At least one.
    depths_um : tuple of float or None
        Depth below the first plane of the image at which each holds, rising; between two depths
        they blend linearly, outside the nearest holds. None: evenly from the first plane to the
        last.
    """

    kernels: tuple[Kernel, ...]
    depths_um: tuple[float, ...] | None = None

    def reach_um(self, depth_um: float) -> Lengths:  # noqa: ARG002 - as of Gaussian
        """Return the distance in µm from which light enters an image."""
        return tuple(np.max([kernel.half_um(MARGIN) for kernel in self.kernels], axis=0).tolist())

    def resampled(self, spacing: Lengths) -> "Sampled":
        """Return the same at another voxel size, see `Kernel.resampled`."""
        return replace(self, kernels=tuple(kernel.resampled(spacing) for kernel in self.kernels))

    def weights(self, depth_um: NDArray[np.floating], last_um: float) -> Image:
        """Return the weights (K, n) of the kernels, of sum 1 at each depth (n,).

        Depths are in µm below the first plane of the image; the last plane is at `last_um`.
        """
        count = len(self.kernels)
        nodes = self.depths_um or np.linspace(0, max(last_um, 1e-9), count)
        return np.asarray([np.interp(depth_um, nodes, row) for row in np.eye(count)], np.float32)


Psf = Gaussian | Sampled


def _triple(values: Sequence[float], name: str) -> Lengths:
    """Return three finite widths in µm that are not negative."""
    if len(values) != 3 or not all(np.isfinite(value) and value >= 0 for value in values):
        raise InputError(f"{name} must be three widths in µm (z, y, x), found {list(values)}")
    return tuple(map(float, values))


def measured(stacks: Sequence[Path | Volume], spacing_um: Sequence[float] | None = None) -> Sampled:
    """Return the point spread functions in images of beads, evenly from first to last plane.

    Parameters
    ----------
    stacks : sequence of Path or Volume
        One bead each, ZYX, from the front of the sample to its back, the side of the objective
        at z = 0.
    spacing_um : sequence of float, optional
        Voxel size along z, y, x, in place of the values in the files.

    Raises
    ------
    InputError
        If there is no stack, one cannot be read, is not ZYX, has no known voxel size, no light or
        several beads.

    Notes
    -----
    The background is the median of the outermost voxels; voxels less than `NOISE` standard
    deviations above it in the smoothed image are dark. The point is at the centroid of the
    brightest core.
    """
    if not stacks:
        raise InputError("a measured point spread function needs at least one stack, found none")
    return Sampled(tuple(_measured(stack, spacing_um, i) for i, stack in enumerate(stacks, 1)))


def _measured(stack: Path | Volume, spacing_um: Sequence[float] | None, number: int) -> Kernel:
    """Return the light of the bead in one stack."""
    name = str(stack) if isinstance(stack, Path) else f"stack {number}"
    volume = formats.read(stack) if isinstance(stack, Path) else stack
    if volume.axes != "ZYX":
        raise InputError(f"{name}: a point spread function needs the axes ZYX, found {volume.axes}")
    if spacing_um is None and volume.spacing_is_assumed:
        raise InputError(f"{name}: the file gives no voxel size; give that of the stack in µm")
    spacing = _triple(volume.spacing if spacing_um is None else spacing_um, "psf_um")
    if min(spacing) <= 0:
        raise InputError(f"psf_um must be three numbers above 0 (z, y, x), found {list(spacing)}")
    light, smooth = _without_background(np.asarray(volume.array, np.float32))
    if not np.isfinite(light).all() or not (light.sum(dtype=np.float64) > 0):
        raise InputError(f"{name}: no light above the background; is it the stack of a bead?")
    return centred(light, smooth, spacing, name)


def _without_background(values: Image) -> tuple[Image, Image]:
    """Return the light above the median of the outermost voxels, and the same smoothed."""
    shell = np.ones(values.shape, bool)
    shell[tuple(slice(1, -1) if size > 2 else slice(None) for size in values.shape)] = False
    if not shell.any():
        shell[:] = True
    above = values - np.median(values[shell])
    smooth = ndimage.gaussian_filter(above, 1.0, mode="nearest")
    outside = smooth[shell]
    middle = np.median(outside)
    noise = 1.4826 * np.median(np.abs(outside - middle))
    return np.where(smooth > middle + NOISE * noise, above, 0).clip(0), smooth


def centred(light: Image, smooth: Image, spacing: Lengths, name: str) -> Kernel:
    """Return light as a point spread function around the centroid of its brightest core.

    Parameters
    ----------
    light, smooth : (z, y, x) float arrays
        Without background, of any sum above 0; the core are voxels where `smooth` is brighter
        than `SPOT` of its maximum.
    spacing, name : tuple of float, str
        µm per voxel; for messages.

    Raises
    ------
    InputError
        If there are several bright spots side by side.
    """
    spots, _ = ndimage.label(smooth > SPOT * smooth.max())
    boxes = ndimage.find_objects(spots)
    number = int(spots.flat[int(smooth.argmax())])
    core = boxes[number - 1]
    others = [
        box
        for box in boxes  # above one another: the lobes of an aberrated bead
        if any(box[a].stop < core[a].start or box[a].start > core[a].stop for a in (1, 2))
    ]
    if others:
        raise InputError(
            f"{name}: a point spread function needs one bead, found {len(others) + 1} bright "
            "spots; crop the stack to one of them"
        )
    inside = ndimage.center_of_mass(np.where(spots[core] == number, light[core], 0))
    centre = tuple(float(span.start + place) for span, place in zip(core, inside, strict=True))
    return Kernel(np.asarray(light / light.sum(dtype=np.float64), np.float32), spacing, centre)
