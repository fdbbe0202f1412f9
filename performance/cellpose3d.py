"""Measure Cellpose3D around its network: targets, following the flow, instances; CPU and memory.

Usage: python performance/cellpose3d.py

Every size runs in a process of its own: one small case to load the compiled loops, then the case
three times; the median CPU seconds count. Peak memory is that beyond the memory before. Below, the
same flows through Cellpose 3 (cellpose<4), where it is installed.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from side_by_side import peak_mib, start_peak

from cytosuite.algorithms.cellpose3d.dynamics import follow, instances, smooth_flow
from cytosuite.algorithms.cellpose3d.flows import flow_targets
from cytosuite.algorithms.cellpose3d.quality import control
from cytosuite.volume.arrays import Bools, Floats, Ints

VOXEL = (1.0, 1.0, 1.0)
SMALL = ((32, 64, 64), 4)
SIZES = {
    "32x256x256, 50 cells": ((32, 256, 256), 50),
    "64x256x256, 100 cells": ((64, 256, 256), 100),
    "128x256x256, 200 cells": ((128, 256, 256), 200),
    "64x512x512, 400 cells": ((64, 512, 512), 400),
}
PEER = ((64, 512, 512), 400)
STAGES = ("flow", "smooth", "follow", "instances")


@dataclass
class Clock:
    """CPU seconds of every run, by name; and the system's part of them, for pages of memory."""

    seconds: dict[str, list[float]]
    system: float = 0.0

    def run(self, name: str, function: Callable[[], NDArray]) -> NDArray:
        """Call a function, and note its time."""
        begin, system = time.process_time(), os.times().system
        result = function()
        self.system += os.times().system - system
        self.seconds.setdefault(name, []).append(time.process_time() - begin)
        return result


def cells(shape: tuple[int, int, int], count: int) -> Ints:
    """Return ellipsoids of semi-axes 6-9, 10-14, 10-14 voxels that may touch."""
    rng, labels, placed = np.random.default_rng(0), np.zeros(shape, np.int32), 0
    while placed < count:
        axes = rng.uniform((6, 10, 10), (9, 14, 14))
        centre = rng.uniform(axes, np.array(shape) - 1 - axes)
        box = tuple(slice(int(c - a), int(c + a) + 2) for c, a in zip(centre, axes, strict=True))
        part = labels[box]
        grid = np.ogrid[
            tuple(slice(s.start, s.start + n) for s, n in zip(box, part.shape, strict=True))
        ]
        inside = sum(((g - c) / a) ** 2 for g, c, a in zip(grid, centre, axes, strict=True)) <= 1
        if not part[inside].any():
            placed += 1
            part[inside] = placed
    return labels


def overlap(truth: NDArray, found: NDArray) -> float:
    """Return the mean over true cells of the best IoU."""
    columns = int(found.max()) + 1
    pairs = truth.astype(np.int64).ravel() * columns + found.ravel()
    table = np.bincount(pairs, minlength=(int(truth.max()) + 1) * columns).reshape(-1, columns)
    union = table.sum(1)[:, None] + table.sum(0)[None] - table
    return float((table / union)[1:, 1:].max(axis=1, initial=0).mean())


def process(flow: Floats, mask: Bools, clock: Clock) -> NDArray[np.uint32]:
    """Return the cells of a flow, as the algorithm makes them."""
    smooth = clock.run("smooth", lambda: smooth_flow(flow, mask, (1.0, 1.0, 1.0)))
    ends = clock.run("follow", partial(follow, smooth, mask, steps=100, step_size=0.7))
    del smooth  # room for the next step
    return clock.run(
        "instances", lambda: instances(ends, mask, VOXEL, sigma_um=1.6, distance_um=4.0)
    )


def quality(labels: NDArray[np.uint32], flow: Floats) -> NDArray[np.uint32]:
    """Return the cells that keep to limits on volume and flow."""
    limits = {"min_volume_um3": 50, "max_volume_um3": 1e5, "max_flow_error": 0.8}
    return control(labels, VOXEL, limits, flow=flow)[0]


