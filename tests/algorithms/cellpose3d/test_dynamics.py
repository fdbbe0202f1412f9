import numpy as np
import pytest

from cytosuite.algorithms.cellpose3d import dynamics as module
from cytosuite.algorithms.cellpose3d.dynamics import follow, smooth_flow, taps
from cytosuite.algorithms.cellpose3d.flows import flow_targets
from cytosuite.errors import InputError


def follow_on(device, flow, mask, **given):
    """Return the end points by torch on a device, by the compiled loop on None."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_device", lambda size: device)
        return follow(flow, mask, **given)


def two_spheres(gap=0, shape=(20, 24, 44)):
    z, y, x = np.ogrid[tuple(slice(n) for n in shape)]
    labels = np.zeros(shape, np.int32)
    for name, middle in ((1, 12), (2, 30 + gap)):
        labels[(z - 9.5) ** 2 + (y - 11.5) ** 2 + (x - middle) ** 2 <= 81] = name
    return labels


def random_case(seed, shape):
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < 0.6
    flow = rng.uniform(-1, 1, (3, *shape)).astype(np.float32)
    return np.where(rng.random(shape) < 0.8, flow, 0), mask


def test_one_step_is_interpolated_by_hand():
    flow = np.zeros((3, 1, 1, 4), np.float32)
    flow[2, 0, 0] = [0.5, 1, 0.5, 0.25]
    ends = follow(flow, np.array([[[True, False, False, False]]]), steps=2, step_size=1.0)
    np.testing.assert_allclose(ends, [[0, 0, 1.25]])  # 0 + 0.5, then + (0.5 + 1) / 2


def test_points_come_to_rest_at_the_centroid():
    labels = two_spheres(gap=2)
    ends = follow(flow_targets(labels), labels > 0, steps=200, step_size=0.7)
    own = labels[labels > 0]
    for name in (1, 2):
        centre = np.argwhere(labels == name).mean(axis=0)
        assert np.abs(ends[own == name] - centre).max() < 0.15


def test_points_in_a_flow_of_unit_length_stay_near_the_centre():
    labels = two_spheres(gap=2)
    flow = flow_targets(labels)
    flow /= np.maximum(np.linalg.norm(flow, axis=0), 1e-6)
    ends = follow(flow, labels > 0, steps=60, step_size=0.7)
    own = labels[labels > 0]
    for name in (1, 2):
        centre = np.argwhere(labels == name).mean(axis=0)
        assert np.linalg.norm(ends[own == name] - centre, axis=1).max() < 1.5


def test_a_point_slides_along_the_border_around_a_bend():
    labels = np.zeros((1, 20, 20), np.int32)
    labels[0, :, :6] = labels[0, 14:, :] = 1  # an L: the straight way leads over the gap
    mask = labels > 0
    ends = follow(flow_targets(labels), mask, steps=300, step_size=0.7)
    assert np.ptp(ends, axis=0).max() < 1


def test_a_point_without_flow_or_without_steps_stays():
    mask = np.zeros((4, 5, 6), bool)
    mask[1, 2, 3] = mask[3, 4, 5] = True
    flow = np.zeros((3, 4, 5, 6), np.float32)
    np.testing.assert_array_equal(follow(flow, mask, steps=9, step_size=1), np.argwhere(mask))
    np.testing.assert_array_equal(follow(flow + 1, mask, steps=0, step_size=1), np.argwhere(mask))


def test_points_stay_within_the_image():
    flow = np.full((3, 4, 5, 6), 0.9, np.float32)
    ends = follow(flow, np.ones((4, 5, 6), bool), steps=50, step_size=1)
    np.testing.assert_array_equal(ends, np.tile(np.float32([3, 4, 5]), (120, 1)))


def test_a_larger_tolerance_stops_earlier(monkeypatch):
    labels = two_spheres(gap=2)
    flow, spread = flow_targets(labels), []
    for limit in (0.001, 0.05, 0.3):
        monkeypatch.setattr(module, "_REST", limit)
        spread.append(np.ptp(follow(flow, labels == 1, steps=200, step_size=0.7)[:, 2]))
    assert spread[0] < spread[1] < spread[2]


def test_torch_gives_the_same_points():
    labels = two_spheres()
    flow, mask = flow_targets(labels), labels > 0
    ours = follow_on(None, flow, mask, steps=60, step_size=0.7)
    np.testing.assert_allclose(
        follow_on("cpu", flow, mask, steps=60, step_size=0.7), ours, atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("shape", [(7, 8, 9), (1, 12, 13), (5, 1, 6), (1, 1, 1)])
@pytest.mark.parametrize("seed", range(3))
def test_torch_gives_the_same_points_in_a_random_flow(shape, seed):
    flow, mask = random_case(seed, shape)
    ours = follow_on(None, flow, mask, steps=40, step_size=0.9)
    theirs = follow_on("cpu", flow, mask, steps=40, step_size=0.9)
    np.testing.assert_allclose(theirs, ours, atol=1e-3, rtol=0)


@pytest.mark.gpu
def test_a_graphics_card_gives_the_same_points():
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    flow, mask = random_case(0, (16, 32, 32))
    ours = follow_on(None, flow, mask, steps=60, step_size=0.7)
    theirs = follow_on("cuda", flow, mask, steps=60, step_size=0.7)
    np.testing.assert_allclose(theirs, ours, atol=1e-3, rtol=0)


def test_any_chunk_of_points_gives_the_same(monkeypatch):
    flow, mask = random_case(1, (6, 7, 8))
    whole = follow_on("cpu", flow, mask, steps=30, step_size=0.7)
    monkeypatch.setattr("cytosuite.algorithms.cellpose3d.dynamics._CHUNK", 17)
    np.testing.assert_array_equal(follow_on("cpu", flow, mask, steps=30, step_size=0.7), whole)


def test_following_twice_gives_the_same_bytes_and_leaves_the_flow_alone():
    flow, mask = random_case(2, (9, 10, 11))
    before = flow.copy()
    first = follow(flow, mask, steps=50, step_size=0.7)
    assert follow(flow, mask, steps=50, step_size=0.7).tobytes() == first.tobytes()
    np.testing.assert_array_equal(flow, before)


def test_arrays_in_any_memory_order_serve():
    flow, mask = random_case(3, (5, 6, 7))
    expected = follow(flow, mask, steps=20, step_size=0.7)
    turned = np.asfortranarray(flow), np.asfortranarray(mask)
    np.testing.assert_array_equal(follow(*turned, steps=20, step_size=0.7), expected)
    np.testing.assert_array_equal(
        smooth_flow(*turned, (1, 1, 1)), smooth_flow(flow, mask, (1, 1, 1))
    )


def test_smoothing_keeps_a_constant_flow_to_the_rim():
    mask = two_spheres() > 0
    flow = np.where(mask, np.float32(0.5), np.float32(-7)) * np.ones((3, 1, 1, 1), np.float32)
    smooth = smooth_flow(flow, mask, (0.5, 1.0, 1.5))
    np.testing.assert_allclose(smooth[:, mask], 0.5, rtol=1e-5)
    reached = smooth[0] != 0  # the flow in the background is that of the foreground alone
    np.testing.assert_allclose(smooth[:, reached], 0.5, rtol=1e-5)
    assert mask.sum() < reached.sum() < mask.size


def test_smoothing_is_the_ratio_of_two_convolutions():
    from scipy.ndimage import convolve1d

    flow, mask = random_case(4, (8, 9, 10))
    sigma = (0.6, 1.0, 1.4)
    above, below = np.where(mask, flow[1], 0).astype(float), mask.astype(float)
    for axis, width in enumerate(sigma):
        above = convolve1d(above, taps(width), axis, mode="constant")
        below = convolve1d(below, taps(width), axis, mode="constant")
    smooth = smooth_flow(flow, mask, sigma)[1]
    np.testing.assert_allclose(smooth[mask], (above / below)[mask], atol=1e-5)


def test_without_a_sigma_the_foreground_keeps_its_flow():
    flow, mask = random_case(5, (4, 5, 6))
    smooth = smooth_flow(flow, mask, (0, 0, 0))
    np.testing.assert_array_equal(smooth, np.where(mask, flow, 0))


def test_taps_are_a_gaussian():
    np.testing.assert_array_equal(taps(0), [1])
    assert taps(1.5).size == 11
    assert taps(1.5).sum() == pytest.approx(1)
    assert taps(1)[4] / taps(1)[3] == pytest.approx(np.exp(-0.5), rel=1e-6)


def test_an_empty_foreground_has_no_points():
    mask, flow = np.zeros((3, 4, 5), bool), np.ones((3, 3, 4, 5), np.float32)
    assert follow(flow, mask, steps=5, step_size=1).shape == (0, 3)
    assert follow_on("cpu", flow, mask, steps=5, step_size=1).shape == (0, 3)
    assert not smooth_flow(flow, mask, (1, 1, 1)).any()


@pytest.mark.parametrize("device", [None, "cpu"])
def test_a_broken_flow_is_refused(device):
    flow, mask = random_case(6, (3, 4, 5))
    flow[1, 2, 3, 4] = np.nan
    flow[0, 0, 0, 0] = np.inf
    with pytest.raises(InputError, match="holds 2 values that are not finite, of 180"):
        follow_on(device, flow, mask, steps=5, step_size=1)
    with pytest.raises(InputError, match="not finite"):
        smooth_flow(flow, mask, (1, 1, 1))


def test_arrays_that_do_not_fit_are_refused():
    flow, mask = random_case(7, (3, 4, 5))
    with pytest.raises(InputError, match=r"found \(2, 3, 4, 5\) and bool \(3, 4, 5\)"):
        follow(flow[:2], mask, steps=5, step_size=1)
    with pytest.raises(InputError, match="and uint8"):
        follow(flow, mask.astype(np.uint8), steps=5, step_size=1)


def test_the_room_for_the_flow_is_asked_for(monkeypatch):
    flow, mask = random_case(3, (5, 9, 8))
    asked = []
    monkeypatch.setattr(module, "_device", asked.append)
    follow(flow, mask, steps=20, step_size=0.5)
    assert asked == [flow.nbytes]


@pytest.mark.parametrize(("free", "device"), [(2**29, None), (2**31, "cuda")])
def test_a_card_without_room_is_not_used(free, device, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (free, 2**34))
    assert module._device(2**20) == device
