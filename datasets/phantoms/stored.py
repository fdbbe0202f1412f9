"""A population of nuclei from a library of stored ones, each turned, mirrored and scaled."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from cytosuite.bodies.grid import Grid
from cytosuite.bodies.stars import Patch
from cytosuite.datasets.phantoms.library import (
    Library,
    Phantom,
    draw_rotations,
    pull,
    pull_distance,
)
from cytosuite.files import frozen
from cytosuite.volume.arrays import Doubles, Image, Longs, Rng, Rows

MOST_PARTS = 4  # points per voxel and axis that an average takes at most


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
