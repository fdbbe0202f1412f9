"""The judges: networks that tell real from translated crops, patch by patch."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, cast

import torch
from monai.networks.blocks.convolutions import Convolution
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import (
    avg_pool3d,
    binary_cross_entropy_with_logits,
    l1_loss,
    max_pool3d,
    smooth_l1_loss,
    softplus,
)
from torch.nn.utils.parametrizations import spectral_norm

from cytosuite.contract.manifest import Described
from cytosuite.files import IntTriple
from cytosuite.networks.network import PlaneByPlane, channels_last
from cytosuite.networks.tiling import Sides, Widths
from cytosuite.volume.arrays import Sizes

KERNEL = 4
_SLOPE = 0.2  # of rectifiers below 0
_FAINT = 0.02  # variance of a window, squared units of the network, of noise in real stacks' dark
_ADAPTED = 0.005  # of the share of changes, each step
_SHIFT, _GAIN = 8, 0.2  # most voxels of a shift; deviation of log2 of the gain, and of the offset
_LOST = 0.01  # of the larger variance of a window: below it structure is lost at any gain


class Judge(Described):
    """Arguments of a judge."""

    # channels of each layer; the last keeps the sides
    widths: Widths = Field((16, 32, 64), min_length=1)
    first: Sides = (1, 2, 2)  # strides of the first layer, z y x
    later: Sides = (2, 2, 2)  # strides of the layers between
    # none, of the weights, or over a crop (published)
    norm: Literal["none", "spectral", "instance"] = "instance"

    @property
    def strides(self) -> list[Sides]:
        """Sides of each layer but the last, which gives the answer."""
        count = len(self.widths)
        return [self.first, *[self.later] * (count - 2), (1, 1, 1)][:count]

    def least(self, dimensions: int = 3) -> IntTriple:
        """Return the smallest sides of a crop that has an answer, voxels z y x."""
        size = [1, 1, 1]
        for stride in ((1, 1, 1), *self.strides[::-1]):
            size = [(n - 1) * s + KERNEL - 2 for n, s in zip(size, stride, strict=True)]
        z, y, x = (max(1, n) for n in size)
        return (z if dimensions == 3 else 1), y, x

    def check(self, crop: Sizes, dimensions: int, count: int = 1) -> None:
        """Refuse a crop that is too small for so many judges, each of half the size."""
        z, y, x = self.least(dimensions)
        half = 2 ** (count - 1)
        least = [z, y * half, x * half]
        if any(side < few for side, few in zip(crop, least, strict=True)):
            raise ValueError(
                f"crops.shape must be at least {least} for these judges, found {list(crop)}"
            )


class PatchJudge(nn.Module):
    """A PatchGAN: near 1 where a patch looks as if from the domain, near 0 elsewhere.

    Published: ``widths=(64, 128, 256, 512), first=(2, 2, 2), later=(1, 2, 2), norm="instance"``. A
    norm over the crop hides its brightness from the judge; the spectral norm does not.

    Isola et al., CVPR (2017), doi:10.1109/CVPR.2017.632 (patches); Miyato et al., ICLR (2018),
    doi:10.48550/arXiv.1802.05957 (spectral norm); Bruch et al., PLoS ONE 18 (2023),
    doi:10.1371/journal.pone.0283828 (strides).
    """

    def __init__(self, arguments: Judge, channels: int = 1, dimensions: int = 3) -> None:
        super().__init__()
        layers = []
        inputs = channels
        for number, (width, stride) in enumerate(
            zip(arguments.widths, arguments.strides, strict=True)
        ):
            layers.append(_convolution(inputs, width, stride, arguments.norm, dimensions))
            if arguments.norm == "instance" and number:
                layers.append(nn.InstanceNorm3d(width))
            layers.append(nn.LeakyReLU(_SLOPE, inplace=True))
            inputs = width
        layers.append(_convolution(inputs, 1, (1, 1, 1), arguments.norm, dimensions))
        self.layers = nn.Sequential(*layers)
        channels_last(self, dimensions)

    def forward(self, image: Tensor) -> Tensor:
        """Return the answers (N, 1, z, y, x), float32, for the patches of (N, C, Z, Y, X) crops."""
        return self.features(image)[-1]

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the features of each layer, and the answers."""
        values = image.contiguous(memory_format=torch.channels_last_3d)
        layers = []
        for layer in self.layers:
            values = layer(values)
            if isinstance(layer, nn.LeakyReLU):
                layers.append(values)
        return [*layers, values.float()]


