"""Score files, folders and Cell Tracking Challenge layouts without running anything."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, nan
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.catalog import pick
from cytosuite.metrics import Metric, concatenate, metrics_for, overlap
from cytosuite.metrics.labels.border import without_border
from cytosuite.metrics.realism.scene import Scene
from cytosuite.metrics.tracks.track_score import score_tracks
from cytosuite.errors import InputError
from cytosuite.formats import READERS, read

PAIRED = ("segment", "enhance", "synthesise")
FRAME = re.compile(r"(?:man_seg|man_track|mask)(\d{3,})")


@dataclass(frozen=True, slots=True)
class Wish:
    """What to score.

    Parameters
    ----------
    truth, prediction : Path
        Two files; two folders whose files have the same names (``man_segTTT`` and ``maskTTT`` of
        the Cell Tracking Challenge are the same); or folders with tracks in its layout (``01_GT``
        and ``01_RES``, or what holds them).
    metrics : sequence of str
        Names in any case; none for all scores of label images (of tracks for that layout).
    image : Path or None
        The algorithm's input, for metrics that compare with it.
    spacing : tuple of float or None
        µm per voxel in place of what the truth's file says.
    data_range : float or None
        Range of the intensities, which image metrics need.
    border : int
        Pixels: objects wholly within this distance of the lateral border are left out.
    truth_labels, prediction_labels : Path or None
        Labels of the objects in the images, for metrics that compare sets of images.
    """

    truth: Path
    prediction: Path
    metrics: Sequence[str] = ()
    image: Path | None = None
    spacing: tuple[float, ...] | None = None
    data_range: float | None = None
    border: int = 0
    truth_labels: Path | None = None
    prediction_labels: Path | None = None


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
    """

    cases: dict[str, dict[str, float]] = field(default_factory=dict)
    aggregates: dict[str, dict[str, float]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it: undefined values are left out."""

        def finite(values: Mapping[str, float]) -> dict[str, float]:
            """Return the values that are numbers."""
            return {name: value for name, value in values.items() if isfinite(value)}

        return {
            "case": {name: finite(values) for name, values in self.cases.items()},
            "aggregates": {name: finite(values) for name, values in self.aggregates.items()},
            "failed": self.failed,
        }


def score_files(wish: Wish) -> FileScores:
    """Return the scores of files on disk.

    Parameters
    ----------
    wish : Wish
        What to score.

    Raises
    ------
    InputError
        If files do not fit together, a metric is unknown, or one needs what was not given.
    """
    sequences = _sequences(wish.truth, wish.prediction)
    if sequences:
        if wish.border:
            raise InputError(
                "--border: objects cannot be left out of tracks; leave the option out, or score "
                "the SEG folder against the masks"
            )
        return _tracks(sequences, wish.metrics)
    metrics = _metrics(wish.metrics)
    scores = FileScores()
    if each := [metric for metric in metrics if metric.scope == "case"]:
        _score_pairs(each, wish, scores)
    if sets := [metric for metric in metrics if metric.scope == "set"]:
        _score_sets(sets, wish, scores)
    return scores


def _score_pairs(each: Sequence[Metric[Any]], wish: Wish, scores: FileScores) -> None:
    """Add the metrics that compare a prediction with its own truth."""
    pairs = _pairs(wish.truth, wish.prediction)
    images = dict(_pairs(wish.truth, wish.image)) if wish.image else {}
    scores.failed = [truth.stem for truth, found in pairs if found is None]
    evidence: dict[str, list[Any]] = {}
    for truth, prediction in pairs:
        values = dict.fromkeys((m.name for m in each), nan)
        values |= {m.name: m.worst for m in each if prediction is None and m.worst is not None}
        if prediction is not None:
            given = _given(wish, truth, prediction, images.get(truth))
            for metric, gathered in _gather(each, given):
                values[metric.name] = metric.of(gathered)
                if metric.evidence is overlap:
                    evidence.setdefault(metric.name, []).append(gathered)
        scores.cases[truth.stem] = values
    for metric in each:
        scores.aggregates[metric.name] = _aggregate(metric, scores, evidence.get(metric.name, []))


def show(scores: FileScores, console: Console) -> None:
    """Print a table: a row per case, then mean and pooled values, then what is missing.

    Parameters
    ----------
    scores : FileScores
        What to show.
    console : Console
        Where.
    """
    names = list(scores.aggregates)
    table = Table(box=None, pad_edge=False)
    table.add_column("case", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    rows = dict(scores.cases)
    for title in ("mean", "pooled", "set", "undefined"):
        found = {
            name: scores.aggregates[name][title]
            for name in names
            if title in scores.aggregates[name]
        }
        if found and (title != "undefined" or any(found.values())):
            rows[f"[{title}]"] = found
    for case, values in rows.items():
        table.add_row(Text(case), *(f"{values[n]:.4g}" if n in values else "-" for n in names))
    console.print(table)
    for case in scores.failed:
        console.print(f"no prediction: {case}", highlight=False, markup=False)


def _metrics(names: Sequence[str]) -> list[Metric[Any]]:
    """Return the metrics asked for, whatever their case; the label scores without a wish."""
    known = {metric.name: metric for task in PAIRED for metric in metrics_for(task)}
    if not names:
        return [metric for metric in known.values() if metric.evidence is overlap]
    exact = {name.lower(): name for name in known}
    wanted = [exact.get(name.lower(), name) for name in names]
    return [known[name] for name in pick("metric", wanted, known)]


def _sequences(truth: Path, prediction: Path) -> list[tuple[str, Path, Path]]:
    """Return name, truth and result of each sequence in the challenge's layout, if it is that."""
    if (truth / "TRA").is_dir():
        return [(truth.name.removesuffix("_GT"), truth, prediction)]
    found = sorted(path for path in truth.glob("[0-9][0-9]_GT") if (path / "TRA").is_dir())
    return [(path.name[:2], path, prediction / f"{path.name[:2]}_RES") for path in found]


def _tracks(sequences: Sequence[tuple[str, Path, Path]], names: Sequence[str]) -> FileScores:
    """Return the scores of tracking results, one case per sequence."""
    known = {metric.name.lower(): metric.name for metric in metrics_for("track")}
    wanted = [known.get(name.lower(), name) for name in names]
    scores = FileScores()
    for name, truth, result in sequences:
        scores.cases[name] = score_tracks(truth, result, wanted)
    for metric in next(iter(scores.cases.values())):
        values = [case[metric] for case in scores.cases.values()]
        scores.aggregates[metric] = _mean(values)
    return scores


def _files(path: Path) -> list[Path]:
    """Return a file, or the images in a folder, sorted."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.is_file():
        return [path]
    files = [found for found in sorted(path.iterdir()) if found.suffix.lower() in READERS]
    if not files:
        raise InputError(f"{path}: expected images ({', '.join(READERS)}), found none")
    return files


def _pairs(truth: Path, other: Path) -> list[tuple[Path, Path | None]]:
    """Return each file of the truth with the file of the same name, None where there is none."""
    files, others = _files(truth), _files(other)
    if truth.is_file() != other.is_file():
        raise InputError(f"expected two files or two folders, found {truth} and {other}")
    if truth.is_file():
        return [(truth, other)]
    known = {_key(path): path for path in others}
    if not any(_key(path) in known for path in files):
        raise InputError(
            f"{other}: no file is named like one in {truth}; expected for example {files[0].name}"
        )
    return [(path, known.get(_key(path))) for path in files]


def _key(path: Path) -> str:
    """Return what files of one case share: the stem, or a challenge's frame number."""
    match = FRAME.fullmatch(path.stem)
    return match[1] if match else path.stem


def _given(
    wish: Wish, truth: Path, prediction: Path, image: Path | None
) -> dict[str, Callable[[], Any]]:
    """Return what evidence may ask for by the names of its parameters, read when asked."""
    reference = read(truth)
    spacing = wish.spacing or reference.spacing
    volume = read(prediction)
    if wish.border:
        reference, volume = (
            found.like(without_border(found.array, wish.border)) for found in (reference, volume)
        )
    found: dict[str, Callable[[], Any]] = {
        "truth": lambda: reference.array,
        "prediction": lambda: volume.array,
        "spacing": lambda: spacing,
    }
    if wish.data_range is not None:
        found["data_range"] = lambda: wish.data_range
    if image is not None:
        found["image"] = lambda: read(image).array
    return found


def _gather(
    metrics: Sequence[Metric[Any]], given: Mapping[str, Callable[[], Any]]
) -> list[tuple[Metric[Any], Any]]:
    """Return each metric with its evidence, gathered once for all that share it."""
    gathered: dict[Callable[..., Any], Any] = {}
    for metric in metrics:
        if metric.evidence not in gathered:
            gathered[metric.evidence] = _call(metric, given)
    return [(metric, gathered[metric.evidence]) for metric in metrics]


def _call(metric: Metric[Any], given: Mapping[str, Callable[[], Any]]) -> Any:  # noqa: ANN401
    """Return the evidence of a metric, or say which option it lacks."""
    parameters = inspect.signature(metric.evidence).parameters
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in given:
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"metric {metric.name} needs {option}; give it or leave it out")
    return metric.evidence(**{name: given[name]() for name in parameters if name in given})


