import tracemalloc

import numpy as np
import pytest
from mistakes import refused
from rasters import away_from

from cytosuite import formats
from cytosuite.bodies.grid import Grid
from cytosuite.datasets.physics import psf
from cytosuite.datasets.physics.optics import Attenuation
from cytosuite.datasets.physics.psf import KEPT, Kernel, Objective, Sampled, physical
from cytosuite.datasets.physics.render import (
    GaussianSpread,
    SampledSpread,
    means,
    render,
    simulation_grid,
    slabs,
    spread_of,
)
from cytosuite.volume import Volume

DETECTOR = Grid((12, 20, 22), (2.0, 0.6, 0.6))
FINE = Grid((40, 62, 60), (1.3, 0.4, 0.45), (-13.0, -6.0, -7.0))
GRID = Grid((24, 30, 32), (1.0, 1.0, 1.0))
DETECTOR_RENDER = Grid((16, 24, 26), (2.0, 0.6, 0.6))
NONE = Attenuation("none")
NARROW = psf.Gaussian((1.0, 0.4, 0.4))
SPACING = (0.2, 0.1, 0.1)
GREEN = 0.5  # µm


def _axis(count, step, start=0.0):
    return start + (np.arange(count) + 0.5) * step, step


def _spread(spread, grid, light):
    out = np.zeros(grid.shape, np.float32)
    spread.add(light, 0, out)
    spread.finish(out)
    return out


@pytest.mark.parametrize("sigma, size", [(0.05, 1.7), (0.4, 0.3), (2.0, 0.5)])
def test_means_are_those_of_a_brute_force_sum(sigma, size):
    source = _axis(7, 0.5)
    target = _axis(6, size, start=-1.0)
    matrix = means(source, target, sigma).toarray()
    finest = np.arange(-16, 22, 0.005) + 0.0025  # µm
    kernel = np.exp(-((np.arange(-2400, 2401) * 0.005 / sigma) ** 2) / 2)
    inside = np.abs(finest - target[0][:, None]) < size / 2
    for column, place in zip(matrix.T, source[0], strict=True):
        blurred = np.convolve(np.abs(finest - place) < 0.25, kernel / kernel.sum(), mode="same")
        assert column == pytest.approx(inside @ blurred / inside.sum(1), abs=0.01)


# Through a coarse grid, and directly where it is narrower than that.
@pytest.mark.parametrize("sigma", [(6.0, 3.0, 2.5), (0.0, 3.0, 0.0)])
def test_haze_is_exact_to_a_thousandth(sigma, rng):
    light = np.zeros(FINE.shape, np.float32)
    for voxel in rng.integers(8, FINE.shape, (9, 3)) - 4:
        light[tuple(voxel)] = 1
    shapes = psf.Gaussian((1, 1, 1), haze=1.0, haze_sigma_um=sigma), psf.Gaussian(sigma)
    hazy, direct = (_spread(GaussianSpread(s, FINE, DETECTOR), DETECTOR, light) for s in shapes)
    assert np.abs(hazy - direct).max() < 1e-3 * direct.max()


def _kernel(light, spacing=(1.0, 1.0, 1.0)):
    middle = tuple((n - 1) / 2 for n in light.shape)
    return Kernel((light / light.sum()).astype(np.float32), spacing, middle)


def _ball(width):
    return _kernel(np.exp(-(away_from(5, (11,) * 3, 1 / width) ** 2) / 2))


def _sampled_spread(psf, light):
    return _spread(SampledSpread(psf, GRID, GRID), GRID, light)


def _points(*voxels):
    light = np.zeros(GRID.shape, np.float32)
    for voxel in voxels:
        light[voxel] = 1
    return light


def test_a_point_looks_like_the_point_spread_function_not_its_mirror_image(rng):
    kernel = _kernel(rng.random((5, 7, 3)))
    out = _sampled_spread(Sampled((kernel,)), _points((10, 12, 14)))
    assert np.abs(out[8:13, 9:16, 13:16] - kernel.image).max() < 1e-5 * kernel.image.max()
    assert out.sum() == pytest.approx(1, abs=1e-5)


