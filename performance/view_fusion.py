"""Measure the tiles of view fusion beside the published ones, with the same network.

Usage: python performance/view_fusion.py [--threads 1] [--repeats 3] [--image 64,512,512]

From grey values to grey values, programs in turns in this process: median CPU and wall seconds;
peak memory beyond that of the view, each in a process of its own. The published program (a
participant of Fuse My Cells) takes tiles of 64 x 256 x 256 voxels that overlap by 5 x 15 x 15 and
lose as much at their faces, averages them with fading weights, keeps what gradients would need, and
stretches the answer to the range of the view. The network is our default with random weights. The
change by tiles is the largest difference to the answer for the view in one piece.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import product
from math import ceil, prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from side_by_side import peak_mib, start_peak, timed

from cytosuite.algorithms.view_fusion.intensity import to_network, units_of
from cytosuite.algorithms.view_fusion.network import Restorer, RestorerArguments, build
from cytosuite.algorithms.view_fusion.predict import Parameters, restore
from cytosuite.networks.tiling import fit, plan
from cytosuite.volume.arrays import Floats

Triple = tuple[int, int, int]
View = NDArray[np.uint16]
Image = Floats
Program = Callable[[View, Restorer], View]


@dataclass(frozen=True, slots=True)
class Tiler:
    """Tiles of equal distance that reach beyond the image, voxels z y x."""

    patch: Triple
    overlap: Triple = (0, 0, 0)
    crop: Triple = (0, 0, 0)

    def starts(self, shape: Triple) -> list[Triple]:
        """Return the corners of the tiles; those beyond the image are negative."""
        axes = []
        for size, patch, o, c in zip(shape, self.patch, self.overlap, self.crop, strict=True):
            step = max(patch - o - 2 * c, 1)
            axes.append([k * step - o - c for k in range(ceil((size + o + c) / step))])
        return [(z, y, x) for z, y, x in product(*axes)]

    def fading(self) -> Image:
        """Return weights of a tile's voxels: 0 in its border, rising to 1 in its middle."""
        inner = tuple(slice(c, n - c) for c, n in zip(self.crop, self.patch, strict=True))
        ones = np.zeros(self.patch, bool)
        ones[inner] = True
        around = [(int(n > 1), int(n > 1)) for n in self.patch]
        away = ndimage.distance_transform_edt(np.pad(ones, around))
        away = away[tuple(slice(a, n + a) for n, (a, _) in zip(self.patch, around, strict=True))]
        weights: Image = (away / away.max()).astype(np.float32)
        return weights


IMAGE: Triple = (64, 512, 512)
TILER = Tiler((64, 256, 256), (5, 15, 15), (5, 15, 15))
SPACING = (1.0, 0.39, 0.39)
LEAST: Triple = (4, 32, 32)  # a first view, to warm up
GIVEN = RestorerArguments()


def ours(view: View, network: Restorer) -> View:
    """Return a view as the algorithm restores it."""
    tile = Parameters(method="network", network=GIVEN).tile
    made: View = restore(view, SPACING, units_of(view), network, GIVEN, tile=tile).image
    return made


def published(view: View, network: Restorer) -> View:
    """Return a view in the published tiles and grey values."""
    return _stretched(view, averaged(view, network, TILER, nullcontext))


def without_gradients(view: View, network: Restorer) -> View:
    """Return a view as `published` does, but for what gradients would need."""
    return _stretched(view, averaged(view, network, TILER, torch.inference_mode))


PROGRAMS: dict[str, Program] = {
    "ours": ours,
    "published": published,
    "published, no gradients": without_gradients,
}


def averaged(
    view: View, network: Restorer, tiler: Tiler, mode: Callable[[], AbstractContextManager[object]]
) -> Image:
    """Return the answers of a network in tiles, averaged with fading weights."""
    wide, corners, low = padded(to_network(view, units_of(view)), tiler)
    made, sums, weights = np.zeros_like(wide), np.zeros_like(wide), tiler.fading()
    for corner in corners:
        box = tuple(
            slice(c + a, c + a + n) for c, a, n in zip(corner, low, tiler.patch, strict=True)
        )
        with mode():
            found = network(torch.from_numpy(wide[box])[None, None])
        made[box] += found.detach().numpy()[0, 0] * weights
        sums[box] += weights
    inside = tuple(slice(a, a + n) for a, n in zip(low, view.shape, strict=True))
    answer: Image = made[inside] / np.maximum(sums[inside], np.float32(1e-30))
    return answer


def padded(image: Image, tiler: Tiler) -> tuple[Image, list[Triple], list[int]]:
    """Return an image reflected as far as tiles reach, their corners, and what was added below."""
    z, y, x = image.shape
    corners = tiler.starts((z, y, x))
    low = [-min(corner[axis] for corner in corners) for axis in range(3)]
    high = [
        max(0, max(c[axis] for c in corners) + tiler.patch[axis] - image.shape[axis])
        for axis in range(3)
    ]
    return np.pad(image, list(zip(low, high, strict=True)), mode="reflect"), corners, low


