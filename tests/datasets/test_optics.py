import numpy as np
import pytest

from datasets import optics


def _point(shape=(41, 41, 41)):
    image = np.zeros(shape, np.float32)
    image[tuple(size // 2 for size in shape)] = 1
    return image


def _deviation_um(image, axis, step):
    profile = image.sum(axis=tuple(a for a in range(3) if a != axis), dtype=np.float64)
    position = (np.arange(len(profile)) - len(profile) // 2) * step
    return float(np.sqrt((profile * position**2).sum() / profile.sum()))


@pytest.mark.parametrize("spacing", [(0.5, 0.25, 0.25), (0.8, 0.4, 0.3)])
def test_blur_has_its_width_in_um_at_any_voxel_size(spacing):
    blurred = optics.blur(_point(), spacing, (1.5, 0.4, 0.6))
    widths = [_deviation_um(blurred, axis, step) for axis, step in enumerate(spacing)]
    assert widths == pytest.approx([1.5, 0.4, 0.6], rel=0.01)


def test_blur_keeps_the_light_and_adds_no_negative_values():
    blurred = optics.blur(_point(), (1, 1, 1), (2, 1, 1), haze=0.3, haze_sigma_um=(4, 3, 3))
    assert blurred.sum() == pytest.approx(1, abs=1e-3)
    assert blurred.min() > -1e-7
    assert blurred.dtype == np.float32


def test_blur_does_not_wrap_around():
    image = np.zeros((16, 16, 16), np.float32)
    image[0, 0, 0] = 1
    blurred = optics.blur(image, (1, 1, 1), (2, 2, 2))
    assert abs(blurred[-1]).max() < 2e-4 * blurred.max()
    assert blurred.sum() == pytest.approx(0.2, rel=0.2)  # an eighth, and the first voxel's half


def test_haze_moves_its_share_of_the_light_away():
    sharp = optics.blur(_point(), (1, 1, 1), (1, 1, 1))
    hazy = optics.blur(_point(), (1, 1, 1), (1, 1, 1), haze=0.4, haze_sigma_um=(4, 4, 4))
    wide = optics.blur(_point(), (1, 1, 1), (4, 4, 4))
    assert hazy == pytest.approx(0.6 * sharp + 0.4 * wide, abs=1e-6)


def test_convolution_with_a_point_is_the_identity():
    image = np.random.default_rng(0).random((9, 10, 11), dtype=np.float32)
    assert optics.convolve(image, _point((3, 5, 7))) == pytest.approx(image, abs=1e-6)


def test_convolution_does_not_mirror_the_kernel():
    kernel = np.zeros((3, 3, 3), np.float32)
    kernel[1, 1, 1], kernel[2, 1, 1] = 3, 1  # a quarter of the light goes to larger z
    spread = optics.convolve(_point((7, 7, 7)), kernel)
    assert spread[3:5, 3, 3] == pytest.approx([0.75, 0.25], abs=1e-6)
    assert abs(spread[2, 3, 3]) < 1e-6


def test_convolution_does_not_wrap_around():
    image = np.zeros((6, 6, 6), np.float32)
    image[0, 0, 0] = 1
    spread = optics.convolve(image, np.ones((5, 5, 5)))
    assert abs(spread[3:]).max() < 1e-7
    assert spread.sum() == pytest.approx(27 / 125, abs=1e-5)


def test_discrete_gaussian_has_the_asked_variance_even_when_narrow():
    for sigma in (0.2, 0.7, 3.0):
        kernel = np.fft.ifft(optics.gaussian_transfer(64, sigma)).real
        position = np.minimum(np.arange(64), 64 - np.arange(64))
        assert (kernel * position**2).sum() == pytest.approx(sigma**2, rel=1e-3)


def test_padded_shape_has_room_for_the_reach():
    assert all(n >= 17 + 5 for n in optics.padded_shape((17, 17, 17), (5, 5, 5)))


def test_attenuation_counts_tissue_only():
    image, tissue = np.ones((6, 1, 2), np.float32), np.zeros((6, 1, 2), bool)
    tissue[2:4, 0, 1] = True
    optics.attenuate(image, tissue, step_um=2.0, length_um=4.0)
    assert (image[:, 0, 0] == 1).all()
    depths = np.array([0, 0, 1, 3, 4, 4])  # µm, at the middle of the voxels
    assert image[:, 0, 1] == pytest.approx(np.exp(-depths / 4), rel=1e-6)


def test_attenuation_continues_tissue_above_the_image():
    tissue = np.ones((10, 1, 1), bool)
    whole = optics.attenuate(np.ones((10, 1, 1), np.float32), tissue, 1.0, 7.0)
    lower = optics.attenuate(np.ones((6, 1, 1), np.float32), tissue[4:], 1.0, 7.0, above_um=4.0)
    assert lower == pytest.approx(whole[4:], rel=1e-6)


def test_attenuation_does_not_depend_on_the_height_of_a_voxel():
    coarse = optics.attenuate(np.ones((5, 1, 1), np.float32), np.ones((5, 1, 1), bool), 3.0, 20.0)
    fine = optics.attenuate(np.ones((15, 1, 1), np.float32), np.ones((15, 1, 1), bool), 1.0, 20.0)
    assert coarse[:, 0, 0] == pytest.approx(fine[1::3, 0, 0], rel=1e-6)
