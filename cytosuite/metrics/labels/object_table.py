"""Objects of a label volume: place, size, brightness, the object of the truth, kind of error.

The rule of the Cell Tracking Challenge (`cytosuite.metrics.labels.ctc.matches`): a predicted object
matches an object of the truth if it covers more than half of it. A piece is a predicted object with
more than half of its own voxels in one object of the truth.

=========  =========================================  ===========================================
class      object of the truth                        predicted object
=========  =========================================  ===========================================
matched    has a match, and is neither of the below   matches one
merged     its match also matches another             matches two or more
split      holds two or more pieces                   matches none, is a piece of a split object
missed     has no match and at most one piece         -
false      -                                          matches none, is no piece of a split object
=========  =========================================  ===========================================

The first class that holds counts, in the order merged, split, matched, missed of the truth: DET
takes 5 points for a merged cell and 1 for a piece. The match of an object counts among its pieces
where it is one; of a split object it is matched, the other pieces are split. An object with a
single piece that covers half of it or less is missed, and the piece false, as in DET.

References
----------
Matula et al., Cell Tracking Accuracy Measurement Based on Comparison of Acyclic Oriented Graphs,
PLOS ONE 10 (2015), doi:10.1371/journal.pone.0144959 (matching and costs).
Caicedo et al., Evaluation of Deep Learning Strategies for Nucleus Segmentation in Fluorescence
Images, Cytometry A 95 (2019), doi:10.1002/cyto.a.23863 (missed, merged and split objects).
"""

from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytosuite.errors import InputError
from cytosuite.metrics.labels.ctc import matches
from cytosuite.metrics.labels.overlap import Labels, Overlap, overlap
from cytosuite.networks.kernels import compiled
from cytosuite.volume.arrays import Array, Doubles, Lengths, Longs, Shape, Spacing, Words
from cytosuite.volume.pieces import distinct, extremes, slabs

Columns = dict[str, Array]
SIZES = {2: "area_um2", 3: "volume_um3"}  # by number of axes
OBJECTS, VOXELS = 200_000, 4096  # objects at most, of large volumes one per so many voxels
MOST = 32  # boxes around the objects hold at most so many times the voxels of the volume
MATCHED, MERGED, SPLIT, MISSED, FALSE = "matched", "merged", "split", "missed", "false"

Values = Doubles


class ObjectSums(NamedTuple):
    """Sums over the voxels of objects 1 to N, row 0 stays empty."""

    voxels: Longs  # (N + 1,), sizes
    places: Longs  # (N + 1, 3), sums of the positions z, y, x
    first: Longs  # (N + 1, 3), the lowest and highest position along each axis
    last: Longs
    light: Doubles  # (N + 1,), sum and largest of the grey values
    brightest: Doubles


@compiled()
def _add(
    plane: Words,
    image: Doubles,
    z: int,
    voxels: Longs,
    places: Longs,
    first: Longs,
    last: Longs,
    light: Doubles,
    brightest: Doubles,
) -> None:
    """Add the runs of equal numbers in a plane (Y, X) to the sums; no grey values: (0, 0)."""
    rows, columns = plane.shape
    for y in range(rows):
        x = 0
        while x < columns:
            begin = x
            label = plane[y, x]
            x += 1
            while x < columns and plane[y, x] == label:
                x += 1
            if label == 0:
                continue
            length = x - begin
            voxels[label] += length
            places[label, 0] += z * length
            places[label, 1] += y * length
            places[label, 2] += (begin + x - 1) * length // 2
            for axis, (low, high) in enumerate(((z, z), (y, y), (begin, x - 1))):
                first[label, axis] = min(first[label, axis], low)
                last[label, axis] = max(last[label, axis], high)
            if image.size:
                total = light[label]
                top = brightest[label]
                for i in range(begin, x):
                    value = image[y, i]
                    total += value
                    if top == top and not value <= top:  # and NaN stays
                        top = value
                light[label], brightest[label] = total, top


