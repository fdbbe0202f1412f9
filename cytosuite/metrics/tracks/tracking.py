"""Technical measures of the Cell Tracking Challenge: how well cells are found, drawn and linked.

References
----------
Matula et al., Cell Tracking Accuracy Measurement Based on Comparison of Acyclic Oriented Graphs,
PLOS ONE 10 (2015), doi:10.1371/journal.pone.0144959 (TRA, DET).
Maška et al., The Cell Tracking Challenge: 10 years of objective benchmarking, Nature Methods 20
(2023), doi:10.1038/s41592-023-01879-y (LNK, OP_CSB, OP_CTB).
Maška et al., A benchmark for comparison of cell tracking algorithms, Bioinformatics 30 (2014),
doi:10.1093/bioinformatics/btu080 (SEG).
"""

from dataclasses import replace
from functools import partial
from math import nan

from cytosuite.metrics.labels.ctc import (
    MASKA,
    MASKA_2023,
    MATULA,
    MISSED,
    detection_accuracy,
    saved,
)
from cytosuite.metrics.metric import metric
from cytosuite.metrics.tracks.matched_tracks import MATCHED, MatchedTracks
from cytosuite.metrics.tracks.tracking_errors import ABSENT, aogm, tracking_errors

NO_CELL = "when the truth holds no cell"

accuracy = partial(metric, evidence=MATCHED, best=1.0, worst=0.0)


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
    from_scratch = MISSED * tracks.truth.vertices + ABSENT * tracks.truth.links
    return saved(aogm.of(tracks), from_scratch)


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
    return saved(tracking_errors(tracks).linking_cost, ABSENT * tracks.truth.links)


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
    return detection_accuracy(tracks.truth.vertices, tracking_errors(tracks))


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
    found = replace(tracking_errors(tracks), spurious=0)
    return detection_accuracy(tracks.truth.vertices, found)


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
    program of the challenge; py-ctcmetrics stacks the planes of a frame and counts it once, which
    `read_sequence` does by its option `stack_planes`.

    Examples
    --------
    >>> import numpy as np
    >>> from cytosuite.metrics.tracks.lineage import Track, TrackedSequence
    >>> truth = TrackedSequence([Track(1, 0, 1)], np.ones((2, 4), int))
    >>> part = TrackedSequence([Track(1, 0, 1)], np.array([[1, 1, 1, 1], [1, 1, 1, 0]]))
    >>> seg(truth, part)
    0.875
    """
    return float(tracks.jaccard.mean()) if tracks.jaccard.size else nan


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
