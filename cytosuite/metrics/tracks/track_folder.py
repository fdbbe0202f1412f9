"""Sequences in folders of the Cell Tracking Challenge: their scores, and logs as its programs'.

A truth, like ``01_GT``, holds ``TRA/man_trackTTT.tif`` and ``TRA/man_track.txt``, the markers
and their tracks, and ``SEG/man_segTTT.tif`` or ``SEG/man_seg_TTT_ZZZ.tif``, whole cells drawn in
some frames or in single planes of them. A result, like ``01_RES``, holds ``maskTTT.tif`` and
``res_track.txt``. T and Z count from 0, by three digits or four.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from filecmp import cmp
from functools import partial
from itertools import chain, groupby
from pathlib import Path

import numpy as np

from cytosuite.contract.tracks import LARGEST, Track, read_tracks, tracks_of
from cytosuite.errors import InputError, pick, reason_of
from cytosuite.files import FloatDict, TextSeq, atomic, need_folder, read_text, write_text
from cytosuite.metrics.metric import known_metrics
from cytosuite.metrics.tracks.lineage import Frames, Lineage, Mask, ReadFrames, TrackedSequence
from cytosuite.metrics.tracks.matched_tracks import MatchedTracks, check_sequence, match_tracks
from cytosuite.metrics.tracks.tracking import CELLS, COSTS, det, edits, seg, tra
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Longs

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
MOST_FRAMES = 100_000
MARKERS = "TRA/man_track"
RESULT = "mask"
WHOLE = re.compile(r"man_seg(\d+)\.tiff?$")
PLANE = re.compile(r"man_seg_(\d+)_(\d+)\.tiff?$")
TRUTH_TABLE = "TRA/man_track.txt"
RESULT_TABLE = "res_track.txt"


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


def read_sequence(folder: Path) -> TrackedSequence:
    """Return the sequence in a folder, truth or result, after a look at all of its frames.

    Its frames are read again, one at a time, when they are asked for. The masks of a truth without
    a folder ``SEG`` are none, so that its SEG is undefined. One InputError names all that
    contradicts the format: a row that is not four whole numbers, a second row for a label, a track
    that ends before it begins or begins no later than its parent ends, a missing parent, a label
    without a row, a label that is missing in a frame of its row or over 65535, a missing or broken
    file, frames of different shapes.
    """
    sequence = open_sequence(folder)
    check_sequence(sequence)
    return sequence


def open_sequence(folder: Path) -> TrackedSequence:
    """Return the sequence in a folder without a look at its frames, see `read_sequence`.

    Problems of its table and list of files stand in `problems`, to be named with those of the
    frames. A file is the labels of all frames, with ``<name>-tracks.csv`` beside it.
    """
    if folder.is_file():
        table = folder.with_name(f"{folder.stem}-tracks.csv")
        return TrackedSequence(read_tracks(table), _labels(folder), None, folder.name, table.name)
    truth = (folder / TRUTH_TABLE).is_file() or (folder / "TRA").is_dir()
    if not truth and not (folder / RESULT_TABLE).is_file():
        raise InputError(
            f"{folder}: expected a truth with {TRUTH_TABLE} or a result with {RESULT_TABLE}, "
            f"found {'neither' if folder.is_dir() else 'no such folder'}"
        )
    table = folder / (TRUTH_TABLE if truth else RESULT_TABLE)
    try:
        tracks, problems = tracks_of(read_text(table).splitlines())
    except InputError as error:
        tracks = []
        problems = [reason_of(error, table)]
    paths, missing = _frame_paths(folder, MARKERS if truth else RESULT)
    return TrackedSequence(
        tracks=tracks,
        frames=ReadFrames([partial(_labels, path) for path in paths]),
        masks=_masks(folder / "SEG", paths) if truth else None,
        name=folder.name,
        table=_short(table, folder),
        frame_names=[_short(path, folder) for path in paths],
        problems=[*(f"{_short(table, folder)}: {p}" for p in problems), *missing],
    )


def write_sequence(
    folder: Path,
    frames: Frames,
    tracks: Sequence[Track],
    *,
    truth: bool = False,
    digits: int = 3,
    like: Volume | None = None,
) -> None:
    """Write a sequence in the official layout, as a result or as a truth (``TRA`` and ``SEG``).

    The folder is new, and appears only once it is whole. Frames, (Y, X) or (Z, Y, X) of one shape,
    are written as 16-bit TIFF, deflated, their numbers with at least `digits`; tracks by increasing
    label; voxel size and metadata are those of `like`. InputError if the folder holds anything, or
    frames, tracks and format contradict each other.
    """
    from cytosuite.formats import write

    need_folder(folder, new=True)
    problems = [f"label {t.label}: over {LARGEST}" for t in tracks if t.label > LARGEST]
    check_sequence(TrackedSequence(tracks, frames, problems=problems), "nothing was written")
    digits = max(digits, len(str(len(frames) - 1)))
    prefixes = (MARKERS, "SEG/man_seg") if truth else (RESULT,)
    rows = sorted(tracks, key=lambda track: track.label)
    text = "".join(f"{t.label} {t.begin} {t.end} {t.parent}\n" for t in rows)
    with atomic(folder) as temporary:
        for number in range(len(frames)):
            labels = np.asarray(frames[number]).astype(np.uint16)
            axes = "ZYX"[-labels.ndim :]
            plain = Volume(labels, (1.0,) * labels.ndim, axes, {"spacing_source": "assumed"})
            image = like.like(labels) if like else plain
            for prefix in prefixes:
                write(temporary / f"{prefix}{number:0{digits}d}.tif", image)
        table = temporary / (TRUTH_TABLE if truth else RESULT_TABLE)
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text(text, encoding="ascii")


def score_tracks(
    truth_folder: Path, result_folder: Path, names: TextSeq = (), logs: Path | None = None
) -> FloatDict:
    """Return the scores, by name, of a result folder (``01_RES``) for a truth (``01_GT``).

    All metrics of tracks without `names`; NaN where one is undefined. Into `logs`, a folder, go the
    logs of the challenge's programs. InputError if a name is unknown, or anything in the folders
    contradicts the format: one line names all of it.
    """
    metrics = known_metrics("track")
    chosen = pick("metric of tracks", names, metrics) if names else metrics
    for folder, table in ((truth_folder, "TRA"), (result_folder, RESULT_TABLE)):
        if not (folder.is_file() or (folder / table).exists()):
            raise InputError(f"{folder}: {table} is missing; expected it in this folder")
    tracks = match_tracks(open_sequence(truth_folder), open_sequence(result_folder))
    if logs:
        write_logs(logs, tracks)
    return {name: metrics[name].of(tracks) for name in chosen}


def _labels(path: Path) -> Array:
    """Return the labels in a file."""
    from cytosuite.formats import read  # SimpleITK takes a while, and metrics rarely need files

    return read(path).array


def _short(path: Path, folder: Path) -> str:
    """Return the name of a file from its sequence's folder on."""
    return f"{folder.name}/{path.relative_to(folder).as_posix()}"


