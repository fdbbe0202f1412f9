"""Sampled masks beside held-out ones: rejected cells, sets, copies of training masks; a picture.

Usage: python performance/masks.py --train DIR... --held DIR... [--cells 1000] [--figure FILE]

DIR as `cytosuite simulate cells/... --out DIR` writes it. Sets: W1 / standard deviation of the
held-out cells, floor half against half of them. Copies: IoU of a whole cell with the nearest cell
of the training, centres of gravity on each other, over eight turns and mirror images.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from cytosuite.algorithms.masks.fields import draw, fields_of
from cytosuite.algorithms.masks.predict import Parameters
from cytosuite.apply import apply
from cytosuite.contract.manifest import parameters_of, read_card
from cytosuite.datasets.calibration.masks import compared, look
from cytosuite.formats import read
from cytosuite.formats.imagefiles import image_files
from cytosuite.formats.request import canvas_of
from cytosuite.volume import Volume

CARD = Path("weights/masks/cells-nuclei-2d.json")
TRUNCATIONS = (1.0, 0.5)
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
HELD = "held out"
WINDOW, STRIDE = 96, 2  # pixels around a cell, and between those that are compared
SHOWN = 208  # pixels of a picture
SKIP = {"turn_deg", "radius"}  # directions of a simulated culture are its own, middles chance

Bits = NDArray[np.float32]


class Set(NamedTuple):
    """Labels of cells and nuclei, and how many cells were rejected."""

    cells: list[Volume]
    nuclei: list[Volume]
    rejected: Counter[str]

    @property
    def count(self) -> int:
        """Cells in all images."""
        return sum(int(own.array.max()) for own in self.cells)


def stored(folders: Iterable[Path]) -> Set:
    """Return the labels of folders."""
    cells, nuclei = (
        [read(path) for folder in folders for path in image_files(folder / name)]
        for name in ("labels", "nucleus-labels")
    )
    return Set(cells, nuclei, Counter())


def asked(seed: int, like: Volume, **more: float) -> dict[str, Volume]:
    """Return the masks of a seed on the grid of an image, of a shape where it is given."""
    request = {"seed": seed, "shape": list(like.shape), "spacing": list(like.spacing)}
    return dict(apply("masks", canvas_of({**request, **more}), model=CARD.stem))


def sampled(like: Sequence[Volume], cells: int, truncation: float) -> Set:
    """Return at least so many sampled cells, in images like others."""
    found = Set([], [], Counter())
    while found.count < cells or len(found.cells) < len(like):
        seed = len(found.cells)
        made = asked(seed, like[seed % len(like)], truncation=truncation)
        found.cells.append(made["sampled-cells"])
        found.nuclei.append(made["sampled-nuclei"])
        facts = made["sampled-cells"].metadata
        start = "masks_rejected_"
        found.rejected.update(
            {key.removeprefix(start): int(n) for key, n in facts.items() if key.startswith(start)}  # type: ignore[arg-type]
        )
    return found


def through_gates(held: Set) -> Counter[str]:
    """Return the cells of labels that would be rejected, by reason."""
    own = parameters_of(read_card(CARD), Parameters)
    rejected: Counter[str] = Counter()
    for cells, nuclei in zip(held.cells, held.nuclei, strict=True):
        fields = fields_of(cells.array, nuclei.array, cells.spacing, own.scale_um)
        rejected.update(draw(fields, cells.spacing, own.gates.model_dump()).rejected)
    return rejected


def windows(labels: Iterable[Volume]) -> Bits:
    """Return the masks of whole cells, each in the middle of a window, (N, pixels) of 0 and 1."""
    half, found = WINDOW // 2, []
    for volume in labels:
        wide = np.pad(volume.array, half)
        for number, box in enumerate(ndimage.find_objects(volume.array), start=1):
            faces = zip(box or (), volume.shape, strict=bool(box))
            if box is None or any(part.start == 0 or part.stop == n for part, n in faces):
                continue
            middle = ndimage.center_of_mass(volume.array[box] == number)
            y, x = (part.start + round(place) for part, place in zip(box, middle, strict=True))
            own = wide[y : y + WINDOW : STRIDE, x : x + WINDOW : STRIDE] == number
            found.append(own.ravel())
    return np.array(found, np.float32)


def nearest(masks: Bits, known: Bits) -> NDArray[np.float64]:
    """Return the IoU of each mask with the nearest known one, turned and mirrored."""
    side, best = WINDOW // STRIDE, np.zeros(len(masks))
    area, areas = masks.sum(1), known.sum(1)
    for way in range(8):
        turned = np.rot90(masks.reshape(-1, side, side), way, (1, 2))
        turned = turned[:, ::-1] if way >= 4 else turned
        both = turned.reshape(len(masks), -1) @ known.T
        best = np.maximum(best, (both / (area[:, None] + areas - both)).max(1))
    return best


def drawn(made: dict[str, Volume], colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return cells in colours, their nuclei darker."""
    cells, nuclei = made["sampled-cells"].array, made["sampled-nuclei"].array
    picture = colours[cells]
    return np.where((nuclei > 0)[..., None], picture // 2, picture).astype(np.uint8)


def figure(path: Path, like: Volume) -> None:
    """Write samples, the same nearer the mean, and a way from one seed to another."""
    colours = np.random.default_rng(3).integers(90, 250, (2**16, 3), np.uint8)
    colours[0] = 255
    small = replace(like, array=np.zeros((SHOWN, SHOWN), np.uint8))
    seeds: list[list[dict[str, Any]]] = [
        [{"seed": n, "truncation": truncation} for n in range(len(SHARES))]
        for truncation in TRUNCATIONS
    ]
    seeds.append([{"seed": 0, "to": 1, "share": share} for share in SHARES])
    rows = []
    for row in seeds:
        pictures = [drawn(asked(like=small, **own), colours) for own in row]
        rows.append(np.concatenate([np.pad(p, ((3, 3), (3, 3), (0, 0))) for p in pictures], 1))
    Image.fromarray(np.concatenate(rows)).quantize(64).save(path, optimize=True)


def main() -> None:
    """Print the tables and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, nargs="+", required=True)
    parser.add_argument("--held", type=Path, nargs="+", required=True)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    train, held = stored(given.train), stored(given.held)
    if given.figure:
        figure(given.figure, held.cells[0])
    made = {t: sampled(held.cells, given.cells, t) for t in TRUNCATIONS}
    sides = {HELD: held._replace(rejected=through_gates(held))}
    sides |= {f"truncation {t:g}": own for t, own in made.items()}
    reasons = sorted(set(chain(*(own.rejected for own in sides.values()))))
    show("rejected, %", "cells", "all", *reasons)
    for name, own in sides.items():
        total = own.count + (0 if own is sides[HELD] else own.rejected.total())
        shares = [100 * own.rejected[reason] / total for reason in reasons]
        show(name, total, sum(shares), *shares)
    real = look(held.cells)
    each = [compared(real, look(own.cells, real.reach_um, real.shrinkage)) for own in made.values()]
    show("W1 / sd", "floor", *[f"truncation {t:g}" for t in made])
    for rows in zip(*each, strict=True):
        if rows[0].name not in SKIP:
            show(rows[0].name, rows[0].floor, *(row.distance for row in rows))
    known = windows(train.cells)
    show(f"IoU with the nearest of {len(known)}", "cells", "median", "99 %", "most")
    for name, own in sides.items():
        found = nearest(windows(own.cells), known)
        show(name, found.size, *np.quantile(found, [0.5, 0.99, 1]).tolist())


def show(*cells: str | float) -> None:
    """Print a row of a table."""
    print("".join(f"{c:>18.3f}" if isinstance(c, float) else f"{c:>18}" for c in cells))


if __name__ == "__main__":
    main()
