"""Measure the inference of the diffusion model beside the published program's.

Usage: python performance/diffusion.py [--model CARD] [--threads 1] [--repeats 3] [--device cuda]

Both run in turns in this process: one reverse step of one tile each, medians of several. What a
whole volume of 180 x 512 x 512 voxels and a plane of 1024 x 1024 pixels take is extrapolated: ours
by the voxels of the real plan of tiles, with the rest of the work (noise, solver, tiles put
together) measured on the whole image with a network that costs nothing; the published program's by
its number of tiles, with nothing added for the rest. With ``--device cuda`` ours is measured on
whole images as well. Without a card, or for images that it is not made for, our network is the
default with random weights.
"""

import argparse
import os
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cyclegan3d import peak_mib, start_peak, timed
from diffusion_published import START, PublishedDenoiser, Tiler, Triple, one_step, reverse_steps
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from cytosuite.algorithms.diffusion.network import DenoiserArguments, build, clean_image, load
from cytosuite.algorithms.diffusion.parameters import Parameters
from cytosuite.algorithms.diffusion.predict import from_sketch
from cytosuite.algorithms.diffusion.synthesise import synthesise
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.files import write_json
from cytosuite.manifest import parameters_of, read_card
from cytosuite.normalise import Target
from cytosuite.tiling import fit, plan
from cytosuite.volume import Volume
from cytosuite.weights import open_model

IMAGES: dict[int, Triple] = {3: (180, 512, 512), 2: (1, 1024, 1024)}
PATCHES: dict[int, Triple] = {3: (32, 128, 128), 2: (1, 256, 256)}
OVERLAP = CROP = (0, 20, 20)
GREY = Target(mean=100, sd=5, dtype="uint16")
LEAST: dict[int, Triple] = {3: (16, 64, 64), 2: (1, 64, 64)}  # a first image, to warm up
OURS = "ours"
KEYS = ("cpu", "wall", "MiB")

Clocked = tuple[float, float, float]  # values of KEYS: CPU and wall seconds, memory
Cost = dict[str, float]
Row = dict[str, Any]
Step = Callable[[Triple], object]


@dataclass(frozen=True)
class Work:
    """What a whole image takes of a network."""

    steps: int
    tiles: int
    tile: Triple  # voxels of the largest
    voxels: int  # of all tiles and steps

    @property
    def passes(self) -> int:
        """Calls of the network."""
        return self.tiles * self.steps


@dataclass(frozen=True)
class Ours:
    """Our network with the parameters of its card."""

    name: str
    parameters: Parameters
    arguments: DenoiserArguments
    network: torch.nn.Module


def ours(dimensions: int, card: Path | None) -> Ours:
    """Return the network of a card or, where it is made for other images, the default."""
    if card is not None:
        model = open_model(card.parent, read_card(card))
        parameters = parameters_of(model.card, Parameters)
        arguments = parameters.network
        if arguments is None or model.weights is None:
            raise InputError(f"{card}: expected a card with a network, found none; train one")
        if arguments.dimensions == dimensions:
            network = load(arguments.model_dump(mode="json"), model.weights)
            return Ours(model.card.name, parameters, arguments, network)
    arguments = DenoiserArguments(dimensions=dimensions)
    parameters = Parameters(network=arguments, target=GREY)
    return Ours("default, random weights", parameters, arguments, build(arguments).eval())


def our_work(shape: Sequence[int], parameters: Parameters) -> Work:
    """Return the work of an image (Z, Y, X) by the plan of its tiles."""
    arguments = parameters.network
    if arguments is None:
        return Work(0, 0, (0, 0, 0), 0)
    whole = [n + -n % step for n, step in zip(shape, arguments.multiple, strict=True)]
    best = fit(whole, parameters.tile, arguments.halo, arguments.multiple)
    tiles = plan(whole, best, arguments.halo, multiple=arguments.multiple)
    sizes = [tuple(part.stop - part.start for part in tile.input) for tile in tiles]
    z, y, x = max(sizes, key=prod)
    steps = parameters.process.steps
    return Work(steps, len(tiles), (z, y, x), steps * sum(map(prod, sizes)))


def published_work(shape: Triple, tiler: Tiler) -> Work:
    """Return the work of an image by the published tiles."""
    tiles = len(tiler.starts(shape))
    return Work(START, tiles, tiler.patch, START * tiles * prod(tiler.patch))


