from dataclasses import replace

import numpy as np
import pytest
from rasters import cube, sizes_of
from scipy import ndimage

from cytosuite.bodies.grid import Grid
from cytosuite.bodies.stars import label
from cytosuite.datasets.physics import bodies, shapes

MIDDLE = np.array([[10.0, 10.0, 10.0]])


def _nuclei(seed=0, **options):
    return shapes.draw_nuclei(np.random.default_rng(seed), 1, **{"diameter_um": 9.0} | options)


def _paint(nuclei, grid, centres=MIDDLE, tile_um=12):
    tile = bodies.chromatin_tile(np.random.default_rng(1), grid, 0.5, tile_um)
    return bodies.paint(nuclei, centres, grid, tile, np.zeros(grid.shape, np.float32))


@pytest.mark.parametrize("phase", [shapes.INTERPHASE, shapes.PROPHASE, shapes.METAPHASE])
def test_mean_over_a_nucleus_is_its_brightness(phase):
    grid = cube(20, 0.6, 0.3, 0.3)
    ratios = []
    for seed in range(8):
        nuclei = _nuclei(seed=seed, flat_fraction=0.5)
        nuclei = replace(nuclei, phase=np.array([phase]))
        light = _paint(nuclei, grid, tile_um=24).sum() * np.prod((0.6, 0.3, 0.3))
        ratios.append(light / bodies.volumes_um3(nuclei)[0] / nuclei.brightness[0])
    assert np.mean(ratios) == pytest.approx(1, abs=0.03)
    assert np.std(ratios) < 0.04  # by chance of the clumps and threads that are cut out


def test_painting_slab_by_slab_is_the_same_to_the_bit(rng):
    nuclei = shapes.draw_nuclei(
        rng, 30, diameter_um=6.0, flat_fraction=0.4, mitotic_fraction=0.4, roughness=0.08
    )
    centres = rng.uniform(0, 20, (30, 3))
    grid = Grid((40, 45, 50), (0.5, 0.43, 0.41), (0.13, -0.2, 0.3))
    whole = _paint(nuclei, grid, centres)
    slabs = [_paint(nuclei, grid.slab(k, min(k + 7, 40)), centres) for k in range(0, 40, 7)]
    assert (np.concatenate(slabs) == whole).all()
    assert np.count_nonzero(whole) > 1000


def test_nucleolus_has_a_dense_shell():
    nuclei = _nuclei(contrast=0, axis_spread=0, roughness=0, brightness_spread=0, nucleoli=1)
    nuclei = replace(nuclei, nucleoli=np.array([[[0, 0, 0, 0.3]]]), rotations=np.eye(3)[None])
    line = _paint(nuclei, cube(20, 0.1, 0.1, 0.1))[98:102, 98:102].mean(axis=(0, 1))[100:]
    radius = 0.3 * nuclei.semi_axes_um.mean() * 10  # in voxels
    inside, shell, beyond = line[: int(radius) - 4], line[int(radius) :][:8], line[25:35]
    assert inside.mean() < 0.4 * beyond.mean()
    assert shell.max() > 1.15 * beyond.mean()


def test_chromatin_is_normalised_and_periodic(rng):
    tile = bodies.chromatin_tile(rng, cube(20, 0.5, 0.25, 0.25), 0.5, tile_um=8)
    assert tile.shape == (16, 32, 32)
    assert tile.mean() == pytest.approx(0, abs=1e-3)
    assert tile.std() == pytest.approx(1, abs=1e-3)
    assert abs(tile[:, :, 0] - tile[:, :, -1]).mean() < 1.3 * abs(np.diff(tile, axis=2)).mean()


def test_chromatin_clumps_have_their_size_in_um():
    lengths = []
    for step in (0.2, 0.4):
        tile = bodies.chromatin_tile(np.random.default_rng(0), cube(20, step, step, step), 0.6, 12)
        lengths.append(1 / (np.diff(tile, axis=2) / step).std())
    assert lengths[0] == pytest.approx(lengths[1], rel=0.1)


def test_the_border_bulges_into_the_larger_ball(rng):
    balls = shapes.draw_nuclei(rng, 2, diameter_um=2.0, roughness=0)
    balls = replace(balls, semi_axes_um=np.array([[5.0] * 3, [2.5] * 3]))
    centres = np.array([[10.0, 10, 5], [10, 10, 11]])  # surfaces at x = 9 and 9, in ratio 4 : 2
    ((pressed, _),) = bodies.pressed([(balls, centres)])
    line = label(pressed, centres, cube(20, 0.1, 0.1, 0.1))[100, 100]
    assert np.flatnonzero(line == 1)[-1] + 1 == np.flatnonzero(line == 2)[0] == 90


def test_pressed_bodies_share_out_the_same_place_in_one_piece_each(rng):
    nuclei = shapes.draw_nuclei(rng, 24, diameter_um=6.0, axis_spread=0.2, flat_fraction=0.2)
    centres = np.stack(np.meshgrid(*[[5.0, 10.0, 15.0]] * 3), axis=-1).reshape(-1, 3)[:24]
    parts = bodies.pressed(
        [(nuclei.take(half), centres[half]) for half in np.split(np.arange(24), 2)]
    )
    grid = cube(20, 0.4, 0.4, 0.4)
    pressed = bodies.Mixture(tuple(part for part, _ in parts))
    owners = np.zeros(grid.shape, int)
    for patch in pressed.patches(centres, grid):
        owners[patch.box] += patch.on_box(patch.distance, 1.0) < 1
    alone = label(nuclei, centres, grid) > 0
    assert owners.max() == 1
    assert ((owners == 1) == alone).mean() > 0.99  # roughness beyond a neighbour's ellipsoid
    labels = label(pressed, centres, grid)
    for number, size in enumerate(sizes_of(labels), 1):
        pieces, _ = ndimage.label(labels == number)
        assert sizes_of(pieces).max() > 0.99 * size
    slabs = [label(pressed, centres, grid.slab(k, k + 10)) for k in range(0, 50, 10)]
    assert (np.concatenate(slabs) == labels).all()