def object_table(
    labels: Array,
    spacing: Spacing,
    image: Array | None = None,
    truth: Array | None = None,
) -> Columns:
    """Measure every object of a label volume in physical units.

    Parameters
    ----------
    labels : (Z, Y, X) or (Y, X) integer array
        Instance labels of any numbers, 0 = background. An object in several pieces is one.
    spacing : sequence of float
        µm per voxel, one per axis.
    image : array of the same shape, optional
        Intensities.
    truth : integer array of the same shape, optional
        True labels.

    Returns
    -------
    dict of str to (N,) array
        Columns, a row per object in ascending order of the label, ready for ``pandas.DataFrame``:

        - ``label``
        - ``centroid_z_um``, ``centroid_y_um``, ``centroid_x_um``: mean position of the voxel
          centres, the first voxel lies at 0; no z in 2D
        - ``volume_um3``, in 2D ``area_um2``
        - ``extent``: the object's share of its bounding box, in (0, 1]
        - ``length_z_um``, ``length_y_um``, ``length_x_um``: of the bounding box
        - ``mean_intensity``, ``max_intensity``, with an image
        - ``touches_border`` (0 or 1): a voxel lies on a face of the volume; axes of one voxel
          have no faces
        - ``truth_label``, ``iou``, with a truth: the true object with the highest IoU, the one
          with the smaller label of two equal ones; 0 and 0 where none overlaps

    Raises
    ------
    InputError
        If a dtype is no integer, a label is negative, shapes or axes differ, or the objects are
        too many (`OBJECTS`, one per `VOXELS` voxels) or too scattered (boxes of `MOST` volumes).

    Notes
    -----
    Defined as in scikit-image's ``regionprops_table``; the same for volumes in memory and on disk.

    Examples
    --------
    >>> labels = np.array([[0, 5, 5], [0, 5, 0], [9, 0, 0]])
    >>> found = object_table(labels, (0.5, 0.5), truth=np.array([[0, 2, 2], [0, 0, 0], [0, 0, 0]]))
    >>> found["label"].tolist(), found["area_um2"].tolist(), found["iou"].round(2).tolist()
    ([5, 9], [0.75, 0.25], [0.67, 0.0])
    """
    labels = _checked(labels, spacing, image)
    names, sums = _summed(labels, image)
    _refuse_noise(names.size, sums, labels)
    table = _measured(names, sums, labels.shape, tuple(float(step) for step in spacing))
    if image is None:
        del table["mean_intensity"], table["max_intensity"]
    if truth is not None:
        table["truth_label"], table["iou"] = overlap(labels, truth).partners
    return table


def _checked(labels: Array, spacing: Spacing, image: Array | None) -> Array:
    """Return labels that can be measured."""
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise InputError(f"labels must be of an integer dtype, found {labels.dtype}")
    if labels.ndim not in SIZES or len(spacing) != labels.ndim:
        raise InputError(
            f"objects are measured in 2D or 3D with one voxel size per axis, found labels of shape "
            f"{labels.shape} and {len(spacing)} voxel sizes"
        )
    if labels.size == 0:
        raise InputError(f"labels of shape {labels.shape} hold no voxels")
    if image is not None and image.shape != labels.shape:
        raise InputError(
            f"image and labels must have one shape, found {image.shape} and {labels.shape}"
        )
    if labels.dtype.kind == "i" and (low := int(extremes(labels)[0])) < 0:
        raise InputError(f"labels must not be negative, found {low}")
    return labels


def _summed(labels: Array, image: Array | None) -> tuple[Array, ObjectSums]:
    """Return labels by number, as large ones would cost memory, and sums of these objects."""
    most = _most(labels)
    names: Array | None = None
    top = int(extremes(labels)[1])
    if top > most:
        names = distinct(labels, most + 1)
        names = names[names != 0]
        top = names.size if names.size <= most else 0
    three = (top + 1, 3)
    places = np.zeros(three, np.int64)
    last = np.full(three, -1)
    first = np.full(three, np.iinfo(np.int64).max)
    brightest = np.full(top + 1, -np.inf)
    sums = ObjectSums(
        np.zeros(top + 1, np.int64), places, first, last, np.zeros(top + 1), brightest
    )
    stack = labels.reshape(-1, *labels.shape[-2:])
    light = np.zeros((len(stack), 0, 0)) if image is None else image.reshape(stack.shape)
    for part in slabs(stack, light) if top else ():
        for z in range(part.start, part.stop):
            plane = stack[z]
            if names is not None:
                plane = (np.searchsorted(names, plane) + 1) * (plane != 0)
            numbers = np.ascontiguousarray(plane, np.uint32)
            _add(numbers, np.ascontiguousarray(light[z], np.float64), z, *sums)
    return np.arange(1, top + 1) if names is None else names, sums


