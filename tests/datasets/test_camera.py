import numpy as np
import pytest
from mistakes import refused

from cytosuite.bodies.grid import Grid
from cytosuite.contract.manifest import parse
from cytosuite.datasets import camera
from cytosuite.datasets.physics.grid import area_average


def expose(rng, photons, **settings):
    return camera.Camera(**{"gain": 1.0} | settings).expose(rng, photons)


def test_average_over_whole_ratios_is_the_mean_of_blocks(rng):
    image = rng.random((4, 6, 6), dtype=np.float32)
    expected = image.reshape(2, 2, 2, 3, 3, 2).mean(axis=(1, 3, 5))
    fine = Grid((4, 6, 6), (1, 1, 1))
    assert area_average(image, fine, Grid((2, 2, 3), (2, 3, 2))) == pytest.approx(
        expected, rel=1e-5
    )


def test_read_noise_adds_to_that_of_the_photons(rng):
    counts = expose(rng, flat(2), gain=3.0, offset=200, read_noise=1.5)
    assert counts.mean() == pytest.approx(3 * 2 + 200, abs=0.08)  # rounded, not truncated
    assert counts.var() == pytest.approx(3**2 * (2 + 1.5**2) + 1 / 12, rel=0.03)


def flat(photons, shape=(20, 60, 60)):
    return np.full(shape, photons, np.float32)


@pytest.mark.parametrize("excess, factor", [(0.0, 1.0), (0.5, 1.5), (1.0, 2.0)])
def test_multiplication_adds_variance_and_keeps_the_mean(rng, excess, factor):
    stacks = [expose(rng, flat(n), gain=3.0, excess=excess) for n in (4.0, 15.0, 60.0, 200.0)]
    slope, _ = np.polyfit([s.mean() for s in stacks], [s.var() for s in stacks], 1)
    assert slope == pytest.approx(3 * factor, rel=0.04)
    counts = expose(rng, flat(9), gain=5, offset=0, excess=excess)
    assert counts.mean() == pytest.approx(45, rel=0.01)


def test_averaging_divides_the_variance(rng):
    single, mean_of_four = (
        expose(
            rng, flat(50), averaging=n, gain=10.0, read_noise=2.0, excess=0.3, half_normal=20.0
        ).astype(float)
        for n in (1, 4)
    )
    assert mean_of_four.var() == pytest.approx(single.var() / 4, rel=0.04)
    assert mean_of_four.mean() == pytest.approx(single.mean(), rel=0.002)


def test_half_normal_noise_raises_the_mean(rng):
    counts = expose(rng, flat(0), offset=100, half_normal=30)
    assert counts.mean() - 100 == pytest.approx(30 * np.sqrt(2 / np.pi), rel=0.01)
    assert counts.std() == pytest.approx(30 * np.sqrt(1 - 2 / np.pi), rel=0.02)
    assert counts.min() >= 100


def test_sensor_blur_correlates_neighbours_within_planes_only(rng):
    sharp = expose(rng, flat(400), gain=4).astype(float)
    soft = expose(rng, flat(400), gain=4, sensor_blur=0.8).astype(float)
    assert soft.mean() == pytest.approx(sharp.mean(), rel=0.002)
    assert soft.var() < 0.3 * sharp.var()
    noise = soft - soft.mean()
    assert (noise[:, 1:] * noise[:, :-1]).mean() > 0.5 * noise.var()  # neighbours along y
    assert abs((noise[1:] * noise[:-1]).mean()) < 0.05 * noise.var()  # planes


def test_a_lag_correlates_neighbours_along_x_and_keeps_mean_and_variance(rng):
    noise = {"gain": 12.0, "excess": 1.0}
    sharp, lagged = (expose(rng, flat(20), lag=lag, **noise).astype(float) for lag in (0, 0.05))
    assert lagged.mean() == pytest.approx(sharp.mean(), rel=0.01)
    assert lagged.var() == pytest.approx(sharp.var(), rel=0.03)
    noise = lagged - lagged.mean()
    share = 0.05 * 0.95 / (0.05**2 + 0.95**2)
    assert (noise[..., 1:] * noise[..., :-1]).mean() / noise.var() == pytest.approx(share, abs=0.01)
    assert abs((noise[:, 1:] * noise[:, :-1]).mean()) < 0.01 * noise.var()


@pytest.mark.parametrize("bits, top", [(8, 255), (12, 4095), (16, 65535)])
def test_counts_fill_the_scale_of_the_detector_and_no_more(rng, bits, top):
    counts = expose(rng, flat(1e6, (2, 3, 3)), bits=bits)
    assert (counts == top).all()
    assert counts.dtype == (np.uint8 if bits == 8 else np.uint16)


def test_exposure_brings_the_brightest_labelled_light_to_its_share_of_the_scale(rng):
    light = rng.random((10, 50, 50), dtype=np.float32) * 40
    labels = np.zeros(light.shape, np.uint16)
    labels[:5] = 3
    light[5:] *= 10  # unlabelled debris does not count
    gain = camera.gain_for_exposure(light, labels, 0.8, camera.Camera(offset=15, bits=8))
    assert gain * np.quantile(light[:5], 0.9999) + 15 == pytest.approx(0.8 * 255)


@pytest.mark.parametrize("light", [-1.0, np.nan, np.inf])
def test_impossible_light_is_refused(rng, light):
    refused("photons per voxel must lie in 0", expose, rng, flat(light, (1, 2, 2)))


def test_an_offset_that_hides_all_light_is_refused():
    line = "offset must lie below the highest count of 8 bits, 255, found 255; lower offset or"
    refused(line, parse, "camera", {"bits": 8, "offset": 255}, camera.Camera)


@pytest.mark.parametrize("exposure, offset", [(0, 0), (0.3, 100)])
def test_exposures_outside_the_scale_are_refused(exposure, offset):
    light = np.ones((1, 2, 2), np.float32)
    refused(
        "share of full scale",
        camera.gain_for_exposure,
        light,
        light,
        exposure,
        camera.Camera(offset=offset, bits=8),
    )