def _stretched(view: View, answer: Image) -> View:
    """Return an answer with the least and the greatest value of the view, cut to integers."""
    span = (answer - answer.min()) / (answer.max() - answer.min())
    return (span * (float(view.max()) - float(view.min())) + float(view.min())).astype(np.uint16)


def scene(shape: Sequence[int]) -> View:
    """Return a view: bright grains in a noisy background."""
    rng = np.random.default_rng(0)
    image = rng.poisson(20, shape)
    places = tuple(rng.integers(0, n, prod(shape) // 200) for n in shape)
    image[places] += rng.poisson(200, len(places[0]))
    return image.astype(np.uint16)


def randomised() -> Restorer:
    """Return our network, which would start as the identity, with random weights."""
    torch.manual_seed(0)
    network = build(GIVEN).eval()
    for part in (network.tail, *(block.body[-1] for level in network.blocks for block in level)):  # type: ignore[union-attr]
        for weight in part.parameters():
            torch.nn.init.normal_(weight, std=0.05)
    return network


def work(shape: Triple) -> dict[str, tuple[int, int]]:
    """Return tiles and computed voxels of each program."""
    given = Parameters(method="network", network=GIVEN)
    size = fit(shape, given.tile, GIVEN.halo, GIVEN.multiple)
    own = plan(shape, size, GIVEN.halo, multiple=GIVEN.multiple)
    voxels = sum(prod(part.stop - part.start for part in tile.input) for tile in own)
    theirs = len(TILER.starts(shape))
    found = {name: (theirs, theirs * prod(TILER.patch)) for name in PROGRAMS}
    return {**found, "ours": (len(own), voxels)}


def in_turns(shape: Triple, repeats: int) -> dict[str, tuple[float, float]]:
    """Return median CPU and wall seconds of each program."""
    network, view, runs = randomised(), scene(shape), dict[str, list[tuple[float, float]]]()
    for _ in range(repeats):
        for name, program in PROGRAMS.items():
            ours(scene(LEAST), network)
            clock = timed(lambda program=program: program(view, network))  # type: ignore[misc]
            runs.setdefault(name, []).append(clock)
    return {
        name: (statistics.median(c for c, _ in each), statistics.median(w for _, w in each))
        for name, each in runs.items()
    }


def memory(name: str, shape: Triple) -> float:
    """Return the peak memory of a program beyond that of the view, MiB."""
    network, view = randomised(), scene(shape)
    ours(scene(LEAST), network)
    before = start_peak()
    PROGRAMS[name](view, network)
    return peak_mib() - before


def changes(shape: Triple) -> dict[str, float]:
    """Return the largest change by tiles, in units of the network."""
    network, view = randomised(), scene(shape)
    units = units_of(view)
    flat = view.astype(np.float32)  # rounding must hide nothing
    with torch.inference_mode():
        whole = network(torch.from_numpy(to_network(view, units))[None, None]).numpy()[0, 0]
    tile = Parameters(method="network", network=GIVEN).tile
    own = to_network(restore(flat, SPACING, units, network, GIVEN, tile=tile).image, units)
    theirs = averaged(view, network, TILER, torch.inference_mode)
    far = {"ours": np.abs(own - whole).max(), "published": np.abs(theirs - whole).max()}
    return {name: float(value) for name, value in far.items()}


def table(shape: Triple, threads: int, repeats: int) -> str:
    """Return the rows of all programs as Markdown."""
    seconds, counted, moved = in_turns(shape, repeats), work(shape), changes(shape)
    head = (
        *("program", "tiles", "computed / input", "CPU s", "wall s", "peak MiB"),
        *("largest change by tiles", "this / ours: CPU, memory"),
    )
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    own: dict[str, float] = {}
    for name, (tiles, voxels) in counted.items():
        command = [sys.executable, __file__, "--memory", name, "--threads", str(threads)]
        command += ["--image", ",".join(map(str, shape))]
        mib = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        cpu, wall = seconds[name]
        own = own or {"cpu": cpu, "mib": mib}
        change = f"{moved[name]:.2g}" if name in moved else ""
        lines.append(
            f"| {name} | {tiles} | {voxels / prod(shape):.2f} | {cpu:.1f} | {wall:.1f} | {mib:.0f} "
            f"| {change} | {cpu / own['cpu']:.3g}, {mib / own['mib']:.3g} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; with ``--memory`` the peak of one program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--image", default=",".join(map(str, IMAGE)), help="voxels z,y,x")
    parser.add_argument("--memory", choices=list(PROGRAMS), help=argparse.SUPPRESS)
    given: Any = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    z, y, x = map(int, given.image.split(","))
    if given.memory:
        print(json.dumps(memory(given.memory, (z, y, x))))
        return
    about = f"{platform.machine()}, {os.cpu_count()} cores, {given.threads} threads"
    print(f"View of {z} x {y} x {x}; {about}, torch {torch.__version__}\n")
    print(table((z, y, x), given.threads, given.repeats))


if __name__ == "__main__":
    main()
