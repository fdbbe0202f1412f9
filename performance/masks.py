"""Sampled masks beside held-out ones: rejected cells, sets, copies of training masks; a picture.

Usage: python performance/masks.py --train DIR... --held DIR... [--cells 1000] [--figure FILE]

DIR as `cytosuite simulate cells/... --out DIR` writes it. Sets: W1 / standard deviation of the
held-out cells, floor half against half of them. Copies: IoU of a whole cell with the nearest cell
of the training, centres of gravity on each other, over eight turns and mirror images.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from cytosuite.algorithms.masks.fields import draw, fields_of
from cytosuite.algorithms.masks.predict import Parameters
from cytosuite.apply import apply
from cytosuite.contract.manifest import parameters_of, read_card
from cytosuite.datasets.calibration.masks import compare, look
from cytosuite.formats import read
from cytosuite.formats.imagefiles import image_files
from cytosuite.formats.request import canvas_of
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Doubles, Floats

CARD = Path("weights/masks/cells-nuclei-2d.json")
TRUNCATIONS, SHARES = (1.0, 0.8), (0.0, 0.25, 0.5, 0.75, 1.0)
SLUGS = "sampled-cells", "sampled-nuclei"
HELD, REJECTED = "held out", "masks_rejected_"
WINDOW, STRIDE = 96, 2  # pixels around a cell, and between those that are compared
SHOWN = 208  # pixels of a picture

Bits = Floats
Made = tuple[list[Volume], Counter[str]]  # labels of cells, and counts


def stored(folders: Sequence[Path], name: str) -> list[Volume]:
    """Return the labels of folders."""
    return [read(path) for folder in folders for path in image_files(folder / name)]


def asked(seed: int, shape: Sequence[int], spacing: Sequence[float], **more: float) -> Any:  # noqa: ANN401
    """Return the masks of a seed."""
    request = {"seed": seed, "shape": [*shape], "spacing": [*spacing], **more}
    return apply("masks", canvas_of(request), model=CARD.stem)


def sampled(like: Sequence[Volume], cells: int, truncation: float) -> Made:
    """Return at least so many sampled cells, in as many images as others or more."""
    made: list[Volume] = []
    counts: Counter[str] = Counter()
    while counts["masks_cells"] < cells or len(made) < len(like):
        own = like[len(made) % len(like)]
        found = asked(len(made), own.shape, own.spacing, truncation=truncation)[SLUGS[0]]
        made.append(found)
        counts.update(found.metadata)
    return made, counts


def through_gates(cells: Sequence[Volume], nuclei: Sequence[Volume]) -> Counter[str]:
    """Return how many cells of labels the gates would reject, by reason, and of how many."""
    own = parameters_of(read_card(CARD), Parameters)
    counts: Counter[str] = Counter()
    for body, core in zip(cells, nuclei, strict=True):
        fields = fields_of(body.array, core.array, body.spacing, own.scale_um)
        drawn = draw(fields, body.spacing, own.gates.model_dump())
        counts.update({f"{REJECTED}{reason}": n for reason, n in drawn.rejected.items()})
        counts["masks_found"] += drawn.proposed
    return counts


def windows(labels: Iterable[Volume]) -> Bits:
    """Return the masks of whole cells, each in the middle of a window, (N, pixels) of 0 and 1."""
    found = []
    for array in (volume.array for volume in labels):
        wide = np.pad(array, WINDOW // 2)
        cut = np.concatenate([array[[0, -1]].ravel(), array[:, [0, -1]].ravel()])
        for number in np.setdiff1d(array, [*cut, 0]):
            y, x = (round(place) for place in ndimage.center_of_mass(array == number))
            own = wide[y : y + WINDOW : STRIDE, x : x + WINDOW : STRIDE] == number
            found.append(own.ravel())
    return np.array(found, np.float32)


def nearest(masks: Bits, known: Bits) -> Doubles:
    """Return the IoU of each mask with the nearest known one, turned and mirrored."""
    side, best = WINDOW // STRIDE, np.zeros(len(masks))
    area, areas = masks.sum(1), known.sum(1)
    for way in range(8):
        turned = np.rot90(masks.reshape(-1, side, side), way, (1, 2))
        turned = turned[:, ::-1] if way >= 4 else turned
        both = turned.reshape(len(masks), -1) @ known.T
        best = np.maximum(best, (both / (area[:, None] + areas - both)).max(1))
    return best


def figure(path: Path, spacing: Sequence[float]) -> None:
    """Write samples, the same nearer the mean, and a way from one seed to another."""
    colours = np.random.default_rng(3).integers(90, 250, (2**16, 3), np.uint8)
    colours[0], rows = 255, []
    wanted: list[list[dict[str, Any]]] = [
        [{"seed": n, "truncation": own} for n in range(len(SHARES))] for own in TRUNCATIONS
    ]
    for row in [*wanted, [{"seed": 0, "to": 1, "share": share} for share in SHARES]]:
        made = [asked(shape=(SHOWN, SHOWN), spacing=spacing, **request) for request in row]
        cells, nuclei = (np.stack([m[s].array for m in made]) for s in SLUGS)
        pictures = colours[cells] // np.where(nuclei > 0, 2, 1)[..., None]
        rows.append(np.concatenate(np.pad(pictures, ((0, 0), (3, 3), (3, 3), (0, 0))), 1))
    Image.fromarray(np.concatenate(rows).astype(np.uint8)).quantize(64).save(path, optimize=True)


def show(*cells: str | float) -> None:
    """Print a row of a table."""
    print("".join(f"{c:>18.3f}" if isinstance(c, float) else f"{c:>18}" for c in cells))


def main() -> None:
    """Print the tables and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, nargs="+", required=True)
    parser.add_argument("--held", type=Path, nargs="+", required=True)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    train, held = stored(given.train, "labels"), stored(given.held, "labels")
    nuclei = stored(given.held, "nucleus-labels")
    made = {t: sampled(held, given.cells, t) for t in TRUNCATIONS}
    sides = {HELD: (held, through_gates(held, nuclei))}
    sides |= {f"truncation {t:g}": own for t, own in made.items()}
    reasons = [key for key in sides[HELD][1] if key.startswith(REJECTED)]
    show("rejected, %", "found", "all", *(key.removeprefix(REJECTED) for key in reasons))
    for name, (_, counts) in sides.items():
        shares = [100 * counts[reason] / counts["masks_found"] for reason in reasons]
        show(name, counts["masks_found"], sum(shares), *shares)
    real = look(held)
    each = [compare(real, look(own, real.reach_um, real.shrinkage)) for own, _ in made.values()]
    show("W1 / sd", "floor", *[name for name in sides if name != HELD])
    for rows in zip(*each, strict=True):
        show(rows[0].name, rows[0].floor, *(row.distance for row in rows))
    known = windows(train)
    show(f"IoU, {len(known)} known", "cells", "median", "99 %", "most")
    for name, (cells, _) in sides.items():
        found = nearest(windows(cells), known)
        show(name, found.size, *np.quantile(found, [0.5, 0.99, 1]).tolist())
    if given.figure:
        figure(given.figure, held[0].spacing)


if __name__ == "__main__":
    main()
