"""Measure flow targets and post-processing of dense planes and stacks, beside Cellpose 3.

Usage: python performance/cellpose3d.py [PYTHON]

PYTHON runs an environment of its own with Cellpose 3, whose numpy is older than ours: `python -m
venv DIR`, `DIR/bin/pip install "cellpose<4"`; without one it is left out. Each program has a
process and one thread: median CPU seconds of three runs after one, peak memory beyond that before.
Each follows the exact flow of its own kind, which is what its network learns; ratio: theirs over
ours. Of stacks both follow ours.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from side_by_side import peak_mib, start_peak, timed

if TYPE_CHECKING:  # an environment with Cellpose has none of our packages
    from cytosuite.volume.arrays import Array, Floats, Ints

REPEATS = 3
RADII = (12.0, 15.0)  # pixels, semi-axes of an ellipse
Works = dict[str, Callable[[], Any]]


def nuclei(size: int, count: int) -> Ints:
    """Return labels (1, Y, X) of ellipses, every fourth placed at the edge of the one before."""
    rng, labels, placed = np.random.default_rng(0), np.zeros((size, size), np.int32), 0
    middle, reach = np.zeros(2), 0.0
    while placed < count:
        axes, way, centre = rng.uniform(*RADII, 2), rng.uniform(0, 7), rng.uniform(0, size, 2)
        if placed % 4 == 1 and rng.random() < 0.9:  # around a nucleus there may be no room
            centre = middle + (reach + axes.mean() - 1) * np.array([np.sin(way), np.cos(way)])
        low, high = (np.clip(centre + d, 0, size).astype(int) for d in (-RADII[1], RADII[1] + 1))
        y, x = np.ogrid[low[0] : high[0], low[1] : high[1]]
        inside = ((y - centre[0]) / axes[0]) ** 2 + ((x - centre[1]) / axes[1]) ** 2 <= 1
        part = labels[low[0] : high[0], low[1] : high[1]]
        if inside.sum() > 50 and (part[inside] > 0).mean() <= 0.05:  # hidden
            placed += 1
            part[inside & (part == 0)] = placed
            middle, reach = centre, axes.mean()
    return labels[None]


def cells(shape: tuple[int, int, int], count: int) -> Ints:
    """Return ellipsoids of semi-axes 6-9, 10-14, 10-14 voxels that may touch."""
    rng, labels, placed = np.random.default_rng(0), np.zeros(shape, np.int32), 0
    while placed < count:
        axes = rng.uniform((6, 10, 10), (9, 14, 14))
        centre = rng.uniform(axes, np.array(shape) - 1 - axes)
        box = tuple(slice(int(c - a), int(c + a) + 2) for c, a in zip(centre, axes, strict=True))
        part = labels[box]
        grid = np.moveaxis(np.indices(part.shape), 0, -1) + [side.start for side in box]
        inside = np.square((grid - centre) / axes).sum(axis=-1) <= 1
        if not part[inside].any():
            placed += 1
            part[inside] = placed
    return labels


CASES: dict[str, Callable[[], Ints]] = {
    "plane of 1024 x 1024, 750 nuclei": partial(nuclei, 1024, 750),
    "plane of 2048 x 2048, 3000 nuclei": partial(nuclei, 2048, 3000),
    "stack of 32 x 256 x 256, 50 cells": partial(cells, (32, 256, 256), 50),
    "stack of 64 x 512 x 512, 400 cells": partial(cells, (64, 512, 512), 400),
}


def ours(labels: Ints, level: Floats, flow: Floats) -> Works:
    """Return our works."""
    from cytosuite.algorithms.cellpose3d.dynamics import follow, instances, smooth_flow
    from cytosuite.algorithms.cellpose3d.flows import flow_targets
    from cytosuite.algorithms.cellpose3d.parameters import Parameters
    from cytosuite.algorithms.cellpose3d.segment import Fields, segment

    mask, voxel, fields = level > 0.5, (1.0, 1.0, 1.0), Fields(level, flow, 1, 0)
    limits = {"min_volume_um3": 15, "max_flow_error": 0.4}
    network = {"dimensions": 2 if len(labels) == 1 else 3, "widths": (4, 4, 4), "fold": 2}
    card = Parameters(network=network, li=False, tau=0.5, seed_smoothing_um=1.5, **limits)

    def dynamics() -> Array:
        """Return the cells, small and doubtful ones too."""
        smooth = smooth_flow(flow, mask, voxel)
        ends = follow(smooth, mask, steps=card.steps, step_size=card.step_size)
        return instances(ends, mask, voxel, sigma_um=1.5, distance_um=4.0)

    return {
        "targets": lambda: flow_targets(labels),
        "dynamics": dynamics,
        "post-processing": lambda: segment(fields, level, voxel, card).labels,
    }


def theirs(labels: Ints, level: Floats, flow: Floats) -> Works:
    """Return the works of Cellpose 3, of which networks predict five times the flow."""
    import torch
    from cellpose import dynamics

    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    if len(labels) > 1:
        masks = partial(dynamics.compute_masks, 5 * flow, level - 0.5, device=cpu, do_3D=True)
        return {"dynamics": partial(masks, niter=200, min_size=15)}
    flows = 5 * dynamics.labels_to_flows([labels[0]], device=cpu)[0][2:4]
    masks = partial(dynamics.compute_masks, flows, level[0] - 0.5, device=cpu)
    return {
        "targets": lambda: dynamics.labels_to_flows([labels[0]], device=cpu),
        "dynamics": partial(masks, flow_threshold=0),
        "post-processing": partial(masks, flow_threshold=0.4, min_size=15),
    }


def measure(folder: Path, name: str) -> None:
    """Print median CPU seconds and peak memory in MiB of each work, and keep the last's labels."""
    arrays = (np.load(folder / f"{array}.npy") for array in ("labels", "level", "flow"))
    costs = {}
    for title, work in {"ours": ours, "theirs": theirs}[name](*arrays).items():
        np.save(folder / f"{name}.npy", work())
        before = start_peak()
        seconds = statistics.median(timed(work)[0] for _ in range(REPEATS))
        costs[title] = (seconds, peak_mib() - before)
    print(json.dumps(costs))


