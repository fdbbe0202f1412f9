"""Metrics of instance labels: overlap, detection, and distances of surfaces."""

from cytosuite.metrics.labels.border import without_border
from cytosuite.metrics.labels.ctc import (
    ctc_errors,
    det,
    detection_accuracy,
    matches,
    missed,
    seg,
    splits,
    spurious,
)
from cytosuite.metrics.labels.ctc_variants import det_without_penalty, op_csb, seg_of_slices
from cytosuite.metrics.labels.detection import (
    count_error,
    count_error_absolute,
    f1,
    f1_at,
    precision,
    prediction_count,
    recall,
    true_positives,
    truth_count,
)
from cytosuite.metrics.labels.instances import (
    ap50,
    ap75,
    average_precision,
    mean_average_precision,
    panoptic_quality,
    recognition_quality,
    segmentation_quality,
)
from cytosuite.metrics.labels.jaccard import aji, aji_plus, dice
from cytosuite.metrics.labels.overlap import OVERLAP, Overlap, concatenate, overlap
from cytosuite.metrics.labels.surfaces import (
    SURFACES,
    assd,
    hausdorff,
    hd95,
    surface_table,
    surfaces,
)

__all__ = [
    "OVERLAP",
    "SURFACES",
    "Overlap",
    "aji",
    "aji_plus",
    "ap50",
    "ap75",
    "assd",
    "average_precision",
    "concatenate",
    "count_error",
    "count_error_absolute",
    "ctc_errors",
    "det",
    "det_without_penalty",
    "detection_accuracy",
    "dice",
    "f1",
    "f1_at",
    "hausdorff",
    "hd95",
    "matches",
    "mean_average_precision",
    "missed",
    "op_csb",
    "overlap",
    "panoptic_quality",
    "precision",
    "prediction_count",
    "recall",
    "recognition_quality",
    "seg",
    "seg_of_slices",
    "segmentation_quality",
    "splits",
    "spurious",
    "surface_table",
    "surfaces",
    "true_positives",
    "truth_count",
    "without_border",
]
