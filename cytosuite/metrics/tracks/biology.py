"""Biological measures of the Cell Tracking Challenge: complete tracks, divisions, cell cycles.

A predicted cell matches one of the truth uniquely if it covers more than half of it and does so
for no other; all measures here but CCA ask for unique matches.
Ulman et al., Nature Methods 14 (2017), doi:10.1038/nmeth.4473 (CT, TF, CCA); Maška et al., Nature
Methods 20 (2023), doi:10.1038/s41592-023-01879-y (BIO, OP_CLB).
"""

from functools import partial
from math import nan

import numpy as np

from cytosuite.metrics.known import known
from cytosuite.metrics.labels.ctc import MASKA_2023
from cytosuite.metrics.metric import family, metric
from cytosuite.metrics.tracks.lineage import Lineage
from cytosuite.metrics.tracks.matched_tracks import MATCHED, MatchedTracks, longest_runs
from cytosuite.metrics.tracks.tracking import lnk
from cytosuite.volume.arrays import Longs

ULMAN = "10.1038/nmeth.4473"
NO_TRACK = "when the truth holds no track"
WITHIN = 2  # frames of BC in BIO and OP_CLB, the default of the challenge's Java program

biological = partial(metric, evidence=MATCHED, best=1.0, worst=0.0, reference=ULMAN)
overall = partial(biological, reference=MASKA_2023)


@biological("CT", "Complete tracks", undefined=NO_TRACK)
def ct(tracks: MatchedTracks) -> float:
    """Return the share of tracks that were found from begin to end, as an F1 score.

    ``CT = 2 C / (T + P)`` for T tracks in the truth, P predicted ones and C tracks of the truth
    with one predicted track of the same begin and end that matches it uniquely in every frame.

    Examples
    --------
    >>> from cytosuite.metrics.tracks.lineage import Track, TrackedSequence
    >>> truth = TrackedSequence([Track(1, 0, 1), Track(2, 0, 1)], np.array([[1, 2], [1, 2]]))
    >>> one = TrackedSequence([Track(1, 0, 1), Track(2, 0, 0)], np.array([[1, 2], [1, 0]]))
    >>> ct(truth, one)
    0.5
    """
    predicted, true, frames = longest_runs(tracks)
    whole = frames == tracks.truth.lengths[true]
    whole &= frames == tracks.prediction.lengths[predicted]
    number = tracks.truth.labels.size
    return 2 * int(whole.sum()) / (number + tracks.prediction.labels.size) if number else nan


@biological("TF", "Track fractions", undefined=NO_TRACK)
def tf(tracks: MatchedTracks) -> float:
    """Return the mean fraction of a track that one predicted track follows uninterrupted.

    The fraction of a track is its longest run of frames in which one predicted track matches it
    uniquely, divided by its length. Tracks that are nowhere followed are left out of the mean, as
    in the programs of the challenge; where none is followed the value is 0 (the Java program
    divides by zero).

    The order is part of the definition: predicted tracks are visited by increasing label, and one
    that covers a track of the truth completely is used up, it does not count for tracks of higher
    labels; tracks of lower labels keep what it has given them. Renaming labels can thus change
    the value. Lengths are compared as integers; the Java program takes 0.999 for complete.

    Examples
    --------
    >>> from cytosuite.metrics.tracks.lineage import Track, TrackedSequence
    >>> truth = TrackedSequence([Track(1, 0, 3)], np.ones((4, 2), int))
    >>> labels = np.array([[1, 1], [2, 2], [2, 2], [2, 2]])
    >>> tf(truth, TrackedSequence([Track(1, 0, 0), Track(2, 1, 3)], labels))
    0.75
    """
    if not tracks.truth.labels.size:
        return nan
    lengths = tracks.truth.lengths.tolist()
    best = [0] * len(lengths)
    used_up = -1
    for predicted, true, frames in np.transpose(longest_runs(tracks)).tolist():
        if predicted == used_up:
            continue
        best[true] = max(best[true], frames)
        if frames == lengths[true]:
            used_up = predicted
    fractions = [run / length for run, length in zip(best, lengths, strict=True) if run]
    return float(np.mean(fractions)) if fractions else 0.0


