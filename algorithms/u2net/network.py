"""The network: U blocks within a U, with an answer at every depth.

Qin et al., Pattern Recognition 106 (2020) 107404, doi:10.1016/j.patcog.2020.107404: the small one.
"""

from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import torch
from monai.networks.blocks.convolutions import Convolution
from torch import Tensor, nn
from torch.nn import functional

from cytosuite.contract.manifest import Count, Described
from cytosuite.files import Entries
from cytosuite.networks.levels import Triple
from cytosuite.networks.network import PlaneByPlane, channels_last, trained

CLASSES = 3  # background, inside, border
HEIGHTS = (7, 6, 5, 4)  # layers of the U blocks that shrink; those below are dilated instead
SIDES = 6  # answers: of five blocks on the way up and the lowest


class Network(Described):
    """Arguments of the network, as a model card holds them."""

    channels: Count = 64  # between blocks
    middle: Count = 16  # within blocks

    dimensions: ClassVar[int] = 2  # axes of the images
    multiple: ClassVar[Triple] = (1, 32, 32)  # the sides of an image are multiples of them


_layer = partial(Convolution, 2, adn_ordering="NA", norm="batch", act=("relu", {"inplace": True}))
_answer = partial(Convolution, 2, out_channels=CLASSES, conv_only=True)


def _upsampled(values: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(values, like.shape[2:], mode="bilinear", align_corners=False)


class UBlock(nn.Module):
    """A U of layers, added to its first; without a height four layers of growing dilation."""

    def __init__(self, height: int | None, inputs: int, middle: int, outputs: int) -> None:
        super().__init__()
        self.shrinks = height is not None
        spread = (1, 2, 4, 8) if height is None else (*[1] * (height - 1), 2)
        self.first = _layer(inputs, outputs)
        widths = (outputs, *[middle] * len(spread))
        self.down = nn.ModuleList(
            _layer(*pair, dilation=step)
            for pair, step in zip(pairwise(widths), spread, strict=True)
        )
        self.up = nn.ModuleList(
            _layer(2 * middle, outputs if last == 0 else middle, dilation=step)
            for last, step in reversed([*enumerate(spread[:-1])])
        )

    def forward(self, values: Tensor) -> Tensor:
        """Return (N, C, Y, X) features of the same size."""
        values = first = self.first(values)
        features = []
        for number, layer in enumerate(self.down):
            if self.shrinks and 0 < number < len(self.down) - 1:  # the lowest is dilated
                values = functional.max_pool2d(values, 2)
            values = layer(values)
            features.append(values)
        features.pop()
        for layer, finer in zip(self.up, reversed(features), strict=True):
            values = values if values.shape == finer.shape else _upsampled(values, finer)
            values = layer(torch.cat([values, finer], 1))
        added: Tensor = values + first
        return added


class NestedU(nn.Module):
    """Blocks on the way down and up, an answer of each, and all fused."""

    def __init__(self, channels: int, middle: int) -> None:
        super().__init__()
        heights = (*HEIGHTS, None)
        self.down = nn.ModuleList(
            UBlock(height, channels if number else 1, middle, channels)
            for number, height in enumerate((*heights, None))
        )
        self.up = nn.ModuleList(
            UBlock(height, 2 * channels, middle, channels) for height in reversed(heights)
        )
        self.sides = nn.ModuleList(_answer(in_channels=channels) for _ in range(SIDES))
        self.fuse = _answer(in_channels=SIDES * CLASSES, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, 7 C, Y, X) of an image (N, 1, Y, X): fused, then coarse to fine."""
        features: list[Tensor] = []
        values = image
        for number, block in enumerate(self.down):
            values = block(functional.max_pool2d(values, 2) if number else values)
            features.append(values)
        outputs = [features.pop()]
        for block in self.up:
            finer = features.pop()
            outputs.append(block(torch.cat([_upsampled(outputs[-1], finer), finer], 1)))
        answers = [
            _upsampled(side(values), image)
            for side, values in zip(self.sides, outputs, strict=True)
        ]
        together = torch.cat(answers, 1)
        return torch.cat([self.fuse(together), together], 1)


def build(arguments: Network) -> PlaneByPlane:
    """Return a network with random weights; planes are volumes (N, C, 1, Y, X)."""
    return PlaneByPlane(NestedU(arguments.channels, arguments.middle))


def load(arguments: Entries, path: Path) -> PlaneByPlane:
    """Return a trained network for inference; InputError if its weights do not fit."""
    return channels_last(trained(build, Network, arguments, path), 2)
