"""Point spread functions, at rising depths: Gaussian with haze, or stacks of measured light."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.special import j0

from cytosuite import formats
from cytosuite.datasets.physics.optics import REACH
from cytosuite.errors import InputError
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Doubles, Image, Lengths, Reals

KEPT = 0.999  # of the light is inside the box that is used
ROUNDS = 20  # of moving the borders until the centroid is kept
HAZE_REACH = 1.0  # standard deviations of the haze from which light is let in from outside
MARGIN = 0.99  # of the light of a stack decides from how far light is let in from outside
NOISE = 3.0  # standard deviations of the background below which a voxel is dark
SPOT = 0.5  # of the brightest voxel: the core of a bead
AXIAL = 3.0  # distances from focus to first axial zero that are computed on each side of it
FARTHEST = 10.0  # of these distances at most, where aberration moves light along z
RIM = 4.0  # Airy radii around the cone of light that are computed
WIDEST = 24.0  # Airy radii from the axis at most
THROUGH = 0.99  # of the sample's index: aperture above which no light comes through
MARGINAL = 0.75  # squared radius in the pupil of the rays in focus
legendre = cache(np.polynomial.legendre.leggauss)  # nodes and weights of a quadrature: slow


class Kernel(NamedTuple):
    """The light of a point, as voxels."""

    image: Image  # (z, y, x), not negative, of sum 1
    spacing: Lengths  # µm per voxel
    centre: Lengths  # of the point in voxels: 0 is the middle of the first

    def offsets_um(self, axis: int) -> Doubles:
        """Return the positions of the voxels' middles along an axis, µm from the point."""
        steps = np.arange(self.image.shape[axis]) - self.centre[axis]
        return np.asarray(steps * self.spacing[axis], np.float64)

    def half_um(self, share: float) -> Lengths:
        """Return half the size of the box, µm, that holds a share, a third of the rest per axis."""
        halves = []
        for axis in range(3):
            profile = self.image.sum(axis=tuple({0, 1, 2} - {axis}), dtype=np.float64)
            distance = np.abs(self.offsets_um(axis)) + self.spacing[axis] / 2
            order = np.argsort(distance, kind="stable")
            held = np.cumsum(profile[order]) >= (1 - (1 - share) / 3) * profile.sum()
            halves.append(float(distance[order][np.argmax(held)]))
        return tuple(halves)

    def resampled(self, spacing: Lengths) -> "Kernel":
        """Return the light at another voxel size; sum, centroid and `KEPT` of the light stay."""
        halves = self.half_um(KEPT)
        image = self.image.astype(np.float64)
        for axis in range(3):
            offsets = self.offsets_um(axis)
            step = self.spacing[axis]
            size = int(np.ceil(halves[axis] / spacing[axis] - 0.5 - 1e-9))
            edges = np.asarray((np.arange(-size, size + 2) - 0.5) * spacing[axis], np.float64)
            image = _rebinned(image, axis, offsets, step, edges)
        centre = tuple(float(n // 2) for n in image.shape)
        return Kernel((image / image.sum()).astype(np.float32), spacing, centre)


def _rebinned(image: Doubles, axis: int, offsets: Doubles, step: float, edges: Doubles) -> Doubles:
    """Return the light along an axis between new edges, shifted so that the centroid is kept."""
    light = np.moveaxis(image, axis, 0)
    profile = light.sum(axis=(1, 2))
    borders = np.append(offsets - step / 2, offsets[-1] + step / 2)
    middles = (edges[1:] + edges[:-1]) / 2
    inside = (offsets > edges[0]) & (offsets < edges[-1])
    centroid = float((profile * offsets)[inside].sum() / profile[inside].sum())
    shift = 0.0
    summed = np.concatenate([[0.0], np.cumsum(profile)])
    for _ in range(ROUNDS):
        bins = np.diff(np.interp(edges + shift, borders, summed))
        shift += float((bins * middles).sum() / bins.sum()) - centroid
    cumulated = np.concatenate([np.zeros((1, *light.shape[1:])), np.cumsum(light, axis=0)])
    place = np.interp(edges + shift, borders, np.arange(len(borders)))
    low = np.minimum(place.astype(int), len(borders) - 2)
    part = (place - low)[:, None, None]
    return np.moveaxis(
        np.diff(cumulated[low] * (1 - part) + cumulated[low + 1] * part, axis=0), 0, axis
    )


class Gaussian(NamedTuple):
    """A Gaussian with a wider one, the haze of scattered light."""

    sigma_um: Lengths  # standard deviations along z, y, x
    haze: float = 0.0  # share of the light in the haze, in [0, 1]
    haze_sigma_um: Lengths = (0.0, 0.0, 0.0)  # does not grow
    growth: float = 0.0  # of sigma_um per 100 µm of depth, relative

    def sigma_at(self, axis: int, depth_um: Reals) -> Doubles:
        """Return the standard deviation along an axis, µm, at depths below the first plane."""
        depth = np.maximum(np.asarray(depth_um, np.float64), 0)
        return self.sigma_um[axis] * np.maximum(1 + self.growth * depth / 100, 0)

    def reach_um(self, depth_um: float) -> Lengths:
        """Return the distance in µm from which light enters an image of this depth."""
        depths = np.asarray([0.0, depth_um])
        wide = HAZE_REACH if self.haze > 0 else 0.0
        return tuple(
            max(REACH * float(self.sigma_at(axis, depths).max()), wide * self.haze_sigma_um[axis])
            for axis in range(3)
        )


class Sampled(NamedTuple):
    """Point spread functions as voxels, one or several from front to back."""

    kernels: tuple[Kernel, ...]  # at least one
    depths_um: Lengths | None = None  # rising; between two they blend; None: evenly

    def reach_um(self, depth_um: float) -> Lengths:  # noqa: ARG002 - as of Gaussian
        """Return the distance in µm from which light enters an image."""
        return tuple(np.max([kernel.half_um(MARGIN) for kernel in self.kernels], axis=0).tolist())

    def resampled(self, spacing: Lengths) -> "Sampled":
        """Return the same at another voxel size, see `Kernel.resampled`."""
        return self._replace(kernels=tuple(kernel.resampled(spacing) for kernel in self.kernels))

    def weights(self, depth_um: Reals, last_um: float) -> Image:
        """Return the weights (K, n) of the kernels, of sum 1 at each depth (n,) in µm."""
        count = len(self.kernels)
        nodes = self.depths_um or np.linspace(0, max(last_um, 1e-9), count)
        return np.asarray([np.interp(depth_um, nodes, row) for row in np.eye(count)], np.float32)


Psf = Gaussian | Sampled


def measured(paths: Sequence[Path], spacing_um: Lengths | None = None) -> Sampled:
    """Return the light of files with a bead each, from first to last plane, else InputError."""
    return Sampled(tuple(bead(formats.read(path), str(path), spacing_um) for path in paths))


def bead(volume: Volume, name: str, spacing_um: Lengths | None = None) -> Kernel:
    """Return the light of the bead in a ZYX stack."""
    if volume.axes != "ZYX":
        raise InputError(f"{name}: a point spread function needs the axes ZYX, found {volume.axes}")
    spacing = volume.sized(
        spacing_um, f"{name}: the file gives no voxel size; give that of the stack in µm"
    )
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
    """Return light as a point spread function around the centroid of its one brightest core."""
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


class Objective(NamedTuple):
    """An objective: aperture and refractive indices on the way of the light."""

    na: float  # numerical aperture
    index_sample: float = 1.33  # refractive
    index_immersion: float = 1.33  # with a coverslip as designed in between

    @property
    def aperture(self) -> float:
        """The part of the numerical aperture with light that comes through from the sample."""
        return float(min(self.na, THROUGH * self.index_sample))

    def airy_um(self, wavelength_um: float) -> float:
        """Return the radius of the first dark ring in the focus."""
        return 0.61 * wavelength_um / self.aperture

    def shift_um(self, depth_um: float) -> float:
        """Return the distance in µm from a point at a depth to the focus of its marginal rays."""
        squared = MARGINAL * self.aperture**2
        ratio = (self.index_immersion**2 - squared) / (self.index_sample**2 - squared)
        return float(depth_um * (self.index_sample / self.index_immersion * np.sqrt(ratio) - 1))

    def intensity(
        self, wavelength_um: float, radii_um: Doubles, focus_um: Doubles, depth_um: float
    ) -> Doubles:
        """Return the light (z, r) of a point at a depth: 1 at the focus without aberration.

        ``|∫ J0(k NA d r) exp(iW) 2r dr|²`` over the pupil, with ``W = k (p sqrt(ns² - NA² r²) -
        f (ni/ns) sqrt(ni² - NA² r²))`` for a point at depth `p` and the focus at `f`: Gibson and
        Lanni (JOSA A 9 (1992), doi:10.1364/JOSAA.9.000154), corrected for the paraxial focal
        shift; with equal indices Born and Wolf. The table along the radius is that of Li, Xue and
        Blu (2017), doi:10.1364/JOSAA.34.001029.
        """
        k = 2 * np.pi / wavelength_um
        paths = self._paths(np.linspace(0, 1, 33) * self.aperture**2, focus_um[[0, -1]], depth_um)
        turns = k * (np.ptp(paths, axis=0).max() + self.aperture * radii_um[-1])
        nodes, weights = legendre(64 * (2 + int(turns / 96)))  # two per half turn, and some
        radius = (nodes + 1) / 2  # in the pupil
        phase = k * self._paths(radius**2 * self.aperture**2, focus_um, depth_um)
        bessel = j0(k * self.aperture * radii_um[:, None] * radius)  # (r, rays)
        bessel *= weights * radius
        # not a matrix product: the number of threads could show in its last digits
        even, odd = (
            np.einsum("rm,zm->zr", bessel, np.ascontiguousarray(part.T))
            for part in (np.cos(phase), np.sin(phase))
        )
        return np.asarray(even**2 + odd**2, np.float64)

    def _paths(self, squared: Doubles, focus_um: Doubles, depth_um: float) -> Doubles:
        """Return the optical path (rays, z) of rays of squared aperture, from the axial ray's."""
        sample = self.index_sample
        glass = self.index_immersion
        below = np.sqrt(sample**2 - squared) - sample
        above = (np.sqrt(glass**2 - squared) - glass) * glass / sample
        return depth_um * below[:, None] - np.outer(above, depth_um + focus_um)

    def around(self, wavelength_um: float, depth_um: float) -> tuple[Lengths, Doubles, Doubles]:
        """Return voxels, and places along and across the axis, that hold the light of a point."""
        # Along z from the focus to the first dark point, low aperture.
        zero = 2 * self.index_sample * wavelength_um / self.aperture**2
        airy = self.airy_um(wavelength_um)
        shift = float(np.clip(self.shift_um(depth_um), -FARTHEST * zero, FARTHEST * zero))
        # Index of the sample times the cosine of the steepest ray's angle.
        cosine = float(np.sqrt(self.index_sample**2 - self.aperture**2))
        step = wavelength_um / (self.index_sample - cosine) / 8
        low = int(np.ceil((AXIAL * zero + max(-shift, 0)) / step))
        high = int(np.ceil((AXIAL * zero + max(shift, 0)) / step))
        lateral = wavelength_um / (10 * self.aperture)
        cone = max(low, high) * step * (self.aperture / cosine)
        half = int(min(RIM * airy + cone, WIDEST * airy) / lateral)
        focus = np.arange(-low, high + 1, dtype=np.float64) * step
        return (step, lateral, lateral), focus, np.arange(-half, half + 1.0) * lateral

    def light(
        self, wavelength_um: float, depth_um: float, focus_um: Doubles, across_um: Doubles
    ) -> Image:
        """Return the light (z, y, x) of one passage through the objective, see `around`."""
        quarter = across_um[len(across_um) // 2 :]
        step = quarter[1] / 4
        place = np.hypot(quarter[:, None], quarter) / step
        below = place.astype(int)
        part = (place - below).astype(np.float32)
        radii = np.arange(int(below.max()) + 2, dtype=np.float64) * step
        rows = self.intensity(wavelength_um, radii, focus_um, depth_um).astype(np.float32)
        mirrored = np.abs(np.arange(1 - len(quarter), len(quarter)))
        light = np.empty((len(rows), len(mirrored), len(mirrored)), np.float32)
        for plane, row in zip(light, rows, strict=True):
            plane[:] = (row[below] * (1 - part) + row[below + 1] * part)[mirrored][:, mirrored]
        return light


def physical(
    microscope: str,
    *,
    na: float,
    emission_um: float,
    excitation_um: float = 0.488,
    index_sample: float = 1.33,
    index_immersion: float = 1.33,
    depths_um: Sequence[float] = (0.0,),
    pinhole_airy: float = 1.0,
    sheet_um: float = 2.0,
) -> Sampled:
    """Return PSFs by depth; confocal: times excitation, lightsheet: times a sheet."""
    objective = Objective(na, index_sample, index_immersion)
    depths = tuple(map(float, depths_um))
    depths = depths[:1] if index_sample == index_immersion else depths
    kernels = []
    for depth in depths:
        spacing, focus, across = objective.around(emission_um, depth)
        light = objective.light(emission_um, depth, focus, across)
        if microscope == "confocal":
            light = _through_pinhole(light, across, pinhole_airy * objective.airy_um(emission_um))
            light *= objective.light(excitation_um, depth, focus, across)
        elif microscope == "lightsheet":
            light *= np.exp(-(focus**2) / (2 * sheet_um**2))[:, None, None]
        kernels.append(centred(light, light, spacing, microscope))
    return Sampled(tuple(kernels), depths)


def _through_pinhole(light: Image, across_um: Doubles, radius_um: float) -> Image:
    """Return light collected over a disk around each position."""
    from scipy.signal import fftconvolve  # slow to load

    near = across_um[np.abs(across_um) <= radius_um]
    disk = (np.hypot(near[:, None], near) <= radius_um).astype(np.float32)
    disk /= disk.sum()
    seen = fftconvolve(light, disk[None], mode="same", axes=(1, 2))
    return np.asarray(seen.clip(0), np.float32)
