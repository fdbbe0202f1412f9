import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cytosuite.errors import InputError
from cytosuite.metrics.images.ssim_window import gaussian_window, sigmas_from_um, uniform_window


@given(st.floats(0, 17))
@settings(max_examples=50, deadline=None)
def test_weights_sum_to_1_and_fall_from_the_centre(sigma):
    window = gaussian_window((200, 200), sigma=sigma)
    for half in window.weights[1:]:
        assert half[0] + 2 * half[1:].sum() == pytest.approx(1.0, abs=1e-14)
        assert (np.diff(half) < 0).all()
        assert half.size - 1 == int(3.5 * sigma + 0.5 + 1e-9)


def test_usual_window_is_that_of_scipy():
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is not installed")
    impulse = np.zeros(21)
    impulse[10] = 1
    expected = ndimage.gaussian_filter1d(impulse, 1.5, truncate=3.5)[10:16]
    for half in gaussian_window((20, 20, 20)).weights:
        np.testing.assert_allclose(half, expected, rtol=1e-14)


@given(st.floats(0.1, 2.0), st.floats(0.3, 3.0))
@settings(max_examples=25, deadline=None)
def test_window_in_micrometres_depends_on_the_ratio_only(sigma, factor):
    spacing = (1.0, 0.5, 0.5)
    scaled = tuple(factor * step for step in spacing)
    assert sigmas_from_um(factor * sigma, scaled) == pytest.approx(sigmas_from_um(sigma, spacing))


def test_one_slice_is_an_image_whatever_sigma():
    for sigma in (0.5, (3.0, 1.5, 1.5)):
        assert gaussian_window((1, 50, 50), sigma=sigma).radii[0] == 0


def test_uniform_window_has_equal_weights_and_the_variance_of_a_sample():
    window = uniform_window((9, 9, 9), size=5)
    assert window.radii == (2, 2, 2)
    for half in window.weights:
        assert half.tolist() == [0.2] * 3
    assert window.shrinkage == 124 / 125
    assert uniform_window((9, 9), sample_covariance=False).shrinkage == 1
    assert uniform_window((1, 9, 9)).radii == uniform_window((9, 9)).radii == (0, 3, 3)


@pytest.mark.parametrize(("shape", "size"), [((9, 9), 4), ((9, 9), 1), ((9, 6), 7), ((9,), 3)])
def test_impossible_uniform_windows_are_refused(shape, size):
    with pytest.raises(InputError, match="a window of an odd number of voxels"):
        uniform_window(shape, size=size)