def test_width_follows_the_depth_of_the_light():
    psf = Sampled((_ball(0.8), _ball(1.6)), (6.0, 18.0))

    def variance(image):
        profile = image.sum(axis=(0, 1), dtype=np.float64)
        return np.average((np.arange(len(profile)) - len(profile) // 2) ** 2, weights=profile)

    narrow, wide = (variance(kernel.resampled((1.0, 1.0, 1.0)).image) for kernel in psf.kernels)
    part = (11.5 - 6) / 12  # the middle of plane 11 is at 11.5 µm
    width = variance(_sampled_spread(psf, _points((11, 15, 16))))
    assert width == pytest.approx((1 - part) * narrow + part * wide, rel=1e-3)


def test_refuses_a_point_spread_function_larger_than_the_volume():
    wide = Sampled((_kernel(np.ones((5, 41, 5))),))
    message = r"\(5, 41, 5 µm, z y x\) is larger than the simulated volume \(24, 30, 32 µm\); crop"
    refused(message, SampledSpread, wide, GRID, GRID)


def _of(image):
    """What paints the planes of an image."""
    return lambda slab: image[slab.first[0] : slab.first[0] + slab.shape[0]].copy()


def _even(slab):
    return np.ones(slab.shape, np.float32)


def _sampled():
    axes = np.meshgrid(*[np.arange(-8, 9) * 0.5, *[np.arange(-10, 11) * 0.2] * 2], indexing="ij")
    kernels = []
    for width in (1.0, 1.5):
        light = np.exp(-((axes[0] / width) ** 2 + (axes[1] ** 2 + axes[2] ** 2) / 0.16) / 2)
        light *= 1 + 0.3 * np.sign(axes[0])  # asymmetric
        kernels.append(_kernel(light, (0.5, 0.2, 0.2)))
    return Sampled(tuple(kernels))


def _scene(shape_of_light):
    grid = simulation_grid(DETECTOR_RENDER, (1.5,) * 3, shape_of_light.reach_um(32.0))
    return grid, *np.random.default_rng(0).random((2, *grid.shape), np.float32)


@pytest.mark.parametrize(
    "shape_of_light",
    [NARROW, psf.Gaussian((1, 0.4, 0.4), haze=0.4, haze_sigma_um=(2, 1, 1)), _sampled()],
)
def test_light_in_the_middle_is_kept(shape_of_light):
    grid, light, _ = _scene(shape_of_light)
    around = np.ones(grid.shape, bool)
    around[15:-15, 22:-22, 22:-22] = False
    light[around] = 0
    volume, voxel = (np.prod(g.spacing) for g in (DETECTOR_RENDER, grid))
    out = render(_of(light), _even, grid, DETECTOR_RENDER, shape_of_light, NONE)
    assert out.sum(dtype=np.float64) * volume == pytest.approx(
        light.sum(dtype=np.float64) * voxel, rel=3e-3
    )
    assert out.min() >= 0
    assert out.dtype == np.float32


@pytest.mark.parametrize(
    "shape_of_light",
    [psf.Gaussian((1.5, 0.6, 0.6), haze=0.3, haze_sigma_um=(6, 3, 3), growth=0.5), _sampled()],
)
def test_does_not_depend_on_the_slabs_of_render(shape_of_light):
    grid, dye, share = _scene(shape_of_light)
    law = Attenuation("exponential", 15.0, delay_um=2.0)
    scene = (_of(dye), _of(share), grid, DETECTOR_RENDER, shape_of_light, law, 3.0)
    whole = render(*scene)
    assert len(slabs(grid, spread_of(shape_of_light, grid, DETECTOR_RENDER), 400_000)) > 1
    assert np.abs(render(*scene, max_bytes=400_000) - whole).max() < 1e-5 * whole.max()


def test_simulation_grid_reaches_as_far_as_asked():
    grid = simulation_grid(
        Grid((5, 7, 9), (2.0, 0.6, 0.5), (1.0, 2.0, 3.0)), (2, 1.5, 1), (3, 1, 0)
    )
    assert grid.spacing == pytest.approx((1.0, 0.4, 0.5))
    assert grid.shape == (10 + 6, 11 + 6, 9)
    assert grid.origin == pytest.approx((1.0 - 3.0, 2.0 - 1.2, 3.0))


@pytest.mark.parametrize("shape_of_light, bound", [(NARROW, 2**22), (_sampled(), 2**24)])
def test_slabs_bound_the_memory(shape_of_light, bound):
    detector = Grid((40, 128, 128), (1.0, 0.5, 0.5))
    grid = simulation_grid(detector, (1, 1, 1), (4.0, 2.0, 2.0))
    assert len(slabs(grid, spread_of(shape_of_light, grid, detector), bound)) > 1
    tracemalloc.start()
    out = render(_even, _even, grid, detector, shape_of_light, NONE, max_bytes=bound)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < out.nbytes + 1.2 * bound


def _skewed():
    """An asymmetric point spread function with its point off the middle."""
    z, y, x = np.meshgrid(*map(np.arange, (31, 40, 41)), indexing="ij")
    light = np.exp(-((y - 19.3) ** 2 + (x - 20.6) ** 2) / 30) * np.exp(-((z - 12) ** 2) / 18)
    light += 0.2 * np.exp(-((y - 22) ** 2 + (x - 20.6) ** 2) / 60) * np.exp(-((z - 19) ** 2) / 18)
    return Kernel((light / light.sum()).astype(np.float32), SPACING, (12.0, 19.3, 20.6))


def _moments(kernel):
    for axis in range(3):
        profile = kernel.image.sum(axis=tuple({0, 1, 2} - {axis}), dtype=np.float64)
        offsets = kernel.offsets_um(axis)
        mean = np.average(offsets, weights=profile)
        yield mean, np.average((offsets - mean) ** 2, weights=profile)


@pytest.mark.parametrize("spacing", [(0.2, 0.1, 0.1), (0.31, 0.17, 0.4), (0.07, 0.05, 0.06)])
def test_resampling_keeps_sum_and_centroid(spacing):
    before = _skewed()
    after = before.resampled(spacing)
    assert after.image.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)
    for (mean, variance), (old, spread), step in zip(
        _moments(after), _moments(before), spacing, strict=True
    ):
        assert mean == pytest.approx(old, abs=0.01)
        # voxels of the old size, spread evenly, then collected in the new
        assert variance == pytest.approx(spread + step**2 / 12, rel=0.04)


def test_resampling_crops_to_the_box_of_the_light():
    wide = np.zeros((21, 61, 61), np.float32)
    wide[8:13, 28:33, 28:33] = 1 / 125
    kernel = Kernel(wide, (1.0, 1.0, 1.0), (10.0, 30.0, 30.0))
    assert kernel.half_um(KEPT) == (2.5, 2.5, 2.5)
    assert kernel.resampled((1.0, 1.0, 1.0)).image == pytest.approx(wide[8:13, 28:33, 28:33])
    assert kernel.resampled((5.0, 5.0, 5.0)).image.tolist() == [[[1.0]]]


def _bead(centre=(14.0, 20.4, 21.7)):
    shape = (30, 41, 44)
    noise = 2 * np.random.default_rng(0).standard_normal(shape)
    away = away_from(centre, shape, np.divide(1, (3, 2, 2)))
    return Volume((100 + 2000 * np.exp(-(away**2) / 2) + noise).astype(np.float32), SPACING)


def test_measured_finds_the_middle_of_the_bead_and_leaves_the_background_out():
    kernel = psf.bead(_bead(), "bead")
    assert kernel.centre == pytest.approx((14.0, 20.4, 21.7), abs=0.05)
    assert kernel.image.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)
    assert kernel.image.min() == 0
    profile = kernel.image.sum(axis=(1, 2), dtype=np.float64)
    assert np.sqrt((profile * kernel.offsets_um(0) ** 2).sum()) == pytest.approx(3 * 0.2, rel=0.05)


