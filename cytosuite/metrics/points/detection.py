"""Scores of matched points: how many are found, and how near.

References
----------
Sage et al., Super-resolution fight club: assessment of 2D and 3D single-molecule localization
microscopy software, Nature Methods 16 (2019), doi:10.1038/s41592-019-0364-4 (Jaccard index,
lateral and axial error).
Eichenberger et al., deepBlink: threshold-independent detection and localization of diffraction-
limited spots, Nucleic Acids Research 49 (2021), doi:10.1093/nar/gkab546 (F1 over the radius).
"""

from functools import partial

import numpy as np

from cytosuite.metrics.known import ratio
from cytosuite.metrics.metric import metric
from cytosuite.metrics.points.matching import MATCHED_POINTS, MatchedPoints

NONE = "when neither the truth nor the prediction holds a point"
CHALLENGE = "10.1038/s41592-019-0364-4"

number = partial(metric, evidence=MATCHED_POINTS)
share = partial(number, best=1.0, worst=0.0, reference=CHALLENGE)
error = partial(number, best=0.0, reference=CHALLENGE)


@share("F1", "F1 within the radius", undefined=NONE)
def points_f1(matched: MatchedPoints) -> float:
    """Return 2 pairs / (true points + predicted ones)."""
    return ratio(2 * matched.pairs[-1], matched.truths + matched.predictions)


@share(
    "F1_area",
    "Mean F1 over radii up to the radius",
    undefined=NONE,
    reference="10.1093/nar/gkab546",
)
def points_f1_area(matched: MatchedPoints) -> float:
    """Return the mean of F1 at the tenths of the radius: the area under its curve."""
    return ratio(2 * matched.pairs.mean(), matched.truths + matched.predictions)


@share("precision", "Precision within the radius", undefined="when the prediction holds no point")
def points_precision(matched: MatchedPoints) -> float:
    """Return the share of predicted points with a pair."""
    return ratio(matched.pairs[-1], matched.predictions)


@share("recall", "Recall within the radius", undefined="when the truth holds no point")
def points_recall(matched: MatchedPoints) -> float:
    """Return the share of true points with a pair."""
    return ratio(matched.pairs[-1], matched.truths)


@share("Jaccard", "Jaccard index within the radius", undefined=NONE)
def points_jaccard(matched: MatchedPoints) -> float:
    """Return pairs / (pairs + missed points + false ones)."""
    pairs = matched.pairs[-1]
    return ratio(pairs, matched.truths + matched.predictions - pairs)


@error(
    "RMSE_lateral", "Root mean square error in the plane (µm)", undefined="when no point has a pair"
)
def rmse_lateral(matched: MatchedPoints) -> float:
    """Return the root mean square of the distances of pairs in y and x."""
    return _root_mean(matched.offsets[:, 1:])


@error(
    "RMSE_axial",
    "Root mean square error along z (µm)",
    undefined="when no point has a pair, and in planes",
)
def rmse_axial(matched: MatchedPoints) -> float:
    """Return the root mean square of the distances of pairs in z, of volumes alone."""
    return _root_mean(matched.offsets[np.isfinite(matched.offsets[:, 0]), :1])


@number("truth_count", "Points in the truth")
def points_in_truth(matched: MatchedPoints) -> float:
    """Return the number of true points."""
    return matched.truths


@number("prediction_count", "Points predicted")
def points_in_prediction(matched: MatchedPoints) -> float:
    """Return the number of predicted points."""
    return matched.predictions


def _root_mean(offsets: np.ndarray) -> float:
    """Return the root of the mean square length of vectors (K, D), NaN without any."""
    return float(np.sqrt((offsets**2).sum(axis=1).mean())) if len(offsets) else np.nan
