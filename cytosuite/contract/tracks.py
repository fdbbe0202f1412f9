"""Tracks of cells through a movie, as a table: label, first and last frame, parent."""

import re
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

from cytosuite.errors import InputError
from cytosuite.files import TextSeq, frozen, read_text

LARGEST = 65535  # labels are 16-bit numbers
HEAD = "label,begin,end,parent"
NUMBER = re.compile(r"-?\d{1,10}", re.ASCII)  # a whole one of at most ten digits


@frozen
class Track:
    """One cell from its first to its last frame."""

    label: int  # its label in every frame from `begin` to `end`, at least 1
    begin: int  # first and last frame, both included, counted from 0
    end: int
    parent: int = 0  # label of the track it comes from, by division or after a gap; 0 for none


def write_tracks(path: Path, tracks: Sequence[Track]) -> None:
    """Write ``tracks.csv``: a head, and a row of each track."""
    rows = [",".join(map(str, astuple(track))) for track in tracks]
    path.write_text("\n".join([HEAD, *rows, ""]), encoding="ascii")


def read_tracks(path: Path) -> list[Track]:
    """Return the tracks of ``tracks.csv``; InputError names all rows that are none."""
    head, *lines = read_text(path).splitlines() or [""]
    if head.strip() != HEAD:
        raise InputError(f"{path}: expected the first line {HEAD}, found {head!r:.60}")
    tracks, problems = tracks_of(lines, ",")
    if problems:
        raise InputError(f"{path}: {'; '.join(problems[:3])}")
    return tracks


def tracks_of(lines: TextSeq, separator: str | None = None) -> tuple[list[Track], list[str]]:
    """Return the tracks in the lines of a table, and the problems of its rows."""
    if len(lines) > LARGEST:
        return [], [f"{len(lines)} rows, expected at most one for each of {LARGEST} labels"]
    tracks = []
    problems = []
    for number, line in enumerate(lines, 1):
        words = [word.strip() for word in line.split(separator)]
        if not line.strip():
            continue
        if len(words) != 4 or not all(map(NUMBER.fullmatch, words)):
            problems.append(f"line {number}: expected whole numbers L B E P, found {line!r}")
            continue
        label, begin, end, parent = map(int, words)
        if label > LARGEST:
            problems.append(f"label {label}: over {LARGEST}")
        tracks.append(Track(label, begin, end, parent))
    return tracks, problems
