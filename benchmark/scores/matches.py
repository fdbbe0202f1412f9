"""Objects, points or links of a case that an algorithm found or missed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cytosuite.benchmark.runs.store.csvfile import write_rows
from cytosuite.benchmark.scores.objects import table_rows
from cytosuite.benchmark.scores.results import Matches
from cytosuite.metrics.evidence import Gathered
from cytosuite.metrics.labels import ctc
from cytosuite.metrics.labels.object_table import FALSE, MATCHED, MISSED, object_classes
from cytosuite.metrics.labels.overlap import OVERLAP, Overlap
from cytosuite.metrics.points.matching import MATCHED_POINTS, MatchedPoints
from cytosuite.metrics.tracks.tracking import LinkError

LINKS_FILE = "link_errors.csv"


def matches_of(evidence: Gathered) -> Matches | None:
    """Return the matched and unmatched objects or points of an answer, None of other tasks."""
    if OVERLAP in evidence:
        return match(evidence[OVERLAP])
    return match_points(evidence[MATCHED_POINTS]) if MATCHED_POINTS in evidence else None


def match(table: Overlap) -> Matches:
    """Return the matched and unmatched objects of an overlap table."""
    pairs = ctc.matches(table)
    missed = np.delete(table.truth_labels, table.truth_index[pairs])
    extra = np.delete(table.prediction_labels, table.prediction_index[pairs])
    sides = zip((table.truth_labels, table.prediction_labels), object_classes(table), strict=True)
    odd = [
        {int(labels[n]): str(classes[n]) for n in np.flatnonzero(classes != MATCHED)}
        for labels, classes in sides
    ]
    return Matches(tuple(missed.tolist()), tuple(extra.tolist()), table.truth_labels.size, *odd)


def match_points(matched: MatchedPoints) -> Matches:
    """Return the missed and false points, numbered from 1."""
    sides = (matched.truths, matched.truth_index), (matched.predictions, matched.prediction_index)
    missed, extra = ((np.delete(np.arange(n), index) + 1).tolist() for n, index in sides)
    return Matches(
        tuple(missed),
        tuple(extra),
        matched.truths,
        dict.fromkeys(missed, MISSED),
        dict.fromkeys(extra, FALSE),
    )


def write_links(path: Path, errors: Sequence[LinkError]) -> None:
    """Write wrong links, complete or absent."""
    write_rows(path, [LinkError._fields, *errors])


def read_links(path: Path) -> list[LinkError]:
    """Return the wrong links of a file; InputError for another table."""
    with table_rows(path) as rows:
        next(rows, [])
        return [LinkError(kind, int(frame), side, int(label)) for kind, frame, side, label in rows]
