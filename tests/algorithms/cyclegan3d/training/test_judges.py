import pytest
import torch
from pydantic import ValidationError

from cytosuite.algorithms.cyclegan3d.training.judges import Judge, PatchJudge

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


@pytest.mark.parametrize(
    ("crop", "answers"),
    [
        ((16, 64, 64), (4, 6, 6)),
        ((32, 128, 128), (12, 14, 14)),
        ((32, 256, 256), (12, 30, 30)),
    ],
)
def test_the_published_judge_gives_the_published_answers(crop, answers):
    judge = PatchJudge(PUBLISHED.model_copy(update={"widths": (1, 1, 1, 1)}))
    with torch.no_grad():
        assert judge(torch.zeros(1, 1, *crop)).shape == (1, 1, *answers)


@pytest.mark.parametrize("arguments", SETTINGS, ids=str)
def test_the_least_crop_has_one_answer_and_a_smaller_one_has_none(arguments):
    judge = PatchJudge(arguments).eval()
    least = list(arguments.least)
    assert judge(torch.randn(1, 1, *least)).shape == (1, 1, 1, 1, 1)
    for axis in range(3):
        smaller = [side - (number == axis) for number, side in enumerate(least)]
        with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
            judge(torch.randn(1, 1, *smaller))


def test_an_answer_sees_its_patch_alone():
    judge = PatchJudge(Judge(widths=(4, 6, 8), norm="spectral")).eval()
    image = torch.randn(1, 1, 16, 32, 32)
    other = image.clone()
    other[..., 31] += 100
    changed = (judge(image) != judge(other))[0, 0].any(0).any(0)
    assert changed[-1]
    assert not changed[: len(changed) // 2].any()


def test_a_spectral_norm_bounds_the_weights_and_is_a_buffer():
    torch.manual_seed(0)
    judge = PatchJudge(Judge(widths=(4, 6, 8), norm="spectral"))
    with torch.no_grad():
        for name, weight in judge.named_parameters():
            if name.endswith("original"):
                weight *= 50
    for _ in range(30):
        judge(torch.randn(1, 1, 8, 16, 16))
    judge.eval()
    for layer in judge.layers:
        if hasattr(layer, "conv"):
            largest = torch.linalg.matrix_norm(layer.conv.weight.flatten(1), 2)
            assert float(largest.detach()) == pytest.approx(1, rel=0.05)
    assert any(name.endswith("_u") for name, _ in judge.named_buffers())


@pytest.mark.parametrize(
    ("norm", "seen"), [("none", True), ("spectral", True), ("instance", False)]
)
def test_an_instance_norm_hides_gain_from_the_judge(norm, seen):
    torch.manual_seed(0)
    judge = PatchJudge(Judge(widths=(4, 6, 8), norm=norm)).eval()
    with torch.no_grad():
        judge.layers[0].conv.bias.zero_()
        image = torch.randn(1, 1, 16, 32, 32)
        change = (judge(3 * image) - judge(image)).abs().mean() / judge(image).abs().mean()
    assert bool(change > 0.05) is seen


def test_channels_are_judged_together():
    judge = PatchJudge(Judge(widths=(4, 6), norm="none"), channels=2)
    assert judge(torch.randn(3, 2, 4, 6, 6)).shape == (3, 1, 1, 1, 1)


@pytest.mark.parametrize("given", [{"widths": ()}, {"widths": (4, 0)}, {"norm": "batch"}])
def test_impossible_arguments_are_refused(given):
    with pytest.raises(ValidationError, match=next(iter(given))):
        Judge(**given)


@pytest.mark.parametrize("given", [{"first": (0, 2, 2)}, {"later": (2, 2, -1)}])
def test_strides_that_no_convolution_has_are_refused(given):
    with pytest.raises(ValidationError, match=next(iter(given))):
        Judge(**given)
