"""Measure the simulation of spheroids: CPU time and peak memory, by stage and by size.

Usage: python performance/simulation.py [repeats]

Every size runs in a process of its own, once to compile and then `repeats` times; the median
counts. Peak memory is what the process needs beyond what it had after its first, small case. Below
the sizes: stages side by side with other ways to do the same.
"""

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from scipy import ndimage, signal
from side_by_side import measure, table

from cytosuite.datasets.physics import optics
from cytosuite.datasets.physics.packing import pack, scatter
from cytosuite.datasets.physics.shapes import draw_nuclei
from cytosuite.datasets.physics.tissue import ellipsoid
from cytosuite.datasets.spheroid import generate, grow, light
from cytosuite.datasets.spheroid.parameters import Parameters

STAGES = {
    "places": (grow, "_place"),
    "painting": (light.Specimen, "nuclei"),
    "membranes": (light.Specimen, "membranes"),
    "light": (generate, "expected_photons"),
    "labels": (generate, "annotate"),
    "camera": (generate, "_expose"),
}
VIEW = {"shape": [78, 256, 256], "spacing_um": [2.0, 0.6, 0.6]}
SMALL = {"shape": [32, 128, 128], "spacing_um": [2.0, 0.5, 0.5]}  # for compilation
WIDE = {"shape": [256, 512, 512], "spacing_um": [1.0, 0.5, 0.5]}
SIZES = {
    "78x256x256, 75 nuclei": (VIEW, 75, {}),
    "78x256x256, 300 nuclei": (VIEW, 300, {}),
    "78x256x256, 1000 nuclei": (VIEW, 1000, {}),
    "78x256x256, 300 nuclei, cells": (VIEW, 300, {"cells": {"enabled": True}}),
    "78x256x256, 300 nuclei, visible": (VIEW, 300, {"labels": {"style": "visible"}}),
    "256x512x512, 5000 nuclei": (WIDE, 5000, {}),
}


def recipe(
    image: dict[str, list[float]], count: int, more: dict[str, dict[str, object]]
) -> Parameters:
    """Return the parameters of a size."""
    tissue = {"n_nuclei": count, "volume_fraction": 0.36}
    return Parameters.model_validate({"image": image, "tissue": tissue, **more})


def timed(function: Callable, name: str, seconds: dict[str, float]) -> Callable:
    """Return a function that adds its CPU seconds to a table."""

    def run(*arguments: object, **options: object) -> object:
        begin = time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            seconds[name] = seconds.get(name, 0.0) + time.process_time() - begin

    return run


def one_size(name: str, repeats: int) -> dict[str, float]:
    """Return the median CPU seconds of all stages, and the peak memory, of one size."""
    image, count, more = SIZES[name]
    spent: dict[str, float] = {}
    for stage, (place, function) in STAGES.items():
        setattr(place, function, timed(getattr(place, function), stage, spent))
    generate.generate(np.random.default_rng(0), recipe(SMALL, 20, more))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = []
    for repeat in range(repeats):
        spent.clear()
        begin = time.process_time()
        sample = generate.generate(np.random.default_rng(repeat), recipe(image, count, more))
        whole = time.process_time() - begin
        # Painting is called by the light: what is left is dimming and spreading.
        own = dict.fromkeys(STAGES, 0.0) | spent
        own |= {"light": own["light"] - own["painting"] - own["membranes"], "whole": whole}
        rows.append(own | {"other": whole - sum(own[key] for key in STAGES)})
    result = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    output = 4 * float(np.prod(sample.volume("microscopy-image").array.shape))
    fraction = float(sample.metadata["nuclear_volume_fraction"])
    return result | {"MiB": peak / 1024, "x output": peak * 1024 / output, "fraction": fraction}


def sizes(repeats: int) -> None:
    """Print the table of all sizes."""
    columns = [*STAGES, "other", "whole", "MiB", "x output", "fraction"]
    print(f"{'CPU seconds':34}" + "".join(f"{name:>10}" for name in columns))
    for name in SIZES:
        command = [sys.executable, __file__, "--size", name, str(1 if "512" in name else repeats)]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        print(f"{name:34}" + "".join(f"{found[column]:10.2f}" for column in columns))


def convolution() -> str:
    """Return the times of ways to convolve a volume with a stack of 11x15x15."""
    rng = np.random.default_rng(0)
    image = rng.random((78, 256, 256), dtype=np.float32)
    kernel = rng.random((11, 15, 15), dtype=np.float32)
    kernel /= kernel.sum()
    middle = (slice(20, 50), slice(60, 200), slice(60, 200))
    programs = {
        "ours (FFT, padded)": lambda: optics.convolve(image, kernel)[middle].mean(),
        "scipy.signal.fftconvolve": lambda: signal.fftconvolve(image, kernel, "same")[
            middle
        ].mean(),
        "scipy.ndimage.convolve (direct)": lambda: ndimage.convolve(image, kernel)[middle].mean(),
    }
    return table(measure("convolution 78x256x256 * 11x15x15", programs, 1, warm_up=False))


def arrangement() -> str:
    """Return the times and volume fractions of packed and random nuclei."""
    lines = [f"{'arrangement':14}{'nuclei':>8}{'placed':>8}{'fraction':>10}{'CPU s':>8}"]
    for count in (75, 300, 1000, 5000):
        nuclei = draw_nuclei(np.random.default_rng(0), count, diameter_um=9.0)
        volume = 4 / 3 * np.pi * nuclei.semi_axes_um.prod(axis=1)
        region = ellipsoid((0, 0, 0), ((volume.sum() / 0.4 * 3 / 4 / np.pi) ** (1 / 3),) * 3)
        for name, arrange in (("packed", pack), ("random", scatter)):
            begin = time.process_time()
            found = arrange(
                np.random.default_rng(1), nuclei.semi_axes_um, nuclei.rotations, region, gap_um=0.3
            )
            spent = time.process_time() - begin
            placed = found[1] if name == "random" else np.arange(count)
            fraction = volume[placed].sum() / region.volume_um3
            lines.append(f"{name:14}{count:8}{len(placed):8}{fraction:10.3f}{spent:8.2f}")
    return "\n".join(lines)


def main() -> None:
    """Print all tables, or as JSON one size."""
    if sys.argv[1:2] == ["--size"]:
        print(json.dumps(one_size(sys.argv[2], int(sys.argv[3]))))
        return
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(f"{platform.machine()}, {os.cpu_count()} cores, median of {repeats} runs, CPU time")
    sizes(repeats)
    print(convolution())
    print(arrangement())


if __name__ == "__main__":
    main()
