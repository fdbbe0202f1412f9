"""Small runs of two algorithms for every task, over cases of 8 x 24 x 24 voxels."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from toys import put

from cytosuite.benchmark.runs.record import ModelChoice, Record
from cytosuite.benchmark.scores.results import (
    CaseFiles,
    Condition,
    Group,
    Matches,
    Results,
)
from cytosuite.benchmark.scores.standings import COLUMNS, Summary, leaderboard
from cytosuite.contract.manifest import AlgorithmManifest
from cytosuite.contract.tasks import TASKS, Socket, Task
from cytosuite.metrics import board_metrics
from cytosuite.metrics.boards import BOARDS
from cytosuite.ranking.ranking import SCHEMES, Contest, Difference, Ranking
from cytosuite.ranking.significance import cases_needed

SHOWN = {
    "segment": ("SEG", "DET", "AP50", "missed", "truth_count"),
    "enhance": ("W1_by_std", "lateral_spectrum_distance", "patch_KID"),
    "synthesise": ("W1_by_std", "lateral_spectrum_distance"),
    "track": ("TRA", "SEG", "LNK"),
    "fuse": ("SSIM", "N_SSIM", "PSNR", "NRMSE"),
}
BY_CASE = {*SHOWN["segment"], *SHOWN["fuse"]}
COUNT = Task(
    "count",
    "Counting of cells",
    (Socket("microscopy-image", "image", "Microscopy image"),),
    (Socket("cell-count", "json", "Number of cells"),),
)


def metrics_of(task):
    if task not in SHOWN:
        return ()
    by_name = {metric.name: metric for metric in board_metrics(task)}
    return tuple(by_name[name] for name in SHOWN[task])


def volumes(folder):
    """Write an image with two balls, their labels, labels of one ball, and a brighter image."""
    labels = np.zeros((8, 24, 24), np.uint16)
    labels[..., 4:12, 4:12] = 1
    labels[..., 14:20, 14:20] = 2
    guess = np.where(labels == 1, 7, 0).astype(np.uint16)
    image = (np.random.default_rng(0).poisson(20, labels.shape) + 50 * (labels > 0)).astype(
        np.uint16
    )
    clear = (image * 2).astype(np.float32)
    sharp = clear + 20 * (labels == 1) - 20 * (labels == 2)
    arrays = {"image": image, "labels": labels, "guess": guess, "clear": clear, "sharp": sharp}
    paths = {name: folder / f"{name}.tif" for name in arrays}
    for name, path in paths.items():
        if not path.exists():
            put(path, arrays[name])
    return paths


def rows_of(task, cases, name, base, failed):
    """Return the rows of one algorithm; a failed case has the worst value where there is one."""
    rows = []
    metrics = metrics_of(task)
    by_case = [metric for metric in metrics if metric.scope == "case"]
    for n, case in enumerate(cases):
        status = "time-out" if (name, case) in failed else "ok"
        if not by_case:
            rows.append(("set", case, name, "m", "", math.nan, status, 1.5 + n, 3e8))
        for metric in by_case:
            value = {"missed": 1.0, "truth_count": 2.0}.get(metric.name, base + 0.01 * n)
            if metric.name == "AP50" and n == 0:
                value = math.nan
            if metric.name == "PSNR" and name == "oracle":
                value = math.inf
            if status != "ok":
                value = math.nan if metric.worst is None else metric.worst
            rows.append(("set", case, name, "m", metric.name, value, status, 1.5 + n, 3e8))
    return rows + [
        ("set", "", name, "", metric.name, base, "ok", math.nan, math.nan)
        for metric in metrics
        if metric.scope == "set"
    ]


def wide(named):
    """Return a summary with an interval, for which there are too few cases."""
    name, summary = named
    reach = 0.05 if name in BY_CASE else math.nan
    return name, summary._replace(low=summary.mean - reach, high=summary.mean + reach)


def records_of(cases, algorithms, failed):
    records = {}
    for name in algorithms:
        for n, case in enumerate(cases):
            bad = (name, case) in failed
            fields = {"status": "time-out", "message": "too slow"} if bad else {"status": "ok"}
            fields["selection"] = ModelChoice(by="user")
            if name == algorithms[0] and n == 0:
                choice = ModelChoice(cost=4.2, fallback=True, broken=("channel",))
                fields |= {"model": "card", "selection": choice}
                fields["warnings"] = ("model does not fit: channel is x",)
            fields |= {"seconds": 1.5 + n, "startup_seconds": 3.0, "peak_memory": 3 * 10**8}
            records[name, case] = Record(
                algorithm=name, version="1.0.0", case=case, key="k", **fields
            )
    return records


def files_of(task, paths, name, annotated):
    inputs = {socket.slug: paths[socket.kind] for socket in task.inputs if not socket.is_file}
    truth = {}
    if annotated and task.outputs[0].kind != "json":
        truth = {
            task.outputs[0].slug: paths["labels" if task.outputs[0].kind == "labels" else "clear"]
        }
    return CaseFiles(name, inputs, truth)


@pytest.fixture
def make(tmp_path):
    def results(
        cases=("a", "b", "c"),
        algorithms=("good", "fair"),
        failed=(),
        task="segment",
    ):
        paths = volumes(tmp_path)
        task = COUNT if task == "count" else TASKS[task]
        board = BOARDS.get(task.name)
        unpaired = task.name in ("enhance", "synthesise")
        controls = [c for c in board.controls if not unpaired or c != "oracle"] if board else []
        bases = {name: (0.8 - 0.2 * n, failed) for n, name in enumerate(algorithms)}
        bases |= {name: (float(name == "oracle"), ()) for name in controls}
        rows = [row for n, base in bases.items() for row in rows_of(task.name, cases, n, *base)]
        scores = pd.DataFrame(rows, columns=list(COLUMNS))
        metrics = metrics_of(task.name)
        ranks = {name: float(n) for n, name in enumerate(algorithms if board else (), 1)}
        pooled = scores.groupby(["algorithm", "metric"])["value"].mean().to_dict()
        pooled = pooled if task.name == "segment" else {}
        standings = leaderboard(scores, pooled, metrics, ranks, controls)
        standings = [s._replace(summaries=dict(map(wide, s.summaries.items()))) for s in standings]
        output = task.outputs[0]
        by_kind = {"labels": paths["guess"], "image": paths["sharp"], "json": paths["image"]}
        done = [(n, c) for n in algorithms for c in cases if (n, c) not in failed]
        labels = output.kind == "labels"
        return Results(
            title="A run",
            dataset="set",
            task=task,
            generated="2026-02-03T10:11:12+00:00",
            command="make benchmark DATASET=set",
            provenance={"engine": "process", "seed": "7"},
            algorithms=[
                AlgorithmManifest.model_construct(  # names are not checked
                    name=name,
                    title=f"{name} one",
                    version="1.0.0",
                    task=task.name,
                    license="MIT",
                    description="",
                    authors=(),
                    references=(),
                )
                for name in algorithms
            ],
            metrics=metrics_of(task.name),
            primary=[] if board is None else [m for m in board.primary if m in SHOWN[task.name]],
            standings=standings,
            scores=scores,
            records=records_of(cases, algorithms, failed),
            logs=dict.fromkeys(failed, "the end of the log"),
            cases=[files_of(task, paths, name, not unpaired) for name in cases],
            outputs={pair: {output.slug: by_kind[output.kind]} for pair in done},
            matches={pair: Matches((2,), (), 2) for pair in done + [("oracle", c) for c in cases]}
            if labels
            else {},
            reference=[paths["image"]] if unpaired else [],
            notes=["A note."],
        )

    return results


@pytest.fixture
def conditions():
    def group(label, algorithms, metrics, fall, failed=0):
        scores = {
            (name, metric.name): Summary(value, value - 0.04, value + 0.04)
            for metric in metrics
            for n, name in enumerate(algorithms)
            for value in [0.8 - 0.1 * n * fall]
        }
        scores |= {("oracle", metric.name): Summary(1.0, 1.0, 1.0) for metric in metrics}
        objects = 12 if metrics[0].family == "labels" else 0
        return Group(label, ["a", "b"], objects, scores, {algorithms[-1]: failed} if failed else {})

    def make(algorithms=("good", "fair"), task="segment"):
        metrics = metrics_of(task)
        density = [
            group("below 20", algorithms, metrics, 1),
            group("20 or more", algorithms, metrics, 4, failed=1),
        ]
        drug = [group("none", algorithms, metrics, -1), group("<b>taxol", algorithms, metrics, 1)]
        return [
            Condition("density", "%", True, density, goes_with={"objects": 0.8125}),
            Condition("drug", "", False, drug, unknown=2),
        ]

    return make


def contest(metric, algorithms, draws, better, p, failures, power):
    """Return a ranking in which each algorithm keeps its place in 4 of 5 resamples."""
    n = len(algorithms)
    shares = {}
    interval = {}
    for at, name in enumerate(algorithms):
        share = [0.0] * n
        for other in (at, at, at, at, (at + 1) % n):
            share[other] += 0.2
        shares[name], interval[name] = share, (max(1.0, at), min(n, at + 2.0))
    places = {name: place for place, name in enumerate(algorithms, 1)}
    pairs = [(a, b) for a in algorithms for b in algorithms if a != b] if metric else []
    losers = {b for _, b in better}
    return Contest(
        algorithms,
        {scheme: {name: float(n) for name, n in places.items()} for scheme in SCHEMES},
        places,
        interval if draws else {},
        shares if draws else {},
        {} if power or math.isnan(p) else {name: 1 + (name in losers) for name in algorithms},
        frozenset(better),
        {pair: Difference(0.2, 0.1, 0.3, 1.0, 0.016 if pair in better else p) for pair in pairs},
        (0.8, 0.6, 1.0) if draws else (math.nan,) * 3,
        dict(reversed(places.items())) if failures else {},
        power,
    )


@pytest.fixture
def ranked():
    def make(results, better=(), draws=100, p=0.5, cases=12, failed=0):
        names = [entry.algorithm for entry in results.standings if not entry.control]
        needed = cases_needed(len(names), 0.05)
        few = f"{cases} cases cannot separate {len(names)} algorithms by this test (needs {needed})"
        arguments = (names, draws, better, p, bool(failed), few if cases < needed else "")
        agreement = {("SEG", "DET"): 0.9, ("SEG", "AP50"): 0.4, ("DET", "AP50"): -0.2}
        ranking = Ranking(
            "mean",
            "worst",
            "The rule <of> the ranking.",
            contest("", *arguments),
            {metric: contest(metric, *arguments) for metric in results.primary},
            agreement,
            {(name, metric): 0.5 for name in names for metric in results.primary},
            cases,
            failed,
            draws,
            0,
            0.05,
        )
        return replace(results, ranking=ranking)

    return make
