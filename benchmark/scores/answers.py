"""An answer with its scores, and the tables of its objects or points beside its output."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field, replace
from functools import cache
from math import isnan
from pathlib import Path
from typing import Any

from cytosuite.benchmark.runs.record import Record
from cytosuite.benchmark.runs.store.integrity import digests, unaltered
from cytosuite.benchmark.scores import matches, objects, points
from cytosuite.benchmark.scores.facts import AnswerReader
from cytosuite.contract.tasks import Kind
from cytosuite.errors import InputError
from cytosuite.files import FloatMap, IntDict, TextMap, Texts, frozen
from cytosuite.metrics.evidence import Gathered
from cytosuite.metrics.labels.overlap import OVERLAP
from cytosuite.metrics.points.matching import MATCHED_POINTS, matched_points
from cytosuite.metrics.tracks.matched_tracks import MATCHED
from cytosuite.metrics.tracks.tracking import link_errors


class Values(FloatMap):
    """Values by metric; answers share the names, of which a case has a hundred."""

    __slots__ = ("numbers", "places")

    def __init__(self, names: Texts, numbers: Iterable[float]) -> None:
        self.places = _places(names)
        self.numbers = array("d", numbers)

    def __getitem__(self, name: str) -> float:
        """Return the value of a metric."""
        return self.numbers[self.places[name]]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self.places)

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self.numbers)

    def __reduce__(self) -> tuple[type["Values"], tuple[Any, ...]]:
        """Return class and arguments for another process."""
        return Values, (tuple(self.places), self.numbers)


@cache
def _places(names: Texts) -> IntDict:
    """Return the place of each name."""
    return {name: place for place, name in enumerate(names)}


@frozen
class Answer:
    """Scores of one answer: the output of an algorithm or control for a case, or for the set."""

    algorithm: str  # names; ``case`` is empty for the whole set
    case: str
    values: FloatMap  # by metric; NaN: undefined or refused
    status: str = "ok"  # ``ok``, or the failure
    record: Record | None = None  # of the runner; None for controls and sets
    evidence: Gathered = field(default_factory=dict)  # to be pooled; of a set
    refused: TextMap = field(default_factory=dict)  # reasons, by metric or table

    @property
    def undefined(self) -> FloatMap:
        """The values that are NaN; of a perfect answer of metrics that the truth does not allow."""
        return {name: value for name, value in self.values.items() if isnan(value)}


def with_tables(
    answer: Answer,
    kind: Kind,
    folder: Path,
    output: AnswerReader | None,
    judged: AnswerReader | None,
    readers: Mapping[str, AnswerReader | None],
    places: Callable[[], objects.ObjectPlaces] | None,
) -> Answer:
    """Write the tables of an answer that are not there; note why one of objects cannot be."""
    record = answer.record
    written = list[str]()
    if record is None:
        return answer
    image, truth, labels = (readers[name] for name in ("image", "truth", "labels"))
    path, scores, known = folder / objects.FILE, folder / objects.SCORES_FILE, record.digests
    cells = labels().array if labels is not None and kind == "points" else None

    def lacks(name: str) -> bool:
        """Return whether a table is to be written, which counts as written then."""
        if name in known and unaltered(folder, {name: known[name]}):
            return False
        written.append(name)
        return True

    try:
        if kind == "labels":
            if output is not None and lacks(path.name):
                objects.write_objects(path, output(), image and image(), truth and truth())
            overlap = answer.evidence.get(OVERLAP)
            if overlap is not None and places is not None and lacks(scores.name):
                predicted = objects.written_places(path) if output else objects.ObjectPlaces()
                objects.write_object_scores(scores, overlap, places(), predicted)
        elif kind == "points":
            if output is not None and lacks(path.name):
                points.write_points(path, output(), cells)
            pairs = answer.evidence.get(MATCHED_POINTS)
            if pairs is not None and truth and judged and lacks(scores.name):
                points.write_point_scores(scores, pairs, truth(), judged(), cells)
        elif (tracks := answer.evidence.get(MATCHED)) is not None and lacks(matches.LINKS_FILE):
            matches.write_links(folder / matches.LINKS_FILE, link_errors(tracks))
    except InputError as error:
        answer = replace(answer, refused={**answer.refused, written.pop(): str(error)})
    if not written:
        return answer
    record = record.model_copy(update={"digests": {**known, **digests(folder, written)}})
    record.write(folder)
    return replace(answer, record=record)


def write_points(
    path: Path, readers: Mapping[str, AnswerReader], answer: Answer, radius_um: float | None
) -> None:
    """Write class, partner and distance of each point of a case."""
    truth, prediction, labels = readers["truth"](), readers["prediction"](), readers.get("labels")
    matched = answer.evidence.get(MATCHED_POINTS) or matched_points(
        truth.array, prediction.array, truth.spacing, radius_um
    )
    points.write_point_scores(path, matched, truth, prediction, labels and labels().array)


def write_objects(path: Path, readers: Mapping[str, AnswerReader], answer: Answer) -> None:
    """Write the judged objects of a case."""
    truth = readers["truth"]()
    sides = truth, truth.like(readers["prediction"]().array)
    objects.write_object_scores(
        path, answer.evidence[OVERLAP], *map(objects.measured_places, sides)
    )