def one_size(name: str, noise: float) -> dict[str, float]:
    """Return CPU seconds of each stage, the peak memory and the IoU."""
    labels = cells(*SMALL)
    process(flow_targets(labels), labels > 0, Clock({}))
    labels = cells(*SIZES[name])
    mask, clock = labels > 0, Clock({})
    for _ in range(3):
        flow = clock.run("flow", lambda: flow_targets(labels))
    rng = np.random.default_rng(1)
    for channel in flow if noise else ():
        channel += rng.normal(0, noise, channel.shape).astype(np.float32)
    own = Clock(clock.seconds)
    for _ in range(3):
        found = process(flow, mask, own)
        clock.run("quality", partial(quality, found, flow))
    result = {key: statistics.median(values) for key, values in clock.seconds.items()}
    result["IoU"], result["found"] = overlap(labels, found), float(found.max())
    result["system"] = own.system / 3
    flow = flow_targets(labels)  # perfect ones again
    before = start_peak()
    process(flow, mask, Clock({}))
    return result | {"voxels": float(labels.size), "MiB": peak_mib() - before}


def sizes() -> None:
    """Print the table of all sizes, without and with noise."""
    columns = [*STAGES, "post", "system", "ns/voxel", "quality", "MiB"]
    print(f"{'CPU seconds':36}" + "".join(f"{c:>12}" for c in columns) + "   cells    IoU")
    for noise in (0.0, 0.2):
        for name in SIZES:
            command = [sys.executable, __file__, name, str(noise)]
            row = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            row["post"] = row["smooth"] + row["follow"] + row["instances"]
            row["ns/voxel"] = 1e9 * row["post"] / row["voxels"]
            values = "".join(f"{row[c]:12.3f}" if c in row else " " * 12 for c in columns)
            title = f"{name}, noise {noise:g}"
            print(f"{title:36}{values}{row['found']:8.0f}{row['IoU']:7.3f}", flush=True)


def peer() -> None:
    """Print our time and that of Cellpose 3 for the same flows."""
    try:
        import torch
        from cellpose import dynamics
    except ImportError as error:
        print(f"Cellpose 3 is absent and left out: {error}")
        return
    torch.set_num_threads(1)
    labels = cells(*PEER)
    mask, flow, name = labels > 0, flow_targets(labels), "x".join(map(str, PEER[0]))
    clock = Clock({})
    process(flow, mask, Clock({}))
    ours = process(flow, mask, clock)
    spent = {key: values[0] for key, values in clock.seconds.items()}
    inside, scaled = np.nonzero(mask), 5 * flow  # its networks predict five times the flow
    clock.run("their follow", lambda: dynamics.follow_flows(flow, inside, niter=200))
    theirs = clock.run(
        "theirs",
        lambda: dynamics.compute_masks(
            scaled, np.where(mask, 1.0, -1.0), niter=200, do_3D=True, min_size=15
        ),
    )
    print(f"\n{name}, {PEER[1]} cells, perfect flow, one thread; CPU seconds")
    print(f"{'program':26}{'follow':>9}{'whole':>9}{'cells':>8}{'IoU':>8}")
    for title, own, whole, found in (
        ("ours", spent["follow"], sum(spent.values()), ours),
        (
            "Cellpose 3 (200 steps)",
            clock.seconds["their follow"][0],
            clock.seconds["theirs"][0],
            theirs,
        ),
    ):
        iou = overlap(labels, found)
        print(f"{title:26}{own:9.2f}{whole:9.2f}{int(found.max()):8}{iou:8.3f}")


def main() -> None:
    """Print all tables, or as JSON one size."""
    if len(sys.argv) == 3:
        print(json.dumps(one_size(sys.argv[1], float(sys.argv[2]))))
        return
    print(f"{os.cpu_count()} cores; published: 21.5 CPU s for 64x256x256, 100 cells")
    sizes()
    peer()


if __name__ == "__main__":
    main()
