import numpy as np
import pytest
from scipy.spatial import cKDTree

from cytosuite.bodies.grid import Grid
from cytosuite.datasets.cells import spots
from cytosuite.datasets.cells.culture import DIVIDING, DYING, TWO, Pools, grow
from cytosuite.datasets.cells.parameters import Parameters
from cytosuite.datasets.cells.placement import depth_um
from cytosuite.datasets.physics.psf import Gaussian

PLANE = {"image": {"shape": (400, 400), "spacing_um": (0.3, 0.3)}, "cells": {"n_cells": 20}}
VOLUME = {
    "image": {
        "shape": (20, 160, 160),
        "spacing_um": (0.4, 0.3, 0.3),
        "margin_um": 12,
        "glass_um": 0.9,
    },
    "cells": {"n_cells": 5},
}
GRID = Grid((9, 40, 50), (0.3, 0.1, 0.2))
PSF = Gaussian((0.3, 0.13, 0.15))


def _grown(base=PLANE, seed=2, listed=(), **cells):
    parameters = Parameters.model_validate(base | {"cells": base["cells"] | cells, "spots": listed})
    return grow(np.random.default_rng(seed), parameters), parameters


def _drawn(base=PLANE, cells=None, **kind):
    culture, parameters = _grown(base, listed=[kind], **(cells or {}))
    points, missed = spots.draw(np.random.default_rng(3), culture, parameters)
    return culture, points, missed


def _under(labels, points, grid):
    return labels[tuple(np.floor((points.places_um - grid.origin) / grid.spacing).astype(int).T)]


def _counts(culture, points):
    return np.bincount(points.cells, minlength=len(culture.kinds) + 1)[1:]


def _spot(places, photons=(1000.0,), radius=0.0):
    count = len(places)
    cells = np.ones(count, np.int64)
    light = np.resize(photons, count)
    return spots.Spots(np.array(places, float), cells, cells, light, np.full(count, radius))


@pytest.mark.parametrize("base", [PLANE, VOLUME])
@pytest.mark.parametrize("clusters", [0, 2])
@pytest.mark.parametrize("place", ["cell", "cytoplasm", "nucleus", "membrane"])
def test_no_spot_lies_outside_of_its_part_of_its_cell(base, place, clusters):
    culture, points, _ = _drawn(base, place=place, count=12, clusters=clusters, cluster_um=2.0)
    assert len(points) > 20
    assert (_under(culture.cells, points, culture.grid) == points.cells).all()
    nuclei = _under(culture.nuclei, points, culture.grid)
    assert (nuclei == {"cytoplasm": 0, "nucleus": points.cells}.get(place, nuclei)).all()
    if place == "membrane" and base is PLANE:
        assert _under(depth_um(culture.cells, culture.grid), points, culture.grid).max() <= 0.5


def test_numbers_of_spots_are_given_or_drawn_by_area_and_by_kind_of_cell():
    culture, points, _ = _drawn(count=7, law="given")
    assert set(_counts(culture, points)) == {7}
    culture, points, _ = _drawn(count=3000, by_area=True, place="cell", law="given")
    share = _counts(culture, points) / np.bincount(culture.cells.ravel())[1:]
    assert np.ptp(share) < 0.01 * share.mean()
    culture, points, _ = _drawn(cells={"kinds": (1, 1)}, count=10, kinds=(1, 3), law="given")
    assert set(culture.kinds) == {0, 1}
    assert (_counts(culture, points) == np.where(culture.kinds == 0, 10, 30)).all()
    culture, points, _ = _drawn(count=50)
    counts = _counts(culture, points)
    assert counts.mean() == pytest.approx(50, abs=4 * np.sqrt(50 / len(counts)))
    assert 0.3 < counts.var() / 50 < 2.2


def test_spots_of_a_cluster_lie_near_its_centre_and_others_far_apart():
    _, points, _ = _drawn(count=100, law="given", place="cell", clusters=1, cluster_um=0.5)
    for cell in np.unique(points.cells):
        assert points.places_um[points.cells == cell, 1:].std(axis=0).max() < 0.7
    _, points, missed = _drawn(count=60, distance_um=1.0)
    assert missed == 0
    assert not cKDTree(points.places_um).query_pairs(1.0)
    _, points, missed = _drawn(count=40, law="given", distance_um=5.0)
    assert missed > 0
    assert not cKDTree(points.places_um).query_pairs(5.0)


def _moments(seen, axis):
    """Return mean and variance of light along an axis."""
    profile = seen.sum(axis=tuple({0, 1, 2} - {axis}))
    ticks = GRID.centres(axis).astype(float)
    middle = np.average(ticks, weights=profile)
    return middle, np.average((ticks - middle) ** 2, weights=profile)


def test_light_of_a_spot_is_whole_and_its_centroid_is_the_place():
    place = (1.37, 2.123, 4.871)
    seen = spots.light(_spot([place]), GRID, PSF).astype(float)
    assert seen.sum() == pytest.approx(1000, rel=2e-5)
    for axis, centre in enumerate(place):
        middle, variance = _moments(seen, axis)
        assert middle == pytest.approx(centre, abs=2e-3)
        width = PSF.sigma_um[axis] ** 2 + GRID.spacing[axis] ** 2 / 12
        assert variance == pytest.approx(width, rel=0.02)


