"""Scores of files, folders and Cell Tracking Challenge layouts on disk."""

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import isfinite, nan
from pathlib import Path
from typing import Any

from cytosuite.benchmark.catalog import pick
from cytosuite.benchmark.commands.options import ScoreOptions
from cytosuite.benchmark.commands.progress import Step
from cytosuite.benchmark.commands.table import ValueTable
from cytosuite.benchmark.record import grouped
from cytosuite.benchmark.results.cases import Answer, Metrics, measure
from cytosuite.benchmark.results.facts import ImageSet, Reader, case_facts, once, set_facts
from cytosuite.benchmark.results.object_scores import measured_places, write_object_scores
from cytosuite.benchmark.results.objects import join_tables
from cytosuite.errors import InputError
from cytosuite.formats import READERS
from cytosuite.formats.picture import read_picture
from cytosuite.imagefiles import image_name
from cytosuite.large import blank
from cytosuite.metadata import view_role
from cytosuite.metrics import FAMILIES, Metric, board_metrics, metrics_of
from cytosuite.metrics.evidence import Facts, gather
from cytosuite.metrics.labels.border import without_border
from cytosuite.metrics.labels.grey import grey_doubt
from cytosuite.metrics.labels.overlap import OVERLAP
from cytosuite.metrics.tracks.track_folder import score_tracks
from cytosuite.volume import Volume

PAIRED = ("labels", "images", "realism")  # families of metrics that compare files
LACKS = {
    "real": "--truth-labels: the objects in the images",
    "synthetic": "--prediction-labels: the objects in the images",
}
LAYOUTS = {
    True: "compares tracks: give the layout of the Cell Tracking Challenge, --truth 01_GT with "
    "TRA/man_track.txt and --prediction 01_RES with res_track.txt",
    False: "compares files: give two, or two folders of them",
}
ROLES = ("fused", "angle")  # of the answers of Fuse My Cells; of the inputs in reverse
FRAME = re.compile(r"(?:man_seg|man_track|mask)(\d{3,})")


