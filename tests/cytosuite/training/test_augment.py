import numpy as np
import pytest
from numpy.testing import assert_array_equal

from cytosuite.algorithms.cellpose3d.flows import flow_targets
from cytosuite.training.augment import Augmentations, augmented, joined_labels

RNG = np.random.default_rng


def _given(*queue, **more):
    return Augmentations(prob=1, queue=queue, **more)


@pytest.mark.parametrize(
    "change, expected",
    {
        "anisotropy": [0, 0, 2, 2, 4, 4, 6],
        "stretch": [0, 0, 1, 1, 2, 2, 3],
        "shrink": [0, 2, 4, 6, 4, 2, 0],
    }.items(),
)
def test_geometry_by_hand_is_the_same_for_image_and_truth(change, expected):
    line = np.arange(7, dtype=np.float32).reshape(1, 1, 1, 7)
    image, truth = augmented(RNG(0), line, line + 10, _given(change, **{f"{change}_axes": [2]}))
    assert image.ravel().tolist() == expected
    assert_array_equal(truth, image + 10)


@pytest.mark.parametrize("change", ["anisotropy", "stretch", "permute"])
def test_flows_follow_the_geometry(change):
    labels = np.zeros((16, 16, 16), np.uint16)
    labels[1:7, 1:6, 2:7] = 1
    target = np.concatenate([labels[None], flow_targets(labels), labels[None]]).astype(np.float32)
    settings = _given(*[change] * (change != "permute"), permute_dim=change == "permute")
    moved, channels = augmented(RNG(3), labels.astype(np.float32), target, settings, flow=1)
    expected = flow_targets(moved.astype(np.uint16))
    # Repeated voxels share the flow of one of them.
    least = 1 - 1e-6 if change == "permute" else 0.95
    assert np.corrcoef(channels[1:4].ravel(), expected.ravel())[0, 1] > least


def test_mirrored_flows_point_the_other_way():
    flow = np.ones((3, 9, 4, 4), np.float32)
    _, mirrored = augmented(RNG(0), flow[0], flow, _given("shrink", shrink_axes=[0]), flow=0)
    assert mirrored[:, :, 0, 0].tolist() == [[1] * 5 + [-1] * 3 + [1], [1] * 9, [1] * 9]


@pytest.mark.parametrize("change", ["scale", "noise", "shuffle", "inpaint", "decline"])
def test_intensity_changes_the_image_alone_within_its_range(change):
    image = RNG(1).random((2, 8, 16, 16), np.float32)
    settings = _given(change, shuffle_size=[4, 8, 8], inpaint_size=[4, 8, 8])
    altered, truth = augmented(RNG(2), image, image, settings)
    again, _ = augmented(RNG(2), image, image, settings)
    assert_array_equal(altered, again)
    assert truth is image
    assert not np.array_equal(altered, image)
    assert altered.max() <= image.max()
    assert altered.min() >= (0 if change == "decline" else image.min())
    if change == "shuffle":
        assert_array_equal(np.sort(altered, axis=None), np.sort(image, axis=None))


def test_nothing_is_drawn_without_a_queue():
    rng = RNG(0)
    image = np.ones((2, 3, 4), np.float32)
    assert augmented(rng, image, image[:0], Augmentations())[0] is image
    assert rng.random() == RNG(0).random()


def test_joined_labels_touch():
    labels = np.array([[1, 1, 2, 2, 0, 3]], np.uint16)
    assert_array_equal(joined_labels(RNG(0), labels, 0), labels)
    joined = joined_labels(RNG(0), labels, 1)[0]
    assert joined[0] == joined[3]
    assert joined.tolist()[4:] == [0, 3]
