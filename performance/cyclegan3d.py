"""Measure the 3D CycleGAN beside the published one: steps of the training, inference.

Usage: python performance/cyclegan3d.py [steps] [inference]

One thread. Every row is measured in a process of its own, after a small crop or image: median CPU
and wall seconds of three runs, one of the large ones, and the peak memory beyond that before. A
step is without pools: 50 crops of each domain, 2 bytes per voxel, published 4. The published step
with the crop 32 x 128 x 128 (13 TFLOP) is scaled from a smaller one, its time by counted
operations, its activations by voxels.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from copy import deepcopy
from math import prod
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from cyclegan3d_published import WEIGHTS, CycleGan, generator
from numpy.typing import NDArray
from side_by_side import peak_mib, start_peak, timed
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from cytosuite.algorithms.cyclegan3d.network import Architecture, Generator, build
from cytosuite.algorithms.cyclegan3d.training import train
from cytosuite.algorithms.cyclegan3d.training.settings import Settings
from cytosuite.algorithms.cyclegan3d.translate import translate
from cytosuite.contract.manifest import parse
from cytosuite.networks.normalise import Target
from cytosuite.networks.tiling import fit, plan
from cytosuite.training.parts import State, precision

PARTS = ("steps", "inference")
Shape = tuple[int, int, int]
LEAST, SMALL, OWN, LARGE = (16, 32, 32), (16, 64, 64), (32, 64, 64), (32, 128, 128)
PUBLISHED = "published"
PROGRAMS: dict[str, tuple[str, bool, torch.dtype]] = {  # settings, activations twice, precision
    "ours": (train.TRAINING.default, False, torch.float32),
    "ours, bf16": (train.TRAINING.default, False, torch.bfloat16),
    "ours, activations twice": (train.TRAINING.default, True, torch.float32),
    "ours, both": (train.TRAINING.default, True, torch.bfloat16),
    "ours, published settings": ("published.toml", False, torch.float32),
}
STEPS: list[tuple[Shape, Sequence[str]]] = [
    (SMALL, (PUBLISHED, "ours, published settings", "ours")),
    (LARGE, (PUBLISHED, *list(PROGRAMS)[:4])),
    (OWN, list(PROGRAMS)[:4]),
]
IMAGES = ((51, 125, 125), (128, 512, 512))
TILE, WINDOW, OVERLAP = (96, 256, 256), (32, 256, 256), 0.5
LEVELS = Target(mean=110, sd=8, dtype="uint16")


def settings_of(file: str, crop: Shape, **changes: object) -> Settings:
    """Return the settings in a file of the training, for steps that all have the judges."""
    given = tomllib.loads(Path(train.__file__).with_name(file).read_text()) | changes
    given["crops"] |= {"shape": crop, "batch": 1}
    given["loss"] |= {"pool": 0, "judge_every": 1, "keep": "correlation"}
    return parse(file, given, Settings)


def stepper(program: str, crop: Shape) -> tuple[Callable[[Shape], object], int]:
    """Return a step of a program for crops of given sides, and the number of its weights."""
    if program == PUBLISHED:
        theirs = CycleGan()
        weights = [sum(w.numel() for w in part.parameters()) for part in theirs.parts[::2]]
        assert tuple(weights) == WEIGHTS, weights
        return lambda sides: theirs.step(crops(0, sides), crops(1, sides)), 2 * sum(weights)
    file, checkpointing, _ = PROGRAMS[program]
    settings = settings_of(file, crop, checkpointing=checkpointing)
    modules, optimisers = train.TRAINING.build(settings)
    for optimiser in optimisers.values():
        optimiser.param_groups[0]["lr"] = 1e-4
    average = deepcopy(modules["forward"])
    state = State(modules, optimisers, average, "cpu", settings.schedule.clip)

    def step(sides: Shape) -> object:
        """Take a step."""
        batch = {"simulated": crops(0, sides), "real": crops(1, sides)}
        return train.TRAINING.step(state, batch, settings)

    return step, sum(w.numel() for module in modules.values() for w in module.parameters())


def crops(seed: int, sides: Shape) -> Tensor:
    """Return a crop of noise, (1, 1, Z, Y, X)."""
    return torch.rand((1, 1, *sides), generator=torch.Generator().manual_seed(seed))


def one_step(program: str, crop: Shape, repeats: int) -> dict[str, float]:
    """Return the cost of a step of the training."""
    torch.manual_seed(0)
    before = start_peak()
    kind = PROGRAMS[program][2] if program in PROGRAMS else torch.float32
    with patch("cytosuite.training.parts.precision", return_value=kind):
        step, weights = stepper(program, crop)
        step(LEAST)
        with FlopCounterMode(display=False) as counter:
            runs = [timed(lambda: step(crop))]
        runs += [timed(lambda: step(crop)) for _ in range(repeats - 1)]
    cpu, wall = (statistics.median(values) for values in zip(*runs, strict=True))
    tera = counter.get_total_flops() / 1e12
    found = {"weights": weights, "TFLOP": tera, "cpu": cpu, "wall": wall}
    return found | {"MiB": peak_mib() - before}


def one_image(program: str, shape: Shape, repeats: int) -> dict[str, float]:
    """Return the cost of the translation of an image from grey values to grey values."""
    torch.manual_seed(0)
    if program == PUBLISHED:
        theirs = generator()
        run: Callable[[Shape], object] = torch.inference_mode()(lambda s: theirs(crops(0, s)))
    else:
        ours = randomised()
        images = {sides: scene(sides) for sides in (LEAST, shape)}
        level, net = ("background", LEVELS), Architecture()
        run = lambda s: translate(images[s], ours, net, *level, tile=TILE)  # noqa: E731 - as above
    run(LEAST)
    before = start_peak()
    runs = [timed(lambda: run(shape)) for _ in range(repeats)]
    cpu, wall = (statistics.median(values) for values in zip(*runs, strict=True))
    return {"cpu": cpu, "wall": wall, "MiB": peak_mib() - before}


def randomised() -> Generator:
    """Return our generator, which would start as the identity, with random weights."""
    torch.manual_seed(0)
    network = build(Architecture()).eval()
    for weight in network.tail.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    return network


def scene(shape: Sequence[int]) -> NDArray[np.uint16]:
    """Return noise with bright balls in the first half of x: windows differ in their brightness."""
    rng = np.random.default_rng(0)
    light = np.full(shape, 20.0, np.float32)
    for _ in range(prod(shape) // 40_000):
        centre = [
            rng.uniform(0, side / 2 if axis == 2 else side) for axis, side in enumerate(shape)
        ]
        box = tuple(slice(max(0, int(c) - 8), int(c) + 9) for c in centre)
        places = np.ogrid[
            tuple(slice(s.start, min(s.stop, n)) for s, n in zip(box, shape, strict=True))
        ]
        away = sum((p - c) ** 2 for p, c in zip(places, centre, strict=True))
        light[box][away < 64] = rng.uniform(60, 160)
    return rng.poisson(light).astype(np.uint16)


def child(part: str, program: str, shape: Shape, repeats: int) -> dict[str, float]:
    """Return what a process of its own measures."""
    command = [sys.executable, __file__, f"--{part}", program, json.dumps(shape), str(repeats)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=-1).stdout)
    return found


def steps() -> None:
    """Print the cost of a step of the training by crop and program."""
    print("\n| crop | program | weights | TFLOP | CPU s | wall s | peak MiB | published / this: "
          "time, memory |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    known: dict[str, float] = {}
    for crop, programs in STEPS:
        for program in programs:
            scaled = program == PUBLISHED and crop == LARGE
            turns = 1 if "published" in program or crop == LARGE else 3
            row = grown(known, crop) if scaled else child("step", program, crop, turns)
            known = row if program == PUBLISHED else known
            ratio = f"{known['cpu'] / row['cpu']:.3g}, {known['MiB'] / row['MiB']:.3g}"
            name = program + (", scaled" if scaled else "")
            print(
                f"| {crop} | {name} | {row['weights'] / 1e6:.3g} M | {row['TFLOP']:.3g} | "
                f"{row['cpu']:.2f} | {row['wall']:.2f} | {row['MiB']:.0f} | "
                f"{'' if crop == OWN else ratio} |",
                flush=True,
            )


def grown(row: dict[str, float], crop: Shape) -> dict[str, float]:
    """Return the cost of the published step with another crop, from that with `SMALL`."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        CycleGan().step(torch.zeros(1, 1, *crop), torch.zeros(1, 1, *crop))
    tera = counter.get_total_flops() / 1e12
    fixed = 4 * 4 * row["weights"] / 2**20  # weights, gradients and both moments
    mib = fixed + (row["MiB"] - fixed) * prod(crop) / prod(SMALL)
    times = {key: row[key] * tera / row["TFLOP"] for key in ("cpu", "wall")}
    return {"weights": row["weights"], "TFLOP": tera, "MiB": mib, **times}


