import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cytosuite.algorithms.cyclegan3d.intensity import extent, from_network, scaling_of, to_network
from cytosuite.errors import InputError
from cytosuite.normalise import Target, background_of

DTYPES = ("uint8", "uint16")


def _image(seed=0, top=250):
    """Return noise of a background with a bright object, as whole numbers."""
    image = np.random.default_rng(seed).normal(60, 5, (6, 24, 24))
    image[2:4, 5:11, 5:11] = top
    return image.round()


@pytest.mark.parametrize("dtype", [*DTYPES, "float32"])
def test_units_of_the_background_are_undone(dtype):
    image = _image().astype(dtype)
    background = background_of(image)
    target = Target(mean=background.mean, sd=background.sd, dtype=dtype)
    found = from_network(to_network(image, "background"), "background", target)
    assert found.dtype == image.dtype
    np.testing.assert_allclose(found, image, rtol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_units_of_the_dtype_are_undone_for_every_grey_value(dtype):
    image = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)
    values = to_network(image, "dtype")
    assert (values.dtype, values[0], values[-1]) == (np.float32, -1, 1)
    found = from_network(values, "dtype", Target(mean=0, sd=1, dtype=dtype))
    np.testing.assert_array_equal(found, image)


def test_units_of_the_dtype_by_hand():
    assert to_network(np.array([0, 51, 255], np.uint8), "dtype") == pytest.approx([-1, -0.6, 1])
    floats = to_network(np.array([0, 0.25, 1]), "dtype")
    assert floats.tolist() == [-1, -0.5, 1]
    assert to_network(np.array([False, True]), "dtype").tolist() == [-1, 1]
    back = from_network(floats, "dtype", Target(mean=0, sd=1, dtype="float32"))
    assert back.tolist() == [0, 0.25, 1]


def test_grey_values_of_one_dtype_become_those_of_another():
    values = to_network(np.array([0, 51, 255], np.uint8), "dtype")
    found = from_network(values, "dtype", Target(mean=0, sd=1, dtype="uint16"))
    assert found.tolist() == [0, 51 * 257, 65535]


@pytest.mark.parametrize("low_high", [(-0.1, 1.0), (0.0, 1.5), (0.0, np.nan)])
def test_floats_beyond_their_range_are_refused(low_high):
    with pytest.raises(InputError, match=r"^a\.tif: a network with the scale dtype takes integers"):
        to_network(np.array(low_high), "dtype", "a.tif")
    if not np.isnan(low_high).any():
        assert np.isfinite(to_network(np.array(low_high), "background")).all()


def test_signed_integers_have_no_published_scale():
    with pytest.raises(InputError, match="takes unsigned integers or floats in 0..1, found int16"):
        to_network(np.zeros((2, 2), np.int16), "dtype")


@given(st.floats(0.01, 100), st.floats(-1000, 1000), st.sampled_from([np.float32, np.float64]))
def test_gain_and_offset_of_a_camera_do_not_count(gain, offset, dtype):
    image = _image()
    found = to_network((gain * image + offset).astype(dtype), "background")
    np.testing.assert_allclose(found, to_network(image, "background"), atol=0.02)


def test_gain_and_offset_count_in_units_of_the_dtype():
    image = _image().astype(np.uint8)
    assert np.abs(to_network(image, "dtype") - to_network(image // 2, "dtype")).max() > 0.5


def test_a_part_of_an_image_would_have_another_scale():
    image = _image()
    whole = to_network(image, "background")
    part = to_network(image[2:4, 4:12, 4:12], "background")
    assert np.abs(part - whole[2:4, 4:12, 4:12]).max() > 0.2
    same = to_network(image.astype(np.uint8)[2:4], "dtype")
    np.testing.assert_array_equal(same, to_network(image.astype(np.uint8), "dtype")[2:4])


@pytest.mark.parametrize("scale", ["background", "dtype"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_integers_are_rounded_and_kept_in_their_range(scale, dtype):
    values = np.array([-1e30, -100, 0, 100, 1e30], np.float32)
    found = from_network(values, scale, Target(mean=100, sd=3, dtype=dtype))
    top = np.iinfo(dtype).max
    middle = 100 if scale == "background" else round(top / 2 + 0.1)
    assert found.tolist() == [0, 0, middle, top, top]
    assert found.dtype == dtype


def test_floats_of_the_target_are_finite_and_not_rounded():
    values = np.array([-1e30, 0, 0.1, 1e30], np.float32)
    found = from_network(values, "background", Target(mean=100, sd=3, dtype="float32"))
    assert np.isfinite(found).all()
    assert found[2] == pytest.approx(100 + 9 * np.sinh(0.2))


def test_the_argument_is_left_alone():
    values = np.array([-0.5, 0.5], np.float32)
    for scale in ("background", "dtype"):
        from_network(values, scale, Target(mean=0, sd=1))
        to_network(image := np.array([0.25, 0.5], np.float32), scale)
        assert image.tolist() == [0.25, 0.5]
    assert values.tolist() == [-0.5, 0.5]


@pytest.mark.parametrize("given", [{"sd": 0}, {"sd": -1}, {"dtype": "int16"}, {"mean": None}])
def test_an_impossible_target_is_refused(given):
    with pytest.raises(ValidationError, match=next(iter(given))):
        Target(**{"mean": 0.0, "sd": 1.0, **given})


def test_units_of_the_target_are_the_same_in_every_image():
    target = Target(mean=100, sd=4, dtype="uint16")
    image = np.array([[100, 112], [160, 1000]], np.uint16)
    values = to_network(image, "style", target=target)
    np.testing.assert_allclose(values, 0.5 * np.arcsinh((image - 100.0) / 12), rtol=1e-6)
    np.testing.assert_array_equal(to_network(image[:1], "style", target=target), values[:1])
    np.testing.assert_array_equal(from_network(values, "style", target), image)


@pytest.mark.parametrize("scale", ["background", "dtype"])
def test_an_image_on_disk_has_the_units_of_one_in_memory(scale, mapped):
    image = np.random.default_rng(0).uniform(0, 1, (7, 8, 9)).astype(np.float32)
    scaling = scaling_of(mapped(image), scale)
    np.testing.assert_array_equal(scaling(image[2:4]), to_network(image, scale)[2:4])


def test_the_extent_of_an_image(mapped):
    image = np.arange(-5.0, 115).reshape(4, 5, 6)
    assert extent(image) == extent(mapped(image)) == (-5.0, 114.0)
    assert extent(image[:0]) == (0.0, 0.0)
