"""Shapes and labels of nuclei, drawn one by one in their own boxes of a grid.

Everything is in µm, in the order z, y, x; a nucleus knows nothing of voxels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.float32]

WAVES = 8  # plane waves summed to displace a surface
WAVE_NUMBERS = (2.0, 5.0)  # their undulations per radian: bulges, not ripples


@dataclass(frozen=True, slots=True)
class Grid:
    """A regular grid of voxels in space.

    Parameters
    ----------
    shape : tuple of int
        Voxels along z, y, x.
    spacing : tuple of float
        µm per voxel.
    origin : tuple of float
        Position in µm of the outer corner of the first voxel.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def voxel_um(self) -> float:
        """Edge in µm of the cube that has the volume of a voxel."""
        return float(np.prod(self.spacing) ** (1 / 3))

    def centres(self, axis: int, start: int = 0, stop: int | None = None) -> Image:
        """Return the positions in µm of the voxel centres `start` to `stop` along an axis."""
        index = np.arange(start, self.shape[axis] if stop is None else stop)
        positions = self.origin[axis] + (index + 0.5) * self.spacing[axis]
        return positions.astype(np.float32)

    def box(self, centre: Array, reach: Array) -> tuple[slice, slice, slice] | None:
        """Return the voxels whose centres lie within `reach` of `centre`, None if none do.

        Parameters
        ----------
        centre, reach : (3,) float array
            µm.
        """
        spans = []
        for axis in range(3):
            low = (centre[axis] - reach[axis] - self.origin[axis]) / self.spacing[axis] - 0.5
            high = (centre[axis] + reach[axis] - self.origin[axis]) / self.spacing[axis] - 0.5
            start, stop = max(int(np.ceil(low)), 0), min(int(high) + 1, self.shape[axis])
            if high < 0 or start >= stop:
                return None
            spans.append(slice(start, stop))
        return spans[0], spans[1], spans[2]


