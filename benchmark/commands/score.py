"""Scores of files, folders and Cell Tracking Challenge layouts on disk."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from math import isfinite, nan
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from cytosuite.benchmark.cluster.processes import beside
from cytosuite.benchmark.options.score import ScoreOptions
from cytosuite.benchmark.results.cases import Answer, Metrics, measure
from cytosuite.benchmark.results.facts import ImageSet, Reader, case_facts, once, set_facts
from cytosuite.benchmark.results.objects import join_tables, measured_places, write_object_scores
from cytosuite.benchmark.results.pointfiles import PointCase, PointSettings, point_cases
from cytosuite.benchmark.runs.record import grouped
from cytosuite.benchmark.store.pool import Lost
from cytosuite.benchmark.terminal.console import Step, lines_to, progress
from cytosuite.benchmark.terminal.table import ValueTable, give
from cytosuite.contract.metadata import view_role
from cytosuite.errors import InputError, pick
from cytosuite.folders.index import OUTPUTS, SOCKETS, Item, index
from cytosuite.folders.layouts import annotated
from cytosuite.folders.masks import Masks, Source, read_rules
from cytosuite.folders.names import readable
from cytosuite.folders.rois import is_rois, roi_files
from cytosuite.folders.sides import bare_name, files_of, is_file, named, partners
from cytosuite.formats.imagefiles import image_name
from cytosuite.formats.lists import is_list
from cytosuite.metrics import FAMILIES, Metric, board_metrics, metrics_of
from cytosuite.metrics.evidence import Facts, gather
from cytosuite.metrics.labels.overlap import OVERLAP
from cytosuite.metrics.labels.prepare import grey_doubt, without_border
from cytosuite.metrics.realism.edges import EDGES, PUBLISHED
from cytosuite.metrics.tracks.track_folder import PLANE, score_tracks
from cytosuite.volume import Volume
from cytosuite.volume.large import blank

PAIRED = ("labels", "images", "realism")  # families of metrics that compare files
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
ROLES = ("fused", "angle")  # of the answers of Fuse My Cells; of the inputs in reverse


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
    with progress(console, "scoring", minor=True) as step:
        scores = score_files(options, step)
        step(1, 1)
    give(table(scores), options, console, scores.as_json())
    for line in (*scores.doubts, *(f"no prediction: {case}" for case in scores.failed)):
        lines_to(console)(line)
    return 1 if scores.failed else 0


def score_files(options: ScoreOptions, step: Step = lambda *_: None) -> FileScores:
    """Return the scores of files on disk."""
    sequences = _sequences(options.truth, options.prediction)
    if sequences and options.min_object_voxels:
        raise InputError("--min-object-voxels: objects of tracks cannot be ignored; leave it out")
    if sequences and options.border:
        raise InputError(
            "--border: objects cannot be left out of tracks; leave the option out, or score "
            "the SEG folder against the masks"
        )
    if sequences and options.objects:
        raise InputError("--objects: objects of tracks are not listed; score two folders of masks")
    scores = FileScores()
    settings = PointSettings(
        image=options.image,
        spacing=options.spacing,
        cells=options.truth_labels,
        group=options.group or "",
        radius_um=options.radius,
    )
    points = None if sequences else point_cases(options.truth, options.prediction, settings)
    if points is not None:
        return _score_points(points, options, step)
    if options.radius is not None:
        raise InputError("--radius: expected points (.json, .csv), found other files")
    if sequences:
        names = [m.name for m in _metrics(options.metrics, ["tracks"]) or metrics_of("tracks")]
        for done, (name, folders) in enumerate(sequences.items()):
            step(done, len(sequences), name)
            scores.cases[name] = score_tracks(*folders, names)
        scores.aggregates = {name: _mean(scores, name) for name in names}
        return scores
    metrics = _metrics(options.metrics, PAIRED) or [
        metric for metric in board_metrics("segment") if "spacing" not in metric.evidence.needs
    ]
    if options.edges == "published" and all(metric.evidence is not EDGES for metric in metrics):
        raise InputError("--edges published: expected a metric like edge_degradation, found none")
    by_case = [metric for metric in metrics if metric.scope == "case"]
    if options.objects and not any(metric.evidence is OVERLAP for metric in by_case):
        raise InputError("--objects: expected a metric of the overlap of labels, like SEG or DET")
    if by_case:
        with tempfile.TemporaryDirectory() as folder:
            tables = _score_pairs(by_case, options, scores, step, Path(folder))
            if options.objects:
                join_tables(options.objects, ["case"], tables)
    if sets := [metric for metric in metrics if metric.scope == "set"]:
        step(0, 1, "the whole set")
        real = _side(options, options.truth, options.truth_labels)
        synthetic = _side(options, options.prediction, options.prediction_labels)
        facts = set_facts(real, synthetic, PUBLISHED if options.edges == "published" else None)
        values = _measured("", sets, facts).values
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


def _score_pairs(
    metrics: Metrics, options: ScoreOptions, scores: FileScores, step: Step, folder: Path
) -> dict[tuple[str], Path]:
    """Add the metrics of predictions with their own truth; return places of tables of objects."""
    roles = ROLES if {metric.family for metric in metrics} == {"images"} else ()
    names: dict[Source, str]
    pairs: list[tuple[Source, Path | None]]
    images: dict[Source, Path | None]
    if items := _annotated(options, images=bool(roles)):
        names, pairs, images = _of_items(options, items, images=bool(roles))
    else:
        rois = any(metric.family == "labels" for metric in metrics)
        files = _pairs(options.truth, options.prediction, roles, (rois, rois))
        inputs = options.image and _pairs(options.truth, options.image, roles[::-1], (rois, False))
        names, images = {truth: bare_name(truth) for truth, _ in files}, dict(inputs or ())
        pairs = [*files]
    places = {(names[truth],): folder / f"{number}.csv" for number, (truth, _) in enumerate(pairs)}
    pieces = [
        _Pair(
            names[truth],
            _drawn(truth, images.get(truth), prediction),
            prediction and _drawn(prediction, images.get(truth), truth),
            images.get(truth),
            table,
        )
        for (truth, prediction), table in zip(pairs, places.values(), strict=True)
    ]
    pool = beside([prediction for _, prediction in pairs if prediction])
    answers: dict[int, tuple[Answer, dict[str, list[str]]]] = {}
    step(0, len(pieces), pieces[0].name)
    for number, scored in pool.each(partial(_score_pair, metrics, options), pieces):
        assert not isinstance(scored, Lost)
        answers[number] = scored
        step(len(answers), len(pieces), pieces[number].name)
    ordered = [answers[number] for number in range(len(pieces))]
    scores.doubts = grouped(
        {side: line for _, doubts in ordered for side, line in doubts.items()}, "file"
    )
    _total(metrics, scores, [answer for answer, _ in ordered])
    return places


class _Pair(NamedTuple):
    """A truth with its prediction and input image, and the place for the table of its objects."""

    name: str
    truth: Source
    prediction: Source | None
    image: Path | None
    table: Path


def _score_pair(
    metrics: Metrics, options: ScoreOptions, pair: _Pair
) -> tuple[Answer, dict[str, list[str]]]:
    """Return the scores of a prediction, with the doubts about both files."""
    data_range, name = options.data_range, pair.name
    value_range = None if data_range is None else lambda: data_range
    readers, doubts = _readers(options, pair.truth, pair.prediction), {}
    if pair.prediction is None:
        answer = measure("", name, metrics, Facts({}), "missing output")
    else:
        image = None if pair.image is None else _reader(pair.image, options)
        facts = case_facts(
            {**readers, "image": image}, value_range, options.spacing, options.min_object_voxels
        )
        answer = _measured(name, metrics, facts)
    if any(metric.family == "labels" for metric in metrics):
        grey = {f"{side} {name}": grey_doubt(read().array) for side, read in readers.items()}
        doubts = {side: [line] for side, line in grey.items() if line}
    for side, source in {"truth": pair.truth, "prediction": pair.prediction}.items():
        if isinstance(source, Masks) and (lines := readers[side]().origin.warnings):
            doubts[f"{side} {name}"] = [*doubts.get(f"{side} {name}", ()), *lines]
    if options.objects:
        _write_objects(pair.table, options, readers, answer)
    return answer, doubts


def _total(metrics: Metrics, scores: FileScores, answers: Sequence[Answer]) -> None:
    """Add the values of the cases, and each metric over all of them."""
    scores.cases = {answer.case: dict(answer.values) for answer in answers}
    scores.failed = [answer.case for answer in answers if answer.status != "ok"]
    for metric in metrics:
        total = _mean(scores, metric.name) | {"failed": len(scores.failed)}
        if metric.worst is None:
            total["undefined"] -= len(scores.failed)
        if metric.evidence.pool is not None and not scores.failed:
            parts = [answer.evidence[metric.evidence] for answer in answers]
            total["pooled"] = metric.of(metric.evidence.pool(parts))
        scores.aggregates[metric.name] = total


def _score_points(cases: Iterable[PointCase], options: ScoreOptions, step: Step) -> FileScores:
    """Return the scores of files of points."""
    metrics = _metrics(options.metrics, ["points"]) or [
        m for m in metrics_of("points") if options.truth_labels or "labels" not in m.evidence.needs
    ]
    scores, answers, tables = FileScores(), [], {}
    with tempfile.TemporaryDirectory() as folder:
        for done, case in enumerate(cases):
            step(done, done + 1, case.name)
            answers.append(
                measure("", case.name, metrics, Facts({}), "missing output")
                if case.prediction is None
                else _measured(case.name, metrics, case.facts)
            )
            if options.objects:
                tables[case.name,] = Path(folder) / f"{done}.csv"
                case.write(tables[case.name,])
        if options.objects:
            join_tables(options.objects, ["case"], tables)
    _total(metrics, scores, answers)
    return scores


def _write_objects(
    path: Path, options: ScoreOptions, readers: Mapping[str, Reader], answer: Answer
) -> None:
    """Write the judged objects of a case; without a prediction all are missed."""
    truth = readers["truth"]()
    spacing = options.spacing or truth.spacing
    labels = Volume(truth.array, spacing, truth.axes)
    predicted = readers.get("prediction")
    prediction = labels.like(blank(truth.array) if predicted is None else predicted().array)
    sides = {"truth": lambda: labels, "prediction": lambda: prediction}
    facts = case_facts(sides, None, spacing, options.min_object_voxels)
    table = answer.evidence.get(OVERLAP) or gather([OVERLAP], facts)[OVERLAP]
    write_object_scores(path, table, measured_places(labels), measured_places(prediction))


def _measured(case: str, metrics: Metrics, facts: Facts) -> Answer:
    """Return the scores of a case or set, refused with the option that a metric lacks."""
    for metric in metrics:
        for fact in metric.evidence.missing(facts):
            remedy = LACKS.get(f"{metric.family} {fact}") or LACKS.get(fact)
            lack = remedy or f"--{fact.replace('_', '-')}; give it or leave it out"
            raise InputError(f"metric {metric.name} needs {lack}")
    answer = measure("", case, metrics, facts)
    for reason in answer.refused.values():
        raise InputError(reason)
    return answer


def _mean(scores: FileScores, metric: str) -> dict[str, float]:
    """Return the mean of the defined values of a metric, and how many there are."""
    values = [case[metric] for case in scores.cases.values()]
    defined = [value for value in values if isfinite(value)]
    mean = sum(defined) / len(defined) if defined else nan
    return {"mean": mean, "n": len(defined), "undefined": len(values) - len(defined)}


def table(scores: FileScores) -> ValueTable:
    """Return scores as a table: a row per case, then in brackets the rows of all cases together."""
    names = list(scores.aggregates)
    rows: dict[str, Mapping[str, float]] = dict(scores.cases)
    for title in ("mean", "pooled", "set", "undefined"):
        row = {
            name: aggregate[title]
            for name, aggregate in scores.aggregates.items()
            if title in aggregate
        }
        if row and (title != "undefined" or any(row.values())):
            rows[f"[{title}]"] = row
    return ValueTable(
        ["case", *names],
        [[case, *(values.get(name) for name in names)] for case, values in rows.items()],
    )


def _sequences(truth: Path, prediction: Path) -> dict[str, tuple[Path, Path]]:
    """Return truth and result of each sequence in the challenge's layout, if it is that."""
    if (truth / "TRA").is_dir():
        return {truth.name.removesuffix("_GT"): (truth, prediction)}
    folders = sorted(path for path in truth.glob("[0-9][0-9]_GT") if (path / "TRA").is_dir())
    return {path.name[:2]: (path, prediction / f"{path.name[:2]}_RES") for path in folders}


