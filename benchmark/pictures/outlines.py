"""Slices of volumes as PNG images: grey values, and outlines of labels on transparent ground."""

import base64
import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MATCH_VOXELS = 16_000_000  # larger label volumes are compared on every k-th voxel
CONTRAST = (5.0, 99.8)  # percentiles shown as black and white


def boundary(labels: NDArray[np.integer], thickness: int = 1) -> NDArray[np.bool_]:
    """Return the innermost pixels of each label that touch another label or the background.

    Parameters
    ----------
    labels : (Y, X) integer array
        0 = background.
    thickness : int
        Rings of pixels, from the edge inwards.

    Returns
    -------
    (Y, X) bool array
        Always within the labels; the border of the image is no edge.

    Notes
    -----
    A pixel counts when one of its 4 neighbours has another label, as in `skimage.segmentation.
    find_boundaries` with ``mode="inner", connectivity=1``, only faster as nothing is dilated.

    Examples
    --------
    >>> boundary(np.array([[0, 1, 1, 1]])).astype(int)
    array([[0, 1, 0, 0]])
    """
    edge = np.zeros(labels.shape, dtype=bool)
    inside = labels
    for _ in range(thickness):
        ring = np.zeros(labels.shape, dtype=bool)
        differs = inside[1:] != inside[:-1]
        ring[1:] |= differs
        ring[:-1] |= differs
        differs = inside[:, 1:] != inside[:, :-1]
        ring[:, 1:] |= differs
        ring[:, :-1] |= differs
        edge |= ring & (labels > 0)
        inside = np.where(edge, 0, labels)
    return edge


def stretch(array: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Return a 2D array at another size by its nearest pixels.

    Parameters
    ----------
    array : (Y, X) array
        Any dtype.
    height, width : int
        The new size in pixels.
    """
    rows = (np.arange(height) * array.shape[0]) // height
    columns = (np.arange(width) * array.shape[1]) // width
    result: NDArray[Any] = array[rows[:, None], columns[None, :]]
    return result


def matched(
    truth: NDArray[np.integer], prediction: NDArray[np.integer]
) -> tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.integer], NDArray[np.integer]]:
    """Return which labels match: found and missed ones of the truth, right and extra ones beside.

    Parameters
    ----------
    truth, prediction : integer arrays of the same shape
        0 = background.

    Returns
    -------
    found, missed, right, extra : integer arrays
        Sorted label ids: of the truth matched or not, of the prediction matching or not.

    Notes
    -----
    A predicted object matches a true one when it covers more than half of it (Matula et al. 2015,
    doi:10.1371/journal.pone.0144959). Above `MATCH_VOXELS` voxels every k-th of each axis is used.
    """
    step = max(1, math.ceil((truth.size / MATCH_VOXELS) ** (1 / truth.ndim)))
    thin = (slice(None, None, step),) * truth.ndim
    true, guess = truth[thin].ravel(), prediction[thin].ravel()
    ids, sizes = np.unique(true[true > 0], return_counts=True)
    every = np.unique(guess[guess > 0])
    both = (true > 0) & (guess > 0)
    rows = np.searchsorted(ids, true[both])
    columns = np.searchsorted(every, guess[both])
    pairs, overlap = np.unique(rows * np.int64(max(len(every), 1)) + columns, return_counts=True)
    row, column = np.divmod(pairs, max(len(every), 1))
    hit = 2 * overlap > sizes[row]
    found, right = np.unique(ids[row[hit]]), np.unique(every[column[hit]])
    return found, np.setdiff1d(ids, found), right, np.setdiff1d(every, right)


def limits(array: NDArray[np.generic]) -> tuple[float, float]:
    """Return the values shown as black and white: the `CONTRAST` percentiles of the finite ones.

    Parameters
    ----------
    array : array
        Any shape and real dtype; about a million of its values are looked at.

    Returns
    -------
    low, high : float
        (0, 1) when nothing is finite.
    """
    sample = np.asarray(array).ravel()[:: max(1, array.size // 1_000_000)].astype(np.float64)
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return 0.0, 1.0
    low, high = np.percentile(sample, CONTRAST)
    return float(low), float(high)


def grey(plane: NDArray[np.generic], low: float, high: float) -> NDArray[np.uint8]:
    """Return a plane as grey values, `low` black and `high` white; what is not finite is black."""
    values = np.nan_to_num(np.asarray(plane, dtype=np.float64), nan=low, posinf=high, neginf=low)
    span = high - low if high > low else 1.0
    result: NDArray[np.uint8] = np.rint(np.clip((values - low) / span, 0, 1) * 255).astype(np.uint8)
    return result


def shrink(plane: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return a grey plane averaged down to at most this size; smaller axes stay as they are."""
    size = (min(width, plane.shape[1]), min(height, plane.shape[0]))
    if size == (plane.shape[1], plane.shape[0]):
        return plane
    return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BOX))


def grey_png(plane: NDArray[np.uint8]) -> str:
    """Return a grey image as a PNG data address."""
    return _address(Image.fromarray(np.ascontiguousarray(plane)), {})


def layer_png(codes: NDArray[np.uint8], colours: tuple[tuple[int, int, int], ...]) -> str:
    """Return a drawing of at most three colours on transparent ground as a PNG data address.

    Parameters
    ----------
    codes : (Y, X) uint8 array
        0 = transparent, n = the n-th colour.
    colours : tuple of (red, green, blue)
        0 to 255 each.
    """
    image = Image.fromarray(np.ascontiguousarray(codes))
    image.putpalette([0, 0, 0, *(part for colour in colours for part in colour)])
    return _address(image, {"transparency": 0, "bits": 2})


def _address(image: Image.Image, options: dict[str, int]) -> str:
    """Return an image as ``data:image/png;base64,...``."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", **options)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