@dataclass(frozen=True, slots=True)
class Nuclei:
    """A population of nuclei: ellipsoids with smoothly displaced surfaces.

    Parameters
    ----------
    semi_axes_um : (N, 3) float array
        Semi-axes of the ellipsoid of the same volume.
    rotations : (N, 3, 3) float array
        Columns are the directions (z, y, x) of the three axes.
    waves : (N, 3 + 1, K) float array
        Wave vector (3) and phase of each plane wave of the surface displacement.
    roughness : float
        Root mean square of the relative displacement.
    brightness : (N,) float array
        Relative to the median nucleus.
    contrast : (N,) float array
        Standard deviation of the logarithm of the chromatin density.
    nucleoli : (N, M, 4) float array
        Centre and radius in units of the semi-axes; radius 0: none.
    mitotic : (N,) bool array
        Condensed: small, bright, without nucleoli.
    offsets : (N, 3) int array
        Where in the chromatin tile each nucleus is cut from.
    """

    semi_axes_um: Array
    rotations: Array
    waves: Array
    roughness: float
    brightness: Array
    contrast: Array
    nucleoli: Array
    mitotic: NDArray[np.bool_]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of nuclei."""
        return len(self.semi_axes_um)

    @property
    def volumes_um3(self) -> Array:
        """Volume of each nucleus in µm³."""
        return np.asarray(4 / 3 * np.pi * self.semi_axes_um.prod(axis=1))

    @property
    def extents_um(self) -> Array:
        """Half the height, depth and width (N, 3) of the boxes around the ellipsoids, in µm."""
        squares = (self.rotations * self.semi_axes_um[:, None, :]) ** 2
        return np.asarray(np.sqrt(squares.sum(axis=2)))


def draw_nuclei(
    rng: np.random.Generator,
    count: int,
    *,
    diameter_um: float,
    diameter_spread: float = 0.08,
    axis_spread: float = 0.12,
    roughness: float = 0.04,
    brightness_spread: float = 0.25,
    contrast: float = 0.3,
    nucleoli: int = 3,
    mitotic_fraction: float = 0.0,
) -> Nuclei:
    """Return a random population of nuclei.

    Parameters
    ----------
    rng, count : numpy Generator, int
        Source of randomness; number of nuclei.
    diameter_um : float
        Median diameter in µm of the sphere of the same volume.
    diameter_spread, axis_spread, brightness_spread : float
        Standard deviations of the logarithms: of the diameter between nuclei, of each axis
        against the nucleus' diameter, of the brightness.
    roughness : float
        Root mean square of the surface displacement relative to the radius.
    contrast : float
        Standard deviation of the logarithm of the chromatin density.
    nucleoli : int
        Each nucleus has 0 to `nucleoli` dark nucleoli.
    mitotic_fraction : float
        Probability of a condensed nucleus: a plate of 0.2 to 0.35 times the volume and the
        brightness times that ratio to the power of -0.7.

    Notes
    -----
    Axes are lognormal and their product is normalised to the nucleus' volume; orientations are
    uniform (normalised Gaussian quaternions).
    """
    axes = np.exp(rng.normal(0.0, axis_spread, (count, 3)))
    radius = diameter_um / 2 * np.exp(rng.normal(0.0, diameter_spread, count))
    mitotic = rng.random(count) < mitotic_fraction
    shrink = rng.uniform(0.2, 0.35, count)  # of the volume, when condensed
    plate = rng.uniform(0.45, 0.7, count)  # thickness against width
    axes[:, 0] *= np.where(mitotic, plate, 1.0)
    radius = radius * np.where(mitotic, shrink, 1.0) ** (1 / 3)
    axes *= (radius / axes.prod(axis=1) ** (1 / 3))[:, None]
    brightness = np.exp(rng.normal(0.0, brightness_spread, count))
    brightness *= np.where(mitotic, shrink**-0.7, 1.0)
    return Nuclei(
        semi_axes_um=axes,
        rotations=_rotations(rng, count),
        waves=_waves(rng, count),
        roughness=roughness,
        brightness=brightness,
        contrast=np.where(mitotic, 0.3, 1.0) * contrast,
        nucleoli=_nucleoli(rng, count, nucleoli) * ~mitotic[:, None, None],
        mitotic=mitotic,
        offsets=rng.integers(0, 1 << 20, (count, 3)),
    )


def _rotations(rng: np.random.Generator, count: int) -> Array:
    """Return uniformly distributed rotation matrices (N, 3, 3)."""
    q = rng.normal(size=(4, count))
    w, x, y, z = q / np.linalg.norm(q, axis=0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def _waves(rng: np.random.Generator, count: int) -> Array:
    """Return wave vectors of random direction and length, and phases (N, 4, K)."""
    directions = rng.normal(size=(count, 3, WAVES))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = rng.uniform(*WAVE_NUMBERS, (count, 1, WAVES))
    phases = rng.uniform(0, 2 * np.pi, (count, 1, WAVES))
    return np.concatenate([directions * lengths, phases], axis=1)


def _nucleoli(rng: np.random.Generator, count: int, most: int) -> Array:
    """Return centres and radii in units of the semi-axes (N, most, 4)."""
    directions = rng.normal(size=(count, most, 3))
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    centres = directions * rng.uniform(0.0, 0.55, (count, most, 1))
    present = np.arange(most) < rng.integers(0, most + 1, (count, 1))
    radii = rng.uniform(0.15, 0.3, (count, most)) * present
    return np.concatenate([centres, radii[..., None]], axis=2)


def _sphere(points: int = 256) -> Array:
    """Return nearly equidistant directions (points, 3): a Fibonacci lattice."""
    index = np.arange(points) + 0.5
    z = 1 - 2 * index / points
    angle = np.pi * (1 + 5**0.5) * index
    return np.stack([z, np.sqrt(1 - z * z) * np.cos(angle), np.sqrt(1 - z * z) * np.sin(angle)])


SPHERE = _sphere()


def _height(unit: NDArray[np.floating], waves: Array) -> NDArray[np.floating]:
    """Return the sum of the waves at directions (3, n), of variance 1 on average."""
    total = np.zeros(unit.shape[1], unit.dtype)
    for kz, ky, kx, phase in waves.T.astype(unit.dtype):
        total += np.cos(kz * unit[0] + ky * unit[1] + kx * unit[2] + phase)
    total *= unit.dtype.type((2 / WAVES) ** 0.5)
    return total


def _surface(waves: Array, roughness: float) -> tuple[float, float, float]:
    """Return mean height, scale that keeps the volume, and largest relative radius."""
    height = _height(SPHERE, waves)
    mean = float(height.mean())
    radius = 1 + roughness * (height - mean)
    scale = float((radius**3).mean() ** (-1 / 3))
    return mean, scale, float(radius.max()) * scale * 1.02


@dataclass(frozen=True, slots=True)
class Patch:
    """One nucleus on the voxels of a box.

    Parameters
    ----------
    index : int
        Its number in the population, from 0.
    box : tuple of slice
        The voxels of the grid.
    inside : (n,) int array
        Flat indices, within the box, of the voxels in and near the nucleus.
    position : (3, n) float32 array
        Their positions in units of the semi-axes, along the axes.
    distance : (n,) float32 array
        Distance from the centre relative to the surface: below 1 is inside.
    """

    index: int
    box: tuple[slice, slice, slice]
    inside: NDArray[np.int64]
    position: Image
    distance: Image

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of the box in voxels."""
        return tuple(span.stop - span.start for span in self.box)