def _most(labels: Array) -> int:
    """Return the largest number of objects that are measured."""
    return max(OBJECTS, labels.size // VOXELS)


def _refuse_noise(objects: int, sums: ObjectSums, labels: Array) -> None:
    """Refuse labels that are no objects: a table of them serves nobody."""
    sides = np.where(sums.voxels[:, None] > 0, sums.last - sums.first + 1, 0)
    within = int(sides.prod(axis=1).sum())
    most = _most(labels)
    if objects > most or within > MOST * labels.size:
        raise InputError(
            f"objects are not measured: expected up to {most} compact ones, found "
            + (f"more than {most}" if objects > most else f"boxes of {within} voxels around them")
            + f" in an image of {labels.size} voxels; is it noise?"
        )


def _measured(names: Array, sums: ObjectSums, shape: Shape, spacing: Lengths) -> Columns:
    """Return the columns of place, size and brightness, in ascending order of the label."""
    there = np.flatnonzero(sums.voxels)
    axes = slice(-len(shape), None)
    voxels = sums.voxels[there]
    voxel = prod(spacing)
    first = sums.first[there, axes]
    last = sums.last[there, axes] + 1
    centres = sums.places[there, axes] / voxels[:, None] * spacing
    faces = ((first == 0) | (last == shape)) & (np.array(shape) > 1)
    lengths = (last - first) * np.array(spacing)
    letters = list(enumerate("zyx"[axes]))
    return {
        "label": names[there - 1],
        **{f"centroid_{axis}_um": centres[:, n] for n, axis in letters},
        SIZES[len(shape)]: voxels * voxel,
        "extent": voxels * voxel / ((last - first).prod(axis=1) * voxel),
        **{f"length_{axis}_um": lengths[:, n] for n, axis in letters},
        "mean_intensity": sums.light[there] / voxels,
        "max_intensity": sums.brightest[there],
        "touches_border": faces.any(axis=1).astype(np.int64),
    }


class ObjectErrors(NamedTuple):
    """Objects of one side, a truth or a prediction, and how each was judged."""

    labels: Labels  # (N,), in the order of the overlap table
    classes: NDArray[np.str_]  # (N,), MISSED of a truth alone, FALSE of a prediction alone
    # (N,), label of the match, 0 without one; of several that with the highest IoU, of equal ones
    # the smallest label
    matched: Labels
    # (N,), IoU with the match, 0 without one: the mean over the objects of the truth is SEG
    seg: Values
    iou: Values  # (N,), the highest IoU with any object of the other side, 0 where none overlaps
    covered: Values  # (N,), the largest share of the object in one object of the other side


def object_classes(table: Overlap) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Return the classes of the objects of a truth (T,) and of a prediction (P,)."""
    truths = table.truth_sizes.size
    predictions = table.prediction_sizes.size
    pairs = matches(table)
    inside = table.contained
    owner = table.truth_index[pairs]
    match = table.prediction_index[pairs]
    holder = table.truth_index[inside]
    piece = table.prediction_index[inside]
    detected = np.bincount(owner, minlength=truths) > 0
    matching = np.bincount(match, minlength=predictions)
    split = np.bincount(holder, minlength=truths) > 1
    merged = np.zeros(truths, bool)
    of_split = np.zeros(predictions, bool)
    merged[owner] = matching[match] > 1
    of_split[piece] = split[holder]
    return (
        np.select([merged, split, detected], [MERGED, SPLIT, MATCHED], MISSED),
        np.select([matching > 1, matching > 0, of_split], [MERGED, MATCHED, SPLIT], FALSE),
    )


def object_errors(table: Overlap) -> tuple[ObjectErrors, ObjectErrors]:
    """Judge the objects of a truth and of a prediction one by one, in the order of the table.

    Both scores follow: SEG is the mean of ``seg`` over the truth. Of DET, objects of the truth
    without a match are missed, predicted ones spurious, and the splits are the objects of the truth
    with a match less the predicted ones with a match.

    Examples
    --------
    >>> from cytosuite.metrics.labels.overlap import overlap
    >>> labels, answer = np.array([1, 1, 1, 1, 2, 2]), np.array([7, 7, 7, 0, 8, 0])
    >>> truth, prediction = object_errors(overlap(labels, answer))
    >>> truth.seg.tolist(), truth.iou.tolist(), truth.matched.tolist()
    ([0.75, 0.0], [0.75, 0.5], [7, 0])
    """
    of_truth, of_prediction = object_classes(table)
    truth = _Side(table.truth_labels, table.truth_sizes, table.truth_index)
    prediction = _Side(table.prediction_labels, table.prediction_sizes, table.prediction_index)
    pairs = matches(table)
    iou = table.iou()
    return (
        _judged(truth, prediction, table.shared, iou, pairs, of_truth),
        _judged(prediction, truth, table.shared, iou, pairs, of_prediction),
    )


class _Side(NamedTuple):
    """Labels and sizes of the objects of one side, and their positions in the pairs."""

    labels: Labels
    sizes: Longs
    positions: Longs


def _judged(
    own: _Side, other: _Side, shared: Longs, iou: Values, pairs: Longs, classes: NDArray[np.str_]
) -> ObjectErrors:
    """Return how the objects of one side were judged, given the positions of the matches."""
    best = np.zeros(own.sizes.size)
    most = np.zeros(own.sizes.size, np.int64)
    np.maximum.at(best, own.positions, iou)
    np.maximum.at(most, own.positions, shared)
    # Ascending by IoU, of equal ones the smaller label last: the last one is kept.
    order = pairs[np.lexsort((-other.positions[pairs], iou[pairs]))]
    matched = np.zeros(own.sizes.size, np.uint64)
    seg = np.zeros(own.sizes.size)
    matched[own.positions[order]] = other.labels[other.positions[order]]
    seg[own.positions[order]] = iou[order]
    return ObjectErrors(own.labels, classes, matched, seg, best, most / own.sizes)
