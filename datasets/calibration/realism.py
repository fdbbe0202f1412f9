"""Judge a set of simulated stacks by the realism metrics, and by how far real stacks differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import NamedTuple

import numpy as np

from cytosuite.datasets.calibration.compare import Row, compare, mean_scores
from cytosuite.datasets.calibration.measure import StackStatistics
from cytosuite.metrics.realism.spectrum import axial_spectra, lateral_spectra
from cytosuite.metrics.realism.wasserstein import transport
from cytosuite.volume import Volume

WORSE = 1.5  # times the distance between real stacks from which a fit counts as poor
GOOD, GOOD_DB = 0.87, 0.8  # similarity and distance of real stacks where no others are known
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

Side = tuple[Sequence[Volume], StackStatistics]  # stacks and what was measured in them


class Realism(NamedTuple):
    """Distances of a set of stacks from real ones, 0 for none; `similarity` alone is 1 then.

    Parameters
    ----------
    similarity : float
        Mean over the properties of `compare`, see there.
    lateral_db, axial_db : float
        Log-spectral distances within planes and along z.
    w1_by_std : float
        Wasserstein distance of all grey values over their standard deviation in real stacks.
    size, number : float
        Median volume of an object, and mean number of objects, relative to real stacks.
    """

    similarity: float
    lateral_db: float
    axial_db: float
    w1_by_std: float
    size: float
    number: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """Realism of a fit, and of real stacks among each other; lines on what is poor."""

    floor: Realism
    after: Realism
    poor: tuple[str, ...]

    def as_text(self) -> str:
        """Return the realism as a Markdown table."""
        lines = ["| realism | real against other real | simulated |", "|---|---|---|"]
        for name, meaning in MEANINGS.items():
            values = (getattr(side, name) for side in (self.floor, self.after))
            lines.append(f"| {meaning} | " + " | ".join(f"{value:.3g}" for value in values) + " |")
        return "\n".join(lines)


def judge(real: Side, simulated: Side) -> Judgement:
    """Return the realism of simulated stacks, with their poor properties.

    Parameters
    ----------
    real, simulated : (list of Volume, StackStatistics)
        Measured by the same code.
    """
    between, found = floor(*real), realism(real, simulated)
    return Judgement(between[0], found[0], tuple(poor(found, between)))


def realism(real: Side, other: Side) -> tuple[Realism, list[Row]]:
    """Return the realism of other stacks, and the comparison property by property.

    Parameters
    ----------
    real, other : (list of Volume, StackStatistics)
        Measured by the same code.
    """
    (images, first), (others, second) = real, other
    rows = compare(first, None, second)
    moved = transport([v.array for v in images], [v.array for v in others])
    pairs = [
        (np.nanmedian(second.objects["volume_um3"]), np.nanmedian(first.objects["volume_um3"])),
        (second.volumes["objects"].mean(), first.volumes["objects"].mean()),
    ]
    found = Realism(
        mean_scores(rows)[1],
        lateral_spectra(list(images), list(others)).distance,
        axial_spectra(list(images), list(others)).distance,
        moved.distance / moved.real_std if moved.real_std > 0 else nan,
        *(float(after / before) if before > 0 else nan for after, before in pairs),
    )
    return found, rows


def floor(
    stacks: Sequence[Volume], statistics: StackStatistics
) -> tuple[Realism, dict[str, float]]:
    """Return how far real stacks are from other real ones, in the median over random halves.

    Parameters
    ----------
    stacks : list of Volume
    statistics : StackStatistics
        Measured in them, with the number of objects of each.

    Returns
    -------
    Realism
        NaN for fewer than 4 stacks.
    dict of str to float
        Similarity of each property.
    """
    count = len(stacks)
    if count < 4:
        return Realism(*[nan] * len(Realism._fields)), {}
    rng = np.random.default_rng(SEED)
    found = []
    for _ in range(SPLITS):
        order = rng.permutation(count).tolist()
        halves = [
            ([stacks[index] for index in half], statistics.part(half))
            for half in (order[: count // 2], order[count // 2 :])
        ]
        found += [realism(*halves), realism(*halves[::-1])]
    middle = np.nanmedian([values for values, _ in found], axis=0)
    rows = {
        row.name: float(np.nanmedian([rows[number].score_after for _, rows in found]))
        for number, row in enumerate(found[0][1])
    }
    return Realism(*map(float, middle)), rows


def poor(
    fitted: tuple[Realism, Sequence[Row]], between: tuple[Realism, Mapping[str, float]]
) -> list[str]:
    """Return lines on the properties that a fit misses, the worst first; none for a good one.

    Parameters
    ----------
    fitted : (Realism, list of Row)
        Of stacks simulated by the fit.
    between : (Realism, dict of str to float)
        `floor` of the real stacks; where it is not known, `GOOD` stands in.
    """
    (found, rows), (least, similar) = fitted, between
    lines = []
    for name, unit in (("size", "median volume"), ("number", "mean number of objects")):
        value = getattr(found, name)
        if not abs(value - 1) <= OFF:
            lines.append(f"{unit} of simulated objects is {value:.2f} times that of real ones")
    limits = {"lateral_db": "power spectrum within planes", "axial_db": "power spectrum along z"}
    for name, meaning in limits.items():
        value, limit = getattr(found, name), WORSE * max(_known(getattr(least, name)), GOOD_DB)
        if not value <= limit:
            lines.append(f"{meaning} is {value:.1f} dB off, {limit:.1f} are allowed")
    for row in sorted(rows, key=lambda row: row.score_after):
        limit = 1 - WORSE * (1 - min(_known(similar.get(row.name, nan), GOOD), GOOD))
        if isfinite(row.score_after) and row.score_after < limit:
            lines.append(
                f"{row.meaning}: similarity {row.score_after:.2f} to the real stacks, expected "
                f"{limit:.2f} or more"
            )
    return lines


def _known(value: float, otherwise: float = 0.0) -> float:
    """Return a finite value, or another one."""
    return value if isfinite(value) else otherwise
