import pytest
import torch

from cytosuite.training.judges import ImagePool, Judge, PatchJudge

PUBLISHED = Judge(widths=(64, 128, 256, 512), first=(2, 2, 2), later=(1, 2, 2), norm="instance")
SETTINGS = [
    Judge(widths=(4, 6, 8), norm="spectral"),
    Judge(widths=(4,), norm="none"),
    Judge(widths=(4, 4), first=(1, 2, 2), norm="instance"),
    PUBLISHED.model_copy(update={"widths": (3, 4, 5, 6)}),
]


def test_the_published_judge_has_the_published_number_of_weights():
    judge = PatchJudge(PUBLISHED)
    assert sum(weight.numel() for weight in judge.parameters()) == 11_047_873


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("arguments", SETTINGS, ids=str)
def test_the_least_crop_has_one_answer_and_a_smaller_one_has_none(arguments, dimensions):
    judge = PatchJudge(arguments, dimensions=dimensions).eval()
    least = list(arguments.least(dimensions))
    assert judge(torch.randn(1, 1, *least)).shape == (1, 1, 1, 1, 1)
    for axis in range(3 - dimensions, 3):
        smaller = [side - (number == axis) for number, side in enumerate(least)]
        with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
            judge(torch.randn(1, 1, *smaller))


def test_a_spectral_norm_is_a_buffer_of_the_judge():
    judge = PatchJudge(SETTINGS[0])
    assert any(name.endswith("_u") for name, _ in judge.named_buffers())


SHAPE = (1, 2, 2, 2)


def _images(*values):
    """Return one image for each value, which fills it."""
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1, 1).expand(-1, *SHAPE)


def _values(images):
    return images[:, 0, 0, 0, 0].tolist()


def test_a_full_pool_gives_half_old_images_and_loses_none():
    torch.manual_seed(0)
    pool = ImagePool(10, SHAPE)
    given = [float(number) for number in range(410)]
    shown = [_values(pool.exchange(_images(number)))[0] for number in given]
    assert shown[:10] == given[:10]
    old = sum(one != two for one, two in zip(shown, given, strict=True))
    assert 160 < old < 240
    # Those that filled the pool were shown at once, and stayed.
    assert sorted(shown + _values(pool.kept)) == sorted(given + given[:10])
    assert int(pool.count) == 10


def test_images_are_given_without_gradient_and_in_their_dtype():
    pool = ImagePool(1, SHAPE)
    images = _images(*[0.1] * 12).clone().requires_grad_()
    shown = pool.exchange(images)
    assert not shown.requires_grad
    assert shown.dtype == torch.float32
    assert pool.kept.dtype == torch.float16
    torch.testing.assert_close(shown, images.detach(), atol=1e-4, rtol=1e-3)
