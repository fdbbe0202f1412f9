"""Light that is not labelled: fragments of dying nuclei, small bodies, diffuse glow."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from cytosuite.bodies.grid import Grid
from cytosuite.bodies.stars import Bodies
from cytosuite.datasets.physics import shapes
from cytosuite.datasets.physics.shapes import FRAGMENT, Nuclei
from cytosuite.files import IntPair
from cytosuite.volume.arrays import Doubles, Image, Interval, Rng

UNEVEN = 0.7  # standard deviation of the logarithm of the volumes of pieces
TRIES = 24  # places tried for each piece; the one with most room is taken
REACH = 3.0  # standard deviations of a blob that are painted


def fragments(
    rng: Rng,
    nuclei: Bodies,
    centres_um: Doubles,
    *,
    count: IntPair = (5, 15),
    share: float = 0.05,
    factor: Interval = (3.0, 10.0),
) -> tuple[Nuclei, Doubles]:
    """Return the round, bright pieces of dying nuclei, in order, and centres (P, 3); P may be 0."""
    pieces = [np.zeros((0, 5))]  # radius, brightness, centre
    for axes, turn, centre, light in zip(
        nuclei.semi_axes_um, nuclei.rotations, centres_um, nuclei.brightness, strict=True
    ):
        volumes = np.sort(np.exp(rng.normal(0.0, UNEVEN, rng.integers(*count, endpoint=True))))
        volumes *= share * axes.prod() / max(volumes.sum(), 1e-9)
        size = volumes[::-1] ** (1 / 3)
        places = centre + _places(rng, size, axes) @ turn.T
        pieces.append(
            np.column_stack([size, np.full(len(size), light * rng.uniform(*factor)), places])
        )
    radii, brightness, *centres = np.concatenate(pieces).T
    return _compact(rng, radii, brightness, 0.06), np.stack(centres, axis=1)


def bodies(rng: Rng, count: int, *, diameter_um: Interval, brightness: Interval) -> Nuclei:
    """Return compact bodies like polar bodies; diameter and brightness are log-uniform."""
    return _compact(
        rng, _log_uniform(rng, diameter_um, count) / 2, _log_uniform(rng, brightness, count), 0.12
    )


class Blobs(NamedTuple):
    """Diffuse glow out of focus: Gaussian clouds."""

    centres_um: Doubles  # (N, 3)
    sigmas_um: Doubles  # (N, 3), along z, y, x
    brightness: Doubles  # (N,), at the centre, relative to the median nucleus


def draw_blobs(
    rng: Rng,
    centres_um: Doubles,
    *,
    sigma_z_um: Interval,
    sigma_xy_um: Interval,
    brightness: Interval,
) -> Blobs:
    """Return blobs at places (N, 3): deviations uniform in ranges, brightness log-uniform."""
    count = len(centres_um)
    z = rng.uniform(*sigma_z_um, count)
    across = rng.uniform(*sigma_xy_um, count)
    light = _log_uniform(rng, brightness, count)
    return Blobs(centres_um, np.stack([z, across, across], axis=1), light)


def paint_blobs(blobs: Blobs, grid: Grid, out: Image) -> Image:
    """Add blobs, ``exp(-d² / 2 s²)`` lowered to end at `REACH`, to an image in place."""
    floor = np.float32(np.exp(-(REACH**2) / 2))
    for centre, sigma, light in zip(
        blobs.centres_um, blobs.sigmas_um, blobs.brightness, strict=True
    ):
        box = grid.box(centre, REACH * sigma)
        if box is None:
            continue
        away = (
            d / s for d, s in zip(grid.ticks(box, centre), sigma.astype(np.float32), strict=True)
        )
        z, y, x = (np.maximum(np.exp(-d * d / 2) - floor, 0) / (1 - floor) for d in away)
        out[box] += (np.float32(light) * z)[:, None, None] * (y[:, None] * x)
    return out


def _log_uniform(rng: Rng, limits: Interval, count: int) -> Doubles:
    """Return values (N,) between two limits above 0."""
    low, high = limits
    return low * (high / low) ** rng.random(count)


def _compact(rng: Rng, radii: Doubles, brightness: Doubles, axis_spread: float) -> Nuclei:
    """Return round, smooth bodies of radii (N,) in µm and brightness (N,)."""
    drawn = shapes.draw_nuclei(
        rng,
        len(radii),
        diameter_um=2.0,
        diameter_spread=0.0,
        axis_spread=axis_spread,
        brightness_spread=0.0,
        nucleoli=0,
    )
    return replace(
        drawn,
        semi_axes_um=drawn.semi_axes_um * radii[:, None],
        brightness=brightness,
        phase=np.full(len(radii), FRAGMENT),
    )


def _places(rng: Rng, radii: Doubles, semi_axes_um: Doubles) -> Doubles:
    """Return places (P, 3) of spheres in an ellipsoid, of some tries those with most room."""
    places = np.zeros((len(radii), 3))
    for i, radius in enumerate(radii):
        tries = rng.normal(size=(TRIES, 3))
        tries *= rng.random((TRIES, 1)) ** (1 / 3) / np.linalg.norm(tries, axis=1, keepdims=True)
        tries *= semi_axes_um * max(1 - 1.2 * radius / semi_axes_um.min(), 0.0)
        gaps = np.linalg.norm(tries[:, None] - places[:i], axis=2) - radii[:i]
        places[i] = tries[gaps.min(axis=1, initial=np.inf).argmax()]
    return places
