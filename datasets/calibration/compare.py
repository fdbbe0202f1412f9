"""Compare real with simulated images, property by property; lines on those that a fit misses."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from math import isfinite, nan
from typing import NamedTuple, TypeVar

import numpy as np

from cytosuite.datasets.calibration.measure import (
    OBJECT_STATISTICS,
    STATISTICS,
    VOLUME_STATISTICS,
    StackStatistics,
    finite_median,
    finite_or,
)
from cytosuite.figures.markdown import table_lines
from cytosuite.files import FloatDict, FloatMap, FloatPair, FloatTriple, TextMap
from cytosuite.metrics.known import known, ratio
from cytosuite.metrics.realism.arrangement import PROPERTIES
from cytosuite.metrics.realism.features import pooled_distances
from cytosuite.metrics.realism.spectrum import axial_spectra, lateral_spectra
from cytosuite.metrics.realism.wasserstein import transport
from cytosuite.volume.arrays import Columns, Doubles

Side = TypeVar("Side")  # images, or labels, and their statistics
Quantiles = FloatTriple  # 10 %, 50 % and 90 %; NaN where there is nothing

COMPARED = (
    *("volume_um3", "height_um", "width_um", "elongation", "flatness"),
    *("snr", "signal", "contrast", "texture", "neighbour_um"),
)
PER_STACK = ("objects", "noise", "halo", "glow", "brightness_spread", "edge_z_um", "edge_xy_um")
RELATIVE = {  # distances relative to the mean of the real values
    "grey_inside": "grey values in objects above dark, counts",
    "grey_outside": "grey values in background above dark, counts",
    **{name: f"per object: {OBJECT_STATISTICS[name]}" for name in COMPARED},
    **{f"stack_{name}": f"per stack: {VOLUME_STATISTICS[name]}" for name in PER_STACK},
}
RATIOS = STATISTICS["ratio"]
SPECTRA = STATISTICS["spectrum"]
PLACED = {f"placed_{name}": meaning for name, meaning in PROPERTIES.items()}
MEANINGS = RATIOS | SPECTRA | RELATIVE | PLACED
WORSE = 1.5  # times the distance between real stacks from which a fit counts as poor
# Distances of real stacks where no larger ones are known; arrangement: standard deviations.
LEAST = dict.fromkeys(RATIOS, 0.067) | dict.fromkeys(SPECTRA, 0.8) | dict.fromkeys(RELATIVE, 0.13)
APART = 0.2
UNFITTED = ("placed_valley", "placed_tilt_deg")  # properties that no parameter is fitted to
SPLITS, SEED = 8, 0  # ways to part the real stacks into halves


class Compared(NamedTuple):
    """A property of real, default and simulated images: quantiles, and distances from the real."""

    name: str
    meaning: str
    real: Quantiles
    before: Quantiles
    after: Quantiles
    floor: float  # distance of real stacks among each other
    distance_before: float
    distance: float


def relative_distance(real: Doubles, simulated: Doubles) -> float:
    """Return ``W1(real, simulated) / W1(real, 0)`` of positive numbers: 0 alike, 1 as nothing.

    The normalised Wasserstein distance of Bruch et al. (2023), doi:10.1371/journal.pone.0283828.
    """
    sides = [values[np.isfinite(values)] for values in (real, simulated)]
    return ratio(transport(*sides).distance, known(np.abs(sides[0])))


def compare(
    real: StackStatistics, before: StackStatistics | None, after: StackStatistics
) -> list[Compared]:
    """Return the properties of real stacks, of the simulator's defaults, and of a fit."""
    parts = [list(map(real.part, two)) for two in halves(len(real.images))]
    pairs = [pair for two in parts for pair in (two, two[::-1])]
    values = partial(_values, dark=_dark(real))
    return compared(MEANINGS, (real, before, after), values, _distances, pairs)


def compared(
    meanings: TextMap,
    sides: tuple[Side, Side | None, Side],
    values: Callable[[Side], Columns],
    distances: Callable[[Side, Side], FloatMap],
    pairs: Iterable[Sequence[Side]],
) -> list[Compared]:
    """Return rows of real, default and simulated images, and of the distances in pairs of parts."""
    shown = [values(side) if side else {} for side in sides]
    earlier, later = (distances(sides[0], side) if side else {} for side in sides[1:])
    between = [distances(*pair) for pair in pairs]
    rows = []
    for name in (name for name in meanings if name in later):
        real, before, after = (quantiles(side.get(name, np.zeros(0))) for side in shown)
        floor = finite_median(np.array([distance[name] for distance in between]))
        moved = earlier.get(name, nan), later[name]
        rows.append(Compared(name, meanings[name], real, before, after, floor, *moved))
    return rows


