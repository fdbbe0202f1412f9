"""Links between cells that a prediction lacks or adds, by what went wrong."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytosuite.metrics.tracks.lineage import Lineage
from cytosuite.metrics.tracks.matched_tracks import MatchedTracks
from cytosuite.metrics.tracks.tracking import edits
from cytosuite.volume.arrays import Bools, Longs

DIVISION, GAP, SWAP, BREAK = "missed division", "gap", "swap", "break"
FALSE_DIVISION, FALSE_LINK, CUT = "false division", "false link", "other kind"
LINK_ERRORS = {  # kinds, and their meaning
    DIVISION: "a daughter is not linked to its mother",
    GAP: "the cell at an end of the link is missing, or under a label with others",
    SWAP: "the track goes on in another cell",
    BREAK: "both cells are there, and no track joins them",
    FALSE_DIVISION: "a daughter is linked to a cell that is not its mother",
    FALSE_LINK: "a cell that appears is linked to another one",
    CUT: "a parent joins what is one track, or the reverse",
}


class LinkError(NamedTuple):
    """A wrong link, named by the cell it leads to."""

    kind: str  # of `LINK_ERRORS`
    frame: int
    side: str  # side of the link and of its label: truth or prediction
    label: int


def link_errors(tracks: MatchedTracks) -> list[LinkError]:
    """Return the wrong links of a prediction, by frame; each cause counts once.

    Links of the truth that are absent (EA) are missed divisions, gaps, swaps or breaks. Links of
    the prediction between unique cells that the truth lacks (ED) are false divisions, else false
    links where a cell appears; elsewhere they are the swap of that cell. Links of the other kind
    (EC) count as such.
    """
    return sorted(_errors(tracks), key=lambda error: (error.frame, error.side, error.label))


def _errors(tracks: MatchedTracks) -> Iterator[LinkError]:
    """Yield the wrong links: missed true links, then false predicted ones."""
    truth, prediction, partner = tracks.truth, tracks.prediction, tracks.counterpart
    changes = edits(tracks)
    # The unique cell of the prediction for each of the truth; the last place stands for none.
    guess = np.full(truth.vertices + 1, -1)
    unique = np.flatnonzero(partner >= 0)
    guess[partner[unique]] = unique
    goes_on = np.zeros(prediction.vertices + 1, bool)
    goes_on[prediction.sources[prediction.sources >= 0]] = True

    absent = changes.absent_links
    target = guess[absent]
    source = guess[truth.sources[absent]]
    elsewhere = goes_on[source] | (np.append(prediction.sources, -1)[target] >= 0)
    lost = [_daughters(truth)[absent], (target < 0) | (source < 0), elsewhere]
    yield from _named(truth, "truth", absent, np.select(lost, (DIVISION, GAP, SWAP), BREAK))

    extra = changes.extra_links
    appears = truth.sources[partner[extra]] < 0
    cause = np.select([_daughters(prediction)[extra], appears], (FALSE_DIVISION, FALSE_LINK), "")
    yield from _named(prediction, "prediction", extra, cause)
    wrong = changes.wrong_links
    yield from _named(prediction, "prediction", wrong, np.full(wrong.size, CUT))


def _daughters(graph: Lineage) -> Bools:
    """Return whether each vertex is the first of a daughter, (V,)."""
    daughters = np.zeros(graph.vertices, bool)
    for tracks in graph.divisions().values():
        daughters[graph.first[tracks]] = True
    return daughters


def _named(
    graph: Lineage, side: str, vertices: Longs, kinds: NDArray[np.str_]
) -> Iterator[LinkError]:
    """Yield the errors at some vertices, but those without a kind."""
    labels = graph.labels[graph.track_of[vertices]]
    rows = zip(kinds.tolist(), graph.frame_of(vertices).tolist(), labels.tolist(), strict=True)
    yield from (LinkError(kind, frame, side, label) for kind, frame, label in rows if kind)