@dataclass(slots=True)
class FileScores:
    """Values by case and metric, and each metric over all cases.

    Parameters
    ----------
    cases : dict of str to dict of str to float
        NaN where a metric is undefined; a case without prediction has the worst values.
    aggregates : dict of str to dict of str to float
        ``mean``, ``pooled`` (label metrics: all objects alike), ``n``, ``undefined``, ``failed``.
    failed : list of str
        Cases of the truth that have no prediction.
    doubts : list of str
        Lines on files that look like grey images where labels are expected.
    """

    cases: dict[str, dict[str, float]] = field(default_factory=dict)
    aggregates: dict[str, dict[str, float]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it: undefined values are left out."""
        content = {"case": self.cases, "aggregates": self.aggregates}
        finite = {
            part: {
                name: {key: value for key, value in values.items() if isfinite(value)}
                for name, values in rows.items()
            }
            for part, rows in content.items()
        }
        return {**finite, "failed": self.failed, "doubts": self.doubts}


def score_files(options: ScoreOptions, step: Step = lambda *_: None) -> FileScores:
    """Return the scores of files on disk.

    Parameters
    ----------
    options : ScoreOptions
        Truth and prediction are two files; two folders whose files have the same names
        (``man_segTTT`` and ``maskTTT`` of the Cell Tracking Challenge are the same, and for metrics
        of images ``a_fused`` and what was made of the view ``a_angle`` of Fuse My Cells); or
        folders with tracks in its layout (``01_GT`` and ``01_RES``, or the folders that hold them).
        Metrics are named in any case; without names all of segmentation that need no voxel size
        are given, of tracks for that layout. The voxel size (µm) is that of the truth's file
        unless it is given. With a border (pixels), objects wholly within this distance of the
        lateral border are left out; true objects below `min_object_voxels` are ignored, see
        `cytosuite.metrics.labels.ignore.without_small`. ``objects`` names a CSV file for what
        became of each object, see `cytosuite.benchmark.results.object_scores`.
    step : callable, optional
        Shows how many cases are done.

    Raises
    ------
    InputError
        If files do not fit together, a metric is unknown, or one lacks an option.
    """
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
    each = [metric for metric in metrics if metric.scope == "case"]
    if options.objects and not any(metric.evidence is OVERLAP for metric in each):
        raise InputError("--objects: expected a metric of the overlap of labels, like SEG or DET")
    if each:
        with tempfile.TemporaryDirectory() as folder:
            tables = _score_pairs(each, options, scores, step, Path(folder))
            if options.objects:
                join_tables(options.objects, ["case"], tables)
    if sets := [metric for metric in metrics if metric.scope == "set"]:
        step(0, 1, "the whole set")
        real = _side(options.truth, options.truth_labels)
        synthetic = _side(options.prediction, options.prediction_labels)
        values = _measured("", sets, set_facts(real, synthetic)).values
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
    known = {m.name: m for m in exact.values()}
    wanted = [exact[name.lower()].name if name.lower() in exact else name for name in names]
    return [known[name] for name in pick("metric", wanted, known)] if wanted else []


def _score_pairs(
    metrics: Metrics, options: ScoreOptions, scores: FileScores, step: Step, folder: Path
) -> dict[tuple[str], Path]:
    """Add the metrics that compare a prediction with its own truth, and return tables of objects.

    The tables, by case, are written into a folder where they are wanted.
    """
    roles = ROLES if {metric.family for metric in metrics} == {"images"} else ()
    pairs = _pairs(options.truth, options.prediction, roles)
    inputs = options.image and _pairs(options.truth, options.image, roles[::-1])
    images = dict(inputs or ())
    answers, tables, doubts = [], {}, dict[str, list[str]]()
    for done, (truth, prediction) in enumerate(pairs):
        step(done, len(pairs), truth.name)
        name, readers = image_name(truth), _readers(options, truth, prediction)
        if prediction is None:
            answers.append(measure("", name, metrics, Facts({}), "missing output"))
        else:
            facts = _facts(options, readers, images.get(truth))
            answers.append(_measured(name, metrics, facts))
        if any(metric.family == "labels" for metric in metrics):
            doubts |= _doubts(name, readers)
        if options.objects:
            tables[name,] = folder / f"{done}.csv"
            _write_objects(tables[name,], options, readers, answers[-1])
    scores.doubts = grouped(doubts, "file")
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
    return tables


def _doubts(case: str, readers: Mapping[str, Reader]) -> dict[str, list[str]]:
    """Return a line for each side of a case that looks like a grey image."""
    found = {f"{side} {case}": grey_doubt(read().array) for side, read in readers.items()}
    return {name: [line] for name, line in found.items() if line}


def _write_objects(
    path: Path, options: ScoreOptions, readers: Mapping[str, Reader], answer: Answer
) -> None:
    """Write the judged objects of a case; without a prediction all are missed."""
    truth = readers["truth"]()
    spacing = options.spacing or truth.spacing
    labels = Volume(truth.array, spacing, truth.axes)
    predicted = readers.get("prediction")
    found = labels.like(blank(truth.array) if predicted is None else predicted().array)
    sides = {"truth": lambda: labels, "prediction": lambda: found}
    facts = case_facts(sides, None, spacing, options.min_object_voxels)
    table = answer.evidence.get(OVERLAP) or gather([OVERLAP], facts)[OVERLAP]
    write_object_scores(path, table, measured_places(labels), measured_places(found))


def _measured(case: str, metrics: Metrics, facts: Facts) -> Answer:
    """Return the scores of a case or set, refused with the option that a metric lacks."""
    for metric in metrics:
        for fact in metric.evidence.missing(facts):
            lack = LACKS.get(fact, f"--{fact.replace('_', '-')}; give it or leave it out")
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
    """Return scores as a table: a row per case, then in brackets those of all cases together.

    Parameters
    ----------
    scores : FileScores
        Of `score_files`.

    Returns
    -------
    ValueTable
        ``[mean]``, ``[pooled]``, ``[set]`` and the number of ``[undefined]`` values are rows where
        there are any.
    """
    names = list(scores.aggregates)
    rows: dict[str, Mapping[str, float]] = dict(scores.cases)
    for title in ("mean", "pooled", "set", "undefined"):
        found = {name: own[title] for name, own in scores.aggregates.items() if title in own}
        if found and (title != "undefined" or any(found.values())):
            rows[f"[{title}]"] = found
    return ValueTable(
        ["case", *names],
        [[case, *(values.get(name) for name in names)] for case, values in rows.items()],
    )


def _sequences(truth: Path, prediction: Path) -> dict[str, tuple[Path, Path]]:
    """Return truth and result of each sequence in the challenge's layout, if it is that."""
    if (truth / "TRA").is_dir():
        return {truth.name.removesuffix("_GT"): (truth, prediction)}
    found = sorted(path for path in truth.glob("[0-9][0-9]_GT") if (path / "TRA").is_dir())
    return {path.name[:2]: (path, prediction / f"{path.name[:2]}_RES") for path in found}


def _files(path: Path) -> list[Path]:
    """Return a file, or the images in a folder, sorted."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if _is_image(path):
        return [path]
    files = [found for found in sorted(path.iterdir()) if found.suffix.lower() in READERS]
    if not files:
        raise InputError(f"{path}: expected images ({', '.join(READERS)}), found none")
    return files


def _is_image(path: Path) -> bool:
    """Return whether a path is a file, or the folder that is an OME-Zarr."""
    return path.is_file() or (path.is_dir() and path.suffix.lower() in READERS)


def _is_no_picture(path: Path) -> bool:
    """Return whether a file can hold a volume."""
    return READERS[path.suffix.lower()] is not read_picture


def _pairs(truth: Path, other: Path, roles: Sequence[str] = ()) -> list[tuple[Path, Path | None]]:
    """Return each file of the truth with the file of the same name, None where there is none.

    With roles a fused image has the file of its specimen in the first role that there is: what is
    made of a view is called like the view. A view beside fused images is no truth.
    """
    files, others = _files(truth), _files(other)
    if _is_image(truth) != _is_image(other):
        raise InputError(f"expected two files or two folders, found {truth} and {other}")
    if _is_image(truth):
        return [(truth, other)]
    # A picture beside an image of its name is a preview of it.
    known = {_key(path): path for path in sorted(others, key=_is_no_picture)}
    roles_of = {path: view_role(image_name(path)) for path in files}
    fused = {path: found[0] for path, found in roles_of.items() if found and found[1] == "fused"}
    if roles and fused:
        files = [path for path in files if path in fused or roles_of[path] is None]
        seen = {view_role(image_name(path)): path for path in others}
        for path, specimen in fused.items():
            wanted = [(specimen, role) for role in roles if (specimen, role) in seen]
            known |= {_key(path): seen[pair] for pair in wanted[:1]}
    if not any(_key(path) in known for path in files):
        raise InputError(
            f"{other}: no file is named like one in {truth}; expected for example {files[0].name}"
        )
    return [(path, known.get(_key(path))) for path in files]


def _key(path: Path) -> str:
    """Return the name that files of one case share: the stem, or a challenge's frame number."""
    match = FRAME.fullmatch(image_name(path))
    return match[1] if match else image_name(path)


def _facts(options: ScoreOptions, readers: Mapping[str, Reader], image: Path | None) -> Facts:
    """Return the facts about a truth and its prediction."""
    data_range = options.data_range
    known = None if data_range is None else lambda: data_range
    every = {**readers, "image": None if image is None else once(image)}
    return case_facts(every, known, options.spacing, options.min_object_voxels)


def _readers(options: ScoreOptions, truth: Path, prediction: Path | None) -> dict[str, Reader]:
    """Return readers of a truth and its prediction, of which each file is decoded once."""
    paths = {"truth": truth} | ({} if prediction is None else {"prediction": prediction})
    return {name: _reader(path, options.border) for name, path in paths.items()}


def _reader(path: Path, border: int) -> Reader:
    """Return a reader of labels without objects at the border, or of any file without one."""
    volume = once(path)
    if not border:
        return volume
    return cache(lambda: volume().like(without_border(volume().array, border)))


def _side(path: Path, labels: Path | None) -> ImageSet:
    """Return one set of images, with the labels of the same names."""
    if labels is None:
        return ImageSet([once(file) for file in _files(path)])
    pairs = _pairs(path, labels)
    missing = [file.name for file, found in pairs if found is None]
    if missing:
        raise InputError(f"{labels}: no labels for {missing[0]} ({len(missing)} are missing)")
    return ImageSet([once(file) for file, _ in pairs], [once(own) for _, own in pairs if own])
