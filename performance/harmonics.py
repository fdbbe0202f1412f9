"""Stars beside the published way of HarmonicNet, which is written here again.

Usage: python performance/harmonics.py [basis] [drawing] [suppression] [round_trip]

CPU seconds, medians. Published: harmonics one value at a time; radii of the three boundary voxels
with the nearest angles; the Delaunay triangulation of a surface at 5000 angles, asked for every
voxel; pairs of spheres of least and greatest radius in a loop. Round trip: mean IoU of masks and
their stars, by order and by the height of voxels over their width. Compilation is left out.
"""

import os
import statistics
import sys
from collections.abc import Callable
from functools import partial
from itertools import combinations

import numpy as np
from scipy import ndimage, special
from scipy.spatial import Delaunay, cKDTree
from side_by_side import timed

from cytosuite.algorithms.harmonicnet.candidates import Candidates
from cytosuite.algorithms.harmonicnet.suppression import kept
from cytosuite.bodies import fit
from cytosuite.bodies.grid import Grid
from cytosuite.bodies.harmonics import basis, degrees, fibonacci_sphere
from cytosuite.bodies.stars import Stars, label, stars_from
from cytosuite.datasets.physics.harmonics import draw_stars
from cytosuite.datasets.physics.shapes import random_rotations
from cytosuite.volume.arrays import Bools, Doubles

ANGLES, SMOOTHING, LIMIT = 5000, 0.006, 0.5
SPHERE = np.sqrt(4 * np.pi)
ORDERS, HEIGHTS, BODIES = (3, 5, 8, 11), (1, 2, 5), 20
WIDTH, RADIUS, SIDE = 0.5, 6.0, 24.0  # µm: of a voxel, of a body, of the volume


def published_basis(order: int, directions: Doubles) -> Doubles:
    """Return harmonics (n, (order + 1)²), one angle and one coefficient at a time."""
    polar, azimuth = np.arccos(directions[0]), np.arctan2(directions[2], directions[1])
    rows = np.zeros((len(polar), (order + 1) ** 2))
    for row, (theta, phi) in enumerate(zip(polar, azimuth, strict=True)):
        column = 0
        for degree in range(order + 1):
            for m in range(-degree, degree + 1):
                value = special.sph_harm_y(degree, abs(m), theta, phi)
                part = value.imag if m > 0 else value.real
                rows[row, column] = part * (np.sqrt(2) if m else 1)
                column += 1
    return rows


def published_drawing(coefficients: Doubles, centres: Doubles, shape: tuple[int, ...]) -> Doubles:
    """Return labels by a triangulation asked for all voxels, later ones over earlier."""
    order = int(np.sqrt(coefficients.shape[1])) - 1
    directions = fibonacci_sphere(ANGLES)
    radii = coefficients @ basis(order, directions).T
    voxels = np.indices(shape).reshape(len(shape), -1).T + 0.5
    labels = np.zeros(shape)
    for number, (radius, centre) in enumerate(zip(radii, centres, strict=True), start=1):
        hull = Delaunay(centre + (radius * directions).T)
        labels.reshape(-1)[hull.find_simplex(voxels) > 0] = number
    return labels


def published_suppression(found: Candidates) -> list[int]:
    """Return the stars that stay by spheres of least and of greatest radius."""
    order = int(np.sqrt(found.coefficients.shape[1])) - 1
    radii = found.coefficients @ basis(order, fibonacci_sphere(256)).T
    spheres = radii.min(axis=1), radii.max(axis=1)
    gone = set()
    for i, j in combinations(range(len(radii)), 2):
        away = float(np.linalg.norm(found.centres_um[i] - found.centres_um[j]))
        shares = [_lens(away, own[i], own[j]) for own in spheres]
        if np.mean(shares) > LIMIT:
            gone.add(i if found.certainty[i] < found.certainty[j] else j)
    return [number for number in range(len(radii)) if number not in gone]


def _lens(away: float, one: float, two: float) -> float:
    """Return the share of the smaller of two balls within the other."""
    small, large = min(one, two), max(one, two)
    if away >= small + large:
        return 0.0
    if away <= large - small:
        return 1.0
    rest = (small + large - away) ** 2
    sides = away**2 + 2 * away * (small + large) - 3 * (large - small) ** 2
    return float(np.pi * rest * sides / (12 * away) / (4 / 3 * np.pi * small**3))


def published_round_trip(mask: Bools, order: int) -> Bools:
    """Return a mask by way of the radii of its boundary, harmonics and a convex hull, in voxels."""
    boundary = np.argwhere(mask ^ ndimage.binary_erosion(mask))
    centre = boundary.mean(axis=0).astype(int)
    away = boundary - centre
    radii = np.linalg.norm(away, axis=1)
    angles = _angles(away.T[:, radii > 0] / radii[radii > 0])
    directions = fibonacci_sphere(ANGLES)
    _, near = cKDTree(angles).query(_angles(directions), k=3)
    rows, degree = basis(order, directions), degrees(order)
    weight = np.diag(SMOOTHING * (degree * (degree + 1)) ** 2)
    found = np.linalg.solve(rows.T @ rows + weight, rows.T @ radii[radii > 0][near].mean(axis=1))
    return published_drawing(found[None], centre[None] + 0.5, mask.shape) > 0


def _angles(directions: Doubles) -> Doubles:
    return np.stack([np.arccos(directions[0]), np.arctan2(directions[2], directions[1])], axis=1)