def inference() -> None:
    """Print the cost of the inference per voxel."""
    print("\n| image | program | computed / input | CPU s | wall s | CPU µs per voxel | peak MiB | "
          "bytes per voxel |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    halo, multiple = Architecture().halo, Architecture().multiple
    rows: list[tuple[str, Shape, float]] = [
        ("ours", shape, computed(shape, fit(shape, TILE, halo, multiple), halo, multiple))
        for shape in IMAGES
    ]
    rows += [(PUBLISHED, SMALL, 1.0), (PUBLISHED, LARGE, 1.0)]
    for program, shape, ratio in rows:
        voxels = prod(shape)
        row = child("image", program, shape, 3 if program == "ours" and voxels < 10**6 else 1)
        name = "published, one window" if program == PUBLISHED else program
        print(
            f"| {shape} | {name} | {ratio:.2f} | "
            f"{row['cpu']:.2f} | {row['wall']:.2f} | {1e6 * row['cpu'] / voxels:.2f} | "
            f"{row['MiB']:.0f} | {row['MiB'] * 2**20 / voxels:.0f} |",
            flush=True,
        )
    half = tuple(int(size * OVERLAP / 2) for size in WINDOW)
    for shape in IMAGES[1:]:
        ratio = computed(shape, WINDOW, half, (1, 1, 1))
        print(f"\nThe published windows {WINDOW} compute {ratio:.2f} voxels per voxel of {shape}.")


def computed(shape: Shape, tile: Sequence[int], halo: Sequence[int], step: Sequence[int]) -> float:
    """Return how many voxels are computed for each of an image."""
    tiles = plan(shape, tile, halo, multiple=step)
    return sum(prod(part.stop - part.start for part in tile.input) for tile in tiles) / prod(shape)


def main(words: list[str]) -> None:
    """Print the tables that are asked for."""
    torch.set_num_threads(1)
    measures = {"--step": one_step, "--image": one_image}
    if words and words[0] in measures:
        program, shape, repeats = words[1], tuple(json.loads(words[2])), int(words[3])
        print(json.dumps(measures[words[0]](program, shape, repeats)))
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, one thread, torch {torch.__version__}; "
          f"a training computes in {precision('cpu')} here")  # fmt: skip
    chosen = [word for word in words if word in PARTS] or PARTS
    if "steps" in chosen:
        steps()
    if "inference" in chosen:
        inference()


if __name__ == "__main__":
    main(sys.argv[1:])