def _dark(real: StackStatistics) -> float:
    """Return the grey value without light."""
    dark = real.median("offset")
    return dark if isfinite(dark) else float(np.quantile(real.outside, 0.001))


def _values(side: StackStatistics, dark: float) -> Columns:
    """Return the values of every property that has some."""
    greys = {"grey_inside": side.inside - dark, "grey_outside": side.outside - dark}
    ratios = {"size": side.objects["volume_um3"], "number": side.volumes["objects"]}
    stacks = {f"stack_{name}": values for name, values in side.volumes.items()}
    placed = {
        f"placed_{name}": np.concatenate([table[name] for table in side.arrangements])
        for name in PROPERTIES
    }
    return greys | ratios | side.objects | stacks | placed


def _distances(real: StackStatistics, other: StackStatistics) -> FloatDict:
    """Return distances by property; a threshold has a rule of its own, and no arrangement."""
    mine, theirs = (_values(side, _dark(real)) for side in (real, other))
    arrangements = real.arrangements, other.arrangements
    placed = pooled_distances(arrangements, PROPERTIES) if real.annotated else {}
    volumes = finite_median(theirs["size"]) / finite_median(mine["size"])
    with np.errstate(divide="ignore", invalid="ignore"):
        numbers = theirs["number"].mean() / mine["number"].mean()
    return {
        "size": abs(volumes - 1),
        "number": float(abs(numbers - 1)),
        "lateral_db": lateral_spectra(real.images, other.images).distance,
        "axial_db": axial_spectra(real.images, other.images).distance,
        **{name: relative_distance(mine[name], theirs[name]) for name in RELATIVE},
        **{f"placed_{name}": distance for name, distance in placed.items()},
    }


def likeness(rows: Sequence[Compared]) -> FloatPair:
    """Return 1 - mean relative distance before and after, of rows with both or only the latter."""
    finite = [row for row in rows if row.name in RELATIVE and isfinite(row.distance)]
    both = [row for row in finite if isfinite(row.distance_before)]
    before = 1 - float(np.mean([row.distance_before for row in both])) if both else nan
    return before, 1 - float(np.mean([r.distance for r in both or finite])) if finite else nan


def as_text(rows: Sequence[Compared]) -> str:
    """Return a Markdown table: quantiles 10 / 50 / 90 %, distances with 2 decimals."""
    heads = (
        *("property", "real", "before", "after"),
        *("real halves", "distance before", "distance after"),
    )
    cells = []
    for row in rows:
        spreads = [" / ".join(f"{value:.3g}" for value in part) for part in row[2:5]]
        cells.append([row.meaning, *spreads, *(f"{value:.2f}" for value in row[5:])])
    return "\n".join(table_lines(heads, cells))


def facts_of(statistics: StackStatistics) -> dict[str, object]:
    """Return the 10 %, 50 % and 90 % quantiles of all statistics."""
    return {
        "stacks": len(statistics.volumes["objects"]),
        "annotated": statistics.annotated,
        "notes": statistics.notes,
        "per_stack": {key: quantiles(values) for key, values in statistics.volumes.items()},
        "per_object": {key: quantiles(values) for key, values in statistics.objects.items()},
    }


def quantiles(values: Doubles) -> Quantiles:
    """Return 10 %, 50 % and 90 % quantiles of finite values."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return nan, nan, nan
    low, middle, high = np.quantile(finite, [0.1, 0.5, 0.9])
    return float(low), float(middle), float(high)


def halves(count: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield ways to part stacks into halves, none for fewer than 4."""
    rng = np.random.default_rng(SEED)
    for _ in range(SPLITS if count >= 4 else 0):
        order = rng.permutation(count).tolist()
        yield order[: count // 2], order[count // 2 :]


def poor(rows: Iterable[Compared]) -> list[str]:
    """Return lines on the properties that a fit misses, the worst first; none for a good one."""
    misses = []
    for row in rows:
        limit = WORSE * max(finite_or(row.floor), LEAST.get(row.name, APART))
        if row.distance > limit:
            medians = f"median {row.after[1]:.2g}, {row.real[1]:.2g} in real stacks, "
            misses.append(
                (
                    row.distance / limit,
                    f"{row.meaning}: {medians if isfinite(row.real[1]) else ''}{row.distance:.2f} "
                    f"off, {limit:.2f} are allowed"
                    + (" (no parameter is fitted to it)" if row.name in UNFITTED else ""),
                )
            )
    return [line for _, line in sorted(misses, reverse=True)]
