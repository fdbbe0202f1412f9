"""The published program's counts and formulas, and its whole loop with a tiny network."""

import diffusion_published as published
import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from cytosuite.algorithms.diffusion.sampler import step_weights
from cytosuite.algorithms.diffusion.schedule import NoiseSchedule

VOLUME = (180, 512, 512)
TINY = {3: (8, 16, 16), 2: (1, 16, 24)}


@pytest.fixture(autouse=True)
def _one_thread():
    """Compute in one thread: small tensors are faster so on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _network(dimensions=3, width=2):
    torch.manual_seed(0)
    return published.PublishedDenoiser(dimensions, width).eval()


def _weights(module):
    return sum(weight.numel() for weight in module.parameters())


def test_the_network_has_its_published_weights():
    assert _weights(published.PublishedDenoiser()) == published.WEIGHTS == 2_318_961


def test_a_pass_has_the_operations_that_were_counted():
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        made = published.PublishedDenoiser()(torch.zeros(1, 2, 32, 128, 128), 399)
    assert made.shape == (1, 1, 32, 128, 128)
    assert counter.get_total_flops() / 1e9 == pytest.approx(142.8, abs=0.05)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_answer_has_the_shape_of_one_channel_and_knows_the_step(dimensions):
    network, image = _network(dimensions), torch.randn(1, 2, *(8, 16, 24)[-dimensions:])
    with torch.inference_mode():
        first, other = network(image, 3), network(image, 300)
    assert first.shape == (1, 1, *image.shape[2:])
    assert float((first - other).abs().max()) > 1e-4


def test_a_step_is_embedded_as_sines_then_cosines():
    found = published.embedded(7)
    assert found.shape == (1, 128)
    assert found[0, [0, 64]].tolist() == pytest.approx([np.sin(7), np.cos(7)], abs=1e-6)
    assert found[0, [63, 127]].tolist() == pytest.approx([np.sin(7e-4), np.cos(7e-4)], abs=1e-6)
    assert torch.allclose(found[:, :64] ** 2 + found[:, 64:] ** 2, torch.ones(1, 64))


def test_a_shuffle_of_planes_is_that_of_torch():
    values = torch.arange(2 * 8 * 3 * 5.0).reshape(2, 8, 3, 5)
    assert torch.equal(published.shuffled(values), torch.nn.functional.pixel_shuffle(values, 2))


def test_a_shuffle_of_volumes_puts_channels_at_corners():
    made = published.shuffled(torch.arange(16.0).reshape(1, 16, 1, 1, 1))
    assert made[0, 0].flatten().tolist() == list(range(8))
    assert made[0, 1, 1, 0, 1] == 8 + 5


def test_the_schedule_has_the_checked_values():
    signal = published.reverse_steps().signal
    assert signal[399] == pytest.approx(0.647, abs=5e-4)
    assert signal[999] == pytest.approx(2.4e-10, rel=0.05)
    assert 1 - signal[0] == pytest.approx(1e-4)
    np.testing.assert_allclose(signal, NoiseSchedule().signal(), rtol=1e-9)


def test_single_steps_are_those_of_our_sampler():
    numbers = published.reverse_steps()
    for step in (1, 2, 57, 399, 998):
        own = step_weights(numbers.signal[step], numbers.signal[step - 1], "ddpm")
        # Ours keep the noise that the expected image implies less that of the exact posterior.
        exact = step_weights(numbers.signal[step], numbers.signal[step - 1], "ddim", eta=1)
        assert own.fresh == pytest.approx(numbers.spread[step], rel=1e-6)
        assert exact.clean == pytest.approx(numbers.clean[step], rel=1e-6)
        assert exact.noised == pytest.approx(numbers.noised[step], rel=1e-6)
    assert numbers.spread[0] ** 2 < numbers.spread[1] ** 2
    assert (numbers.clean[0], numbers.noised[0]) == pytest.approx((1, 0))


@pytest.mark.parametrize("start", [1, 40, 400])
def test_a_network_that_knows_the_noise_gives_the_image_back(start):
    numbers, image = published.reverse_steps(), torch.randn(1, 1, 4, 8, 8)

    def oracle(given, step):
        assert given.shape == (1, 2, 4, 8, 8)
        signal = float(numbers.signal[step])
        return (given[:, :1] - signal**0.5 * image) / (1 - signal) ** 0.5

    made = published.denoised(image, oracle, numbers, start)
    torch.testing.assert_close(made, image, atol=1e-3, rtol=1e-3)


def test_every_step_from_the_start_on_is_visited_once():
    visited = []

    def network(given, step):
        visited.append(step)
        return torch.zeros_like(given[:, :1])

    published.denoised(torch.zeros(1, 1, 2, 2), network, published.reverse_steps())
    assert visited == list(range(399, -1, -1))


@pytest.mark.parametrize(
    ("overlap", "crop", "count"), [((0, 0, 0), (0, 0, 0), 96), ((0, 20, 20), (0, 20, 20), 486)]
)
def test_a_volume_has_the_published_number_of_tiles(overlap, crop, count):
    tiler = published.Tiler((32, 128, 128), overlap, crop)
    starts = tiler.starts(VOLUME)
    assert len(starts) == len(set(starts)) == count
    assert starts[0] == tuple(-o - c for o, c in zip(overlap, crop, strict=True))
    assert {s[1] for s in starts} == {s[2] for s in starts}


@pytest.mark.parametrize("size", [1, 59, 60, 61, 137, 512])
@pytest.mark.parametrize(("overlap", "crop"), [(0, 0), (20, 20), (3, 10)])
def test_tiles_follow_the_published_formula_and_leave_no_gap(size, overlap, crop):
    tiler = published.Tiler((1, 128, 128), (0, 0, overlap), (0, 0, crop))
    starts = sorted({x for _, _, x in tiler.starts((1, 128, size))})
    step = 128 - overlap - 2 * crop
    assert len(starts) == -(-(size + overlap + crop) // step)
    assert set(np.diff(starts)) <= {step}
    weighted = np.zeros(size, bool)
    for start in starts:
        weighted[max(0, start + crop) : max(0, start + 128 - crop)] = True
    assert weighted.all()


def test_weights_fade_from_the_middle_to_the_cropped_border():
    weights = published.Tiler((1, 9, 9), crop=(0, 2, 2)).fading()[0]
    assert weights[4].tolist() == pytest.approx([0, 0, 1 / 3, 2 / 3, 1, 2 / 3, 1 / 3, 0, 0])
    np.testing.assert_array_equal(weights, weights.T)
    np.testing.assert_array_equal(weights, weights[::-1])
    assert published.Tiler((4, 6, 6)).fading().min() > 0


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("overlap", "crop"), [((0, 0, 0), (0, 0, 0)), ((0, 2, 2), (0, 3, 3))])
def test_the_whole_loop_gives_a_finite_image(dimensions, overlap, crop):
    torch.manual_seed(0)
    sketch = np.zeros({3: (10, 20, 18), 2: (1, 20, 30)}[dimensions], np.float32)
    sketch[:, 5:12, 4:11] = 1
    tiler = published.Tiler(TINY[dimensions], overlap, crop)
    made = published.generated(sketch, _network(dimensions), tiler, start=12)
    assert made.shape == sketch.shape
    assert np.isfinite(made).all()
    assert made.std() > 0.01


def test_a_sketch_comes_back_blurred_from_a_loop_without_noise(monkeypatch):
    monkeypatch.setattr(published, "denoised", lambda image, *rest: image)
    sketch = np.full((10, 20, 18), 0.25, np.float32)
    tiler = published.Tiler(TINY[3], (0, 2, 2), (0, 3, 3))
    made = published.generated(sketch, _network(), tiler)
    np.testing.assert_allclose(made, sketch, atol=1e-6)
