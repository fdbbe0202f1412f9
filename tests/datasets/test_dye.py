import numpy as np
import pytest

from datasets import bodies, dye, shapes
from datasets.grid import Grid

MIDDLE = np.array([[10.0, 10.0, 10.0]])


def _nuclei(**options):
    return shapes.draw_nuclei(np.random.default_rng(0), 1, **{"diameter_um": 9.0} | options)


def _grid(*spacing):
    return Grid(tuple(round(20 / step) for step in spacing), spacing)


def _paint(nuclei, grid, centres=MIDDLE, size_um=0.5):
    tile = dye.chromatin_tile(np.random.default_rng(1), grid, size_um, tile_um=8)
    return bodies.paint(nuclei, centres, grid, tile, np.zeros(grid.shape, np.float32))


def test_light_does_not_depend_on_the_voxel_size():
    nuclei = _nuclei(nucleoli=0, contrast=0.2)
    light = [
        _paint(nuclei, _grid(*spacing), size_um=1).sum() * np.prod(spacing)
        for spacing in [(0.3, 0.3, 0.3), (0.5, 0.25, 0.25), (0.8, 0.4, 0.4)]
    ]
    assert light == pytest.approx([light[0]] * 3, rel=0.08)


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
