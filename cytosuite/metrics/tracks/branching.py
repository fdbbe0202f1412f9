"""Divisions: how many of them were found, at the right time, with the right daughters.

References
----------
Ulman et al., An objective comparison of cell-tracking algorithms, Nature Methods 14 (2017),
doi:10.1038/nmeth.4473.
"""

from functools import partial
from math import nan

import numpy as np

from cytosuite.metrics.metric import metric
from cytosuite.metrics.tracks.lineage import Indices
from cytosuite.metrics.tracks.matched_tracks import MATCHED, MatchedTracks, longest_runs

ULMAN = "10.1038/nmeth.4473"


def branching_correctness(tracks: MatchedTracks, within: int) -> float:
    """Return the F1 score of divisions that were found at most `within` frames off.

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
    right: set[int] = set()
    taken: set[int] = set()
    for mother, true in np.transpose(longest_runs(tracks)[:2]).tolist():
        if mother in predicted and true in divisions and mother not in right and true not in taken:
            pair = (true, divisions[true]), (mother, predicted[mother])
            if _same_division(tracks, within, *pair):
                right.add(mother)
                taken.add(true)
    return 2 * len(taken) / (len(divisions) + len(predicted))


def _same_division(
    tracks: MatchedTracks, within: int, true: tuple[int, Indices], predicted: tuple[int, Indices]
) -> bool:
    """Return whether a predicted mother and her daughters are those of the truth."""
    (mother, daughters), (other, others) = true, predicted
    ends = int(tracks.truth.ends[mother]), int(tracks.prediction.ends[other])
    if daughters.size != others.size or abs(ends[0] - ends[1]) > within:
        return False

    def begins_alike(daughter: int, other: int) -> bool:
        """Return whether two daughters begin close in time and are the same cell from then on."""
        begins = int(tracks.truth.begins[daughter]), int(tracks.prediction.begins[other])
        near = abs(begins[0] - begins[1]) <= within
        return near and _same(tracks, daughter, other, max(begins))

    return _same(tracks, mother, other, min(ends)) and all(
        any(begins_alike(a, b) for b in others.tolist()) for a in daughters.tolist()
    )


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
