"""Divisions: how many of them were found, at the right time, with the right daughters.

References
----------
Ulman et al., An objective comparison of cell-tracking algorithms, Nature Methods 14 (2017),
doi:10.1038/nmeth.4473.
"""

from functools import partial
from math import nan

from cytosuite.metrics.metric import metric
from cytosuite.metrics.tracks.lineage import Indices
from cytosuite.metrics.tracks.matched_tracks import MATCHED, MatchedTracks, longest_runs

ULMAN = "10.1038/nmeth.4473"


def branching_correctness(tracks: MatchedTracks, within: int) -> float:
    """Return the F1 score of divisions that were found at most so many frames off.

    Parameters
    ----------
    tracks : MatchedTracks
        Of a truth and a prediction.
    within : int
        Frames which the end of the mother and the begin of each daughter may be off.

    Returns
    -------
    float
        In [0, 1]; NaN when the truth holds no division.

    Notes
    -----
    ``BC(i) = 2 C / (T + P)`` for T and P divisions, that is tracks with at least two children, in
    truth and prediction. A predicted division is correct (C) if it has as many daughters; its
    mother ends at most i frames off and matches the true mother uniquely in the last frame of
    both; and for every true daughter one of its daughters begins at most i frames off and matches
    it uniquely in the first frame of both. Predicted divisions are visited by increasing label,
    and each takes the first true one that is not taken (py-ctcmetrics 1.3.3 lets several take the
    same one, and wants different daughters, which differs only where tracks are exchanged within
    those i frames).
    """
    divisions = tracks.truth.divisions()
    if not divisions:
        return nan
    predicted = tracks.prediction.divisions()
    followers: dict[int, list[int]] = {}
    runs = zip(*(column.tolist() for column in longest_runs(tracks)[:2]), strict=True)
    for follower, true in runs:
        followers.setdefault(follower, []).append(true)
    taken: set[int] = set()
    for mother, daughters in predicted.items():
        for true in followers.get(mother, []):
            if true not in divisions or true in taken:
                continue
            if _same_division(tracks, within, (true, divisions[true]), (mother, daughters)):
                taken.add(true)
                break
    return 2 * len(taken) / (len(divisions) + len(predicted))


def _same_division(
    tracks: MatchedTracks,
    within: int,
    true: tuple[int, Indices],
    predicted: tuple[int, Indices],
) -> bool:
    """Return whether a predicted mother and her daughters are those of the truth."""
    if true[1].size != predicted[1].size:
        return False
    graphs = tracks.truth, tracks.prediction
    ends = [int(graph.ends[side[0]]) for graph, side in zip(graphs, (true, predicted), strict=True)]
    if abs(ends[0] - ends[1]) > within or not _same(tracks, true[0], predicted[0], min(ends)):
        return False

    def begins_alike(daughter: int, other: int) -> bool:
        """Return whether two daughters begin close in time and are the same cell from then on."""
        begins = int(tracks.truth.begins[daughter]), int(tracks.prediction.begins[other])
        near = abs(begins[0] - begins[1]) <= within
        return near and _same(tracks, daughter, other, max(begins))

    return all(any(begins_alike(a, b) for b in predicted[1].tolist()) for a in true[1].tolist())


def _same(tracks: MatchedTracks, true: int, predicted: int, frame: int) -> bool:
    """Return whether two tracks match uniquely in a frame."""
    vertex = tracks.prediction.vertex(predicted, frame)
    other = tracks.truth.vertex(true, frame)
    return vertex >= 0 and other >= 0 and int(tracks.counterpart[vertex]) == other


division = partial(
    metric,
    evidence=MATCHED,
    best=1.0,
    worst=0.0,
    reference=ULMAN,
    undefined="when the truth holds no division",
)


@division("BC0", "Branching correctness, in the very same frames")
def bc0(tracks: MatchedTracks) -> float:
    """Return the F1 score of divisions found in the very same frames, BC(0)."""
    return branching_correctness(tracks, 0)


@division("BC1", "Branching correctness, at most one frame off")
def bc1(tracks: MatchedTracks) -> float:
    """Return the F1 score of divisions found at most one frame off, BC(1)."""
    return branching_correctness(tracks, 1)


@division("BC2", "Branching correctness, at most two frames off")
def bc2(tracks: MatchedTracks) -> float:
    """Return the F1 score of divisions found at most two frames off, BC(2)."""
    return branching_correctness(tracks, 2)


@division("BC3", "Branching correctness, at most three frames off")
def bc3(tracks: MatchedTracks) -> float:
    """Return the F1 score of divisions found at most three frames off, BC(3)."""
    return branching_correctness(tracks, 3)
