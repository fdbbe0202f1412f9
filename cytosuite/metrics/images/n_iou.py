"""N_IOU of Fuse My Cells (ISBI 2025): the share of lost objects that a segmenter finds again."""

import warnings
from math import nan
from typing import NamedTuple

from cytosuite.contract.words import SEGMENTER
from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.images.n_ssim import SAME, restored
from cytosuite.metrics.images.pair import checked
from cytosuite.metrics.known import known
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Spacing


class ObjectOverlaps(NamedTuple):
    """Mean overlap of the truth's objects with those in the input and in the prediction."""

    before: float  # NaN where the truth has no object
    after: float


def masks(
    truth: Array,
    prediction: Array,
    image: Array,
    spacing: Spacing,
    segmenter: str = SEGMENTER,
) -> ObjectOverlaps:
    """Segment truth, prediction and input, in this process, and compare the objects.

    `segmenter` is an algorithm and maybe a model of it, ``watershed:spheroid-nuclei-3d``; `spacing`
    is in µm. InputError or ModelError if there is none, or it refuses a volume.
    """
    from cytosuite.apply import DoubtfulModelWarning, apply  # an algorithm may need torch
    from cytosuite.metrics.labels.overlap import overlap  # numba

    volumes = checked({"truth": truth, "prediction": prediction, "image": image})
    name, _, model = segmenter.partition(":")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DoubtfulModelWarning)
        labels = [
            apply(name, Volume(volume, tuple(spacing), "ZYX"[-volume.ndim :]), model=model or None)
            for volume in volumes
        ]
    true, answer, seen = (outputs["instance-labels"].array for outputs in labels)
    return ObjectOverlaps(*(known(overlap(true, found).partners[1]) for found in (seen, answer)))


MASKS = Evidence(masks, ("truth", "prediction", "image", "spacing"), ("segmenter",))


@restored(
    "N_IOU",
    f"Objects restored, as a named segmenter ({SEGMENTER}) finds them",
    evidence=MASKS,
    reference="10.1093/bioinformatics/btu080",  # of an overlap by object; N_IOU has no publication
    undefined="when that finds none in the truth, or the same in the input",
)
def n_iou(objects: ObjectOverlaps) -> float:
    """Return the part of the overlap of objects lost in the input that a prediction restores.

    ``(IoU(prediction) - IoU(input)) / (1 - IoU(input))``, each the mean over the objects that the
    segmenter finds in the truth of their largest intersection over union with one that it finds
    there. It is 1 for a prediction equal to the truth, 0 for the input itself, negative for a worse
    one.

    The challenge takes masks by Cellpose (``nuclei``, ``cyto3``) and verified ones of truth and
    input; its way of an IoU of many objects is not published. Values of two segmenters are never
    compared. It is on no board: ``score --metrics N_IOU``, ``--segmenter`` names another.
    """
    if not 1 - objects.before >= SAME:
        return nan
    return (objects.after - objects.before) / (1 - objects.before)
