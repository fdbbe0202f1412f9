import pytest
import torch
from torch.testing import assert_close

from cytosuite.training.judges import (
    Changes,
    CropChange,
    ImagePool,
    Judge,
    Judges,
    PatchJudge,
    changed,
    slope,
)

PUBLISHED = Judge(widths=(64, 128, 256, 512), first=(2, 2, 2), later=(1, 2, 2), norm="instance")


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(
    "arguments",
    [
        Judge(widths=(4, 6, 8), norm="spectral"),
        Judge(widths=(4,), norm="none"),
        Judge(widths=(4, 4), first=(1, 2, 2), norm="instance"),
        PUBLISHED.model_copy(update={"widths": (3, 4, 5, 6)}),
    ],
    ids=str,
)
def test_the_least_crop_has_one_answer_and_a_smaller_one_has_none(arguments, dimensions):
    judge = PatchJudge(arguments, dimensions=dimensions).eval()
    least = list(arguments.least(dimensions))
    assert judge(torch.randn(1, 1, *least)).shape == (1, 1, 1, 1, 1)
    for axis in range(3 - dimensions, 3):
        smaller = [side - (number == axis) for number, side in enumerate(least)]
        with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
            judge(torch.randn(1, 1, *smaller))


SHAPE = (1, 2, 2, 2)


def _images(*values):
    """Return one image for each value, which fills it."""
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1, 1).expand(-1, *SHAPE)


def _values(images):
    return images[:, 0, 0, 0, 0].tolist()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])  # of the pool
def test_a_full_pool_gives_half_old_images_and_loses_none(dtype):
    torch.manual_seed(0)
    pool = ImagePool(10, SHAPE).to(dtype)
    numbers = [float(number) for number in range(410)]
    shown = [_values(pool.exchange(_images(number)))[0] for number in numbers]
    assert shown[:10] == numbers[:10]
    assert 160 < sum(one != two for one, two in zip(shown, numbers, strict=True)) < 240
    # Those that filled the pool were shown at once, and stayed.
    assert sorted(shown + _values(pool.kept)) == sorted(numbers + numbers[:10])
    assert int(pool.count) == 10


def test_images_are_given_without_gradient_and_in_their_dtype():
    pool = ImagePool(1, SHAPE)
    images = _images(*[0.1] * 12).clone().requires_grad_()
    shown = pool.exchange(images)
    assert not shown.requires_grad
    assert shown.dtype == torch.float32
    assert pool.kept.dtype == torch.float16
    assert_close(shown, images.detach(), atol=1e-4, rtol=1e-3)


def test_each_judge_sees_images_half_as_wide_as_the_last():
    judges = Judges(Judge(widths=(4, 6), norm="none"), 2, channels=2).eval()
    crops = torch.randn(3, 2, 8, 32, 32)
    first, second = judges(crops)
    assert [len(answers) for answers in (first, second)] == [3, 3]  # two layers and the answers
    assert_close(first[-1], judges.judges[0](crops))
    # Means of 3 x 3 pixels around each second one; at the borders over their inner part.
    weights = torch.ones(2, 1, 1, 3, 3)
    sums = [
        torch.nn.functional.conv3d(volume, weights, None, (1, 2, 2), (0, 1, 1), groups=2)
        for volume in (crops, torch.ones_like(crops))
    ]
    assert_close(second[-1], judges.judges[1](sums[0] / sums[1]))


def test_changes_move_all_channels_alike_and_gain_that_of_the_image_alone():
    torch.manual_seed(0)
    crops = torch.randn(1, 1, 3, 8, 8).expand(20, 2, -1, -1, -1).clone()
    pairs = changed(crops, [CropChange(1.0) for _ in crops], 1)
    assert not torch.equal(pairs[0], pairs[1])
    for image, other in pairs:
        gain = (image - image.mean()).std() / other.std()
        assert_close(image, gain * other + (image.mean() - gain * other.mean()))
    assert_close(pairs[:, 1].flatten(1).sort(1).values, crops[:, 1].flatten(1).sort(1).values)
    assert changed(crops, Changes(0.6).drawn(20), 1) is crops  # none at first


def test_changes_rise_while_answers_to_real_images_are_surer_than_the_target():
    changes = Changes(0.6)
    for _ in range(3):
        changes.adapt(torch.tensor([1.0, 1.0, 1.0]))
    assert float(changes.share) == pytest.approx(0.015)
    changes.adapt(torch.tensor([1.0, -1.0]))
    assert float(changes.share) == pytest.approx(0.01)
    for _ in range(5):
        changes.adapt(torch.tensor([-1.0]))
    assert float(changes.share) == 0
    assert len(changes.drawn(2)) == 0


def test_the_slope_of_a_linear_judge_by_hand():
    # Answers 3 x, their mean over 2 x 4 x 4 voxels: each slope is 3 / 32, R1 half of 9 / 32.
    crops = torch.randn(5, 1, 2, 4, 4)
    assert float(slope(lambda real: [[3 * real]], crops)) == pytest.approx(9 / 64)
