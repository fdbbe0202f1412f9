"""Compile the loops of simulators, scores and algorithms, for the first call of a user."""

import os
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np

from cytosuite.benchmark.catalog.places import PACKAGE
from cytosuite.datasets.recipes import simulated
from cytosuite.errors import InputError
from cytosuite.files import Texts, TextSeq

# Datasets and settings that pass the loops of simulators: of defaults, then those that few need.
SMALL: dict[str, tuple[str, Texts]] = {
    "spheroid": ("spheroid", ()),
    "whole-cells": ("spheroid", ("cells.enabled=true", "labels.style=visible")),
    **{name: (name, ()) for name in ("nuclei", "membrane", "cells", "views")},
}
EAGER = ("segmentation/_kernels.py", "algorithms/*/_kernels.py")  # compiled when imported


def compiled() -> bool:
    """Return whether numba's cache holds loops of simulators that are as new as their sources."""
    source = PACKAGE / "datasets/physics"
    newest = max(path.stat().st_mtime for path in source.glob("_*_kernels.py"))
    cache = os.environ.get("NUMBA_CACHE_DIR")
    places = Path(cache).glob("physics_*/*.nbi") if cache else source.glob("__pycache__/*.nbi")
    return any(path.stat().st_mtime >= newest for path in places)


def compile_loops(parts: TextSeq, done: Callable[[int, int], None]) -> None:
    """Use the loops of parts once, by default of all, so that numba keeps them; `done` counts."""
    loops = _parts()
    if strange := [name for name in parts if name not in loops]:
        raise InputError(f"no loops of {strange[0]!r}; there are {', '.join(loops)}")
    names = parts or tuple(loops)
    for number, name in enumerate(names, start=1):
        loops[name]()
        done(number, len(names))


def _parts() -> dict[str, Callable[[], object]]:
    """Return functions that use the loops of a simulator, of an algorithm or of scores."""
    files = [path for pattern in EAGER for path in sorted(PACKAGE.glob(pattern))]
    modules = [path.relative_to(PACKAGE).with_suffix("").parts for path in files]
    return {
        **{name: partial(_simulate, name) for name in SMALL},
        **{parts[-2]: partial(import_module, ".".join(("cytosuite", *parts))) for parts in modules},
        "scores": _score_labels,
        "images": _score_images,
    }


def _simulate(name: str) -> None:
    dataset, settings = SMALL[name]
    case = simulated(dataset, "mini", 1, settings)
    assert case is not None  # a dataset of ours
    import_module(f"cytosuite.datasets.{dataset}.generate").generate(
        np.random.default_rng(0), case.parameters
    )


def _score_labels() -> None:
    from cytosuite.metrics import seg

    labels = np.zeros((16, 32, 32), np.uint16)
    labels[2:9, 4:20, 4:20] = 1
    seg(labels, labels)


def _score_images() -> None:
    from cytosuite.metrics import ssim, w1_by_std

    image = np.zeros((16, 32, 32), np.float32)
    image[2:9, 4:20, 4:20] = 1
    ssim(image, image, data_range=1.0)
    w1_by_std([image], [image])