def tilers(dimensions: int) -> dict[str, Tiler]:
    """Return the published tilers: the default, and that of the published example."""
    patch = PATCHES[dimensions]
    return {
        "published, no overlap": Tiler(patch),
        "published, overlap": Tiler(patch, OVERLAP, CROP),
    }


def our_step(own: Ours, device: str) -> Step:
    """Return a function that takes one step with a tile: the expected image, within the range."""
    process, network = own.parameters.process, own.network.to(device)
    time = torch.tensor([0.5], device=device)

    def step(shape: Triple) -> Tensor:
        """Return the expected image of a tile."""
        given = noise((1, 1 + own.arguments.conditioned, *shape), device)
        with torch.inference_mode():
            answer = network(given, time)
            clean = clean_image(answer, given[:, :1], time, own.arguments.predicts)
            return clean.clamp(*process.range)

    return step


def published_step(network: PublishedDenoiser, device: str) -> Step:
    """Return a function that takes one reverse step with a tile."""
    network.eval().to(device)
    numbers = reverse_steps()

    def step(shape: Triple) -> Tensor:
        """Return the tile one step before."""
        given = noise((1, 1, *shape[-network.dimensions :]), device)
        with torch.inference_mode():
            return one_step(given, network, numbers, START - 1)

    return step


def noise(shape: Sequence[int], device: str) -> Tensor:
    """Return the noise that a step is given."""
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(0)).to(device)


def in_turns(
    programs: dict[str, tuple[Step, Triple]], repeats: int, device: str
) -> dict[str, Cost]:
    """Return the cost of a step of each program with its tile, in the median of several turns.

    Operations are counted in a first turn, whose time is not: GFLOP, seconds, memory in MiB.
    """
    found: dict[str, Cost] = {}
    runs: dict[str, list[Clocked]] = {name: [] for name in programs}
    for name, (step, tile) in programs.items():
        with FlopCounterMode(display=False) as counter:
            step(tile)
        found[name] = {"GFLOP": counter.get_total_flops() / 1e9}
    for _ in range(repeats):
        for name, (step, tile) in programs.items():
            runs[name].append(clocked(partial(step, tile), device))
    for name, clocks in runs.items():
        medians = map(statistics.median, zip(*clocks, strict=True))
        found[name] |= dict(zip(KEYS, medians, strict=True))
    return found


def clocked(run: Callable[[], object], device: str) -> Clocked:
    """Return CPU and wall seconds of a call, and the memory beyond that before, MiB."""
    if device == "cpu":
        before = start_peak()
        cpu, wall = timed(run)
        return cpu, wall, peak_mib() - before
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()

    def finished() -> None:
        """Wait for all that the call has started."""
        run()
        torch.cuda.synchronize()

    cpu, wall = timed(finished)
    return cpu, wall, (torch.cuda.max_memory_allocated() - before) / 2**20


def rest(own: Ours, shape: Triple) -> Clocked:
    """Return the cost of making a whole image with a network that answers 0 at once."""

    def nothing(given: Tensor, time: Tensor) -> Tensor:
        """Return an answer of 0."""
        del time
        return given.new_zeros(()).expand(given[:, :1].shape)

    def run() -> object:
        """Return the image."""
        process, tile = own.parameters.process, own.parameters.tile
        sketch = np.zeros(shape, np.float32)
        return synthesise(sketch, nothing, own.arguments, process, tile=tile)

    return clocked(run, "cpu")


def measured(dimensions: int, card: Path | None, repeats: int, device: str) -> list[Row]:
    """Return a row for each program: work of an image, cost of a step, seconds of the whole."""
    own, shape = ours(dimensions, card), IMAGES[dimensions]
    work = {n: published_work(shape, tiler) for n, tiler in tilers(dimensions).items()}
    work[OURS] = our_work(shape, own.parameters)
    theirs = published_step(PublishedDenoiser(dimensions), device)
    programs = {
        "published": (theirs, PATCHES[dimensions]),
        OURS: (our_step(own, device), work[OURS].tile),
    }
    costs = in_turns(programs, repeats, device)
    spare = dict(zip(KEYS, rest(own, shape), strict=True))
    rows: list[Row] = []
    for name, each in work.items():
        step = costs[OURS if name == OURS else "published"]
        more = spare if name == OURS else dict.fromkeys(KEYS, 0.0)
        scale = each.voxels / prod(each.tile)  # tiles of their own size in all
        rows.append(
            {"image": shape, "program": name, "network": own.name if name == OURS else "random"}
            | {**asdict(each), "passes": each.passes, "step": step, "rest": more}
            | {"PFLOP": step["GFLOP"] * scale / 1e6}
            | {"hours": {k: (step[k] * scale + more[k]) / 3600 for k in ("cpu", "wall")}}
        )
    return rows


