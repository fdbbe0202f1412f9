"""Table of the objects in a label volume: place, size, brightness, and the object of the truth."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.errors import InputError
from cytosuite.metrics.labels.overlap import overlap

Columns = dict[str, NDArray[Any]]
SIZES = {2: "area_um2", 3: "volume_um3"}  # by number of axes
OBJECTS = 200_000
MOST = 32  # boxes around the objects hold at most so many times the voxels of the volume


def object_table(
    labels: NDArray[Any],
    spacing: Sequence[float],
    image: NDArray[Any] | None = None,
    truth: NDArray[Any] | None = None,
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
        If a dtype is no integer, a label is negative, shapes or axes differ, there are more than
        `OBJECTS` objects, or they are so scattered that their bounding boxes hold more than `MOST`
        times the voxels of the volume.

    Notes
    -----
    By scikit-image's ``regionprops_table`` with spacing; 0.2 ms per object.

    Examples
    --------
    >>> labels = np.array([[0, 5, 5], [0, 5, 0], [9, 0, 0]])
    >>> found = object_table(labels, (0.5, 0.5), truth=np.array([[0, 2, 2], [0, 0, 0], [0, 0, 0]]))
    >>> found["label"].tolist(), found["area_um2"].tolist(), found["iou"].round(2).tolist()
    ([5, 9], [0.75, 0.25], [0.67, 0.0])
    """
    labels = _checked(labels, spacing, image)
    names, dense = _dense(labels)
    _refuse_noise(names.size, dense)
    table = _measured(dense, tuple(float(step) for step in spacing), image)
    table["label"] = names[table["label"] - 1]
    return table if truth is None else table | _partners(truth, labels)


def _checked(
    labels: NDArray[Any], spacing: Sequence[float], image: NDArray[Any] | None
) -> NDArray[Any]:
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
    if labels.size and int(labels.min()) < 0:
        raise InputError(f"labels must not be negative, found {labels.min()}")
    return labels


def _dense(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return names of labels by number, and the volume with these numbers from 1 on.

    A large label would cost memory for all below it.
    """
    top = int(labels.max(initial=0))
    if top <= OBJECTS:
        return np.arange(1, top + 1), labels
    names, place = np.unique(labels, return_inverse=True)
    background = int(names[0] == 0)
    dense = place.reshape(labels.shape).astype(np.int32) + 1 - background
    return names[background:], dense


def _refuse_noise(objects: int, dense: NDArray[Any]) -> None:
    """Refuse labels of which a table would take hours or more memory than there is."""
    boxes = ndimage.find_objects(dense) if objects <= OBJECTS else []
    within = sum(prod(side.stop - side.start for side in box) for box in boxes if box)
    if objects > OBJECTS or within > MOST * dense.size:
        raise InputError(
            f"objects are not measured: expected up to {OBJECTS} compact ones, found "
            + (f"{objects}" if objects > OBJECTS else f"boxes of {within} voxels around them")
            + f" in an image of {dense.size} voxels; is it noise?"
        )


def _measured(
    dense: NDArray[Any], spacing: tuple[float, ...], image: NDArray[Any] | None
) -> Columns:
    """Return the columns of place, size and brightness, in ascending order of the label."""
    from skimage.measure import regionprops_table  # takes a while, which few commands need

    wanted = ["label", "centroid", "area", "extent", "bbox"]
    wanted += [] if image is None else ["intensity_mean", "intensity_max"]
    found = regionprops_table(dense, image, properties=wanted, spacing=spacing)
    axes = list(enumerate("zyx"[-dense.ndim :]))
    first, last = (
        np.stack([found[f"bbox-{n + shift}"] for n, _ in axes], axis=1) for shift in (0, dense.ndim)
    )
    shape = np.array(dense.shape)
    faces = ((first == 0) | (last == shape)) & (shape > 1)
    lengths = (last - first) * np.array(spacing)
    table: Columns = {"label": found["label"].astype(np.int64)}
    table |= {f"centroid_{axis}_um": found[f"centroid-{n}"] for n, axis in axes}
    table |= {SIZES[dense.ndim]: found["area"], "extent": found["extent"]}
    table |= {f"length_{axis}_um": lengths[:, n] for n, axis in axes}
    if image is not None:
        table |= {f"{name}_intensity": found[f"intensity_{name}"] for name in ("mean", "max")}
    return table | {"touches_border": faces.any(axis=1).astype(np.int64)}


def _partners(truth: NDArray[Any], labels: NDArray[Any]) -> Columns:
    """Return the true object with the highest IoU of each object, and this IoU."""
    table = overlap(truth, labels)
    iou = table.shared / table.unions
    # Ascending by object, then by IoU, of equal ones the smaller true label last.
    order = np.lexsort((-table.truth_index, iou, table.prediction_index))
    owner = table.prediction_index[order]
    best = order[np.flatnonzero(np.diff(owner, append=-1))]
    partner = np.zeros(table.prediction_labels.size, table.truth_labels.dtype)
    highest = np.zeros(partner.size)
    partner[table.prediction_index[best]] = table.truth_labels[table.truth_index[best]]
    highest[table.prediction_index[best]] = iou[best]
    return {"truth_label": partner, "iou": highest}
