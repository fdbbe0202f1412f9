"""A population of nuclei from a library of stored ones, each turned, mirrored and scaled."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from cytosuite.datasets.phantoms.geometry import draw_rotations
from cytosuite.datasets.phantoms.library import Phantom
from cytosuite.datasets.physics.bodies import Patch
from cytosuite.datasets.physics.grid import Array, Grid, Image
from cytosuite.errors import InputError

MOST_PARTS = 4  # points per voxel and axis that an average takes at most


@dataclass(frozen=True, slots=True)
class StoredNuclei:
    """A population of stored nuclei.

    Parameters
    ----------
    library : tuple of Phantom
        The stored nuclei.
    which : (N,) int array
        Number in the library of each nucleus.
    transforms : (N, 3, 3) float array
        Rotation times mirror times scale: from the phantom to the tissue.
    semi_axes_um : (N, 3) float array
        Semi-axes of the ellipsoid with the same second moments and volume.
    rotations : (N, 3, 3) float array
        Directions (z, y, x) of the axes, in columns.
    brightness : (N,) float array
        Mean density inside, relative to the median nucleus.
    """

    library: tuple[Phantom, ...]
    which: NDArray[np.int64]
    transforms: Array
    semi_axes_um: Array
    rotations: Array
    brightness: Array

    def __len__(self) -> int:
        """Return the number of nuclei."""
        return len(self.which)

    def take(self, chosen: NDArray[np.integer] | NDArray[np.bool_]) -> "StoredNuclei":
        """Return the chosen nuclei: their numbers, in any order and number, or a mask (N,)."""
        own = fields(self)[1:]  # one value per nucleus; the library stays
        return replace(self, **{field.name: getattr(self, field.name)[chosen] for field in own})

    def patches(self, centres_um: Array, grid: Grid, rim_um: float = 0.0) -> Iterator[Patch]:
        """Yield each nucleus that touches a grid, see `cytosuite.datasets.physics.bodies.Bodies`.

        Notes
        -----
        ``distance`` is 1 + the signed distance relative to the radius of the sphere of the same
        volume: below 1 inside, and never below 0.
        """
        from cytosuite.datasets.phantoms import _kernels  # compiled on first use

        for i in range(len(self)):
            phantom, scale = self._phantom(i), self._scale(i)
            points = phantom.surface_um @ self.transforms[i].T
            low, high = points.min(axis=0), points.max(axis=0)
            pad = rim_um + scale * min(phantom.spacing) / 2  # cells bulge a little between lines
            box = grid.box(centres_um[i] + (low + high) / 2, (high - low) / 2 + pad)
            if box is None:
                continue
            z, y, x = (
                grid.centres(axis, span.start, span.stop).astype(float) - centres_um[i, axis]
                for axis, span in enumerate(box)
            )
            room = len(z) * len(y) * len(x)
            inside = np.empty(room, np.int64)
            position, distance = np.empty((3, room), np.float32), np.empty(room, np.float32)
            spacing = np.asarray(phantom.spacing)
            count = _kernels.distances(
                phantom.distance,
                spacing,
                (z, y, x),
                np.linalg.inv(self.transforms[i]) / spacing[:, None],
                phantom.centre_um / spacing,
                np.ascontiguousarray((self.rotations[i] / self.semi_axes_um[i]).T),
                rim_um / scale,
                inside,
                position,
                distance,
            )
            relative = 1 + distance[:count] * np.float32(scale / self._radius_um(i))
            yield Patch(
                i,
                box,
                inside[:count],
                np.ascontiguousarray(position[:, :count]),
                np.maximum(relative, np.float32(0)),
            )

    def density(self, patch: Patch, grid: Grid, tile: Image) -> Image:
        """Return the dye (n,) in the voxels of a patch: the stored one, not that of the tile.

        It has the mean `brightness` within the surface, times the share of the voxel inside of it.
        Where voxels are larger than the phantom's, these are averaged.
        """
        from cytosuite.datasets.phantoms import _kernels

        del tile
        i, phantom = patch.index, self._phantom(patch.index)
        spacing = np.asarray(phantom.spacing)
        to_index = np.linalg.inv(self.transforms[i]) / spacing[:, None]
        density = np.empty(patch.distance.size, np.float32)
        _kernels.averages(
            phantom.filled,
            patch.position,
            to_index @ (self.rotations[i] * self.semi_axes_um[i]),
            phantom.centre_um / spacing,
            _parts(to_index * np.asarray(grid.spacing)),
            density,
        )
        density *= np.float32(self.brightness[i] / phantom.brightness)
        radius = np.float32(self._radius_um(i) / grid.voxel_um)
        density *= np.clip((1 - patch.distance) * radius + np.float32(0.5), 0, 1)
        return density

    def _phantom(self, i: int) -> Phantom:
        """Return the phantom of a nucleus."""
        return self.library[int(self.which[i])]

    def _scale(self, i: int) -> float:
        """Return the factor of its lengths."""
        return float(abs(np.linalg.det(self.transforms[i])) ** (1 / 3))

    def _radius_um(self, i: int) -> float:
        """Return the radius of the sphere of the same volume."""
        return float(self.semi_axes_um[i].prod() ** (1 / 3))


def draw_stored(
    rng: np.random.Generator,
    count: int,
    library: Sequence[Phantom],
    *,
    diameter_um: float | None = None,
    diameter_spread: float = 0.0,
    brightness_spread: float = 0.0,
    tilt: float = 0.0,
    mirror: bool = True,
) -> StoredNuclei:
    """Return a random population of stored nuclei.

    Parameters
    ----------
    rng, count : numpy Generator, int
    library : sequence of Phantom
        Each is drawn with the same probability.
    diameter_um : float, optional
        Median diameter of the library after scaling, of spheres of the same volume; without it
        nuclei are as large as stored.
    diameter_spread, brightness_spread : float
        Standard deviations of the logarithms, in addition to the differences within the
        library.
    tilt : float
        Largest angle in degrees by which z is tilted; turns about z are free. Stacks smeared
        along z (by depth blur) keep that direction with 0; 180 allows any rotation.
    mirror : bool
        Whether each axis is mirrored with probability one half.

    Raises
    ------
    InputError
        If the library is empty.
    """
    if not library:
        raise InputError("library of phantoms: expected at least one, found none")
    which = rng.integers(len(library), size=count)
    rotations = draw_rotations(rng, count, tilt)
    signs = np.where(rng.random((count, 3)) < 0.5 * mirror, -1.0, 1.0)
    scale = np.exp(rng.normal(0.0, diameter_spread, count))
    spread = np.exp(rng.normal(0.0, brightness_spread, count))
    if diameter_um is not None:
        diameters = [(6 / np.pi * phantom.volume_um3) ** (1 / 3) for phantom in library]
        scale *= diameter_um / float(np.median(diameters))
    turned = rotations * signs[:, None, :]
    own = np.stack([phantom.rotation for phantom in library])[which]
    axes = turned @ own
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


def _parts(steps: Array) -> Array:
    """Return points (k, 3) within a voxel, as many as the phantom's voxels it spans.

    The columns of `steps` (3, 3) are the voxel's edges, in voxels of the phantom.
    """
    counts = np.clip(np.round(np.linalg.norm(steps, axis=0)), 1, MOST_PARTS).astype(int)
    shifts = [(np.arange(n) + 0.5) / n - 0.5 for n in counts]
    grid = np.stack(np.meshgrid(*shifts, indexing="ij")).reshape(3, -1)
    return np.ascontiguousarray((steps @ grid).T)
