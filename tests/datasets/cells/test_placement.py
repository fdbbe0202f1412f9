"""Nuclei in cells: by ranges, and learned from labels of both."""

from dataclasses import replace

import numpy as np
import pytest
from mistakes import refused
from rasters import away_from, sizes_of

from cytosuite.bodies.grid import Grid
from cytosuite.bodies.stars import label
from cytosuite.contract.points import points_of
from cytosuite.contract.tasks import IMAGE, LABELS, POINTS
from cytosuite.datasets.cells.generate import generate
from cytosuite.datasets.cells.given import on_grid
from cytosuite.datasets.cells.parameters import Cores, Parameters, Placing
from cytosuite.datasets.cells.placement import COLUMNS, Placement, learn, learn_to, measure, poses
from cytosuite.datasets.phantoms.library import from_mask, write_phantom
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
    placed, nuclei = _fitted(
        labels, Grid(labels.shape, (0.6, 0.3, 0.3)), ratio=0.2, elongation=1.3, depth=0.9
    )
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
    refused(
        "learned from labels ZYX, but the cells are YX", _fitted, cells, grid, learned=str(path)
    )


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


def _plane():
    """Return a square, an L, and a cell that the image cuts."""
    labels = np.zeros((60, 70), np.uint16)
    labels[5:25, 5:25] = 7
    labels[30:55, 10:20] = labels[45:55, 10:40] = 300
    labels[10:40, 50:70] = 9
    return Volume(labels, (0.5, 0.5), "YX")


def _box():
    labels = np.zeros((12, 30, 30), np.uint16)
    labels[2:10, 3:14, 3:27] = 1
    labels[2:10, 14:27, 3:27] = 2
    return Volume(labels, (0.8, 0.4, 0.4), "ZYX")


def _made(path, volume, seed=1, **changes):
    write(path, volume)
    values = {
        "image": {"shape": "source", "spacing_um": volume.spacing, "margin_um": 0.0},
        "cells": {"source": str(path)},
        "nuclei": {"ratio": 0.2},
        "spots": [{"place": "nucleus", "count": 9, "law": "given"}],
    }
    return generate(np.random.default_rng(seed), Parameters.model_validate(values | changes))


@pytest.mark.parametrize("volume", [_plane(), _box()], ids=["plane", "box"])
def test_given_cells_keep_their_outlines_and_hold_nuclei_and_spots(tmp_path, volume):
    sample = _made(tmp_path / "cells.tif", volume, dyes={"membrane": 1.0})
    cells = sample.volume(LABELS.slug)
    nuclei = sample.extras["nucleus-labels"].array
    numbers, places = np.unique(volume.array, return_inverse=True)
    assert cells.axes == volume.axes
    assert np.array_equal(cells.array, places.reshape(volume.shape))
    assert set(np.unique(nuclei)) == set(range(len(numbers)))
    assert (cells.array[nuclei > 0] == nuclei[nuclei > 0]).all()
    spots = points_of(sample.sockets[POINTS.slug], volume.spacing)
    assert len(spots) == 9 * (len(numbers) - 1)
    assert (nuclei[tuple(np.floor(spots.array + 0.5).astype(int).T)] == spots.cells).all()
    inside, outside = (sample.volume(IMAGE.slug).array[mask] for mask in (places > 0, places == 0))
    assert inside.mean() > 2 * outside.mean() or volume.axes == "ZYX"
    assert sample.metadata["cells_file"] == "cells.tif"


def test_a_folder_gives_one_file_for_each_case(tmp_path):
    write(tmp_path / "a.tif", _plane())
    samples = [
        _made(tmp_path / "b.tif", _plane(), seed, cells={"source": str(tmp_path)})
        for seed in range(8)
    ]
    assert {sample.metadata["cells_file"] for sample in samples} == {"a.tif", "b.tif"}


def test_labels_lie_in_the_middle_at_the_voxel_size_of_the_image():
    labels = np.arange(1, 7, dtype=np.uint16).reshape(2, 3)
    source = Volume(labels, (2.0, 1.0), "YX")
    wide = on_grid(source, Grid((1, 6, 5), (1.0, 1.0, 1.0)))
    assert np.array_equal(wide[0, 1:5, 1:4], labels.repeat(2, axis=0))
    assert wide.sum() == 2 * labels.sum()
    assert on_grid(source, Grid((1, 2, 1), (1.0, 1.0, 1.0))).ravel().tolist() == [1, 2]


def test_cells_go_on_beyond_the_image_where_the_labels_do(tmp_path):
    image = {"shape": (20, 20), "spacing_um": (0.5, 0.5), "margin_um": 10.0}
    sample = _made(tmp_path / "cells.tif", _plane(), image=image)
    assert np.array_equal(sample.volume(LABELS.slug).array > 0, _plane().array[20:40, 25:45] > 0)


def _wrong(array, axes="YX", spacing=None):
    metadata = {} if spacing else {"spacing_source": "assumed"}
    return Volume(array, spacing or (1.0,) * len(axes), axes, metadata)


@pytest.mark.parametrize(
    "words, volume",
    {
        "no such file of labels": None,
        "expected whole numbers": _wrong(np.ones((9, 9), np.float32), spacing=(1, 1)),
        "expected labels with the axes YX": _wrong(np.ones((3, 9, 9), np.uint8), "ZYX"),
        "found 0 in all of its voxels": _wrong(np.zeros((9, 9), np.uint8), spacing=(1, 1)),
        "give no voxel size": _wrong(np.ones((9, 9), np.uint8)),
    }.items(),
)
def test_what_is_no_labels_is_refused_in_one_line(tmp_path, volume, words, rng):
    if volume is not None:
        write(tmp_path / "cells.tif", volume)
    image = {"shape": (9, 9), "spacing_um": (1.0, 1.0)}
    refused(
        words, generate, rng, {"image": image, "cells": {"source": str(tmp_path / "cells.tif")}}
    )


def test_the_size_of_labels_needs_labels():
    with pytest.raises(ValueError, match="cells.source names no file"):
        Parameters.model_validate({"image": {"shape": "source"}})


def test_stored_nuclei_are_turned_and_scaled_into_their_cells(tmp_path):
    inside = away_from((10, 10, 20), (21, 21, 41), np.divide(1, (10, 10, 18))) ** 2 < 0.8
    write_phantom(
        tmp_path / "library", from_mask("long", inside.astype(np.float32), inside, (0.3,) * 3)
    )
    nuclei = {"phantoms": str(tmp_path / "library"), "ratio": 0.2, "align_deg": 0}
    sample = _made(tmp_path / "cells.tif", _box(), nuclei=nuclei)
    cells = sample.volume(LABELS.slug).array
    inner = sample.extras["nucleus-labels"].array
    assert sizes_of(inner) / sizes_of(cells) == pytest.approx([0.2, 0.2], abs=0.03)
    shapes = measure(inner, Grid(inner.shape, (0.8, 0.4, 0.4)))
    assert shapes.elongation == pytest.approx([1.8, 1.8], abs=0.15)
    assert np.abs(shapes.rotations[:, 2, 2]) == pytest.approx([1, 1], abs=0.05)
