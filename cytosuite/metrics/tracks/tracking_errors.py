"""The operations that turn a predicted graph of cells into that of the truth, and their cost.

Each is weighted by the work of doing it by hand (AOGM, Matula et al. 2015). The weights give
the least cost of all ways to mend the graph while ``(m - 1) 5 <= 1 + 10 m``, which always holds.

References
----------
Matula et al., Cell Tracking Accuracy Measurement Based on Comparison of Acyclic Oriented Graphs,
PLOS ONE 10 (2015), doi:10.1371/journal.pone.0144959.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from cytosuite.metrics.labels.ctc import MATULA, CtcErrors
from cytosuite.metrics.metric import metric
from cytosuite.metrics.tracks.matched_tracks import MATCHED, MatchedTracks

EXTRA, ABSENT, WRONG = 1.0, 1.5, 1.0  # cost of deleting, adding and altering a link by hand


@dataclass(frozen=True, slots=True)
class TrackingErrors(CtcErrors):
    """Operations that turn a predicted graph into that of the truth.

    Parameters
    ----------
    splits, missed, spurious : int
        NS, FN and FP: errors of the detection, whose `cost` is AOGM-D.
    extra_links : int
        ED: predicted links between two unique cells which the truth does not have. A predicted
        cell is unique if it matches exactly one cell of the truth.
    absent_links : int
        EA: links of the truth which no predicted link between two unique cells hits; among them
        are all links at cells that are missed or share their match.
    wrong_links : int
        EC: predicted links that hit one of the truth but are a track link where that is a parent
        link, or the reverse.
    """

    extra_links: int
    absent_links: int
    wrong_links: int

    @property
    def linking_cost(self) -> float:
        """AOGM-A, the cost of the operations on links."""
        return EXTRA * self.extra_links + ABSENT * self.absent_links + WRONG * self.wrong_links


def tracking_errors(tracks: MatchedTracks) -> TrackingErrors:
    """Count the operations that turn the predicted graph into that of the truth."""
    truth, prediction, one = tracks.truth, tracks.prediction, tracks.counterpart
    matched = int(np.count_nonzero(tracks.match >= 0))
    covering = int(np.count_nonzero(tracks.covered))
    targets = np.flatnonzero((prediction.sources >= 0) & (one >= 0))
    targets = targets[one[prediction.sources[targets]] >= 0]  # both ends are unique
    images = one[targets]
    hit = truth.sources[images] == one[prediction.sources[targets]]
    other_kind = truth.starts[images] != prediction.starts[targets]
    hits = int(np.count_nonzero(hit))
    return TrackingErrors(
        splits=matched - covering,
        missed=truth.vertices - matched,
        spurious=prediction.vertices - covering,
        extra_links=targets.size - hits,
        absent_links=truth.links - hits,
        wrong_links=int(np.count_nonzero(hit & other_kind)),
    )


errors = partial(metric, evidence=MATCHED, best=0.0, reference=MATULA)


@errors("AOGM", "Cost of mending the tracks")
def aogm(tracks: MatchedTracks) -> float:
    """Return the cost of turning the predicted graph of cells into that of the truth.

    ``5 NS + 10 FN + FP + ED + 1.5 EA + EC``, without an upper end; see `TrackingErrors`.

    Examples
    --------
    A cell missed in the second of two frames takes its link with it:

    >>> from cytosuite.metrics.tracks.lineage import Track, TrackedSequence
    >>> truth = TrackedSequence([Track(1, 0, 1)], np.ones((2, 4), int))
    >>> aogm(truth, TrackedSequence([Track(1, 0, 0)], np.array([[1] * 4, [0] * 4])))
    11.5
    """
    found = tracking_errors(tracks)
    return found.cost + found.linking_cost


@errors("NS", "Splits needed")
def splits(tracks: MatchedTracks) -> float:
    """Return the number of cuts that separate the cells of the truth under one predicted cell."""
    return tracking_errors(tracks).splits


@errors("FN", "Cells missed")
def missed(tracks: MatchedTracks) -> float:
    """Return the number of cells of the truth that no predicted cell covers by more than half."""
    return tracking_errors(tracks).missed


@errors("FP", "Spurious cells")
def spurious(tracks: MatchedTracks) -> float:
    """Return the number of predicted cells that match no cell of the truth."""
    return tracking_errors(tracks).spurious


@errors("ED", "Links to delete")
def extra_links(tracks: MatchedTracks) -> float:
    """Return the number of predicted links between unique cells that the truth does not join."""
    return tracking_errors(tracks).extra_links


@errors("EA", "Links to add")
def absent_links(tracks: MatchedTracks) -> float:
    """Return the number of links of the truth that the prediction lacks."""
    return tracking_errors(tracks).absent_links


@errors("EC", "Links to alter")
def wrong_links(tracks: MatchedTracks) -> float:
    """Return the number of predicted links of the other kind in the truth, track or parent link."""
    return tracking_errors(tracks).wrong_links
