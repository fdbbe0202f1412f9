"""Spots found by `algorithms/spots`, beside scikit-image's `blob_log`: F1, places and CPU time.

Usage: python performance/spots.py [real FOLDER] [curves] [pairs]

real: images of a folder (images/*.tif, points/*.csv with columns y, x in pixels) by the defaults of
`cytosuite apply`, beside `blob_log`, by its defaults and with the threshold that is best for each
image itself, and `trackpy.locate` where it is installed; pixels within three count.

curves: spots on an even background, F1 and lateral error by signal-to-noise (lone spots) and by
density, with the least error that the light allows (Cramér-Rao: Ober et al. 2004,
doi:10.1016/S0006-3495(04)74193-4; Mortensen et al. 2010, doi:10.1038/nmeth.1447).
pairs: images of cells. `blob_log` has the psf's sigma and the threshold that is best for images
drawn alike; `algorithms/spots` its defaults.
"""

import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_laplace
from scipy.special import ndtr
from side_by_side import installed, timed
from skimage.feature import blob_log

from cytosuite.algorithms.spots.parameters import Parameters
from cytosuite.algorithms.spots.predict import find, predict
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.bodies.grid import Grid
from cytosuite.contract.facts import gathered
from cytosuite.contract.manifest import merged
from cytosuite.contract.points import points_of
from cytosuite.contract.tasks import IMAGE, POINTS
from cytosuite.contract.weights import open_model, read_cards
from cytosuite.datasets.camera import Camera
from cytosuite.datasets.cells.generate import generate
from cytosuite.datasets.cells.spots import Spots, light
from cytosuite.datasets.physics.psf import Gaussian
from cytosuite.files import read_toml
from cytosuite.formats import read
from cytosuite.metrics.points.detection import (
    points_f1,
    points_precision,
    points_recall,
    rmse_lateral,
)
from cytosuite.metrics.points.matching import matched_points, pooled
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Doubles

Finder = Callable[["Scene"], Doubles]

SIDE, PIXEL_UM, PSF_UM = 1024, 0.11, 0.13
CAMERA = Camera(gain=2.0, offset=100.0, read_noise=1.6)
BACKGROUND = 8.0  # photons per pixel
DARK = BACKGROUND + CAMERA.read_noise[0] ** 2 + 1 / (12 * CAMERA.gain**2)  # variance, photons²
SIGMA = PSF_UM / PIXEL_UM  # px
AREA = 2 * np.pi * np.log(2) * SIGMA**2  # px, of the disc as wide as the psf at half its height
PITCH, JITTER = 20, 5.0  # px: lone spots are 10 px apart at least
RATIOS, DENSITIES = (1.5, 2, 3, 4, 5, 7, 10, 15, 20), (0.5, 1, 2, 5, 10, 20)
BRIGHT = 8.0  # signal-to-noise of the curve by density
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


def peak_share(sigma: float) -> float:
    """Return the share of a spot's light in the pixel around its middle."""
    return float(ndtr(0.5 / sigma) - ndtr(-0.5 / sigma)) ** 2


def photons(ratio: float) -> float:
    """Return the photons of a signal-to-noise ratio as in the tables of `datasets/cells`."""
    peak = (ratio**2 + np.sqrt(ratio**4 + 4 * ratio**2 * DARK)) / 2
    return float(peak) / peak_share(SIGMA)


def bound_px(light: float, sigma: float, variance: float, at: Sequence[float] = (0, 0)) -> float:
    """Return the least lateral r.m.s. error [px] of a lone spot, its other values unknown.

    Fisher's information about place, photons, width and background, `variance` that of a pixel
    without the spot [photons²], sigma in px, `at` the place in its pixel.
    """
    ends = np.arange(-np.ceil(6 * sigma), np.ceil(6 * sigma) + 2) - 0.5
    shares, moved, wider = [], [], []
    for place in at:
        away = (ends - place) / sigma
        bell = np.exp(-(away**2) / 2) / np.sqrt(2 * np.pi) / sigma
        shares.append(np.diff(ndtr(away)))
        moved.append(-np.diff(bell))
        wider.append(-np.diff(away * bell))
    spot = np.multiply.outer(*shares)
    slopes = [np.outer(moved[0], shares[1]), np.outer(shares[0], moved[1])]
    slopes += [np.outer(wider[0], shares[1]) + np.outer(shares[0], wider[1])]
    rows = np.stack([*(light * s for s in slopes), spot, np.ones_like(spot)]).reshape(5, -1)
    known = (rows / (light * spot.ravel() + variance)) @ rows.T
    return float(np.sqrt(np.linalg.inv(known).diagonal()[:2].sum()))


