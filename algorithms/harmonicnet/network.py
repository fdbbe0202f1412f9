"""The network: a U-Net at half resolution that predicts centres and the shapes about them."""

from functools import partial
from math import pi, sqrt
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from cytosuite.contract.manifest import Described
from cytosuite.networks.levels import Triple, unet
from cytosuite.networks.network import channels_last, trained
from cytosuite.volume.arrays import Floats, Shape

SPHERE = sqrt(4 * pi)  # coefficient of a sphere of radius 1


class Network(Described):
    """Arguments of the network, as a model card holds them."""

    order: int = Field(5, ge=0, le=20)  # highest degree of the harmonics
    features: int = Field(32, ge=4)  # channels at half resolution, twice at each level

    dimensions: ClassVar[int] = 3  # axes of the images
    multiple: ClassVar[Triple] = (8, 8, 8)  # the sides of an image are multiples of them


class HarmonicNet(nn.Module):
    """After Eschweiler, Stegmaier, ISBI (2021), arXiv 2010.12369: one scale, and a shared trunk.

    Published are three scales of which the finest has nine tenths of the weight, and no network of
    its own for each: here batch norm and leaky ReLU stand for instance norm and PReLU.
    """

    def __init__(self, order: int, features: int) -> None:
        super().__init__()
        self.core = unet(3, 8, 1 + (order + 1) ** 2, [features, 2 * features, 4 * features])
        channels_last(self)
        last = self.core.output_block.conv.conv
        with torch.no_grad():  # at first every object is a sphere of the mean radius
            last.weight[1:] = 0  # random ones are noise: training kills it with its features
            last.bias[1:] = 0
            last.bias[1] = SPHERE

    def forward(self, eights: Tensor) -> Tensor:
        """Return logit of the centre's heat and coefficients (N, 1 + (L + 1)², z, y, x).

        Images are `in_eights` (N, 8, z, y, x): voxel i lies in the middle of voxels 2 i and 2 i + 1
        of the image.
        """
        answer: Tensor = self.core(eights.contiguous(memory_format=torch.channels_last_3d))
        return answer.float()


def half(sizes: Shape) -> Shape:
    """Return half of the voxels along each axis."""
    return tuple(size // 2 for size in sizes)


def in_eights(image: Floats) -> Floats:
    """Return a volume on half the grid, its voxels as channels (8, z, y, x); faces are extended."""
    even = np.pad(image, [(0, size % 2) for size in image.shape], mode="edge")
    z, y, x = half(even.shape)
    parts = even.reshape(z, 2, y, 2, x, 2).transpose(1, 3, 5, 0, 2, 4)
    return np.ascontiguousarray(parts).reshape(8, z, y, x)


def build(arguments: Network) -> HarmonicNet:
    """Return a network with random weights."""
    return HarmonicNet(arguments.order, arguments.features)


load = partial(trained, build, Network)  # arguments of a card, path of its weights
