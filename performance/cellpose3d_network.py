"""Measure Cellpose3D's network: time and memory per voxel, and the cost of tiles and their halo.

Usage: python performance/cellpose3d_network.py CARD [IMAGE]

Without an image, one of blurred balls with noise is made. One thread. Tiles are compared with the
untiled answer: the difference of the level, and that of the objects it leads to.
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.algorithms.cellpose3d.fields import Fields, predict_fields
from cytosuite.algorithms.cellpose3d.network import load
from cytosuite.algorithms.cellpose3d.parameters import Parameters
from cytosuite.algorithms.cellpose3d.segment import segment
from cytosuite.formats import read
from cytosuite.manifest import parameters_of, read_card
from cytosuite.metrics.labels.detection import f1_at
from cytosuite.metrics.labels.overlap import overlap
from cytosuite.normalise import background_of, normalise
from cytosuite.tiling import fit, plan

SPACING = (1.8, 0.8, 0.8)
SHAPE = (96, 256, 256)
TILE = (64, 128, 128)
NONE = (0, 0, 0)
HALOS = (NONE, (4, 12, 12), (8, 24, 24), (12, 36, 36))
SIZES = ((64, 128, 128), (64, 192, 192), (64, 256, 256))
WHOLE = (10**4,) * 3
IMAGES = ((51, 125, 125), (96, 256, 256), (64, 512, 512), (128, 512, 512), (256, 1024, 1024))


def scene(shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Return an image of blurred balls with noise."""
    rng = np.random.default_rng(0)
    points = np.zeros(shape, np.float32)
    places = tuple(rng.integers(0, side, points.size // 12_000) for side in shape)
    np.add.at(points, places, rng.uniform(0.5, 2, len(places[0])).astype(np.float32))
    light = ndimage.gaussian_filter(points, (4, 4, 4)) * 3000
    noisy: NDArray[np.float32] = rng.poisson(light + 2).astype(np.float32)
    return noisy


def fields(
    image: NDArray[np.float32], path: Path, tile: Sequence[int], halo: Sequence[int]
) -> Fields:
    """Return the fields of an image."""
    card = read_card(path)
    parameters = parameters_of(card, Parameters).model_copy(update={"tile": tile, "halo": halo})
    network = load(parameters.network.model_dump(), path.parent / str(card.weights))
    return predict_fields(normalise(image, background_of(image)), network, parameters)


def cost(path: Path, shape: tuple[int, int, int]) -> dict[str, float]:
    """Return CPU seconds (median of three) and peak memory in MiB of one tile."""
    torch.set_num_threads(1)
    image = scene(shape)
    fields(image[:16, :32, :32], path, WHOLE, NONE)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(3):
        begin = time.process_time()
        fields(image, path, WHOLE, NONE)
        seconds.append(time.process_time() - begin)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"seconds": statistics.median(seconds), "mib": peak / 1024}


def computed(
    shape: Sequence[int], tile: Sequence[int], halo: Sequence[int], multiple: Sequence[int]
) -> float:
    """Return how many voxels are computed for each of an image."""
    size = fit(shape, tile, halo, multiple)
    tiles = plan(shape, size, halo, multiple=multiple)
    return sum(prod(part.stop - part.start for part in tile.input) for tile in tiles) / prod(shape)


def overhead(path: Path) -> None:
    """Print the cost of the tiles of a card on images of several sizes."""
    parameters = parameters_of(read_card(path), Parameters)
    multiple = parameters.network.multiple
    print("\n| image | computed / input |\n|---|---|")
    for shape in IMAGES:
        ratio = computed(shape, parameters.tile, parameters.halo, multiple)
        print(f"| {shape} | {ratio:.2f} |")


def seams(path: Path, image: NDArray[np.float32]) -> None:
    """Print the cost of a halo, and the rest of the border of tiles."""
    card = read_card(path)
    parameters = parameters_of(card, Parameters)
    multiple = parameters.network.multiple
    whole = fields(image, path, WHOLE, NONE)
    labels = segment(whole, image, SPACING, parameters).labels
    print(f"\n| halo, tiles of {TILE} in {image.shape} | computed / input | largest, mean"
          " difference of the level | F1 at 0.9 of the objects |\n|---|---|---|---|")  # fmt: skip
    for halo in HALOS:
        tiled = fields(image, path, TILE, halo)
        error = np.abs(tiled.level - whole.level)
        again = segment(tiled, image, SPACING, parameters).labels
        same = f1_at(overlap(labels, again), 90)
        ratio = computed(image.shape, TILE, halo, multiple)
        print(f"| {halo} | {ratio:.2f} | {error.max():.3f}, {error.mean():.1e} | {same:.3f} |")


def main(path: Path, image: NDArray[np.float32]) -> None:
    """Print both tables; every size in a process of its own."""
    print("| voxels | CPU s | µs per voxel | MiB | bytes per voxel |\n|---|---|---|---|---|")
    for shape in SIZES:
        command = [sys.executable, __file__, "--size", json.dumps(shape), str(path)]
        row = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        voxels = int(np.prod(shape))
        print(
            f"| {shape} | {row['seconds']:.2f} | {1e6 * row['seconds'] / voxels:.2f} | "
            f"{row['mib']:.0f} | {row['mib'] * 2**20 / voxels:.0f} |",
            flush=True,
        )
    overhead(path)
    torch.set_num_threads(1)
    seams(path, image)


if __name__ == "__main__":
    if sys.argv[1] == "--size":
        print(json.dumps(cost(Path(sys.argv[3]), tuple(json.loads(sys.argv[2])))))
    else:
        given = read(Path(sys.argv[2])).array.astype(np.float32) if sys.argv[2:] else scene(SHAPE)
        main(Path(sys.argv[1]), given)
