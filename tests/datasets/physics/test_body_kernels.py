import numpy as np
import pytest

from cytosuite.datasets.physics import _body_kernels as kernel

NO_WAVES = np.zeros((4, 8), np.float32)
NO_WAVES[3] = np.pi / 2  # cosines of 0


def test_cosine_and_exponential_are_close():
    angles = np.linspace(-12, 12, 1001, dtype=np.float32)
    found = [kernel._cosine(angle) for angle in angles]
    assert found == pytest.approx(np.cos(angles), abs=2e-4)
    powers = np.linspace(-5, 5, 1001, dtype=np.float32)
    found = [kernel._exponential(power) for power in powers]
    assert found == pytest.approx(np.exp(powers), rel=2e-3)
    assert kernel._exponential(np.float32(-40)) < 1e-3


def test_one_wave_in_known_directions():
    waves = np.zeros((4, 1), np.float32)
    waves[:, 0] = (2.0, 0, 0, 0.5)  # along z
    z, y, x = np.eye(3, dtype=np.float32)
    out = np.zeros(3, np.float32)
    kernel.add_waves(z, y, x, waves, out)
    assert out == pytest.approx(np.sqrt(2) * np.cos([2.5, 0.5, 0.5]), abs=3e-4)


def test_cut_finds_the_voxels_of_a_ball():
    line = np.linspace(-1.5, 1.5, 31, dtype=np.float32)
    form = (np.float32(0), NO_WAVES, np.float32(0), (0.0, 1.0, 1.0), 1.0)
    inside, position, distance = kernel.cut(line, line, line, np.eye(3, dtype=np.float32), *form)
    z, y, x = np.meshgrid(line, line, line, indexing="ij")
    radius = np.sqrt(z**2 + y**2 + x**2).ravel()
    assert np.setxor1d(inside, np.flatnonzero(radius < 1 - 1e-4)).size <= 30  # on the surface
    assert distance == pytest.approx(radius[inside], abs=1e-4)
    assert position[2] == pytest.approx(x.ravel()[inside], abs=1e-6)