def _frame_paths(folder: Path, prefix: str) -> tuple[tuple[Path, ...], list[str]]:
    """Return the files of all frames from 0 to the last, and which of them are missing."""
    start = folder / prefix
    name = re.compile(re.escape(start.name) + r"(\d+)\.tiff?$")
    by_frame = defaultdict(list)
    for path in sorted(start.parent.glob("*.tif*")):
        if match := name.match(path.name):
            by_frame[int(match[1])].append(path)
    if not by_frame:
        return (), [f"{_short(start, folder)}000.tif: no such file"]
    last = by_frame[max(by_frame)][0]
    if max(by_frame) >= MOST_FRAMES:
        return (), [f"{_short(last, folder)}: expected at most {MOST_FRAMES} frames"]
    digits = len(last.stem) - len(start.name)
    paths = []
    problems = []
    for frame in range(max(by_frame) + 1):
        files = by_frame.get(frame, [start.with_name(f"{start.name}{frame:0{digits}d}.tif")])
        if frame not in by_frame:
            problems.append(f"{files[0]}: no such file")
        if len(files) > 1:
            problems.append(f"{_short(files[1], folder)}: a second file of frame {frame}")
        paths.append(files[0])
    return tuple(paths), problems


def _masks(folder: Path, frames: Sequence[Path]) -> list[Mask]:
    """Return the masks of whole cells in a folder, none if it does not exist."""
    masks = []
    start = f"{folder.parent.name}/SEG/"
    for path in sorted(folder.glob("*.tif*")):
        single = PLANE.match(path.name)
        if match := single or WHOLE.match(path.name):
            frame = int(match[1])
            plane = int(single[2]) if single else None
            same = not single and frame < len(frames) and frames[frame].exists()
            same = same and cmp(path, frames[frame], False)
            masks.append(Mask(frame, partial(_labels, path), plane, start + path.name, same))
    return masks
