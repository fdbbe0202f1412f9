import numpy as np
import pytest

from cytosuite.datasets.physics import _body_kernels as kernel


def test_one_wave_in_known_directions():
    waves = np.array([[2.0], [0], [0], [0.5]], np.float32)  # along z
    z, y, x = np.eye(3, dtype=np.float32)
    out = np.zeros(3, np.float32)
    kernel.add_waves(z, y, x, waves, out)
    assert out == pytest.approx(np.sqrt(2) * np.cos([2.5, 0.5, 0.5]), abs=3e-4)
