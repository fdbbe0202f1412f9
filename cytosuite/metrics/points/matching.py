"""Pairs of true and predicted points: the largest number within a radius, then the nearest ones.

Of all one-to-one assignments of points at most a radius apart the one with most pairs counts, of
these the one with the smallest sum of distances, of equal sums that with the smallest sum of
squares: on whole pixels many are equal. Distances are in µm, also where voxels are longer along z;
a billionth of the radius is rounding. A true point without a pair is missed, a predicted one false;
of points at one place each counts, so a duplicate is false where the truth has one point.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy  # its parts are loaded where they are used

from cytosuite.errors import InputError
from cytosuite.files import IntPair
from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.known import voxel_size
from cytosuite.volume.arrays import Doubles, LongPair, Longs, Spacing

RADIUS_PX = 3  # pixels of the plane: the radius where none is given
STEPS = 10  # radii of the curve of F1: tenths of the radius
ROUNDING = 1e-9  # share of a radius that a distance may exceed it by
EQUAL = (
    1e-6  # share of the radius: sums of distances that differ by less are equal, and squares decide
)
MOST_PAIRS = 4 * 10**6  # within the radius: half a GiB
MOST_STEPS = 5 * 10**9  # pairs times points of the smaller side, of all groups: some seconds
LARGEST_UM = 1e6  # of a radius


class MatchedPoints(NamedTuple):
    """True and predicted points, and the pairs among them."""

    truths: int  # number of points
    predictions: int
    truth_index: Longs  # (K,), ascending: positions of the pairs' points
    prediction_index: Longs  # (K,)
    offsets: Doubles  # (K, 3), prediction minus truth, z y x [µm]; z is NaN in a plane
    pairs: Longs  # (`STEPS`,), number of pairs within each tenth of the radius

    @property
    def distances(self) -> Doubles:
        """Distance of each pair [µm], (K,)."""
        lengths: Doubles = np.sqrt(np.nansum(self.offsets**2, axis=1))
        return lengths


def matched_points(
    truth: Doubles, prediction: Doubles, spacing: Spacing, radius_um: float | None = None
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
        If the shapes do not suit the voxel size, or so many points lie within the radius of each
        other that pairing them would take too long or more than half a GiB.

    Examples
    --------
    >>> found = matched_points([[5, 5], [9, 9]], [[5, 6], [5, 6], [0, 0]], (0.1, 0.1))
    >>> found.truth_index.tolist(), found.distances.round(6).tolist(), found.pairs[[2, 3]].tolist()
    ([0], [0.1], [0, 1])
    """
    step = voxel_size(spacing, np.size(spacing))
    um = _in_um("truth", truth, step), _in_um("prediction", prediction, step)
    radius = RADIUS_PX * float(step[-1]) if radius_um is None else radius_um
    if radius_um is not None and not 0 < radius_um <= LARGEST_UM:
        raise InputError(
            f"radius: expected a length above 0 of at most {LARGEST_UM:g} µm, found {radius_um:g}"
        )
    reach = radius * (1 + ROUNDING)
    rows, columns, distances = _near(*um, reach)
    shape = len(um[0]), len(um[1])
    first, second = _nearest(rows, columns, distances, shape, radius)
    pairs = [0]
    for near in (distances <= reach * step / STEPS for step in range(1, STEPS)):
        done = pairs[-1] == first.size  # a longer radius adds none
        pairs.append(first.size if done else _most(rows[near], columns[near], shape))
    offsets = np.full((first.size, 3), np.nan)
    offsets[:, 3 - step.size :] = um[1][second] - um[0][first]
    return MatchedPoints(*shape, first, second, offsets, np.array([*pairs[1:], first.size]))


def pooled(parts: Sequence[MatchedPoints]) -> MatchedPoints:
    """Return the pairs of several images taken together."""
    parts = parts or [matched_points(np.zeros((0, 2)), np.zeros((0, 2)), (1.0, 1.0))]
    truths = predictions = 0  # points of the images before
    first = []
    second = []
    for part in parts:
        first.append(part.truth_index + truths)
        second.append(part.prediction_index + predictions)
        truths = truths + part.truths
        predictions = predictions + part.predictions
    return MatchedPoints(
        truths,
        predictions,
        np.concatenate(first),
        np.concatenate(second),
        np.concatenate([part.offsets for part in parts]),
        np.sum([part.pairs for part in parts], axis=0),
    )


