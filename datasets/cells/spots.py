"""Fluorescent spots: drawn in their cells, and seen by a microscope at sub-voxel places."""

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array, diags_array
from scipy.spatial import cKDTree
from scipy.special import ndtr

from cytosuite.bodies.grid import Grid, Labels
from cytosuite.bodies.harmonics import ball
from cytosuite.datasets.cells.culture import Culture, Pools
from cytosuite.datasets.cells.parameters import Cloud, Parameters, SpotKind
from cytosuite.datasets.cells.placement import depth_um
from cytosuite.datasets.cells.processes import Numbers
from cytosuite.datasets.physics.psf import Gaussian
from cytosuite.datasets.physics.render import axis_um, means
from cytosuite.files import frozen
from cytosuite.volume.arrays import Bools, Doubles, Image, Indices, Longs, Rng, Rows
from cytosuite.volume.objects import label_at

ROUNDS = 200  # of drawing again spots that lie outside of their cell or too near to others
EMITTERS = 64  # points that make up a ball
POINT_UM = 1e-3  # length of a point for the means over voxels
SHARP_UM = 1e-9  # standard deviation of light that is not spread


@frozen
class Spots(Rows):
    """Spots of a case, in rows."""

    places_um: Doubles  # (N, 3)
    cells: Numbers  # (N,), number of the cell
    kinds: Numbers  # (N,), of the spot, from 0
    photons: Doubles  # (N,)
    radius_um: Doubles  # (N,), 0 of points

    def emitters(self) -> tuple[Doubles, Doubles, Numbers]:
        """Return the points of light: places (E, 3) in µm, photons (E,), rows of the spots (E,)."""
        balls = self.radius_um > 0
        rows = np.repeat(np.arange(len(self)), np.where(balls, EMITTERS, 1))
        places = self.places_um[rows]
        photons = self.photons[rows].copy()
        mask = balls[rows]
        shape = np.tile(ball(EMITTERS).T, (int(balls.sum()), 1))
        shape -= shape[:EMITTERS].mean(axis=0) if len(shape) else 0
        places[mask] += shape * self.radius_um[rows][mask, None]
        photons[mask] /= EMITTERS
        return places, photons, rows

    def sd_um(self, psf: Gaussian) -> Doubles:
        """Return the standard deviations (N, 3) of the light along z, y, x; a ball's is r / √5."""
        return np.sqrt(np.square(psf.sigma_um) + self.radius_um[:, None] ** 2 / 5)


def draw(rng: Rng, culture: Culture, parameters: Parameters) -> tuple[Spots, int]:
    """Return the spots of all kinds, and how many found no room."""
    parts = []
    missed = 0
    for number, (kind, stream) in enumerate(
        zip(parameters.spots, rng.spawn(len(parameters.spots)), strict=True)
    ):
        for_count, for_place, for_light = stream.spawn(3)
        if kind.cloud:
            mean = for_count.uniform(*kind.count)
            cells = np.zeros(
                int(for_count.poisson(mean) if kind.law == "poisson" else round(mean)), np.int64
            )
            put = _around(for_place, kind.cloud, parameters)
        else:
            room = _room(kind, culture, parameters)
            cells = np.repeat(
                np.arange(1, len(culture.kinds) + 1), _numbers(for_count, kind, room, culture)
            )
            put = _places(for_place, kind, room, cells, culture.grid)
        places, apart = _apart(put, cells, kind.distance_um)
        if kind.cloud:
            cells = label_at(culture.cells, culture.grid.index_of(places)).astype(np.int64)
        missed += len(cells) - int(apart.sum())
        low, high = np.log(kind.photons)
        light = for_light.uniform(low, high) + kind.spread * for_light.normal(size=len(cells))
        radius = for_light.uniform(*kind.radius_um, len(cells))
        whole = Spots(places, cells, np.full(len(cells), number), np.exp(light), radius)
        parts.append(whole.take(apart))
    return Spots.joined(parts), missed


def _room(kind: SpotKind, culture: Culture, parameters: Parameters) -> Labels:
    """Return the cells (Z, Y, X) where spots of a kind may lie."""
    if kind.place == "nucleus":
        return culture.nuclei
    if kind.place == "cytoplasm":
        return np.where(culture.nuclei > 0, np.uint16(0), culture.cells)
    if kind.place == "membrane":
        depth = depth_um(culture.cells, culture.grid)
        return np.where(depth <= parameters.dyes.membrane_um, culture.cells, np.uint16(0))
    return culture.cells


def _numbers(rng: Rng, kind: SpotKind, room: Labels, culture: Culture) -> Longs:
    """Return the number of spots (N,) of each cell."""
    sizes = np.bincount(room.ravel(), minlength=len(culture.kinds) + 1)[1:]
    mean = np.full(len(sizes), rng.uniform(*kind.count))
    if kind.kinds:
        mean *= np.asarray(kind.kinds)[culture.kinds]
    if kind.by_area and sizes.any():
        mean *= sizes / sizes[sizes > 0].mean()
    drawn = rng.poisson(mean) if kind.law == "poisson" else np.rint(mean)
    return np.where(sizes > 0, drawn, 0).astype(np.int64)


Put = Callable[[Indices], Doubles]


