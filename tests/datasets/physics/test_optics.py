import re

import numpy as np
import pytest

from cytosuite.datasets.physics import optics
from cytosuite.errors import InputError


def _point(shape=(41, 41, 41)):
    image = np.zeros(shape, np.float32)
    image[tuple(size // 2 for size in shape)] = 1
    return image


def _deviation_um(image, axis, step):
    profile = image.sum(axis=tuple(a for a in range(3) if a != axis), dtype=np.float64)
    position = (np.arange(len(profile)) - len(profile) // 2) * step
    return float(np.sqrt((profile * position**2).sum() / profile.sum()))


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


def test_padded_shape_has_room_for_the_reach():
    assert all(n >= 17 + 5 for n in optics.padded_shape((17, 17, 17), (5, 5, 5)))


def _exponential(length_um):
    return optics.Attenuation("exponential", length_um)


def test_attenuation_counts_tissue_only():
    image, tissue = np.ones((6, 1, 2), np.float32), np.zeros((6, 1, 2), bool)
    tissue[2:4, 0, 1] = True
    optics.attenuate(image, tissue, 2.0, _exponential(4.0))
    assert (image[:, 0, 0] == 1).all()
    depths = np.array([0, 0, 1, 3, 4, 4])  # µm, at the middle of the voxels
    assert image[:, 0, 1] == pytest.approx(np.exp(-depths / 4), rel=1e-6)


def test_voxels_with_a_share_of_tissue_count_in_part():
    image, share = np.ones((3, 1, 1), np.float32), np.full((3, 1, 1), 0.25, np.float32)
    below = optics.attenuate(image, share, 2.0, _exponential(3.0), above_um=1.0)
    assert image[:, 0, 0] == pytest.approx(np.exp(-np.array([1.25, 1.75, 2.25]) / 3), rel=1e-6)
    assert below[0, 0] == pytest.approx(2.5)


def test_attenuation_of_slabs_is_that_of_the_whole():
    share = np.random.default_rng(1).random((10, 3, 4), dtype=np.float32)
    whole, parts = np.ones((2, 10, 3, 4), np.float32)
    optics.attenuate(whole, share, 1.0, _exponential(7.0))
    depth = optics.attenuate(parts[:4], share[:4], 1.0, _exponential(7.0))
    depth = optics.attenuate(parts[4:5], share[4:5], 1.0, _exponential(7.0), depth)
    optics.attenuate(parts[5:], share[5:], 1.0, _exponential(7.0), depth)
    assert (parts == whole).all()


def test_attenuation_does_not_depend_on_the_height_of_a_voxel():
    coarse, fine = np.ones((5, 1, 1), np.float32), np.ones((15, 1, 1), np.float32)
    optics.attenuate(coarse, np.ones_like(coarse), 3.0, _exponential(20.0))
    optics.attenuate(fine, np.ones_like(fine), 1.0, _exponential(20.0))
    assert coarse[:, 0, 0] == pytest.approx(fine[1::3, 0, 0], rel=1e-6)


DEPTHS = np.array([0, 3, 12, 60, 400])  # voxels


@pytest.mark.parametrize(
    ("values", "formula"),
    [
        ((90, 0, 0.2), lambda d: (d / 90 + 1.0) ** -6 + 0.2),
        ((90, -5, 0.0), lambda d: ((d + 5) / 90 + 1.0) ** -6),
        ((150, 0, 0.0), lambda d: (d / 150 + 1.0) ** -6),
        ((200, 10, 0.0), lambda d: ((d - 10) / 200 + 1.0) ** -6),
    ],
)
def test_power_laws_are_the_published_formulas(values, formula):
    length, delay, floor = values
    factor = optics.Attenuation("power", length, delay, floor).factor(DEPTHS)
    assert factor == pytest.approx(formula(DEPTHS).clip(0, 1), rel=1e-5)
    assert factor.dtype == np.float32


def test_a_delay_longer_than_the_length_does_not_dim():
    law = optics.Attenuation("power", length_um=4.0, delay_um=10.0)
    assert law.factor(np.array([0.0, 9.0])).tolist() == [1, 1]  # the bare formula gives 0.09 at 0


def test_a_floor_stays_at_any_depth():
    law = optics.Attenuation("exponential", 10.0, floor=0.3)
    assert law.factor(np.array([0.0, 10.0, 1e6])) == pytest.approx([1, np.exp(-1) + 0.3, 0.3])


def _unknown_law():
    """attenuation must be exponential, power, none, found 'linear'"""
    optics.Attenuation("linear")


def _no_length():
    """attenuation length must be above 0 µm, found 0"""
    optics.Attenuation("power", 0)


def _large_floor():
    """attenuation needs a delay in µm and a floor in [0, 1], found 0.0 and 1.5"""
    optics.Attenuation("power", 10.0, floor=1.5)


@pytest.mark.parametrize("mistake", [_unknown_law, _no_length, _large_floor])
def test_attenuation_explains(mistake):
    with pytest.raises(InputError, match=re.escape(mistake.__doc__)):
        mistake()


@pytest.mark.parametrize("size", [(3, 5, 7), (4, 6, 2), (1, 8, 3)])
def test_convolution_is_the_direct_sum(size):
    rng = np.random.default_rng(2)
    image, kernel = rng.random((12, 13, 14), dtype=np.float32), rng.random(size)
    whole = np.zeros([n + m - 1 for n, m in zip(image.shape, size, strict=True)])
    for place in np.ndindex(size):  # the light of every voxel, spread like the kernel
        box = tuple(slice(p, p + n) for p, n in zip(place, image.shape, strict=True))
        whole[box] += image * (kernel[place] / kernel.sum())
    middle = tuple(slice(n // 2, n // 2 + m) for n, m in zip(size, image.shape, strict=True))
    assert np.abs(optics.convolve(image, kernel) - whole[middle]).max() < 1e-4 * whole.max()
