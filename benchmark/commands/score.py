"""Scores of files, folders and Cell Tracking Challenge layouts on disk."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isfinite, nan
from pathlib import Path
from typing import Any

from rich.console import Console

from cytosuite.benchmark.cluster.processes import beside
from cytosuite.benchmark.options.score import ScoreOptions
from cytosuite.benchmark.results import answers, cases, facts, objects, pairs
from cytosuite.benchmark.runs.record import grouped
from cytosuite.benchmark.store.pool import Lost
from cytosuite.benchmark.terminal import console as terminal
from cytosuite.benchmark.terminal import table as tables
from cytosuite.errors import InputError, pick
from cytosuite.folders.masks import Masks
from cytosuite.metrics import FAMILIES, Metric, board_metrics, evidence, metrics_of
from cytosuite.metrics.labels import overlap, prepare
from cytosuite.metrics.realism.edges import EDGES, PUBLISHED
from cytosuite.metrics.tracks.track_folder import score_tracks

PAIRED = ("labels", "images", "realism")  # families of metrics that compare files
OF_TRACKS = {
    "min_object_voxels": "objects of tracks cannot be ignored; leave it out",
    "border": "objects cannot be left out of tracks; leave the option out, or score the SEG folder "
    "against the masks",
    "objects": "objects of tracks are not listed; score two folders of masks",
}
LACKS = {
    "real": "--truth-labels: the objects in the images",
    "points labels": "--truth-labels: the cells in the images",
    "synthetic": "--prediction-labels: the objects in the images",
}
LAYOUTS = {
    True: "compares tracks: give the layout of the Cell Tracking Challenge, --truth 01_GT with "
    "TRA/man_track.txt and --prediction 01_RES with res_track.txt",
    False: "compares files: give two, or two folders of them",
}


@dataclass(slots=True)
class FileScores:
    """Values by case and metric, and each metric over all cases."""

    cases: dict[str, dict[str, float]] = field(default_factory=dict)
    aggregates: dict[str, dict[str, float]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)  # cases of the truth that have no prediction
    doubts: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it: undefined values are left out."""
        finite = {
            part: {
                name: {key: value for key, value in values.items() if isfinite(value)}
                for name, values in rows.items()
            }
            for part, rows in {"case": self.cases, "aggregates": self.aggregates}.items()
        }
        return {**finite, "failed": self.failed, "doubts": self.doubts}


def score_command(options: ScoreOptions, console: Console) -> int:
    """Score files and show the table; exit code 1 if a case has no prediction."""
    with terminal.progress(console, "scoring", minor=True) as step:
        scores = score_files(options, step)
        step(1, 1)
    tables.give(table(scores), options, console, scores.as_json())
    for line in (*scores.doubts, *(f"no prediction: {case}" for case in scores.failed)):
        terminal.lines_to(console)(line)
    return 1 if scores.failed else 0


def score_files(options: ScoreOptions, step: terminal.Step = lambda *_: None) -> FileScores:
    """Return the scores of files on disk: of tracks by sequence, else of cases and of the set."""
    scores = FileScores()
    if sequences := pairs.sequences(options.truth, options.prediction):
        for name, reason in OF_TRACKS.items():
            if getattr(options, name):
                raise InputError(f"--{name.replace('_', '-')}: {reason}")
        names = [m.name for m in _metrics(options.metrics, ["tracks"]) or metrics_of("tracks")]
        for done, (name, folders) in enumerate(sequences.items()):
            step(done, len(sequences), name)
            logs = None if options.logs is None else options.logs / name
            scores.cases[name] = score_tracks(*folders, names, logs)
        scores.aggregates = {name: _mean(scores, name) for name in names}
        return scores
    if options.logs is not None:
        raise InputError(f"--logs: {LAYOUTS[True].removeprefix('compares tracks: ')}")
    listed = pairs.point_pairs(options)
    if options.radius is not None and not listed:
        raise InputError("--radius: expected points (.json, .csv), found other files")
    metrics = _metrics(options.metrics, ["points"] if listed else PAIRED) or [
        metric
        for metric in (metrics_of("points") if listed else board_metrics("segment"))
        if ("labels" if listed else "spacing") not in metric.evidence.needs
        or (listed and options.truth_labels)
    ]
    if options.edges == "published" and not (listed or EDGES in {m.evidence for m in metrics}):
        raise InputError("--edges published: expected a metric like edge_degradation, found none")
    by_case = [metric for metric in metrics if metric.scope == "case"]
    if options.objects and not (listed or overlap.OVERLAP in {m.evidence for m in by_case}):
        raise InputError("--objects: expected a metric of the overlap of labels, like SEG or DET")
    if by_case:
        listed = listed or pairs.image_pairs(options, {metric.family for metric in by_case})
        with tempfile.TemporaryDirectory() as folder:
            places = [Path(folder) / f"{number}.csv" for number in range(len(listed))]
            _score_cases(by_case, options, scores, step, [*zip(listed, places, strict=True)])
    if sets := [metric for metric in metrics if metric.scope == "set"]:
        step(0, 1, "the whole set")
        real = pairs.side(options, options.truth, options.truth_labels)
        synthetic = pairs.side(options, options.prediction, options.prediction_labels)
        edges = PUBLISHED if options.edges == "published" else None
        values = _measured("", sets, facts.set_facts(real, synthetic, edges)).values
        scores.aggregates |= {name: {"set": value} for name, value in values.items()}
    return scores


