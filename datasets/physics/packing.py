"""Ellipsoids placed in a region of tissue: by relaxation, one by one at random, balls in a tissue.

Two with matrices ``A``, ``B`` (squared semi-axes) at distance ``d`` do not overlap if ``F =
s (1 - s) dᵀ ((1 - s) A + s B)⁻¹ d >= 1`` for any ``s`` in (0, 1) (Perram and Wertheim 1985,
doi:10.1016/0021-9991(85)90171-8); ``s = a / (a + b)`` of mean radii is exact for balls, else safe.
A round moves each pair apart by ``|d| (F^-1/2 - 1)``, then bodies back along the region's normal.
Random places: Bruch et al. (2023), doi:10.1371/journal.pone.0283828; above 0.2 to 0.3 most fail.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from cytosuite.bodies.harmonics import fibonacci_sphere
from cytosuite.datasets.physics.tissue import Region, ellipsoid
from cytosuite.errors import InputError
from cytosuite.volume.arrays import Bools, DoublePair, Doubles, Indices, Rng

Home = tuple[Indices, Region]  # bodies, and the region that holds them
MOST = 65535  # nuclei or cells of a case: numbers of 16 bits
ROUNDS = 2000
TOLERANCE = 0.02  # of the centre distance: how deep two ellipsoids may still overlap at the end
RENEW = 10  # rounds between searches for neighbours
WINDOW = 200  # rounds over which progress is judged
FREE = 20  # rounds between searches for bodies stuck where the tissue is too thin
TRIES = 64  # places drawn for a stuck body
SKIN_UM = 1.5  # neighbours are searched this much farther than they can touch
TRIALS = 512  # positions tried at once, at most
LEAST = 32  # and at least
WIDEN_UM = 0.1  # by which the gap that bodies close grows in a round
FARTHEST_UM = 6.0  # gap that bodies close at most
HALVINGS = 5  # of the last step, to meet a contact share
ATTRACTION = 0.1  # of the gap that each of two bodies closes in a round
DIRECTIONS = fibonacci_sphere(96)  # of surface points
INSIDE = 0.9  # share of a subculture's ball that lies in the tissue
PATIENCE = 2000  # positions tried for a ball


class Hulls(NamedTuple):
    """Ellipsoids as relaxation and random placement use them."""

    inner: Doubles  # (N,), shortest semi-axis in µm
    reach: Doubles  # (N,), longest semi-axis in µm
    radii: Doubles  # (N,), of the ball of the same volume, µm
    matrices: Doubles  # (N, 3, 3), R diag(a²) Rᵀ of semi-axes a and rotation R

    def closeness(self, first: Indices, second: Indices, apart_um: Doubles) -> Doubles:
        """Return ``sqrt(F)`` (P,) of pairs at distance vectors (P, 3); below 1 they overlap."""
        return closeness(apart_um.T, self.forms(first, second))

    def forms(self, first: Indices, second: Indices) -> Doubles:
        """Return the six different entries (6, P) of the matrices of the forms F of pairs."""
        s = self.radii[first] / (self.radii[first] + self.radii[second])
        rows = (0, 1, 2, 0, 0, 1)
        entries = self.matrices[:, rows, (0, 1, 2, 1, 2, 2)].T
        a, b, c, d, e, f = (1 - s) * entries[:, first] + s * entries[:, second]
        diagonal = b * c - f * f, a * c - e * e, a * b - d * d
        cofactors = np.stack([*diagonal, e * f - c * d, d * f - b * e, d * e - a * f])
        determinant = a * cofactors[0] + d * cofactors[3] + e * cofactors[4]
        return np.asarray(s * (1 - s) / determinant * cofactors)

    def outside_um(self, centres_um: Doubles, region: Region) -> DoublePair:
        """Return depths (N,) across the surface, normals (N, 3); half width: sqrt(nᵀ A n)."""
        depth = -region.distance_at(centres_um)
        excess = np.full(len(depth), -np.inf)
        normals = np.zeros((len(depth), 3))
        close = np.flatnonzero(depth < self.reach)
        unit = region.normals_at(centres_um[close])
        towards = np.einsum("nij,nj->ni", self.matrices[close], unit)
        width = np.sqrt((towards * unit).sum(axis=1))
        tips = centres_um[close] + towards / np.maximum(width, 1e-9)[:, None]
        excess[close] = np.maximum(width - depth[close], region.distance_at(tips))
        normals[close] = unit
        return excess, normals

    def part(self, chosen: Indices) -> "Hulls":
        """Return some of the ellipsoids."""
        return Hulls(*(each[chosen] for each in self))


def hulls(semi_axes_um: Doubles, rotations: Doubles) -> Hulls:
    """Return ellipsoids of semi-axes (N, 3) in µm and rotations (N, 3, 3), axes in columns."""
    scaled = rotations * semi_axes_um[:, None, :]
    radii = semi_axes_um.prod(axis=1) ** (1 / 3)
    matrices = scaled @ scaled.transpose(0, 2, 1)
    return Hulls(semi_axes_um.min(axis=1), semi_axes_um.max(axis=1), radii, matrices)


def shrinkage(max_overlap: float) -> float:
    """Return the factor of semi-axes with which bodies that overlap by a share only touch.

    Balls at distance ``2 u`` share ``(u³ - 3 u + 2) / 2``; ``u = 2 cos θ``, ``cos 3θ = share - 1``.
    """
    return float(2 * np.cos((2 * np.pi - np.arccos(max_overlap - 1)) / 3))


def too_large(bodies: Hulls, region: Region) -> Bools:
    """Return a mask (N,) of the bodies that, with their gaps, fit nowhere in a region."""
    low, high = region.box_um
    extents = np.sqrt(np.einsum("nii->ni", bodies.matrices))
    slack = region.spacing[0] / 2  # of the box and the depth of a sampled region
    large = (extents > (high - low) / 2).any(axis=1)
    return np.asarray(large | (bodies.inner > region.depth_um + slack))


def check_room(bodies: Hulls, region: Region) -> None:
    """Raise `InputError` if a body, with its gap, fits nowhere in a region, see `too_large`."""
    large = too_large(bodies, region)
    if large.any():
        low, high = region.box_um
        raise InputError(
            f"a nucleus of up to {2 * bodies.reach[large].max():.1f} µm with its gap does not fit "
            f"into tissue of {' x '.join(f'{size:.1f}' for size in high - low)} µm that is at most "
            f"{2 * region.depth_um:.1f} µm thick; lower diameter_um or gap_um, or make the tissue "
            "larger"
        )


def closeness(apart: Doubles, forms: Doubles) -> Doubles:
    """Return ``sqrt(F)`` (P,) of distance vectors (3, P) and the forms (6, P) of their pairs."""
    z, y, x = apart
    zz, yy, xx, zy, zx, yx = forms
    form = zz * z * z + yy * y * y + xx * x * x + 2 * (zy * z * y + zx * z * x + yx * y * x)
    return np.asarray(np.sqrt(np.maximum(form, 1e-6)))


def _fitting(
    semi_axes_um: Doubles, rotations: Doubles, gap_um: float, max_overlap: float
) -> tuple[Hulls, Hulls]:
    """Return ellipsoids with half their gap: as they are, and shrunk until they only touch."""
    around = semi_axes_um + gap_um / 2
    within = semi_axes_um * shrinkage(max_overlap) + gap_um / 2
    return hulls(around, rotations), hulls(within, rotations)


def pack(
    rng: Rng,
    semi_axes_um: Doubles,
    rotations: Doubles,
    region: Region,
    *,
    gap_um: float = 0.0,
    max_overlap: float = 0.0,
    groups: Sequence[Home] = (),
    rounds: int = ROUNDS,
    start_um: Doubles | None = None,
) -> Doubles:
    """Return centres (N, 3), µm, without overlap in a region (`groups`: own), or InputError."""
    whole, shrunk = _fitting(semi_axes_um, rotations, gap_um, max_overlap)
    rest = np.setdiff1d(np.arange(len(semi_axes_um)), [i for home, _ in groups for i in home])
    homes = [(home, room) for home, room in [(rest, region), *groups] if len(home)]
    centres = np.zeros(semi_axes_um.shape)
    for chosen, home in homes:
        check_room(whole.part(chosen), home)
        centres[chosen] = home.draw(rng, len(chosen)) if start_um is None else start_um[chosen]
    _relax(rng, centres, shrunk, whole, homes, rounds)
    return centres


def _relax(
    rng: Rng,
    centres: Doubles,
    shrunk: Hulls,
    whole: Hulls,
    homes: list[Home],
    rounds: int,
) -> None:
    """Move ellipsoids in place until the shrunk ones are free of overlap, the whole ones inside."""
    age, before, now = RENEW, np.inf, np.inf
    for number in range(1, rounds + 1):
        if age >= RENEW:
            pairs = _neighbours(centres, shrunk)
            forms = shrunk.forms(*pairs)
            age = 0
        depth = max(_separate(centres, pairs, forms), _draw_back(centres, whole, homes))
        if depth < TOLERANCE:
            if age == 0:
                return
            age = RENEW  # free of overlap with old neighbours: look for new ones first
        elif number % FREE == 0:
            age = RENEW if _free(rng, centres, whole, homes) else age
        age += 1
        now = min(now, depth)
        if number % WINDOW == 0:
            pace = now / max(before, TOLERANCE)  # by which the depth shrinks in a window
            if now * pace ** ((rounds - number) / WINDOW) > TOLERANCE:
                break  # at this pace the rounds left do not suffice
            before = now
            now = np.inf
    raise InputError(_explain(centres, shrunk, whole, homes, number))


def press(
    centres_um: Doubles,
    semi_axes_um: Doubles,
    rotations: Doubles,
    region: Region,
    *,
    contact: float,
    max_overlap: float,
) -> tuple[Doubles, float]:
    """Return centres (N, 3) of bodies moved until a share of surface is in contact, and the share.

    They are drawn together across a gap that grows by the round: near ones become clusters, others
    stay apart. Bodies with more contact at first are moved apart.
    """
    centres = centres_um.copy()
    home = [(np.arange(len(centres_um)), region)]
    whole = hulls(semi_axes_um, rotations)
    share = contact_share(centres, semi_axes_um, rotations)
    apart = share > contact
    bodies = whole if apart else hulls(semi_axes_um * shrinkage(max_overlap), rotations)
    for number in range(round(FARTHEST_UM / WIDEN_UM)):
        if number % RENEW == 0:
            pairs = _neighbours(centres, bodies, FARTHEST_UM)
            forms = bodies.forms(*pairs)
        before = centres.copy()
        _separate(centres, pairs, forms, 0.0 if apart else (number + 1) * WIDEN_UM)
        _draw_back(centres, whole, home)
        share = contact_share(centres, semi_axes_um, rotations)
        if (share <= contact) is apart:
            break
    else:
        return centres, share
    low, high = 0.0, 1.0  # part of the last step
    for _ in range(HALVINGS):
        part = (low + high) / 2
        middle = before + part * (centres - before)
        share = contact_share(middle, semi_axes_um, rotations)
        low, high = (low, part) if (share <= contact) is apart else (part, high)
    return middle, share


def contact_share(centres_um: Doubles, semi_axes_um: Doubles, rotations: Doubles) -> float:
    """Return the share of the surface of all ellipsoids that lies inside of others."""
    bodies = hulls(semi_axes_um, rotations)
    left, right = _neighbours(centres_um, bodies, 0.0)
    # Pairs farther apart than both reach do not overlap.
    near = bodies.closeness(left, right, centres_um[left] - centres_um[right]) < 1
    first = np.concatenate([left[near], right[near]])
    second = np.concatenate([right[near], left[near]])
    steps = DIRECTIONS / semi_axes_um[:, :, None]  # (N, 3, K)
    areas = semi_axes_um.prod(axis=1)[:, None] * np.sqrt((steps**2).sum(axis=1))
    points = rotations @ (DIRECTIONS * semi_axes_um[:, :, None])
    shifts = (centres_um[first] - centres_um[second])[:, :, None]
    back = (rotations[second] / semi_axes_um[second][:, None, :]).transpose(0, 2, 1)
    inside = ((back @ (points[first] + shifts)) ** 2).sum(axis=1) < 1
    covered = np.zeros(areas.shape, bool)
    np.logical_or.at(covered, first, inside)
    return float(areas[covered].sum() / areas.sum())


def _neighbours(
    centres: Doubles, bodies: Hulls, skin_um: float = SKIN_UM
) -> tuple[Indices, Indices]:
    """Return pairs that could soon touch."""
    if len(centres) < 2:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    pairs = cKDTree(centres).query_pairs(2 * bodies.reach.max() + skin_um, output_type="ndarray")
    first, second = pairs.T
    near = ((centres[first] - centres[second]) ** 2).sum(axis=1)
    pairs = pairs[near < (bodies.reach[first] + bodies.reach[second] + skin_um) ** 2]
    return np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])


def _separate(
    centres: Doubles, pairs: tuple[Indices, Indices], forms: Doubles, attract_um: float = 0.0
) -> float:
    """Move overlapping pairs apart, others up to a gap together; return the deepest overlap."""
    first, second = pairs
    columns = np.ascontiguousarray(centres.T)
    apart = columns[:, first] - columns[:, second]
    near = closeness(apart, forms)
    close = near < 1.0
    if attract_um > 0:
        close |= (1.0 - 1.0 / near) * np.sqrt((apart**2).sum(axis=0)) < attract_um
    overlap = np.flatnonzero(close)
    if not len(overlap):
        return 0.0
    first, second, near = first[overlap], second[overlap], near[overlap]
    ease = np.where(near < 1.0, 0.5, ATTRACTION)
    step = apart[:, overlap] * (np.minimum(1.0 / near - 1.0, 1.0) * ease)
    for axis in range(3):
        centres[:, axis] += np.bincount(first, step[axis], len(centres))
        centres[:, axis] -= np.bincount(second, step[axis], len(centres))
    return float(1.0 - near.min())


def _draw_back(centres: Doubles, bodies: Hulls, homes: list[Home]) -> float:
    """Move bodies into their regions in place; return the largest excess, in radii."""
    worst = 0.0
    for chosen, home in homes:
        part = bodies.part(chosen)
        excess, normals = part.outside_um(centres[chosen], home)
        centres[chosen] -= np.maximum(excess, 0)[:, None] * normals
        worst = max(worst, float((excess / part.radii).max()))
    return worst


def _free(rng: Rng, centres: Doubles, bodies: Hulls, homes: list[Home]) -> bool:
    """Move bodies out of too thin tissue; return whether any was moved."""
    moved = False
    for chosen, home in homes:
        excess, _ = bodies.part(chosen).outside_um(centres[chosen], home)
        stuck = chosen[excess > TOLERANCE * bodies.radii[chosen]]
        alone = centres[stuck]
        for _ in range(FREE):  # with nobody around
            excess, normals = bodies.part(stuck).outside_um(alone, home)
            alone -= np.maximum(excess, 0)[:, None] * normals
        for body in stuck[excess > TOLERANCE * bodies.radii[stuck]]:
            places = home.draw(rng, TRIES)
            excess, _ = bodies.part(np.repeat(body, TRIES)).outside_um(places, home)
            centres[body] = places[excess.argmin()]
            moved = True
    return moved


def _explain(centres: Doubles, shrunk: Hulls, whole: Hulls, homes: list[Home], rounds: int) -> str:
    first, second = _neighbours(centres, shrunk)
    near = shrunk.closeness(first, second, centres[first] - centres[second])
    free = np.ones(len(centres), bool)
    for chosen, home in homes:
        excess, _ = whole.part(chosen).outside_um(centres[chosen], home)
        free[chosen] = excess < TOLERANCE * whole.radii[chosen]
    pairs = np.stack([first, second], axis=1)[near < 1.0 - TOLERANCE]
    pairs = pairs[free[pairs].all(axis=1)]
    while len(pairs):  # the most crowded go first
        worst = int(np.bincount(pairs.ravel()).argmax())
        pairs = pairs[(pairs != worst).all(axis=1)]
        free[worst] = False
    room = sum(home.volume_um3 for _, home in homes)
    shares = 100 * 4 / 3 * np.pi * whole.radii**3 / room
    return (
        f"after {rounds} rounds only {free.sum()} of {len(free)} nuclei are free of overlap and "
        f"inside; with gaps they fill {shares[free].sum():.0f} % of {room:.0f} µm³ of tissue, "
        f"all would fill {shares.sum():.0f} %; lower volume_fraction, gap_um or n_nuclei"
    )


def count_for(region: Region, volume_fraction: float, mean_volume_um3: float, remedy: str) -> int:
    """Return how many bodies of a mean volume fill a share of a region; InputError above `MOST`."""
    count = volume_fraction * region.volume_um3 / mean_volume_um3
    if count > MOST:
        raise InputError(
            f"{count:.3g} nuclei or cells of {mean_volume_um3:.3g} µm³ fill the tissue of "
            f"{region.volume_um3:.3g} µm³, at most {MOST} are allowed; {remedy}"
        )
    return max(1, round(count))


def scatter(
    rng: Rng,
    semi_axes_um: Doubles,
    rotations: Doubles,
    region: Region,
    *,
    gap_um: float = 0.0,
    max_overlap: float = 0.0,
    break_criterion: int = 1000,
) -> tuple[Doubles, Indices]:
    """Return centres (K, 3), numbers: < N after `break_criterion` failures; or InputError."""
    whole, shrunk = _fitting(semi_axes_um, rotations, gap_um, max_overlap)
    large = too_large(whole, region)
    if large.all():
        check_room(whole, region)
    centres = np.zeros(semi_axes_um.shape)
    placed, failures, line = np.zeros(0, np.intp), 0, np.flatnonzero(~large)
    while len(line) and failures < break_criterion:
        bodies = np.resize(line, min(TRIALS, max(len(line), failures, LEAST)))
        points = region.draw(rng, len(bodies))
        excess, _ = whole.part(bodies).outside_um(points, region)
        free = np.flatnonzero(excess <= 0)
        free = free[~_hit(shrunk, bodies[free], points[free], placed, centres)]
        tried, last = len(bodies), -1 - failures  # number of trials, and the last success
        new = []
        while len(free) and free[0] - last <= break_criterion:
            last = int(free[0])
            rest = free[1:]
            new.append(last)
            if len(line) < len(bodies):  # the batch tries each of them several times
                tried = last + 1
                break
            apart = points[last] - points[rest]
            near = np.flatnonzero((apart**2).sum(axis=1) <= 4 * shrunk.reach.max() ** 2)
            close = shrunk.closeness(bodies[[last]], bodies[rest[near]], apart[near]) < 1
            free = np.delete(rest, near[close])
        failures = tried - 1 - last
        placed = np.concatenate([placed, bodies[new]])
        centres[bodies[new]] = points[new]
        line = np.roll(line, -tried)
        line = line[~np.isin(line, bodies[new])]
    placed = np.sort(placed)
    return centres[placed], placed


def _hit(
    bodies: Hulls, candidates: Indices, points: Doubles, placed: Indices, centres: Doubles
) -> Bools:
    """Return a mask of the candidates at points (n, 3) that overlap placed ones of `centres`."""
    if not (len(placed) and len(candidates)):
        return np.zeros(len(candidates), bool)
    tree = cKDTree(centres[placed])
    distance, nearest = tree.query(points)
    hit = distance < bodies.inner[candidates] + bodies.inner[placed[nearest]]  # most of them
    rest = np.flatnonzero(~hit)
    if len(rest):
        near = cKDTree(points[rest]).sparse_distance_matrix(
            tree, 2 * bodies.reach.max(), output_type="ndarray"
        )
        i = rest[near["i"]]
        j = near["j"]
        hit[i[bodies.closeness(candidates[i], placed[j], points[i] - tree.data[j]) < 1]] = True
    return np.asarray(hit)


def subcultures(
    rng: Rng, region: Region, diameters_um: Sequence[float], flattening: Sequence[float]
) -> list[Region]:
    """Return balls in a tissue that do not overlap, the largest placed first, cut by the tissue."""
    across = np.asarray(diameters_um, np.float64) / 2
    semi_axes = np.stack([across * flattening, across, across], axis=1)
    bodies = hulls(semi_axes, np.broadcast_to(np.eye(3), (len(across), 3, 3)))
    inside = ellipsoid((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)).draw(np.random.default_rng(0), 500)
    centres = np.zeros(semi_axes.shape)
    placed = np.zeros(0, np.intp)
    for index in np.argsort(-across, kind="stable"):
        points = region.draw(rng, PATIENCE)
        for point in points[~_hit(bodies, np.full(PATIENCE, index), points, placed, centres)]:
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