def _pairs(
    truth: Path,
    prediction: Path,
    roles: Sequence[str] = (),
    rois: tuple[bool, bool] = (False, False),
) -> list[tuple[Path, Path | None]]:
    """Return each file of the truth with the prediction of its name, or of its view."""
    if is_file(truth) != is_file(prediction):
        raise InputError(f"expected two files or two folders, found {truth} and {prediction}")
    if is_file(truth):
        return [(truth, prediction)]
    files, others = named(truth, rois=rois[0]), named(prediction, rois=rois[1])
    views = {key: view_role(key) for key in files}
    fused = {key: view[0] for key, view in views.items() if view and view[1] == "fused"}
    matches = partners(files, prediction, others)
    if roles and fused:
        files = {key: path for key, path in files.items() if key in fused or views[key] is None}
        seen = {view_role(key): path for key, path in others.items()}
        for key, specimen in fused.items():
            pairs = [(specimen, role) for role in roles if (specimen, role) in seen]
            matches.update({key: seen[pairs[0]]} if pairs else {})
    if not matches.keys() & files.keys():
        first = next(iter(files.values()))
        raise InputError(
            f"{prediction}: no file is named like one in {truth}; expected for example {first.name}"
        )
    return [(path, matches.get(key)) for key, path in files.items()]


