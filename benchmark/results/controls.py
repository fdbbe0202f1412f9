"""Controls: answers with a known score, which check the metrics before they measure algorithms."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cytosuite.benchmark.results.facts import AnswerReader, Reader
from cytosuite.contract.points import Points
from cytosuite.metrics import Metric
from cytosuite.metrics.boards import Control
from cytosuite.volume import Volume
from cytosuite.volume.large import blank

if TYPE_CHECKING:
    import pandas as pd


def control_answer(
    control: Control, truth: AnswerReader | None, image: Reader | None
) -> AnswerReader | None:
    """Return the answer of a control to one case, None where it has none: ``real`` answers none."""
    if control == "oracle":
        return truth
    if control == "blank" and truth is not None:
        return lambda: emptied(truth())
    if control == "identity" and image is not None:
        fits = truth is None or truth().array.shape == image().shape
        return image if fits else None
    return None


def emptied(truth: Volume | Points) -> Volume | Points:
    """Return zeros in place of an image, no points in place of points."""
    if isinstance(truth, Points):
        return Points(truth.array[:0], truth.spacing)
    return replace(truth, array=blank(truth.array))


def broken_rulers(scores: "pd.DataFrame", metrics: Iterable[Metric[Any]]) -> list[str]:
    """Return a sentence for each metric that gives a control another value than it must."""
    sentences = []
    checked = scores["algorithm"].isin(("oracle", "identity")) & np.isfinite(scores["value"])
    of_controls = scores[checked]
    for metric in (metric for metric in metrics if metric.scope == "case"):
        values = of_controls[of_controls["metric"] == metric.name]
        best = metric.best if "truth" in metric.evidence.needs else None
        for control, words, expected in (
            ("oracle", "the truth itself", best),
            ("identity", "the unchanged input", metric.neutral),
        ):
            rows = values[values["algorithm"] == control] if expected is not None else values[:0]
            missed = rows[(rows["value"] - expected).abs() > metric.tolerance]
            sentences += [
                f"{metric.name} gives {words} {value:g} instead of {expected:g} on {case}: the "
                "metric is wrong, no score of this run can be trusted"
                for case, value in missed[["case", "value"]][:1].to_numpy()
            ]
    return sentences
