"""The readers, and a run of ``cytosuite benchmark`` as layers: its cases with errors by class."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cytosuite.benchmark.catalog.places import folder_of
from cytosuite.benchmark.runs.data.dataset import Case
from cytosuite.benchmark.runs.finished import FACTS, FinishedRun, read_run
from cytosuite.benchmark.scores.cases import output_path
from cytosuite.benchmark.scores.facts import case_facts
from cytosuite.benchmark.scores.matches import match
from cytosuite.contract.tasks import TRACKS, Task
from cytosuite.contract.tracks import read_tracks
from cytosuite.errors import InputError
from cytosuite.figures.svg import PALETTE, PREDICTION, TRUTH, rgb
from cytosuite.files import FloatDict, FloatMap, FloatTuple, TextSeq, frozen
from cytosuite.formats import read
from cytosuite.formats.imagefiles import PICTURE, REQUEST, format_of
from cytosuite.metrics.boards import BOARDS
from cytosuite.metrics.labels.object_table import FALSE, MERGED, MISSED, SPLIT
from cytosuite.metrics.labels.overlap import OVERLAP
from cytosuite.napari.layers import (
    OWN,
    LayerData,
    Layers,
    labels_layer,
    layer_of,
    read_image,
    tracks_layer,
)
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Spacing

# Colours of the report: errors are filled, outlines of truth and answer around them.
LEGEND = {
    "truth": PALETTE[TRUTH],
    "prediction": PALETTE[PREDICTION],
    **{name: PALETTE[name] for name in (MISSED, FALSE, SPLIT, MERGED)},
}
ON_TRUTH = (MISSED, SPLIT, MERGED)  # classes of true objects, as the report counts them
FAINT, STRONG = 0.35, 0.7  # opacities of outlines where they are filled, and of errors
RUN, CONTOUR = f"{OWN} run", f"{OWN} contour"  # in the metadata of a layer: folder, px of outlines


def get_reader(path: str | list[str]) -> Callable[[str], Layers] | None:
    """Return the reader of an image or a run; None of others, and of several files as one stack."""
    if isinstance(path, list):
        return None
    place = Path(path)
    if format_of(place) not in (None, REQUEST, PICTURE):
        return read_image
    return run_layers if place.is_dir() and run_of(place) else None


@frozen
class OpenedRun:
    """A run on disk with its cases, the worst first."""

    run: FinishedRun
    cases: Sequence[Case]
    metric: str  # by which cases are ordered; empty without scores
    scores: FloatMap  # mean over the algorithms, by case

    @property
    def algorithms(self) -> list[str]:
        """Names of the algorithms."""
        return list(self.run.facts.jobs)

    def title(self, case: Case) -> str:
        """Return a case with its score."""
        score = self.scores.get(case.name)
        return case.name if score is None else f"{case.name}   {self.metric} {score:.3f}"


def run_of(path: Path) -> tuple[Path, str, str] | None:
    """Return the folder of a run, and the folders of algorithm and case in a path; None without."""
    path = path.absolute()
    for home in (path, *path.parents[:2]):
        if (home / FACTS).is_file():
            inner = path.relative_to(home).parts
            algorithm, case = (*inner, "", "")[:2] if inner != ("report",) else ("", "")
            return home, algorithm, case
    return None


def open_run(folder: Path) -> OpenedRun:
    """Return a run with its cases; InputError where its files are not a run's."""
    run = read_run(folder)
    metric, scores = _scores(folder, run.task, [*run.facts.jobs])
    order = {name: place for place, name in enumerate(scores)}
    cases = sorted(run.dataset.cases, key=lambda case: order.get(case.name, len(order)))
    return OpenedRun(run, cases, metric, scores)


def _scores(folder: Path, task: Task, names: TextSeq) -> tuple[str, FloatDict]:
    """Return the first metric that ranks, and its mean by case, the worst first; else none."""
    from cytosuite.benchmark.scores.comparison.scored import read_scored  # pandas
    from cytosuite.metrics.metric import known_metrics

    try:
        table = read_scored(folder).scores
    except InputError:
        return "", {}
    table = table[table["algorithm"].isin(names) & (table["case"] != "")].dropna(subset="value")
    metric = next(
        (name for name in BOARDS[task.name].primary if (table["metric"] == name).any()), ""
    )
    if not metric:
        return "", {}
    means = table[table["metric"] == metric].groupby("case")["value"].mean()
    ordered = means.sort_values(
        ascending=known_metrics(task.name)[metric].higher_is_better is not False
    )
    return metric, {str(case): float(value) for case, value in ordered.items()}


