from dataclasses import replace

import numpy as np
import pytest

from cytosuite.datasets.physics import bodies, dye, shapes
from cytosuite.datasets.physics.grid import Grid

MIDDLE = np.array([[10.0, 10.0, 10.0]])


def _nuclei(seed=0, **options):
    return shapes.draw_nuclei(np.random.default_rng(seed), 1, **{"diameter_um": 9.0} | options)


def _grid(*spacing):
    return Grid(tuple(round(20 / step) for step in spacing), spacing)


def _paint(nuclei, grid, centres=MIDDLE, tile_um=12):
    tile = dye.chromatin_tile(np.random.default_rng(1), grid, 0.5, tile_um)
    return bodies.paint(nuclei, centres, grid, tile, np.zeros(grid.shape, np.float32))


def test_light_does_not_depend_on_the_voxel_size():
    nuclei = _nuclei(nucleoli=0, contrast=0.2)
    light = [
        _paint(nuclei, _grid(*spacing)).sum() * np.prod(spacing)
        for spacing in [(0.3, 0.3, 0.3), (0.5, 0.25, 0.25), (0.8, 0.4, 0.4)]
    ]
    assert light == pytest.approx([light[0]] * 3, rel=0.04)


@pytest.mark.parametrize("phase", [shapes.INTERPHASE, shapes.PROPHASE, shapes.METAPHASE])
@pytest.mark.parametrize("spacing", [(0.2, 0.2, 0.2), (0.4, 0.4, 0.4), (0.6, 0.3, 0.3)])
def test_mean_over_a_nucleus_is_its_brightness(phase, spacing):
    grid, ratios = _grid(*spacing), []
    for seed in range(8):
        nuclei = _nuclei(seed=seed, flat_fraction=0.5)
        nuclei = replace(nuclei, phase=np.array([phase]))
        light = _paint(nuclei, grid, tile_um=24).sum() * np.prod(spacing)
        ratios.append(light / bodies.volumes_um3(nuclei)[0] / nuclei.brightness[0])
    assert np.mean(ratios) == pytest.approx(1, abs=0.03)
    assert np.std(ratios) < 0.04  # by chance of the clumps and threads that are cut out


@pytest.mark.parametrize("seed", range(6))
def test_nucleoli_and_rim_do_not_change_the_mean(seed):
    nuclei = _nuclei(seed=seed, contrast=0, nucleoli=6, flat_fraction=0.5)
    light = _paint(nuclei, _grid(0.3, 0.3, 0.3)).sum() * 0.3**3
    ratio = light / bodies.volumes_um3(nuclei)[0] / nuclei.brightness[0]
    assert ratio == pytest.approx(1, abs=0.02)


def test_points_of_the_ball_are_even():
    points = dye.BALL
    assert np.linalg.norm(points, axis=0).max() < 1
    assert points.mean(axis=1) == pytest.approx(np.zeros(3), abs=0.01)
    assert (points**2).mean(axis=1) == pytest.approx(np.full(3, 1 / 5), abs=0.01)
    rng = np.random.default_rng(0)
    for centre in rng.uniform(-0.4, 0.4, (50, 3, 1)):  # smaller balls hold their share
        share = (np.linalg.norm(points - centre, axis=0) < 0.3).mean()
        assert share == pytest.approx(0.027, abs=0.014)


@pytest.mark.parametrize("phase", [shapes.INTERPHASE, shapes.PROPHASE])
def test_texture_does_not_depend_on_the_voxel_size(phase):
    spreads, means = [], []
    for step in (0.2, 0.4):
        grid, inner = _grid(step, step, step), []
        for seed in range(6):
            nuclei = replace(_nuclei(seed=seed, brightness_spread=0), phase=np.array([phase]))
            image = _paint(nuclei, grid)
            patch = next(nuclei.patches(MIDDLE, grid))
            values = image[patch.box].reshape(-1)[patch.inside[patch.distance < 0.9]]
            inner.append((values.mean(), values.std()))
        mean, spread = np.mean(inner, axis=0)
        means.append(mean)
        spreads.append(spread)
    assert means[0] == pytest.approx(means[1], rel=0.03)
    assert spreads[0] == pytest.approx(spreads[1], rel=0.08)
    assert spreads[0] > 0.2


@pytest.mark.parametrize("height", [1, 7, 20])
def test_painting_slab_by_slab_is_the_same_to_the_bit(height):
    rng = np.random.default_rng(3)
    nuclei = shapes.draw_nuclei(
        rng, 30, diameter_um=6.0, flat_fraction=0.4, mitotic_fraction=0.4, roughness=0.08
    )
    centres = rng.uniform(0, 20, (30, 3))
    grid = Grid((40, 45, 50), (0.5, 0.43, 0.41), (0.13, -0.2, 0.3))
    whole = _paint(nuclei, grid, centres)
    slabs = [
        _paint(nuclei, grid.slab(k, min(k + height, 40)), centres) for k in range(0, 40, height)
    ]
    assert (np.concatenate(slabs) == whole).all()
    assert np.count_nonzero(whole) > 1000


