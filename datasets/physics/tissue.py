"""Outlines of tissue: ellipsoids, irregular bodies, shells, a full field, masks from files.

Each is a signed distance in µm on a coarse grid, < 0 inside; linear interpolation errs by
``spacing² / (8 radius)``, 0.02 µm for 64 samples across 300 µm.
"""

from itertools import product

import numpy as np
from scipy import ndimage, special

from cytosuite.bodies.grid import Grid
from cytosuite.datasets.physics.region import Region
from cytosuite.datasets.physics.shapes import of_length_1
from cytosuite.errors import InputError
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Doubles, Image, Lengths, Longs, Rng
from cytosuite.volume.objects import box_of

STEPS = 24  # of Newton's method; 12 suffice but for points next to a plane of symmetry
BLUR = 0.8  # of a voxel: makes the shares of tissue in neighbouring voxels one smooth edge
SAMPLES = 64  # along each axis
MARGIN = 4  # samples beyond the surface
DEGREES = (2, 3, 4)  # of the spherical harmonics in an irregular surface: bulges and dents
BEYOND = 1.5  # of the way from the middle to the pole of the inside: middle of the ball
LEAST_CAVITY = 0.05  # of the inside of a blastocyst, and its least mass
WAVES = 6  # of each degree, about random axes


def distance_to_ellipsoid(half: int, spacing: Lengths, semi_axes: Lengths) -> Image:
    """Return the distance to an ellipsoid in the middle of a cube of 2 `half` samples per axis.

    The nearest point to ``y`` is ``a_i² y_i / (t + a_i²)``, ``t`` the largest root of the convex
    ``Σ (a_i y_i / (t + a_i²))² = 1`` (Eberly 2011), by Newton's method in one octant.
    """
    axes = np.reshape(semi_axes, (3, 1, 1, 1))
    ticks = [(np.arange(half) + 0.5) * step for step in spacing]
    points = np.stack(np.meshgrid(*ticks, indexing="ij"))
    squares = axes**2
    t = (axes * points - squares).max(axis=0)
    for _ in range(STEPS):
        share = 1 / (t + squares)
        terms = (axes * points * share) ** 2
        value = terms[0] - 1 + terms[1] + terms[2]
        t += value / (2 * (terms * share).sum(axis=0))
    parts = (points * t / (t + squares)) ** 2
    distance = np.copysign(np.sqrt(parts.sum(axis=0)), t).astype(np.float32)
    for axis in range(3):
        distance = np.concatenate([np.flip(distance, axis), distance], axis)
    return np.asarray(distance)


def distance_from_shares(shares: Image, spacing: Lengths) -> Image:
    """Return the distance by the share of a voxel inside (normal quantile) up to 1.5 voxels."""
    shares = ndimage.gaussian_filter(shares, BLUR, mode="nearest")
    slopes = np.gradient(shares, *spacing)
    weights = [slope**2 + 1e-9 for slope in slopes]  # far from the surface all alike
    widths = [step**2 * (BLUR**2 + 1 / 12) for step in spacing]
    variance = sum(w * width for w, width in zip(weights, widths, strict=True)) / sum(weights)
    return np.asarray(-np.sqrt(variance) * special.ndtri(shares.clip(1e-5, 1 - 1e-5)), np.float32)


def distance_everywhere(near: Image, spacing: Lengths) -> Image:
    """Return the distance (Z, Y, X) by the nearest surface point ``v``: ``v·n``, at corners |v|."""
    steps = np.asarray(spacing, np.float32)
    band = np.abs(near) <= steps.max()
    normals = np.asarray(np.gradient(near, *spacing))[:, band]  # (3, n)
    normals /= np.maximum(np.linalg.norm(normals, axis=0), 1e-6)
    ticks = np.stack(np.nonzero(band)).astype(np.float32) * steps[:, None]
    surface = ticks - near[band] * normals
    number = np.zeros(near.shape, np.int64)
    number[band] = np.arange(band.sum())
    nearest = ndimage.distance_transform_edt(
        ~band, sampling=spacing, return_distances=False, return_indices=True
    )
    number = number[tuple(nearest)]
    place = np.indices(near.shape, np.float32) * steps[:, None, None, None]
    least = _squares(place, surface, number)
    for axis, shift in product(range(3), (1, -1)):
        neighbour = np.roll(number, shift, axis)  # a neighbour's nearest point may be nearer still
        squares = _squares(place, surface, neighbour)
        number = np.where(squares < least, neighbour, number)
        np.minimum(least, squares, out=least)
    along = np.zeros_like(near)
    for axis in range(3):
        along += (place[axis] - surface[axis][number]) * normals[axis][number]
    distance = np.sqrt(np.maximum(along**2, least - np.float32((steps**2).sum())))
    return np.where(band, near, np.copysign(distance, near)).astype(np.float32)