def whole(dimensions: int, card: Path | None, device: str) -> Clocked:
    """Return the cost of our image from the sketch to grey values, after a small one."""
    own = ours(dimensions, card)
    for shape in (LEAST[dimensions], IMAGES[dimensions]):
        volume = Volume(np.zeros(shape, np.uint16), (1.0, 1.0, 1.0), "ZYX")
        sketch = np.zeros(shape, np.float32)
        network = own.network.to(device)
        run = partial(from_sketch, volume, sketch, own.parameters, network, 0, device)
        found = clocked(run, device)
    return found


def table(rows: Sequence[Row]) -> str:
    """Return the rows as Markdown, with the published program's cost over ours."""
    head = (
        *("image", "program", "tiles x steps", "passes", "voxels", "PFLOP"),
        *("tile", "step: CPU s, wall s", "MiB", "rest: CPU s, MiB", "whole: CPU h, wall h"),
        "published / ours: passes, voxels, CPU, wall",
    )
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    mine = {tuple(row["image"]): row for row in rows if row["program"] == OURS}
    for row in rows:
        own, step, hours = mine[tuple(row["image"])], row["step"], row["hours"]
        ratio = [row[key] / own[key] for key in ("passes", "voxels")]
        ratio += [hours[key] / own["hours"][key] for key in ("cpu", "wall")]
        name = f"ours ({row['network']})" if row is own else row["program"]
        cells = (
            *(sides(row["image"]), name, f"{row['tiles']} x {row['steps']}", f"{row['passes']:,}"),
            *(f"{row['voxels']:.3g}", f"{row['PFLOP']:.3g}", sides(row["tile"])),
            *(f"{step['cpu']:.2f}, {step['wall']:.2f}", f"{step['MiB']:.0f}"),
            f"{row['rest']['cpu']:.1f}, {row['rest']['MiB']:.0f}" if row is own else "not counted",
            f"{hours['cpu']:.3g}, {hours['wall']:.3g}",
            "" if row is own else ", ".join(f"{value:.3g}" for value in ratio),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def sides(shape: Sequence[int]) -> str:
    """Return a shape in words."""
    return " x ".join(map(str, shape))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    found.add_argument("--model", type=Path, help="model card (.json) with a network")
    found.add_argument("--threads", type=int, default=1)
    found.add_argument("--repeats", type=int, default=3)
    found.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    found.add_argument("--only", type=int, choices=list(IMAGES), help="2: planes, 3: volumes")
    found.add_argument("--json", type=Path, help="file for all figures")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, and write the figures."""
    given = parser().parse_args(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: expected a GPU, found none; leave --device out")
    if min(given.threads, given.repeats) < 1:
        raise InputError("--threads and --repeats: expected at least 1; give larger numbers")
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    chosen = [given.only] if given.only else list(IMAGES)
    rows = [row for d in chosen for row in measured(d, given.model, given.repeats, given.device)]
    about = f"{platform.machine()}, {os.cpu_count()} cores, {given.threads} threads, torch "
    about += f"{torch.__version__}, {given.device}; hours of whole images are extrapolated"
    print(f"{about}\n\n{table(rows)}\n")
    found: dict[str, Any] = {"about": about, "rows": rows, "absolute": {}}
    if given.device == "cpu":
        print("Whole images are not measured on a CPU; --device cuda measures them.")
    else:
        for each in chosen:
            cost = dict(zip(KEYS, whole(each, given.model, given.device), strict=True))
            found["absolute"][sides(IMAGES[each])] = cost
            seconds, gpu = cost["wall"], torch.cuda.get_device_name()
            print(f"Ours, {sides(IMAGES[each])}: {seconds:.2f} s, {seconds / 60:.2f} min, "
                  f"{cost['MiB']:.0f} MiB on {gpu}")  # fmt: skip
    if given.json:
        write_json(given.json, found)


def ended(run: Callable[[], object]) -> int:
    """Return the exit code of a run, whose mistakes are printed as one line."""
    try:
        run()
    except CytosuiteError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(ended(main))
