"""Outlines of tissue: ellipsoids, irregular bodies, shells, a full field, masks from files."""

import numpy as np
from scipy import ndimage

from cytosuite.datasets.physics import distance as signed
from cytosuite.datasets.physics.grid import Array, Grid, Image, Lengths
from cytosuite.datasets.physics.region import Region
from cytosuite.errors import InputError
from cytosuite.volume import Volume

SAMPLES = 64  # along each axis
MARGIN = 4  # samples beyond the surface
DEGREES = (2, 3, 4)  # of the spherical harmonics in an irregular surface: bulges and dents
WAVES = 6  # of each degree, about random axes


def ellipsoid(centre_um: Lengths, semi_axes_um: Lengths) -> Region:
    """Return an ellipsoid of tissue, axes along z, y, x.

    Raises `InputError` if a semi-axis is not positive.
    """
    if min(semi_axes_um) <= 0:
        raise InputError(f"semi-axes of tissue must be positive, found {semi_axes_um} µm")
    half = SAMPLES // 2
    spacing = tuple(axis / (half - MARGIN) for axis in semi_axes_um)
    return _centred(signed.to_ellipsoid(half, spacing, semi_axes_um), spacing, centre_um)


def irregular(
    rng: np.random.Generator, centre_um: Lengths, semi_axes_um: Lengths, bumps: float
) -> Region:
    """Return an ellipsoid with smooth bulges and dents and the same volume.

    Parameters
    ----------
    rng : numpy Generator
    centre_um, semi_axes_um : tuple of float
    bumps : float
        Root mean square of the displacement relative to the radius, 0 to about 0.3.

    Notes
    -----
    The radius in direction ``u`` is multiplied by ``exp(bumps b(u))``, where ``b`` is a sum of
    Legendre polynomials ``P_l(u·v)`` about random axes ``v`` (degrees 2 to 4) with mean square 1.
    """
    axes = rng.normal(size=(len(DEGREES) * WAVES, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
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
    distance = signed.everywhere(signed.first_order(level, spacing), spacing)
    return _centred(distance, spacing, centre_um)


def shell(
    centre_um: Lengths,
    semi_axes_um: Lengths,
    core: float,
    offset_um: Lengths = (0.0, 0.0, 0.0),
) -> tuple[Region, Region]:
    """Return an ellipsoid of tissue around a cavity or a necrotic core, and that core.

    Parameters
    ----------
    centre_um, semi_axes_um : tuple of float
    core : float
        Semi-axes of the core relative to the tissue's, above 0 and below 1.
    offset_um : tuple of float
        From the centre of the tissue to that of the core. A blastocyst's cavity lies off the
        middle; where it would leave the tissue it is cut.
    """
    whole = ellipsoid(centre_um, semi_axes_um)
    middle = tuple(place + shift for place, shift in zip(centre_um, offset_um, strict=True))
    inner = ellipsoid(middle, tuple(axis * core for axis in semi_axes_um))
    return whole.minus(inner), whole.intersect(inner)


def fill(grid_size_um: Lengths, margin_um: float) -> Region:
    """Return tissue that goes on by a margin (µm) beyond a field of view on all sides."""
    spacing = tuple((size + 2 * margin_um) / (SAMPLES - 2 * MARGIN) for size in grid_size_um)
    origin = tuple(-margin_um - MARGIN * step for step in spacing)
    grid = Grid((SAMPLES,) * 3, spacing, origin)
    ticks = [grid.centres(axis).astype(np.float64) for axis in range(3)]
    high = tuple(size + margin_um for size in grid_size_um)
    return Region(signed.to_box(ticks, (-margin_um,) * 3, high), spacing, origin)


def from_mask(mask: Volume, centre_um: Lengths) -> Region:
    """Return the tissue of a mask.

    Parameters
    ----------
    mask : Volume
        (Z, Y, X), any type; tissue is not 0.
    centre_um : tuple of float
        Where the middle of the box around the tissue is put.

    Raises
    ------
    InputError
        If the mask has other axes or is empty.
    """
    if mask.axes != "ZYX":
        raise InputError(f"a mask of tissue must have the axes ZYX, found {mask.axes}")
    tissue = mask.array != 0
    boxes = ndimage.find_objects(tissue.view(np.uint8))
    if not boxes:
        raise InputError(
            f"a mask of tissue is empty: all of its {' x '.join(map(str, tissue.shape))} voxels "
            "are 0; expected tissue where it is not"
        )
    tissue = tissue[boxes[0]]
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
    distance = signed.everywhere(signed.from_shares(shares, spacing), spacing)
    odd = np.mod(filled, 2) / 2 * mask.spacing
    return _centred(distance, spacing, tuple(np.add(centre_um, odd).tolist()))


def _centred(distance: Image, spacing: Lengths, centre_um: Lengths) -> Region:
    """Return a region with the middle of its grid at a point."""
    axes = zip(centre_um, distance.shape, spacing, strict=True)
    return Region(distance, spacing, tuple(centre - n * step / 2 for centre, n, step in axes))


def _sphere(count: int) -> Image:
    """Return directions (3, count) spread evenly: a Fibonacci sphere."""
    turns = np.arange(count) * np.pi * (3 - np.sqrt(5))
    height = 1 - (2 * np.arange(count) + 1) / count
    ring = np.sqrt(1 - height**2)
    return np.stack([height, ring * np.sin(turns), ring * np.cos(turns)]).astype(np.float32)


def _harmonics(directions: Image, axes: Array, weights: Array) -> Image:
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
