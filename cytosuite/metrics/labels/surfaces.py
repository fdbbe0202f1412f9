"""Distances between the surfaces of matched objects in micrometres: ASSD, Hausdorff, HD95.

Taha and Hanbury, BMC Medical Imaging 15 (2015), doi:10.1186/s12880-015-0068-x (average distance;
there the mean of both directions, here, as in MONAI and MedPy, over both surfaces together).
"""

from collections.abc import Sequence
from math import dist, prod
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from cytosuite.errors import InputError
from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.known import known, voxel_size
from cytosuite.metrics.labels.overlap import Labels, overlap
from cytosuite.metrics.metric import family
from cytosuite.volume.arrays import Array, Bools, Doubles, LongPair, Longs, Spacing
from cytosuite.volume.memory import fits, is_mapped
from cytosuite.volume.objects import borders, grown
from cytosuite.volume.pieces import distinct, slabs

QUANTILE = 0.95  # of HD95, in each direction
THREADS = 2
FEW = 2**26  # bytes of surface voxels kept in any case


class SurfaceTable(NamedTuple):
    """Distances between the surfaces of each matched object and its partner, in µm."""

    # (M,), average symmetric surface distance: the mean over the voxels of both surfaces together
    assd: Doubles
    # (M,), the largest distance and the 95 % quantile, linearly interpolated: the larger value of
    # the two directions
    hausdorff: Doubles
    hd95: Doubles