def test_measured_reads_files_and_takes_another_voxel_size(tmp_path):
    formats.write(tmp_path / "bead.tif", _bead())
    (kernel,) = psf.measured([tmp_path / "bead.tif"]).kernels
    assert kernel.spacing == pytest.approx(SPACING)
    (wider,) = psf.measured([tmp_path / "bead.tif"], spacing_um=(1, 2, 3)).kernels
    assert wider.spacing == (1, 2, 3)


@pytest.mark.parametrize(
    "depths, seen, expected",
    [
        ((0, 10, 30), [-5, 5, 10, 25, 99], [[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0.25, 0.75], [0, 0, 1]]),
        (None, [0, 20, 30, 40], [[1, 0, 0], [0, 1, 0], [0, 0.5, 0.5], [0, 0, 1]]),
    ],
)  # fmt: skip
def test_weights_blend_linearly_by_depths_or_evenly_to_the_last_plane(depths, seen, expected):
    beads = psf.Sampled((psf.bead(_bead(), "bead"),) * 3, depths)
    assert beads.weights(np.array(seen, float), 40.0).T.tolist() == expected


def test_gaussian_grows_with_depth_below_the_first_plane():
    grown = psf.Gaussian((2, 1, 1), growth=0.5)
    assert grown.sigma_at(0, np.array([-50.0, 0, 100])).tolist() == [2, 2, 3]
    assert grown.reach_um(100.0) == (12, 6, 6)


