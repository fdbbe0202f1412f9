from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from cytosuite.datasets.physics.bodies import paint
from cytosuite.datasets.physics.grid import Grid
from cytosuite.datasets.physics.render import render, simulation_grid
from cytosuite.datasets.physics.shapes import draw_nuclei
from cytosuite.datasets.spheroid.light import point_spread
from cytosuite.datasets.spheroid.parameters import parameters_from


def test_more_photons_raise_the_snr(simulation):
    dim, bright = (
        simulation.make({"camera": {"photons": photons}}).metadata["snr"] for photons in (10, 1000)
    )
    assert bright > 5 * dim


def test_variance_grows_with_the_mean_by_the_gain(simulation):
    camera = {"photons": 100, "gain": 3.0, "read_noise": 2.0, "background_photons": 5}
    sample = simulation.make({"camera": camera, "output": {"steps": True}})
    photons = sample.companions["step-3-light"].array * 100.0 + 5
    noise = simulation.image(sample) - (photons * 3 + 100)
    edges = np.quantile(photons, np.linspace(0, 1, 9))
    bins = [(photons >= low) & (photons <= high) for low, high in pairwise(edges)]
    means, variances = ([f(a[b]) for b in bins] for f, a in ((np.mean, photons), (np.var, noise)))
    slope, dark = np.polyfit(means, variances, 1)
    assert slope == pytest.approx(3.0**2, rel=0.05)
    assert dark == pytest.approx((3 * 2.0) ** 2, rel=0.2)


@pytest.mark.parametrize("length", [30.0, 80.0])
def test_attenuation_length_is_found_in_the_image(simulation, length):
    optics = {"attenuation_um": length, "psf_sigma_z_um": 0.4, "psf_sigma_xy_um": 0.2}
    case = simulation.make(
        simulation.plain,
        {"optics": optics, "camera": {"photons": 1000}, "tissue": {"flattening": 1.0}},
    )
    labels, light = simulation.labels(case), simulation.image(case).astype(float) - 100
    step, number = case.volume("microscopy-image").spacing, range(1, labels.max() + 1)
    radius = (case.metadata["tissue_volume_um3"] * 3 / 4 / np.pi) ** (1 / 3)
    place = [
        (grid - (n - 1) / 2) * s
        for grid, n, s in zip(np.indices(labels.shape), labels.shape, step, strict=True)
    ]
    entry = -np.sqrt((radius**2 - place[1] ** 2 - place[2] ** 2).clip(0))
    core = ndimage.binary_erosion(labels > 0, iterations=1) * labels
    depth = ndimage.mean(place[0] - entry, core, number)
    mean = ndimage.mean(light, core, number)
    assert -1 / np.polyfit(depth, np.log(mean), 1)[0] == pytest.approx(length, rel=0.06)


@pytest.mark.parametrize("spacing", [(2.0, 0.5, 0.5), (1.5, 0.4, 0.4)])
def test_width_of_the_point_spread_function_is_found_in_the_image(spacing):
    detector = Grid((31, 97, 97), spacing)
    bead = draw_nuclei(np.random.default_rng(0), 1, diameter_um=1.0)
    middle = np.array([detector.size_um]) / 2

    def variances(sigma_z, sigma_xy):
        optics = {"psf_sigma_z_um": sigma_z, "psf_sigma_xy_um": sigma_xy, "haze": 0}
        parameters = parameters_from({"optics": optics})
        drawn = {name: low for name, low, _ in parameters.ranges()}
        spread = point_spread(parameters, drawn)
        grid = simulation_grid(detector, (1.5, 1.5, 1.5), spread.reach_um(60.0))
        flat = np.zeros((4, 4, 4), np.float32)

        def dye(slab):
            return paint(bead, middle, slab, flat, np.zeros(slab.shape, np.float32))

        def tissue(slab):
            return np.zeros(slab.shape, np.float32)

        from cytosuite.datasets.physics.optics import Attenuation

        light = render(dye, tissue, grid, detector, spread, Attenuation("none"))
        for axis, step in enumerate(spacing):
            profile = light.sum(axis=tuple(a for a in range(3) if a != axis), dtype=float)
            position = np.arange(len(profile)) * step
            mean = (profile * position).sum() / profile.sum()
            yield (profile * (position - mean) ** 2).sum() / profile.sum()

    # the widths of the object and of the voxel are in both and cancel
    added = np.sqrt(np.subtract(list(variances(3.0, 1.0)), list(variances(1.5, 0.5))))
    expected = np.sqrt(np.array([3.0**2 - 1.5**2, 1 - 0.5**2, 1 - 0.5**2]))
    assert added == pytest.approx(expected, rel=0.02)


def test_statistics_in_um_do_not_depend_on_the_voxel_size(simulation):
    more = {"optics": {"attenuation": "none"}, "camera": {"photons": 100}}
    plain = [simulation.plain, more, {"tissue": {"n_nuclei": 12}}]
    fine = {"image": {"shape": (48, 160, 160), "spacing_um": (1.0, 0.3, 0.3)}}
    samples = [simulation.make(*plain), simulation.make(*plain, fine)]
    assert samples[0].metadata["n_nuclei"] == samples[1].metadata["n_nuclei"]
    for read in (
        lambda s: simulation.labels(s) > 0,
        lambda s: simulation.image(s).astype(float) - 100,
    ):
        sums = [read(s).sum() * np.prod(s.volume("microscopy-image").spacing) for s in samples]
        assert sums[0] == pytest.approx(sums[1], rel=0.03)


def test_light_of_a_measured_stack_is_spread_as_the_stack_says(simulation, tmp_path):
    from cytosuite.formats import write
    from cytosuite.volume import Volume

    z, y, x = np.indices((15, 21, 21)) - np.array([7, 10, 10])[:, None, None, None]
    stack = 1000 * np.exp(-(z**2) / 8 - (y**2 + x**2) / 8) * (1 + 0.5 * (z > 0))
    path = tmp_path / "bead.tif"
    write(path, Volume(stack.astype(np.float32), (0.8, 0.25, 0.25), "ZYX"))
    optics = {"psf": "file", "psf_files": [str(path)], "attenuation": "none"}
    measured = simulation.make({"optics": optics, "camera": {"photons": 300}})
    gauss = {"psf_sigma_z_um": 1.6, "psf_sigma_xy_um": 0.5, "haze": 0, "attenuation": "none"}
    gaussian = simulation.make({"optics": gauss, "camera": {"photons": 300}})
    images = [simulation.image(s).astype(float) for s in (measured, gaussian)]
    assert np.corrcoef(images[0].ravel(), images[1].ravel())[0, 1] > 0.95
    assert images[0].sum() == pytest.approx(images[1].sum(), rel=0.02)


def test_a_stack_larger_than_the_volume_is_refused(simulation, tmp_path):
    from cytosuite.errors import InputError
    from cytosuite.formats import write
    from cytosuite.volume import Volume

    stack = np.zeros((61, 61, 61), np.float32)
    stack[30, 30, 30] = 1000
    z, y, x = np.indices(stack.shape) - 30
    stack += 800 * np.exp(-(z**2 + y**2 + x**2) / 400)
    path = tmp_path / "bead.tif"
    write(path, Volume(stack, (10.0, 10.0, 10.0), "ZYX"))
    optics = {"psf": "file", "psf_files": [str(path)]}
    with pytest.raises(InputError, match="point spread function"):
        simulation.make({"optics": optics})
