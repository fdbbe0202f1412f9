"""Technical measures of the Cell Tracking Challenge: how well cells are found, drawn and linked.

Matula et al., PLOS ONE 10 (2015), doi:10.1371/journal.pone.0144959 (TRA, DET); Maška et al., Nature
Methods 20 (2023), doi:10.1038/s41592-023-01879-y (LNK, OP_CSB, OP_CTB); Maška et al.,
Bioinformatics 30 (2014), doi:10.1093/bioinformatics/btu080 (SEG).
"""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytosuite.metrics.known import known
from cytosuite.metrics.labels.ctc import (
    MASKA,
    MASKA_2023,
    MATULA,
    MISSED,
    SPLIT,
    SPURIOUS,
    saved,
)
from cytosuite.metrics.metric import family, metric
from cytosuite.metrics.tracks.lineage import Lineage
from cytosuite.metrics.tracks.matched_tracks import MATCHED, MatchedTracks
from cytosuite.volume.arrays import Bools, Longs

NO_CELL = "when the truth holds no cell"

accuracy = partial(metric, evidence=MATCHED, best=1.0, worst=0.0)
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


@accuracy("TRA", "Tracking accuracy", reference=MATULA, undefined=NO_CELL)
def tra(tracks: MatchedTracks) -> float:
    """Return the share of the work of drawing and linking all cells that the prediction saves.

    ``TRA = 1 - min(A, A0) / A0`` with ``A = 5 NS + 10 FN + FP + ED + 1.5 EA + EC``, the `aogm`,
    and ``A0 = 10 V + 1.5 E`` for the V cells and E links of the truth. Links are those within a
    track, from each frame to the next, and those from the end of a parent to the begin of its
    child over a gap of any length. Of a single frame it equals `det`. Frames that are empty in
    both sequences contribute nothing; published programs stop there or divide by zero.

    A parent link counts as such also where a track has one child only, as after a gap; the
    program traccuracy 0.4.3 sees it at divisions only.

    Examples
    --------
    A cell in three frames, tracked, but broken into two tracks joined by a parent link:

    >>> import numpy as np
    >>> from cytosuite.metrics.tracks.lineage import Track, TrackedSequence
    >>> truth = TrackedSequence([Track(1, 0, 2)], np.ones((3, 4), int))
    >>> labels = np.array([[1] * 4, [1] * 4, [2] * 4])
    >>> broken = TrackedSequence([Track(1, 0, 1), Track(2, 2, 2, parent=1)], labels)
    >>> tra(truth, broken) == 1 - 1 / 33
    True
    """
    return saved(
        aogm.of(tracks),
        MISSED * tracks.truth.vertices + COSTS["absent_links"] * tracks.truth.links,
    )


@accuracy("LNK", "Linking accuracy", reference=MASKA_2023, undefined="when the truth holds no link")
def lnk(tracks: MatchedTracks) -> float:
    """Return the share of the work of linking all cells that the prediction saves.

    ``LNK = 1 - min(A, A0) / A0`` with ``A = ED + 1.5 EA + EC`` and ``A0 = 1.5 E``, see `tra`.

    Examples
    --------
    >>> import numpy as np
    >>> from cytosuite.metrics.tracks.lineage import Track, TrackedSequence
    >>> truth = TrackedSequence([Track(1, 0, 1)], np.ones((2, 4), int))
    >>> alone = TrackedSequence([Track(1, 0, 0), Track(2, 1, 1)], np.array([[1] * 4, [2] * 4]))
    >>> lnk(truth, alone)
    0.0
    """
    return saved(work(tracks, LINKS), COSTS["absent_links"] * tracks.truth.links)


