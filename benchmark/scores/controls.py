"""Controls: answers with a known score, which check the metrics before they measure algorithms."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import scipy  # its parts are loaded where they are used

from cytosuite.benchmark.scores.facts import AnswerReader, Movie, Reader
from cytosuite.contract.points import Points
from cytosuite.contract.tracks import Track
from cytosuite.metrics import AnyMetric
from cytosuite.metrics.boards import Control
from cytosuite.volume import Volume
from cytosuite.volume.memory import blank

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
    if control == "nearest" and truth is not None:
        return lambda: nearest(truth())
    if control == "identity" and image is not None:
        return image if truth is None or truth().array.shape == image().shape else None
    return None


def emptied(truth: Volume | Points | Movie) -> Volume | Points | Movie:
    """Return zeros in place of an image, no points or tracks in place of these."""
    if isinstance(truth, Movie):
        return replace(truth, labels=truth.labels.like(blank(truth.labels.array)), tracks=[])
    if isinstance(truth, Points):
        return Points(truth.array[:0], truth.spacing)
    return replace(truth, array=blank(truth.array))


def nearest(movie: Movie) -> Movie:
    """Return the cells of a movie, each as the nearest of the frame before, without divisions."""
    labels = np.zeros(movie.labels.shape, np.uint32)
    tracks: dict[int, Track] = {}
    before = np.zeros((0, len(movie.spacing)))
    names = np.zeros(0, np.int64)
    for frame, image in enumerate(movie.labels.array):
        present = np.unique(image[image > 0])
        places = scipy.ndimage.center_of_mass(image > 0, image, present)
        places = np.array(places).reshape(-1, len(movie.spacing)) * movie.spacing
        former = np.full(len(present), -1)
        if len(before) and len(places):
            near = scipy.spatial.cKDTree(before).query(places)[1]
            mutual = scipy.spatial.cKDTree(places).query(before)[1][near] == np.arange(len(places))
            former[mutual] = names[near[mutual]]
        new = former < 0
        former[new] = len(tracks) + 1 + np.arange(new.sum())
        for name in former.tolist():
            tracks[name] = replace(tracks.get(name, Track(name, frame, frame)), end=frame)
        table = np.zeros(int(image.max(initial=0)) + 1, np.uint32)
        table[present] = former
        labels[frame], before, names = table[image], places, former
    return Movie(replace(movie.labels, array=labels), list(tracks.values()))


def broken_rulers(scores: "pd.DataFrame", metrics: Iterable[AnyMetric]) -> list[str]:
    """Return a sentence for each metric that gives a control another value than it must."""
    sentences = []
    checked = scores["algorithm"].isin(("oracle", "identity")) & np.isfinite(scores["value"])
    groups = dict(list(scores[checked].groupby(["algorithm", "metric"], observed=True)))
    for metric in (metric for metric in metrics if metric.scope == "case"):
        best = metric.best if "truth" in metric.evidence.needs else None
        for control, words, expected in (
            ("oracle", "the truth itself", best),
            ("identity", "the unchanged input", metric.neutral),
        ):
            if expected is None or (rows := groups.get((control, metric.name))) is None:
                continue
            missed = rows[(rows["value"] - expected).abs() > metric.tolerance]
            sentences += [
                f"{metric.name} gives {words} {value:g} instead of {expected:g} on {case}: the "
                "metric is wrong, no score of this run can be trusted"
                for case, value in missed[["case", "value"]][:1].to_numpy()
            ]
    return sentences
