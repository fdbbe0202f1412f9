from itertools import pairwise, product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from rasters import places_of, sizes_of
from scipy import ndimage

from cytosuite.bodies.grid import Grid
from cytosuite.bodies.stars import label
from cytosuite.datasets.physics import cells
from cytosuite.datasets.physics.shapes import draw_nuclei


def _everywhere(grid):
    return np.full(grid.shape, -np.inf, np.float32)


def _half(grid):
    """Return tissue below a plane."""
    return np.broadcast_to((2.5 - grid.centres(0))[:, None, None], grid.shape)


def _grid(size_um, *spacing):
    return Grid(tuple(np.divide(size_um, spacing).round().astype(int).tolist()), spacing)


def _spheres(centres, radii, outside=_everywhere):
    axes = np.repeat(np.asarray(radii, float)[:, None], 3, axis=1)
    frames = np.tile(np.eye(3), (len(axes), 1, 1))
    rng = np.random.default_rng(2)
    bounds = _grid((8, 8, 16), 2, 2, 2)
    return cells.grow_cells(
        rng, axes, frames, np.asarray(centres, float), outside, bounds, volume_spread=0, rounds=0
    )


@pytest.fixture(scope="module")
def tissue():
    """Return 27 nuclei on a jittered lattice of 12 µm in a cube, its distance and bounds."""
    rng = np.random.default_rng(4)
    nuclei = draw_nuclei(rng, 27, diameter_um=8, axis_spread=0.15, roughness=0)
    centres = np.array([*product((8, 20, 32), repeat=3)]) + rng.uniform(-1, 1, (27, 3))

    def outside(grid):
        return abs(places_of(grid) - 20).max(axis=3) - np.float32(18.3)

    return nuclei, centres, outside, Grid((4, 4, 4), (10, 10, 10))


def _grow(tissue, **options):
    nuclei, centres, outside, bounds = tissue
    return cells.grow_cells(
        np.random.default_rng(0),
        nuclei.semi_axes_um,
        nuclei.rotations,
        centres,
        outside,
        bounds,
        **options,
    )


def test_owner_has_the_smallest_key(tissue):
    nuclei, centres, outside, _ = tissue
    grown = _grow(tissue)
    grid = _grid((24, 24, 24), 4.2, 3.4, 3.4)
    points = places_of(grid)
    keys = []
    for c, a, r, w in zip(
        centres, nuclei.semi_axes_um, nuclei.rotations, grown.weights_um, strict=True
    ):
        local = (points - c) @ r
        low = np.zeros(grid.shape)
        high = np.full(grid.shape, 99.0)
        for _ in range(25):  # the distance by bisection
            s = (low + high) / 2
            beyond = ((local / (a + s[..., None])) ** 2).sum(axis=3) > 1
            low = np.where(beyond, s, low)
            high = np.where(beyond, high, s)
        radius = a.prod() ** (1 / 3)
        keys.append(radius * s * (1 + s / 2 / radius - w / (s + grown.softness_um)))
    expected = np.where(outside(grid) < 0, np.argmin(keys, axis=0) + 1, 0)
    assert np.mean(grown.label(grid) == expected) > 0.998


def test_cells_fill_the_tissue_in_one_piece_each_around_their_nuclei(tissue):
    nuclei, centres, outside, _ = tissue
    grown = _grow(tissue, volume_spread=0.6, wrinkle_um=0.6)
    assert grown.weights_um.max() == pytest.approx(0.9 * grown.softness_um)  # as far as they go
    grid = _grid((40, 40, 40), 1, 0.5, 0.5)
    labels = grown.label(grid)
    assert ((labels > 0) == (outside(grid) < 0)).all()
    inside = label(nuclei, centres, grid) * (labels > 0)
    assert (inside == labels)[inside > 0].mean() > 0.999
    largest = [sizes_of(ndimage.label(labels == n)[0]).max() for n in range(1, 28)]
    assert sum(largest) > 0.999 * np.count_nonzero(labels)


def test_volumes_come_near_those_wanted(tissue):
    grid = _grid((40, 40, 40), 0.8, 0.8, 0.8)
    volumes = tissue[0].semi_axes_um.prod(axis=1)
    spread = []
    for rounds in (0, 12):
        ratios = sizes_of(_grow(tissue, volume_spread=0, rounds=rounds).label(grid)) / volumes
        spread.append(np.median(abs(ratios / np.median(ratios) - 1)))
    assert spread[1] < 0.1 < spread[0]


def _both(grown, grid):
    return grown.label(grid), grown.membranes(grid, 0.4, np.linspace(1, 2, len(grown)))


def test_slabs_and_blocks_give_the_same_bits(tissue, monkeypatch):
    grown = _grow(tissue, wrinkle_um=0.4)
    grid = _grid((40, 40, 40), 1.1, 0.53, 0.47)
    whole = _both(grown, grid)
    slabs = [_both(grown, grid.slab(*span)) for span in pairwise([0, 7, 8, 25, grid.shape[0]])]
    for one, parts in zip(whole, zip(*slabs, strict=True), strict=True):
        assert_array_equal(one, np.concatenate(parts))
    monkeypatch.setattr(cells, "BLOCK_UM", 9.0)
    monkeypatch.setattr("cytosuite.bodies.grid.SLAB", 5000)  # voxels on which cells are grown
    for one, other in zip(whole, _both(_grow(tissue, wrinkle_um=0.4), grid), strict=True):
        assert_array_equal(one, other)


@pytest.fixture
def even(monkeypatch):
    monkeypatch.setattr(cells, "UNEVEN", 0.0)


@pytest.mark.usefixtures("even")
def test_dye_in_an_oblique_sheet_is_its_area_times_its_thickness():
    oblique = _spheres([(4, 3, 5), (10, 8, 13)], [2, 2])
    grid = _grid((14, 12, 16), 1.0, 0.3, 0.3)
    dye = oblique.membranes(grid, 0.4, 1.0).sum() * np.prod((1.0, 0.3, 0.3))
    along = (places_of(grid) @ (6, 5, 8) - 141.5) / 125**0.5
    area = np.count_nonzero(abs(along) < 0.5) * np.prod((1.0, 0.3, 0.3))  # of a sheet of 1 µm
    assert dye == pytest.approx(0.4 * area, rel=0.02)


@pytest.mark.usefixtures("even")
def test_surface_of_the_tissue_has_one_membrane_and_nothing_beyond():
    grid = _grid((8, 8, 16), 0.2, 0.25, 0.25)
    image = _spheres([(4, 4, 8)], [2], _half).membranes(grid, 0.4, 3.0)
    assert_allclose(image.sum(axis=0) * 0.2, 3 * 0.4 / 2, rtol=0.03)
    two = _spheres([(4, 4, 3), (4, 4, 13)], [2, 2], _half).membranes(grid, 0.4, 1.0)
    assert not two[grid.centres(0) < 2.5 - 0.3].any()
    assert two[20, :, 31:33] == pytest.approx(0.2 / 0.25, abs=1e-4)