def _squares(place: Image, surface: Image, number: Longs) -> Image:
    """Return the squared distance (Z, Y, X) of each sample to its surface point."""
    squares = np.zeros(number.shape, np.float32)
    for axis in range(3):
        squares += (place[axis] - surface[axis][number]) ** 2
    return squares


def ellipsoid(centre_um: Lengths, semi_axes_um: Lengths) -> Region:
    """Return an ellipsoid of tissue, axes along z, y, x; InputError for an axis of 0."""
    if min(semi_axes_um) <= 0:
        raise InputError(f"semi-axes of tissue must be positive, found {semi_axes_um} µm")
    half = SAMPLES // 2
    spacing = tuple(axis / (half - MARGIN) for axis in semi_axes_um)
    return _centred(distance_to_ellipsoid(half, spacing, semi_axes_um), spacing, centre_um)


def irregular(rng: Rng, centre_um: Lengths, semi_axes_um: Lengths, bumps: float) -> Region:
    """Return an ellipsoid, radius times ``exp(bumps b(u))``; b: Legendre ``P_l(u·v)``, of rms 1."""
    axes = of_length_1(rng.normal(size=(len(DEGREES) * WAVES, 3)))
    weights = rng.normal(size=len(axes))
    field = _harmonics(_sphere(4000), axes, weights)
    scale = bumps / float(np.sqrt((field**2).mean()))
    shrink = float(np.exp(3 * scale * field).mean() ** (-1 / 3))
    reach = float(np.exp(scale * field).max()) * shrink * 1.02  # between the directions tried
    half = SAMPLES // 2
    spacing = tuple(axis * reach / (half - MARGIN) for axis in semi_axes_um)
    ticks = ((np.arange(SAMPLES) - half + 0.5) * reach / (half - MARGIN)).astype(np.float32)
    local = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij")).reshape(3, -1)
    radius = np.linalg.norm(local, axis=0)
    surface = shrink * np.exp(scale * _harmonics(local / radius, axes, weights))
    level = (radius / surface - 1).reshape((SAMPLES,) * 3).astype(np.float32)
    slope = np.sqrt(sum(part**2 for part in np.gradient(level, *spacing)))
    near = np.asarray(level / np.maximum(slope, 1e-12), np.float32)  # f / |∇f|, as f is smooth
    return _centred(distance_everywhere(near, spacing), spacing, centre_um)


def shell(
    centre_um: Lengths, semi_axes_um: Lengths, core: float, offset_um: Lengths = (0.0, 0.0, 0.0)
) -> tuple[Region, Region]:
    """Return an ellipsoid of tissue around a core, `core` times as large, and that core."""
    whole = ellipsoid(centre_um, semi_axes_um)
    middle = tuple(place + shift for place, shift in zip(centre_um, offset_um, strict=True))
    inner = ellipsoid(middle, tuple(axis * core for axis in semi_axes_um))
    return whole.minus(inner), whole.intersect(inner)


def blastocyst(
    centre_um: Lengths, semi_axes_um: Lengths, core: float, pole: Doubles, mass_um3: float
) -> tuple[Region, Region, Region, Region | None]:
    """Return an ellipsoid, its layer, a mass of a volume at a pole (unit vector), its cavity.

    The inside is `core` times as large; the mass is the part of it in a ball about a point beyond
    its pole, a lens. One that leaves less than `LEAST_CAVITY` of the inside fills it: a morula.
    """
    inside = ellipsoid(centre_um, tuple(axis * core for axis in semi_axes_um))
    whole = ellipsoid(centre_um, semi_axes_um)
    layer = whole.minus(inside)
    place = np.add(centre_um, BEYOND * core * pole * semi_axes_um)
    z, y, x = np.ix_(*(inside.grid.centres(axis) - place[axis] for axis in range(3)))
    away = np.sort((z**2 + y**2 + x**2)[inside.distance < 0])
    count = max(round(mass_um3 / float(np.prod(inside.spacing))), round(LEAST_CAVITY * len(away)))
    if count > (1 - LEAST_CAVITY) * len(away):
        return whole, layer, inside, None
    ball = ellipsoid(tuple(place.tolist()), (float(np.sqrt(away[count])),) * 3)
    return whole, layer, inside.intersect(ball), inside.minus(ball)


