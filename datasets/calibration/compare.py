"""Compare real with simulated images before and after a calibration: a table of scores."""

from collections.abc import Mapping, Sequence
from math import isfinite, nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytosuite.datasets.calibration.measure import (
    OBJECT_STATISTICS,
    VOLUME_STATISTICS,
    StackStatistics,
)
from cytosuite.metrics.realism.wasserstein import transport

Floats = NDArray[np.float64]
Quantiles = tuple[float, float, float]  # 10 %, 50 % and 90 %; NaN where there is nothing

COMPARED = (
    *("volume_um3", "height_um", "width_um", "elongation", "flatness"),
    *("snr", "signal", "contrast", "texture", "neighbour_um"),
)
PER_STACK = ("objects", "noise", "halo", "glow", "brightness_spread", "edge_z_um", "edge_xy_um")


class Row(NamedTuple):
    """One property of images, real and simulated: meaning with unit, quantiles, `similarity`."""

    name: str
    meaning: str
    real: Quantiles
    before: Quantiles
    after: Quantiles
    score_before: float
    score_after: float


def similarity(real: Floats, simulated: Floats) -> float:
    """Return the similarity of two samples of positive numbers.

    Parameters
    ----------
    real, simulated : (N,) and (M,) float array
        NaN is left out.

    Returns
    -------
    float
        ``1 - W1(real, simulated) / W1(real, 0)``: 1 for equal distributions, 0 as far away as
        nothing at all, below 0 farther still. NaN without values, or if the real ones are all 0.

    References
    ----------
    The normalised Wasserstein distance of Bruch et al., PLoS ONE 18 (2023),
    doi:10.1371/journal.pone.0283828.

    Examples
    --------
    >>> similarity(np.array([4.0, 6.0]), np.array([5.0, 7.0]))
    0.8
    """
    sides = [values[np.isfinite(values)] for values in (real, simulated)]
    if not all(side.size for side in sides):
        return nan
    scale = float(np.abs(sides[0]).mean())
    return 1 - transport(*sides).distance / scale if scale > 0 else nan


def compare(
    real: StackStatistics, before: StackStatistics | None, after: StackStatistics
) -> list[Row]:
    """Return the similarity of real and simulated images, property by property.

    Parameters
    ----------
    real, before, after : StackStatistics
        Measured by the same code; `before` may be missing.

    Returns
    -------
    list of Row
        Grey values inside and outside of objects above the real images' dark level, properties of
        objects, and of stacks.
    """
    dark = real.median("offset")
    dark = dark if isfinite(dark) else float(np.quantile(real.outside, 0.001))
    meanings = {
        "grey_inside": "grey values in objects above dark, counts",
        "grey_outside": "grey values in background above dark, counts",
        **{name: f"per object: {OBJECT_STATISTICS[name]}" for name in COMPARED},
        **{f"stack_{name}": f"per stack: {VOLUME_STATISTICS[name]}" for name in PER_STACK},
    }
    sides = [_samples(side, dark) if side else {} for side in (real, before, after)]
    rows = []
    for name, meaning in meanings.items():
        values = [side.get(name, np.zeros(0)) for side in sides]
        scores = [similarity(values[0], side) for side in values[1:]]
        shown = [_quantiles(side) for side in values]
        rows.append(Row(name, meaning, shown[0], shown[1], shown[2], *scores))
    return rows


def _samples(side: StackStatistics, dark: float) -> dict[str, Floats]:
    """Return the values of every property that is compared."""
    return {
        "grey_inside": side.inside - dark,
        "grey_outside": side.outside - dark,
        **side.objects,
        **{f"stack_{name}": values for name, values in side.volumes.items()},
    }


def mean_scores(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the mean scores before and after, over rows that have both or only the latter."""
    shared = [r for r in rows if isfinite(r.score_after)]
    both = [r for r in shared if isfinite(r.score_before)]
    before = float(np.mean([r.score_before for r in both])) if both else nan
    return before, float(np.mean([r.score_after for r in both or shared])) if shared else nan


def as_text(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table: quantiles 10 / 50 / 90 % and scores."""
    lines = ["| property | real | before | after | score before | score after |"]
    lines.append("|---|---|---|---|---|---|")
    for row in rows:
        cells = [" / ".join(f"{v:.3g}" for v in part) for part in (row.real, row.before, row.after)]
        scores = [f"{score:.2f}" for score in (row.score_before, row.score_after)]
        lines.append(f"| {row.meaning} | " + " | ".join([*cells, *scores]) + " |")
    return "\n".join(lines)


def facts_of(statistics: StackStatistics) -> dict[str, object]:
    """Return the 10 %, 50 % and 90 % quantiles of all statistics."""
    tables = {"per_stack": statistics.volumes, "per_object": statistics.objects}
    return {
        "stacks": len(statistics.volumes["objects"]),
        "annotated": statistics.annotated,
        "notes": statistics.notes,
        **{
            name: {key: _quantiles(values) for key, values in table.items()}
            for name, table in tables.items()
        },
    }


def for_json(value: object) -> object:
    """Return nested values for JSON: numbers with 5 digits, None in place of NaN."""
    if isinstance(value, Mapping):
        return {key: for_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [for_json(part) for part in value]
    if isinstance(value, float):
        return float(f"{value:.5g}") if isfinite(value) else None
    return value


def _quantiles(values: Floats) -> Quantiles:
    """Return 10 %, 50 % and 90 % quantiles of finite values."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return nan, nan, nan
    low, middle, high = np.quantile(finite, [0.1, 0.5, 0.9])
    return float(low), float(middle), float(high)
