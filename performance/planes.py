"""Measure flow targets and post-processing of a dense plane, beside Cellpose 3 on the same labels.

Usage: python performance/planes.py [PYTHON]

PYTHON runs an environment of its own with Cellpose 3, whose numpy is older than ours: `python -m
venv DIR`, `DIR/bin/pip install "cellpose<4"`. Each program has a process and one thread: median CPU
seconds of five runs after one, peak memory beyond that before. Each follows the exact flow of its
own kind, which is what its network learns; ratio: theirs over ours.
"""

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
from typing import Any

import numpy as np
from numpy.typing import NDArray
from side_by_side import peak_mib, start_peak, timed

from cytosuite.volume.arrays import Floats, Ints

SIZE, COUNT, REPEATS = 2048, 3000, 5
RADII = (12.0, 15.0)  # pixels, semi-axes of an ellipse
Works = dict[str, Callable[[], Any]]


def nuclei(size: int, count: int) -> Ints:
    """Return labels (Y, X) of ellipses, every fourth placed at the edge of the one before."""
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
    return labels


def ours(labels: Ints, level: Floats) -> Works:
    """Return our works."""
    from cytosuite.algorithms.cellpose3d.dynamics import follow, instances, smooth_flow
    from cytosuite.algorithms.cellpose3d.flows import flow_targets
    from cytosuite.algorithms.cellpose3d.parameters import Parameters
    from cytosuite.algorithms.cellpose3d.segment import Fields, segment

    mask, voxel = level[None] > 0.5, (1.0, 1.0, 1.0)
    fields = Fields(level[None], flow_targets(labels[None]), 1, 0)
    network = {"dimensions": 2, "widths": (4, 4, 4), "fold": 2}
    limits = {"min_volume_um3": 15, "max_flow_error": 0.4}
    card = Parameters(network=network, li=False, tau=0.5, seed_smoothing_um=1.5, **limits)

    def dynamics() -> NDArray[np.uint32]:
        flow = smooth_flow(fields.flow, mask, voxel)
        ends = follow(flow, mask, steps=card.steps, step_size=card.step_size)
        return instances(ends, mask, voxel, sigma_um=1.5, distance_um=4.0)

    return {
        "targets": lambda: flow_targets(labels[None]),
        "dynamics": dynamics,
        "post-processing": lambda: segment(fields, fields.level, voxel, card).labels[0],
    }


def theirs(labels: Ints, level: Floats) -> Works:
    """Return the works of Cellpose 3, of which networks predict five times the flow."""
    import torch
    from cellpose import dynamics

    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    flow = 5 * dynamics.labels_to_flows([labels], device=cpu)[0][2:4]
    masks = partial(dynamics.compute_masks, flow, level - 0.5, device=cpu)
    return {
        "targets": lambda: dynamics.labels_to_flows([labels], device=cpu),
        "dynamics": partial(masks, flow_threshold=0),
        "post-processing": partial(masks, flow_threshold=0.4, min_size=15),
    }


def measure(folder: Path, name: str) -> None:
    """Print median CPU seconds and peak memory in MiB of each work, and keep the last's labels."""
    arrays = (np.load(folder / f"{array}.npy") for array in ("labels", "level"))
    found = {}
    for title, work in {"ours": ours, "theirs": theirs}[name](*arrays).items():
        np.save(folder / f"{name}.npy", work())
        before = start_peak()
        seconds = statistics.median(timed(work)[0] for _ in range(REPEATS))
        found[title] = (seconds, peak_mib() - before)
    print(json.dumps(found))


def show(folder: Path, programs: dict[str, dict[str, tuple[float, float]]]) -> None:
    """Print the table of works, and how far all labels agree."""
    from cytosuite.metrics.labels.detection import f1_at
    from cytosuite.metrics.labels.overlap import overlap

    for work, (least, _) in programs["ours"].items():
        for name, found in programs.items():
            seconds, mib = found[work]
            print(f"{work:16}{name:8}{seconds:8.3f} s {seconds / least:6.1f} x {mib:5.0f} MiB")
    for first, second in combinations(("labels", *programs), 2):
        table = overlap(*(np.load(folder / f"{name}.npy") for name in (first, second)))
        print(f"{first} and {second}: F1 at an IoU of 0.95 is {f1_at(table, 95):.4f}")


def main() -> None:
    """Print the table; called with a folder, measure one program there."""
    if len(sys.argv) == 3:
        measure(Path(sys.argv[1]), sys.argv[2])
        return
    labels, noise = nuclei(SIZE, COUNT), np.random.default_rng(1).normal(0, 0.05, (SIZE, SIZE))
    pythons = dict(zip(("ours", "theirs"), (sys.executable, *sys.argv[1:]), strict=False))
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/labels.npy", labels)
        np.save(f"{folder}/level.npy", np.clip((labels > 0) + noise, 0, 1).astype(np.float32))
        programs = {}
        for name, python in pythons.items():
            command = [python, __file__, folder, name]
            programs[name] = json.loads(subprocess.check_output(command, env=one_thread))
        show(Path(folder), programs)


if __name__ == "__main__":
    main()
