"""The network: a U-Net at half resolution that predicts centres and the shapes about them."""

from functools import partial
from math import pi, sqrt
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from cytosuite.contract.manifest import Described
from cytosuite.networks.levels import Triple, unet
from cytosuite.networks.network import channels_last, folded, trained

FOLD = 2  # voxels along each axis folded into channels
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
        self.core = unet(3, FOLD**3, 1 + (order + 1) ** 2, [features, 2 * features, 4 * features])
        channels_last(self)
        last = self.core.output_block.conv.conv
        with torch.no_grad():  # at first every object is a sphere of the mean radius
            last.weight[1:] = 0  # random ones are noise: training kills it with its features
            last.bias[1:] = 0
            last.bias[1] = SPHERE

    def forward(self, image: Tensor) -> Tensor:
        """Return logit of the centre's heat and coefficients (N, 1 + (L + 1)², Z/2, Y/2, X/2).

        The middle of voxel i of the answer lies at 2 i + 0.5 of the image (N, 1, Z, Y, X).
        """
        count, _, z, y, x = image.shape
        pairs = image.reshape(count, z // FOLD, FOLD, y, x).transpose(1, 2)
        coarse = folded(pairs.contiguous(), FOLD).contiguous(memory_format=torch.channels_last_3d)
        answer: Tensor = self.core(coarse)
        return answer.float()


def build(arguments: Network) -> HarmonicNet:
    """Return a network with random weights."""
    return HarmonicNet(arguments.order, arguments.features)


load = partial(trained, build, Network)  # arguments of a card, path of its weights