def bound_um(ratio: float) -> float:
    """Return the least lateral error of lone spots anywhere in their pixels."""
    steps = np.linspace(-0.4, 0.4, 5)
    found = [bound_px(photons(ratio), SIGMA, DARK, (y, x)) ** 2 for y in steps for x in steps]
    return float(PIXEL_UM * fmean(found) ** 0.5)


def drawn(seed: int, ratio: float, density: float = 0.0) -> Scene:
    """Return a plane of spots on an even background: lone, or so many per 100 areas of a psf."""
    rng = np.random.default_rng(seed)
    if density:
        places = rng.uniform(-0.5, SIDE - 0.5, (round(density / 100 * SIDE**2 / AREA), 2))
    else:
        nodes = np.stack(np.meshgrid(*[np.arange(PITCH, SIDE - PITCH, PITCH)] * 2), axis=-1)
        places = nodes.reshape(-1, 2) + rng.uniform(-JITTER, JITTER, (nodes.size // 2, 2))
    count = len(places)
    um = np.column_stack([np.full(count, 0.5), (places + 0.5) * PIXEL_UM])
    none = np.zeros(count, np.int64)
    own = Spots(um, none, none, np.full(count, photons(ratio)), np.zeros(count))
    detector = Grid((1, SIDE, SIDE), (1.0, PIXEL_UM, PIXEL_UM))
    seen = light(own, detector, Gaussian((0.0, PSF_UM, PSF_UM))) + np.float32(BACKGROUND)
    return Scene(CAMERA.expose(rng, seen)[0], (PIXEL_UM,) * 2, places, (SIGMA,) * 2)


def cells(seed: int, recipe: str, more: dict[str, Any]) -> Scene:
    """Return spots in simulated cells."""
    own = merged(read_toml(ROOT / f"datasets/cells/recipes/{recipe}.toml")["parameters"], more)
    made = generate(np.random.default_rng(seed), own)
    image, points = made.volume(IMAGE.slug), made.sockets[POINTS.slug]
    assert isinstance(points, Mapping)
    places = points_of(points, image.spacing).array
    z, across = (own["optics"][f"psf_sigma_{axis}_um"] for axis in ("z", "xy"))
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
    found = blob_log(image, *ends, num_sigma=widths, threshold=threshold * noise)
    return np.asarray(found[:, : image.ndim], np.float64)


def judged(finder: Finder, scenes: Sequence[Scene]) -> Score:
    """Return the scores of a program on images, their points pooled."""
    parts, seconds = [], []
    for scene in scenes:
        begin = time.process_time()
        found = finder(scene)
        seconds.append(time.process_time() - begin)
        parts.append(matched_points(scene.places, found, scene.spacing))
    together = pooled(parts)
    return Score(points_f1.of(together), rmse_lateral.of(together), median(seconds))


def tuned(peer: Callable[..., Doubles], scenes: Sequence[Scene]) -> float:
    """Return the threshold that is best for images."""
    return max(THRESHOLDS, key=lambda own: judged(partial(peer, threshold=own), scenes).f1)


def curves() -> None:
    """Print F1 and errors by signal-to-noise and by density."""
    row = "{:>8} {:>8} {:>8} {:>9} {:>9} {:>9} {:>7}"
    names = ("F1", "blob_log", "RMSE nm", "blob_log", "bound nm", "ratio")
    for title, values in (("ratio", RATIOS), ("density", DENSITIES)):
        print(row.format(title, *names))
        for value in values:
            ratio, density = (BRIGHT, value) if title == "density" else (value, 0.0)
            draw = partial(drawn, ratio=ratio, density=density)
            scenes, least = [draw(seed) for seed in (0, 1)], bound_um(ratio)
            threshold = tuned(theirs, [draw(1000)])
            own, other = judged(ours, scenes), judged(partial(theirs, threshold=threshold), scenes)
            nm = (f"{1000 * um:.1f}" for um in (own.um, other.um, least))
            f1 = f"{own.f1:.3f}", f"{other.f1:.3f}"
            print(row.format(value, *f1, *nm, f"{own.um / least:.2f}"), flush=True)


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
        found = {name: judged(finder, scenes) for name, finder in programs.items()}
        print(f"{work}: {round(fmean(len(scene.places) for scene in scenes))} spots on average")
        for name, (f1, um, seconds) in found.items():
            ratio = seconds / found["spots"].seconds
            print(f"  {name:28}{seconds:8.3f} s {ratio:6.1f} x  F1 {f1:.3f}  {1000 * um:5.1f} nm")


def marked(image: Array) -> tuple[Doubles, str]:
    """Return the places of the card's model without a voxel size, and what its record says."""
    folder = ROOT / "weights/spots"
    model = open_model(folder, read_cards(folder, "spots")[0])
    volume = Volume(image, (1.0,) * image.ndim, "ZYX"[-image.ndim :], {"spacing_source": "assumed"})
    with gathered() as facts:
        points = predict({IMAGE.slug: volume}, model)["detected-points"]
    return points.array, f"{facts.words['spots']} -> {facts.words['marked']}"


def peers(image: Array, truth: Doubles) -> dict[str, Doubles]:
    """Return the places of other programs in an image of whole numbers."""
    light = image / max(image.max(), 1)
    every = blob_log(light, 1, 3, num_sigma=5, threshold=0.005)[:, :2]
    levels = gaussian_laplace(light, 1.5)[tuple(every.astype(int).T)] * -(1.5**2)
    answers = {
        "blob_log, defaults": blob_log(light)[:, :2],
        "blob_log, tuned on the image": highest(every, levels, truth),
    }
    if (trackpy := installed("trackpy")) is None:
        return answers
    trackpy.quiet()
    table = trackpy.locate(image, 7)
    answers["trackpy.locate, 7 px"] = places = table[["y", "x"]].to_numpy()
    answers["trackpy, tuned on the image"] = highest(places, table["mass"].to_numpy(), truth)
    return answers


def highest(places: Doubles, levels: Doubles, truth: Doubles) -> Doubles:
    """Return the places (N, 2) above the level (N,) that is best for the truth."""
    ends = np.quantile(levels, np.linspace(0, 0.999, 200)) if len(places) else [0.0]
    return max((places[levels >= end] for end in ends), key=lambda own: scored(truth, own)[0])


def scored(truth: Doubles, found: Doubles) -> tuple[float, float, float]:
    """Return F1, precision and recall within three pixels."""
    pairs = matched_points(truth, found, (1.0,) * truth.shape[1])
    return points_f1.of(pairs), points_precision.of(pairs), points_recall.of(pairs)


def real(folder: Path) -> None:
    """Print F1, precision and recall of all programs by kind of image: name up to its number."""
    kinds: dict[str, list[tuple[float, ...]]] = {}
    for path in sorted((folder / "images").glob("*.tif")):
        image = read(path).array
        table = folder / "points" / f"{path.stem}.csv"
        truth = np.loadtxt(table, delimiter=",", skiprows=1, ndmin=2)
        places, words = marked(image)  # compiles, too
        seconds = timed(partial(marked, image))[0]
        print(f"{path.stem}: {len(truth)} true, {words} marked, {seconds:.2f} s")
        ratio = re.search(r"_snr(\d+)_", path.stem)
        kind = f"known, ratio {ratio[1]}" if ratio else path.stem
        for name, found in {"spots": places, **peers(image, truth)}.items():
            kinds.setdefault(f"{kind} | {name}", []).append(scored(truth, found))
    for kind, rows in sorted(kinds.items()):
        print(f"| {kind} | {' | '.join(f'{value:.3f}' for value in np.nanmean(rows, axis=0))} |")


def main() -> None:
    """Print what is asked for."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    words = sys.argv[1:] or ["pairs"]
    if words[0] == "real":
        real(Path(words[1]))
    for name, run in (("curves", curves), ("pairs", pairs)):
        if name in words:
            run()


if __name__ == "__main__":
    main()
