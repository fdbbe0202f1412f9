"""Judge the calibration on stacks that it has not seen: fit on some, compare with the others.

Usage: python performance/calibration.py FOLDER PATTERN [RECIPE ...]

Stacks are sorted by their number of objects; every other one, from the first, is fitted, the rest
judge. Recipes given as files are judged too, as they are, by the same stacks and seeds.
"""

import sys
import tempfile
import tomllib
from pathlib import Path

import numpy as np

from cytosuite.datasets.calibration.calibrate import calibrate, simulator
from cytosuite.datasets.calibration.fit import draw
from cytosuite.datasets.calibration.measure import StackStatistics, measure
from cytosuite.datasets.calibration.realism import realism
from cytosuite.datasets.folder.collect import collect
from cytosuite.datasets.folder.load import load
from cytosuite.formats import write
from cytosuite.volume import Volume

DRAWS, SEED = 24, 5_000_000
QUARTERS = 4

Stacks = list[tuple[Volume, np.ndarray]]


def stacks_of(folder: Path, pattern: str) -> Stacks:
    """Return the annotated stacks of a folder by their number of objects."""
    samples = [load(item) for item in collect(folder).items if Path(item.name).match(pattern)]
    stacks = [(s.volume("microscopy-image"), s.volume("instance-labels").array) for s in samples]
    return sorted(stacks, key=lambda stack: int(stack[1].max()))


def fitted(stacks: Stacks, folder: Path) -> Path:
    """Return the recipe that is fitted to stacks."""
    for number, (image, labels) in enumerate(stacks):
        write(folder / "real" / "images" / f"{number:02d}.tif", image)
        write(folder / "real" / "labels" / f"{number:02d}.tif", Volume(labels, image.spacing))
    return calibrate("spheroid", folder / "real", folder / "fitted.toml", say=print)


def depth_profile(stacks: Stacks) -> str:
    """Return the light in objects above the background by quarter of depth, mean over stacks."""
    rows = []
    for image, labels in stacks:
        above = image.array - float(np.median(image.array[labels == 0]))
        quarters = np.array_split(np.arange(len(labels)), QUARTERS)
        parts = [above[part][labels[part] > 0] for part in quarters]
        rows.append([part.mean() if part.size else np.nan for part in parts])
    return " ".join(f"{value:.0f}" for value in np.nanmean(rows, axis=0))


def judged(name: str, test: Stacks, measured: StackStatistics, other: Stacks) -> list[str]:
    """Return a row of the table."""
    images = [image for image, _ in other]
    found, _ = realism(([image for image, _ in test], measured), (images, measure(other)))
    return [name, *(f"{value:.2f}" for value in found), depth_profile(other)]


def main(folder: Path, pattern: str, recipes: list[str]) -> None:
    """Print the table."""
    stacks = stacks_of(folder, pattern)
    train, test = stacks[::2], stacks[1::2]
    measured = measure(test)
    rows = [judged("real against other real", test, measured, train)]
    with tempfile.TemporaryDirectory() as name:
        paths = [fitted(train, Path(name)), *map(Path, recipes)]
        for path in paths:
            parameters = tomllib.loads(path.read_text(encoding="utf-8"))["parameters"]
            simulated, _ = draw(simulator("spheroid"), parameters, range(SEED, SEED + DRAWS))
            rows.append(judged(path.stem, test, measured, simulated))
    head = ["stacks", "similarity", "lateral dB", "axial dB", "W1 / std", "size", "number"]
    for row in [[*head, "light by quarter of depth"], *rows]:
        print(" | ".join(row))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