def our_round_trip(mask: Bools, order: int, grid: Grid) -> Bools:
    """Return a mask by way of its star."""
    found = fit(mask.astype(np.uint8), grid.spacing, order, SMOOTHING)
    centres = found.centres.astype(np.float64) + np.divide(grid.spacing, 2)
    return label(stars_from(found.coefficients), centres, grid) > 0


def median(run: Callable[[], object], repeats: int = 5) -> float:
    """Return the median CPU seconds of a call, without the first of several."""
    times = [timed(run)[0] for _ in range(repeats + (repeats > 1))]
    return statistics.median(times[-repeats:])


def compare(work: str, ours: Callable[[], object], published: Callable[[], object] | None) -> None:
    """Print CPU seconds of ours, of the published way once, and their ratio."""
    own = median(ours)
    other = median(published, 1) if published else None
    told = "" if other is None else f"{other:9.3f} {other / own:8.0f}x"
    print(f"{work:52} {own:9.4f} {told}", flush=True)


def of_basis() -> None:
    """Compare bases at 5000 angles."""
    directions = fibonacci_sphere(ANGLES)
    for order in (5, 20):
        work = f"basis of order {order}, {ANGLES} directions"
        compare(
            work, partial(basis, order, directions), partial(published_basis, order, directions)
        )


def of_drawing() -> None:
    """Compare the labels of five cells."""
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(5, 36)) * 0.5
    drawn[:, 0] = SPHERE * rng.uniform(9, 13, 5)
    centres, grid = rng.uniform(14, 50, (5, 3)), Grid((64, 128, 128), (1.0, 1.0, 1.0))
    compare(
        "drawing 5 cells in 64 x 128 x 128 voxels",
        lambda: label(stars_from(drawn), centres, grid),
        partial(published_drawing, drawn, centres, grid.shape),
    )


def some_candidates(count: int, order: int = 5) -> Candidates:
    """Return candidates around a fifth as many nuclei that touch."""
    rng = np.random.default_rng(0)
    side = int(np.ceil((count / 5) ** (1 / 3)))
    lattice = 12.0 * np.stack(np.meshgrid(*[np.arange(side)] * 3), axis=-1).reshape(-1, 3)
    centres = lattice[rng.integers(0, count // 5, count)] + rng.normal(size=(count, 3)) * 1.5
    drawn = rng.normal(size=(count, (order + 1) ** 2)) * 0.15
    drawn[:, 0] = SPHERE * RADIUS
    return Candidates(rng.random(count).astype(np.float32), centres, drawn.astype(np.float32))


def of_suppression() -> None:
    """Compare the suppression of many candidates."""
    few = some_candidates(1000)
    compare(
        "suppression of 1,000", lambda: kept(few, LIMIT, 0), partial(published_suppression, few)
    )
    for order in (5, 8):
        many = some_candidates(10_000, order)
        compare(f"suppression of 10,000, order {order}", partial(kept, many, LIMIT, 0), None)


def some_bodies() -> dict[str, Stars]:
    """Return ellipsoids, and stars with dents."""
    rng = np.random.default_rng(1)
    axes = RADIUS * np.exp(rng.normal(size=(BODIES, 3)) * 0.15)
    turns = random_rotations(rng, BODIES)
    return {
        "ellipsoids": draw_stars(rng, axes, turns, order=0),
        "stars with dents": draw_stars(rng, axes, turns, order=6, circularity=2.5),
    }


def of_round_trip() -> None:
    """Print the mean IoU of bodies and of their ways through harmonics."""
    print(f"{'IoU by order':28} {'':10} " + " ".join(f"{order:>6}" for order in ORDERS))
    for name, bodies in some_bodies().items():
        for height in HEIGHTS:
            spacing = (WIDTH * height, WIDTH, WIDTH)
            grid = Grid(tuple(round(SIDE / step) for step in spacing), spacing)
            places = np.random.default_rng(2).uniform(SIDE / 2 - 1, SIDE / 2 + 1, (BODIES, 3))
            masks = [patch_mask(bodies, number, place, grid) for number, place in enumerate(places)]
            ways: dict[str, Callable[[Bools, int], Bools]] = {
                "ours": partial(our_round_trip, grid=grid),
                "published": published_round_trip,
            }
            for way, run in ways.items():
                found = [
                    np.mean([iou(mask, run(mask, order)) for mask in masks]) for order in ORDERS
                ]
                row = " ".join(f"{value:6.3f}" for value in found)
                print(f"{name + f', z/xy {height}':28} {way:10} {row}", flush=True)


def patch_mask(bodies: Stars, number: int, place: Doubles, grid: Grid) -> Bools:
    """Return the voxels of one body."""
    centres = np.full((BODIES, 3), -1e3)
    centres[number] = place
    return label(bodies, centres, grid) > 0


def iou(one: Bools, two: Bools) -> float:
    """Return the intersection over the union of two masks."""
    return float((one & two).sum() / (one | two).sum())


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parts = {
        "basis": of_basis,
        "drawing": of_drawing,
        "suppression": of_suppression,
        "round_trip": of_round_trip,
    }
    for part in sys.argv[1:] or parts:
        if part != "round_trip":
            print(f"{'work':52} {'ours, s':>9} {'published, s':>12} {'ratio':>6}")
        parts[part]()
