"""Compare real with simulated images: a table of scores before and after, realism, poor fits."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytosuite.datasets.calibration.measure import (
    OBJECT_STATISTICS,
    VOLUME_STATISTICS,
    StackStatistics,
    finite_or,
)
from cytosuite.metrics.realism.arrangement import PROPERTIES, distances, numbers
from cytosuite.metrics.realism.spectrum import axial_spectra, lateral_spectra
from cytosuite.metrics.realism.wasserstein import transport
from cytosuite.volume import Volume

Floats = NDArray[np.float64]
Quantiles = tuple[float, ...]  # 10 %, 50 % and 90 %; NaN where there is nothing

COMPARED = (
    *("volume_um3", "height_um", "width_um", "elongation", "flatness"),
    *("snr", "signal", "contrast", "texture", "neighbour_um"),
)
PER_STACK = ("objects", "noise", "halo", "glow", "brightness_spread", "edge_z_um", "edge_xy_um")
WORSE = 1.5  # times the distance between real stacks from which a fit counts as poor
GOOD, GOOD_DB = 0.87, 0.8  # similarity and distance of real stacks where no others are known
APART = 0.2  # distance of arrangements of real stacks where no other is known
NUMBERS = {  # of `numbers`, by property, where the name is another
    "contact": "contact_share",
    "relative_volume": "volume_cv",
    "relative_brightness": "brightness_cv",
}
UNFITTED = ("valley", "tilt_deg")  # properties that no parameter is fitted to
OFF = 0.1  # share by which sizes and numbers may be off
SPLITS, SEED = 8, 0  # ways to part the real stacks into halves
MEANINGS = {
    "similarity": "similarity of objects, light and tissue (1: alike)",
    "lateral_db": "power spectrum within planes, dB off",
    "axial_db": "power spectrum along z, dB off",
    "w1_by_std": "grey values, W1 / standard deviation",
    "size": "median volume of an object / real",
    "number": "mean number of objects / real",
}
DISTANCES = "W1 / std, real against other real", "W1 / std, simulated"
Side = tuple[Sequence[Volume], StackStatistics]  # stacks and their statistics


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
    """Return ``1 - W1(real, simulated) / W1(real, 0)`` of positive numbers: 1 alike, 0 as nothing.

    The normalised Wasserstein distance of Bruch et al. (2023), doi:10.1371/journal.pone.0283828.
    """
    sides = [values[np.isfinite(values)] for values in (real, simulated)]
    if not all(side.size for side in sides):
        return nan
    scale = float(np.abs(sides[0]).mean())
    return 1 - transport(*sides).distance / scale if scale > 0 else nan


def compare(
    real: StackStatistics, before: StackStatistics | None, after: StackStatistics
) -> list[Row]:
    """Return the similarity of real and simulated images: greys, objects, stacks."""
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
        shown = [quantiles(side) for side in values]
        rows.append(Row(name, meaning, shown[0], shown[1], shown[2], *scores))
    return rows


def _samples(side: StackStatistics, dark: float) -> dict[str, Floats]:
    """Return the values of every property that is compared."""
    greys = {"grey_inside": side.inside - dark, "grey_outside": side.outside - dark}
    return greys | side.objects | {f"stack_{name}": v for name, v in side.volumes.items()}


def mean_scores(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the mean scores before and after, over rows that have both or only the latter."""
    shared = [r for r in rows if isfinite(r.score_after)]
    both = [r for r in shared if isfinite(r.score_before)]
    before = float(np.mean([r.score_before for r in both])) if both else nan
    return before, float(np.mean([r.score_after for r in both or shared])) if shared else nan


