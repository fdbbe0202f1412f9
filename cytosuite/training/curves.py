"""The course of a training: losses, scores and images by step, as pictures and for the card."""

import csv
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path

import numpy as np
from PIL import Image

from cytosuite.figures.curves import Curve, plots
from cytosuite.files import atomic, write_text
from cytosuite.volume.arrays import Bytes

POINTS = 8  # of a curve in a card
_COSTS = ("rate", "seconds")  # columns of the log that are no loss


def read_curves(path: Path) -> dict[str, Curve]:
    """Return the finite values in a `progress.Log` by curve; none where there is no file."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    names = [name for name in (rows[0] if rows else ()) if name not in ("step", *_COSTS)]
    return {
        name: {int(r["step"]): float(r[name]) for r in rows if isfinite(float(r[name]))}
        for name in names
    }


def thinned(curve: Curve) -> dict[str, float]:
    """Return a few points of a curve, evenly over its steps, the last among them.

    >>> thinned({step: step / 10 for step in range(1, 25)})
    {'3': 0.3, '6': 0.6, '9': 0.9, '12': 1.2, '15': 1.5, '18': 1.8, '21': 2.1, '24': 2.4}
    """
    points = list(curve.items())
    every = -(-len(points) // POINTS) or 1
    return {str(step): value for step, value in points[::-1][::every][::-1]}


def draw_curves(parts: Sequence[Mapping[str, Curve]], path: Path) -> None:
    """Write plots of named curves below each other as SVG."""
    write_text(path, plots([("", curves) for curves in parts], "step"))


def draw_picture(picture: Bytes, path: Path) -> None:
    """Write a (H, W) or (H, W, 3) picture as PNG."""
    with atomic(path) as temporary:
        Image.fromarray(np.ascontiguousarray(picture)).save(temporary, format="PNG")
