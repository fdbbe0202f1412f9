"""Cells from files: labels on the image's voxels, with nuclei, dyes and spots in them."""

import numpy as np
import pytest
from mistakes import refused
from rasters import away_from, sizes_of

from cytosuite.bodies.grid import Grid
from cytosuite.contract.points import points_of
from cytosuite.contract.tasks import IMAGE, LABELS, POINTS
from cytosuite.datasets.cells.generate import generate
from cytosuite.datasets.cells.given import on_grid
from cytosuite.datasets.cells.parameters import Parameters
from cytosuite.datasets.cells.placement import measure
from cytosuite.datasets.phantoms.library import from_mask, write_phantom
from cytosuite.formats import write
from cytosuite.volume import Volume


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
    "volume, words",
    [
        (None, "no such file of labels"),
        (_wrong(np.ones((9, 9), np.float32), spacing=(1, 1)), "expected whole numbers"),
        (_wrong(np.ones((3, 9, 9), np.uint8), "ZYX"), "expected labels with the axes YX"),
        (_wrong(np.zeros((9, 9), np.uint8), spacing=(1, 1)), "found 0 in all of its voxels"),
        (_wrong(np.ones((9, 9), np.uint8)), "give no voxel size"),
    ],
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
