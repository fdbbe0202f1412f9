"""Thin processes of cells, as neurons have: they wander, taper, fork, and end at other cells."""

from math import cos, sin, sqrt

import numpy as np

from cytosuite.bodies._kernels import compiled
from cytosuite.bodies.grid import Labels
from cytosuite.datasets.cells.parameters import Outlines
from cytosuite.volume.arrays import DoublePair, Doubles, Image, Longs, Rng, Spacing

Numbers = Longs

STEP = 0.5  # of a path, in pixels
TIP = 0.35  # width of the end / width at the cell
THINNEST = 0.75  # px, half the width: pieces of a process hang together
FORKS = (0.2, 0.8)  # where along its way a process forks
WIDE = (0.35, 1.2)  # angle of a fork, radians
THINNER = 0.8  # width of a fork / width of the process there


def grow_processes(
    rng: Rng,
    outlines: Outlines,
    labels: Labels,
    dome: Image,
    places: DoublePair,
    spacing: Spacing,
) -> Image:
    """Add processes to cells (Y, X), in place, and return the height (Y, X) that they add.

    `places` are the middles (N, 2) of cells 1 to N and their radii (N,), in pixels; a radius of 0
    grows none. Lengths and widths count in the smaller pixel side.
    """
    for_first, for_fork = rng.spawn(2)
    pixel = min(spacing)
    before = dome.copy()
    middles, radius = places
    low, high = outlines.processes
    cells = np.repeat(np.arange(len(radius)), for_first.integers(low, high + 1, len(radius)))
    cells = cells[radius[cells] > 0]
    height = outlines.process_width_um / (sum(outlines.height_um) / 2)
    paths = np.empty((len(cells), 5))  # y, x, heading, length, half the width
    paths[:, :2] = middles[cells]
    paths[:, 2] = _headings(for_first, cells)
    paths[:, 3] = radius[cells] + for_first.uniform(*outlines.process_um, len(cells)) / pixel
    paths[:, 4] = outlines.process_width_um / 2 / pixel
    bend = outlines.process_bend * sqrt(STEP * pixel)

    def _grow(stream: Rng, paths: Doubles, cells: Numbers) -> Doubles:
        steps = int(np.ceil(paths[:, 3].max(initial=0) / STEP))
        turns = bend * stream.normal(size=(len(paths), steps))
        ways = np.full((len(paths), steps, 4), np.nan)
        _walk(labels, dome, paths, cells + 1, turns, min(height, 1.0), ways)
        return ways

    ways = _grow(for_first, paths, cells)
    reached = np.isfinite(ways[:, :, 0]).sum(axis=1)
    chosen = np.flatnonzero((for_fork.random(len(cells)) < outlines.forks) & (reached > 2))
    at = (for_fork.uniform(*FORKS, len(chosen)) * reached[chosen]).astype(np.int64)
    forks = paths[chosen]
    forks[:, [0, 1, 2, 4]] = ways[chosen, at]
    forks[:, 2] += for_fork.choice([-1, 1], len(chosen)) * for_fork.uniform(*WIDE, len(chosen))
    forks[:, 3] -= at * STEP
    forks[:, 4] *= THINNER
    _grow(for_fork, forks, cells[chosen])
    return dome - before


def _headings(rng: Rng, cells: Numbers) -> Doubles:
    """Return directions (n,) in radians, about evenly around each cell."""
    counts = np.bincount(cells)
    nth = np.arange(len(cells)) - (np.cumsum(counts) - counts)[cells]
    first = rng.uniform(0, 2 * np.pi, len(counts))[cells]
    return first + 2 * np.pi * (nth + rng.uniform(-0.3, 0.3, len(cells))) / counts[cells]


@compiled
def _walk(
    labels: Labels,
    dome: Image,
    paths: Doubles,
    numbers: Numbers,
    turns: Doubles,
    height: float,
    ways: Doubles,
) -> None:
    """Draw each process up to another cell; write its way: y, x, heading and half the width."""
    rows, columns = labels.shape
    for n in range(len(paths)):
        y, x, heading, length, wide = paths[n]
        number = numbers[n]
        for step in range(min(int(length / STEP), turns.shape[1])):
            heading += turns[n, step]
            y += STEP * sin(heading)
            x += STEP * cos(heading)
            half = max(wide * (1 - (1 - TIP) * step * STEP / length), THINNEST)
            ahead = half + 1.5
            i = int(y + ahead * sin(heading))
            j = int(x + ahead * cos(heading))
            if not (0 <= i < rows and 0 <= j < columns) or labels[i, j] not in (0, number):
                break
            ways[n, step] = y, x, heading, half
            for i in range(max(int(y - half), 0), min(int(y + half) + 2, rows)):
                for j in range(max(int(x - half), 0), min(int(x + half) + 2, columns)):
                    far = ((i + 0.5 - y) ** 2 + (j + 0.5 - x) ** 2) / half**2
                    if far < 1 and labels[i, j] in (0, number):
                        labels[i, j] = number
                        dome[i, j] = max(dome[i, j], height * half / wide * sqrt(1 - far))
