import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mistakes import refused
from rasters import places_of

from cytosuite.bodies.grid import Grid
from cytosuite.datasets.membrane import structures


def _grid(shape):
    return Grid(shape, (1.0, 0.5, 0.25))


def _everywhere(grid):
    return np.ones(grid.shape, bool)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 1000),
    count=st.integers(2, 30),
    shape=st.tuples(st.integers(1, 12), st.integers(1, 20), st.integers(1, 70)),
    map_=st.booleans(),
)
def test_cells_are_those_of_the_smallest_weighted_distance(seed, count, shape, map_):
    # All pairs of voxels and centres, in float64, are an independent program.
    rng = np.random.default_rng(seed)
    grid = _grid(shape)
    centres = rng.uniform(-0.2, 1.2, (count, 3)) * grid.size_um
    factors = rng.uniform(1, 1.5, count)
    shrink = rng.uniform(0.3, 1, shape[1]).astype(np.float32) if map_ else None
    labels = structures.cells(centres, factors, grid, _everywhere(grid), shrink)
    apart = places_of(grid).astype(float)[..., None, :] - centres
    if map_:
        apart[..., 2] *= shrink[:, None, None]
    keys = np.linalg.norm(apart, axis=-1) * factors
    first, second = np.moveaxis(np.partition(keys, 1)[..., :2], -1, 0)
    clear = second - first > 1e-4
    assert clear.mean() > 0.9
    assert (labels[clear] == keys.argmin(-1)[clear] + 1).all()


def test_outside_of_the_tissue_there_is_no_cell(rng):
    grid = _grid((6, 20, 40))
    inside = rng.random(grid.shape) < 0.5
    centres = np.random.default_rng(1).uniform(0, 1, (9, 3)) * grid.size_um
    labels = structures.cells(centres, np.ones(9), grid, inside)
    assert (labels == structures.cells(centres, np.ones(9), grid, _everywhere(grid)) * inside).all()
    assert not structures.cells(centres[:0], np.ones(0), grid, inside).any()


def test_weights_grow_with_the_distance_of_neighbours(rng):
    centres = rng.uniform(0, 10, (50, 3))
    factors = structures.weights(centres, 0.25)
    apart = np.linalg.norm(centres[:, None] - centres, axis=-1) + 1e9 * np.eye(50)
    assert factors == pytest.approx(1 + 0.25 * apart.min(1) / apart.min(1).max())
    assert structures.weights(centres, 0.0).tolist() == [1.0] * 50
    assert structures.weights(centres[:1], 0.25).tolist() == [1.0]
    assert structures.weights(np.zeros((2, 3)), 0.25).tolist() == [1.0, 1.0]


def test_too_many_cells_are_refused():
    grid = _grid((1, 1, 1))
    refused(
        "at most 65535 cells, found 65536; raise cell_um",
        structures.cells,
        np.zeros((65536, 3)),
        np.ones(65536),
        grid,
        _everywhere(grid),
    )


def test_stray_pieces_go_to_the_cell_beside_them():
    labels = np.array([[[1, 1, 1, 2, 1, 3, 3, 3, 2, 2, 2, 0]]], np.uint16)
    assert structures.whole(labels, labels > 0, 2).tolist() == [
        [[1, 1, 1, 1, 3, 3, 3, 3, 2, 2, 2, 0]]
    ]


def test_tissue_that_no_cell_touches_is_left_free():
    labels = np.array([[[1, 1, 1, 0, 2]]], np.uint16)
    assert structures.whole(labels, labels > 0, 2).tolist() == [[[1, 1, 1, 0, 0]]]
