"""Compile the loops of simulators, scores and algorithms, for the first call of a user."""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np

from cytosuite.benchmark.catalog.catalog import PACKAGE
from cytosuite.benchmark.data.simulated import simulated

# Small cases that pass all loops of the simulators: cells around nuclei, too, and overlapping ones.
SMALL = {
    "spheroid": ("cells.enabled=true", "labels.style=visible"),
    "nuclei": (),
    "membrane": (),
    "cells": (),
    "views": (),
}
EAGER = ("segmentation/_kernels.py", "algorithms/*/_kernels.py")  # compiled when imported


def compiled() -> bool:
    """Return whether numba's cache holds loops of simulators that are as new as their sources."""
    source = PACKAGE / "datasets" / "physics"
    newest = max(path.stat().st_mtime for path in source.glob("_*_kernels.py"))
    kept = os.environ.get("NUMBA_CACHE_DIR")
    places = Path(kept).glob("physics_*/*.nbi") if kept else source.glob("__pycache__/*.nbi")
    return any(path.stat().st_mtime >= newest for path in places)


def compile_loops(done: Callable[[int, int], None]) -> None:
    """Use each loop once, so that numba keeps it in its cache; `done` counts the parts."""
    files = [path for pattern in EAGER for path in sorted(PACKAGE.glob(pattern))]
    total = len(SMALL) + len(files) + 1
    for number, (name, settings) in enumerate(SMALL.items(), start=1):
        _simulate(name, settings)
        done(number, total)
    for number, path in enumerate(files, start=len(SMALL) + 1):
        import_module(".".join(("cytosuite", *path.relative_to(PACKAGE).with_suffix("").parts)))
        done(number, total)
    _score()
    done(total, total)


def _simulate(name: str, settings: tuple[str, ...]) -> None:
    found = simulated(name, "mini", 1, settings)
    assert found is not None  # a dataset of ours
    module = import_module(f"cytosuite.datasets.{name}.generate")
    module.generate(np.random.default_rng(0), found.parameters)


def _score() -> None:
    from cytosuite.metrics import seg, ssim, w1_by_std

    labels = np.zeros((16, 32, 32), np.uint16)
    labels[2:9, 4:20, 4:20] = 1
    image = labels.astype(np.float32)
    seg(labels, labels)
    ssim(image, image, data_range=1.0)
    w1_by_std([image], [image])
