import re
from dataclasses import replace

import numpy as np
import pytest

from cytosuite import formats
from cytosuite.datasets.physics import psf
from cytosuite.errors import InputError
from cytosuite.volume import Volume

SPACING = (0.2, 0.1, 0.1)


def _bead(centre=(14.0, 20.4, 21.7), shape=(30, 41, 44), background=100.0, noise=2.0, seed=0):
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*map(np.arange, shape), indexing="ij")
    square = ((z - centre[0]) / 3) ** 2 + ((y - centre[1]) / 2) ** 2 + ((x - centre[2]) / 2) ** 2
    light = background + 2000 * np.exp(-square / 2) + noise * rng.standard_normal(shape)
    return Volume(light.astype(np.float32), SPACING)


def test_measured_finds_the_middle_of_the_bead_and_leaves_the_background_out():
    (kernel,) = psf.measured([_bead()]).kernels
    assert kernel.centre == pytest.approx((14.0, 20.4, 21.7), abs=0.05)
    assert kernel.image.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)
    assert kernel.image.min() == 0
    profile = kernel.image.sum(axis=(1, 2), dtype=np.float64)
    offsets = kernel.offsets_um(0)
    assert np.sqrt((profile * offsets**2).sum()) == pytest.approx(3 * 0.2, rel=0.05)


def test_measured_does_not_depend_on_the_background():
    low, high = (psf.measured([_bead(background=b)]).kernels[0].image for b in (0.0, 5000.0))
    assert np.abs(low - high).max() < 1e-3 * high.max()


def test_measured_reads_files_and_takes_another_voxel_size(tmp_path):
    formats.write(tmp_path / "bead.tif", _bead())
    (kernel,) = psf.measured([tmp_path / "bead.tif"]).kernels
    assert kernel.spacing == pytest.approx(SPACING)
    (wider,) = psf.measured([tmp_path / "bead.tif"], spacing_um=(1, 2, 3)).kernels
    assert wider.spacing == (1, 2, 3)


def test_weights_blend_linearly_and_have_the_sum_1():
    several = replace(psf.measured([_bead()] * 3), depths_um=(0, 10, 30))
    weights = several.weights(np.array([-5.0, 0, 5, 10, 25, 99]), 50.0)
    assert weights.T.tolist() == [
        [1, 0, 0], [1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0.25, 0.75], [0, 0, 1],
    ]  # fmt: skip


def test_without_depths_stacks_are_spaced_from_the_first_plane_to_the_last():
    weights = psf.measured([_bead()] * 3).weights(np.array([0.0, 20, 30, 40]), 40.0)
    assert weights.T.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0.5, 0.5], [0, 0, 1]]


def test_one_stack_holds_at_every_depth():
    assert (psf.measured([_bead()]).weights(np.linspace(-9, 99, 5), 0.0) == 1).all()


def test_gaussian_grows_with_depth_below_the_first_plane():
    grown = psf.Gaussian((2, 1, 1), growth=0.5)
    assert grown.sigma_at(0, np.array([-50.0, 0, 100])).tolist() == [2, 2, 3]
    assert grown.reach_um(100.0) == (12, 6, 6)


def test_reach_holds_the_gaussian_but_only_a_part_of_the_haze():
    hazy = psf.Gaussian((1, 1, 1), haze=0.1, haze_sigma_um=(9, 2, 2))
    assert hazy.reach_um(0.0) == (9, 4, 4)
    assert psf.Gaussian((1, 1, 1), haze_sigma_um=(9, 9, 9)).reach_um(0.0) == (4, 4, 4)


def test_reach_of_stacks_is_the_widest():
    reach = psf.measured([_bead(), _bead()], spacing_um=SPACING).reach_um(10.0)
    assert reach == psf.measured([_bead()]).reach_um(0.0)
    assert 2 * 0.6 < reach[0] < 4 * 0.6


def _no_stack():
    """a measured point spread function needs at least one stack, found none"""
    psf.measured([])


def _unknown_size():
    """stack 1: the file gives no voxel size; give that of the stack in µm"""
    psf.measured([Volume(_bead().array, (1, 1, 1), "ZYX", {"spacing_source": "assumed"})])


def _flat():
    """stack 2: a point spread function needs the axes ZYX, found YX"""
    psf.measured([_bead(), Volume(_bead().array[14], (0.1, 0.1), "YX")])


def _dark():
    """stack 1: no light above the background; is it the stack of a bead?"""
    psf.measured([Volume(np.full((5, 6, 7), 9.0, np.float32), SPACING)])


def _two_beads():
    """stack 1: a point spread function needs one bead, found 2 bright spots; crop the stack"""
    other = _bead(centre=(14, 8, 8)).array
    psf.measured([Volume(_bead(centre=(14, 30, 30)).array + other, SPACING)])


def _zero_size():
    """psf_um must be three numbers above 0 (z, y, x), found [0.0, 1.0, 1.0]"""
    psf.measured([_bead()], spacing_um=(0, 1, 1))


def _negative_width():
    """psf_sigma_um must be three widths in µm (z, y, x), found [1, -1, 1]"""
    psf.Gaussian((1, -1, 1))


def _much_haze():
    """haze must be a share of the light in [0, 1], found 2"""
    psf.Gaussian((1, 1, 1), haze=2)


MISTAKES = [_no_stack, _unknown_size, _flat, _dark, _two_beads, _zero_size]


@pytest.mark.parametrize("mistake", [*MISTAKES, _negative_width, _much_haze])
def test_explains(mistake):
    with pytest.raises(InputError, match=re.escape(mistake.__doc__)):
        mistake()


def test_aberrated_light_in_several_lobes_along_z_is_one_bead():
    front, back = (_bead(centre=(z, 20, 20)).array for z in (6, 22))
    (kernel,) = psf.measured([Volume(front + 0.9 * back, SPACING)]).kernels
    assert kernel.centre[0] == pytest.approx(6, abs=0.2)  # the brightest