@biological("CCA", "Cell cycle accuracy", undefined="when the truth holds no complete cell cycle")
def cca(tracks: MatchedTracks) -> float:
    """Return the agreement of the distributions of the lengths of complete cell cycles.

    ``CCA = 1 - max_t |F(t) - G(t)|`` with the cumulative distributions F and G of the number of
    frames of tracks that begin and end with a division. Matches do not enter. It is 0 when the
    prediction holds no complete cell cycle.
    """
    true, predicted = (np.sort(_cycles(graph)) for graph in (tracks.truth, tracks.prediction))
    if not true.size:
        return nan
    if not predicted.size:
        return 0.0
    at = np.concatenate([true, predicted])
    difference = np.searchsorted(true, at, "right") / true.size
    difference -= np.searchsorted(predicted, at, "right") / predicted.size
    return float(1.0 - np.abs(difference).max())


def _cycles(graph: Lineage) -> Longs:
    """Return the lengths in frames of the tracks that begin and end with a division."""
    divisions = graph.divisions()
    whole = [m for m in divisions if int(graph.parents[m]) in divisions]
    return graph.lengths[np.array(whole, np.int64)]


@overall("BIO", "Biological performance", undefined=NO_TRACK)
def bio(tracks: MatchedTracks) -> float:
    """Return the mean of CT, TF, BC(2) and CCA; undefined ones are left out.

    The number of frames of BC is chosen per data set in the publications; 2 is the default of
    the Java program of the challenge.
    """
    values = (ct.of(tracks), tf.of(tracks), branching_correctness(tracks, WITHIN), cca.of(tracks))
    return known(values)


@overall(
    "OP_CLB", "Overall performance, linking benchmark", undefined="when LNK or BIO is undefined"
)
def op_clb(tracks: MatchedTracks) -> float:
    """Return the mean of linking accuracy and biological performance, ``(LNK + BIO) / 2``."""
    return (lnk.of(tracks) + bio.of(tracks)) / 2


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
    truth = tracks.truth
    prediction = tracks.prediction
    divisions = truth.divisions()
    predicted = prediction.divisions()
    if not divisions:
        return nan

    def same(true: int, other: int, frame: int) -> bool:
        """Return whether two tracks match uniquely in a frame."""
        vertex = prediction.vertex(other, frame)
        true_vertex = truth.vertex(true, frame)
        return vertex >= 0 and true_vertex >= 0 and int(tracks.counterpart[vertex]) == true_vertex

    def begin_alike(true: int, other: int) -> bool:
        """Return whether two daughters begin close in time and are the same cell from then on."""
        begins = int(truth.begins[true]), int(prediction.begins[other])
        return abs(begins[0] - begins[1]) <= within and same(true, other, max(begins))

    def divide_alike(true: int, other: int) -> bool:
        """Return whether a predicted mother and her daughters are the truth's."""
        daughters = divisions[true].tolist()
        others = predicted[other].tolist()
        ends = int(truth.ends[true]), int(prediction.ends[other])
        return (
            len(daughters) == len(others)
            and abs(ends[0] - ends[1]) <= within
            and same(true, other, min(ends))
            and all(any(begin_alike(a, b) for b in others) for a in daughters)
        )

    right = set[int]()
    taken = set[int]()
    for mother, true in np.transpose(longest_runs(tracks)[:2]).tolist():
        free = mother not in right and true not in taken
        if free and mother in predicted and true in divisions and divide_alike(true, mother):
            right.add(mother)
            taken.add(true)
    return 2 * len(taken) / (len(divisions) + len(predicted))


OFF = (
    "in the very same frames",
    *(f"at most {frames} off" for frames in ("one frame", "two frames", "three frames")),
)
bc0, bc1, bc2, bc3 = family(
    MATCHED,
    branching_correctness,
    {
        f"bc{within}": (
            f"BC{within}",
            f"Branching correctness, {off}",
            within,
            f"Return the F1 score of divisions found {off}, BC({within}).",
        )
        for within, off in enumerate(OFF)
    },
    best=1.0,
    worst=0.0,
    reference=ULMAN,
    undefined="when the truth holds no division",
)