def _annotated(options: ScoreOptions, *, images: bool) -> list[Item]:
    """Return the cases of a truth that holds more than files of one kind, none of others."""
    place = options.truth
    plain = images or (roi_files(place, ()) and not readable(place))
    if not is_list(place) and (is_file(place) or (plain and not annotated(place).items)):
        return []
    table = index(place, None if images else "segment", root=options.data_root)
    return [item for item in table.items if _truth(item, images=images) is not None]


def _truth(item: Item, *, images: bool) -> Source | None:
    """Return the true image or the true labels of a case."""
    kind = "image" if images else "labels"
    files = item.files.items()
    return next(
        (file for slug, file in files if slug in OUTPUTS and SOCKETS[slug].kind == kind), None
    )


def _of_items(
    options: ScoreOptions, items: Sequence[Item], *, images: bool
) -> tuple[dict[Source, str], list[tuple[Source, Path | None]], dict[Source, Path | None]]:
    """Return the cases by their truth: names, predictions, input images."""
    if options.image not in (None, options.truth):
        raise InputError(f"--image {options.image}: {options.truth} names the images; leave it out")
    cases = {truth: item for item in items if (truth := _truth(item, images=images)) is not None}
    names = {truth: item.name for truth, item in cases.items()}
    predictions = named(options.prediction, rois=True)
    matches = partners(names.values(), options.prediction, predictions)
    if not matches:  # of programs that leave out folders
        stems = {truth: image_name(item.image) for truth, item in cases.items()}
        names = stems if len({*stems.values()}) == len(names) else names
        matches = partners(names.values(), options.prediction, predictions)
    if not matches:
        first = next(iter(names.values()))
        raise InputError(
            f"{options.prediction}: no file is named like an image in {options.truth}; expected "
            f"for example {first}.tif"
        )
    pairs = [(truth, matches.get(name)) for truth, name in names.items()]
    return names, pairs, {truth: item.image for truth, item in cases.items()}