@accuracy("DET", "Detection accuracy", reference=MATULA, undefined=NO_CELL)
def det(tracks: MatchedTracks) -> float:
    """Return the share of the work of drawing all cells of a sequence that the prediction saves.

    ``DET = 1 - min(A, A0) / A0`` with ``A = 5 NS + 10 FN + FP`` and ``A0 = 10 V``, counted over
    all frames together. The markers of the tracks are the truth, not the masks of `seg`.

    Examples
    --------
    Three cells under one mask, two splits of 5 points out of 30:

    >>> import numpy as np
    >>> from cytosuite.metrics.tracks.lineage import Track, TrackedSequence
    >>> truth = TrackedSequence([Track(n, 0, 0) for n in (1, 2, 3)], np.array([[1, 2, 3]]))
    >>> round(det(truth, TrackedSequence([Track(1, 0, 0)], np.array([[1, 1, 1]]))), 4)
    0.6667
    """
    return saved(work(tracks, CELLS), MISSED * tracks.truth.vertices)


@accuracy(
    "DET_NFP",
    "Detection accuracy without penalty for spurious cells",
    reference=MATULA,
    undefined=NO_CELL,
)
def det_without_penalty(tracks: MatchedTracks) -> float:
    """Return the detection accuracy without a penalty for predicted cells that match nothing.

    `det` with ``A = 5 NS + 10 FN``, which the challenge uses for its sparsely annotated data sets
    (Fluo-N3DL-DRO, -TRIC, -TRIF).

    Examples
    --------
    >>> import numpy as np
    >>> from cytosuite.metrics.tracks.lineage import Track, TrackedSequence
    >>> truth = TrackedSequence([Track(1, 0, 0)], np.array([[1, 0]]))
    >>> found = TrackedSequence([Track(1, 0, 0), Track(2, 0, 0)], np.array([[1, 2]]))
    >>> det(truth, found), det_without_penalty(truth, found)
    (0.9, 1.0)
    """
    return saved(work(tracks, CELLS[:2]), MISSED * tracks.truth.vertices)


@accuracy(
    "SEG",
    "Segmentation accuracy",
    reference=MASKA,
    undefined="when no whole cell is drawn in the truth",
)
def seg(tracks: MatchedTracks) -> float:
    """Return the mean Jaccard index of the cells drawn as a whole with the objects over them.

    The mean over all cells of all masks, of ``|R n S| / |R u S|`` for the S that covers more than
    half of R and 0 where there is none. Frames without a mask do not count, and spurious objects
    do not lower it. Where 3D frames are drawn in single planes, each plane is an image of its own:
    areas are those within the plane, and a cell in two planes counts twice, as in the Java
    program of the challenge; py-ctcmetrics stacks the planes of a frame and counts it once.

    Examples
    --------
    >>> import numpy as np
    >>> from cytosuite.metrics.tracks.lineage import Track, TrackedSequence
    >>> truth = TrackedSequence([Track(1, 0, 1)], np.ones((2, 4), int))
    >>> part = TrackedSequence([Track(1, 0, 1)], np.array([[1, 1, 1, 1], [1, 1, 1, 0]]))
    >>> seg(truth, part)
    0.875
    """
    return known(tracks.jaccard)


@accuracy(
    "OP_CSB",
    "Overall performance, segmentation benchmark",
    reference=MASKA_2023,
    undefined="when SEG or DET is undefined",
)
def op_csb(tracks: MatchedTracks) -> float:
    """Return the mean of segmentation and detection accuracy, ``(SEG + DET) / 2``."""
    return (seg.of(tracks) + det.of(tracks)) / 2


@accuracy(
    "OP_CTB",
    "Overall performance, tracking benchmark",
    reference=MASKA_2023,
    undefined="when SEG or TRA is undefined",
)
def op_ctb(tracks: MatchedTracks) -> float:
    """Return the mean of segmentation and tracking accuracy, ``(SEG + TRA) / 2``."""
    return (seg.of(tracks) + tra.of(tracks)) / 2


CELLS = ("splits", "missed", "spurious")
LINKS = ("extra_links", "absent_links", "wrong_links")
# Of repairing one error by hand.
COSTS = dict(zip(CELLS + LINKS, (SPLIT, MISSED, SPURIOUS, 1.0, 1.5, 1.0), strict=True))


