import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cytosuite.algorithms.cyclegan3d.training.losses import (
    apart,
    decorrelation,
    fooled,
    judged,
    level_change,
    misread,
    structure_of,
)

WINDOW = (3, 5, 5)


def _volume(seed=0, shape=(8, 20, 20), batch=1):
    """Return smooth structure, far above the noise."""
    noise = torch.randn(batch, 1, *shape, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.avg_pool3d(noise, (3, 5, 5), 1, (1, 2, 2))
    return 3 * smooth / smooth.std()


def test_losses_of_answers_by_hand():
    answers = torch.tensor([1.0, 0.0, 3.0])
    assert float(fooled(answers)) == pytest.approx((0 + 1 + 4) / 3)
    assert float(judged(answers, torch.tensor([2.0, 0.0]))) == pytest.approx(0.5 * (5 / 3 + 2))
    assert float(judged(torch.ones(4), torch.zeros(3))) == 0


@pytest.mark.parametrize(("gain", "offset"), [(1, 0), (1, 7), (2.5, -1), (0.3, 4)])
def test_gain_and_offset_keep_the_structure(gain, offset):
    given = 5 * _volume()
    assert float(decorrelation(gain * given + offset, given, WINDOW)) == pytest.approx(0, abs=0.01)


def test_inverted_contrast_loses_twice_the_structure():
    given = 5 * _volume()
    assert float(decorrelation(-given, given, WINDOW)) == pytest.approx(2, abs=0.02)


def test_unrelated_volumes_lose_all_structure():
    shape = (16, 64, 64)
    found = decorrelation(_volume(1, shape), _volume(2, shape), (9, 17, 17))
    assert float(found) == pytest.approx(1, abs=0.15)


def test_a_moved_object_costs_and_noise_hardly():
    given = 5 * _volume()
    noisy = given + 0.1 * torch.randn(given.shape, generator=torch.Generator().manual_seed(9))
    moved = torch.roll(given, 4, -1)
    assert float(decorrelation(noisy, given, WINDOW)) < 0.05
    assert float(decorrelation(moved, given, WINDOW)) > 0.5


def test_lost_and_invented_objects_cost_half_as_much_as_an_inverted_contrast():
    grid = torch.stack(torch.meshgrid(*(torch.arange(n) for n in (32, 48, 48)), indexing="ij"))
    centres = [(10, 12, 12), (12, 34, 14), (20, 14, 34), (22, 34, 34)]
    nuclei = []
    for z, y, x in centres:
        away = torch.tensor([z, y, x]).view(3, 1, 1, 1) - grid
        away = (away / torch.tensor([4, 6, 6]).view(3, 1, 1, 1)).square().sum(0)
        nuclei.append(1.5 * torch.sigmoid(4 * (1 - away))[None, None])
    given, three = sum(nuclei), sum(nuclei[1:])
    empty = torch.zeros_like(given)
    cost = {
        (a, b): float(decorrelation(volumes[a], volumes[b], (5, 9, 9)))
        for volumes in [{"4": given, "3": three, "0": empty, "inverted": 1.5 - given}]
        for a, b in [("0", "4"), ("4", "0"), ("3", "4"), ("4", "3"), ("inverted", "4")]
    }
    inverted = cost["inverted", "4"]
    assert inverted > 1.6
    assert cost["0", "4"] == cost["4", "0"] == pytest.approx(inverted / 2, rel=0.01)
    assert cost["3", "4"] == cost["4", "3"] == pytest.approx(inverted / 2 / 4, rel=0.05)
    noise = [
        0.17 * torch.randn(given.shape, generator=torch.Generator().manual_seed(n)) for n in (1, 2)
    ]
    for made, kept in ((given + noise[0], given), (given + noise[0], given + noise[1])):
        assert float(decorrelation(made, kept, (5, 9, 9))) < 0.05


def test_decorrelation_of_one_window_by_hand():
    given = torch.zeros(1, 1, 1, 3, 3)
    given[..., 1] = 3.0
    made = torch.zeros(1, 1, 1, 3, 3)
    made[..., 0] = 6.0
    # Of 3 x 3 pixels averaged within the borders: columns 1.5, 1, 1.5 and 3, 2, 0.
    a, b = np.array([3, 2, 0.0]), np.array([1.5, 1, 1.5])
    lost, weights = [], []
    for columns in (slice(0, 2), slice(1, 3)):  # windows with a stride of two pixels
        x, y = a[columns], b[columns]
        shared = (x * y).mean() - x.mean() * y.mean()
        most = max(x.var(), y.var())
        spread = np.sqrt(most * max(min(x.var(), y.var()), 0.01 * most))
        weights.append(most**2 / (most**2 + 0.02**2))
        lost.append(weights[-1] * (1 - shared / spread))
    expected = np.dot(lost, weights) / sum(weights)  # twice: two rows of windows
    found = decorrelation(made, given, (1, 3, 3))
    assert float(found) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("flat", ["made", "given", "both"])
def test_gradients_are_finite_on_constant_volumes(flat):
    constant, volume = torch.full((1, 1, 8, 20, 20), 2.0), _volume()
    made = (volume if flat == "given" else constant).clone().requires_grad_()
    lost = decorrelation(made, volume if flat == "made" else constant, WINDOW)
    lost.backward()
    assert torch.isfinite(lost)
    assert torch.isfinite(made.grad).all()
    if flat == "made":
        assert made.grad.any()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.floats(-3, 3), st.floats(-5, 5), st.floats(0, 2))
