import numpy as np
import pytest

from cytosuite.algorithms.cellpose3d.flows import flow_targets
from cytosuite.algorithms.cellpose3d.training.train import centre_heat


def test_heat_peaks_at_the_centre_and_ends_within_the_object():
    labels = np.zeros((9, 13, 13), np.int32)
    labels[1:8, 2:11, 2:11] = 1
    heat = centre_heat(flow_targets(labels), labels > 0)
    assert np.unravel_index(heat.argmax(), heat.shape) == (4, 6, 6)
    assert heat.max() == pytest.approx(1)
    # A quarter of the half extent of 4.5 voxels is one standard deviation.
    assert heat[4, 6, 7] == pytest.approx(np.exp(-((1 / 4.5) ** 2) / (2 * 0.25**2)), rel=1e-4)
    assert heat[0].max() == 0
    assert heat[4, 6, 2] < 0.01
