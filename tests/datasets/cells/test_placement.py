"""Nuclei in cells: by ranges, and learned from labels of both."""

from dataclasses import replace

import numpy as np
import pytest
from mistakes import refused
from rasters import sizes_of

from cytosuite.bodies.grid import Grid
from cytosuite.bodies.stars import label
from cytosuite.datasets.cells.parameters import Cores, Parameters, Placing
from cytosuite.datasets.cells.placement import COLUMNS, Placement, learn, learn_to, measure, poses
from cytosuite.datasets.physics.shapes import draw_nuclei
from cytosuite.datasets.ranges import files_in
from cytosuite.formats import write
from cytosuite.volume import Volume

BRICKS = np.kron(np.arange(1, 101).reshape(10, 10), np.ones((30, 40), int)).astype(np.uint16)
WALL = Grid((1, 300, 400), (1.0, 0.2, 0.2))


def _fitted(labels, grid, seed=1, **options):
    """Return poses of nuclei, and the labels of their ellipsoids."""
    axes = np.ones((labels.max(), 3))
    placed = poses(np.random.default_rng(seed), Placing(**options), labels, grid, axes)
    bodies = draw_nuclei(np.random.default_rng(0), len(axes), diameter_um=1.0, roughness=0.0)
    return placed, label(
        replace(bodies, semi_axes_um=placed.semi_axes_um, rotations=placed.rotations),
        placed.centres_um,
        grid,
    )


def _learned(cells, nuclei, grid):
    axes = "YX" if len(cells) == 1 else "ZYX"
    spacing = grid.spacing[-len(axes) :]
    return learn([tuple(Volume(labels.squeeze(), spacing, axes) for labels in (cells, nuclei))])


def test_a_rectangle_has_its_centre_size_and_axes():
    labels = np.zeros((1, 20, 30), np.uint16)
    labels[0, 4:12, 5:25] = 1
    shapes = measure(labels, Grid(labels.shape, (1.0, 0.5, 0.5)))
    assert shapes.centres_um[0] == pytest.approx([0.5, 4.0, 7.5])
    assert shapes.radius_um[0] == pytest.approx(np.sqrt(4 * 10 / np.pi))
    assert shapes.elongation[0] == pytest.approx(20 / 8)
    assert np.abs(shapes.rotations[0]) == pytest.approx(np.eye(3))


def test_ranges_are_met_in_a_wall_of_bricks():
    ranges = {"ratio": (0.2, 0.3), "elongation": (1.2, 1.6), "align_deg": (20, 40)}
    placed, nuclei = _fitted(BRICKS[None], WALL, depth=(0.8, 0.95), offset=(0.15, 0.25), **ranges)
    assert placed.shrunk < 10
    rows = _learned(BRICKS[None], nuclei, WALL).columns
    assert len(rows["ratio"]) == 64  # 36 of 100 bricks lie at the edge
    for name, (low, high) in (ranges | {"depth": (0.8, 0.95), "offset": (0.15, 0.25)}).items():
        values = rows["angle_deg" if name == "align_deg" else name]
        slack = 4.0 if name == "align_deg" else 0.03
        assert low - slack < np.quantile(values, 0.05) < np.quantile(values, 0.95) < high + slack
        assert np.ptp(values) > 0.5 * (high - low)


def test_rows_are_drawn_whole():
    rng = np.random.default_rng(5)
    columns = {name: rng.uniform(0.2, 0.4, 400) for name in COLUMNS}
    columns |= {"radius_um": np.full(400, 3.9), "cell_elongation": np.full(400, 4 / 3)}
    drawn = Placement(axes="YX", **columns).draw(rng, measure(BRICKS[None], WALL))
    pairs = set(zip(*(columns[name] for name in COLUMNS), strict=True))
    assert set(zip(*(drawn[name] for name in COLUMNS), strict=True)) < pairs


