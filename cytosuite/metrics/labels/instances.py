"""Average precision, panoptic quality, aggregated Jaccard index and Dice coefficient of labels.

Caicedo et al., Nature Methods 16 (2019), doi:10.1038/s41592-019-0612-7 (average precision);
Kirillov et al., CVPR (2019), doi:10.1109/CVPR.2019.00963 (PQ); Kumar et al., IEEE Transactions on
Medical Imaging 36 (2017), doi:10.1109/TMI.2017.2677499 (AJI); Dice, Ecology 26 (1945),
doi:10.2307/1932409.
"""

from functools import partial

import numpy as np

from cytosuite.metrics.known import known, ratio
from cytosuite.metrics.labels.detection import NOTHING, true_positives
from cytosuite.metrics.labels.overlap import OVERLAP, Overlap
from cytosuite.metrics.metric import family, metric

PERCENTS = range(50, 100, 5)  # least IoU of the mean average precision, in hundredths

CAICEDO = "10.1038/s41592-019-0612-7"
KIRILLOV = "10.1109/CVPR.2019.00963"


def average_precision(table: Overlap, percent: int) -> float:
    """Return the share of right objects among all true and predicted ones, at a least IoU.

    ``TP / (TP + FP + FN)`` in [0, 1], with `true_positives` at a least IoU of `percent` hundredths;
    0 when one of the two holds no object, NaN when neither does. It is not the area under a
    precision-recall curve, which needs confidences; some programs call it accuracy (StarDist) and
    return 0 where neither volume holds an object.

    Examples
    --------
    >>> from cytosuite.metrics.labels.overlap import overlap
    >>> table = overlap(np.array([1, 1, 1, 1, 2]), np.array([1, 1, 1, 0, 2]))
    >>> average_precision(table, 75), round(average_precision(table, 80), 4)
    (1.0, 0.3333)
    """
    right = true_positives(table, percent)
    return ratio(right, table.objects - right)


shared_area = partial(metric, evidence=OVERLAP, best=1.0, worst=0.0, undefined=NOTHING)
panoptic = partial(shared_area, reference=KIRILLOV)


ap50, ap75 = family(
    OVERLAP,
    average_precision,
    {
        f"ap{percent}": (
            f"AP{percent}",
            f"Average precision at IoU >= {percent / 100:g}",
            percent,
            f"Return the average precision at an IoU of at least {percent / 100:g}.",
        )
        for percent in (50, 75)
    },
    best=1.0,
    worst=0.0,
    undefined=NOTHING,
    reference=CAICEDO,
)


@shared_area("mAP", "Mean average precision at IoU 0.50 to 0.95", reference=CAICEDO)
def mean_average_precision(table: Overlap) -> float:
    """Return the mean of the average precisions at IoU 0.50, 0.55, ..., 0.95.

    Examples
    --------
    An IoU of 3/4 is enough for 6 of the 10:

    >>> round(mean_average_precision(np.array([1, 1, 1, 1]), np.array([1, 1, 1, 0])), 4)
    0.6
    """
    return sum(average_precision(table, percent) for percent in PERCENTS) / len(PERCENTS)


@panoptic("PQ", "Panoptic quality")
def panoptic_quality(table: Overlap) -> float:
    """Return the summed IoU of matched objects over the mean number of objects.

    ``PQ = sum IoU / (TP + FP/2 + FN/2) = SQ RQ``. Two objects match when their IoU is strictly
    more than 1/2, in integers ``2 |R n S| > |R u S|``: no matching has to be sought. StarDist 0.9
    and panoptica 2.1 take a half exactly for a match; MONAI 1.6 adds 1e-6 to the denominator.

    Examples
    --------
    >>> panoptic_quality(np.array([1, 1, 1, 1, 2]), np.array([1, 1, 1, 0, 2]))
    0.875
    """
    return ratio(2 * table.iou(table.above_half).sum(), table.objects)


@panoptic(
    "SQ", "Segmentation quality: mean IoU of matched objects", undefined="when no objects match"
)
def segmentation_quality(table: Overlap) -> float:
    """Return the mean IoU of the matched objects, the first factor of PQ.

    More than 1/2. Some programs return 0 where nothing matches.

    Examples
    --------
    >>> segmentation_quality(np.array([1, 1, 1, 1, 2]), np.array([1, 1, 1, 0, 0]))
    0.75
    """
    return known(table.iou(table.above_half))


@panoptic("RQ", "Recognition quality: F1 at IoU > 0.5")
def recognition_quality(table: Overlap) -> float:
    """Return the share of matched objects, the second factor of PQ.

    ``TP / (TP + FP/2 + FN/2)``: `f1` but for pairs with an IoU of 1/2 exactly, which do not match.

    Examples
    --------
    >>> recognition_quality(np.array([1, 1, 2, 2]), np.array([1, 1, 2, 0]))
    0.5
    """
    return ratio(2 * table.above_half.size, table.objects)


@shared_area("AJI", "Aggregated Jaccard index", reference="10.1109/TMI.2017.2677499")
def aji(table: Overlap) -> float:
    """Return the summed overlaps of all cells with their best partners over the summed unions.

    The partner of a cell is the predicted object with the highest IoU of all that overlap with
    it, the one with the smaller label of two equal ones. An object may be the partner of several
    cells. Cells without one, and objects that are nobody's, add their voxels to the unions.

    Examples
    --------
    >>> aji(np.array([1, 1, 1, 1, 2]), np.array([1, 1, 1, 0, 0]))
    0.6
    """
    pairs = table.best
    truths = np.delete(table.truth_sizes, table.truth_index[pairs]).sum()
    predictions = np.delete(table.prediction_sizes, table.prediction_index[pairs]).sum()
    united = int(table.unions(pairs).sum() + truths + predictions)
    return ratio(int(table.shared[pairs].sum()), united)


@shared_area("Dice", "Dice coefficient of the foreground", reference="10.2307/1932409")
def dice(table: Overlap) -> float:
    """Return the agreement of the foregrounds, ``2 |A n B| / (|A| + |B|)``.

    Other programs give 1 where both are empty, or NaN whenever the truth is empty.

    Examples
    --------
    >>> dice(np.array([1, 1, 2, 0]), np.array([7, 7, 7, 7])) == 6 / 7
    True
    """
    voxels = int(table.truth_sizes.sum() + table.prediction_sizes.sum())
    return ratio(2 * int(table.shared.sum()), voxels)