def _places(rng: Rng, kind: SpotKind, room: Labels, cells: Numbers, grid: Grid) -> Put:
    """Return a function that draws places (n, 3) in µm, in their cells, of chosen spots."""
    pool = Pools.of(room)
    depth = room.shape[0]

    def _anywhere(numbers: Numbers) -> Doubles:
        index = pool.draw(rng, numbers)
        shift = rng.random(index.shape)
        if depth == 1:
            shift[:, 0] = 0.5
        return grid.place_of(index, shift)

    if kind.clusters[1] == 0 or not len(cells):
        return lambda chosen: _anywhere(cells[chosen])
    low, high = kind.clusters
    owners = np.unique(cells)
    counts = rng.integers(max(low, 1), high + 1, len(owners))
    centres = _anywhere(np.repeat(owners, counts))
    starts = np.cumsum(counts) - counts
    row = np.searchsorted(owners, cells)
    home = centres[starts[row] + (rng.random(len(cells)) * counts[row]).astype(np.int64)]
    width = kind.cluster_um * np.array([float(depth > 1), 1.0, 1.0])

    def _clustered(chosen: Indices) -> Doubles:
        places: Doubles = home[chosen].copy()
        open_ = np.arange(len(chosen))
        for _ in range(ROUNDS):  # a Gaussian that the cell cuts off; in the end its middle
            drawn = home[chosen[open_]] + width * rng.normal(size=(len(open_), 3))
            inside = label_at(room, grid.index_of(drawn)) == cells[chosen[open_]]
            places[open_[inside]] = drawn[inside]
            open_ = open_[~inside]
            if not len(open_):
                break
        return places

    return _clustered


def _around(rng: Rng, cloud: Cloud, parameters: Parameters) -> Put:
    """Return a function that draws places (n, 3) in µm of a cloud; in a plane z is its middle."""
    grid = parameters.image.detector
    axes = len(cloud.middle_um)
    middle = np.add(cloud.middle_um, np.divide(grid.spacing[-axes:], 2))
    stretch = np.array(cloud.stretch or np.eye(axes))

    def _clouded(chosen: Indices) -> Doubles:
        places = np.full((len(chosen), 3), grid.spacing[0] / 2)
        far = cloud.size_um * rng.random((len(chosen), 1))
        places[:, -axes:] = middle + far * (rng.normal(size=(len(chosen), axes)) @ stretch)
        return places

    return _clouded


def _apart(put: Put, cells: Numbers, distance_um: float) -> tuple[Doubles, Bools]:
    """Return places (N, 3), and which of them (N,) lie at least a distance apart."""
    places = put(np.arange(len(cells)))
    apart = np.ones(len(cells), bool)
    for number in range(ROUNDS if distance_um > 0 and len(cells) > 1 else 0):
        pairs = cKDTree(places).query_pairs(distance_um, output_type="ndarray")
        later = np.unique(pairs.max(axis=1, initial=0))
        if not len(pairs):
            break
        if number < ROUNDS - 1:
            places[later] = put(later)
        else:
            apart[later] = False
    return places, apart


def light(spots: Spots, grid: Grid, psf: Gaussian) -> Image:
    """Return the expected photons (Z, Y, X) of spots: integrals over the voxels, sums exact."""
    places, photons, _ = spots.emitters()
    image = np.zeros(grid.shape, np.float32)
    if not len(places):
        return image
    up, rows, columns = (
        _shares(places[:, axis], axis_um(grid, axis), psf.sigma_um[axis]) for axis in range(3)
    )
    across = columns.T.tocsr()
    for number, plane in enumerate(image):
        shares = up[[number]].tocsr()
        chosen = shares.indices
        if len(chosen):
            strength = diags_array(shares.data * photons[chosen]).tocsr()
            plane[:] = (rows[:, chosen] @ (strength @ across[chosen])).toarray()
    return image


def _shares(places: Doubles, axis: tuple[Doubles, float], sigma_um: float) -> csr_array:
    """Return the share (voxels, E) of the light of points in each voxel along an axis."""
    middles, step = axis
    order = np.argsort(places, kind="stable")
    back = np.empty(len(places), np.int64)
    back[order] = np.arange(len(places))
    shares = means((places[order], POINT_UM), axis, sigma_um).astype(np.float64).tocsc()
    low = middles[0] - step / 2
    high = middles[-1] + step / 2
    sharp = max(sigma_um, SHARP_UM)
    whole = ndtr((high - places[order]) / sharp) - ndtr((low - places[order]) / sharp)
    sums = np.asarray(shares.sum(axis=0)).ravel()
    shares = shares @ diags_array(np.divide(whole, sums, out=np.zeros_like(sums), where=sums > 0))
    return shares.tocsc()[:, back].tocsr()


def inside(spots: Spots, grid: Grid) -> Bools:
    """Return a mask (N,) of the spots in voxels of a grid."""
    index = grid.index_of(spots.places_um)
    return np.asarray(((index >= 0) & (index < grid.shape)).all(axis=1))


def noise(spots: Spots, image: Image, grid: Grid, psf: Gaussian, read_noise: float) -> Doubles:
    """Return the signal-to-noise ratio (N,) of spots in the expected photons of an image.

    Light of the spot in its voxel, above all other light there, relative to the deviation of all
    photons and of reading: Smal et al. (2010), doi:10.1109/TMI.2009.2025127.
    """
    index = grid.index_of(spots.places_um)
    places, photons, rows = spots.emitters()
    for axis, step in enumerate(grid.spacing):
        below = grid.origin[axis] + index[rows, axis] * step - places[:, axis]
        width = max(psf.sigma_um[axis], SHARP_UM)
        photons *= ndtr((below + step) / width) - ndtr(below / width)
    peaks = np.bincount(rows, photons, len(spots))
    return np.asarray(peaks / np.sqrt(image[tuple(index.T)].astype(np.float64) + read_noise**2))
