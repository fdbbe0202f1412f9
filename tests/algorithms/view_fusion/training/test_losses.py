import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from cytosuite.algorithms.view_fusion.training.losses import FusionLoss, fusion_loss, similarity
from cytosuite.metrics.images.n_ssim import n_ssim
from cytosuite.metrics.images.pair import pair
from cytosuite.metrics.images.ssim import mean_ssim
from cytosuite.metrics.images.ssim_window import gaussian_window

SHAPES = [(16, 20, 18), (11, 11, 11), (6, 20, 13), (2, 30, 12), (1, 20, 20), (4, 5, 6)]


def _crops(shape=(14, 18, 16), count=2, seed=0, scale=1.0):
    """Return crops, and noisy ones, (N, 1, Z, Y, X)."""
    torch.manual_seed(seed)
    target = scale * torch.rand(count, 1, *shape)
    return target, target + 0.3 * scale * torch.randn(count, 1, *shape)


def _total(answer, target, view, **given):
    return fusion_loss(answer, target, view, FusionLoss(**given))["total"]


def _by_metric(first, second):
    window = gaussian_window(tuple(first.shape[-3:]), shrink=True)
    return [
        mean_ssim(pair(a[0].numpy(), b[0].numpy(), data_range=1.0), window)
        for a, b in zip(first, second, strict=True)
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_crop_is_as_similar_as_can_be_to_itself(shape):
    target, _ = _crops(shape)
    assert similarity(target, target).tolist() == pytest.approx([1, 1], abs=1e-6)


def test_similarity_is_symmetric_bounded_and_the_same_in_a_mirror():
    target, noisy = _crops()
    found = similarity(noisy, target)
    assert ((found > -1) & (found < 1)).all()
    assert torch.allclose(found, similarity(target, noisy), atol=1e-5)
    assert torch.allclose(found, similarity(noisy.flip(2, 4), target.flip(2, 4)), atol=1e-5)
    assert torch.allclose(found[:1], similarity(noisy[:1], target[:1]))  # each crop by itself


def test_constants_are_similar_by_their_level_alone():
    a, b = 0.7, 0.2
    found = similarity(torch.full((1, 1, 12, 12, 12), a), torch.full((1, 1, 12, 12, 12), b))
    assert found.item() == pytest.approx((2 * a * b + 1e-4) / (a * a + b * b + 1e-4), rel=1e-4)


def test_an_inverted_structure_is_the_contrary():
    target, _ = _crops()
    assert (similarity(1 - target, target) < -0.5).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1.0, 0.05, 30.0])
def test_similarity_is_that_of_the_metric(shape, scale):
    target, noisy = _crops(shape, scale=scale)
    assert similarity(noisy, target).tolist() == pytest.approx(_by_metric(noisy, target), abs=2e-5)


def test_small_differences_far_from_zero_count_as_in_the_metric():
    target, noisy = (part * 0.1 + 50 for part in _crops())
    assert similarity(noisy, target).tolist() == pytest.approx(_by_metric(noisy, target), abs=1e-3)


def test_similarity_is_that_of_scikit_image():
    target, noisy = (part[0, 0].numpy() for part in _crops((20, 24, 22), 1))
    expected = structural_similarity(
        target, noisy, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0
    )
    found = similarity(*(torch.from_numpy(part)[None, None] for part in (noisy, target)))
    assert found.item() == pytest.approx(expected, abs=1e-5)


def test_the_gradient_of_the_similarity_is_that_of_its_differences():
    target, noisy = (part.double() for part in _crops((4, 12, 5), 1))
    noisy.requires_grad_()
    assert torch.autograd.gradcheck(lambda given: similarity(given, target), noisy, fast_mode=True)


@pytest.mark.parametrize("kind", ["ssim", "n_ssim"])
@pytest.mark.parametrize("over", ["crop", "batch"])
def test_a_perfect_answer_costs_nothing_and_a_better_one_less(kind, over):
    target, view = _crops()
    costs = [
        _total(target + share * (view - target), target, view, kind=kind, over=over).item()
        for share in (0.0, 0.3, 0.6, 1.0)
    ]
    assert costs[0] == pytest.approx(0, abs=1e-4)
    assert costs == sorted(costs)


def test_the_loss_is_the_published_sum():
    target, view = _crops()
    lost, apart = 1 - similarity(view, target).mean(), (view - target).abs().mean()
    assert _total(view, target, view).item() == pytest.approx((100 * lost + apart).item(), rel=1e-5)
    found = fusion_loss(view, target, view, FusionLoss(similarity=3, difference=0))
    assert found["total"].item() == pytest.approx(3 * lost.item(), rel=1e-5)
    assert found["difference"].item() == pytest.approx(apart.item())


