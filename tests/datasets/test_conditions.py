import numpy as np
import pytest

from cytosuite.datasets.physics.grid import ENOUGH, some_planes
from cytosuite.datasets.sample import measured


def scene(noise=2.0, shape=(12, 60, 60)):
    """Return an image of two blocks in noise."""
    labels = np.zeros(shape, np.uint16)
    labels[..., 10:20, 10:20] = 7
    labels[..., 30:45, 30:40] = 9
    return np.random.default_rng(0).normal(100, noise, shape) + 30 * (labels > 0), labels


def test_counts_by_hand():
    image = np.array([[0, 3, 0, 0, 12, 12]], np.uint8)
    labels = np.array([[0, 0, 0, 0, 1, 1]])
    # Second differences -6 and 3: noise sqrt((36 + 9) / 2 / 6); mean 12 inside, 3/4 outside.
    expected = (12 - 0.75) / np.sqrt(45 / 12)
    conditions = measured(image, labels)
    assert conditions == {"signal / noise": pytest.approx(expected), "objects": 1}
    assert [type(value) for value in conditions.values()] == [float, int]


@pytest.mark.parametrize(
    "noise, fill", [(0.0, None), (2.0, 0), (2.0, 1)], ids=["no noise", "nothing", "no ground"]
)
def test_what_cannot_be_measured_is_left_out(noise, fill):
    image, labels = scene(noise=noise)
    if fill is not None:
        labels[:] = fill
    assert "signal / noise" not in measured(image, labels)
    assert measured(image, labels)["objects"] == len(np.unique(labels[labels > 0]))


def test_all_objects_of_a_huge_image_are_counted_and_some_planes_measured(monkeypatch):
    image, labels = scene(shape=(40, 60, 60))
    labels[3] = 11  # lies in a plane that is not measured
    whole = measured(image, labels)
    monkeypatch.setattr("cytosuite.datasets.physics.grid.ENOUGH", image.size // 4)
    some = measured(image, labels)
    assert some["objects"] == whole["objects"] == 3
    assert some["signal / noise"] != whole["signal / noise"]
    assert some["signal / noise"] == measured(image[::4], labels[::4])["signal / noise"]


def test_some_planes_are_all_of_usual_images():
    assert some_planes((512, 1024, 1024)).step == 1
    for shape in [(1024, 1024, 1024), (1024, 2048, 2048), (3000, 1500, 999)]:
        step = some_planes(shape).step
        assert np.prod(shape) / step <= ENOUGH
        assert step == 1 or np.prod(shape) / (step - 1) > ENOUGH
