import tracemalloc

import numpy as np
import pytest

from cytosuite.datasets.physics import psf
from cytosuite.datasets.physics.grid import Grid
from cytosuite.datasets.physics.kernel import Kernel
from cytosuite.datasets.physics.optics import Attenuation
from cytosuite.datasets.physics.render import render, simulation_grid, slabs, spread_of

DETECTOR = Grid((16, 24, 26), (2.0, 0.6, 0.6))
NONE = Attenuation("none")
NARROW = psf.Gaussian((1.0, 0.4, 0.4))


def _of(image):
    """What paints the planes of an image."""
    return lambda slab: image[slab.first[0] : slab.first[0] + slab.shape[0]].copy()


def _even(slab):
    return np.ones(slab.shape, np.float32)


def _sampled(widths=(1.0, 1.5)):
    axes = np.meshgrid(*[np.arange(-8, 9) * 0.5, *[np.arange(-10, 11) * 0.2] * 2], indexing="ij")
    kernels = []
    for width in widths:
        light = np.exp(-((axes[0] / width) ** 2 + (axes[1] ** 2 + axes[2] ** 2) / 0.16) / 2)
        light *= 1 + 0.3 * np.sign(axes[0])  # asymmetric
        image = (light / light.sum()).astype(np.float32)
        kernels.append(Kernel(image, (0.5, 0.2, 0.2), (8.0, 10.0, 10.0)))
    return psf.Sampled(tuple(kernels))


def _scene(shape_of_light, oversampling=(1.5, 1.5, 1.5), seed=0):
    grid = simulation_grid(DETECTOR, oversampling, shape_of_light.reach_um(32.0))
    rng = np.random.default_rng(seed)
    dye, share = (rng.random(grid.shape, dtype=np.float32) for _ in range(2))
    return grid, dye, share


@pytest.mark.parametrize("law", ["exponential", "power"])
def test_attenuation_length_is_recovered_from_even_light(law):
    grid = simulation_grid(DETECTOR, (2, 1, 1), (8.0, 2.0, 2.0))
    tissue = lambda slab: np.ones(slab.shape, np.float32)  # noqa: E731
    attenuation = Attenuation(law, 20.0)
    out = render(_even, tissue, grid, DETECTOR, psf.Gaussian((0.1, 0.1, 0.1)), attenuation)
    depth = DETECTOR.centres(0) - grid.origin[0]
    inside = out[:, 12, 12]
    if law == "exponential":
        length = -(np.polyfit(depth, np.log(inside), 1)[0] ** -1)
        assert length == pytest.approx(20.0, rel=1e-3)
    assert inside == pytest.approx(attenuation.factor(depth), rel=0.01)


def test_tissue_above_the_grid_dims_too():
    grid = simulation_grid(DETECTOR, (1, 1, 1), (0, 0, 0))
    law = Attenuation("exponential", 30.0)
    near, far = (render(_even, _even, grid, DETECTOR, NARROW, law, a) for a in (0.0, 15.0))
    assert far == pytest.approx(near * np.exp(-0.5), rel=1e-4)


@pytest.mark.parametrize("step", [(1.0, 0.4, 0.4), (0.5, 0.2, 0.25)])
def test_width_is_recovered_from_a_bead(step):
    detector = Grid((31, 31, 31), step)
    sigma = (1.5, 0.6, 0.6)
    light = np.zeros((31, 31, 31), np.float32)
    light[15, 15, 15] = 1
    out = render(_of(light), _even, detector, detector, psf.Gaussian(sigma), NONE)
    for axis in range(3):
        profile = out.sum(axis=tuple({0, 1, 2} - {axis}), dtype=np.float64)
        position = (np.arange(31) - 15) * step[axis]
        variance = (profile * position**2).sum() / profile.sum() - step[axis] ** 2 / 6
        assert np.sqrt(variance) == pytest.approx(sigma[axis], rel=0.02)


@pytest.mark.parametrize(
    "shape_of_light",
    [NARROW, psf.Gaussian((1, 0.4, 0.4), haze=0.4, haze_sigma_um=(2, 1, 1)), _sampled()],
)
def test_light_in_the_middle_is_kept(shape_of_light):
    grid, light, _ = _scene(shape_of_light)
    around = np.ones(grid.shape, bool)
    around[15:-15, 22:-22, 22:-22] = False
    light[around] = 0
    volume, voxel = (np.prod(g.spacing) for g in (DETECTOR, grid))
    out = render(_of(light), _even, grid, DETECTOR, shape_of_light, NONE)
    assert out.sum(dtype=np.float64) * volume == pytest.approx(
        light.sum(dtype=np.float64) * voxel, rel=3e-3
    )
    assert out.min() >= 0
    assert out.dtype == np.float32


