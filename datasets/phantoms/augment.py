"""Alter a stored nucleus: direction, size, shape and contrast."""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from cytosuite.datasets.phantoms.library import (
    MARGIN,
    Phantom,
    draw_rotations,
    enclosed_um3,
    from_mask,
    pull,
    pull_distance,
)
from cytosuite.datasets.physics.labels import largest_piece
from cytosuite.datasets.physics.shapes import of_length_1
from cytosuite.volume.arrays import Bools, Doubles, Image, Lengths, Rng

WAVES = 16  # plane waves summed to warp a nucleus
MOST_SHIFT = (2 * WAVES) ** 0.5  # largest shift of a warp against its root mean square
NEARLY_CUBIC = 1.2  # axial against lateral step up to which voxels may be tilted freely


# Limits, beyond which nuclei tear.
SCALE = (0.8, 1.3)  # factors, drawn for each axis
WARP_UM = 0.3  # root mean square shift; beyond 0.35 of its length space begins to fold
WARP_LENGTH_UM = 3.0  # over which it changes
BLUR_UM = 0.5  # largest sigma; half of the nuclei are sharpened instead
CONTRAST = (0.65, 1.1)  # factors on differences from the mean
GAMMA = (0.5, 1.5)  # exponents
# As in the records of libraries: any turn about z, tilts of z within a slice, any axis mirrored.
ALTERATION = {
    "turn": 180.0,
    "tilt": None,
    "mirror": True,
    "scale": SCALE,
    "warp_um": WARP_UM,
    "warp_length_um": WARP_LENGTH_UM,
    "blur_um": BLUR_UM,
    "contrast": CONTRAST,
    "gamma": GAMMA,
}


def augment(rng: Rng, phantom: Phantom) -> Phantom:
    """Return a randomly altered copy of a phantom, of the same mean brightness, in one piece."""
    transform = _draw_transform(rng, phantom)
    scale = float(abs(np.linalg.det(transform)) ** (1 / 3))
    position = _positions(phantom, transform, WARP_UM * MOST_SHIFT)
    position += _shift(rng, position)
    moved = np.linalg.inv(transform) @ position.reshape(3, -1) + phantom.centre_um[:, None]
    index = (moved / np.reshape(phantom.spacing, (3, 1))).reshape(position.shape)
    distance = pull_distance(phantom, index) * np.float32(scale)
    inside = distance < 0
    light = _altered(rng, pull(phantom.filled, index), inside, phantom.spacing)
    piece = largest_piece(inside)
    share = np.count_nonzero(piece) / np.count_nonzero(inside)
    volume = enclosed_um3(distance, phantom.spacing) * share
    altered = from_mask(phantom.name, light, piece, phantom.spacing, volume)
    return replace(
        altered,
        intensity=altered.intensity * np.float32(phantom.brightness / altered.brightness),
        volume_ratio=phantom.volume_ratio * altered.volume_um3 / phantom.volume_um3,
    )


def _draw_transform(rng: Rng, phantom: Phantom) -> Doubles:
    """Return the map (3, 3) from the phantom to the copy: rotation times mirror times scale."""
    axial = phantom.spacing[0]
    lateral = min(phantom.spacing[1:])
    tilt = 180.0 if axial < NEARLY_CUBIC * lateral else np.degrees(np.arctan(lateral / axial))
    rotation = draw_rotations(rng, 1, float(tilt))[0]
    signs = np.where(rng.random(3) < 0.5, -1.0, 1.0)
    return np.asarray(rotation * signs * rng.uniform(*SCALE, 3))


def _positions(phantom: Phantom, transform: Doubles, pad_um: float) -> Doubles:
    """Return voxel centres (3, z, y, x) in µm of the copy, on the raster of the phantom."""
    spacing = np.asarray(phantom.spacing)
    points = phantom.surface_um @ transform.T
    phase = phantom.centre_um / spacing % 1
    first = np.floor((points.min(axis=0) - pad_um) / spacing + phase) - 2 * MARGIN
    last = np.ceil((points.max(axis=0) + pad_um) / spacing + phase) + 2 * MARGIN
    axes = [
        (np.arange(a, b + 1) - p) * s
        for a, b, p, s in zip(first, last, phase, spacing, strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def _shift(rng: Rng, position: Doubles) -> Doubles:
    """Return a smooth displacement (3, z, y, x) in µm: a sum of plane waves."""
    waves = rng.normal(0.0, 1 / WARP_LENGTH_UM, (WAVES, 3))
    phases = rng.uniform(0, 2 * np.pi, WAVES)
    directions = of_length_1(rng.normal(size=(WAVES, 3)))
    shift = np.zeros_like(position)
    for wave, phase, direction in zip(waves, phases, directions, strict=True):
        height = np.cos(np.tensordot(wave, position, 1) + phase)
        shift += direction[:, None, None, None] * height
    return np.asarray(shift * (WARP_UM * (2 / WAVES) ** 0.5))


def _altered(rng: Rng, light: Image, inside: Bools, spacing: Lengths) -> Image:
    """Return intensities blurred or sharpened, and with another contrast."""
    width = rng.uniform(0, BLUR_UM)
    sharpen = rng.random() < 0.5
    contrast = rng.uniform(*CONTRAST)
    gamma = rng.uniform(*GAMMA)
    blurred = ndimage.gaussian_filter(light, [width / step for step in spacing], mode="nearest")
    light = 2 * light - blurred if sharpen else blurred
    mean = light[inside].mean()
    relative = 1 + np.float32(contrast) * (light / mean - 1)
    return np.asarray(np.maximum(relative, 0) ** np.float32(gamma), np.float32)
