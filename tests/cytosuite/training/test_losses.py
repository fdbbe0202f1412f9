import numpy as np
import pytest
import torch

from cytosuite.training.judges import (
    apart,
    decorrelation,
    judged_as,
    level_change,
    misread,
    structure_of,
)


def _volume():
    """Return smooth structure, far above the noise."""
    noise = torch.randn(1, 1, 8, 20, 20, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.avg_pool3d(noise, (3, 5, 5), 1, (1, 2, 2))
    return 3 * smooth / smooth.std()


def test_losses_of_answers_by_hand():
    answers = torch.tensor([1.0, 0.0, 3.0])
    assert float(judged_as(answers, real=True)) == pytest.approx((0 + 1 + 4) / 3)
    assert float(judged_as(answers, real=False)) == pytest.approx(10 / 3)
    expected = [np.log(1 + np.exp(-value)) for value in (1, 0, 3)]
    assert float(judged_as(answers, "logistic", real=True)) == pytest.approx(np.mean(expected))
    assert float(judged_as(-answers, "logistic", real=False)) == pytest.approx(np.mean(expected))


def test_decorrelation_of_one_window_by_hand():
    image = torch.zeros(1, 1, 1, 3, 3)
    image[..., 1] = 3.0
    output = torch.zeros(1, 1, 1, 3, 3)
    output[..., 0] = 6.0
    # Of 3 x 3 pixels averaged within the borders: columns 1.5, 1, 1.5 and 3, 2, 0.
    a = np.array([3, 2, 0.0])
    b = np.array([1.5, 1, 1.5])
    lost = []
    weights = []
    for columns in (slice(0, 2), slice(1, 3)):  # windows with a stride of two pixels
        x = a[columns]
        y = b[columns]
        shared = (x * y).mean() - x.mean() * y.mean()
        most = max(x.var(), y.var())
        spread = np.sqrt(most * max(min(x.var(), y.var()), 0.01 * most))
        weights.append(most**2 / (most**2 + 0.02**2))
        lost.append(weights[-1] * (1 - shared / spread))
    expected = np.dot(lost, weights) / sum(weights)  # twice: two rows of windows
    assert float(decorrelation(output, image, (1, 3, 3))) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("flat", ["made", "given", "both"])
def test_gradients_are_finite_on_constant_volumes(flat):
    constant = torch.full((1, 1, 8, 20, 20), 2.0)
    volume = _volume()
    output = (volume if flat == "given" else constant).clone().requires_grad_()
    lost = decorrelation(output, volume if flat == "made" else constant, (3, 5, 5))
    lost.backward()
    assert torch.isfinite(lost)
    assert torch.isfinite(output.grad).all()
    if flat == "made":
        assert output.grad.any()


def test_levels_by_hand():
    image = torch.zeros(1, 1, 5, 9, 9)
    for change, soft, expected in ((0.05, 0.2, 0.05**2 / 0.4), (-1.0, 0.2, 0.9), (0.5, 0, 0.5)):
        changed = level_change(image + change, image, (3, 3, 3), soft)
        assert float(changed) == pytest.approx(expected, rel=1e-4)


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


def test_misreading_by_hand():
    structure = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1, 1)
    answers = torch.tensor([0.0, 2.0]).view(1, 2, 1, 1, 1)
    expected = (np.log(2) + np.log(1 + np.exp(2))) / 2
    assert float(misread(answers, structure)) == pytest.approx(expected, rel=1e-5)
    assert float(misread(40 * (2 * structure - 1), structure)) < 1e-6


def test_differences_by_hand():
    output = torch.tensor([0.1, 1.0, -2.0])
    image = torch.tensor([0.0, 0.0, 0.0])
    assert float(apart(output, image, 0)) == pytest.approx(3.1 / 3)
    expected = (0.1**2 / 0.4 + (1 - 0.1) + (2 - 0.1)) / 3
    assert float(apart(output, image, 0.2)) == pytest.approx(expected)
    assert float(apart(image, image, 0.2)) == float(apart(image, image, 0)) == 0


def test_without_grain_single_pixels_hardly_count_and_wide_changes_do():
    image = _volume()
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    fine, even = (float(apart(image + noise, image, 0, grain=grain)) for grain in (True, False))
    assert even < fine / 2
    assert float(apart(image + 1, image, 0, grain=False)) == pytest.approx(1, abs=1e-5)
    assert float(apart(image, image, 0.2, grain=False)) == 0