@pytest.mark.parametrize("over", ["crop", "batch"])
def test_the_view_itself_loses_all_of_the_restorable_similarity(over):
    target, view = _crops()
    found = fusion_loss(view, target, view, FusionLoss(kind="n_ssim", over=over))
    assert found["similarity"].item() == pytest.approx(1)


def test_a_ratio_per_crop_is_the_score_of_the_challenge():
    target, view = _crops((16, 24, 20), 1)
    answer = target + 0.4 * (view - target)
    images = [_in_units(part[0, 0].numpy()) for part in (target, answer, view)]
    answer_loss = fusion_loss(
        *(torch.from_numpy(images[place])[None, None] for place in (1, 0, 2)),
        FusionLoss(kind="n_ssim", over="crop", similarity=1, difference=0),
    )
    assert 1 - answer_loss["total"].item() == pytest.approx(n_ssim(*images), abs=1e-4)


def _in_units(image):
    """Return an image scaled by its percentiles as in the metric."""
    low, high = np.percentile(image, (2, 99.8))
    return ((image - low) / (high - low)).astype(np.float32)


def test_a_ratio_per_crop_has_the_gradient_of_the_published_loss():
    target, view = _crops()
    gradients = []
    for ours in (True, False):
        answer = (0.5 * (target + view)).requires_grad_()
        if ours:
            loss = _total(answer, target, view, kind="n_ssim", over="crop", similarity=1)
        else:
            before, after = similarity(view, target), similarity(answer, target)
            gained = ((after - before) / (1 - before)).mean()
            loss = -gained + (answer - target).abs().mean()
        loss.backward()
        gradients.append(answer.grad)
    assert torch.allclose(*gradients, atol=1e-7)


def test_a_ratio_of_sums_weighs_crops_by_what_they_have_lost():
    target, view = _crops()
    view[0] = target[0] + 0.1 * (view[0] - target[0])
    answer = target + 0.5 * (view - target)
    lost, before = 1 - similarity(answer, target), 1 - similarity(view, target)
    assert before[0] < 0.5 * before[1]
    given = {"kind": "n_ssim", "similarity": 1, "difference": 0, "floor": 1e-3}
    ratio = _total(answer, target, view, over="batch", **given)
    assert ratio.item() == pytest.approx((lost.sum() / before.sum()).item(), rel=1e-5)
    ratios = _total(answer, target, view, over="crop", **given)
    assert ratios.item() == pytest.approx((lost / before).mean().item(), rel=1e-5)


@pytest.mark.parametrize("over", ["crop", "batch"])
def test_background_that_nothing_was_lost_in_does_not_explode(over):
    target, view = _crops()
    view[0] = target[0]
    answer = (target + 0.05).requires_grad_()
    loss = _total(answer, target, view, kind="n_ssim", over=over, similarity=1, floor=0.05)
    loss.backward()
    lost = 1 - similarity(answer.detach(), target)
    assert loss.item() <= (lost.max() / 0.05).item() + 0.06
    bound = 30 * _gradient_of_ssim(target).abs().max()
    assert answer.grad.abs().max() <= bound


def _gradient_of_ssim(target):
    """Return the gradient of the other loss at the same answer."""
    answer = (target + 0.05).requires_grad_()
    _total(answer, target, target, similarity=1).backward()
    return answer.grad


@pytest.mark.parametrize("kind", ["ssim", "n_ssim"])
@pytest.mark.parametrize("shape", [(12, 12, 12), (4, 12, 12), (1, 3, 2)])
@pytest.mark.parametrize("level", [0.0, 0.5, 8.0])
def test_constant_crops_have_finite_losses_and_gradients(kind, shape, level):
    target = torch.full((2, 1, *shape), level)
    answer = (target + 0.1).requires_grad_()
    loss = _total(answer, target, target, kind=kind)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(answer.grad).all()
    assert answer.grad.abs().max() > 0


def test_a_hot_voxel_leaves_the_gradient_finite():
    target, view = _crops()
    view[0, 0, 5, 5, 5] = 12.0  # e^10 units, compressed
    answer = view.clone().requires_grad_()
    _total(answer, target, view, kind="n_ssim").backward()
    assert torch.isfinite(answer.grad).all()


def test_half_precision_is_not_compared_as_such():
    target, view = _crops()
    whole = _total(view.bfloat16().float(), target, view)
    assert _total(view.bfloat16(), target, view).item() == whole.item()


@pytest.mark.parametrize(
    "given", [{"floor": 0}, {"similarity": -1}, {"kind": "l2"}, {"over": "image"}, {"weight": 1}]
)
def test_wrong_settings_are_refused(given):
    with pytest.raises(ValueError, match=next(iter(given))):
        FusionLoss(**given)