def test_light_beyond_the_image_is_lost_and_light_of_several_spots_adds_up():
    assert spots.light(_spot([(1.35, 0.0, 5.0)]), GRID, PSF).sum() == pytest.approx(500, rel=1e-4)
    two = _spot([(1.2, 1.5, 3.0), (1.5, 1.7, 3.1)], photons=(300.0, 700.0))
    parts = (two.take(np.arange(2) == index) for index in range(2))
    both = sum(spots.light(part, GRID, PSF) for part in parts)
    assert spots.light(two, GRID, PSF) == pytest.approx(both, abs=1e-3)


def test_a_ball_is_wider_by_its_radius_and_has_the_light_of_a_point():
    ball = _spot([(1.35, 2.0, 5.0)], radius=0.4)
    seen = spots.light(ball, GRID, PSF).astype(float)
    assert seen.sum() == pytest.approx(1000, rel=1e-3)
    middle, variance = _moments(seen, 2)
    assert middle == pytest.approx(5.0, abs=5e-3)
    assert np.sqrt(variance - 0.2**2 / 12) == pytest.approx(ball.sd_um(PSF)[0, 2], rel=0.03)


def test_signal_to_noise_of_a_sharp_spot_is_that_of_its_photons():
    sharp = Gaussian((0.0, 0.0, 0.0))
    place = _spot([(1.35, 2.05, 5.1)], photons=(400.0,))
    (ratio,) = spots.noise(
        place, spots.light(place, GRID, sharp) + np.float32(96), GRID, sharp, 2.0
    )
    assert ratio == pytest.approx(400 / np.sqrt(400 + 96 + 4))


def test_the_voxels_of_a_label_are_drawn_evenly(rng):
    labels = np.array([[[0, 2, 1], [2, 0, 2]]], np.uint16)
    places = Pools.of(labels).draw(rng, np.repeat([1, 2], 3000))
    places = np.ravel_multi_index(tuple(places.T), labels.shape)
    assert set(places[:3000]) == {2}
    assert np.bincount(places[3000:])[[1, 3, 5]] == pytest.approx([1000] * 3, abs=110)


def test_a_lone_cell_has_the_area_of_its_radius_and_a_nucleus_of_its_own():
    culture, _ = _grown(seed=4, n_cells=1, radius_um=12.0, order=0)
    assert np.count_nonzero(culture.cells) * 0.09 == pytest.approx(np.pi * 144, rel=0.01)
    assert np.pi * 3.9**2 < np.count_nonzero(culture.nuclei) * 0.09 < np.pi * 5.6**2
    assert culture.shrunk == 0


def test_cells_that_press_divide_their_overlap_and_those_that_cover_add_their_light():
    pressed, covered = (
        _grown(seed=5, n_cells=45, max_overlap=0.4, meet=meet)[0] for meet in ("press", "cover")
    )
    assert np.array_equal(pressed.cells, covered.cells)
    assert pressed.thickness.max() <= 1
    assert covered.thickness.max() > 1.2
    cells = pressed.cells[0]
    light = pressed.thickness
    across = (cells[:, 1:] != cells[:, :-1]) & (cells[:, 1:] > 0) & (cells[:, :-1] > 0)
    assert np.median(light[:, 1:][across]) < 0.5 * np.median(light[cells > 0])


def test_states_of_cells_show_in_their_nuclei():
    culture, _ = _grown(seed=6, n_cells=30, two_nuclei=0.3, dividing=0.3, dying=0.3)
    counts = np.bincount(culture.owners, minlength=31)[1:]
    assert (counts[culture.states == TWO] == 2).all()
    assert (counts[culture.states == DYING] > 2).all()
    assert (counts[culture.states == 0] == 1).all()
    assert {TWO, DIVIDING, DYING} <= set(culture.states)
    inside = culture.nuclei > 0
    assert (culture.nuclei[inside] == culture.cells[inside]).all()


def test_cells_of_a_volume_stand_on_the_glass():
    culture, _ = _grown(VOLUME)
    planes = np.flatnonzero((culture.cells > 0).any(axis=(1, 2)))
    assert planes[0] == 2  # the first with a middle above the glass
    assert planes[-1] * 0.4 < 8


def test_a_cloud_lies_around_its_middle_whatever_cells_are_there():
    stretch = [[2.0, -5.0], [0.0, 5.0]]
    cloud = {"middle_um": [20.0, 30.0], "size_um": 0.8, "stretch": stretch}
    culture, points, _ = _drawn(cloud=cloud, count=4000, law="given")
    places = points.places_um[:, 1:] - 0.15  # the first voxel's middle
    assert places.mean(axis=0) == pytest.approx([20, 30], abs=0.2)
    assert np.cov(places.T) == pytest.approx(np.transpose(stretch) @ stretch * 0.8**2 / 3, rel=0.1)
    assert (_under(culture.cells, points, culture.grid) == points.cells).all()
    assert (points.cells == 0).any()
    assert points.cells.any()
