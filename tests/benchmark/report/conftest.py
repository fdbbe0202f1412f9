"""A small run of two algorithms over cases of 8 x 24 x 24 voxels, and its report."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.results.ranking import COLUMNS, Standing, Summary
from benchmark.report import (
    AlgorithmInfo,
    CasePicture,
    Failure,
    MetricInfo,
    ReportContent,
    SelectionNote,
)
from benchmark.report.content import Condition, Group, Pooled
from cytosuite.formats import write
from cytosuite.volume import Volume

METRICS = (
    MetricInfo(
        "SEG", "Segmentation accuracy", "Overlap.", 1.0, 0.0, "10.1093/bioinformatics/btu080", True
    ),
    MetricInfo("DET", "Detection accuracy", "Finding.", 1.0, 0.0, "", True),
    MetricInfo("AP@0.5", "Average precision", "Both.", 1.0, 0.0),
    MetricInfo("missed", "Cells missed", "Count.", 0.0, None),
    MetricInfo("truth_count", "Cells in the truth", "Count.", None, None),
)


def volumes(folder, shape=(8, 24, 24)):
    """Write an image with two balls, their labels, and a prediction that has one of them."""
    labels = np.zeros(shape, np.uint16)
    labels[..., 4:12, 4:12] = 1
    labels[..., 14:20, 14:20] = 2
    guess = np.where(labels == 1, 7, 0).astype(np.uint16)
    image = (np.random.default_rng(0).poisson(20, shape) + 50 * (labels > 0)).astype(np.uint16)
    axes, spacing = ("ZYX", (2.0, 0.5, 0.5)) if len(shape) == 3 else ("YX", (0.5, 0.5))
    paths = {}
    for name, array in {"image": image, "truth": labels, "guess": guess}.items():
        paths[name] = folder / f"{name}-{len(shape)}.tif"
        if not paths[name].exists():
            write(paths[name], Volume(array, spacing, axes))
    return paths


def rows_of(cases, name, base, failed):
    """Return the rows of one algorithm; a failed case has the worst value where there is one."""
    rows = []
    for n, case in enumerate(cases):
        bad = (name, case) in failed
        good = base + 0.01 * n
        values = {"SEG": good, "DET": good, "AP@0.5": math.nan if n == 0 else good}
        values |= {"missed": 1.0, "truth_count": 2.0}
        for metric in METRICS:
            value = values[metric.name]
            if bad:
                value = math.nan if metric.worst is None else metric.worst
            status = "time-out" if bad else "ok"
            rows.append(("set", case, name, "m", metric.name, value, status, 1.5 + n, 3e8))
    return rows


def standing(rows, name, rank, control=False):
    """Return the leaderboard's line from the rows of one algorithm."""
    mine = rows[rows["algorithm"] == name]
    summaries = {}
    for metric in METRICS:
        values = mine.loc[mine["metric"] == metric.name, "value"].dropna()
        mean = values.mean() if len(values) else math.nan
        summaries[metric.name] = Summary(
            metric.name, mean, mean - 0.05, mean + 0.05, mean, len(values), 0, 0
        )
    cases = mine.drop_duplicates("case")
    failed = int((cases["status"] != "ok").sum())
    return Standing(name, control, rank, summaries, len(cases), failed, 2.0, 10**9)


@pytest.fixture
def make(tmp_path):
    """Return a function that makes the content of a report."""

    def content(cases=("a", "b", "c"), algorithms=("good", "fair"), failed=(), shape=(8, 24, 24)):
        paths = volumes(tmp_path, shape)
        names = [(name, 0.8 - 0.2 * n) for n, name in enumerate(algorithms)]
        rows = [row for name, base in names for row in rows_of(cases, name, base, failed)]
        rows += [
            ("set", case, "oracle", "", metric.name, metric.best, "ok", None, None)
            for case in cases
            for metric in METRICS
        ]
        scores = pd.DataFrame(rows, columns=list(COLUMNS))
        standings = [standing(scores, name, float(n + 1)) for n, (name, _) in enumerate(names)]
        pictures = [
            CasePicture(
                case,
                paths["image"],
                paths["truth"],
                {name: paths["guess"] for name in algorithms if (name, case) not in failed},
            )
            for case in cases
        ]
        return ReportContent(
            title="A run",
            dataset="set",
            generated="2026-02-03T10:11:12+00:00",
            command="make benchmark DATASET=set",
            provenance={"engine": "process", "seed": "7"},
            standings=[*standings, standing(scores, "oracle", None, control=True)],
            metrics=METRICS,
            scores=scores,
            failures=[Failure(name, case, "time-out", "too slow", "log") for name, case in failed],
            selections=[SelectionNote("good", cases[0], "card", 4.2, True, "no such channel")],
            algorithms=[AlgorithmInfo("good", "1.0", "Good one", startup_seconds=3.0)],
            notes=["A note."],
            pictures=pictures,
        )

    return content


@pytest.fixture
def conditions():
    """Return a function that makes a number and a word as conditions of a run."""

    def group(label, algorithms, fall, failed=0):
        scores = {
            (name, metric.name): Pooled(value, value - 0.04, value + 0.04)
            for metric in METRICS
            for n, name in enumerate(algorithms)
            for value in [0.8 - 0.1 * n * fall]
        }
        scores |= {("oracle", metric.name): Pooled(1.0, 1.0, 1.0) for metric in METRICS}
        return Group(label, ["a", "b"], 12, scores, {algorithms[-1]: failed} if failed else {})

    def make(algorithms=("good", "fair")):
        density = [group("below 20", algorithms, 1), group("20 or more", algorithms, 4, failed=1)]
        drug = [group("none", algorithms, -1), group("<b>taxol", algorithms, 1)]
        return [
            Condition("density", "%", True, density, goes_with={"objects": 0.8125}),
            Condition("drug", "", False, drug, unknown=2),
        ]

    return make


@pytest.fixture
def empty():
    """Return the content of a run without algorithms, cases and measures."""
    return ReportContent("Empty", "set", "2026-02-03", "", {}, [], [], pd.DataFrame())


@pytest.fixture
def nowhere():
    """Return a path at which there is nothing."""
    return Path("nowhere") / "missing.tif"
