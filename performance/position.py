"""Brightness against depth: real volumes beside those that models make of their labels.

Usage: python performance/position.py --data DIR... --names PATTERN --figure FILE
       TITLE=CARD[:STEPS]...

Brightness of a nucleus is its mean above the background, over that of the median nucleus of its
volume; depth counts from the first plane with nuclei. Prints the slope of the logarithm, its
correlation with the real nuclei, means by depth, and how well the shallow half of the nuclei is
told from the deep one by a patch around each: AUC (0.5 by chance) of its mean, its contrast
(standard deviation over mean) and its grain (share of light that a Gaussian of one voxel takes).
Nuclei below 100 voxels do not count. Figure: means of bins, a dot per volume.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from annotations import Row, figure
from numpy.typing import NDArray
from scipy import ndimage, stats
from synthesisers import Pair, opened, pairs

from cytosuite.algorithms.diffusion.predict import LABELS, MADE, predict
from cytosuite.volume.arrays import Doubles, Integers

LEAST = 100  # voxels of a nucleus
EDGES = (0, 15, 25, 35, 45, 55, 75)  # µm below the top
PATCH = (4, 8, 8)  # voxels z, y, x on either side of a nucleus' centre
STATISTICS = ("mean", "contrast", "grain")
BELOW, BESIDE = "depth below the top of the embryo, µm", "brightness of nuclei, median 1"


class Nuclei(NamedTuple):
    """Nuclei of a volume, in one order for all images of the same labels."""

    depth: Doubles  # (N,) µm below the first plane with nuclei
    bright: Doubles  # (N,) logarithm of the brightness over that of the median nucleus
    patches: Doubles  # (N, 3) `STATISTICS` of the surroundings


def measured(image: NDArray[np.generic], labels: Integers, step: float) -> Nuclei:
    """Return the nuclei of a volume (Z, Y, X) with planes `step` µm apart."""
    numbers = np.flatnonzero(np.bincount(labels.ravel())[1:] >= LEAST) + 1
    light = image.astype(np.float64)
    light -= np.median(light[labels == 0])
    means = np.maximum(ndimage.mean(light, labels, numbers), 1e-6)
    centres = np.array(ndimage.center_of_mass(labels > 0, labels, numbers)).reshape(-1, 3)
    top = np.flatnonzero((labels > 0).any((1, 2)))[0]
    grains = np.abs(light - ndimage.gaussian_filter(light, 1.0, mode="nearest"))
    found = []
    for centre in np.rint(centres).astype(int):
        box = tuple(slice(max(0, at - r), at + r) for at, r in zip(centre, PATCH, strict=True))
        mean = max(float(light[box].mean()), 1e-6)
        found.append([mean / np.median(means), light[box].std() / mean, grains[box].mean() / mean])
    patches = np.array(found).reshape(-1, len(STATISTICS))
    return Nuclei(step * (centres[:, 0] - top), np.log(means / np.median(means)), patches)


def told_apart(nuclei: Nuclei) -> list[float]:
    """Return the share of pairs in which each statistic is higher of the shallow nucleus."""
    deep = nuclei.depth > np.median(nuclei.depth)
    sides = ((values[~deep], values[deep]) for values in nuclei.patches.T)
    return [float(stats.mannwhitneyu(*own).statistic) / own[0].size / own[1].size for own in sides]


def bins(nuclei: Nuclei) -> dict[int, float]:
    """Return the geometric mean of the brightness by the middle of its bin of depth."""
    own = [
        (low, high, (nuclei.depth >= low) & (nuclei.depth < high)) for low, high in pairwise(EDGES)
    ]
    return {(a + b) // 2: float(np.exp(nuclei.bright[i].mean())) for a, b, i in own if i.any()}


def table(sets: Mapping[str, Sequence[Nuclei]]) -> str:
    """Return slope, correlation, areas and brightness by depth as Markdown; real is the first."""
    whole = {n: Nuclei(*map(np.concatenate, zip(*own, strict=True))) for n, own in sets.items()}
    head = ["volumes", "nuclei", "ln(brightness) per 10 µm", "correlation with real"]
    head += [f"AUC of {name}" for name in STATISTICS]
    lines = [[*head, *(f"{middle} µm" for middle in bins(whole["real"]))]]
    lines.append(["---"] * len(lines[0]))
    for name, own in whole.items():
        slope = 10 * float(np.polyfit(own.depth, own.bright, 1)[0])
        agree = float(np.corrcoef(own.bright, whole["real"].bright)[0, 1])
        row = [name, f"{own.depth.size}", f"{slope:.3f}", f"{agree:.2f}"]
        lines.append([*row, *(f"{n:.2f}" for n in (*told_apart(own), *bins(own).values()))])
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def nuclei_of(items: Sequence[Pair], card: str = "") -> list[Nuclei]:
    """Return the nuclei of real volumes, or of those that a model makes of their labels."""
    model, found = opened(card) if card else None, []
    for _, image, labels in items:
        own = image if model is None else predict({LABELS: labels}, model)[MADE]
        found.append(measured(own.array, labels.array, labels.spacing[0]))
    return found


def main() -> int:
    """Print the table and write the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("models", nargs="+", metavar="TITLE=CARD[:STEPS]")
    add("--data", type=Path, nargs="+", required=True)
    add("--names", default="*")
    add("--figure", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    items = pairs(given.data, (given.names, 1))
    sets = {"real": nuclei_of(items)}
    for title, _, card in (text.partition("=") for text in given.models):
        sets[title] = nuclei_of(items, card)
    print(table(sets))
    volumes = ((name, *own) for name, parts in sets.items() for own in enumerate(parts))
    rows = [
        Row(n, z, k, 0, bright, 0.0) for n, k, own in volumes for z, bright in bins(own).items()
    ]
    given.figure.write_text(figure(rows, sets, BELOW, BESIDE, log=False), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
