"""The logs that the programs of the Cell Tracking Challenge write beside their measures."""

from collections.abc import Iterator
from itertools import chain, groupby
from pathlib import Path

import numpy as np

from cytosuite.files import write_text
from cytosuite.metrics.tracks.lineage import Lineage
from cytosuite.metrics.tracks.matched_tracks import MatchedTracks
from cytosuite.metrics.tracks.tracking import CELLS, COSTS, det, edits, seg, tra
from cytosuite.volume.arrays import Longs

RULE = "=" * 81
TITLES = {  # of each operation, a field of `Edits`; DET counts the first three
    "splits": "Splitting Operations",
    "missed": "False Negative Vertices",
    "spurious": "False Positive Vertices",
    "extra_links": "Redundant Edges To Be Deleted",
    "absent_links": "Edges To Be Added",
    "wrong_links": "Edges with Wrong Semantics",
}
OF_TRUTH = {"missed", "absent_links"}


def write_logs(folder: Path, tracks: MatchedTracks) -> None:
    """Write ``SEG_log.txt``, ``DET_log.txt`` and ``TRA_log.txt`` into a folder, made if needed."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [*_operations(tracks)]
    bodies = {
        "SEG": ([*_drawn(tracks)], seg.of(tracks)),
        "DET": ([*chain(*parts[: len(CELLS)])], det.of(tracks)),
        "TRA": ([*chain(*parts)], tra.of(tracks)),
    }
    for name, (lines, value) in bodies.items():
        text = "\n".join([*lines, RULE, f"{name} measure: {value:.6f}", ""])
        write_text(folder / f"{name}_log.txt", text)


def _head(title: str) -> str:
    """Return the line above a part."""
    return f"----------{title}----------"


def _drawn(tracks: MatchedTracks) -> Iterator[str]:
    """Yield the lines of SEG: the Jaccard index of each cell, by frame and plane."""
    cells = zip(tracks.drawn.tolist(), tracks.jaccard.tolist(), strict=True)
    for (frame, plane), group in groupby(cells, key=lambda cell: tuple(cell[0][:2])):
        yield _head(f"T={frame} Z={plane}")
        yield from (f"GT_label={label} J={value:.6g}" for (_, _, label), value in group)


def _operations(tracks: MatchedTracks) -> Iterator[list[str]]:
    """Yield the lines of each operation: cells, or both ends of links, by frame."""
    changes = edits(tracks)
    for name, title in TITLES.items():
        of_truth = name in OF_TRUTH
        graph, word = (tracks.truth, "GT_label") if of_truth else (tracks.prediction, "Label")
        vertices = getattr(changes, name)
        ordered = vertices[np.lexsort((graph.track_of[vertices], graph.frame_of(vertices)))]
        lines = _places(graph, ordered, word)
        if name.endswith("_links"):
            starts = _places(graph, graph.sources[ordered], word)
            lines = [f"[{a}] -> [{b}]" for a, b in zip(starts, lines, strict=True)]
        yield [_head(f"{title} (Penalty={COSTS[name]:g})"), *lines]


def _places(graph: Lineage, vertices: Longs, word: str) -> list[str]:
    """Return frame and label of each cell."""
    labels = graph.labels[graph.track_of[vertices]].tolist()
    rows = zip(graph.frame_of(vertices).tolist(), labels, strict=True)
    return [f"T={frame} {word}={label}" for frame, label in rows]
