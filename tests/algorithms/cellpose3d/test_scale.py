import numpy as np
import pytest

from cytosuite.algorithms.cellpose3d.parameters import Parameters, Trained
from cytosuite.algorithms.cellpose3d.scale import (
    choose_scale,
    estimate_diameter,
    interpolate,
    labels_to_image,
    reach_of,
    stencils,
    to_working,
)
from cytosuite.errors import InputError
from cytosuite.volume import Volume

TRAINED = Trained(spacing=(2.0, 1.0, 1.0), diameter_um=10.0)


def ball(shape, spacing, centre, radius):
    """Return the distance to a sphere's surface in µm, positive inside."""
    grid = np.indices(shape).astype(np.float32)
    parts = [(g + 0.5) * s - c for g, s, c in zip(grid, spacing, centre, strict=True)]
    return radius - np.sqrt(sum(part**2 for part in parts))


def spots(diameter, spacing=(2.0, 1.0, 1.0), shape=(20, 120, 120)):
    """Return nine soft balls of a lateral diameter in µm, and a little noise, normalised."""
    image = np.random.default_rng(0).normal(0, 0.02, shape).astype(np.float32)
    for y in (0.2, 0.5, 0.8):
        for x in (0.2, 0.5, 0.8):
            middle = [n * s * f for n, s, f in zip(shape, spacing, (0.5, y, x), strict=True)]
            inside = ball(shape, spacing, middle, diameter / 2)
            image += 0.5 + 0.5 * np.tanh(inside / (0.2 * diameter))
    return image


def intensities(normalised):
    """Return an image that looks like this once it is normalised, but for its noise."""
    noise = np.random.default_rng(1).normal(100, 1, normalised.shape)
    return (3 * np.sinh(2 * normalised) + noise).astype(np.float32)


def scale(image, spacing=(2.0, 1.0, 1.0), estimate=True, rescale_tolerance=0.1, **metadata):
    image = intensities(image)
    volume = Volume(image, spacing[-image.ndim :], "ZYX"[-image.ndim :], metadata)
    parameters = Parameters(
        network={"widths": [4, 4, 4]},
        diameter="estimated" if estimate else "trained",
        diameter_tolerance=1.5,
        rescale_tolerance=rescale_tolerance,
    )
    return choose_scale(image if image.ndim == 3 else image[None], volume, TRAINED, parameters)


def test_an_image_near_the_training_is_used_as_it_is():
    image = np.zeros((4, 9, 9), np.float32)
    assert scale(image, (2.1, 1.0, 0.95), estimate=False).factor == (1.0, 1.0, 1.0)
    assert scale(image, (2.1, 1.2, 1.0), estimate=False).factor == (1.05, 1.2, 1.0)


@pytest.mark.parametrize("diameter", [6.0, 30.0])
def test_the_diameter_is_found(diameter):
    found = estimate_diameter(spots(diameter), (2.0, 1.0, 1.0), 10.0)
    assert found == pytest.approx(diameter, rel=0.3)


def test_a_given_diameter_decides():
    found = scale(spots(30.0), diameter_um=20.0)
    assert (found.source, found.ratio) == ("given", 2.0)
    assert found.spacing == (1.0, 0.5, 0.5)
    assert found.factor == (0.5, 0.5, 0.5)


def test_an_estimate_counts_only_where_it_differs_much():
    near, far = scale(spots(11.0)), scale(spots(30.0))
    assert (near.source, near.factor) == ("trained", (1.0, 1.0, 1.0))
    assert far.source == "estimated"
    assert far.factor[1] == pytest.approx(1 / 3, rel=0.3)
    assert scale(spots(30.0), estimate=False).source == "trained"


def test_without_a_voxel_size_the_estimate_is_all_there_is():
    image = spots(30.0, (1.0, 1.0, 1.0))
    found = scale(image, (1.0, 1.0, 1.0), estimate=False, spacing_source="assumed")
    assert found.source == "estimated"
    assert found.factor[0] == pytest.approx(found.factor[1] / 2)


@pytest.mark.parametrize("wrong", [0, "large"])
def test_explains_a_wrong_diameter(wrong):
    with pytest.raises(InputError, match="diameter_um must be a positive number of µm, found"):
        scale(np.ones((4, 9, 9), np.float32), diameter_um=wrong)


