import numpy as np
import pytest

from cytosuite.datasets.physics import bodies, debris, dye, shapes
from cytosuite.datasets.physics.grid import Grid

MIDDLE = (10.0, 10.0, 10.0)


def _dying(count=4, seed=0):
    rng = np.random.default_rng(seed)
    nuclei = shapes.draw_nuclei(rng, count, diameter_um=9.0, axis_spread=0.2)
    return rng, nuclei, rng.uniform(10, 60, (count, 3))


def _blobs(centre=MIDDLE, sigma=(3.0, 2.0, 1.0), brightness=1.5):
    return debris.Blobs(np.array([centre]), np.array([sigma]), np.array([brightness]))


def _paint(blobs, grid):
    return debris.paint_blobs(blobs, grid, np.zeros(grid.shape, np.float32))


def test_pieces_fill_their_share_of_each_nucleus():
    rng, nuclei, centres = _dying(1)
    pieces, places = debris.fragments(rng, nuclei, centres, share=0.08)
    assert bodies.volumes_um3(pieces).sum() == pytest.approx(0.08 * bodies.volumes_um3(nuclei)[0])
    assert places.shape == (len(pieces), 3)
    assert (pieces.phase == shapes.FRAGMENT).all()
    assert not pieces.mitotic.any()


def test_number_and_brightness_of_pieces_are_in_their_ranges():
    rng, nuclei, centres = _dying(60)
    pieces, places = debris.fragments(rng, nuclei, centres, count=(2, 4), factor=(3, 10))
    near = np.linalg.norm(places[:, None] - centres, axis=2).argmin(axis=1)
    counts = np.bincount(near, minlength=60)
    assert counts.mean() == pytest.approx(3, abs=0.5)
    assert len(pieces) == counts.sum()
    assert pieces.brightness.min() > 3 * nuclei.brightness.min()
    assert pieces.brightness.max() < 10 * nuclei.brightness.max()


def test_pieces_lie_inside_of_their_nucleus():
    rng, nuclei, centres = _dying(1)
    pieces, places = debris.fragments(rng, nuclei, centres, share=0.2)
    local = (places - centres) @ nuclei.rotations[0] / nuclei.semi_axes_um[0]
    reach = pieces.semi_axes_um.max(axis=1) / nuclei.semi_axes_um.min()
    assert (np.linalg.norm(local, axis=1) + reach).max() <= 1


def test_pieces_are_uneven_and_hardly_overlap():
    rng, nuclei, centres = _dying(1)
    pieces, places = debris.fragments(rng, nuclei, centres, count=(12, 12))
    radii = pieces.semi_axes_um.prod(axis=1) ** (1 / 3)
    assert radii.max() > 1.4 * radii.min()
    distance = np.linalg.norm(places[:, None] - places, axis=2) + 1e9 * np.eye(12)
    assert (distance / (radii[:, None] + radii)).min() > 0.8


def test_without_dying_nuclei_there_are_no_pieces():
    rng, nuclei, centres = _dying(1)
    pieces, places = debris.fragments(rng, nuclei.take(np.zeros(0, int)), centres[:0])
    assert len(pieces) == 0
    assert places.shape == (0, 3)


def test_same_seed_gives_the_same_pieces():
    one, other = (debris.fragments(*_dying(3, seed=2)) for _ in range(2))
    assert (one[1] == other[1]).all()
    assert (one[0].brightness == other[0].brightness).all()


def test_bodies_are_round_and_in_their_ranges():
    found = debris.bodies(
        np.random.default_rng(0), 300, diameter_um=(1.0, 4.0), brightness=(0.2, 2.0)
    )
    diameters = (6 / np.pi * bodies.volumes_um3(found)) ** (1 / 3)
    assert (diameters.min(), diameters.max()) == pytest.approx((1, 4), rel=0.05)
    assert np.median(diameters) == pytest.approx(2, rel=0.1)
    assert (found.brightness.min(), found.brightness.max()) == pytest.approx((0.2, 2), rel=0.05)
    assert np.median(found.semi_axes_um[:, 2] / found.semi_axes_um[:, 0]) < 1.4
    assert not found.nucleoli.any()


def test_body_is_painted_with_its_brightness():
    rng = np.random.default_rng(0)
    body = debris.bodies(rng, 1, diameter_um=(4, 4), brightness=(3, 3))
    grid = Grid((50, 50, 50), (0.4, 0.4, 0.4))
    image = np.zeros(grid.shape, np.float32)
    tile = dye.chromatin_tile(rng, grid, 0.5, tile_um=8)
    bodies.paint(body, np.array([MIDDLE]), grid, tile, image)
    light = image.sum() * 0.4**3 / bodies.volumes_um3(body)[0]
    assert light == pytest.approx(3, rel=0.05)


def test_blob_is_a_gaussian():
    grid = Grid((101, 101, 101), (0.2, 0.2, 0.2), (-0.1, -0.1, -0.1))
    image = _paint(_blobs(), grid)
    floor = np.exp(-4.5)
    assert image[50, 50, 50] == pytest.approx(1.5)
    for axis, sigma in enumerate((3.0, 2.0, 1.0)):
        index = [50, 50, 50]
        index[axis] += round(sigma / 0.2)
        assert image[tuple(index)] == pytest.approx(
            1.5 * (np.exp(-0.5) - floor) / (1 - floor), rel=1e-4
        )
    assert image[50, 50, 50 + 15] == pytest.approx(0, abs=1e-6)  # three standard deviations
    assert (image >= 0).all()


def test_blobs_add_up():
    grid = Grid((20, 20, 20), (1, 1, 1))
    both = debris.Blobs(np.array([MIDDLE] * 2), np.full((2, 3), 2.0), np.array([1.0, 0.5]))
    first = debris.Blobs(both.centres_um[:1], both.sigmas_um[:1], both.brightness[:1])
    image = debris.paint_blobs(both, grid, np.ones(grid.shape, np.float32))
    assert image - 1 == pytest.approx(1.5 * _paint(first, grid), abs=1e-5)


def test_blobs_painted_slab_by_slab_are_the_same_to_the_bit():
    rng = np.random.default_rng(0)
    blobs = debris.draw_blobs(
        rng,
        rng.uniform(-5, 25, (12, 3)),
        sigma_z_um=(4, 8),
        sigma_xy_um=(1, 3),
        brightness=(0.03, 0.3),
    )
    grid = Grid((40, 30, 30), (0.5, 0.7, 0.7), (0.3, 0.1, -0.2))
    slabs = [_paint(blobs, grid.slab(k, k + 8)) for k in range(0, 40, 8)]
    assert (np.concatenate(slabs) == _paint(blobs, grid)).all()


def test_drawn_blobs_are_in_their_ranges():
    rng = np.random.default_rng(0)
    blobs = debris.draw_blobs(
        rng,
        rng.uniform(0, 20, (200, 3)),
        sigma_z_um=(8, 16),
        sigma_xy_um=(3, 7),
        brightness=(0.03, 0.3),
    )
    assert ((blobs.sigmas_um[:, 0] >= 8) & (blobs.sigmas_um[:, 0] <= 16)).all()
    assert (blobs.sigmas_um[:, 1] == blobs.sigmas_um[:, 2]).all()
    assert blobs.sigmas_um[:, 1].mean() == pytest.approx(5, abs=0.3)
    assert np.median(blobs.brightness) == pytest.approx(0.095, rel=0.25)
