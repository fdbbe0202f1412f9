"""Tracks of cells through the frames of a sequence, and the graph which they form.

A cell in one frame is a vertex. A track is one label from a first to a last frame without a gap;
a parent joins the end of one track to the begin of another, over any gap. So every vertex has at
most one link that leads to it, and only these links are kept.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from cytosuite.contract.tracks import Track
from cytosuite.errors import InputError, count
from cytosuite.files import TextSeq, frozen
from cytosuite.volume.arrays import Array, Bools, Longs, LongWords

LISTED = 20  # problems shown in one message

Labels = LongWords


class Frames(Protocol):
    """Label frames, each read when it is asked for: a list, a (T, Y, X) array, files."""

    def __len__(self) -> int:
        """Return the number of frames."""

    def __getitem__(self, frame: int, /) -> Array:
        """Return the labels of a frame, 0 = background."""


@frozen
class ReadFrames:
    """Label frames by their readers."""

    readers: Sequence[Callable[[], Array]]

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.readers)

    def __getitem__(self, frame: int, /) -> Array:
        """Read the labels of a frame."""
        return self.readers[frame]()


@frozen
class Mask:
    """Whole cells drawn in one frame, or in one plane of it."""

    frame: int  # the frame, counted from 0
    read: Callable[[], Array]  # returns the labels; of a single plane (Y, X)
    plane: int | None = None  # the only one of the frame that was drawn; None for the whole frame
    name: str = "mask"  # name in messages, for instance its file
    same: bool = False  # whether the frame has the same labels, which need not be read again


@dataclass(frozen=True, slots=True, eq=False)
class TrackedSequence:
    """The tracks of a sequence and its label frames.

    Examples
    --------
    >>> TrackedSequence([Track(1, 0, 1)], [np.array([0, 1]), np.array([1, 0])]).frame_name(1)
    'frame 1'
    """

    tracks: Sequence[Track]  # in any order
    frames: Frames  # (T,) label arrays of one shape, read one at a time
    # of a truth: the whole cells where they were drawn, with labels that may differ from the
    # tracks'; empty if none were. None: `frames` show whole cells and serve for both
    masks: Sequence[Mask] | None = None
    name: str = ""  # name in messages, for instance its folder
    table: str = "the list of tracks"  # name of the list of its tracks in messages
    frame_names: TextSeq = ()  # names of its frames in messages, one each
    problems: TextSeq = ()  # problems found before; a sequence with problems is not scored

    def frame_name(self, frame: int) -> str:
        """Return the name of a frame in messages."""
        if frame < len(self.frame_names):
            return self.frame_names[frame]
        return f"{self.name} frame {frame}".strip()


@dataclass(frozen=True, eq=False)
class Lineage:
    """Tracks as a graph with vertices numbered track by track, frame by frame."""

    labels: Labels  # (K,), label of each track, ascending
    begins: Longs  # (K,), its first and last frame
    ends: Longs
    parents: Longs  # (K,), position of its parent in these arrays, -1 for none

    @classmethod
    def of(cls, tracks: Sequence[Track]) -> "Lineage":
        """Return the graph of tracks in any order; of two with one label the first counts."""
        rows = {track.label: track for track in reversed(tracks) if track.label > 0}
        ordered = [rows[label] for label in sorted(rows)]
        place = {track.label: index for index, track in enumerate(ordered)}
        begins = np.array([track.begin for track in ordered], np.int64)
        return cls(
            labels=np.array([track.label for track in ordered], np.uint64),
            begins=begins,
            ends=np.maximum(np.array([track.end for track in ordered], np.int64), begins - 1),
            parents=np.array([place.get(track.parent, -1) for track in ordered], np.int64),
        )

    @property
    def lengths(self) -> Longs:
        """Frames of each track, (K,)."""
        return self.ends - self.begins + 1

    @cached_property
    def first(self) -> Longs:
        """Number of the first vertex of each track, then the number of all vertices, (K + 1,)."""
        return np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)

    @property
    def vertices(self) -> int:
        """Number of vertices V."""
        return int(self.first[-1])

    @cached_property
    def track_of(self) -> Longs:
        """Position of the track of each vertex, (V,)."""
        return np.repeat(np.arange(self.labels.size), self.lengths)

    @cached_property
    def starts(self) -> Bools:
        """Whether a vertex is the first of its track, (V,)."""
        starts = np.zeros(self.vertices, bool)
        starts[self.first[:-1][self.lengths > 0]] = True
        return starts

    @cached_property
    def sources(self) -> Longs:
        """Vertex that each vertex's link (of a parent at a begin) comes from, -1 for none, (V,)."""
        sources = np.arange(-1, self.vertices - 1)
        last = np.append(self.first[1:] - 1, -1)  # position -1, no parent, gives vertex -1
        some = self.lengths > 0
        sources[self.first[:-1][some]] = last[self.parents[some]]
        return sources

    def frame_of(self, vertices: Longs) -> Longs:
        """Return the frames of vertices, (N,)."""
        track = self.track_of[vertices]
        return self.begins[track] + vertices - self.first[track]

    @property
    def links(self) -> int:
        """Number of links E of both kinds."""
        return int(np.count_nonzero(self.sources >= 0))

    def divisions(self) -> dict[int, Longs]:
        """Return the positions of the daughters of each track that has at least two."""
        order = np.argsort(self.parents, kind="stable")
        mothers, begin, counts = np.unique(
            self.parents[order], return_index=True, return_counts=True
        )
        rows = zip(mothers.tolist(), begin.tolist(), counts.tolist(), strict=True)
        return {m: order[b : b + n] for m, b, n in rows if m >= 0 and n >= 2}

    def vertex(self, track: int, frame: int) -> int:
        """Return the vertex of a track in a frame, -1 where it does not exist."""
        if not self.begins[track] <= frame <= self.ends[track]:
            return -1
        return int(self.first[track] + frame - self.begins[track])


def row_problems(tracks: Sequence[Track], frames: int) -> Iterator[str]:
    """Yield the problems of tracks of a sequence of so many frames; no frame is read.

    Examples
    --------
    >>> list(row_problems([Track(2, 0, 1), Track(3, 1, 1, parent=2)], frames=2))
    ['label 3: begins in frame 1, not after its parent 2, which ends in frame 1']
    """
    rows: dict[int, Track] = {}
    for track in tracks:
        if track.label in rows:
            yield f"label {track.label}: a second row"
        rows.setdefault(track.label, track)
    for track in tracks:
        label = f"label {track.label}:"
        if track.label < 1:
            yield f"{label} not a positive number"
        if track.begin < 0:
            yield f"{label} begins in frame {track.begin}"
        if track.end < track.begin:
            yield f"{label} ends in frame {track.end}, before it begins ({track.begin})"
        if track.end >= frames:
            yield f"{label} ends in frame {track.end}, the last frame is {frames - 1}"
        if track.parent == 0:
            continue
        parent = rows.get(track.parent)
        if not parent:
            yield f"{label} its parent {track.parent} has no row"
        elif track.begin <= parent.end:
            yield (
                f"{label} begins in frame {track.begin}, not after its parent {parent.label}, "
                f"which ends in frame {parent.end}"
            )


def refuse(problems: TextSeq, outcome: str = "nothing was scored") -> None:
    """Raise one InputError for all problems, 20 of them shown, with the outcome at its end."""
    if not problems:
        return
    shown = "; ".join(problems[:LISTED])
    more = f"; and {len(problems) - LISTED} more" if len(problems) > LISTED else ""
    raise InputError(f"{count(len(problems), 'format error')}, {outcome}: {shown}{more}")
