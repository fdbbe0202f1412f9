"""A population of nuclei from a library of stored ones, each turned, mirrored, scaled, altered."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from cytosuite.bodies.grid import Grid
from cytosuite.bodies.stars import Patch
from cytosuite.datasets.phantoms.library import (
    MARGIN,
    Library,
    Phantom,
    draw_rotations,
    enclosed_um3,
    from_mask,
    pull,
    pull_distance,
)
from cytosuite.datasets.physics.labels import largest_piece
from cytosuite.datasets.physics.shapes import of_length_1
from cytosuite.files import frozen
from cytosuite.volume.arrays import Bools, Doubles, Image, Lengths, Longs, Rng, Rows

MOST_PARTS = 4  # points per voxel and axis that an average takes at most
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


@frozen
class StoredNuclei(Rows):
    """A population of stored nuclei, see `cytosuite.bodies.stars.Bodies`."""

    library: Library
    which: Longs  # (N,), number in the library
    transforms: Doubles  # (N, 3, 3), rotation times mirror times scale
    semi_axes_um: Doubles  # (N, 3), of the ellipsoid with the same second moments and volume
    rotations: Doubles  # (N, 3, 3), directions (z, y, x) of the axes, in columns
    brightness: Doubles  # (N,), mean density inside, relative to the median nucleus

    def looser(self, um: float) -> "StoredNuclei":
        """Return nuclei with a mean radius some µm larger, or smaller, down to a third."""
        factor = np.maximum(1 + um / self.semi_axes_um.prod(axis=1) ** (1 / 3), 1 / 3)
        axes = self.semi_axes_um * factor[:, None]
        return replace(self, semi_axes_um=axes, transforms=self.transforms * factor[:, None, None])

    def posed(self, semi_axes_um: Doubles, rotations: Doubles) -> "StoredNuclei":
        """Return nuclei stretched to semi-axes (N, 3) and turned to rotations (N, 3, 3)."""
        sizes = (semi_axes_um / self.semi_axes_um)[:, None]
        turns = (rotations * sizes) @ self.rotations.transpose(0, 2, 1)
        placed = replace(self, semi_axes_um=semi_axes_um, rotations=rotations)
        return replace(placed, transforms=turns @ self.transforms)

    def patches(self, centres_um: Doubles, grid: Grid, rim_um: float = 0.0) -> Iterator[Patch]:
        """Yield each nucleus that touches a grid; distance is 1 + signed distance / radius."""
        for i in range(len(self)):
            phantom = self._phantom(i)
            scale = self._scale(i)
            points = phantom.surface_um @ self.transforms[i].T
            low = points.min(axis=0)
            high = points.max(axis=0)
            pad = rim_um + scale * min(phantom.spacing) / 2  # cells bulge a little between lines
            box = grid.box(centres_um[i] + (low + high) / 2, (high - low) / 2 + pad)
            if box is None:
                continue
            z, y, x = (
                grid.centres(axis, span.start, span.stop).astype(float) - centres_um[i, axis]
                for axis, span in enumerate(box)
            )
            index = np.reshape(phantom.centre_um / phantom.spacing, (3, 1, 1, 1)) + _turned(
                self._to_index(i), np.meshgrid(z, y, x, indexing="ij", sparse=True)
            )
            distance = pull_distance(phantom, index).ravel()
            inside = np.flatnonzero(distance < rim_um / scale)
            places = np.unravel_index(inside, index.shape[1:])
            local = [axis[at] for axis, at in zip((z, y, x), places, strict=True)]
            position = _turned((self.rotations[i] / self.semi_axes_um[i]).T, local)
            relative = 1 + distance[inside] * np.float32(scale / self._radius_um(i))
            relative = np.maximum(relative, np.float32(0))
            yield Patch(i, box, inside, position.astype(np.float32), relative)

    def density(self, patch: Patch, grid: Grid, tile: Image) -> Image:
        """Return the stored dye (n,), not the tile's, averaged over larger voxels."""
        del tile
        i = patch.index
        phantom = self._phantom(patch.index)
        to_index = self._to_index(i)
        index = _turned(to_index @ (self.rotations[i] * self.semi_axes_um[i]), patch.position)
        index += np.reshape(phantom.centre_um / phantom.spacing, (3, 1))
        parts = _parts(to_index * np.asarray(grid.spacing))
        pulled = (pull(phantom.filled, index + part[:, None]) for part in parts)
        density = np.asarray(sum(pulled) / np.float32(len(parts)), np.float32)
        density *= np.float32(self.brightness[i] / phantom.brightness)
        radius = np.float32(self._radius_um(i) / grid.voxel_um)
        density *= np.clip((1 - patch.distance) * radius + np.float32(0.5), 0, 1)
        return density

    def _phantom(self, i: int) -> Phantom:
        return self.library[int(self.which[i])]

    def _to_index(self, i: int) -> Doubles:
        """Return the map (3, 3) from µm of the scene to voxels of the stored nucleus."""
        spacing = np.reshape(self._phantom(i).spacing, (3, 1))
        return np.asarray(np.linalg.inv(self.transforms[i]) / spacing)

    def _scale(self, i: int) -> float:
        """Return the factor of its lengths."""
        return float(abs(np.linalg.det(self.transforms[i])) ** (1 / 3))

    def _radius_um(self, i: int) -> float:
        """Return the radius of the sphere of the same volume."""
        return float(self.semi_axes_um[i].prod() ** (1 / 3))


