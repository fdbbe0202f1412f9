"""Pairs of true and predicted points: the largest number within a radius, then the nearest ones.

Of all one-to-one assignments of points at most a radius apart the one with most pairs counts, of
these the one with the smallest sum of distances. Distances are in µm, also where voxels are longer
along z. A true point without a pair is missed, a predicted one false; of points at one place each
counts, so a duplicate is false where the truth has one point.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import (
    connected_components,
    maximum_bipartite_matching,
    min_weight_full_bipartite_matching,
)
from scipy.spatial import KDTree

from cytosuite.errors import InputError
from cytosuite.metrics.evidence import Evidence

RADIUS_PX = 3  # pixels of the plane: the radius where none is given
STEPS = 10  # radii of the curve of F1: tenths of the radius
MOST_PAIRS = 10**7  # within the radius: half a GiB

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MatchedPoints:
    """True and predicted points, and the pairs among them."""

    truths: int  # number of points
    predictions: int
    truth_index: Indices  # (K,), ascending: positions of the pairs' points
    prediction_index: Indices  # (K,)
    offsets: Floats  # (K, 3), prediction minus truth, z y x [µm]; z is NaN in a plane
    pairs: Indices  # (`STEPS`,), number of pairs within each tenth of the radius

    @property
    def distances(self) -> Floats:
        """Distance of each pair [µm], (K,)."""
        found: Floats = np.sqrt(np.nansum(self.offsets**2, axis=1))
        return found


def matched_points(
    truth: Floats, prediction: Floats, spacing: Sequence[float], radius_um: float | None = None
) -> MatchedPoints:
    """Pair the points of a truth and of a prediction within a radius.

    Parameters
    ----------
    truth, prediction : arrays of shape (N, D) and (M, D)
        Places in pixels, z y x or y x; either may be empty.
    spacing : sequence of float
        µm per pixel, D numbers.
    radius_um : float, optional
        Largest distance of a pair; three pixels of the plane without it.

    Raises
    ------
    InputError
        If the shapes do not suit the voxel size, or the radius holds more than 10 million pairs.

    Examples
    --------
    >>> found = matched_points([[5, 5], [9, 9]], [[5, 6], [5, 6], [0, 0]], (0.1, 0.1))
    >>> found.truth_index.tolist(), found.distances.round(6).tolist(), found.pairs[[2, 3]].tolist()
    ([0], [0.1], [0, 1])
    """
    um = _in_um("truth", truth, spacing), _in_um("prediction", prediction, spacing)
    radius = RADIUS_PX * float(spacing[-1]) if radius_um is None else radius_um
    rows, columns, distances = _near(*um, radius)
    shape = len(um[0]), len(um[1])
    pairs = [
        _most(rows[near], columns[near], shape)
        for near in (distances <= radius * step / STEPS for step in range(1, STEPS + 1))
    ]
    first, second = _nearest(rows, columns, distances, shape, radius)
    offsets = np.full((first.size, 3), np.nan)
    offsets[:, 3 - len(spacing) :] = um[1][second] - um[0][first]
    return MatchedPoints(*shape, first, second, offsets, np.array(pairs))


def pooled(parts: Sequence[MatchedPoints]) -> MatchedPoints:
    """Return the pairs of several images taken together."""
    parts = parts or [matched_points(np.zeros((0, 2)), np.zeros((0, 2)), (1.0, 1.0))]
    truths, predictions = ([getattr(p, n) for p in parts] for n in ("truths", "predictions"))
    starts = [np.cumsum([0, *numbers])[:-1] for numbers in (truths, predictions)]
    return MatchedPoints(
        sum(truths),
        sum(predictions),
        np.concatenate([p.truth_index + n for p, n in zip(parts, starts[0], strict=True)]),
        np.concatenate([p.prediction_index + n for p, n in zip(parts, starts[1], strict=True)]),
        np.concatenate([part.offsets for part in parts]),
        np.sum([part.pairs for part in parts], axis=0),
    )


def _in_um(side: str, places: Any, spacing: Sequence[float]) -> Floats:  # noqa: ANN401 - any array
    """Return places in µm."""
    found = np.asarray(places, np.float64)
    found = found.reshape(0, len(spacing)) if found.size == 0 else found
    if found.ndim != 2 or found.shape[1] != len(spacing) or not np.isfinite(found).all():
        wanted = f"expected finite places of the shape (N, {len(spacing)})"
        raise InputError(f"{side}: {wanted}, as many axes as the voxel size; found {found.shape}")
    um: Floats = found * np.asarray(spacing, np.float64)
    return um


def _near(truth: Floats, prediction: Floats, radius: float) -> tuple[Indices, Indices, Floats]:
    """Return positions and distances of all pairs within a radius [µm]."""
    if not (len(truth) and len(prediction)):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    one, other = KDTree(truth), KDTree(prediction)
    if (number := int(one.count_neighbors(other, radius))) > MOST_PAIRS:
        most = f"expected at most {MOST_PAIRS} pairs within the radius of {radius:g} µm"
        raise InputError(f"points: {most}, found {number}; give a smaller radius")
    found = one.sparse_distance_matrix(other, radius, output_type="ndarray")
    return found["i"].astype(np.int64), found["j"].astype(np.int64), found["v"]


def _most(rows: Indices, columns: Indices, shape: tuple[int, int]) -> int:
    """Return the largest number of pairs, one to one."""
    if not rows.size:
        return 0
    graph = csr_array((np.ones(rows.size, bool), (rows, columns)), shape=shape)
    return int((maximum_bipartite_matching(graph, perm_type="column") >= 0).sum())


def _nearest(
    rows: Indices, columns: Indices, distances: Floats, shape: tuple[int, int], radius: float
) -> tuple[Indices, Indices]:
    """Return the positions of the largest number of pairs with the smallest sum of distances."""
    if not rows.size:
        return rows, columns
    truths, predictions = shape
    ones, size = np.ones(rows.size, bool), truths + predictions
    graph = coo_array((ones, (rows, truths + columns)), shape=(size, size))
    count, part = connected_components(graph, directed=False)
    # Each true point may take a partner of its own, at the price of more than all true distances
    # around it: so every assignment is full, and one pair more is always cheaper.
    price = radius * (np.bincount(part[:truths], minlength=count).max() + 1)
    alone = np.arange(truths)
    costs = np.concatenate([distances, np.full(truths, price)]) + radius  # none is 0: not stored
    places = np.concatenate([rows, alone]), np.concatenate([columns, predictions + alone])
    first, second = min_weight_full_bipartite_matching(
        csr_array((costs, places), shape=(truths, size))
    )
    paired = second < predictions
    return first[paired].astype(np.int64), second[paired].astype(np.int64)


MATCHED_POINTS = Evidence(
    matched_points, ("truth", "prediction", "spacing"), ("radius_um",), pool=pooled
)