def test_reach_holds_the_gaussian_but_only_a_part_of_the_haze():
    assert psf.Gaussian((1, 1, 1), haze=0.1, haze_sigma_um=(9, 2, 2)).reach_um(0.0) == (9, 4, 4)
    assert psf.Gaussian((1, 1, 1), haze_sigma_um=(9, 9, 9)).reach_um(0.0) == (4, 4, 4)


def _stack(array, axes="ZYX", spacing=SPACING, **metadata):
    return Volume(np.asarray(array, np.float32), spacing, axes, metadata)


@pytest.mark.parametrize(
    "message, stack",
    {
        "bead: the file gives no voxel size": _stack(_bead().array, spacing_source="assumed"),
        "bead: a point spread function needs the axes": _stack(np.ones((9, 9)), "YX", (1, 1)),
        "bead: no light above the background; is it": _stack(np.full((5, 6, 7), 9.0)),
        "bead: a point spread function needs one bead, found 2 bright spots; crop the stack": _stack(
            _bead((14, 30, 30)).array + _bead((14, 8, 8)).array
        ),
    }.items(),
)
def test_a_stack_of_no_bead_is_refused(stack, message):
    refused(message, psf.bead, stack, "bead")


def test_aberrated_light_in_several_lobes_along_z_is_one_bead():
    front, back = (_bead(centre=(z, 20, 20)).array for z in (6, 22))
    kernel = psf.bead(Volume(front + 0.9 * back, SPACING), "bead")
    assert kernel.centre[0] == pytest.approx(6, abs=0.2)  # the brightest


def _image(microscope, **changes):
    optics = {
        "na": 0.6,
        "emission_um": GREEN,
        "excitation_um": GREEN,
        "index_sample": 1.33,
        "index_immersion": 1.33,
    }
    return physical(microscope, **optics | changes).kernels[-1]


def test_agrees_with_an_independent_program():
    # psfmodels 0.3.3, scalar_psf: foci -1, 0, 0.8, 2 µm, radii 0, 0.2, 0.5 µm; the focus in the
    # third row, on the axis, is 1
    expected = [
        [0.0380, 0.0588, 0.0347],
        [0.5513, 0.2307, 0.0253],
        [1.0000, 0.3293, 0.0207],
        [0.2365, 0.0740, 0.0783],
    ]
    foci = np.array([-1, 0, 0.8, 2])
    light = Objective(0.8, 1.33, 1.515).intensity(GREEN, np.array([0, 0.2, 0.5]), foci, 30.0)
    assert light / light[2, 0] == pytest.approx(np.array(expected), abs=5e-4)


def test_confocal_with_a_point_as_pinhole_is_the_square_of_the_widefield():
    square = _image("widefield").image.astype(np.float64) ** 2
    confocal = _image("confocal", pinhole_airy=0.0).image
    assert np.abs(confocal - square / square.sum()).max() < 1e-5 * confocal.max()


def test_a_wide_pinhole_lets_light_from_outside_the_focus_through():
    point, disk, wide = (_image("confocal", pinhole_airy=d).half_um(0.9)[0] for d in (0, 1, 5))
    assert point <= disk < wide < _image("widefield").half_um(0.9)[0]
