"""An answer with its scores, and the tables of its objects or points beside its output."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from cytosuite.benchmark.runs.record import Record
from cytosuite.benchmark.runs.store.integrity import digests, unaltered
from cytosuite.benchmark.scores import matches, objects, points
from cytosuite.benchmark.scores.facts import AnswerReader
from cytosuite.contract.tasks import Kind
from cytosuite.errors import InputError
from cytosuite.files import FloatMap, IntDict, TextMap, Texts, frozen
from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.labels.overlap import OVERLAP
from cytosuite.metrics.points.matching import MATCHED_POINTS, matched_points
from cytosuite.metrics.tracks.link_errors import link_errors
from cytosuite.metrics.tracks.matched_tracks import MATCHED


class Values(FloatMap):
    """Values by metric; answers share the names, of which a case has a hundred."""

    __slots__ = ("numbers", "places")

    def __init__(self, names: Texts, numbers: Iterable[float]) -> None:
        self.places, self.numbers = _places(names), array("d", numbers)

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
    evidence: Mapping[Evidence[Any], Any] = field(default_factory=dict)  # to be pooled; of a set
    refused: TextMap = field(default_factory=dict)  # reasons, by metric or table


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
    image, truth, labels = (readers[name] for name in ("image", "truth", "labels"))
    path, scores = folder / objects.FILE, folder / objects.SCORES_FILE
    tables: dict[Path, Callable[[], None]] = {}
    if kind == "labels":
        if output is not None:
            table = partial(objects.write_objects, path, output())
            tables[path] = lambda: table(image and image(), truth and truth())
        overlap = answer.evidence.get(OVERLAP)
        if overlap is not None and places is not None:
            judge = partial(objects.write_object_scores, scores, overlap)
            known = partial(objects.written_places, path)
            predicted = objects.ObjectPlaces if output is None else known
            tables[scores] = lambda: judge(places(), predicted())
    elif kind == "points":
        cells = labels().array if labels is not None else None
        if output is not None:
            tables[path] = lambda: points.write_points(path, output(), cells)
        pairs = answer.evidence.get(MATCHED_POINTS)
        if pairs is not None and truth is not None and judged is not None:
            match = partial(points.write_point_scores, scores, pairs)
            tables[scores] = lambda: match(truth(), judged(), cells)
    elif (tracks := answer.evidence.get(MATCHED)) is not None:
        links = folder / matches.LINKS_FILE
        tables[links] = lambda: matches.write_links(links, link_errors(tracks))
    return _sealed(answer, tables)


def _sealed(answer: Answer, tables: Mapping[Path, Callable[[], None]]) -> Answer:
    """Write tables of an answer that are not there, up to a refused one; record their digests."""
    record, written = answer.record, list[Path]()
    if record is None:
        return answer
    for path, write in tables.items():
        if not unaltered(path.parent, {path.name: record.digests.get(path.name)}):
            try:
                write()
            except InputError as error:
                answer = replace(answer, refused={**answer.refused, path.name: str(error)})
                break
            written.append(path)
    if not written:
        return answer
    folder = written[0].parent
    sums = digests(folder, [path.name for path in written])
    record = record.model_copy(update={"digests": {**record.digests, **sums}})
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