def _aggregate(
    metric: Metric[Any], scores: FileScores, evidence: Sequence[Any]
) -> dict[str, float]:
    """Return a metric over all cases; pooled only where every case has its table."""
    values = [case[metric.name] for case in scores.cases.values()]
    found = _mean(values) | {"failed": len(scores.failed)}
    found["undefined"] -= sum(metric.worst is None for _ in scores.failed)
    if evidence and not scores.failed:
        found["pooled"] = metric.of(concatenate(evidence))
    return found


def _mean(values: Sequence[float]) -> dict[str, float]:
    """Return the mean of the defined values, and how many there are."""
    defined = [value for value in values if isfinite(value)]
    mean = sum(defined) / len(defined) if defined else nan
    return {"mean": mean, "n": len(defined), "undefined": len(values) - len(defined)}


def _score_sets(metrics: Sequence[Metric[Any]], wish: Wish, scores: FileScores) -> None:
    """Add the metrics that compare two sets of images, whatever their names and numbers."""
    sides = {
        "real": (_files(wish.truth), wish.truth_labels, "--truth-labels"),
        "synthetic": (_files(wish.prediction), wish.prediction_labels, "--prediction-labels"),
    }
    gathered: dict[Callable[..., Any], Any] = {}
    for metric in metrics:
        if metric.evidence not in gathered:
            wanted = str(inspect.signature(metric.evidence).parameters["real"].annotation)
            given = {name: _side(metric, wanted, *side) for name, side in sides.items()}
            gathered[metric.evidence] = metric.evidence(**given)
        scores.aggregates[metric.name] = {"set": metric.of(gathered[metric.evidence])}


def _side(
    metric: Metric[Any], wanted: str, files: Sequence[Path], labels: Path | None, option: str
) -> list[Any]:
    """Return one set of images as the evidence wants it: with labels, as arrays, or as volumes."""
    if "Scene" in wanted:
        if labels is None:
            raise InputError(f"metric {metric.name} needs {option}: the objects in the images")
        known = {path.stem: path for path in _files(labels)}
        missing = [path.name for path in files if path.stem not in known]
        if missing:
            raise InputError(f"{labels}: no labels for {missing[0]} ({len(missing)} are missing)")
        return [Scene(read(path), read(known[path.stem]).array) for path in files]
    volumes = [read(path) for path in files]
    return [volume.array for volume in volumes] if "ndarray" in wanted else list(volumes)