def _in_um(side: str, places: Any, step: Doubles) -> Doubles:  # noqa: ANN401 - any array
    """Return places in µm."""
    array = np.asarray(places, np.float64)
    array = array.reshape(0, step.size) if array.size == 0 else array
    if array.ndim != 2 or array.shape[1] != step.size or not np.isfinite(array).all():
        raise InputError(
            f"{side}: expected finite places of the shape (N, {step.size}), as many axes as the "
            f"voxel size; found {array.shape}"
        )
    return array * step


def _near(truth: Doubles, prediction: Doubles, radius: float) -> tuple[Longs, Longs, Doubles]:
    """Return positions and distances of all pairs within a radius [µm]."""
    true_tree = scipy.spatial.KDTree(truth)
    tree = scipy.spatial.KDTree(prediction)
    if (number := int(true_tree.count_neighbors(tree, radius))) > MOST_PAIRS:
        raise InputError(
            f"points: expected at most {MOST_PAIRS} pairs within the radius of {radius:g} µm, "
            f"found {number}; give a smaller radius"
        )
    near = true_tree.sparse_distance_matrix(tree, radius, output_type="ndarray")
    return near["i"].astype(np.int64), near["j"].astype(np.int64), near["v"]


def _most(rows: Longs, columns: Longs, shape: IntPair) -> int:
    """Return the largest number of pairs, one to one: the flow through points that hold one."""
    # scipy's maximum_bipartite_matching does not end for 2,000 points with 20 neighbours each.
    truths = shape[0]
    size = sum(shape)
    points = np.arange(size)
    starts = np.concatenate([rows, np.full(truths, size), points[truths:]])
    ends = np.concatenate([truths + columns, points[:truths], np.full(shape[1], size + 1)])
    graph = scipy.sparse.csr_array(
        (np.ones(starts.size, np.int32), (starts, ends)), shape=(size + 2, size + 2)
    )
    return int(scipy.sparse.csgraph.maximum_flow(graph, size, size + 1).flow_value)


def _nearest(
    rows: Longs, columns: Longs, distances: Doubles, shape: IntPair, radius: float
) -> LongPair:
    """Return the positions of the largest number of pairs with the smallest sum of distances."""
    size = sum(shape)
    graph = scipy.sparse.coo_array(
        (np.ones(rows.size, bool), (rows, shape[0] + columns)), shape=(size, size)
    )
    groups = scipy.sparse.csgraph.connected_components(graph, directed=False)[1][rows]
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    alone = order[starts[np.diff(starts, append=rows.size) == 1]]
    parts = [(rows[alone], columns[alone])]
    steps = 0
    for group in np.split(order, starts[1:]):
        if group.size > 1:
            truths, first = np.unique(rows[group], return_inverse=True)
            predictions, second = np.unique(columns[group], return_inverse=True)
            steps += group.size * min(truths.size, predictions.size)
            if steps > MOST_STEPS:
                raise InputError(
                    f"points: found {truths.size} and {predictions.size} points in one group by "
                    f"{radius:g} µm; give a smaller radius"
                )
            shape = truths.size, predictions.size
            pairs = _paired(first, second, distances[group], shape, radius)
            parts.append((truths[pairs[0]], predictions[pairs[1]]))
    first, second = (np.concatenate(side) for side in zip(*parts, strict=True))
    order = np.argsort(first, kind="stable")
    return first[order], second[order]


def _paired(
    rows: Longs, columns: Longs, distances: Doubles, shape: IntPair, radius: float
) -> LongPair:
    """Return the pairs of a group, see `_nearest`."""
    truths, predictions = shape
    # Each true point may take a partner of its own, at the price of more than all true distances
    # around it: so every assignment is full, and one pair more is always cheaper.
    alone = np.arange(truths)
    lengths = distances * (1 + EQUAL * distances / radius)
    costs = np.concatenate([lengths, np.full(truths, radius * (truths + 1))]) + radius  # no 0
    places = np.concatenate([rows, alone]), np.concatenate([columns, predictions + alone])
    graph = scipy.sparse.csr_array((costs, places), shape=(truths, truths + predictions))
    first, second = scipy.sparse.csgraph.min_weight_full_bipartite_matching(graph)
    paired = second < predictions
    return first[paired], second[paired]


MATCHED_POINTS = Evidence(
    matched_points, ("truth", "prediction", "spacing"), ("radius_um",), pool=pooled
)