def test_light_from_outside_of_the_image_comes_in():
    grid, _, _ = _scene(NARROW)
    out = render(_even, _even, grid, DETECTOR, NARROW, NONE)
    assert out == pytest.approx(np.ones(DETECTOR.shape), abs=1e-3)


@pytest.mark.parametrize(
    "shape_of_light",
    [psf.Gaussian((1.5, 0.6, 0.6), haze=0.3, haze_sigma_um=(6, 3, 3), growth=0.5), _sampled()],
)
@pytest.mark.parametrize("max_bytes", [1, 400_000])
def test_does_not_depend_on_the_slabs(shape_of_light, max_bytes):
    grid, dye, share = _scene(shape_of_light)
    law = Attenuation("exponential", 15.0, delay_um=2.0)
    scene = (_of(dye), _of(share), grid, DETECTOR, shape_of_light, law, 3.0)
    whole = render(*scene)
    assert len(slabs(grid, spread_of(shape_of_light, grid, DETECTOR), max_bytes)) > 1
    assert np.abs(render(*scene, max_bytes=max_bytes) - whole).max() < 1e-5 * whole.max()


def test_each_plane_is_painted_once_from_front_to_back():
    grid, dye, _ = _scene(NARROW)
    seen = []

    def paint(slab):
        seen.extend(range(slab.first[0], slab.first[0] + slab.shape[0]))
        return _of(dye)(slab)

    render(paint, _even, grid, DETECTOR, NARROW, Attenuation("power", 50.0), max_bytes=500_000)
    assert seen == list(range(grid.shape[0]))


def test_steps_can_be_watched():
    grid, dye, _ = _scene(NARROW)
    law = Attenuation("exponential", 15.0)
    steps = {}
    out = render(_of(dye), _even, grid, DETECTOR, NARROW, law, watch=steps.__setitem__)
    assert list(steps) == ["dye", "attenuated", "light"]
    assert (steps["light"] == out).all()
    assert (out == render(_of(dye), _even, grid, DETECTOR, NARROW, law)).all()
    assert steps["dye"].mean() == pytest.approx(0.5, abs=0.01)
    depth = DETECTOR.centres(0) - grid.origin[0]
    ratio = steps["attenuated"].mean(axis=(1, 2)) / steps["dye"].mean(axis=(1, 2))
    assert ratio == pytest.approx(np.exp(-depth / 15), rel=0.02)


def test_watched_slabs_add_up():
    grid, dye, _ = _scene(NARROW)
    whole, parts = {}, {}
    scene = (_of(dye), _even, grid, DETECTOR, NARROW, NONE)
    render(*scene, watch=whole.__setitem__)
    render(*scene, watch=parts.__setitem__, max_bytes=1)
    assert parts["dye"] == pytest.approx(whole["dye"], abs=1e-5)
    assert parts["attenuated"] == pytest.approx(parts["dye"], abs=1e-7)


def test_darkness_is_rendered_as_zero():
    for shape_of_light in (NARROW, _sampled()):
        grid, dye, _ = _scene(shape_of_light)
        assert not render(_of(dye * 0), _even, grid, DETECTOR, shape_of_light, NONE).any()


def test_simulation_grid_reaches_as_far_as_asked():
    grid = simulation_grid(
        Grid((5, 7, 9), (2.0, 0.6, 0.5), (1.0, 2.0, 3.0)), (2, 1.5, 1), (3, 1, 0)
    )
    assert grid.spacing == pytest.approx((1.0, 0.4, 0.5))
    assert grid.shape == (10 + 6, 11 + 6, 9)
    assert grid.origin == pytest.approx((1.0 - 3.0, 2.0 - 1.2, 3.0))


def test_slabs_follow_from_sizes_and_the_bound_alone():
    grid = Grid((50, 40, 40), (1.0, 1.0, 1.0))
    spread = spread_of(NARROW, grid, DETECTOR)
    planes = slabs(grid, spread, 10 * (8 * 40 * 40 + spread.slab_bytes(1)))
    assert planes == [(start, start + 10) for start in range(0, 50, 10)]
    assert slabs(grid, spread, 1) == [(start, start + 1) for start in range(50)]
    assert slabs(grid, spread, 10**9) == [(0, 50)]


@pytest.mark.parametrize(("shape_of_light", "bound"), [(NARROW, 2**22), (_sampled(), 2**24)])
def test_slabs_bound_the_memory(shape_of_light, bound):
    detector = Grid((40, 128, 128), (1.0, 0.5, 0.5))
    grid = simulation_grid(detector, (1, 1, 1), (4.0, 2.0, 2.0))
    assert len(slabs(grid, spread_of(shape_of_light, grid, detector), bound)) > 1
    tracemalloc.start()
    out = render(_even, _even, grid, detector, shape_of_light, NONE, max_bytes=bound)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < out.nbytes + 1.2 * bound