def _convolution(inputs: int, outputs: int, stride: Sides, norm: str, dimensions: int) -> nn.Module:
    layer = Convolution(
        dimensions,
        inputs,
        outputs,
        strides=stride[-dimensions:],
        kernel_size=KERNEL,
        padding=1,
        conv_only=True,
    )
    convolution = cast(Any, layer.conv)
    if norm == "spectral":
        spectral_norm(convolution)
    elif norm == "none":  # or answers hardly differ at first, and judges learn ten times as slowly
        nn.init.kaiming_normal_(convolution.weight, _SLOPE)
        nn.init.zeros_(convolution.bias)
    return PlaneByPlane(layer) if dimensions == 2 else layer


class Judges(nn.Module):
    """Judges of one kind, each of images half as wide (y, x) as those of the last.

    Wang et al., CVPR (2018), doi:10.1109/CVPR.2018.00917 (several sizes, likeness of features).
    """

    def __init__(self, arguments: Judge, count: int, channels: int, dimensions: int = 3) -> None:
        super().__init__()
        self.judges = nn.ModuleList(
            PatchJudge(arguments, channels, dimensions) for _ in range(count)
        )

    def forward(self, image: Tensor) -> list[list[Tensor]]:
        """Return the features and, last, the float32 answers of each judge on crops."""
        answers = []
        for judge in self.judges:
            answers.append(cast(PatchJudge, judge).features(image))
            image = avg_pool3d(image, (1, 3, 3), (1, 2, 2), (0, 1, 1), count_include_pad=False)
        return answers


class Changes(nn.Module):
    """Random changes of all that judges see, the more of them the surer they are of real images.

    Whole voxels move; grey values gain and shift, so that made images need none of the changes.
    Karras et al., NeurIPS 2020, doi:10.48550/arXiv.2006.06676 (by the sign of the answers).
    """

    share: Tensor

    def __init__(self, target: float) -> None:
        super().__init__()
        self.target = target
        self.register_buffer("share", torch.zeros(()))

    def adapt(self, signs: Tensor) -> None:
        """Change more where the mean sign of answers to real images is above the target."""
        if self.target:
            self.share.add_(_ADAPTED * torch.sign(signs.mean() - self.target)).clamp_(0, 1)

    def drawn(self, count: int) -> list["CropChange"]:
        """Return the changes of a batch, which leave images as they are while the share is 0."""
        share = float(self.share)
        return [CropChange(share) for _ in range(count)] if share else []


class CropChange:
    """Mirrors, a quarter turn and a shift of a crop, and a gain and an offset of its image."""

    def __init__(self, share: float) -> None:
        chosen = (torch.rand(6) < share).tolist()
        self.axes = [axis for axis, is_chosen in zip((-1, -2), chosen, strict=False) if is_chosen]
        self.turned, shifted, gained, raised = chosen[2:]
        self.shift = torch.randint(-_SHIFT, _SHIFT + 1, (2,)).tolist() if shifted else [0, 0]
        gain, rise = torch.randn(2).mul(_GAIN).tolist()
        self.gain, self.rise = 2 ** (gain * gained), rise * raised

    def __call__(self, crop: Tensor, images: int) -> Tensor:
        """Return a changed crop (C, Z, Y, X); its first channels are images."""
        crop = torch.cat([crop[:images] * self.gain + self.rise, crop[images:]])
        crop = crop.flip(self.axes).roll(self.shift, (-2, -1))
        square = crop.shape[-1] == crop.shape[-2]
        return crop.rot90(1, (-2, -1)) if self.turned and square else crop


def changed(crops: Tensor, changes: Sequence[CropChange], images: int) -> Tensor:
    """Return crops (N, C, Z, Y, X) after a change of each, if there are changes."""
    if not changes:
        return crops
    return torch.stack([change(crop, images) for crop, change in zip(crops, changes, strict=True)])


def slope(judges: Judges, real: Tensor) -> Tensor:
    """Return R1, half the squared gradient of answers to real crops, their mean over crops.

    Mescheder et al., ICML (2018), doi:10.48550/arXiv.1801.04406.
    """
    real = real.detach().float().requires_grad_()
    answers = [layers[-1].mean(dim=(1, 2, 3, 4)).sum() for layers in judges(real)]
    (gradient,) = torch.autograd.grad(torch.stack(answers).sum(), real, create_graph=True)
    return gradient.square().sum() / (2 * len(real))


