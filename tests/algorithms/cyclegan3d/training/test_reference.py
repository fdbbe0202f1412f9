"""Tests of the measurement of a microscope's look on several images."""

from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

from cytosuite.algorithms.cyclegan3d.training.reference import measure_style
from cytosuite.errors import InputError
from cytosuite.volume import Volume

_scenes = run_path(str(Path(__file__).parents[1] / "scenes.py"))
GAIN, OFFSET, SPACING, camera, light = (
    _scenes[name] for name in ("GAIN", "OFFSET", "SPACING", "camera", "light")
)


@pytest.fixture(scope="module")
def volumes():
    """Three stacks of one camera."""
    return [Volume(camera(light(n, blur_um=(2.0, 0.9)), seed=n), SPACING) for n in range(3)]


def test_properties_of_the_camera_are_found(volumes):
    style = measure_style(volumes)
    assert style.dtype == "uint16"
    assert style.noise.gain == pytest.approx(GAIN, rel=0.15)
    assert style.noise.offset == pytest.approx(OFFSET, abs=2)
    assert style.blur_um == pytest.approx((2.0, 0.9), rel=0.35)
    assert OFFSET < style.background < style.glow[0] < style.glow[-1] < style.objects[-1] < 350


def test_order_and_repetition_do_not_matter(volumes):
    once, other = measure_style(volumes), measure_style([*volumes[::-1], *volumes])
    assert once.noise == other.noise
    assert once.background == other.background
    np.testing.assert_allclose(once.objects, other.objects)


def test_one_odd_image_does_not_decide(volumes):
    odd = Volume(camera(light(9), gain=90, offset=900), SPACING)
    style, disturbed = measure_style(volumes), measure_style([*volumes, odd])
    assert disturbed.noise.gain == pytest.approx(style.noise.gain, rel=0.3)
    assert disturbed.background == pytest.approx(style.background, abs=3)


def test_images_without_objects_count_for_noise_alone(volumes):
    empty = Volume(camera(np.zeros(volumes[0].shape)), SPACING)
    assert measure_style([*volumes, empty]).objects == measure_style(volumes).objects
    with pytest.raises(InputError, match="none of 1 images shows an object"):
        measure_style([empty])


def test_crowded_images_weigh_more():
    dim = Volume(camera(light(1, balls=14)), SPACING)
    bright = Volume(camera(10 * light(2, balls=2)), SPACING)
    both = measure_style([dim, bright]).objects[16]
    alone = [measure_style([each]).objects[16] for each in (dim, bright)]
    assert alone[0] < both < sum(alone) / 2


def test_planes_have_a_lateral_blur_alone():
    plane = camera(light(4, shape=(128, 128), balls=14, blur_um=(0.0, 1.0)))
    style = measure_style([Volume(plane, SPACING[1:], "YX")])
    assert len(style.blur_um) == 1
    assert style.blur_um[0] == pytest.approx(1.0, rel=0.35)


def test_images_that_share_no_look_are_refused(volumes):
    array = volumes[0].array
    nothing = array.astype(np.float32)
    nothing[0, 0, 0] = np.nan
    for wrong, message in (
        ([], "expected at least one real image"),
        ([*volumes, Volume(array.astype(np.uint8), SPACING)], "expected images of one kind"),
        ([Volume(array.astype(np.int32), SPACING)], "expected uint8, uint16 or floating point"),
        ([Volume(nothing, SPACING)], "expected finite grey values"),
        ([Volume(array[:3], SPACING[1:], "CYX")], "expected axes ZYX or YX, found CYX"),
    ):
        with pytest.raises(InputError, match=message):
            measure_style(wrong)
