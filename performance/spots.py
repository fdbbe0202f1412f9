"""Spots found by `algorithms/spots`, beside scikit-image's `blob_log`: F1, places and CPU time.

Usage: python performance/spots.py

Images of cells. `blob_log` has the psf's sigma and the threshold that is best for images drawn
alike; `algorithms/spots` its defaults.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean, median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_laplace
from skimage.feature import blob_log

from cytosuite.algorithms.spots.fits import Parameters
from cytosuite.algorithms.spots.predict import find
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.contract.manifest import merged
from cytosuite.contract.points import points_of
from cytosuite.contract.tasks import IMAGE, POINTS
from cytosuite.datasets.cells.generate import generate
from cytosuite.files import read_toml
from cytosuite.metrics.points.detection import (
    points_f1,
    rmse_lateral,
)
from cytosuite.metrics.points.matching import matched_points, pooled
from cytosuite.volume.arrays import Doubles

Finder = Callable[["Scene"], Doubles]

THRESHOLDS = np.arange(2.5, 9, 0.5)  # of blob_log, in the noise of its filter


class Scene(NamedTuple):
    """An image with its true spots."""

    image: NDArray[np.unsignedinteger]
    spacing: tuple[float, ...]
    places: Doubles  # px
    sigma: tuple[float, ...]  # px, of the psf


class Score(NamedTuple):
    """What a program reaches on some images."""

    f1: float
    um: float  # lateral r.m.s. error
    seconds: float  # of CPU


def cells(seed: int, recipe: str, more: dict[str, Any]) -> Scene:
    """Return spots in simulated cells."""
    parameters = merged(
        read_toml(ROOT / f"datasets/cells/recipes/{recipe}.toml")["parameters"], more
    )
    sample = generate(np.random.default_rng(seed), parameters)
    image, points = sample.volume(IMAGE.slug), sample.sockets[POINTS.slug]
    assert isinstance(points, Mapping)
    places = points_of(points, image.spacing).array
    z, across = (parameters["optics"][f"psf_sigma_{axis}_um"] for axis in ("z", "xy"))
    sigma = np.array([z, across, across])[-image.array.ndim :] / image.spacing
    return Scene(image.array, image.spacing, places, tuple(sigma))


def ours(scene: Scene) -> Doubles:
    """Return the places that our detector finds with its defaults."""
    return find(scene.image, scene.spacing, Parameters()).places


def theirs(scene: Scene, *, threshold: float, widths: int = 1) -> Doubles:
    """Return the places that blob_log finds; threshold in the noise of its filter."""
    image, sigma = scene.image.astype(np.float64), np.array(scene.sigma)
    part = image[tuple(slice(size // 2 - 128, size // 2 + 128) for size in image.shape)]
    noise = 1.4826 * np.median(abs(gaussian_laplace(part, sigma))) * sigma.mean() ** 2
    ends = (sigma, sigma) if widths == 1 else (0.8 * sigma, 1.4 * sigma)
    blobs = blob_log(image, *ends, num_sigma=widths, threshold=threshold * noise)
    return np.asarray(blobs[:, : image.ndim], np.float64)


def judged(finder: Finder, scenes: Sequence[Scene]) -> Score:
    """Return the scores of a program on images, their points pooled."""
    parts, seconds = [], []
    for scene in scenes:
        begin = time.process_time()
        places = finder(scene)
        seconds.append(time.process_time() - begin)
        parts.append(matched_points(scene.places, places, scene.spacing))
    together = pooled(parts)
    return Score(points_f1.of(together), rmse_lateral.of(together), median(seconds))


def tuned(peer: Callable[..., Doubles], scenes: Sequence[Scene]) -> float:
    """Return the threshold that is best for images."""
    return max(
        THRESHOLDS, key=lambda threshold: judged(partial(peer, threshold=threshold), scenes).f1
    )


WORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "1024 x 1024, 2,000 spots": ("spots", {"cells": {"n_cells": [20, 20]}}),
    "64 x 512 x 512": (
        "spots_3d",
        {"image": {"shape": [64, 512, 512]}, "cells": {"n_cells": [14, 14]}},
    ),
}


def pairs() -> None:
    """Print CPU seconds, F1 and error of both programs on images of cells."""
    for work, (recipe, more) in WORKS.items():
        validation = [cells(1000 + number, recipe, {}) for number in range(2)]
        scenes = [cells(seed, recipe, more) for seed in range(3)]
        programs: dict[str, Finder] = {"spots": ours}
        for widths, name in ((1, "width of the psf"), (10, "ten widths")):
            peer = partial(theirs, widths=widths)
            programs[f"blob_log, {name}"] = partial(peer, threshold=tuned(peer, validation))
        judged(ours, validation)  # to compile and to fill caches
        scores = {name: judged(finder, scenes) for name, finder in programs.items()}
        print(f"{work}: {round(fmean(len(scene.places) for scene in scenes))} spots on average")
        for name, (f1, um, seconds) in scores.items():
            ratio = seconds / scores["spots"].seconds
            print(f"  {name:28}{seconds:8.3f} s {ratio:6.1f} x  F1 {f1:.3f}  {1000 * um:5.1f} nm")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    pairs()
