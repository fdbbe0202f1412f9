"""Point spread functions computed from the optics of a microscope."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import scipy.signal
from scipy.special import j0

from cytosuite.datasets.physics.grid import Array, Image
from cytosuite.datasets.physics.psf import Sampled, centred
from cytosuite.errors import InputError

MICROSCOPES = ("widefield", "confocal", "lightsheet")
AXIAL = 3.0  # distances from focus to first axial zero that are computed on each side of it
FARTHEST = 10.0  # of these distances at most, where aberration moves light along z
RIM = 4.0  # Airy radii around the cone of light that are computed
WIDEST = 24.0  # Airy radii from the axis at most
THROUGH = 0.99  # of the sample's index: aperture above which no light comes through
MARGINAL = 0.75  # squared radius in the pupil of the rays whose focus is followed

legendre = cache(np.polynomial.legendre.leggauss)  # nodes and weights of a quadrature: slow


@dataclass(frozen=True, slots=True)
class Objective:
    """An objective: aperture and refractive indices on the way of the light.

    Parameters
    ----------
    na : float
        Numerical aperture.
    index_sample, index_immersion : float
        Refractive indices, with a coverslip as designed between them.
    """

    na: float
    index_sample: float = 1.33
    index_immersion: float = 1.33

    @property
    def aperture(self) -> float:
        """The part of the numerical aperture with light that comes through from the sample."""
        return float(min(self.na, THROUGH * self.index_sample))

    @property
    def cosine_index(self) -> float:
        """Index of the sample times the cosine of the steepest ray's angle."""
        return float(np.sqrt(self.index_sample**2 - self.aperture**2))

    def axial_zero_um(self, wavelength_um: float) -> float:
        """Return the distance along z from the focus to the first dark point, low aperture."""
        return 2 * self.index_sample * wavelength_um / self.aperture**2

    def airy_um(self, wavelength_um: float) -> float:
        """Return the radius of the first dark ring in the focus."""
        return 0.61 * wavelength_um / self.aperture

    def shift_um(self, depth_um: float) -> float:
        """Return the distance in µm from a point at a depth to the focus of its marginal rays."""
        squared = MARGINAL * self.aperture**2
        ratio = (self.index_immersion**2 - squared) / (self.index_sample**2 - squared)
        return float(depth_um * (self.index_sample / self.index_immersion * np.sqrt(ratio) - 1))

    def intensity(
        self, wavelength_um: float, radii_um: Array, focus_um: Array, depth_um: float
    ) -> Array:
        """Return the light (z, r) of a point: 1 at the focus without aberration.

        Parameters
        ----------
        wavelength_um : float
            In vacuum.
        radii_um, focus_um : (r,) and (z,) float arrays
            Distances from the axis, and of the focus along z, from the point.
        depth_um : float
            Of the point in the sample.

        Notes
        -----
        ``|∫ J0(k NA d r) exp(iW) 2r dr|²`` over the radius r in the pupil, with
        ``W = k (p sqrt(ns² - NA² r²) - f (ni/ns) sqrt(ni² - NA² r²))`` for a point at depth `p`
        and the focus at depth `f`: Gibson and Lanni's model with a coverslip as designed and the
        stage's steps corrected for the paraxial focal shift; with equal indices Born and Wolf's.

        References
        ----------
        Gibson and Lanni, JOSA A 9 (1992), doi:10.1364/JOSAA.9.000154. A table along the radius,
        interpolated: Li, Xue and Blu, JOSA A 34 (2017), doi:10.1364/JOSAA.34.001029.
        """
        k = 2 * np.pi / wavelength_um
        squared = np.linspace(0, 1, 33) * self.aperture**2
        paths = self._paths(squared, focus_um[[0, -1]], depth_um)
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

    def _paths(self, squared: Array, focus_um: Array, depth_um: float) -> Array:
        """Return the optical path (rays, z) of rays of squared aperture, from the axial ray's."""
        sample, glass = self.index_sample, self.index_immersion
        below = np.sqrt(sample**2 - squared) - sample
        above = (np.sqrt(glass**2 - squared) - glass) * glass / sample
        return np.asarray(depth_um * below[:, None] - np.outer(above, depth_um + focus_um))