def test_rows_come_from_cells_of_like_size(rng):
    size = np.repeat([2.0, 4.0, 8.0], 40)
    other = dict.fromkeys(COLUMNS, np.ones(120) * 0.5) | {"radius_um": size, "depth": size / 10}
    drawn = Placement(axes="YX", **other).draw(rng, measure(BRICKS[None], WALL))
    assert set(drawn["depth"]) == {0.4}  # bricks have the area of a disc of 3.9 µm


def test_learning_finds_again_what_was_drawn_from_it(tmp_path):
    _, nuclei = _fitted(
        BRICKS[None], WALL, ratio=(0.15, 0.3), elongation=(1.1, 1.5), depth=(0.75, 1.0)
    )
    for name, labels in (("cells", BRICKS), ("nuclei", nuclei[0])):
        write(tmp_path / name / "wall.tif", Volume(labels, (0.2, 0.2), "YX"))
    first = learn_to(tmp_path / "rows.json", tmp_path / "cells", tmp_path / "nuclei")
    _, again = _fitted(BRICKS[None], WALL, seed=2, learned=str(tmp_path / "rows.json"))
    second = _learned(BRICKS[None], again, WALL)
    for name in ("depth", "offset", "ratio", "elongation"):
        a = first.columns[name]
        b = second.columns[name]
        error = np.hypot(a.std(), b.std()) / 8  # 64 cells
        assert b.mean() == pytest.approx(a.mean(), abs=3 * error), name
        assert b.std() == pytest.approx(a.std(), abs=3 * error), name


def test_nuclei_of_a_volume_have_their_share_and_stay_inside():
    labels = np.zeros((12, 20, 40), np.uint16)
    labels[1:11, 1:19, 1:20] = 1
    labels[1:11, 1:19, 20:39] = 2
    grid = Grid(labels.shape, (0.6, 0.3, 0.3))
    placed, nuclei = _fitted(labels, grid, ratio=0.2, elongation=1.3, depth=0.9)
    assert sizes_of(nuclei) / sizes_of(labels) == pytest.approx([0.2, 0.2], abs=0.02)
    assert (labels[nuclei > 0] == nuclei[nuclei > 0]).all()
    assert placed.rotations.transpose(0, 2, 1) @ placed.rotations == pytest.approx(
        np.broadcast_to(np.eye(3), (2, 3, 3)), abs=1e-9
    )


def test_a_nucleus_without_room_shrinks_until_it_is_inside():
    labels = np.zeros((1, 40, 40), np.uint16)
    labels[0, 2:38, 2:12] = labels[0, 28:38, 2:38] = 1  # an L
    placed, nuclei = _fitted(labels, Grid(labels.shape, (1.0, 0.25, 0.25)), ratio=0.6)
    assert placed.shrunk == 1
    assert (labels[nuclei > 0] == 1).mean() > 0.9


def test_pairs_that_teach_nothing_are_refused(tmp_path):
    cells = np.ones((1, 9, 9), np.uint16)
    grid = Grid((1, 9, 9), (1.0, 1.0, 1.0))
    refused("one nucleus each, clear of the faces", _learned, cells, cells, grid)
    flat = Volume(cells[0], (1.0, 1.0), "YX")
    refused("of the same shape", learn, [(flat, Volume(cells, (1.0,) * 3, "ZYX"))])
    path = tmp_path / "rows.json"
    path.write_text(Placement(**dict.fromkeys(COLUMNS, (0.5,)) | {"axes": "ZYX"}).model_dump_json())
    message = "learned from labels ZYX, but the cells are YX"
    refused(message, _fitted, cells, grid, learned=str(path))


def test_one_number_of_depth_and_angle_is_an_end_of_a_range():
    one = Parameters.model_validate({"nuclei": {"depth": 0.7, "align_deg": 12}}).nuclei
    assert one.depth == (0.7, 1.0)
    assert one.align_deg == (0.0, 12.0)
    assert not one.fitted
    assert Cores(depth=(0.2, 0.5)).fitted


def test_files_of_a_recipe_count_for_its_fingerprint():
    named = {"cells": {"source": "cells"}, "nuclei": {"learned": "a.json", "phantoms": "library"}}
    files = files_in(Parameters.model_validate(named))
    assert [path.name for path in files] == ["cells", "a.json", "library"]