class Edits(NamedTuple):
    """The cells and links to change in a prediction; a link is named by the cell it leads to."""

    splits: Longs  # NS: vertices of the prediction, each as often as it is to be cut
    missed: Longs  # FN, of the truth
    spurious: Longs  # FP, of the prediction
    # ED, of the prediction: links between two unique cells which the truth does not have. A
    # predicted cell is unique if it matches exactly one cell of the truth
    extra_links: Longs
    # EA, of the truth: links which no predicted link between two unique cells hits; among them are
    # all links at cells that are missed or share their match
    absent_links: Longs
    # EC, of the prediction: links that hit one of the truth but are a track link where that is a
    # parent link, or the reverse
    wrong_links: Longs


def edits(tracks: MatchedTracks) -> Edits:
    """Return the operations that turn the predicted graph into the truth's."""
    truth, prediction, partner = tracks.truth, tracks.prediction, tracks.counterpart
    targets = np.flatnonzero((prediction.sources >= 0) & (partner >= 0))
    targets = targets[partner[prediction.sources[targets]] >= 0]  # both ends are unique
    images = partner[targets]
    hit = truth.sources[images] == partner[prediction.sources[targets]]
    other_kind = truth.starts[images] != prediction.starts[targets]
    return Edits(
        splits=np.repeat(np.arange(prediction.vertices), np.maximum(tracks.covered - 1, 0)),
        missed=np.flatnonzero(tracks.match < 0),
        spurious=np.flatnonzero(tracks.covered == 0),
        extra_links=targets[~hit],
        absent_links=np.setdiff1d(np.flatnonzero(truth.sources >= 0), images[hit]),
        wrong_links=targets[hit & other_kind],
    )


def work(tracks: MatchedTracks, kinds: Iterable[str]) -> float:
    """Return the cost of the operations of some kinds."""
    changes = edits(tracks)
    return float(sum(COSTS[kind] * getattr(changes, kind).size for kind in kinds))


@metric("AOGM", "Cost of mending the tracks", evidence=MATCHED, best=0.0, reference=MATULA)
def aogm(tracks: MatchedTracks) -> float:
    """Return the cost of turning the predicted graph of cells into the true graph.

    ``5 NS + 10 FN + FP + ED + 1.5 EA + EC``, without an upper end; see `Edits`.

    Examples
    --------
    A cell missed in the second of two frames takes its link with it:

    >>> from cytosuite.metrics.tracks.lineage import Track, TrackedSequence
    >>> truth = TrackedSequence([Track(1, 0, 1)], np.ones((2, 4), int))
    >>> aogm(truth, TrackedSequence([Track(1, 0, 0)], np.array([[1] * 4, [0] * 4])))
    11.5
    """
    return work(tracks, COSTS)


def error_count(tracks: MatchedTracks, kind: str) -> float:
    """Return the number of errors of a kind, a field of `Edits`."""
    return float(getattr(edits(tracks), kind).size)


KINDS = {
    "splits": ("NS", "Splits needed", "cuts that separate the cells under one predicted cell"),
    "missed": ("FN", "Cells missed", "cells that no predicted cell covers by more than half"),
    "spurious": ("FP", "Spurious cells", "predicted cells that match no cell of the truth"),
    "extra_links": (
        "ED",
        "Links to delete",
        "links between unique cells that the truth does not join",
    ),
    "absent_links": ("EA", "Links to add", "links of the truth that the prediction lacks"),
    "wrong_links": (
        "EC",
        "Links to alter",
        "predicted links of the other kind, track or parent link",
    ),
}
splits, missed, spurious, extra_links, absent_links, wrong_links = family(
    MATCHED,
    error_count,
    {
        kind: (name, title, kind, f"Return the number of {what}.")
        for kind, (name, title, what) in KINDS.items()
    },
    best=0.0,
    reference=MATULA,
)


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