def surface_table(truth: Array, prediction: Array, spacing: Spacing) -> SurfaceTable:
    """Return the distances between the surfaces of all matched objects of two label volumes.

    Of (Z, Y, X) or (Y, X) labels with `spacing` in µm: a row per pair with an IoU of strictly more
    than 1/2, in the order of the labels of the truth. InputError if they are no labels of one
    shape, or the spacing does not suit them.

    Notes
    -----
    The surface of an object are its voxels with a neighbour across a face that is not of it: the
    mask minus its erosion. The outside of the volume counts as background. Distances are between
    voxel centres. The surfaces of all objects are searched in one tree with the number of the pair
    as a further axis, along which the pairs are farther from each other than any two voxels.
    """
    table = overlap(truth, prediction)
    volumes = np.asarray(truth), np.asarray(prediction)
    shape = volumes[0].shape
    pairs = table.above_half
    step = voxel_size(spacing, len(shape))
    size = prod(shape)
    rows = table.truth_index[pairs]
    objects = (table.truth_labels, rows), (table.prediction_labels, table.prediction_index[pairs])
    sides = [_Kept(*wanted) for wanted in objects]
    last = _last(volumes, objects)
    apart = 2 * dist(np.zeros(len(shape)), np.multiply(shape, step)) + 1

    def points(voxels: Longs) -> Doubles:
        """Return voxels as points in µm, the pair along a first axis with wide gaps."""
        pair, place = np.divmod(voxels, size)
        um = np.stack(np.unravel_index(place, shape)).T * step
        return np.column_stack([pair * apart, *um.T])

    def nearest(voxels: Longs, others: Longs) -> Doubles:
        """Return the distance of each voxel from the nearest other of its pair, sorted by pair."""
        distance = np.zeros(voxels.size)
        near = np.minimum(np.searchsorted(others, voxels), others.size - 1)
        away = np.flatnonzero(others[near] != voxels)
        if away.size:
            tree = cKDTree(points(others), compact_nodes=False)
            distance[away], _ = tree.query(points(voxels[away]), workers=THREADS)
        return distance[np.lexsort((distance, voxels // size))]

    distances = np.zeros((3, pairs.size))
    done = np.zeros(pairs.size, bool)
    for part in slabs(*volumes) if pairs.size else ():
        for volume, side in zip(volumes, sides, strict=True):
            side.add(volume, part)
        ready = np.flatnonzero(~done & (last < part.stop))  # a slab holds the last voxel of both
        if ready.size:
            done[ready] = True
            (own, start), (other, begin) = (side.take(done, size) for side in sides)
            ways = (nearest(own, other), start), (nearest(other, own), begin)
            total = sum(np.add.reduceat(way, starts[:-1]) for way, starts in ways)
            distances[0, ready] = total / sum(np.diff(starts) for _, starts in ways)
            distances[1, ready] = np.maximum(*(_quantiles(*way, 1.0) for way in ways))
            distances[2, ready] = np.maximum(*(_quantiles(*way, QUANTILE) for way in ways))
    return SurfaceTable(*distances)


def concatenate_surfaces(tables: Sequence[SurfaceTable]) -> SurfaceTable:
    """Return the table of the objects of several volumes taken together; empty for none."""
    tables = tables or [SurfaceTable(*np.zeros((3, 0)))]
    return SurfaceTable(*map(np.concatenate, zip(*tables, strict=True)))


SURFACES = Evidence(surface_table, ("truth", "prediction", "spacing"), pool=concatenate_surfaces)


def mean_distance(table: SurfaceTable, kind: str) -> float:
    """Return the mean over matched objects of a column of `SurfaceTable`, in µm; NaN of none.

    The 95 % quantile is the larger of the two directions, as in MONAI; MedPy takes one quantile of
    both together.

    Examples
    --------
    >>> labels = np.array([[0, 1, 1, 1]]), np.array([[0, 0, 5, 5]])
    >>> [round(metric(*labels, spacing=(1, 0.5)), 9) for metric in (assd, hausdorff, hd95)]
    [0.1, 0.5, 0.45]
    """
    return known(getattr(table, kind))


DISTANCES = {
    "assd": ("ASSD", "Average symmetric surface", "average symmetric surface distance"),
    "hausdorff": ("HD", "Hausdorff", "largest distance of their surfaces"),
    "hd95": ("HD95", "95 % Hausdorff", "95 % quantile of surface distances"),
}
assd, hausdorff, hd95 = family(
    SURFACES,
    mean_distance,
    {
        kind: (
            *(name, f"{title} distance (µm)", kind),
            f"Return the mean over matched objects of the {what}.",
        )
        for kind, (name, title, what) in DISTANCES.items()
    },
    best=0.0,
    reference="10.1186/s12880-015-0068-x",
    undefined="when no object of the truth has a match",
)


def _last(volumes: Sequence[Array], objects: Sequence[tuple[Labels, Longs]]) -> Longs:
    """Return a position along the first axis at which both objects of each pair have ended."""
    ends = [np.zeros(names.size, np.int64) for names, _ in objects]
    for part in slabs(*volumes):
        if part.stop - part.start == len(volumes[0]):
            break  # one slab holds them all
        for volume, (names, _), end in zip(volumes, objects, ends, strict=True):
            present = distinct(volume[part])
            end[np.searchsorted(names, present[present != 0].astype(np.uint64))] = part.stop - 1
    return np.maximum(
        *(end[objects_of_pairs] for end, (_, objects_of_pairs) in zip(ends, objects, strict=True))
    )


class _Kept:
    """Surface voxels of the objects of pairs in a volume that have not been taken yet."""

    def __init__(self, names: Labels, objects: Longs) -> None:
        self.names = names
        self.pair_of = np.full(names.size, -1, np.int32)  # of each object, -1 for none
        self.pair_of[objects] = np.arange(objects.size)
        self.places = np.zeros(0, np.int64)
        self.pairs = np.zeros(0, np.int32)

    def add(self, labels: Array, part: slice) -> None:
        """Add those in a slab, by their flat positions in the volume."""
        around, inner = grown([part], [1])  # with the neighbours of its faces
        places = np.flatnonzero(_surface(labels[around])[inner])
        names = labels[part].reshape(-1)[places].astype(np.uint64)
        pairs = self.pair_of[np.searchsorted(self.names, names)]
        places = places[pairs >= 0] + part.start * prod(labels.shape[1:])
        self.places = np.concatenate([self.places, places])
        self.pairs = np.concatenate([self.pairs, pairs[pairs >= 0]])
        size = self.places.nbytes + self.pairs.nbytes
        if is_mapped(labels) and size > FEW and not fits(size):
            raise InputError(
                f"surfaces of objects are not compared: those that reach into one plane take "
                f"{size / 2**30:.3g} GiB, more than a quarter of the free memory; give more"
            )

    def take(self, done: Bools, size: int) -> LongPair:
        """Return the surface voxels of pairs that are done, by pair, and where each pair begins.

        A voxel is its flat position plus the size of the volume for each pair before its own.
        """
        ended = done[self.pairs]
        order = np.argsort(self.pairs[ended], kind="stable")
        pairs = self.pairs[ended][order].astype(np.int64)
        places = self.places[ended][order]
        self.pairs, self.places = self.pairs[~ended], self.places[~ended]
        first = np.flatnonzero(np.diff(pairs, prepend=-1))
        return pairs * size + places, np.append(first, pairs.size)


def _surface(labels: Array) -> Bools:
    """Return the voxels with a neighbour across a face that is not of the same object."""
    edge = borders(labels)
    for axis in range(labels.ndim):
        flags = edge.swapaxes(axis, 0)
        flags[:1] = flags[-1:] = True
    edge &= labels != 0
    return edge


def _quantiles(distances: Doubles, start: Longs, quantile: float) -> Doubles:
    """Return a quantile of each pair's sorted distances, linearly interpolated."""
    place = start[:-1] + (np.diff(start) - 1) * quantile
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, start[1:] - 1)
    return distances[below] + (place - below) * (distances[above] - distances[below])
