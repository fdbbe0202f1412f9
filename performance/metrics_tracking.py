"""Scores of a tracking of 300 cells through 10 frames of 1024 x 1024, and those of other programs.

All compute TRA, DET and LNK, from files also SEG. py-ctcmetrics reads files only; traccuracy is
given its graphs, the time to make them is left out.
"""

import contextlib
import io
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from side_by_side import Row, measure, table

from cytosuite.metrics.tracks.lineage import Track, TrackedSequence
from cytosuite.metrics.tracks.matched_tracks import match_tracks
from cytosuite.metrics.tracks.track_folder import score_tracks, write_sequence
from cytosuite.metrics.tracks.tracking import det, lnk, seg, tra

FRAMES, SIDE, PITCH, RADIUS, CELLS = 10, 1024, 56, 18, 300
NAMES = ["TRA", "DET", "LNK", "SEG"]


def films() -> tuple[TrackedSequence, TrackedSequence]:
    """Return discs that wander, and the same moved by two voxels, some missed or exchanged."""
    rng = np.random.default_rng(0)
    offset = np.arange(-RADIUS, RADIUS + 1)
    disc = offset[:, None] ** 2 + offset**2 <= RADIUS**2
    sites = np.stack(np.divmod(np.arange(CELLS), SIDE // PITCH), axis=1) * PITCH + PITCH // 2
    truth = np.zeros((FRAMES, SIDE, SIDE), np.uint16)
    for frame in truth:
        for label, (y, x) in enumerate(sites + rng.integers(-6, 7, sites.shape), 1):
            frame[y - RADIUS : y + RADIUS + 1, x - RADIUS : x + RADIUS + 1][disc] = label
    found = np.roll(truth, 2, axis=2)
    names = np.arange(CELLS + 1)
    names[[7, 8]] = 8, 7
    found[5:] = names.astype(np.uint16)[found[5:]]
    missed = found[FRAMES - 1]
    missed[missed % 20 == 1] = 0
    tracks = [Track(label, 0, FRAMES - 1) for label in range(1, CELLS + 1)]
    ends = [Track(t.label, 0, FRAMES - 1 - (t.label % 20 == 1)) for t in tracks]
    return TrackedSequence(tracks, truth), TrackedSequence(ends, found)


def rounded(scores: dict[str, Any], names: list[str]) -> str:
    """Return scores as text."""
    return " ".join(f"{name} {float(scores[name]):.6f}" for name in names)


def from_files(folder: Path) -> list[Row]:
    """Measure the scores of two folders."""
    truth, found = films()
    write_sequence(folder / "01_GT", truth.frames, truth.tracks, truth=True)
    write_sequence(folder / "01_RES", found.frames, found.tracks)
    programs: dict[str, Callable[[], Any]] = {
        "cytosuite": lambda: rounded(
            score_tracks(folder / "01_GT", folder / "01_RES", NAMES), NAMES
        )
    }
    try:
        from ctc_metrics.scripts.evaluate import evaluate_sequence
    except ImportError:
        programs["py-ctcmetrics is not installed"] = lambda: ""
    else:

        def peer() -> str:
            with contextlib.redirect_stdout(io.StringIO()):
                scores = evaluate_sequence(
                    str(folder / "01_RES"), str(folder / "01_GT"), list(NAMES), threads=1
                )
            return rounded(scores, NAMES)

        programs["py-ctcmetrics"] = peer
    return measure("TRA DET LNK SEG, 10 x 1024^2, files", programs)


def in_memory() -> list[Row]:
    """Measure the scores of sequences in memory."""
    truth, found = films()

    def ours() -> str:
        tracks = match_tracks(truth, found)
        return rounded({m.name: m.of(tracks) for m in (tra, det, lnk, seg)}, NAMES)

    programs: dict[str, Callable[[], Any]] = {"cytosuite": ours}
    try:
        from traccuracy.matchers import CTCMatcher
        from traccuracy.metrics import CTCMetrics
    except ImportError:
        programs["traccuracy is not installed"] = lambda: ""
    else:
        graphs = [traccuracy_graph(film) for film in (truth, found)]

        def peer() -> str:
            matched = CTCMatcher().compute_mapping(*graphs)
            return rounded(CTCMetrics().compute(matched).results, NAMES[:3])

        programs["traccuracy (no SEG)"] = peer
    return measure("TRA DET LNK SEG, 10 x 1024^2, memory", programs)


def traccuracy_graph(film: TrackedSequence) -> Any:  # noqa: ANN401 - a peer's own type
    """Return a film as traccuracy wants it: vertex 1000 L + T for label L in frame T."""
    import networkx
    from scipy.ndimage import find_objects
    from traccuracy import TrackingGraph

    graph = networkx.DiGraph()
    places = [find_objects(film.frames[t]) for t in range(FRAMES)]
    for track in film.tracks:
        for t in range(track.begin, track.end + 1):
            y, x = places[t][track.label - 1]
            graph.add_node(
                1000 * track.label + t,
                t=t,
                segmentation_id=track.label,
                y=(y.start + y.stop) / 2,
                x=(x.start + x.stop) / 2,
                bbox=[y.start, x.start, y.stop, x.stop],
            )
            if t > track.begin:
                graph.add_edge(1000 * track.label + t - 1, 1000 * track.label + t)
    return TrackingGraph(graph, segmentation=film.frames, location_keys=("y", "x"))


def rows() -> list[Row]:
    """Return all rows."""
    warnings.simplefilter("ignore")  # traccuracy warns in the middle of its progress bars
    with tempfile.TemporaryDirectory() as folder:
        return from_files(Path(folder)) + in_memory()


if __name__ == "__main__":
    print(table(rows()))