def fill(grid_size_um: Lengths, margin_um: float) -> Region:
    """Return tissue that goes on by a margin (µm) beyond a field of view on all sides."""
    spacing = tuple((size + 2 * margin_um) / (SAMPLES - 2 * MARGIN) for size in grid_size_um)
    origin = tuple(-margin_um - MARGIN * step for step in spacing)
    grid, beyond = Grid((SAMPLES,) * 3, spacing, origin), list[Image]()  # the faces of an axis
    for axis, size in enumerate(grid_size_um):
        ticks = grid.centres(axis).astype(np.float64)
        away = np.maximum(-margin_um - ticks, ticks - (size + margin_um))
        beyond.append(away.astype(np.float32))
    z, y, x = np.ix_(*beyond)
    inside = np.minimum(np.maximum(np.maximum(z, y), x), 0)
    outside = z.clip(0) ** 2 + y.clip(0) ** 2 + x.clip(0) ** 2
    return Region(np.asarray(inside + np.sqrt(outside), np.float32), spacing, origin)


def from_mask(mask: Volume, centre_um: Lengths) -> Region:
    """Return the tissue of a ZYX mask (not 0), its middle at a point; InputError if empty."""
    if mask.axes != "ZYX":
        raise InputError(f"a mask of tissue must have the axes ZYX, found {mask.axes}")
    tissue = mask.array != 0
    box = box_of(tissue)
    if box is None:
        raise InputError(
            f"a mask of tissue is empty: all of its {' x '.join(map(str, tissue.shape))} voxels "
            "are 0; expected tissue where it is not"
        )
    tissue = tissue[box]
    blocks = [-(-size // (SAMPLES - 2 * MARGIN)) for size in tissue.shape]
    filled = [-size % block for size, block in zip(tissue.shape, blocks, strict=True)]
    # Equal borders of whole blocks; voxels missing to whole blocks are shared between both ends.
    edges = [
        (MARGIN * block + rest // 2, MARGIN * block + rest - rest // 2)
        for block, rest in zip(blocks, filled, strict=True)
    ]
    shares = np.pad(tissue, edges)
    for axis, block in enumerate(blocks):
        shape = (*shares.shape[:axis], -1, block, *shares.shape[axis + 1 :])
        shares = shares.reshape(shape).mean(axis=axis + 1, dtype=np.float32)
    spacing = tuple(step * block for step, block in zip(mask.spacing, blocks, strict=True))
    distance = distance_everywhere(distance_from_shares(shares, spacing), spacing)
    odd = np.mod(filled, 2) / 2 * mask.spacing
    return _centred(distance, spacing, tuple(np.add(centre_um, odd).tolist()))


def _centred(distance: Image, spacing: Lengths, centre_um: Lengths) -> Region:
    """Return a region with the middle of its grid at a point."""
    return Region(distance, spacing, Grid.around(distance.shape, spacing, centre_um).origin)


def _sphere(count: int) -> Image:
    """Return directions (3, count) spread evenly: a Fibonacci sphere."""
    turns = np.arange(count) * np.pi * (3 - np.sqrt(5))
    height = 1 - (2 * np.arange(count) + 1) / count
    ring = np.sqrt(1 - height**2)
    return np.stack([height, ring * np.sin(turns), ring * np.cos(turns)]).astype(np.float32)


def _harmonics(directions: Image, axes: Doubles, weights: Doubles) -> Image:
    """Return the weighted sum (n,) of Legendre polynomials of the angles to axes (K, 3)."""
    total = np.zeros(directions.shape[1], np.float32)
    degrees = np.repeat(DEGREES, WAVES)
    for axis, weight, degree in zip(axes.astype(np.float32), weights, degrees, strict=True):
        series = np.polynomial.legendre.leg2poly([0] * degree + [weight])[::-1]
        # Not `axis @ directions`: the last bits of that depend on the kind of processor.
        cosine = axis[0] * directions[0] + axis[1] * directions[1] + axis[2] * directions[2]
        value = np.full_like(cosine, series[0])
        for term in series[1:]:
            value *= cosine
            if term:
                value += np.float32(term)
        total += value
    return total
