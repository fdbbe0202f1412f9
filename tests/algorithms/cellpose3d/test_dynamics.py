import numpy as np
import pytest
from mistakes import refused
from numpy.testing import assert_allclose, assert_array_equal
from rasters import away_from
from scipy.ndimage import convolve1d

from cytosuite.algorithms.cellpose3d import dynamics as module
from cytosuite.algorithms.cellpose3d.dynamics import follow, instances, smooth_flow, taps
from cytosuite.algorithms.cellpose3d.flows import flow_targets


def follow_on(device, flow, mask, **options):
    """Return the end points by torch on a device, by the compiled loop on None."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_device", lambda size: device)
        return follow(flow, mask, **options)


def random_case(seed, shape):
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < 0.6
    flow = rng.uniform(-1, 1, (3, *shape)).astype(np.float32)
    return np.where(rng.random(shape) < 0.8, flow, 0), mask


def test_one_step_is_interpolated_by_hand():
    flow = np.zeros((3, 1, 1, 4), np.float32)
    flow[2, 0, 0] = [0.5, 1, 0.5, 0.25]
    ends = follow(flow, np.array([[[True, False, False, False]]]), steps=2, step_size=1.0)
    assert_allclose(ends, [[0, 0, 1.25]])  # 0 + 0.5, then + (0.5 + 1) / 2


# The last has more points than one core follows at a time.
@pytest.mark.parametrize("shape", [(2, 1, 13), (1, 1, 1), (40, 50, 60)])
def test_torch_gives_the_same_points_in_a_random_flow(shape):
    flow, mask = random_case(0, shape)
    ours = follow_on(None, flow, mask, steps=40, step_size=0.9)
    assert_allclose(follow_on("cpu", flow, mask, steps=40, step_size=0.9), ours, atol=1e-3, rtol=0)


def nuclei(size, seed):
    """Return labels (1, Y, X) of touching discs, some cut by the border."""
    centres = np.random.default_rng(seed).uniform(0, size, (size**2 // 600, 2))
    away = np.stack([away_from(centre, (size, size)) for centre in centres])
    return np.where(away.min(0) < 13, away.argmin(0) + 1, 0)[None]


def test_points_of_a_plane_end_where_each_would_alone(rng):
    labels = nuclei(150, 0)
    flow = flow_targets(labels)
    flow[1:] += rng.normal(0, 0.2, flow[1:].shape)
    flow = smooth_flow(flow, labels > 0, (1, 1, 1))
    ours, alone = (
        follow_on(device, flow, labels > 0, steps=150, step_size=0.7) for device in (None, "cpu")
    )
    away = np.abs(ours - alone).max(axis=1)
    assert np.quantile(away, 0.99) < 0.6  # half a pixel and the rest of a step
    assert away.mean() < 0.2


# The last is smoothed in two parts.
@pytest.mark.parametrize("shape", [(1, 9, 2), (4, 640, 640)])
def test_smoothing_is_the_ratio_of_two_convolutions(shape):
    flow, mask = random_case(4, shape)
    sigma = (0.6, 1.0, 1.4)
    above = np.where(mask, flow[1], 0).astype(float)
    below = mask.astype(float)
    for axis, width in enumerate(sigma):
        above = convolve1d(above, taps(width), axis, mode="constant")
        below = convolve1d(below, taps(width), axis, mode="constant")
    assert_allclose(smooth_flow(flow, mask, sigma)[1][mask], (above / below)[mask], atol=1e-5)


def test_taps_are_a_gaussian():
    assert_array_equal(taps(0), [1])
    assert taps(1.5).size == 11
    assert taps(1.5).sum() == pytest.approx(1)
    assert taps(1)[4] / taps(1)[3] == pytest.approx(np.exp(-0.5), rel=1e-6)


def test_a_broken_flow_is_refused():
    flow, mask = random_case(6, (3, 4, 5))
    flow[1, 2, 3, 4] = np.nan
    flow[0, 0, 0, 0] = np.inf
    refused("holds 2 values that are not finite, of 180", smooth_flow, flow, mask, (1, 1, 1))


@pytest.mark.parametrize("free, device", [(2**29, None), (2**31, "cuda")])
def test_a_card_without_room_is_not_used(free, device, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (free, 2**34))
    assert module._device(2**20) == device


def segment(labels, spacing=(1, 1, 1), **lengths):
    mask = labels > 0
    ends = follow(
        smooth_flow(flow_targets(labels), mask, (1, 1, 1)), mask, steps=150, step_size=0.7
    )
    return instances(ends, mask, spacing, **{"sigma_um": 1.5, "distance_um": 4.0} | lengths)


def test_a_bent_cell_is_one():
    radius = away_from((5, 20), (40, 40))
    truth = ((radius > 12) & (radius < 22))[None].astype(np.int32)
    truth[:, :9] = 0  # half a ring
    assert_array_equal(segment(truth, sigma_um=2.0), truth)


def test_lengths_are_in_um():
    truth = np.zeros((16, 24, 36), np.int32)
    truth[2:14, 4:18, 3:17], truth[2:14, 6:20, 17:31] = 1, 2  # they touch
    assert_array_equal(segment(truth), truth)
    assert_array_equal(segment(truth, spacing=(3, 3, 3), sigma_um=4.5, distance_um=12.0), truth)


@pytest.mark.parametrize("distance, count", [(2.9, 2), (3.1, 1)])
def test_a_peak_gives_way_to_a_higher_one_within_the_distance(distance, count):
    mask = np.ones((1, 1, 10), bool)
    ends = np.zeros((10, 3), np.float32)
    ends[:6, 2] = 3
    ends[6:, 2] = 6
    assert instances(ends, mask, (2, 2, 1), sigma_um=0, distance_um=distance).max() == count


def test_of_equal_peaks_the_first_stays():
    mask = np.ones((1, 1, 4), bool)
    ends = np.float32([[0, 0, 0], [0, 0, 0], [0, 0, 2], [0, 0, 2]])
    assert_array_equal(
        instances(ends, mask, (1, 1, 1), sigma_um=0, distance_um=2), [[[1, 1, 1, 1]]]
    )
