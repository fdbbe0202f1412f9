import numpy as np
import pytest
from rasters import away_from
from scipy import ndimage

from cytosuite.datasets.cells.parameters import Outlines
from cytosuite.datasets.cells.processes import grow_processes

SHAPE = (120, 200)
FAR = away_from(59.5, SHAPE)  # from the first cell
MIDDLES = np.array([[60.0, 60.0], [60.0, 130.0]])


def _grown(**options):
    labels = np.zeros(SHAPE, np.uint16)
    for number, middle in enumerate(MIDDLES, start=1):
        labels[away_from(middle, SHAPE) < 8] = number
    dome = (labels > 0).astype(np.float32)
    options = {"processes": 5, "process_um": 15, "process_width_um": 1.5, "forks": 0} | options
    settings = Outlines.model_validate(options)
    rng = np.random.default_rng(0)
    places = MIDDLES, np.array([8.0, 0.0])
    return labels, dome, grow_processes(rng, settings, labels, dome, places, (0.5, 0.5))


def test_processes_are_as_many_and_as_long_as_wanted_and_hang_together():
    labels, dome, added = _grown(process_bend=0.0)
    cell = labels == 1
    assert ndimage.label(cell)[1] == 1
    assert FAR[cell].max() == pytest.approx(8 + 15 / 0.5, abs=2)
    assert ndimage.label(cell & (np.abs(FAR - 15) < 2), np.ones((3, 3)))[1] == 5
    assert np.count_nonzero(labels == 2) == np.count_nonzero(_grown(processes=0)[0] == 2)
    assert ((added > 0) == (cell & (FAR >= 8))).mean() > 0.99
    assert 0 < dome[added > 0].max() < 0.5  # thin, relative to a cell of 5 µm


def test_a_process_ends_before_another_cell_and_forks_add_to_it():
    labels, _, _ = _grown(processes=20, process_um=60, process_bend=0.0)
    assert not (labels[:, 139:][50:70] == 1).any()  # in the shade of the other cell
    grown = [(_grown(processes=3, forks=share)[0] == 1).sum() for share in (0, 1)]
    assert grown[1] > grown[0] + 50
