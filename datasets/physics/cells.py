"""Cells around nuclei: the owner of each point of the tissue, and the membranes between them.

A point belongs to the cell with the smallest ``r s (1 + s / 2r - w / (s + λ))``: `s` the distance
from the nucleus in µm (the ellipsoid of semi-axes ``a + s`` runs through the point), `r` its mean
radius, `w` the cell's weight, `λ` the typical half gap. Without weights and for spheres it is half
the power ``d² - r²`` of a Laguerre diagram; for every ``w < λ`` it is zero on the nucleus, so that
none reaches into another's cell. Weights vary by plane waves of the position: borders wrinkle
alike in any slab. Alpers et al. (2015), doi:10.1080/14786435.2015.1015469 (any axis ratio); Bourne
et al. (2020), doi:10.1080/14786435.2020.1790053 (weights); Bock et al. (2010),
doi:10.1007/s11538-009-9498-3 (bodies); Runser et al. (2024), doi:10.1038/s43588-024-00620-9.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from cytosuite.bodies.grid import Grid, Labels, slabs
from cytosuite.datasets.physics.packing import MOST
from cytosuite.datasets.physics.shapes import of_length_1
from cytosuite.errors import InputError
from cytosuite.files import FloatTuple, frozen
from cytosuite.volume import memory
from cytosuite.volume.arrays import Doubles, Image, Rng, Rows

Outside = Callable[[Grid], Image]  # signed distance (Z, Y, X) in µm from the tissue, inside < 0

WAVES = 6
LIGHTEST, HEAVIEST = -2.0, 0.9  # weights in units of the softness; 1 would open a nucleus to others
VOXELS = 250  # per cell on the grid on which volumes are relaxed
LENGTH_UM = 6.0  # of the shortest waves; the longest have twice as much
UNEVEN = 0.2  # standard deviation of ln(brightness) along a membrane
BLOCK_UM = 3.0  # edge of the blocks that share a list of candidates
NO_LABELS = np.zeros((0, 0, 0), np.uint16)
NO_IMAGE = np.zeros((0, 0, 0), np.float32)


@frozen
class Tessellation(Rows):
    """Cells, each around one nucleus: a weighted Laguerre diagram."""

    centres_um: Doubles  # (N, 3)
    semi_axes_um: Doubles  # (N, 3), of the nuclei
    rotations: Doubles  # (N, 3, 3), columns are the directions of the axes
    weights_um: Doubles  # (N,), how much farther than its equals a cell reaches
    softness_um: float  # from a nucleus, where half of a weight counts
    waves: Doubles  # (K, 3), radians per µm
    wrinkles: Doubles  # (N, K, 2), µm by which cosine and sine of each wave change the weight
    stain: Doubles  # (N, K, 2), the same for the stain of the membrane; standard deviation 1
    outside: Outside

    def label(self, grid: Grid) -> Labels:
        """Return the labels (Z, Y, X) of the cells: nucleus + 1, 0 outside of the tissue."""
        labels = memory.room(grid.shape, np.uint16)
        for start, stop in slabs(grid.shape):
            self._fill(grid.slab(start, stop), labels=labels[start:stop])
            memory.release(labels)
        return labels

    def membranes(self, grid: Grid, thickness_um: float, brightness: float | Doubles) -> Image:
        """Return the dye (Z, Y, X) of membranes; across one ``thickness_um * brightness / 2``."""
        image = np.zeros(grid.shape, np.float32)
        look = (*grid.spacing, thickness_um, UNEVEN, (thickness_um + max(grid.spacing)) / 2)
        self._fill(grid, image=image, brightness=brightness, look=look)
        return image

    def _fill(
        self,
        grid: Grid,
        labels: Labels = NO_LABELS,
        image: Image = NO_IMAGE,
        brightness: float | Doubles = 0.0,
        look: FloatTuple = (0.0,) * 6,
    ) -> None:
        """Write labels or dye, see `cytosuite.datasets.physics._cell_kernels.fill`."""
        from cytosuite.datasets.physics._cell_kernels import CELL, Table, fill

        if not len(self):
            return
        smallest = self.semi_axes_um.min(axis=1)
        largest = self.semi_axes_um.max(axis=1)
        ratio = largest / smallest
        radii = self.semi_axes_um.prod(axis=1) ** (1 / 3)
        cells = np.zeros(len(self), CELL)
        cells["centre"], cells["axes"] = self.centres_um, self.semi_axes_um
        cells["frame"] = np.swapaxes(self.rotations, 1, 2)
        cells["smallest"], cells["largest"] = smallest, largest
        # Kantorovich's inequality, and a margin
        cells["steepest"] = 1.1 * (ratio + 1) / (2 * np.sqrt(ratio))
        cells["wrinkle"] = np.linalg.norm(self.wrinkles, axis=2).sum(axis=1)
        cells["radius"], cells["weight"] = radii, self.weights_um
        cells["brightness"] = brightness
        softness = self.softness_um
        scale = np.array([LIGHTEST * softness, HEAVIEST * softness, softness, 1 / radii.mean()])
        turns = np.concatenate([self.wrinkles, self.stain], axis=2).transpose(0, 2, 1)
        parts = (scale, np.array(look), self.waves, turns)
        table = Table(cells, *(np.array(part, np.float32, order="C") for part in parts))
        positions = (grid.centres(0), grid.centres(1), grid.centres(2))
        phase = self.waves[:, 2:] * positions[2]
        ripples = np.stack([np.cos(phase), np.sin(phase)]).astype(np.float32)
        away = np.ascontiguousarray(self.outside(grid), np.float32)
        z, y, x = (round(BLOCK_UM / step) for step in grid.spacing)
        block = max(z, 1), max(y, 1), max(min(16, 4 * x), 4 * ((x + 3) // 4), 4)  # long rows
        fill(table, positions, ripples, away, block, labels, image)


def grow_cells(
    rng: Rng,
    semi_axes_um: Doubles,
    rotations: Doubles,
    centres_um: Doubles,
    outside: Outside,
    bounds: Grid,
    *,
    volume_spread: float = 0.15,
    wrinkle_um: float = 0.0,
    rounds: int = 12,
) -> Tessellation:
    """Return cells of wanted volumes around at most 65535 nuclei; spread of ln(cell / nucleus)."""
    count = len(centres_um)
    if count > MOST:
        raise InputError(f"expected at most 65535 cells, found {count}; lower n_nuclei")
    volumes = semi_axes_um.prod(axis=1) * np.exp(volume_spread * rng.normal(size=count))
    phases = rng.uniform(0, 2 * np.pi, (2, count, WAVES))
    turns = np.stack([np.cos(phases), np.sin(phases)], axis=3) * (2 / WAVES) ** 0.5
    directions = of_length_1(rng.normal(size=(WAVES, 3)))
    lengths = LENGTH_UM * rng.uniform(1, 2, (WAVES, 1))
    cells = Tessellation(
        centres_um=centres_um,
        semi_axes_um=semi_axes_um,
        rotations=rotations,
        weights_um=np.zeros(count),
        softness_um=1.0,
        waves=directions * 2 * np.pi / lengths,
        wrinkles=turns[0] * wrinkle_um,
        stain=turns[1],
        outside=outside,
    )
    return _relax(cells, bounds, volumes, rounds) if count else cells


def _relax(cells: Tessellation, bounds: Grid, volumes: Doubles, rounds: int) -> Tessellation:
    """Return the cells with weights that bring them near `volumes` (any unit)."""
    nucleus = 4 / 3 * np.pi * float(cells.semi_axes_um.prod(axis=1).mean())
    step = (2.5 * nucleus / VOXELS) ** (1 / 3)
    shape = tuple(max(round(size / step), 1) for size in bounds.size_um)
    spacing = tuple(size / n for size, n in zip(bounds.size_um, shape, strict=True))
    grid = Grid(shape, spacing, bounds.origin)
    distance = cells.outside(grid)
    volume = float(np.prod(spacing)) * np.count_nonzero(distance < 0) / len(cells)
    volumes = volumes / volumes.mean() * volume
    gap = (3 / (4 * np.pi) * np.array([volume, nucleus])) ** (1 / 3)
    softness = max(float(gap[0] - gap[1]), 0.5)
    # In the middle half of the weight counts, of two cells, against two slopes of 1 + s / r.
    height = 8**0.5 * (1 + softness / gap[1])
    cells = replace(cells, softness_um=softness, wrinkles=cells.wrinkles * height)
    smooth = replace(
        cells,
        waves=cells.waves[:0],
        wrinkles=cells.wrinkles[:, :0],
        stain=cells.stain[:, :0],
        outside=lambda slab: distance[slab.first[0] :][: slab.shape[0]],
    )
    for _ in range(rounds):
        voxels = np.bincount(smooth.label(grid).ravel(), minlength=len(cells) + 1)[1:]
        # A border moves by about a quarter of the weight, of 5.5 volume^(2/3) µm² of surface.
        push = (volumes - voxels * np.prod(spacing)) / (1.4 * volumes ** (2 / 3))
        weights = smooth.weights_um + 0.7 * push.clip(-softness / 2, softness / 2)
        weights -= np.median(weights)
        smooth = replace(smooth, weights_um=weights.clip(LIGHTEST * softness, HEAVIEST * softness))
    return replace(cells, weights_um=smooth.weights_um)
