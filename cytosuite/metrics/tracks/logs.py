"""The logs that the programs of the Cell Tracking Challenge write beside their measures."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from cytosuite.files import atomic
from cytosuite.metrics.labels.ctc import MISSED, SPLIT, SPURIOUS
from cytosuite.metrics.tracks.lineage import Indices, Lineage
from cytosuite.metrics.tracks.matched_tracks import MatchedTracks
from cytosuite.metrics.tracks.tracking import ABSENT, EXTRA, WRONG, det, edits, seg, tra

RULE = "=" * 81


def write_logs(folder: Path, tracks: MatchedTracks) -> None:
    """Write ``SEG_log.txt``, ``DET_log.txt`` and ``TRA_log.txt`` into a folder, made if needed."""
    folder.mkdir(parents=True, exist_ok=True)
    of_cells = [*_cells(tracks)]
    bodies = {
        "SEG": ([*_drawn(tracks)], seg.of(tracks)),
        "DET": (of_cells, det.of(tracks)),
        "TRA": ([*of_cells, *_links(tracks)], tra.of(tracks)),
    }
    for name, (lines, value) in bodies.items():
        text = "\n".join([*lines, RULE, f"{name} measure: {value:.6f}", ""])
        with atomic(folder / f"{name}_log.txt") as temporary:
            temporary.write_text(text, encoding="ascii")


def _head(title: str) -> str:
    """Return the line above a part."""
    return f"----------{title}----------"


def _drawn(tracks: MatchedTracks) -> Iterator[str]:
    """Yield the lines of SEG: the Jaccard index of each cell, by frame and plane."""
    cells = zip(tracks.drawn.tolist(), tracks.jaccard.tolist(), strict=True)
    for (frame, plane), group in groupby(cells, key=lambda cell: tuple(cell[0][:2])):
        yield _head(f"T={frame} Z={plane}")
        yield from (f"GT_label={label} J={value:.6g}" for (_, _, label), value in group)


def _cells(tracks: MatchedTracks) -> Iterator[str]:
    """Yield the lines of cells that are merged, missed or spurious."""
    changes = edits(tracks)
    yield _head(f"Splitting Operations (Penalty={SPLIT:g})")
    yield from _vertices(tracks.prediction, changes.splits, "Label")
    yield _head(f"False Negative Vertices (Penalty={MISSED:g})")
    yield from _vertices(tracks.truth, changes.missed, "GT_label")
    yield _head(f"False Positive Vertices (Penalty={SPURIOUS:g})")
    yield from _vertices(tracks.prediction, changes.spurious, "Label")


def _links(tracks: MatchedTracks) -> Iterator[str]:
    """Yield the lines of links that are too many, absent or of the other kind."""
    changes = edits(tracks)
    yield _head(f"Redundant Edges To Be Deleted (Penalty={EXTRA:g})")
    yield from _edges(tracks.prediction, changes.extra_links, "Label")
    yield _head(f"Edges To Be Added (Penalty={ABSENT:g})")
    yield from _edges(tracks.truth, changes.absent_links, "GT_label")
    yield _head(f"Edges with Wrong Semantics (Penalty={WRONG:g})")
    yield from _edges(tracks.prediction, changes.wrong_links, "Label")


def _vertices(graph: Lineage, vertices: Indices, word: str) -> list[str]:
    """Return frame and label of cells, a line each, by frame."""
    frames, labels = graph.frame_of(vertices), graph.labels[graph.track_of[vertices]]
    order = np.lexsort((labels, frames))
    rows = zip(frames[order].tolist(), labels[order].tolist(), strict=True)
    return [f"T={frame} {word}={label}" for frame, label in rows]


def _edges(graph: Lineage, targets: Indices, word: str) -> list[str]:
    """Return both ends of links, a line each, by the frame they lead to."""
    ordered = targets[np.lexsort((graph.track_of[targets], graph.frame_of(targets)))]
    ends = (
        zip(
            graph.frame_of(vertices).tolist(),
            graph.labels[graph.track_of[vertices]].tolist(),
            strict=True,
        )
        for vertices in (graph.sources[ordered], ordered)
    )
    return [
        f"[T={a} {word}={one}] -> [T={b} {word}={other}]"
        for (a, one), (b, other) in zip(*ends, strict=True)
    ]