def show(folder: Path, case: str, programs: dict[str, dict[str, tuple[float, float]]]) -> None:
    """Print the rows of a case, and how far all labels agree."""
    from cytosuite.metrics.labels.detection import f1_at
    from cytosuite.metrics.labels.overlap import overlap

    for work, (least, _) in programs["ours"].items():
        for name, costs in programs.items():
            if work in costs:
                seconds, mib = costs[work]
                numbers = f"{seconds:.3f} | {seconds / least:.2g} | {mib:.0f}"
                print(f"| {case} | {work} | {name} | {numbers} |")
    for first, second in combinations(("labels", *programs), 2):
        both = (np.load(folder / f"{name}.npy").squeeze() for name in (first, second))
        f1 = f1_at(overlap(*both), 95)
        print(f"\n{case}, {first} and {second}: F1 at an IoU of 0.95 {f1:.4f}\n")


def main() -> None:
    """Print the table; called with a folder, measure one program there."""
    if len(sys.argv) == 3:
        measure(Path(sys.argv[1]), sys.argv[2])
        return
    from cytosuite.algorithms.cellpose3d.flows import flow_targets

    pythons = dict(zip(("ours", "theirs"), (sys.executable, *sys.argv[1:]), strict=False))
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    print("| case | work | program | CPU s | theirs / ours | peak MiB |\n|" + 6 * "---|")
    for case, draw in CASES.items():
        labels = draw()
        noise = np.random.default_rng(1).normal(0, 0.05, labels.shape)
        with tempfile.TemporaryDirectory() as folder:
            np.save(f"{folder}/labels.npy", labels)
            np.save(f"{folder}/level.npy", np.clip((labels > 0) + noise, 0, 1).astype(np.float32))
            np.save(f"{folder}/flow.npy", flow_targets(labels))
            programs = {}
            for name, python in pythons.items():
                command = [python, __file__, folder, name]
                programs[name] = json.loads(subprocess.check_output(command, env=one_thread))
            show(Path(folder), case, programs)


if __name__ == "__main__":
    main()
