from math import nan

import numpy as np
import pytest
from mistakes import refused
from rasters import away_from

from cytosuite.datasets import camera
from cytosuite.datasets.calibration.measure import measure, noise_of
from cytosuite.volume import Volume

SHAPE = (30, 100, 100)


def scene(background=0.3, bright=40):
    away = away_from((15, 50, 50), SHAPE, np.divide(1, (60, 300, 300)) ** 0.5)
    return (background + bright * np.exp(-(away**2))).astype(np.float32)


def seen(rng, light, **settings):
    return noise_of(Volume(camera.Camera(**settings).expose(rng, light), (1, 1, 1)))


def test_gain_and_offset_of_a_quiet_camera(rng):
    noise = seen(rng, scene(), gain=12, offset=100, read_noise=0.2)
    assert noise.gain == pytest.approx(12, rel=0.06)
    assert noise.excess == 0
    assert noise.offset == pytest.approx(100, abs=2)
    assert noise.read_counts == pytest.approx(2.4, abs=1)
    assert abs(noise.correlation) < 0.05
    assert noise.note == ""


def test_multiplication_is_told_from_gain(rng):
    noise = seen(
        rng, np.tile(scene(0.1, 20), (1, 2, 2)), gain=10, offset=100, read_noise=0.2, excess=1.0
    )
    assert noise.slope == pytest.approx(20, rel=0.06)
    assert noise.gain == pytest.approx(10, rel=0.12)
    assert noise.excess == pytest.approx(1, abs=0.15)
    few = seen(rng, scene(1, 3)[5:25, 25:75, 25:75], gain=10, offset=100, excess=1.0)
    assert (few.gain, few.excess) == (pytest.approx(20, rel=0.1), pytest.approx(nan, nan_ok=True))
    assert few.note == "multiplication cannot be told from gain, which may be half of that given"


@pytest.mark.parametrize("lag, read", [(0.05, 0.2), (0.1, 0.2), (0.1, 2.0)])
def test_a_lag_hides_no_gain_and_read_noise_no_lag(lag, read, rng):
    noise = seen(rng, np.tile(scene(), (1, 2, 2)), gain=12, offset=100, read_noise=read, lag=lag)
    assert noise.lag == pytest.approx(lag, abs=0.01 + read / 100)
    assert noise.gain == pytest.approx(12, rel=0.04)
    assert (noise.excess, noise.offset) == (0, pytest.approx(100, abs=2 + read))


def test_correlated_noise_is_named(rng):
    noise = seen(rng, scene(), gain=5, offset=100, sensor_blur=0.8)
    assert noise.correlation > 0.5
    assert "correlated" in noise.note
    assert noise.slope < 1  # far below the true 5: the note matters


def test_noise_that_does_not_grow_tells_nothing(rng):
    noise = noise_of(Volume(rng.normal(100, 5, SHAPE), (1, 1, 1)))
    assert np.isnan(noise.gain)
    assert "noise" in noise.note
    assert noise.correlation == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("shape", [(2, 40, 40), (10, 4, 40)])
def test_too_few_voxels_are_named(rng, shape):
    noise = noise_of(Volume(rng.poisson(5, shape).astype(np.uint16), (1, 1, 1)))
    assert np.isnan(noise.gain)
    assert "too few" in noise.note


def boxes(signal=(50.0, 50.0, 50.0, 50.0, 50.0, 50.0), background=10.0):
    """Six boxes of 4 x 4 x 4 voxels at different heights, on even ground."""
    image = np.full((40, 40, 60), background)
    labels = np.zeros(image.shape, np.uint16)
    for number, light in enumerate(signal):
        z = 4 + 6 * number
        x = 5 + 9 * number
        place = np.s_[z : z + 4, 18:22, x : x + 4]
        image[place] += light
        labels[place] = number + 1
    return Volume(image, (2.0, 1.0, 1.0)), labels


def measured(*args, **settings):
    image, labels = boxes(*args, **settings)
    return measure([(image, labels)])


def test_hand_computed_sizes_and_light():
    statistics = measured()
    expected = {"objects": 6, "background": 10, "far": 10, "signal": 50, "contrast": 0}
    expected |= {"volume_um3": 4 * 4 * 4 * 2, "elongation": 2}  # 8 µm high, 4 µm wide
    expected |= {"flatness": 1, "volume_cv": 0, "halo": 0, "glow": 0}
    expected |= {"neighbour_um": np.hypot(12, 9), "tissue_height_um": 34 * 2}
    expected |= {"tissue_width_um": (4 + 49) / 2, "middle": 0.525, "contact_share": 0}
    assert {name: statistics.volumes[name][0] for name in expected} == pytest.approx(expected)
    assert statistics.objects["height_um"].tolist() == [8.0] * 6
    assert statistics.annotated == 1


def test_dimming_and_spread_are_told_apart():
    depth = 2 * np.arange(6) * 6  # µm
    statistics = measured(100 * np.exp(-0.02 * depth))
    assert statistics.median("dimming") == pytest.approx(0.02)
    assert statistics.median("brightness_spread") == pytest.approx(0, abs=1e-9)
    uneven = measured(100 * np.exp(-0.02 * depth + 0.3 * np.array([1, -1, -1, 1, 0, 0])))
    assert uneven.median("brightness_spread") > 0.2


def test_cut_objects_count_but_have_no_shape():
    image, labels = boxes()
    empty = measure([(image, 0 * labels)])
    assert empty.median("objects") == 0
    assert np.isnan([empty.median("signal"), empty.median("halo")]).all()
    labels[:, 18:22, 55:59][:4] = 9  # at the first plane
    statistics = measure([(image, labels)])
    assert statistics.median("objects") == 7
    assert np.isfinite(statistics.objects["volume_um3"]).sum() == 6


def test_texture_is_structure_and_not_noise(rng):
    labels = np.zeros((20, 40, 40), np.uint8)
    labels[4:16, 8:32, 8:32] = 1
    stripes = 20 * np.sign(np.sin(np.arange(40) * np.pi / 2 + 0.1))
    even = 100.0 * labels + rng.normal(0, 15, labels.shape)
    textures = [
        measure([(Volume(10 + image, (1, 1, 1)), labels)]).median("texture")
        for image in (even, even + stripes * labels)
    ]
    assert textures[0] < 0.05  # the noise alone is 0.15
    assert textures[1] == pytest.approx(0.2, abs=0.03)


def test_without_labels_objects_are_found_and_flagged():
    image, labels = boxes()
    statistics = measure([(image, labels), (image, None)])
    assert statistics.annotated == 1
    assert statistics.volumes["objects"].tolist() == [6, 6]
    assert any("1 of 2 stacks: objects by threshold only" in note for note in statistics.notes)
    assert measure([(image, None)]).annotated == 0


def test_mistakes_are_named():
    image, labels = boxes()
    refused("shape of their image", measure, [(image, labels[1:])])
    refused("ZYX stack", measure, [(Volume(image.array[0], (1, 1), "YX"), None)])