def patches(nuclei: Nuclei, centres_um: Array, grid: Grid, rim_um: float = 0.0) -> Iterator[Patch]:
    """Yield each nucleus that touches a grid, in the voxels of its own box.

    Parameters
    ----------
    nuclei : Nuclei
    centres_um : (N, 3) float array
        Where they lie.
    grid : Grid
    rim_um : float
        Also yield voxels this far outside the surface.

    Notes
    -----
    The cost is that of the boxes, not of the grid: about 0.5 ms for 5,000 voxels.
    """
    extents = nuclei.extents_um
    for index in range(len(nuclei)):
        mean, scale, largest = _surface(nuclei.waves[index], nuclei.roughness)
        rim = 1 + rim_um / float(nuclei.semi_axes_um[index].min())
        box = grid.box(centres_um[index], extents[index] * largest * rim)
        if box is None:
            continue
        local = [
            grid.centres(axis, span.start, span.stop) - np.float32(centres_um[index, axis])
            for axis, span in enumerate(box)
        ]
        to_axes = (nuclei.rotations[index] / nuclei.semi_axes_um[index]).T.astype(np.float32)
        position = np.stack(
            [
                (a * local[0])[:, None, None] + (b * local[1])[:, None] + c * local[2]
                for a, b, c in to_axes
            ]
        ).reshape(3, -1)  # (3, voxels of the box)
        distance = np.sqrt((position**2).sum(axis=0))
        inside = np.flatnonzero(distance < largest * rim)
        position, distance = position[:, inside], distance[inside]
        unit = position / np.maximum(distance, np.float32(1e-6))
        height = _height(unit, nuclei.waves[index]) - np.float32(mean)
        distance /= np.float32(scale) * (1 + np.float32(nuclei.roughness) * height)
        yield Patch(index, box, inside, position, distance)


def label(nuclei: Nuclei, centres_um: Array, grid: Grid) -> NDArray[np.uint16]:
    """Return the label image of the nuclei: number in the population + 1, 0 is background.

    Parameters
    ----------
    nuclei : Nuclei
        At most 65535.
    centres_um : (N, 3) float array
    grid : Grid

    Returns
    -------
    (Z, Y, X) uint16 array
        A voxel is in a nucleus when its centre is; where surfaces cross, the nucleus with the
        smaller distance relative to its surface takes the voxel. Memory: 6 bytes per voxel.
    """
    labels = np.zeros(grid.shape, np.uint16)
    nearest = np.ones(grid.shape, np.float32)
    for patch in patches(nuclei, centres_um, grid):
        distance = np.ones(patch.shape, np.float32)
        distance.reshape(-1)[patch.inside] = patch.distance
        closer = distance < nearest[patch.box]
        labels[patch.box][closer] = patch.index + 1
        nearest[patch.box][closer] = distance[closer]
    return labels
