"""Pooled scores of segmentations by group of embryos, and paired differences with intervals.

For `cyclegan3d_segmenters.py`.
"""

import csv
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cytosuite.files import atomic
from cytosuite.metrics.labels.ctc import ctc_errors, seg
from cytosuite.metrics.labels.detection import f1_at
from cytosuite.metrics.labels.ignore import without_small
from cytosuite.metrics.labels.overlap import Overlap, overlap

METRICS = ("SEG", "DET", "F1")
DRAWS = 10_000

Sums = NDArray[np.float64]  # (..., 3, 2): numerator and denominator of each metric
Found = dict[tuple[str, int], dict[str, dict[str, NDArray[np.integer]]]]
# by arm and seed, then variant, then volume: labels
Results = dict[tuple[str, str], Sums]  # by arm and variant: (S, V, 3, 2), seeds and volumes


def sums_of(table: Overlap) -> Sums:
    """Return numerator and denominator (3, 2) of SEG, DET and F1: they add up over volumes."""
    truth, predicted = table.truth_sizes.size, table.prediction_sizes.size
    share = seg.of(table) if truth else 0.0
    hits = f1_at(table, 50) if truth + predicted else 0.0
    cost = ctc_errors(table).cost
    return np.array(
        [
            [share * truth, truth],
            [10 * truth - cost, 10 * truth],
            [hits * (truth + predicted), truth + predicted],
        ]
    )


def scores(sums: Sums) -> NDArray[np.float64]:
    """Return pooled SEG, DET and F1 (..., 3) of volumes (..., V, 3, 2); NaN without objects."""
    total = np.asarray(sums).sum(axis=-3)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.maximum(total[..., 0] / total[..., 1], 0))


def group_of(name: str) -> str:
    """Return the group of a volume: its microscope, or its frame."""
    if name.startswith("cv1000"):
        return "CV1000"
    frame = int(name.rpartition("_t")[2])
    return "t <= 301" if frame <= 301 else "t 351-401" if frame <= 401 else "t 451-501"


def groups_of(names: Sequence[str]) -> dict[str, list[int]]:
    """Return the positions of the volumes of each group, and of all."""
    own = [group_of(name) for name in names]
    parts = {group: [i for i, g in enumerate(own) if g == group] for group in sorted(set(own))}
    order = ("t <= 301", "t 351-401", "t 451-501", "CV1000")
    return {"all": list(range(len(names))), **{g: parts[g] for g in order if g in parts}}


def difference(
    first: Sums, second: Sums, metric: int, draws: int = DRAWS
) -> tuple[float, float, float]:
    """Return a paired difference and its 95 % bootstrap interval over volumes.

    Parameters
    ----------
    first, second : (S, V, 3, 2) arrays
        Of the same volumes; scores are averaged over the seeds S of each.
    metric : int
        Position in `METRICS`.
    draws : int
        Samples of volumes with replacement, the same for both.
    """
    drawn = np.random.default_rng(0).integers(first.shape[1], size=(draws, first.shape[1]))
    apart = [scores(sums[:, drawn])[..., metric].mean(0) for sums in (first, second)]
    low, high = np.nanquantile(apart[0] - apart[1], [0.025, 0.975])
    value = [scores(sums)[..., metric].mean() for sums in (first, second)]
    return float(value[0] - value[1]), float(low), float(high)


def results_of(found: Found, truth: Mapping[str, NDArray[np.integer]], smallest: int) -> Results:
    """Return the sums of each arm and variant, without true objects that are too small."""
    rows: dict[tuple[str, str], list[list[Sums]]] = {}
    for (arm, _), variants in found.items():
        for variant, labels in variants.items():
            pairs = [without_small(truth[name], labels[name], smallest) for name in truth]
            rows.setdefault((arm, variant), []).append([sums_of(overlap(*pair)) for pair in pairs])
    return {key: np.array(value) for key, value in rows.items()}


def table_of_scores(results: Results, groups: Mapping[str, list[int]]) -> list[str]:
    """Return SEG / DET / F1 by arm and group, means over seeds, as lines of Markdown."""
    lines = [
        f"| arm | | {' | '.join(groups)} | SEG of each seed |",
        "|---" * (len(groups) + 3) + "|",
    ]
    for (arm, variant), sums in results.items():
        cells = [
            " / ".join(f"{value:.3f}" for value in scores(sums[:, chosen]).mean(0))
            for chosen in groups.values()
        ]
        seeds = ", ".join(f"{value:.3f}" for value in scores(sums)[:, 0])
        lines.append(f"| {arm} | {variant} | {' | '.join(cells)} | {seeds} |")
    return lines


def table_of_differences(results: Results, groups: Mapping[str, list[int]]) -> list[str]:
    """Return paired differences in SEG by arm and group with intervals, as lines of Markdown."""
    lines = [
        f"| SEG, difference | {' | '.join(groups)} | F1, all |",
        "|---" * (len(groups) + 2) + "|",
    ]
    against = [("watershed", "with threshold"), ("calibrated", ""), ("", "with threshold")]
    for (key, sums), (other, variant) in product(results.items(), against):
        reference = (other or key[0], variant or key[1])
        if reference not in results or reference == key or key[0] == "watershed":
            continue
        rest = results[reference]
        parts = [(sums[:, c], rest[:, c], 0) for c in groups.values()] + [(sums, rest, 2)]
        cells = ["{:+.3f} ({:+.3f} to {:+.3f})".format(*difference(*part)) for part in parts]
        lines.append(f"| {', '.join(key)} - {', '.join(reference)} | {' | '.join(cells)} |")
    return lines


def write_rows(path: Path, results: Mapping[int, Results], names: Sequence[str]) -> None:
    """Write the scores of each arm, variant, seed and group, and of single volumes, as CSV."""
    groups = {**groups_of(names), **{name: [i] for i, name in enumerate(names)}}
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["smallest", "arm", "variant", "seed", "group", "objects", *METRICS])
        for smallest, found in results.items():
            for (arm, variant), sums in found.items():
                for seed, (group, chosen) in product(range(len(sums)), groups.items()):
                    part = sums[seed, chosen]
                    values = [round(float(value), 5) for value in scores(part)]
                    objects = int(part[:, 0, 1].sum())
                    rows.writerow([smallest, arm, variant, seed, group, objects, *values])