def run_layers(path: str | Path) -> Layers:
    """Return the case of a folder, of a run the worst one, as layers."""
    place = run_of(Path(path))
    if place is None:
        raise InputError(f"{path}: expected the folder of a run ({FACTS}), found none")
    folder, algorithm, name = place
    run = open_run(folder)
    case = next((case for case in run.cases if name in ("", case.name)), None)
    if not case or algorithm not in ("", *map(folder_of, run.algorithms)):
        shown = ", ".join(map(folder_of, run.algorithms))
        raise InputError(f"{path}: expected {folder}/<{shown}>/<case>, found neither")
    return case_layers(run, case, algorithm)


def case_layers(run: OpenedRun, case: Case, first: str = "") -> Layers:
    """Return a case as layers, the answer and errors of one algorithm visible, on top."""
    task = run.run.task
    output = task.main_output
    inputs = case.inputs(task)
    kinds = {socket.slug: socket.kind for socket in task.inputs}
    layers: Layers = []
    for slug, path in inputs.items():
        title = case.name if not layers else f"{case.name} {slug}"
        layers.append(layer_of(path, "labels" if kinds[slug] == "labels" else "image", title, ()))
    spacing = layers[0][1]["metadata"][OWN]["spacing_um"] if layers else ()
    hidden = [
        layer_of(path, "image", f"{case.name} {name}", ()) for name, path in case.channels().items()
    ]
    layers += hidden
    truth = None
    truths = case.truth(task)
    if output and output.slug in truths:
        path = truths[output.slug]
        truth, side = _side(path, output.kind, "truth", spacing, TRUTH, truths.get(TRACKS.slug))
        layers += side
    visible = first or folder_of(run.algorithms[0])
    for name in sorted(run.algorithms, key=lambda name: folder_of(name) == visible):
        answer = _answer(run, case, name, truth, spacing)
        hidden += answer if folder_of(name) != visible else []
        layers += answer
    for _, arguments, _ in hidden:
        arguments["visible"] = False
    for _, arguments, _ in layers:
        arguments["metadata"][RUN] = str(run.run.folder)
        if len(arguments["scale"]) == len(layers[0][1]["scale"]):  # of one grid
            arguments |= {key: layers[0][1][key] for key in ("scale", "units")}
    return layers


def _answer(
    run: OpenedRun, case: Case, name: str, truth: Volume | None, spacing: Spacing
) -> Layers:
    """Return the output of an algorithm, of labels with its errors by class; none if it failed."""
    folder = run.run.folder / folder_of(name) / case.name
    task = run.run.task
    record = run.run.result(name, case.name)
    output = task.main_output
    path = output_path(record, folder, task) if record else None
    if not record or not path or not output:
        return []
    table = folder / record.outputs[TRACKS.slug] if output.movie else None
    answer, layers = _side(path, output.kind, name, spacing, PREDICTION, table)
    if truth and answer and not output.movie:
        for error, labels in errors(truth, answer, case.stated().ignored.min_object_voxels).items():
            side = truth if error in ON_TRUTH else answer
            part = side.like(np.where(np.isin(side.array, labels), side.array, 0))
            layers.append(_painted(part, f"{name}: {error} ({len(labels)})", error, STRONG))
    return layers


def _side(
    path: Path, kind: str, name: str, spacing: Spacing, side: str, table: Path | None
) -> tuple[Volume | None, Layers]:
    """Return labels, and the layers of truth or answer: outlines with ways, points, or an image."""
    if kind != "labels":
        layer = layer_of(path, kind, name, spacing)
        if kind == "points":
            layer[1]["border_color"] = [_colour(side)]
        return None, [layer]
    labels = read(path).channels[0]
    layer = _painted(labels, name, side, FAINT)
    layer[1]["metadata"][CONTOUR] = 1
    ways = [tracks_layer(labels, read_tracks(table), f"{name} tracks")] if table else []
    return labels, [layer, *ways]


def errors(truth: Volume, answer: Volume, smallest: int = 0) -> dict[str, list[int]]:
    """Return the labels of the errors of each class, as the report counts them; false of answers.

    True objects below `smallest` voxels are ignored.
    """
    facts = case_facts(
        {"truth": lambda: truth, "prediction": lambda: answer}, min_object_voxels=smallest
    )
    matched = match(OVERLAP.of(facts))
    sides = {**dict.fromkeys(ON_TRUTH, matched.truth_classes), FALSE: matched.answer_classes}
    classes = {
        error: [label for label, kind in side.items() if kind == error]
        for error, side in sides.items()
    }
    return {error: labels for error, labels in classes.items() if labels}


def _painted(volume: Volume, name: str, kind: str, opacity: float) -> LayerData:
    """Return labels in one colour of the report."""
    layer = labels_layer(volume, name)
    layer[1].update(colormap={None: _colour(kind), 0: (0.0,) * 4}, opacity=opacity)
    return layer


def _colour(name: str) -> FloatTuple:
    """Return the colour of a class as napari takes it: red, green, blue and opacity."""
    return (*(part / 255 for part in rgb(name)), 1.0)
