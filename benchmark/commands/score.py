"""Scores of files, folders and Cell Tracking Challenge layouts on disk."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from math import isclose, nan
from pathlib import Path

from rich.console import Console

from cytosuite.benchmark.commands.files import pairs
from cytosuite.benchmark.commands.options.score import ScoreOptions
from cytosuite.benchmark.commands.terminal import console as terminal
from cytosuite.benchmark.commands.terminal import table as tables
from cytosuite.benchmark.runs.record import grouped
from cytosuite.benchmark.runs.store.pool import Lost, beside
from cytosuite.benchmark.scores import answers, cases, facts, objects
from cytosuite.benchmark.scores.controls import emptied
from cytosuite.benchmark.scores.platform import platform_layout
from cytosuite.benchmark.scores.score import Scores, scores_of
from cytosuite.benchmark.scores.standings import leaderboard
from cytosuite.errors import InputError, pick, printable
from cytosuite.files import FloatDict, Json, Lists, TextSeq
from cytosuite.metrics import FAMILIES, AnyMetric, Metrics, board_metrics, evidence, metrics_of
from cytosuite.metrics.images.n_iou import MASKS
from cytosuite.metrics.labels import overlap
from cytosuite.metrics.realism.edges import EDGES, PUBLISHED
from cytosuite.metrics.tracks.matched_tracks import match_tracks
from cytosuite.metrics.tracks.track_folder import open_sequence, score_tracks

ANSWERER = "prediction"  # in the table
Scored = tuple[answers.Answer, Lists]  # with doubts by file
PAIRED = ("labels", "images", "realism")  # families of metrics that compare files
OF_TRACKS = {
    "min_object_voxels": "objects of tracks cannot be ignored; leave it out",
    "border": "objects cannot be left out of tracks; leave the option out, or score the SEG folder "
    "against the masks",
    "objects": "objects of tracks are not listed; score two folders of masks",
}
LACKS = {
    "real": "--truth-labels: the objects in the images",
    "labels": "--truth-labels: the objects in the images",
    "synthetic": "--prediction-labels: the objects in the images",
}
LAYOUTS = {
    True: "compares tracks: give the layout of the Cell Tracking Challenge, --truth 01_GT with "
    "TRA/man_track.txt and --prediction 01_RES with res_track.txt",
    False: "compares files: give two, or two folders of them",
}


def score_command(options: ScoreOptions, console: Console) -> int:
    """Score files and show the table; exit code 1 if a case has no usable prediction or truth."""
    with terminal.progress(console, "scoring", minor=True) as step:
        scores = score_files(options, step)
    value = layout(scores)
    tables.give(table(scores, value), options, console, value)
    terminal.say(console, *scores.notes)
    return 1 if value["failed"] else 0


def score_files(options: ScoreOptions, step: terminal.Step = lambda *_: None) -> Scores:
    """Return the scores of files on disk: of tracks by sequence, else of cases and of the set."""
    scored = []
    if sequences := pairs.sequences(options.truth, options.prediction):
        for name, reason in OF_TRACKS.items():
            if getattr(options, name):
                raise InputError(f"--{name.replace('_', '-')}: {reason}")
        metrics = _metrics(options.metrics, ["tracks"]) or [*metrics_of("tracks")]
        for done, (name, folders) in enumerate(sequences.items()):
            step(done, len(sequences), name)
            logs = options.logs and options.logs / name
            scored.append(_score_sequence(name, *folders, metrics, logs))
        return scores_of(scored, metrics)._replace(notes=tuple(_failures(scored)))
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
    kinds = {metric.evidence for metric in metrics}
    if options.edges == "published" and not (listed or EDGES in kinds):
        raise InputError("--edges published: expected a metric like edge_degradation, found none")
    by_case = [metric for metric in metrics if metric.scope == "case"]
    if options.objects and not (listed or overlap.OVERLAP in kinds):
        raise InputError("--objects: expected a metric of the overlap of labels, like SEG or DET")
    doubts: Lists = {}
    failed = []
    if by_case:
        listed = [
            pair._replace(name=printable(pair.name))
            for pair in listed or pairs.image_pairs(options, {metric.family for metric in by_case})
        ]
        with tempfile.TemporaryDirectory() as folder:
            pieces = [(pair, Path(folder) / f"{n}.csv") for n, pair in enumerate(listed)]
            for answer, lines in _score_cases(by_case, options, step, pieces):
                scored.append(answer)
                doubts |= lines
            failed = _failures(scored)  # refuses before anything is written
            if options.objects:
                rows = {(pair.name,): path for pair, path in pieces}
                objects.join_tables(options.objects, ["case"], rows)
        for name in pairs.without_truth(options, listed):
            doubts[printable(name)] = ["no truth of this name: not scored"]
    if sets := [metric for metric in metrics if metric.scope == "set"]:
        step(0, 1, "the whole set")
        real = pairs.side(options, options.truth, options.truth_labels)
        synthetic = pairs.side(options, options.prediction, options.prediction_labels)
        edges = PUBLISHED if options.edges == "published" else None
        scored.append(_measured("", sets, facts.set_facts(real, synthetic, edges)))
        for reason in scored[-1].refused.values():
            raise InputError(reason)
        if any(metric.evidence.form != "arrays" for metric in sets):
            doubts |= {
                f"{side} image {number}": pairs.size_doubts(image)
                for side, images in (("truth", real), ("prediction", synthetic))
                for number, image in enumerate(images.volumes(), start=1)
            }
    masks = [f"N_IOU: masks by {options.segmenter}"] * (MASKS in kinds)
    scores = scores_of(scored, [*by_case, *sets])
    return scores._replace(notes=(*grouped(doubts, "file"), *masks, *failed))


def _failures(scored: Sequence[answers.Answer]) -> list[str]:
    """Return a line for each failed case; InputError where no file of any can be scored."""
    failed = [answer.refused[""] for answer in scored if answer.status != "ok"]
    if scored and {answer.status for answer in scored} <= {"bad output", "bad truth"}:
        raise InputError(failed[0])
    return failed


def _score_sequence(
    name: str, truth: Path, prediction: Path, metrics: Metrics, logs: Path | None
) -> answers.Answer:
    """Return the scores of tracks; a result that cannot be scored has the worst values."""
    try:
        values = score_tracks(truth, prediction, [metric.name for metric in metrics], logs)
        return answers.Answer(ANSWERER, name, values)
    except InputError as error:
        answer = cases.measure(ANSWERER, name, metrics, evidence.Facts({}), "bad output")
        try:
            match_tracks(open_sequence(truth), open_sequence(truth))  # SEG, too
        except InputError:
            answer = replace(answer, values=dict.fromkeys(answer.values, nan), status="bad truth")
        return replace(answer, refused={"": str(error)})


def _metrics(names: TextSeq, families: TextSeq) -> list[AnyMetric]:
    """Return metrics of some families by their names in any case; others compare other things."""
    ordered = sorted(FAMILIES, key=families.__contains__)  # of one name the last counts
    every = {m.name.lower(): m for family in ordered for m in metrics_of(family)}
    by_name = {m.name: m for m in every.values() if m.family in families}
    chosen = [every[name.lower()].name if name.lower() in every else name for name in names]
    for metric in every.values():
        if metric.name in chosen and metric.name not in by_name:
            raise InputError(f"metric {metric.name} {LAYOUTS[metric.family == 'tracks']}")
    return [by_name[name] for name in pick("metric", chosen, by_name)] if chosen else []


def _score_cases(
    metrics: Metrics,
    options: ScoreOptions,
    step: terminal.Step,
    pieces: Sequence[tuple[pairs.FilePair, Path]],
) -> list[Scored]:
    """Return the scores of all cases, each with the place for the table of its objects."""
    files = [
        pair.prediction
        for pair, _ in pieces
        if pair.spacing is None and isinstance(pair.prediction, Path)
    ]
    scored = {}
    step(0, len(pieces), pieces[0][0].name)
    for number, case in beside(files).each(partial(_score_case, metrics, options), pieces):
        assert not isinstance(case, Lost)
        scored[number] = case
        step(len(scored), len(pieces), pieces[number][0].name)
    return [scored[number] for number in range(len(pieces))]


def _score_case(
    metrics: Metrics, options: ScoreOptions, piece: tuple[pairs.FilePair, Path]
) -> Scored:
    """Return the scores of a prediction, with the doubts about both files.

    A case without one, or with one that metrics refuse though they take the truth in its place, has
    the worst values, and counts as empty when pooled, as in a run. What the truth does not allow
    is undefined.
    """
    pair, table = piece
    table.touch()
    readers = pair.readers(options)
    of_points = pair.spacing is not None
    data_range = None if options.data_range is None else partial(float, options.data_range)
    blank = cache(lambda: emptied(readers["truth"]()))

    def measured(prediction: facts.AnswerReader, status: str = "ok") -> answers.Answer:
        """Return the scores of the case with a prediction."""
        known = facts.case_facts(
            {**readers, "prediction": prediction},
            data_range,
            0 if of_points else options.min_object_voxels,
            options.radius,
            options.segmenter,
        )
        return _measured(pair.name, metrics, known, status)

    reason = "" if pair.prediction else f"no prediction: {pair.name}"
    answer = measured(readers.setdefault("prediction", blank), "missing output" if reason else "ok")
    perfect = measured(readers["truth"]) if reason or answer.refused else answer
    unfit = perfect.refused
    lines = [f"not scored: {why}" for why in dict.fromkeys(unfit.values())]
    if len(unfit) == len(metrics):
        reason = f"{pair.truth}: {next(iter(unfit.values())).removeprefix(f'{pair.truth}: ')}"
        return replace(perfect, status="bad truth", evidence={}, refused={"": reason}), {}
    if causes := [why for name, why in answer.refused.items() if name not in unfit]:
        readers["prediction"] = blank
        reason = f"{pair.name}: the prediction cannot be scored: {causes[0]}"
        answer = measured(blank, "bad output")
    answer = replace(
        answer,
        values={**answer.values, **perfect.undefined},
        refused={"": reason} if reason else {},
    )
    if options.objects:
        try:
            if of_points:
                answers.write_points(table, readers, answer, options.radius)
            elif overlap.OVERLAP in answer.evidence:
                answers.write_objects(table, readers, answer)
        except InputError as error:
            lines.append(f"objects not listed: {error}")
    doubts = {f"truth {pair.name}": [*lines, *pair.doubts]}
    if Path(str(pair.prediction)).is_symlink() and readers["prediction"] is not blank:
        doubts[f"prediction {pair.name}"] = [
            "a link, as a report refuses: what it leads to is scored"
        ]
    of_labels = any(metric.family == "labels" for metric in metrics)
    in_um = options.objects or any("spacing" in metric.evidence.needs for metric in metrics)
    for side in ("truth", "prediction")[: 1 + (readers["prediction"] is not blank)]:
        volume = readers[side]()
        lines = [cases.doubt(volume, pair.image)] if of_points or of_labels else []
        if not of_points:
            lines += volume.origin.warnings
        if of_labels and "T" in volume.axes:
            lines.append("several frames: an object is one number in all; give a file per frame")
        if side == "truth" and in_um and not of_points and volume.spacing_is_assumed:
            lines.append(pairs.UNSIZED)
        sizes = zip(volume.spacing, readers["truth"]().spacing, strict=False)
        stated = not (of_points or volume.spacing_is_assumed)
        if in_um and stated and not all(isclose(*both, rel_tol=0.01) for both in sizes):
            lines.append("voxel size differs: the one of the truth counts")
        doubts.setdefault(f"{side} {pair.name}", []).extend(filter(None, lines))
    return answer, doubts


def _measured(
    case: str, metrics: Metrics, judged: evidence.Facts, status: str = "ok"
) -> answers.Answer:
    """Return the scores of a case or set; InputError with the option that a metric lacks."""
    for metric in metrics:
        for fact in metric.evidence.missing(judged):
            lack = LACKS.get(fact, f"--{fact.replace('_', '-')}; give it or leave it out")
            raise InputError(f"metric {metric.name} needs {lack}")
    return cases.measure(ANSWERER, case, metrics, judged, status)


def layout(scores: Scores) -> Json:
    """Return scores as ``metrics.json`` has them, with the counts of each metric and the doubts."""
    (entry,) = leaderboard(scores.table, scores.pooled, scores.metrics, {}, ())
    parts = platform_layout(entry, scores.metrics, scores.table)
    for metric, total in zip(scores.metrics, parts["aggregates"].values(), strict=True):
        summary = entry.summaries[metric.name]
        total |= {"undefined": summary.undefined, "failed": summary.failed}
    return {**parts, "doubts": list(scores.notes)}


def table(scores: Scores, value: Json) -> tables.ValueTable:
    """Return scores with their `layout` as a table: rows of cases, in brackets of all together."""
    rows: dict[str, FloatDict] = {}
    for case, name, number in scores.table[["case", "metric", "value"]].itertuples(index=False):
        if case:
            rows.setdefault(case, {})[name] = number
    totals = value["aggregates"]
    for title in ("mean", "pooled", "set", "undefined"):
        row = {name: total[title] for name, total in totals.items() if title in total}
        if row and (title != "undefined" or any(row.values())):
            rows[f"[{title}]"] = row
    return tables.ValueTable(
        ["case", *totals], [{"case": case, **row} for case, row in rows.items()]
    )
