"""Metrics of tracks, those of the Cell Tracking Challenge, from sequences or their folders."""

from cytosuite.metrics.tracks.biology import bio, cca, ct, op_clb, tf
from cytosuite.metrics.tracks.branching import bc0, bc1, bc2, bc3, branching_correctness
from cytosuite.metrics.tracks.lineage import Lineage, Mask, Track, TrackedSequence
from cytosuite.metrics.tracks.matched_tracks import MATCHED, MatchedTracks, match_tracks
from cytosuite.metrics.tracks.track_folder import open_sequence, read_sequence, write_sequence
from cytosuite.metrics.tracks.track_score import score_tracks
from cytosuite.metrics.tracks.tracking import (
    det,
    det_without_penalty,
    lnk,
    op_csb,
    op_ctb,
    seg,
    tra,
)
from cytosuite.metrics.tracks.tracking_errors import (
    absent_links,
    aogm,
    extra_links,
    missed,
    splits,
    spurious,
    tracking_errors,
    wrong_links,
)

__all__ = [
    "MATCHED",
    "Lineage",
    "Mask",
    "MatchedTracks",
    "Track",
    "TrackedSequence",
    "absent_links",
    "aogm",
    "bc0",
    "bc1",
    "bc2",
    "bc3",
    "bio",
    "branching_correctness",
    "cca",
    "ct",
    "det",
    "det_without_penalty",
    "extra_links",
    "lnk",
    "match_tracks",
    "missed",
    "op_clb",
    "op_csb",
    "op_ctb",
    "open_sequence",
    "read_sequence",
    "score_tracks",
    "seg",
    "splits",
    "spurious",
    "tf",
    "tra",
    "tracking_errors",
    "write_sequence",
    "wrong_links",
]