def test_decorrelation_is_never_below_0_nor_above_2(seed, gain, offset, noise):
    given_, other = _volume(seed, (4, 8, 8)), _volume(seed + 1, (4, 8, 8))
    lost = float(decorrelation(gain * given_ + noise * other + offset, given_, WINDOW))
    assert -1e-3 <= lost <= 2.01


def test_decorrelation_falls_as_structure_comes_back():
    given = 5 * _volume()
    made = (5 * _volume(3)).requires_grad_()
    optimiser = torch.optim.Adam([made], lr=0.2)
    lost = []
    for _ in range(40):
        optimiser.zero_grad()
        lost.append(decorrelation(made, given, WINDOW))
        lost[-1].backward()
        optimiser.step()
    assert float(lost[-1].detach()) < 0.6 * float(lost[0].detach())


def test_levels_by_hand():
    given = torch.zeros(1, 1, 5, 9, 9)
    for change, soft, expected in ((0.05, 0.2, 0.05**2 / 0.4), (-1.0, 0.2, 0.9), (0.5, 0, 0.5)):
        found = level_change(given + change, given, (3, 3, 3), soft)
        assert float(found) == pytest.approx(expected, rel=1e-4)


def test_levels_stay_with_noise_and_texture_but_not_with_light_that_comes_or_goes():
    given = 2 * _volume(shape=(8, 40, 40))
    noisy = given + torch.randn(given.shape, generator=torch.Generator().manual_seed(9))
    textured = given + torch.tensor([1.0, -1.0]).repeat(20)
    brighter, moved, inverted = 1.5 * given, torch.roll(given, 4, -1), -given
    small = [float(level_change(made, given, WINDOW, 0.2)) for made in (noisy, textured)]
    large = [float(level_change(m, given, WINDOW, 0.2)) for m in (brighter, moved, inverted)]
    assert max(small) < 0.05
    assert min(large) > 4 * max(small)


def test_each_channel_counts():
    volume = _volume()
    pair = torch.cat([volume, _volume(1)], 1)
    same, other = (
        float(decorrelation(torch.cat([volume, second], 1), pair, WINDOW))
        for second in (pair[:, 1:], -pair[:, 1:])
    )
    assert same == pytest.approx(0, abs=0.03)
    assert other == pytest.approx(1, abs=0.15)


def test_structure_of_labels_by_hand():
    labels = torch.zeros(1, 1, 5, 7, dtype=torch.int32)
    labels[0, 0, 1:4, 0:3] = 1
    labels[0, 0, 1:4, 3:6] = 9
    inside, border = structure_of(labels)[0, :, 0]
    assert inside.tolist() == (labels[0, 0] > 0).float().tolist()
    # The image ends left of the first object: its outermost column is no border for that.
    assert border[2].tolist() == [0, 0, 1, 1, 0, 1, 0]
    assert border[1].tolist() == border[3].tolist() == [1, 1, 1, 1, 1, 1, 0]
    assert not border[[0, 4]].any()


def test_structure_has_neither_background_nor_names():
    rng = np.random.default_rng(0)
    labels = torch.from_numpy(rng.integers(0, 3, (2, 3, 6, 6), dtype=np.int32))
    names = torch.tensor([0, 700, 5], dtype=torch.int32)
    assert structure_of(labels).shape == (2, 2, 3, 6, 6)
    assert torch.equal(structure_of(labels), structure_of(names[labels.long()]))
    assert not structure_of(torch.zeros_like(labels)).any()
    full = structure_of(torch.full_like(labels, 4))
    assert full[:, 0].all()
    assert not full[:, 1].any()


def test_misreading_by_hand():
    structure = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1, 1)
    answers = torch.tensor([0.0, 2.0]).view(1, 2, 1, 1, 1)
    expected = (np.log(2) + np.log(1 + np.exp(2))) / 2
    assert float(misread(answers, structure)) == pytest.approx(expected, rel=1e-5)
    assert float(misread(40 * (2 * structure - 1), structure)) < 1e-6


def test_differences_by_hand():
    made, given = torch.tensor([0.1, 1.0, -2.0]), torch.tensor([0.0, 0.0, 0.0])
    assert float(apart(made, given, 0)) == pytest.approx(3.1 / 3)
    expected = (0.1**2 / 0.4 + (1 - 0.1) + (2 - 0.1)) / 3
    assert float(apart(made, given, 0.2)) == pytest.approx(expected)
    assert float(apart(given, given, 0.2)) == float(apart(given, given, 0)) == 0


@pytest.mark.parametrize(("soft", "slope"), [(0.2, 0.05), (0.0, 1.0)])
def test_a_soft_difference_lets_an_identity_be_left(soft, slope):
    made = torch.tensor([0.01], requires_grad=True)
    apart(made, torch.zeros(1), soft).backward()
    assert float(made.grad) == pytest.approx(slope)


def test_without_grain_single_pixels_hardly_count_and_wide_changes_do():
    given = _volume()
    noise = torch.randn(given.shape, generator=torch.Generator().manual_seed(1))
    fine, even = (float(apart(given + noise, given, 0, grain=grain)) for grain in (True, False))
    assert even < fine / 2
    assert float(apart(given + 1, given, 0, grain=False)) == pytest.approx(1, abs=1e-5)
    assert float(apart(given, given, 0.2, grain=False)) == 0
