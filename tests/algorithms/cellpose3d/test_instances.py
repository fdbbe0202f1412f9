import numpy as np
import pytest

from cytosuite.algorithms.cellpose3d.dynamics import follow, smooth_flow
from cytosuite.algorithms.cellpose3d.flows import flow_targets
from cytosuite.algorithms.cellpose3d.instances import instances, renumber


def ellipsoids(shape, count, low, high, seed=0):
    """Return ellipsoids that do not overlap but may touch."""
    rng = np.random.default_rng(seed)
    labels, name = np.zeros(shape, np.int32), 0
    for _ in range(200 * count):
        axes = rng.uniform(low, high)
        centre = [rng.uniform(a, n - 1 - a) for a, n in zip(axes, shape, strict=True)]
        box = [slice(int(c - a), int(c + a) + 2) for c, a in zip(centre, axes, strict=True)]
        grid = np.ogrid[tuple(box)]
        inside = sum(((g - c) / a) ** 2 for g, c, a in zip(grid, centre, axes, strict=True)) <= 1
        part = labels[tuple(box)]
        inside = inside[tuple(slice(n) for n in part.shape)]
        if not part[inside].any():
            name += 1
            part[inside] = name
        if name == count:
            break
    return labels


def segment(labels, noise=0.0, sigma=1.0, spacing=(1, 1, 1), **lengths):
    mask, flow = labels > 0, flow_targets(labels)
    flow += np.random.default_rng(1).normal(0, noise, flow.shape).astype(np.float32)
    flow = smooth_flow(flow, mask, (sigma, sigma, sigma))
    ends = follow(flow, mask, steps=150, step_size=0.7)
    return instances(ends, mask, spacing, **{"sigma_um": 1.5, "distance_um": 4.0} | lengths)


def overlaps(truth, found):
    """Return the best IoU of each true object."""
    best = []
    for name in np.unique(truth[truth > 0]):
        own = truth == name
        other = np.bincount(found[own]).argmax()
        best.append(np.sum(own & (found == other)) / np.sum(own | (found == other)) * (other > 0))
    return np.array(best)


@pytest.mark.parametrize("sigma", [0, 1])
def test_perfect_flows_give_the_ellipsoids(sigma):
    truth = ellipsoids((32, 72, 72), 12, (5, 6, 6), (7, 10, 10))
    found = segment(truth, sigma=sigma)
    assert found.dtype == np.uint32
    assert found.max() == truth.max()
    assert overlaps(truth, found).mean() >= 0.99


def test_noisy_flows_give_the_ellipsoids():
    truth = ellipsoids((32, 72, 72), 12, (5, 6, 6), (7, 10, 10))
    found = segment(truth, noise=0.2)
    assert found.max() == truth.max()
    assert overlaps(truth, found).mean() >= 0.97


def test_spheres_that_touch_stay_apart():
    z, y, x = np.ogrid[:20, :40, :40]
    truth = np.zeros((20, 40, 40), np.int32)
    for name, (b, c) in enumerate([(11, 11), (11, 28), (28, 11), (28, 28)], start=1):
        truth[(z - 9.5) ** 2 + (y - b) ** 2 + (x - c) ** 2 <= 8.6**2] = name
    found = segment(truth)
    assert found.max() == 4
    assert overlaps(truth, found).min() >= 0.99


def test_tiny_cells_are_found():
    truth = ellipsoids((24, 60, 60), 40, (2, 3, 3), (3, 4, 4))
    found = segment(truth, sigma=0.5, sigma_um=1.0, distance_um=2.0)
    assert truth.max() == found.max() == 40
    assert overlaps(truth, found).min() >= 0.95
    assert overlaps(truth, found).mean() >= 0.99


def test_a_bent_cell_is_one():
    y, x = np.ogrid[:40, :40]
    radius = np.hypot(y - 5, x - 20)
    truth = ((radius > 12) & (radius < 22) & (y > 8))[None].astype(np.int32)  # half a ring
    found = segment(truth, sigma_um=2.0)
    np.testing.assert_array_equal(found, truth)


def test_one_cell_that_fills_the_volume():
    truth = np.ones((12, 30, 30), np.int32)
    np.testing.assert_array_equal(segment(truth), truth)


def test_a_flat_image():
    truth = ellipsoids((24, 80, 80), 9, (11, 6, 6), (11.5, 11, 11))[12:13]
    found = segment(truth)
    assert truth.max() > 3
    assert found.max() == truth.max()
    assert overlaps(truth, found).min() >= 0.99


def test_nothing_gives_nothing():
    mask = np.zeros((3, 4, 5), bool)
    ends = np.zeros((0, 3), np.float32)
    found = instances(ends, mask, (1, 1, 1), sigma_um=1, distance_um=2)
    assert found.dtype == np.uint32
    assert not found.any()


@pytest.mark.slow
def test_five_thousand_cells():
    z, y, x = np.ogrid[:60, :200, :250]
    truth = (z // 6 * 40 + y // 10) * 50 + x // 5 + 1
    middle = (z % 6 - 2.5) ** 2 / 7 + (y % 10 - 4.5) ** 2 / 18 + (x % 5 - 2) ** 2 / 5
    truth = np.where(middle <= 1, truth, 0)
    count = len(np.unique(truth)) - 1
    assert count >= 5000
    found = segment(truth, sigma=0.5, sigma_um=0.8, distance_um=2.0)
    assert found.max() == count
    assert (found > 0).sum() == (truth > 0).sum()


def test_lengths_are_in_um():
    truth = ellipsoids((20, 50, 50), 6, (4, 6, 6), (5, 8, 8))
    once = segment(truth, spacing=(1, 1, 1))
    twice = segment(truth, spacing=(3, 3, 3), sigma_um=4.5, distance_um=12.0)
    np.testing.assert_array_equal(once, twice)


@pytest.mark.parametrize(("distance", "count"), [(2.9, 2), (3.1, 1)])
def test_a_peak_gives_way_to_a_higher_one_within_the_distance(distance, count):
    mask = np.ones((1, 1, 10), bool)
    ends = np.zeros((10, 3), np.float32)
    ends[:6, 2], ends[6:, 2] = 3, 6
    found = instances(ends, mask, (2, 2, 1), sigma_um=0, distance_um=distance)
    assert found.max() == count


def test_of_equal_peaks_the_first_stays():
    mask = np.ones((1, 1, 4), bool)
    ends = np.float32([[0, 0, 0], [0, 0, 0], [0, 0, 2], [0, 0, 2]])
    found = instances(ends, mask, (1, 1, 1), sigma_um=0, distance_um=2)
    np.testing.assert_array_equal(found, [[[1, 1, 1, 1]]])


def test_the_same_points_give_the_same_bytes():
    truth = ellipsoids((20, 50, 50), 6, (4, 6, 6), (5, 8, 8))
    assert segment(truth, noise=0.5).tobytes() == segment(truth, noise=0.5).tobytes()


def test_numbers_follow_the_first_voxels():
    labels = np.array([[[0, 9, 9, 2, 0, 5, 2]]], np.uint32)
    np.testing.assert_array_equal(renumber(labels), [[[0, 1, 1, 2, 0, 3, 2]]])
