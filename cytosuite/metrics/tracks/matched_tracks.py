"""Matches between the tracked cells of a truth and of a prediction, frame by frame."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cytosuite.errors import InputError
from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.labels.ctc import matches
from cytosuite.metrics.labels.overlap import Overlap, overlap
from cytosuite.metrics.tracks.lineage import Lineage, Mask, TrackedSequence, refuse, row_problems
from cytosuite.volume.arrays import Array, Doubles, LongPair, Longs, LongWords, Shape


@dataclass(frozen=True, eq=False)
class MatchedTracks:
    """Two lineages and the matches between their vertices."""

    truth: Lineage  # graphs of V and P vertices
    prediction: Lineage
    # (V,), vertex of the prediction which covers more than half of each vertex of the truth, -1
    # where there is none. One vertex of the prediction may cover several
    match: Longs
    # (N,), of each of the N cells drawn as a whole: the Jaccard index with the predicted object
    # that covers more than half of it, 0 where there is none
    jaccard: Doubles
    # (N, 3), of each of these cells: its frame, plane (0 where it is drawn in all) and label
    drawn: Longs

    @cached_property
    def covered(self) -> Longs:
        """Number of vertices of the truth which each vertex of the prediction matches, (P,)."""
        return np.bincount(self.match[self.match >= 0], minlength=self.prediction.vertices)

    @cached_property
    def counterpart(self) -> Longs:
        """Vertex of the truth that one of the prediction matches, -1 for none or several, (P,)."""
        partner = np.full(self.prediction.vertices, -1, np.int64)
        matched = np.flatnonzero(self.match >= 0)
        partner[self.match[matched]] = matched
        partner[self.covered != 1] = -1
        return partner


def match_tracks(truth: TrackedSequence, prediction: TrackedSequence) -> MatchedTracks:
    """Return the matched cells of two sequences, one pair of frames in memory at a time.

    InputError if labels and tracks contradict each other, a frame is missing or broken, or shapes
    differ. A vertex S of the prediction matches a vertex R of the truth if ``2 |R n S| > |R|``,
    half exactly is no match, the size of S does not matter (Maška et al., Bioinformatics 30 (2014),
    doi:10.1093/bioinformatics/btu080). A frame in which the prediction is empty leaves all its
    cells unmatched; a frame empty in both contributes nothing.
    """
    true, other = sides = _Side(truth, "truth"), _Side(prediction, "prediction")
    counts = [len(side.sequence.frames) for side in sides]
    masks = defaultdict(list)
    for mask in truth.masks or ():
        masks[mask.frame].append(mask)
    problems = []
    if counts[0] != counts[1]:
        problems.append(f"{other.name}: {counts[1]} frames, {true.name} has {counts[0]}")
    problems += [
        f"{mask.name}: the sequence has {counts[1]} frames"
        for frame in masks
        if not 0 <= frame < counts[1]
        for mask in masks[frame]
    ]
    match = np.full(true.graph.vertices, -1, np.int64)
    cells = [np.zeros((0, 4))]

    def match_frame(frame: int, drawn: Array, labels: Array) -> None:
        """Enter the matches of one frame, and its problems."""
        table = overlap(drawn, labels)
        vertices = true.place(table.truth_labels, frame)
        covering = other.place(table.prediction_labels, frame)
        matched = matches(table)
        if vertices is not None and covering is not None:
            match[vertices[table.truth_index[matched]]] = covering[table.prediction_index[matched]]
        if truth.masks is None:
            cells.append(_jaccard(table, frame))
        for mask in masks[frame]:
            try:
                whole = table if mask.same else overlap(*_cut(mask, labels))
                cells.append(_jaccard(whole, frame, mask.plane or 0))
            except InputError as error:
                problems.append(f"{mask.name}: {error}")

    for frame in range(max(counts)):
        drawn, labels = (side.read(frame) for side in sides)
        if drawn is not None and labels is not None and drawn.shape == labels.shape:
            match_frame(frame, drawn, labels)
        else:
            true.place_all(drawn, frame)
            other.place_all(labels, frame)
    if None not in (true.shape, other.shape) and true.shape != other.shape:
        problems.append(
            f"{other.name}: frames of shape {other.shape}, {true.name} has {true.shape}"
        )
    refuse([*problems, *true.problems(), *other.problems()])
    whole = np.concatenate(cells)
    return MatchedTracks(true.graph, other.graph, match, whole[:, 0], whole[:, 1:].astype(np.int64))


MATCHED = Evidence(match_tracks, ("truth", "prediction"), tabled=True)


def check_sequence(sequence: TrackedSequence, outcome: str = "nothing was read") -> None:
    """Read all frames, not masks; one InputError with `outcome` if they contradict the tracks."""
    side = _Side(sequence, "sequence")
    for frame in range(len(sequence.frames)):
        side.place_all(side.read(frame), frame)
    refuse([*side.problems()], outcome)


def longest_runs(tracks: MatchedTracks) -> tuple[Longs, Longs, Longs]:
    """Return the longest runs in which predicted tracks follow true ones, 3 x (N,) int64.

    Positions of the predicted and the true track of each pair that matches uniquely anywhere,
    ascending by the first, then the second; and the frames of their longest uninterrupted run.
    """
    vertices = np.flatnonzero(tracks.counterpart >= 0)
    predicted = tracks.prediction.track_of[vertices]
    true = tracks.truth.track_of[tracks.counterpart[vertices]]
    breaks = np.diff(vertices) != 1
    breaks |= (np.diff(predicted) != 0) | (np.diff(true) != 0)
    begin = np.flatnonzero(np.concatenate([[vertices.size > 0], breaks]))
    frames = np.diff(begin, append=vertices.size)
    pairs = predicted[begin] * (tracks.truth.labels.size + 1) + true[begin]
    order = np.lexsort((-frames, pairs))
    _, first = np.unique(pairs[order], return_index=True)
    longest = order[first]
    return predicted[begin][longest], true[begin][longest], frames[longest]


class _Side:
    """One of the two sequences, with the problems found in its frames so far."""

    def __init__(self, sequence: TrackedSequence, role: str) -> None:
        self.sequence = sequence
        self.name = sequence.name or role
        frames = len(sequence.frames)
        self.found = [*sequence.problems]
        self.found += [f"{sequence.table}: {p}" for p in row_problems(sequence.tracks, frames)]
        self.graph = Lineage.of(
            [
                replace(track, begin=max(track.begin, 0), end=min(track.end, frames - 1))
                for track in sequence.tracks
            ]
        )
        self.seen = np.zeros(self.graph.vertices, bool)
        self.strays: dict[int, list[int]] = defaultdict(list)
        self.shape: Shape | None = None

    def read(self, frame: int) -> Array | None:
        """Return the labels of a frame, None if they cannot be used."""
        if frame >= len(self.sequence.frames):
            return None
        name = self.sequence.frame_name(frame)
        try:
            labels = np.asanyarray(self.sequence.frames[frame])
            problem = f"{name}: {reason}" if (reason := self._unfit(labels)) else ""
        except InputError as error:
            problem = str(error)
        if problem:
            if problem not in self.found:
                self.found.append(problem)
            self.seen[self._present(frame)[1]] = True  # no label is missing there
            return None
        return labels

    def place_all(self, labels: Array | None, frame: int) -> None:
        """Place all labels but 0 of a frame that is matched with no other."""
        if labels is not None:
            self.place(np.unique(labels[labels != 0]).astype(np.uint64), frame)

    def _unfit(self, labels: Array) -> str:
        """Return why labels cannot be used, empty if they can."""
        if labels.dtype.kind not in "iu":
            return f"labels of dtype {labels.dtype}, expected integers"
        if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
            return f"label {labels.min()} is negative"
        if self.shape is None:
            self.shape = labels.shape
        if labels.shape != self.shape:
            return f"shape {labels.shape}, the first frame has {self.shape}"
        return ""

    def place(self, labels: LongWords, frame: int) -> Longs | None:
        """Return the vertices of the labels in a frame, None if one has no row there."""
        tracks, vertices = self._present(frame)
        tracked = np.isin(labels, self.graph.labels[tracks])
        for label in labels[~tracked].tolist():
            self.strays[label].append(frame)
        matched = vertices[np.isin(self.graph.labels[tracks], labels)]
        self.seen[matched] = True
        return matched if tracked.all() else None

    def _present(self, frame: int) -> LongPair:
        """Return the tracks that have a row in a frame, by label, and their vertices there."""
        graph = self.graph
        tracks = np.flatnonzero((graph.begins <= frame) & (frame <= graph.ends))
        return tracks, graph.first[tracks] + frame - graph.begins[tracks]

    def problems(self) -> Iterator[str]:
        """Yield all problems, after the last frame."""
        yield from self.found
        rows = {track.label for track in self.sequence.tracks}
        if self.strays and not rows:
            yield f"{self.sequence.table}: no rows, the frames hold {len(self.strays)} labels"
        for label, frames in sorted(self.strays.items()) if rows else ():
            reason = "outside the frames of its row" if label in rows else "has no row"
            yield self._phrase(frames[0], f"label {label} {reason}", len(frames))
        absent = np.flatnonzero(~self.seen)
        tracks, place, counts = np.unique(
            self.graph.track_of[absent], return_index=True, return_counts=True
        )
        for track, vertex, count in zip(tracks, absent[place], counts, strict=True):
            frame = int(vertex - self.graph.first[track] + self.graph.begins[track])
            yield self._phrase(frame, f"label {self.graph.labels[track]} is missing", count)

    def _phrase(self, frame: int, problem: str, frames: int) -> str:
        """Return a problem with the first of the frames that have it."""
        more = f" (and in {frames - 1} more frames)" if frames > 1 else ""
        return f"{self.sequence.frame_name(frame)}: {problem}{more}"


def _cut(mask: Mask, prediction: Array) -> tuple[Array, Array]:
    """Return the labels of a mask, and of the prediction in the same plane."""
    if mask.plane is None:
        return mask.read(), prediction
    if prediction.ndim < 3 or mask.plane >= len(prediction):
        raise InputError(f"no plane {mask.plane} in a frame of shape {prediction.shape}")
    return mask.read(), prediction[mask.plane]


def _jaccard(table: Overlap, frame: int, plane: int = 0) -> Doubles:
    """Return (N, 4) of the true objects: Jaccard index with the match or 0, frame, plane, label."""
    values = np.zeros(table.truth_sizes.size)
    matched = matches(table)
    values[table.truth_index[matched]] = table.iou(matched)
    return np.column_stack([values, np.full((values.size, 2), (frame, plane)), table.truth_labels])
