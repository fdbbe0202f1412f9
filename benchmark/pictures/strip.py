"""Real and simulated stacks side by side, in three planes and at equal contrast."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.pictures.planes import PLANES, cut_at, limits, spatial
from benchmark.pictures.sheet import Row, views, write_sheet
from cytosuite.volume import Volume

SHOWN = 4  # stacks of each side
SIDE = 180  # px of the longest side of a stack

Stack = tuple[Volume, NDArray[np.integer]]


def strip(path: Path, real: Sequence[Stack], simulated: Sequence[Stack]) -> None:
    """Write a PNG with planes of real stacks above those of simulated ones.

    Parameters
    ----------
    path : Path
        Ends with ``.png``.
    real, simulated : sequence of (Volume, (Z, Y, X) integer array)
        Stacks with labels; four of each, evenly chosen. Grey values of all panels have the same
        limits, from the real stacks.
    """
    chosen = {"real": _chosen(real), "simulated": _chosen(simulated)}
    contrast = limits(np.concatenate([volume.array.ravel()[::7] for volume, _ in chosen["real"]]))
    rows: list[Row] = []
    for title, stacks in chosen.items():
        columns = [
            views(volume, SIDE, cut_at(spatial(volume)[0].shape, labels), contrast=contrast)
            for volume, labels in stacks
        ]
        rows += [
            (f"{title} {plane}", row)
            for plane, row in zip(PLANES, zip(*columns, strict=True), strict=False)
        ]
    write_sheet(path, rows)


def _chosen(stacks: Sequence[Stack]) -> list[Stack]:
    """Return stacks evenly chosen from few objects to many."""
    ordered = sorted(stacks, key=lambda pair: len(np.unique(pair[1])))
    places = np.unique(np.linspace(0, len(ordered) - 1, min(SHOWN, len(ordered))).astype(int))
    return [ordered[place] for place in places]
