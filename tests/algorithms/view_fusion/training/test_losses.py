import pytest
import torch
from trainings import losses_of

from cytosuite.algorithms.view_fusion.training.train import similarity
from cytosuite.metrics.images.ssim import compare, gaussian_window


def _crops(shape=(14, 18, 16), scale=1.0):
    """Return crops, and noisy ones, (N, 1, Z, Y, X)."""
    torch.manual_seed(0)
    target = scale * torch.rand(2, 1, *shape)
    return target, target + 0.3 * scale * torch.randn_like(target)


def _losses(answer, target, view, **weights):
    return losses_of("view_fusion", answer, {"target": target, "image": view}, **weights)


def _total(*crops, **weights):
    return _losses(*crops, **weights)["total"]


def _by_metric(first, second):
    window = gaussian_window(tuple(first.shape[-3:]), shrink=True)
    return [
        compare(a[0], b[0], 1.0, window) for a, b in zip(first.numpy(), second.numpy(), strict=True)
    ]


@pytest.mark.parametrize("shape", [(16, 20, 18), (6, 20, 13), (1, 20, 20)])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_similarity_is_that_of_the_metric(shape, scale):
    target, noisy = _crops(shape, scale=scale)
    assert similarity(noisy, target).tolist() == pytest.approx(_by_metric(noisy, target), abs=2e-5)


def test_the_loss_is_the_published_sum():
    target, view = _crops()
    lost = 1 - similarity(view, target).mean()
    apart = (view - target).abs().mean()
    assert _total(view, target, view).item() == pytest.approx((100 * lost + apart).item(), rel=1e-5)
    losses = _losses(view, target, view, similarity=3, difference=0)
    assert losses["total"].item() == pytest.approx(3 * lost.item(), rel=1e-5)
    assert losses["difference"].item() == pytest.approx(apart.item())


def test_a_ratio_of_sums_weighs_crops_by_what_they_have_lost():
    target, view = _crops()
    view[0] = target[0] + 0.1 * (view[0] - target[0])
    answer = target + 0.5 * (view - target)
    lost = 1 - similarity(answer, target)
    before = 1 - similarity(view, target)
    assert before[0] < 0.5 * before[1]
    options = {"kind": "n_ssim", "similarity": 1, "difference": 0, "floor": 1e-3}
    ratio = _total(answer, target, view, over="batch", **options)
    assert ratio.item() == pytest.approx((lost.sum() / before.sum()).item(), rel=1e-5)
    ratios = _total(answer, target, view, over="crop", **options)
    assert ratios.item() == pytest.approx((lost / before).mean().item(), rel=1e-5)


@pytest.mark.parametrize("over", ["crop", "batch"])
def test_background_that_nothing_was_lost_in_does_not_explode(over):
    target, view = _crops()
    view[0] = target[0]
    answer = (target + 0.05).requires_grad_()
    loss = _total(answer, target, view, kind="n_ssim", over=over, similarity=1, floor=0.05)
    loss.backward()
    assert loss.item() <= ((1 - similarity(answer.detach(), target)).max() / 0.05).item() + 0.06
    assert torch.isfinite(answer.grad).all()


@pytest.mark.parametrize("kind", ["ssim", "n_ssim"])
@pytest.mark.parametrize("shape", [(12, 12, 12), (1, 3, 2)])
def test_constant_crops_have_finite_losses_and_gradients(kind, shape):
    target = torch.full((2, 1, *shape), 0.5)
    answer = (target + 0.1).requires_grad_()
    loss = _total(answer, target, target, kind=kind)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(answer.grad).all()
    assert answer.grad.abs().max() > 0
