"""Simulated planes of cells as microscopes show them, a set for trainings of whole cells.

Usage: python performance/looks.py FOLDER

`cells-with-nuclei-2d` 0.2.0 and `stained-cells-2d` 0.1.0 of cellpose3d learned from it.

Simulates the sets of `looks.toml` and writes FOLDER/images (cytoplasm, nuclei) and FOLDER/labels:
each plane as it is and with two other looks.
What no recipe draws is added here, each to a share of the planes: cells that are thin at their
border, light around nuclei, nuclei darker or brighter than their cell, nucleoli, granules, cells of
several times the light, haze, stains in the channel of the other, channels apart, uneven light,
dust, mottled ground, and no stain of nuclei at all.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage

from cytosuite.datasets import simulate
from cytosuite.files import Entries, read_toml
from cytosuite.formats import write
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Integers, Reals, Rng
from cytosuite.volume.objects import objects_in

LOOKS = (0, 5, 6)  # seeds of the looks that each plane gets; 0: as it is simulated
OFFSET = 100.0  # counts in the dark of all recipes
THIN = (0.75, 0.1)  # share of planes whose cells are thin at the border; of those with membranes
DARK = 0.12  # share of planes without a stain of nuclei


def main(folder: Path) -> None:
    """Simulate all sets and write their planes with other looks."""
    recipes = read_toml(Path(__file__).with_suffix(".toml"))
    for number, (name, image, truth) in enumerate(_planes(recipes)):
        for look in LOOKS:
            both = image.array
            if look:
                rng = np.random.default_rng([look, number])
                cytoplasm, nuclei = np.maximum(both - np.float32(OFFSET), -20)
                thin = THIN[bool(recipes[name].get("membranes"))]
                plane = _look(rng, cytoplasm, nuclei, truth.array, thin)
                both = np.clip(plane * 8 + 800, 0, 65535).astype(np.uint16)
            file = f"{name}_{number:03d}_{look}.tif"
            facts = {"channels": "cytoplasm, nuclei"}
            write(folder / "images" / file, Volume(both, truth.spacing, "CYX", facts))
            write(folder / "labels" / file, truth)


def _planes(recipes: Entries) -> Iterator[tuple[str, Volume, Volume]]:
    """Yield the set, the image of two channels and the labels of each plane."""
    for name, entries in sorted(recipes.items()):
        sections = {key: values for key, values in entries.items() if isinstance(values, dict)}
        sections["shown"] = {"image": "both", "target": "cells"}
        settings = [
            f"{section}.{key}={value}"
            for section, values in sections.items()
            for key, value in values.items()
        ]
        recipe, cases, seed = entries["recipe"], entries["cases"], entries["seed"]
        for sample in simulate(f"cells/{recipe}", cases, seed=seed, settings=settings):
            yield name, sample.volume("microscopy-image"), sample.volume("instance-labels")


def _look(rng: Rng, cytoplasm: Reals, nuclei: Reals, labels: Integers, thin: float) -> Reals:
    """Return both channels (2, Y, X) with another look; counts above the dark."""
    inside = labels > 0
    ground = np.median(cytoplasm[~inside]) if np.count_nonzero(~inside) > 500 else 0
    light = np.where(inside, cytoplasm - ground, 0)
    rest = cytoplasm - light
    bright = max(float(np.percentile(nuclei, 99.5)), 1.0)
    cores = _blurred(np.maximum(nuclei, 0) / bright, 1.5)
    light = _of_cells(rng, light, cores, labels, thin)
    if rng.random() < 0.5:  # haze
        light = light + rng.uniform(0, 0.9) * _blurred(light, rng.uniform(8, 40))
    elif rng.random() < 0.5:
        light = light + rng.uniform(0.2, 1) * _blurred(light, rng.uniform(2, 6))
    cytoplasm, scale = rest + light, max(float(np.percentile(light, 98)), 1.0)
    if rng.random() < 0.2:
        cytoplasm = cytoplasm + rng.uniform(0.1, 0.9) * scale * cores
    if rng.random() < 0.2:
        nuclei = nuclei + rng.uniform(0.05, 0.4) * cytoplasm * bright / scale
    if rng.random() < 0.25:
        nuclei = ndimage.shift(nuclei, rng.uniform(-4, 4, 2), order=1, mode="nearest")
    if rng.random() < 0.35:
        cytoplasm = _dusty(rng, cytoplasm, scale)
    if rng.random() < 0.4:  # mottled ground
        waves = [_noise(rng, labels, wide) * rng.uniform(0, 1) for wide in (3, 8, 20, 45)]
        mottle = np.sum(waves, 0) / np.std(np.sum(waves, 0))
        cytoplasm = cytoplasm + rng.uniform(0.02, 0.7) * scale
        cytoplasm = cytoplasm * np.clip(1 + rng.uniform(0.01, 0.12) * mottle, 0.2, None)
    cytoplasm = cytoplasm + rng.normal(0, 1, labels.shape) * rng.uniform(0, 0.02) * scale
    return np.stack([cytoplasm, np.zeros_like(nuclei) if rng.random() < DARK else nuclei])


def _of_cells(rng: Rng, light: Reals, cores: Reals, labels: Integers, thin: float) -> Reals:
    """Return the light of cells with other insides; `cores` are nuclei, 0 to about 1."""
    if labels.any() and rng.random() < thin:
        least = rng.uniform(0.1, 0.6)
        light = light * (least + (1 - least) * _depth(labels) ** rng.uniform(0.3, 1.2))
    if rng.random() < 0.5:  # light around nuclei
        light = light * (1 + rng.uniform(0.5, 3) * _blurred(cores, rng.uniform(4, 14)))
    if rng.random() < 0.5:
        nucleus = np.clip(cores * 1.6, 0, 1)
        light = light * (1 + nucleus * (np.exp(rng.uniform(-1, 0.9)) - 1))
        if rng.random() < 0.6:
            nucleoli = (rng.random(labels.shape) < 0.006) * nucleus
            wide = rng.uniform(0.9, 2.2)
            light = light * (1 + _dots(nucleoli, wide) * rng.uniform(0.3, 1.5))
    if rng.random() < 0.5:
        light = light * np.exp(rng.uniform(0.05, 0.35) * _noise(rng, labels, rng.uniform(0.8, 5)))
    if rng.random() < 0.15:  # granules
        places = rng.random(labels.shape) < rng.uniform(0.0005, 0.006)
        light = light + _dots(places * light, rng.uniform(0.8, 2.5)) * np.exp(rng.uniform(-1, 1.4))
    if rng.random() < 0.4:  # some cells of several times the light
        factors = np.exp(rng.normal(0, rng.uniform(0, 0.35), int(labels.max()) + 1))
        factors[rng.random(len(factors)) < 0.04] *= rng.uniform(2, 7)
        light = light * _blurred(factors[labels], 0.7)
    return light


def _dusty(rng: Rng, image: Reals, scale: float) -> Reals:
    """Return an image in uneven light, through specks and rings of dust."""
    height, width = image.shape
    y, x = np.mgrid[:height, :width]
    middle = rng.uniform(0.2, 0.8, 2) * (height, width)
    away = ((y - middle[0]) / height) ** 2 + ((x - middle[1]) / width) ** 2
    passed = 1 - rng.uniform(0.2, 1.4) * away
    for _ in range(rng.integers(0, 9)):
        far = np.hypot(y - rng.uniform(0, height), x - rng.uniform(0, width))
        radius, ring = rng.uniform(3, 22), rng.random() < 0.6
        shape = np.exp(-(((far - radius) / 3) ** 2))
        speck = shape if ring else 1 / (1 + np.exp((far - radius) / 1.5))
        passed = passed - rng.uniform(0.05, 0.6) * speck
    lit: Reals = (image + rng.uniform(0, 0.6) * scale) * np.clip(passed, 0.1, None)
    return lit


def _depth(labels: Integers) -> Reals:
    """Return how far a pixel lies from the border of its cell, 1 in the cell's middle."""
    depth = np.zeros(labels.shape, np.float32)
    for _, box, cell in objects_in(labels):
        far = ndimage.distance_transform_edt(np.pad(cell, 1))[1:-1, 1:-1]
        depth[box][cell] = far[cell] / far.max()
    return depth


def _noise(rng: Rng, labels: Integers, wide: float) -> Reals:
    """Return smooth noise of standard deviation 1."""
    noise = _blurred(rng.standard_normal(labels.shape, dtype=np.float32), wide)
    noise /= noise.std()
    return noise


def _dots(places: Reals, wide: float) -> Reals:
    """Return Gaussian dots as high as the values at their places."""
    return _blurred(places, wide) * np.float32(2 * np.pi * wide**2)


def _blurred(image: Reals, wide: float) -> Reals:
    blurred: Reals = ndimage.gaussian_filter(image, wide)
    return blurred


if __name__ == "__main__":
    main(Path(sys.argv[1]))
