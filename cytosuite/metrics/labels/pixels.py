"""Precision, recall, F1 and Jaccard index of pixels, as of programs that compare binary masks.

Jaccard, New Phytologist 11 (1912), doi:10.1111/j.1469-8137.1912.tb05611.x. They see no merged or
split cell: read them beside the metrics of objects.
"""

from cytosuite.files import FloatPair
from cytosuite.metrics.labels.overlap import OVERLAP, Overlap
from cytosuite.metrics.metric import family

JACCARD = "10.1111/j.1469-8137.1912.tb05611.x"


def pixel_share(table: Overlap, weights: FloatPair) -> float:
    """Return the share of right pixels among these and the weighted spurious and missed ones.

    1 where truth and prediction are both empty, 0 where one of them is.

    Examples
    --------
    >>> import numpy as np
    >>> from cytosuite.metrics.labels.overlap import overlap
    >>> table = overlap(np.array([1, 1, 2, 0, 0]), np.array([0, 7, 7, 7, 0]))
    >>> pixel_share(table, (0, 1)), pixel_share(table, (1, 1))
    (0.6666666666666666, 0.5)
    """
    truth = int(table.truth_sizes.sum())
    prediction = int(table.prediction_sizes.sum())
    if not truth or not prediction:
        return float(truth == prediction)
    right = int(table.shared.sum())
    wrong = weights[0] * (prediction - right) + weights[1] * (truth - right)
    return right / (right + wrong) if right else 0.0


pixel_precision, pixel_recall, pixel_f1, pixel_jaccard = family(
    OVERLAP,
    pixel_share,
    {
        "pixel_precision": ("pixel_precision", "Pixel precision", (1, 0), "Return TP / (TP + FP)."),
        "pixel_recall": ("pixel_recall", "Pixel recall", (0, 1), "Return TP / (TP + FN)."),
        "pixel_f1": ("pixel_F1", "Pixel F1", (0.5, 0.5), "Return 2 TP / (2 TP + FP + FN)."),
        "pixel_jaccard": ("pixel_Jaccard", "Pixel Jaccard index", (1, 1), "Return the IoU."),
    },
    best=1.0,
    worst=0.0,
    reference=JACCARD,
)