def _profile(image, grid, nuclei):
    """Return the mean brightness by depth below the surface, in bins of 0.2 µm."""
    patch = next(nuclei.patches(MIDDLE, grid))
    depth = (1 - patch.distance) * nuclei.semi_axes_um[0].mean()
    values = image[patch.box].reshape(-1)[patch.inside]
    return [values[(depth >= d) & (depth < d + 0.2)].mean() for d in (0.2, 0.4, 1.0, 2.0)]


def test_rim_is_denser_in_interphase_only():
    grid = _grid(0.2, 0.2, 0.2)
    for phase, low, high in ((shapes.INTERPHASE, 1.2, 1.6), (shapes.FRAGMENT, 0.95, 1.05)):
        nuclei = replace(
            _nuclei(nucleoli=0, contrast=0, axis_spread=0, roughness=0), phase=np.array([phase])
        )
        rim, _, middle, deep = _profile(_paint(nuclei, grid), grid, nuclei)
        assert low < rim / deep < high
        assert middle == pytest.approx(deep, rel=0.03)


def test_nucleolus_has_a_dense_shell():
    nuclei = _nuclei(contrast=0, axis_spread=0, roughness=0, brightness_spread=0, nucleoli=1)
    nuclei = replace(nuclei, nucleoli=np.array([[[0, 0, 0, 0.3]]]), rotations=np.eye(3)[None])
    line = _paint(nuclei, _grid(0.1, 0.1, 0.1))[98:102, 98:102].mean(axis=(0, 1))[100:]
    radius = 0.3 * nuclei.semi_axes_um.mean() * 10  # in voxels
    inside, shell, beyond = line[: int(radius) - 4], line[int(radius) :][:8], line[25:35]
    assert inside.mean() < 0.4 * beyond.mean()
    assert shell.max() > 1.15 * beyond.mean()


def test_threads_raise_the_contrast():
    grid, spreads = _grid(0.3, 0.3, 0.3), []
    for phase in (shapes.INTERPHASE, shapes.PROPHASE):
        nuclei = replace(_nuclei(nucleoli=0), phase=np.array([phase]))
        image = _paint(nuclei, grid)[25:42, 25:42, 25:42]
        spreads.append(image.std() / image.mean())
    assert spreads[1] > 1.5 * spreads[0]


def test_median_nucleus_has_brightness_one():
    nuclei = _nuclei(nucleoli=0, contrast=0, brightness_spread=0)
    image = _paint(nuclei, _grid(0.4, 0.4, 0.4))
    assert image[image > 0.8].mean() == pytest.approx(1, abs=0.05)
    assert image.dtype == np.float32


def test_contrast_is_that_of_the_chromatin():
    nuclei = _nuclei(nucleoli=0, contrast=0.4, brightness_spread=0, roughness=0)
    image = _paint(nuclei, _grid(0.3, 0.3, 0.3))
    inner = np.zeros(image.shape, bool)
    inner[25:42, 25:42, 25:42] = True
    assert np.log(image[inner]).std() == pytest.approx(0.4, rel=0.15)


def test_nucleoli_are_dark():
    dark = _paint(_nuclei(nucleoli=6, contrast=0), _grid(0.4, 0.4, 0.4))
    even = _paint(_nuclei(nucleoli=0, contrast=0), _grid(0.4, 0.4, 0.4))
    assert dark[20:30, 20:30, 20:30].min() < 0.6 * even[20:30, 20:30, 20:30].min()


def test_chromatin_is_normalised_and_periodic():
    grid = _grid(0.5, 0.25, 0.25)
    tile = dye.chromatin_tile(np.random.default_rng(0), grid, 0.5, tile_um=8)
    assert tile.shape == (16, 32, 32)
    assert tile.mean() == pytest.approx(0, abs=1e-3)
    assert tile.std() == pytest.approx(1, abs=1e-3)
    seam, step = abs(tile[:, :, 0] - tile[:, :, -1]), abs(np.diff(tile, axis=2))
    assert seam.mean() < 1.3 * step.mean()


def test_chromatin_clumps_have_their_size_in_um():
    lengths = []
    for step in (0.2, 0.4):
        tile = dye.chromatin_tile(np.random.default_rng(0), _grid(step, step, step), 0.6, 12)
        slope = (np.diff(tile, axis=2) / step).std()
        lengths.append(1 / slope)
    assert lengths[0] == pytest.approx(lengths[1], rel=0.1)