def test_nuclei_of_another_size_are_told():
    assert scale(spots(10.0)).warnings == ()
    assert scale(spots(30.0), diameter_um=30.0).warnings == ()
    (line,) = scale(spots(30.0)).warnings
    assert line.startswith("nuclei odd: with voxels of 2 x 1 x 1 µm they look ")
    assert "those of the model are 10 µm; rescaled to fit, check the voxel size" in line
    unknown = scale(spots(30.0, (1.0, 1.0, 1.0)), (1.0, 1.0, 1.0), spacing_source="assumed")
    assert unknown.warnings == ()


def test_an_image_far_too_coarse_is_refused_before_it_takes_its_time():
    image = np.zeros((4, 9, 9), np.float32)
    assert scale(image, (6.0, 3.0, 3.0), estimate=False).factor == (3.0, 3.0, 3.0)
    with pytest.raises(InputError, match=r"for which voxels of 8 x 4 x 4 µm .* 64 times; check"):
        scale(image, (8.0, 4.0, 4.0), estimate=False)
    assert scale(image, (8.0, 4.0, 4.0), diameter_um=40.0).factor == (1.0, 1.0, 1.0)


def _linear(image, shape):
    """Return an image interpolated linearly on another grid over its box."""
    return interpolate(image, stencils(image.shape, shape))


def _to_image(labels, foreground):
    """Return labels on another grid over their box."""
    return labels_to_image(labels, foreground, stencils(labels.shape, foreground.shape))


def test_linear_interpolation_by_hand():
    row = np.array([0, 4], np.float32)
    np.testing.assert_allclose(_linear(row, (4,)), [0, 1, 3, 4])
    np.testing.assert_allclose(_linear(np.array([0, 1, 2, 3], np.float32), (2,)), [0.5, 2.5])


def test_a_gradient_stays_a_gradient_in_µm():
    image = np.broadcast_to(np.arange(40, dtype=np.float32)[:, None, None], (40, 8, 8))
    half = to_working(image, (0.5, 1.0, 1.0))
    assert half.shape == (20, 8, 8)
    np.testing.assert_allclose(half[4:-4, 0, 0], 2 * np.arange(4, 16) + 0.5, atol=1e-3)


def test_shrinking_does_not_alias():
    image = np.random.default_rng(0).normal(0, 1, (8, 96, 96)).astype(np.float32)
    shrunk = to_working(image, (1.0, 0.25, 0.25))
    assert shrunk.shape == (8, 24, 24)
    assert shrunk.std() < 0.3 * image.std()
    assert abs(float(shrunk.mean() - image.mean())) < 0.01


@pytest.mark.parametrize("working", [(4, 9, 30), (8, 40, 5)])
def test_a_working_voxel_depends_on_no_voxel_beyond_its_reach(working):
    shape = (17, 40, 33)
    factor = [new / old for new, old in zip(working, shape, strict=True)]
    image = np.random.default_rng(0).uniform(0, 1, shape)
    for axis, reach in enumerate(reach_of(shape, working)):
        place = stencils(shape, working)[axis]
        middle = working[axis] // 2
        far = place.high[middle] + reach + 1
        changed = image.copy()
        np.moveaxis(changed, axis, 0)[far:] += 1
        before, after = (to_working(each, factor).take(middle, axis) for each in (image, changed))
        np.testing.assert_array_equal(before, after)
        np.moveaxis(changed, axis, 0)[far - 2 : far] += 1  # the second has no weight at a centre
        assert (to_working(changed, factor).take(middle, axis) != before).any()


def two_touching(spacing, shape):
    """Return labels of two spheres cut apart at a plane, and the distance to their surface."""
    left = ball(shape, spacing, (16, 16, 12), 8)
    right = ball(shape, spacing, (16, 16, 24), 8)
    labels = np.where(left > right, 1, 2) * (np.maximum(left, right) > 0)
    return labels.astype(np.uint32), np.maximum(left, right).astype(np.float32)


def iou(truth, found, label):
    return ((truth == label) & (found == label)).sum() / ((truth == label) | (found == label)).sum()


@pytest.mark.parametrize("times", [2, 3])
def test_labels_on_a_finer_grid_have_smooth_borders(times):
    coarse, margin = two_touching((2.0, 2.0, 2.0), (16, 16, 18))
    fine = tuple(times * n for n in coarse.shape)
    truth, _ = two_touching((2 / times,) * 3, fine)
    found = _to_image(coarse, _linear(margin, fine) > 0)
    nearest = np.kron(coarse, np.ones((times,) * 3, np.uint32))
    for label in (1, 2):
        assert iou(truth, found, label) > 0.92
        assert iou(truth, found, label) > iou(truth, nearest, label) + 0.05