def draw_stored(
    rng: Rng,
    count: int,
    library: Sequence[Phantom],
    *,
    diameter_um: float | None = None,
    diameter_spread: float = 0.0,
    brightness_spread: float = 0.0,
    tilt: float = 0.0,
) -> StoredNuclei:
    """Return stored nuclei of a median diameter, z tilted by <= `tilt` degrees."""
    which = rng.integers(len(library), size=count)
    rotations = draw_rotations(rng, count, tilt)
    signs = np.where(rng.random((count, 3)) < 0.5, -1.0, 1.0)
    scale = np.exp(rng.normal(0.0, diameter_spread, count))
    spread = np.exp(rng.normal(0.0, brightness_spread, count))
    if diameter_um is not None:
        diameters = [(6 / np.pi * phantom.volume_um3) ** (1 / 3) for phantom in library]
        scale *= diameter_um / float(np.median(diameters))
    turned = rotations * signs[:, None, :]
    axes = turned @ np.stack([phantom.rotation for phantom in library])[which]
    # A mirrored ellipsoid is the turned one; a column's sign makes it a rotation again.
    axes[:, :, 2] *= signs.prod(axis=1)[:, None]
    return StoredNuclei(
        library=tuple(library),
        which=which,
        transforms=turned * scale[:, None, None],
        semi_axes_um=np.stack([p.semi_axes_um for p in library])[which] * scale[:, None],
        rotations=axes,
        brightness=np.array([p.brightness for p in library])[which] * spread,
    )


def _turned(matrix: Doubles, points: Sequence[Doubles] | Image) -> Doubles:
    """Return a map (3, 3) of points by axis; no matrix product: alike in any box."""
    return np.asarray(
        [sum(factor * ticks for factor, ticks in zip(row, points, strict=True)) for row in matrix]
    )


def _parts(steps: Doubles) -> Doubles:
    """Return points (k, 3) in a voxel of edges `steps` (3, 3), one per voxel that it spans."""
    counts = np.clip(np.round(np.linalg.norm(steps, axis=0)), 1, MOST_PARTS).astype(int)
    shifts = [(np.arange(n) + 0.5) / n - 0.5 for n in counts]
    grid = np.stack(np.meshgrid(*shifts, indexing="ij")).reshape(3, -1)
    return np.ascontiguousarray((steps @ grid).T)


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
    altered = from_mask(
        phantom.name, light, piece, phantom.spacing, enclosed_um3(distance, phantom.spacing) * share
    )
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
    relative = 1 + np.float32(contrast) * (light / light[inside].mean() - 1)
    return np.asarray(np.maximum(relative, 0) ** np.float32(gamma), np.float32)
