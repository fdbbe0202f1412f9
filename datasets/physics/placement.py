"""Places in tissue without relaxation: sparse nuclei one after the other, balls of subcultures.

Random sequential placement puts each body at a random position if it is free there. The tissue is
looser than that of `packing`: above a volume fraction of 0.2 to 0.3, most trials fail.

References
----------
Bruch et al., Synthesis of large scale 3D microscopic images of 3D cell cultures for training and
benchmarking, PLoS ONE 18 (2023), doi:10.1371/journal.pone.0283828.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cytosuite.datasets.physics.grid import Array
from cytosuite.datasets.physics.hulls import Hulls, Indices, check_room, hulls, shrinkage, too_large
from cytosuite.datasets.physics.region import Region
from cytosuite.datasets.physics.tissue import ellipsoid
from cytosuite.errors import InputError

TRIALS = 512  # positions tried at once, at most
LEAST = 32  # and at least
INSIDE = 0.9  # share of a subculture's ball that lies in the tissue
PATIENCE = 2000  # positions tried for a ball


def count_for(region: Region, volume_fraction: float, mean_volume_um3: float) -> int:
    """Return the number of nuclei of a mean volume that fill a share of a region, at least 1."""
    return max(1, round(volume_fraction * region.volume_um3 / mean_volume_um3))


def scatter(
    rng: np.random.Generator,
    semi_axes_um: Array,
    rotations: Array,
    region: Region,
    *,
    gap_um: float = 0.0,
    max_overlap: float = 0.0,
    break_criterion: int = 1000,
) -> tuple[Array, Indices]:
    """Place ellipsoids one by one at random positions where they are free of overlap.

    Parameters
    ----------
    rng, semi_axes_um, rotations, region, gap_um, max_overlap
        As in `cytosuite.datasets.physics.packing.pack`.
    break_criterion : int
        Failures in a row that end it.

    Returns
    -------
    (K, 3) float and (K,) int arrays
        Centres in µm and numbers, ascending, of those placed: fewer than N where the tissue is too
        full for the rest.

    Raises
    ------
    InputError
        If every ellipsoid is larger than the region.

    Notes
    -----
    Each trial takes the next ellipsoid in line to a new position; one that fails goes to the end of
    the line. Trials are made in batches, with the result they have one by one.
    """
    whole = hulls(semi_axes_um + gap_um / 2, rotations)
    shrunk = hulls(semi_axes_um * shrinkage(max_overlap) + gap_um / 2, rotations)
    large = too_large(whole, region)
    if large.all():
        check_room(whole, region)
    centres = np.zeros(semi_axes_um.shape)
    placed, tree, failures, line = np.zeros(0, np.intp), None, 0, np.flatnonzero(~large)
    while len(line) and failures < break_criterion:
        bodies = np.resize(line, min(TRIALS, max(len(line), failures, LEAST)))
        points = region.draw(rng, len(bodies))
        excess, _ = whole.part(bodies).outside_um(points, region)
        free = np.flatnonzero(excess <= 0)
        free = free[~_hit(shrunk, bodies[free], points[free], placed, tree)]
        earlier = _conflicts(shrunk, bodies[free], points[free])
        limits = (len(bodies), failures, break_criterion)
        taken, tried, failures = _judge(free, earlier, limits, again=len(line) < len(bodies))
        new = bodies[taken]
        if taken:
            centres[new], placed = points[taken], np.concatenate([placed, new])
            tree = cKDTree(centres[placed])
        line = np.roll(line, -tried)
        line = line[~np.isin(line, new)]
    placed = np.sort(placed)
    return centres[placed], placed


def _hit(
    bodies: Hulls, candidates: Indices, points: Array, placed: Indices, tree: cKDTree | None
) -> NDArray[np.bool_]:
    """Return a mask of the candidates at points (n, 3) that overlap placed bodies (`tree`)."""
    if tree is None or not len(candidates):
        return np.zeros(len(candidates), bool)
    distance, nearest = tree.query(points)
    hit = distance < bodies.inner[candidates] + bodies.inner[placed[nearest]]  # most of them
    rest = np.flatnonzero(~hit)
    if len(rest):
        near = cKDTree(points[rest]).sparse_distance_matrix(
            tree, 2 * bodies.reach.max(), output_type="ndarray"
        )
        i, j = rest[near["i"]], near["j"]
        apart = points[i] - tree.data[j]
        hit[i[bodies.closeness(candidates[i], placed[j], apart) < 1]] = True
    return np.asarray(hit)


def _conflicts(bodies: Hulls, candidates: Indices, points: Array) -> list[list[int]]:
    """Return for each candidate the earlier ones it overlaps."""
    earlier: list[list[int]] = [[] for _ in candidates]
    if len(candidates) > 1:
        pairs = cKDTree(points).query_pairs(2 * bodies.reach.max(), output_type="ndarray")
        i, j = pairs.T  # i < j
        close = bodies.closeness(candidates[i], candidates[j], points[i] - points[j]) < 1
        for first, second in pairs[close].tolist():
            earlier[second].append(first)
    return earlier


def _judge(
    free: Indices, conflicts: list[list[int]], limits: tuple[int, int, int], *, again: bool
) -> tuple[list[int], int, int]:
    """Return the accepted trials, the number of trials made and the failures since the last.

    `free` (n,) are the trials that hit nothing placed before the batch, `conflicts` those of them
    that each overlaps, `limits` the trials in the batch, the failures in a row before it, and how
    many end it. Where bodies are in the batch `again` and again, the first success ends it.
    """
    trials, failures, limit = limits
    accepted: dict[int, int] = {}
    last = -1 - failures  # trial of the last success, counted from the start of the batch
    for number, trial in enumerate(free.tolist()):
        if trial - last > limit:
            break
        if not any(other in accepted for other in conflicts[number]):
            accepted[number] = last = trial
            if again:
                return [trial], trial + 1, 0
    return list(accepted.values()), trials, trials - 1 - last


def subcultures(
    rng: np.random.Generator,
    region: Region,
    diameters_um: Sequence[float],
    flattening: Sequence[float] | float = 1.0,
) -> list[Region]:
    """Return balls in a tissue that do not overlap, each for a population of its own.

    Parameters
    ----------
    rng, region : numpy Generator, Region
    diameters_um : sequence of float
        Across y and x.
    flattening : float or sequence of float
        Height relative to the diameter, for all or for each.

    Returns
    -------
    list of Region
        In the order of `diameters_um`, the largest placed first, at the first of 2000 positions
        where it fits; the part outside of the tissue, at most a tenth, is cut off.

    Raises
    ------
    InputError
        If there is no place for one of them.
    """
    across = np.asarray(diameters_um, np.float64) / 2
    semi_axes = np.stack([across * flattening, across, across], axis=1)
    bodies = hulls(semi_axes, np.broadcast_to(np.eye(3), (len(across), 3, 3)))
    inside = ellipsoid((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)).draw(np.random.default_rng(0), 500)
    centres = np.zeros(semi_axes.shape)
    placed = np.zeros(0, np.intp)
    for index in np.argsort(-across, kind="stable"):
        points = region.draw(rng, PATIENCE)
        trials = np.full(PATIENCE, index)
        tree = cKDTree(centres[placed]) if len(placed) else None
        points = points[~_hit(bodies, trials, points, placed, tree)]
        for point in points:
            if (region.distance_at(point + inside * semi_axes[index]) < 0).mean() > INSIDE:
                centres[index] = point
                placed = np.append(placed, index)
                break
        else:
            raise InputError(
                f"no place for a subculture of {2 * across[index]:.0f} µm in tissue of "
                f"{region.volume_um3:.0f} µm³ after {len(placed)} of {len(across)}; lower the "
                "diameters or the number of subcultures, or make the tissue larger"
            )
    balls = zip(map(tuple, centres), map(tuple, semi_axes), strict=True)
    return [ellipsoid(centre, axes).intersect(region) for centre, axes in balls]
