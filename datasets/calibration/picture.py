"""Real and simulated stacks side by side, in three planes and at equal contrast."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cytosuite.files import atomic
from cytosuite.volume import Volume

SHOWN = 4  # stacks of each side
PLANES = ("XY", "XZ", "YZ")
LOW, HIGH = 0.05, 0.998  # quantiles of the real grey values that become black and white
GAMMA = 0.6  # dim objects beside bright ones


def strip(
    path: Path,
    real: Sequence[tuple[Volume, NDArray[np.integer]]],
    simulated: Sequence[tuple[Volume, NDArray[np.integer]]],
) -> None:
    """Write a PNG with slices of real stacks above slices of simulated ones.

    Parameters
    ----------
    path : Path
        Ends with ``.png``.
    real, simulated : sequence of (Volume, (Z, Y, X) integer array)
        Stacks with labels; four of each, evenly chosen. Slices are those with most
        labelled voxels. Grey values of all panels have the same limits, from the real stacks.
    """
    from matplotlib.figure import Figure

    sides = [("real", _chosen(real)), ("simulated", _chosen(simulated))]
    columns = max(len(chosen) for _, chosen in sides)
    pooled = np.concatenate([volume.array.ravel()[::7] for volume, _ in sides[0][1]])
    low, high = (float(value) for value in np.quantile(pooled, [LOW, HIGH]))
    figure = Figure(figsize=(2.2 * columns + 0.4, 2.2 * 2 * len(PLANES)), dpi=80)
    grid = figure.subplots(2 * len(PLANES), columns, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for side, (title, chosen) in enumerate(sides):
        for column, (volume, labels) in enumerate(chosen):
            for row, (plane, aspect) in enumerate(_slices(volume, labels)):
                axes = grid[side * len(PLANES) + row, column]
                grey = ((plane - low) / max(high - low, 1e-9)).clip(0, 1) ** GAMMA
                axes.imshow(grey, cmap="gray", vmin=0, vmax=1, aspect=aspect)
                axes.set_title(f"{title} {PLANES[row]}", fontsize=7, pad=2)
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.97, wspace=0.03, hspace=0.12)
    with atomic(path) as temporary:
        figure.savefig(temporary, metadata={"Software": None})


def _chosen(
    stacks: Sequence[tuple[Volume, NDArray[np.integer]]],
) -> list[tuple[Volume, NDArray[np.integer]]]:
    """Return stacks evenly chosen from few objects to many."""
    ordered = sorted(stacks, key=lambda pair: len(np.unique(pair[1])))
    places = np.unique(np.linspace(0, len(ordered) - 1, min(SHOWN, len(ordered))).astype(int))
    return [ordered[place] for place in places]


def _slices(volume: Volume, labels: NDArray[np.integer]) -> list[tuple[NDArray[np.float32], float]]:
    """Return the slices with most labelled voxels, with the aspect of their pixels."""
    middle = []
    for axis in range(3):
        labelled = np.count_nonzero(labels, axis=tuple({0, 1, 2} - {axis}))
        middle.append(int(labelled.argmax()) if labelled.any() else len(labelled) // 2)
    array = volume.array.astype(np.float32)
    z, y, x = volume.spacing
    return [
        (array[middle[0]], y / x),
        (array[:, middle[1]], z / x),
        (array[:, :, middle[2]], z / y),
    ]
