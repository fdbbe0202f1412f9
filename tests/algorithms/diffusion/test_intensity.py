import numpy as np
import pytest
from numpy.testing import assert_allclose
from sketches import labels_of

from cytosuite.algorithms.diffusion.intensity import (
    GreyLevels,
    grey_values,
    image_units,
    sketch_units,
    target_of_images,
)
from cytosuite.networks.normalise import Target, sketch_of_labels


def test_units_of_a_sketch_are_those_of_any_gain_and_offset(rng):
    labels = labels_of()
    sketch = 0.01 * (labels > 0) - 3
    assert_allclose(sketch_units(sketch), labels > 0, atol=1e-5)
    units = sketch_units(sketch + 0.01 * rng.uniform(-0.1, 0.1, labels.shape))
    assert units.dtype == np.float32
    assert units[labels > 0].mean() == pytest.approx(1, abs=1e-3)
    assert units[labels == 0].mean() == pytest.approx(0, abs=1e-3)


def test_a_sketch_of_labels_parts_objects_that_touch():
    labels = np.zeros((5, 9), np.uint16)
    labels[1:4, 1:4], labels[1:4, 4:7], labels[1:3, 8:] = 1, 2, 3
    expected = np.zeros((5, 9), np.float32)
    expected[1:4, 1:3] = expected[1:4, 5:7] = expected[1:3, 8:] = 1
    np.testing.assert_array_equal(sketch_of_labels(labels), expected)
    assert not sketch_of_labels(np.zeros((3, 4, 4), np.int32)).any()
    for dtype in (np.uint8, np.int64, np.uint64):
        assert sketch_of_labels(np.eye(4, dtype=dtype)[None] * 7)[0].diagonal().all()
        assert sketch_of_labels(np.ones((3, 4, 4), dtype)).all()


def test_units_of_contrast_are_linear_with_ground_at_0_and_objects_at_2():
    image = np.repeat([30, 90, 150], [40, 10, 10]).astype(np.uint8)
    assert_allclose(image_units(image, "contrast")[[0, 40, 50]], [0, 4 / 3, 8 / 3])
    assert_allclose(
        image_units(3 * image.astype(float) - 7, "contrast"), image_units(image, "contrast")
    )
    assert not image_units(np.full((4, 4), 9, np.uint8), "contrast").any()


def test_the_target_of_several_images_is_the_median_of_each_level():
    images = [np.repeat([d, b], [9, 3]).astype(np.uint16) for d, b in [(1, 50), (2, 70), (9, 60)]]
    assert target_of_images(images, "contrast") == GreyLevels(dark=2, bright=60, dtype="uint16")
    by_background = target_of_images(images, "background")
    assert isinstance(by_background, Target)
    assert by_background.mean == 2


def test_levels_beyond_the_dtype_are_kept_at_its_ends():
    levels = GreyLevels(dark=10, bright=110, dtype="uint8")
    grey = grey_values(np.array([-1, 0, 2, 9], np.float32), levels)
    assert grey.dtype == np.uint8
    assert grey.tolist() == [0, 10, 110, 255]