def _drawn(source: Source, *others: Source | None) -> Source:
    """Return ROIs as labels of the size of another file of the case, or of an image near them."""
    if isinstance(source, Masks) or not is_rois(source):
        return source
    files = [
        partner.image if isinstance(partner, Masks) else partner for partner in others if partner
    ]
    near = (path for path in readable(source.parent) if bare_name(path) == bare_name(source))
    image = next((path for path in files if not is_rois(path)), None) or next(near, None)
    if image is None:
        raise InputError(f"{source}: expected an image of its size: --image, or beside the ROIs")
    return Masks(source.parent, source, read_rules(source.parent), image=image)


def _readers(options: ScoreOptions, truth: Source, prediction: Source | None) -> dict[str, Reader]:
    """Return readers of a truth and its prediction; each file is decoded once."""
    readers = {"truth": _reader(truth, options, options.border)}
    if prediction is not None:
        drawn = None if isinstance(truth, Masks) else PLANE.match(truth.name)
        plane = int(drawn[2]) if drawn else None
        readers["prediction"] = _reader(prediction, options, options.border, plane)
    return readers


def _reader(
    path: Source, options: ScoreOptions, border: int = 0, plane: int | None = None
) -> Reader:
    """Return a reader of a file, of a plane of a volume, without objects at a border."""
    volume = once(path, options.group or "")

    def read() -> Volume:
        """Decode it on first use."""
        image = volume()
        if plane is not None and image.axes == "ZYX":
            if plane >= len(image.array):
                raise InputError(f"{path}: expected a plane {plane}, found {len(image.array)}")
            image = Volume(image.array[plane], image.spacing[1:], "YX")
        return image.like(without_border(image.array, border)) if border else image

    return cache(read)


def _side(options: ScoreOptions, path: Path, labels: Path | None) -> ImageSet:
    """Return one set of images, with the labels of the same names."""
    if labels is None:
        flat = is_file(path) or readable(path)
        items = () if flat else index(path, "segment", root=options.data_root).items
        files = [item.image for item in items] or files_of(path, options.data_root)
        return ImageSet([_reader(file, options) for file in files])
    pairs = _pairs(path, labels)
    missing = [file.name for file, match in pairs if match is None]
    if missing:
        raise InputError(f"{labels}: no labels for {missing[0]} ({len(missing)} are missing)")
    read = partial(_reader, options=options)
    return ImageSet([read(file) for file, _ in pairs], [read(match) for _, match in pairs if match])
