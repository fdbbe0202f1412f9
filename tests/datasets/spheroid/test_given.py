"""Spheroids of a user's cells: a nucleus in each, membranes where they meet."""

import numpy as np
import pytest
from rasters import sizes_of
from spheroids import image_of, labels_of, make

from cytosuite.formats import write
from cytosuite.volume import Volume


@pytest.fixture
def cells(tmp_path):
    """Return the file of eight boxes of 10 x 16 x 16 µm."""
    labels = np.kron(np.arange(1, 9).reshape(2, 2, 2), np.ones((5, 32, 32), int))
    write(tmp_path / "cells.tif", Volume(labels.astype(np.uint16), (2.0, 0.5, 0.5)))
    return str(tmp_path / "cells.tif")


def _changes(cells, **more):
    return {
        "cells": {"source": cells, "enabled": True, "membrane_um": 1.0},
        "nucleus": {"mitotic_fraction": 0.0, "diameter_um": 6.0, "roughness": 0.0},
        "labels": {"min_voxels": 1},
        **more,
    }


def test_each_cell_of_a_file_has_its_outline_and_a_nucleus(cells):
    sample = make(_changes(cells))
    nuclei = labels_of(sample)
    around = sample.extras["cell-labels"].array
    assert sizes_of(around).tolist() == [5 * 32 * 32] * 8
    assert [np.unique(around[nuclei == n]).tolist() for n in range(1, 9)] == [
        [n] for n in range(1, 9)
    ]
    assert sample.metadata["n_cells"] == sample.metadata["n_nuclei"] == 8
    assert sample.metadata["cells_file"] == "cells.tif"


def test_membranes_shine_where_cells_meet(cells):
    changes = _changes(cells, output={"channel": "membrane"}, optics={"attenuation": "none"})
    image = image_of(make(changes))[8].astype(float)
    assert image[24:72, 47:49].mean() - 100 > 3 * (image[24:40, 28:36].mean() - 100)


def test_nuclei_take_the_share_of_the_cell_that_is_wanted(cells):
    sample = make(_changes(cells, placement={"ratio": 0.15, "depth": [0.8, 1.0]}))
    assert (sizes_of(labels_of(sample)) / (5 * 32 * 32)) == pytest.approx([0.15] * 8, abs=0.03)