def physical(
    microscope: str,
    *,
    na: float,
    emission_um: float,
    excitation_um: float | None = None,
    index_sample: float = 1.33,
    index_immersion: float = 1.33,
    depths_um: Sequence[float] = (0.0,),
    pinhole_airy: float = 1.0,
    sheet_um: float = 2.0,
) -> Sampled:
    """Return the point spread functions of a microscope at some depths of the sample.

    Parameters
    ----------
    microscope : {"widefield", "confocal", "lightsheet"}
        Detection alone, times the focused excitation, or times a Gaussian sheet in the focus.
    na, index_sample, index_immersion : float
        See `Objective`. Where the indices differ, light is aberrated the more the deeper.
    emission_um, excitation_um : float
        Wavelengths in vacuum; excitation counts in a confocal, by default that of the emission.
    depths_um : sequence of float
        Below the first plane of the image, where the sample begins; rising. With equal indices
        the first serves for all.
    pinhole_airy, sheet_um : float
        Diameter of the confocal's pinhole in Airy disks, 0 is a point; standard deviation of the
        light sheet's thickness.

    Raises
    ------
    InputError
        If the microscope is unknown or a value impossible.

    Notes
    -----
    The scalar model of Gibson and Lanni, see `Objective.intensity`. The point is at the centroid
    of the brightest core, so that aberration changes its shape, not its place. A widefield's
    light has no end along z: beyond `AXIAL` times ``2 n wavelength / na²`` it is left out.
    """
    excitation_um = emission_um if excitation_um is None else excitation_um
    objective = Objective(na, index_sample, index_immersion)
    lengths = {"emission_um": emission_um, "excitation_um": excitation_um, "sheet_um": sheet_um}
    _check(microscope, objective, pinhole_airy, lengths)
    depths = tuple(map(float, depths_um))
    if not depths or depths[0] < 0 or any(low >= high for low, high in pairwise(depths)):
        raise InputError(f"depths_um must rise from 0 µm or below it, found {list(depths)}")
    depths = depths[:1] if index_sample == index_immersion else depths
    kernels = []
    for depth in depths:
        planes = _Planes(objective, emission_um, depth)
        light = planes.light(emission_um)
        if microscope == "confocal":
            radius = pinhole_airy * objective.airy_um(emission_um)
            light = planes.through_pinhole(light, radius) * planes.light(excitation_um)
        elif microscope == "lightsheet":
            light *= np.exp(-(planes.focus_um**2) / (2 * sheet_um**2))[:, None, None]
        kernels.append(centred(light, light, planes.spacing, microscope))
    return Sampled(tuple(kernels), depths)


def _check(
    microscope: str, objective: Objective, pinhole_airy: float, lengths: Mapping[str, float]
) -> None:
    """Refuse a microscope that cannot be."""
    if microscope not in MICROSCOPES:
        raise InputError(f"microscope must be {', '.join(MICROSCOPES)}, found {microscope!r}")
    for name, value in {**asdict(objective), **lengths}.items():
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name} of a microscope must be a number above 0, found {value}")
    if objective.na >= objective.index_immersion:
        raise InputError(
            f"na must be below index_immersion = {objective.index_immersion}, found {objective.na}"
        )
    if not (np.isfinite(pinhole_airy) and pinhole_airy >= 0):
        raise InputError(f"pinhole_airy must be at least 0, found {pinhole_airy}")


class _Planes:
    """Voxels around a point, with the light that it sends there."""

    def __init__(self, objective: Objective, wavelength_um: float, depth_um: float) -> None:
        self._objective, self._depth_um = objective, depth_um
        zero, airy = objective.axial_zero_um(wavelength_um), objective.airy_um(wavelength_um)
        shift = float(np.clip(objective.shift_um(depth_um), -FARTHEST * zero, FARTHEST * zero))
        step = wavelength_um / (objective.index_sample - objective.cosine_index) / 8
        low = int(np.ceil((AXIAL * zero + max(-shift, 0)) / step))
        high = int(np.ceil((AXIAL * zero + max(shift, 0)) / step))
        self.focus_um = np.arange(-low, high + 1, dtype=np.float64) * step
        lateral = wavelength_um / (10 * objective.aperture)
        slope = objective.aperture / objective.cosine_index
        half = min(RIM * airy + max(low, high) * step * slope, WIDEST * airy)
        self._offsets = np.arange(-int(half / lateral), int(half / lateral) + 1) * lateral
        self.spacing = (step, lateral, lateral)

    def light(self, wavelength_um: float) -> Image:
        """Return the light (z, y, x) of one passage through the objective."""
        quarter = self._offsets[len(self._offsets) // 2 :]
        step = self.spacing[1] / 4
        place = np.hypot(quarter[:, None], quarter) / step
        below = place.astype(int)
        part = (place - below).astype(np.float32)
        radii = np.arange(int(below.max()) + 2, dtype=np.float64) * step
        table = self._objective.intensity(wavelength_um, radii, self.focus_um, self._depth_um)
        rows = table.astype(np.float32)
        mirrored = np.abs(np.arange(1 - len(quarter), len(quarter)))
        light = np.empty((len(rows), len(mirrored), len(mirrored)), np.float32)
        for plane, row in zip(light, rows, strict=True):
            seen = row[below] * (1 - part) + row[below + 1] * part
            plane[:] = seen[mirrored][:, mirrored]
        return light

    def through_pinhole(self, light: Image, radius_um: float) -> Image:
        """Return light collected over a disk around each position."""
        near = self._offsets[np.abs(self._offsets) <= radius_um]
        disk = (np.hypot(near[:, None], near) <= radius_um).astype(np.float32)
        disk /= disk.sum()
        seen = scipy.signal.fftconvolve(light, disk[None], mode="same", axes=(1, 2))
        return np.asarray(seen.clip(0), np.float32)