class ImagePool(nn.Module):
    """Earlier translations, kept in checkpoints: Shrivastava et al., doi:10.1109/CVPR.2017.241."""

    kept: Tensor
    count: Tensor

    def __init__(self, size: int, shape: Sizes, dtype: torch.dtype = torch.float16) -> None:
        super().__init__()
        self.register_buffer("kept", torch.zeros((size, *shape), dtype=dtype))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def exchange(self, images: Tensor) -> Tensor:
        """Return images for the judge: while the pool fills the given ones, then half are old."""
        exchanged = []
        for image in images.detach():
            count = int(self.count)
            shown = image
            if count < len(self.kept):
                self.kept[count] = image
                self.count += 1
            elif count and float(torch.rand(())) < 0.5:
                place = int(torch.randint(count, ()))
                shown = self.kept[place].to(image.dtype, copy=True)
                self.kept[place] = image
            exchanged.append(shown)
        return torch.stack(exchanged)


def judged_as(answers: Tensor, game: str = "squares", *, real: bool) -> Tensor:
    """Return the loss of answers that are to call crops real or made.

    ``squares``: from 1 or 0, Mao et al., doi:10.1109/ICCV.2017.304; ``logistic``: Goodfellow et
    al., NeurIPS 2014, doi:10.48550/arXiv.1406.2661, not saturating.
    """
    if game == "squares":
        return (answers - float(real)).square().mean()
    return softplus(-answers if real else answers).mean()


def apart(synthetic: Tensor, source: Tensor, soft: float, *, grain: bool = True) -> Tensor:
    """Return the mean absolute difference of two volumes, without `grain` of 3 x 3 pixels.

    By the square below `soft`: Huber, Ann. Math. Stat. 35 (1964), doi:10.1214/aoms/1177703732.
    """
    if not grain:
        synthetic = _smoothed(synthetic)
        source = _smoothed(source)
    return smooth_l1_loss(synthetic, source, beta=soft) if soft else l1_loss(synthetic, source)


def _smoothed(volume: Tensor) -> Tensor:
    return _leveled(volume.float(), (1, 3, 3))


def level_change(synthetic: Tensor, source: Tensor, window: Sizes, soft: float) -> Tensor:
    """Return the mean difference of levels: no light may come or go, fine texture and noise may."""
    levels = [_leveled(_leveled(volume.float(), window), window) for volume in (synthetic, source)]
    return apart(levels[0], levels[1], soft)


def _leveled(volume: Tensor, window: Sizes, stride: Sizes = (1, 1, 1)) -> Tensor:
    """Return means over windows; at the borders, and of planes, over their inner part."""
    fitting = [min(side, n - (n + 1) % 2) for side, n in zip(window, volume.shape[2:], strict=True)]
    size = (fitting[0], fitting[1], fitting[2])
    steps = (stride[0], stride[1], stride[2])
    return avg_pool3d(volume, size, steps, [side // 2 for side in fitting], count_include_pad=False)


def decorrelation(synthetic: Tensor, source: Tensor, window: Sizes) -> Tensor:
    """Return one minus the local correlation of two volumes (N, C, Z, Y, X), weighted by structure.

    Symmetric. Both are averaged over 3 x 3 pixels before, as noise need not stay. Windows in which
    neither has more variance than noise leaves hardly weigh. After Avants et al., Medical Image
    Analysis 12 (2008), doi:10.1016/j.media.2007.06.004.
    """
    a = _smoothed(synthetic)
    b = _smoothed(source)
    mean = partial(_leveled, window=window, stride=(1, 2, 2))
    mean_a = mean(a)
    mean_b = mean(b)
    var_a = (mean(a * a) - mean_a.square()).clamp_min(0)
    var_b = (mean(b * b) - mean_b.square()).clamp_min(0)
    shared = mean(a * b) - mean_a * mean_b
    most = torch.maximum(var_a, var_b)
    least = torch.minimum(var_a, var_b)
    spread = (most * torch.maximum(least, _LOST * most)).clamp_min(1e-12).sqrt()
    weight = most.square() / (most.square() + _FAINT**2)
    # Noise has nothing in common with noise: a window can lose its structure alone.
    lost = weight * (1 - shared / spread).clamp(0, 2)
    return (lost * weight).sum() / weight.sum().clamp_min(1)


def structure_of(labels: Tensor) -> Tensor:
    """Return the structure (N, 2, Z, Y, X) of labels: 1 inside of objects, 1 at their borders."""
    values = labels.float()[:, None]
    most = max_pool3d(values, 3, 1, 1)
    least = -max_pool3d(-values, 3, 1, 1)
    inside = values > 0
    return torch.cat([inside, (most != least) & inside], 1).float()


def misread(answers: Tensor, structure: Tensor) -> Tensor:
    """Return the cross-entropy of a reader's logits against a structure (N, 2, Z, Y, X)."""
    return binary_cross_entropy_with_logits(answers.float(), structure)