def as_text(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table: quantiles 10 / 50 / 90 % and scores."""
    heads = "property", "real", "before", "after", "score before", "score after"
    return markdown(heads, (row[1:] for row in rows))


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str | float | Quantiles]]) -> str:
    """Return a Markdown table: quantiles with 3 digits, numbers with 2 decimals."""
    lines = [heads, *([_cell(value) for value in row] for row in rows)]
    first, *rest = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([first, f"|{'---|' * len(heads)}", *rest])


def _cell(value: str | float | Quantiles) -> str:
    if isinstance(value, tuple):
        return " / ".join(f"{number:.3g}" for number in value)
    return value if isinstance(value, str) else f"{value:.2f}"


def facts_of(statistics: StackStatistics) -> dict[str, object]:
    """Return the 10 %, 50 % and 90 % quantiles of all statistics."""
    return {
        "stacks": len(statistics.volumes["objects"]),
        "annotated": statistics.annotated,
        "notes": statistics.notes,
        "per_stack": {key: quantiles(values) for key, values in statistics.volumes.items()},
        "per_object": {key: quantiles(values) for key, values in statistics.objects.items()},
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


def quantiles(values: Floats) -> Quantiles:
    """Return 10 %, 50 % and 90 % quantiles of finite values."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return nan, nan, nan
    low, middle, high = np.quantile(finite, [0.1, 0.5, 0.9])
    return float(low), float(middle), float(high)


class Realism(NamedTuple):
    """Distances of a set of stacks from real ones, 0 for none; `similarity` alone is 1 then."""

    similarity: float  # mean over the properties of `compare`
    lateral_db: float  # log-spectral distance within planes
    axial_db: float  # and along z
    w1_by_std: float  # of all grey values
    size: float
    number: float


class Compared(NamedTuple):
    """Arrangement of objects, real and simulated: quantiles over stacks, distances as W1 / std."""

    name: str
    meaning: str
    real: Quantiles
    simulated: Quantiles
    floor: float  # of real stacks among each other
    distance: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """Realism of a fit, and of real stacks among each other; lines on poor properties."""

    floor: Realism
    after: Realism
    arrangement: tuple[Compared, ...]  # empty where no stack is annotated
    poor: tuple[str, ...]

    def as_text(self) -> str:
        """Return realism and arrangement as Markdown tables."""
        scores = [
            (meaning, (getattr(self.floor, name),), (getattr(self.after, name),))
            for name, meaning in MEANINGS.items()
        ]
        tables = [markdown(("realism", "real against other real", "simulated"), scores)]
        if self.arrangement:
            heads = ("arrangement", "real", "simulated", *DISTANCES)
            tables.append(markdown(heads, (row[1:] for row in self.arrangement)))
        return "\n\n".join(tables)


def judge(real: Side, simulated: Side) -> Judgement:
    """Return the realism of simulated stacks, with their poor properties."""
    between, fitted = floor(*real), realism(real, simulated)
    rows = placed(real[1], simulated[1])
    return Judgement(between[0], fitted[0], rows, (*poor(fitted, between), *misplaced(rows)))


def placed(real: StackStatistics, simulated: StackStatistics) -> tuple[Compared, ...]:
    """Return the arrangement of objects, none without labels: a threshold has a rule of its own."""
    if not real.annotated:
        return ()
    sides = [
        [numbers(arrangement) for arrangement in side.arrangements] for side in (real, simulated)
    ]
    moved = distances(real.arrangements, simulated.arrangements)
    parts = [[real.part(half).arrangements for half in two] for two in halves(len(sides[0]))]
    between = [distances(*pair) for two in parts for pair in (two, two[::-1])]
    rows = []
    for name, meaning in PROPERTIES.items():
        key = NUMBERS.get(name, name)
        shown = [quantiles(np.array([summary[key] for summary in side])) for side in sides]
        least = quantiles(np.array([pair[name] for pair in between]))[1]
        text = VOLUME_STATISTICS[key] if name in NUMBERS else meaning
        rows.append(Compared(name, text, shown[0], shown[1], least, moved[name]))
    return tuple(rows)


def misplaced(rows: Sequence[Compared]) -> list[str]:
    """Return lines on the properties of the arrangement that a fit misses, the worst first."""
    lines = []
    for row in sorted(rows, key=lambda row: -finite_or(row.distance)):
        limit = WORSE * max(finite_or(row.floor), APART)
        if row.distance > limit:
            fitted = "no parameter is fitted to it" if row.name in UNFITTED else "after the fit"
            lines.append(
                f"{row.meaning}: median {row.simulated[1]:.2g}, {row.real[1]:.2g} in real stacks, "
                f"{row.distance:.2f} standard deviations off, {limit:.2f} are allowed ({fitted})"
            )
    return lines


def halves(count: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield ways to part stacks into halves, none for fewer than 4."""
    rng = np.random.default_rng(SEED)
    for _ in range(SPLITS if count >= 4 else 0):
        order = rng.permutation(count).tolist()
        yield order[: count // 2], order[count // 2 :]


def realism(real: Side, other: Side) -> tuple[Realism, list[Row]]:
    """Return the realism of other stacks, and the comparison property by property."""
    (images, first), (others, second) = real, other
    rows = compare(first, None, second)
    moved = transport([v.array for v in images], [v.array for v in others])
    pairs = [
        (np.nanmedian(second.objects["volume_um3"]), np.nanmedian(first.objects["volume_um3"])),
        (second.volumes["objects"].mean(), first.volumes["objects"].mean()),
    ]
    scores = Realism(
        mean_scores(rows)[1],
        lateral_spectra(list(images), list(others)).distance,
        axial_spectra(list(images), list(others)).distance,
        moved.distance / moved.real_std if moved.real_std > 0 else nan,
        *(float(after / before) if before > 0 else nan for after, before in pairs),
    )
    return scores, rows


def floor(
    stacks: Sequence[Volume], statistics: StackStatistics
) -> tuple[Realism, dict[str, float]]:
    """Return the realism of real stacks, the median over halves; NaN below 4 stacks."""
    comparisons = []
    for two in halves(len(stacks)):
        pairs = [([stacks[index] for index in half], statistics.part(half)) for half in two]
        comparisons += [realism(*pairs), realism(*pairs[::-1])]
    if not comparisons:
        return Realism(*[nan] * len(Realism._fields)), {}
    middle = np.nanmedian([values for values, _ in comparisons], axis=0)
    rows = {
        row.name: float(np.nanmedian([rows[number].score_after for _, rows in comparisons]))
        for number, row in enumerate(comparisons[0][1])
    }
    return Realism(*map(float, middle)), rows


def poor(
    fitted: tuple[Realism, Sequence[Row]], between: tuple[Realism, Mapping[str, float]]
) -> list[str]:
    """Return lines on the properties that a fit misses, the worst first; none for a good one."""
    (after, rows), (least, similar) = fitted, between
    lines = []
    for name, unit in (("size", "median volume"), ("number", "mean number of objects")):
        value = getattr(after, name)
        if not abs(value - 1) <= OFF:
            lines.append(f"{unit} of simulated objects is {value:.2f} times that of real ones")
    limits = {"lateral_db": "power spectrum within planes", "axial_db": "power spectrum along z"}
    for name, meaning in limits.items():
        value, limit = getattr(after, name), WORSE * max(finite_or(getattr(least, name)), GOOD_DB)
        if not value <= limit:
            lines.append(f"{meaning} is {value:.1f} dB off, {limit:.1f} are allowed")
    for row in sorted(rows, key=lambda row: row.score_after):
        limit = 1 - WORSE * (1 - min(finite_or(similar.get(row.name, nan), GOOD), GOOD))
        if isfinite(row.score_after) and row.score_after < limit:
            lines.append(
                f"{row.meaning}: similarity {row.score_after:.2f} to the real stacks, expected "
                f"{limit:.2f} or more"
            )
    return lines