def _metrics(names: Sequence[str], families: Sequence[str]) -> list[Metric[Any]]:
    """Return metrics of some families by their names in any case; others compare other things."""
    every = {m.name.lower(): m for family in FAMILIES for m in metrics_of(family)}
    exact = {m.name.lower(): m for family in families for m in metrics_of(family)}
    for name in (name.lower() for name in names):
        if name in every and name not in exact:
            needs = LAYOUTS[every[name].family == "tracks"]
            raise InputError(f"metric {every[name].name} {needs}")
    by_name = {m.name: m for m in exact.values()}
    chosen = [exact[name.lower()].name if name.lower() in exact else name for name in names]
    return [by_name[name] for name in pick("metric", chosen, by_name)] if chosen else []


def _score_cases(
    metrics: cases.Metrics,
    options: ScoreOptions,
    scores: FileScores,
    step: terminal.Step,
    pieces: Sequence[tuple[pairs.FilePair, Path]],
) -> None:
    """Add the metrics of all cases, each with the place for the table of its objects."""
    labelled = (pair.prediction for pair, _ in pieces if pair.spacing is None)
    files = [path for path in labelled if isinstance(path, Path)]
    scored: dict[int, tuple[answers.Answer, dict[str, list[str]]]] = {}
    step(0, len(pieces), pieces[0][0].name)
    for number, case in beside(files).each(partial(_score_case, metrics, options), pieces):
        assert not isinstance(case, Lost)
        scored[number] = case
        step(len(scored), len(pieces), pieces[number][0].name)
    ordered = [scored[number] for number in range(len(pieces))]
    scores.doubts = grouped(
        {side: line for _, doubts in ordered for side, line in doubts.items()}, "file"
    )
    _total(metrics, scores, [answer for answer, _ in ordered])
    if options.objects:
        objects.join_tables(options.objects, ["case"], {(p.name,): path for p, path in pieces})


def _score_case(
    metrics: cases.Metrics, options: ScoreOptions, piece: tuple[pairs.FilePair, Path]
) -> tuple[answers.Answer, dict[str, list[str]]]:
    """Return the scores of a prediction, with the doubts about both files."""
    pair, table = piece
    readers, of_points = pair.readers(options), pair.spacing is not None
    judged = (0, options.radius) if of_points else (options.min_object_voxels, None)
    if pair.prediction is None:
        answer = cases.measure("", pair.name, metrics, evidence.Facts({}), "missing output")
    else:
        ranged = options.data_range is not None and not of_points
        data_range = (lambda: options.data_range or 0.0) if ranged else None
        pair_facts = facts.case_facts(readers, data_range, options.spacing, *judged)
        answer = _measured(pair.name, metrics, pair_facts)
    doubts: dict[str, list[str]] = {}
    of_labels = any(metric.family == "labels" for metric in metrics)
    for side in ("truth", "prediction") if of_labels else ():
        if side in readers and (line := prepare.grey_doubt(readers[side]().array)):
            doubts[side] = [line]
    for side, source in (("truth", pair.truth), ("prediction", pair.prediction)):
        if isinstance(source, Masks) and (lines := readers[side]().origin.warnings):
            doubts[side] = [*doubts.get(side, ()), *lines]
    doubts = {f"{side} {pair.name}": lines for side, lines in doubts.items()}
    if options.objects:
        write = answers.write_points if of_points else answers.write_objects
        write(table, readers, answer, options.spacing, *judged)
    return answer, doubts


def _total(metrics: cases.Metrics, scores: FileScores, scored: Sequence[answers.Answer]) -> None:
    """Add the values of the cases, and each metric over all of them."""
    scores.cases = {answer.case: dict(answer.values) for answer in scored}
    scores.failed = [answer.case for answer in scored if answer.status != "ok"]
    for metric in metrics:
        total = _mean(scores, metric.name) | {"failed": len(scores.failed)}
        if metric.worst is None:
            total["undefined"] -= len(scores.failed)
        if metric.evidence.pool is not None and not scores.failed:
            parts = [answer.evidence[metric.evidence] for answer in scored]
            total["pooled"] = metric.of(metric.evidence.pool(parts))
        scores.aggregates[metric.name] = total


def _measured(case: str, metrics: cases.Metrics, judged: evidence.Facts) -> answers.Answer:
    """Return the scores of a case or set, refused with the option that a metric lacks."""
    for metric in metrics:
        for fact in metric.evidence.missing(judged):
            remedy = LACKS.get(f"{metric.family} {fact}") or LACKS.get(fact)
            lack = remedy or f"--{fact.replace('_', '-')}; give it or leave it out"
            raise InputError(f"metric {metric.name} needs {lack}")
    answer = cases.measure("", case, metrics, judged)
    for reason in answer.refused.values():
        raise InputError(reason)
    return answer


def _mean(scores: FileScores, metric: str) -> dict[str, float]:
    """Return the mean of the defined values of a metric, and how many there are."""
    values = [case[metric] for case in scores.cases.values()]
    defined = [value for value in values if isfinite(value)]
    mean = sum(defined) / len(defined) if defined else nan
    return {"mean": mean, "n": len(defined), "undefined": len(values) - len(defined)}


def table(scores: FileScores) -> tables.ValueTable:
    """Return scores as a table: a row per case, then in brackets the rows of all cases together."""
    names = list(scores.aggregates)
    rows = dict(scores.cases)
    for title in ("mean", "pooled", "set", "undefined"):
        row = {
            name: aggregate[title]
            for name, aggregate in scores.aggregates.items()
            if title in aggregate
        }
        if row and (title != "undefined" or any(row.values())):
            rows[f"[{title}]"] = row
    return tables.ValueTable(
        ["case", *names],
        [[case, *(values.get(name) for name in names)] for case, values in rows.items()],
    )
