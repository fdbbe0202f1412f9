"""The judges: networks that tell real from translated crops, patch by patch."""

from typing import Annotated, Any, Literal, cast

import torch
from monai.networks.blocks.convolutions import Convolution
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from cytosuite.manifest import Described

Stride = Annotated[int, Field(ge=1)]
Strides = tuple[Stride, Stride, Stride]
KERNEL = 4


class Judge(Described):
    """Arguments of a judge."""

    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (16, 32, 64), min_length=1, description="channels of each layer; the last keeps the sides"
    )
    first: Strides = Field((1, 2, 2), description="strides of the first layer, z y x")
    later: Strides = Field((2, 2, 2), description="strides of the layers between")
    norm: Literal["none", "spectral", "instance"] = Field(
        "instance", description="none, of the weights, or over a crop (published)"
    )

    @property
    def strides(self) -> list[Strides]:
        """Strides of each layer but the last, which gives the answer."""
        count = len(self.widths)
        return [self.first, *[self.later] * (count - 2), (1, 1, 1)][:count]

    @property
    def least(self) -> tuple[int, int, int]:
        """Smallest sides of a crop that has an answer, voxels z y x.

        Examples
        --------
        >>> Judge(widths=(16, 32, 64)).least
        (7, 12, 12)
        """
        size = [1, 1, 1]
        for stride in ((1, 1, 1), *self.strides[::-1]):
            size = [(n - 1) * s + KERNEL - 2 for n, s in zip(size, stride, strict=True)]
        z, y, x = (max(1, n) for n in size)
        return z, y, x


class PatchJudge(nn.Module):
    """A PatchGAN: near 1 where a patch looks as if from the domain, near 0 elsewhere.

    Parameters
    ----------
    arguments : Judge
    channels : int
        Of the images.

    Notes
    -----
    Published: ``widths=(64, 128, 256, 512), first=(2, 2, 2), later=(1, 2, 2), norm="instance"``. A
    norm over the crop hides its brightness from the judge; the spectral norm does not.

    References
    ----------
    Isola et al., CVPR (2017), doi:10.1109/CVPR.2017.632 (patches); Miyato et al., ICLR (2018),
    doi:10.48550/arXiv.1802.05957 (spectral norm); Bruch et al., PLoS ONE 18 (2023),
    doi:10.1371/journal.pone.0283828 (strides).
    """

    def __init__(self, arguments: Judge, channels: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels
        for number, (width, stride) in enumerate(
            zip(arguments.widths, arguments.strides, strict=True)
        ):
            layers.append(_convolution(inputs, width, stride, arguments.norm))
            if arguments.norm == "instance" and number:
                layers.append(nn.InstanceNorm3d(width))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            inputs = width
        layers.append(_convolution(inputs, 1, (1, 1, 1), arguments.norm))
        self.layers = nn.Sequential(*layers)
        cast(Any, self).to(memory_format=torch.channels_last_3d)  # torch does not declare it

    def forward(self, image: Tensor) -> Tensor:
        """Return the answers (N, 1, z, y, x), float32, for the patches of (N, C, Z, Y, X) crops."""
        answers: Tensor = self.layers(image.contiguous(memory_format=torch.channels_last_3d))
        return answers.float()


def _convolution(inputs: int, outputs: int, stride: Strides, norm: str) -> nn.Module:
    """Return a convolution of 4 x 4 x 4 voxels."""
    layer = Convolution(
        3, inputs, outputs, strides=stride, kernel_size=KERNEL, padding=1, conv_only=True
    )
    if norm == "spectral":
        spectral_norm(cast(nn.Module, layer.conv))
    return layer
