"""Compare real with simulated images before and after a calibration: a table of scores."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite, nan

import numpy as np
from numpy.typing import NDArray

from cytosuite.metrics.realism.wasserstein import transport
from datasets.calibration.measure import OBJECT_STATISTICS, VOLUME_STATISTICS, Statistics

Floats = NDArray[np.float64]

COMPARED = (
    *("volume_um3", "height_um", "width_um", "elongation", "flatness"),
    *("snr", "signal", "contrast", "texture", "neighbour_um"),
)
PER_STACK = ("objects", "noise", "halo", "glow", "brightness_spread", "edge_z_um", "edge_xy_um")


@dataclass(frozen=True, slots=True)
class Row:
    """One property of images, real and simulated.

    Parameters
    ----------
    name : str
        Of the property.
    meaning : str
        Description with the unit.
    real, before, after : tuple of float
        10 %, 50 % and 90 % quantiles; NaN where there is nothing.
    score_before, score_after : float
        See `similarity`.
    """

    name: str
    meaning: str
    real: tuple[float, float, float]
    before: tuple[float, float, float]
    after: tuple[float, float, float]
    score_before: float
    score_after: float

    def facts(self) -> dict[str, object]:
        """Return the row for JSON, with None in place of NaN."""
        values = asdict(self)
        return {
            key: [_json(part) for part in value] if isinstance(value, tuple) else _json(value)
            for key, value in values.items()
        }


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


def compare(real: Statistics, before: Statistics | None, after: Statistics) -> list[Row]:
    """Return the similarity of real and simulated images, property by property.

    Parameters
    ----------
    real, before, after : Statistics
        Measured by the same code; `before` may be missing.

    Returns
    -------
    list of Row
        Grey values inside and outside of objects above the real images' dark level, properties of
        objects, and of stacks.
    """
    dark = real.median("offset")
    dark = dark if isfinite(dark) else float(np.quantile(real.outside, 0.001))
    sides = [real, before, after]
    rows = []
    for name, words in (("inside", "objects"), ("outside", "background")):
        values = [getattr(side, name) - dark if side else np.zeros(0) for side in sides]
        rows.append(_row(f"grey_{name}", f"grey values in {words} above dark, counts", values))
    for name in COMPARED:
        values = [side.objects[name] if side else np.zeros(0) for side in sides]
        rows.append(_row(name, f"per object: {OBJECT_STATISTICS[name]}", values))
    for name in PER_STACK:
        values = [side.volumes[name] if side else np.zeros(0) for side in sides]
        rows.append(_row(f"stack_{name}", f"per stack: {VOLUME_STATISTICS[name]}", values))
    return rows


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
        lines.append(f"| {row.name} | " + " | ".join([*cells, *scores]) + " |")
    return "\n".join(lines)


def facts_of(statistics: Statistics) -> Mapping[str, object]:
    """Return the 10 %, 50 % and 90 % quantiles of all statistics, for JSON."""
    return {
        "stacks": len(statistics.volumes["objects"]),
        "annotated": statistics.annotated,
        "notes": list(statistics.notes),
        "per_stack": {
            name: [_json(statistics.quantile(name, share)) for share in (0.1, 0.5, 0.9)]
            for name in statistics.volumes
        },
        "per_object": {
            name: [_json(value) for value in _quantiles(values)]
            for name, values in statistics.objects.items()
        },
    }


def _row(name: str, meaning: str, values: Sequence[Floats]) -> Row:
    """Return a row from the values of the real images, before and after."""
    real, before, after = (_quantiles(side) for side in values)
    scores = [similarity(values[0], side) for side in values[1:]]
    return Row(name, meaning, real, before, after, scores[0], scores[1])


def _quantiles(values: Floats) -> tuple[float, float, float]:
    """Return 10 %, 50 % and 90 % quantiles of finite values."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return nan, nan, nan
    low, middle, high = np.quantile(finite, [0.1, 0.5, 0.9])
    return float(low), float(middle), float(high)


def _json(value: object) -> object:
    """Return a number with 5 digits, None in place of NaN."""
    if isinstance(value, float):
        return float(f"{value:.5g}") if isfinite(value) else None
    return value
