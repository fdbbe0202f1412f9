"""The network: a residual U-Net on folded planes that adds its change to the image."""

from functools import partial
from itertools import pairwise
from math import ceil, prod
from typing import Annotated

import torch
from monai.networks.blocks.dynunet_block import get_conv_layer
from pydantic import Field, model_validator
from torch import Tensor, nn

from cytosuite.contract.manifest import Count, Described, Whole
from cytosuite.networks.levels import Triple
from cytosuite.networks.network import (
    AddedChange,
    Checkpointed,
    VoxelNorm,
    channels_last,
    folded,
    trained,
    unfolded,
    zero,
)
from cytosuite.networks.tiling import Widths
from cytosuite.segmentation.specimen import Channel

_convolution = partial(get_conv_layer, 3, act=None, norm=None, bias=True)


class RestorerArguments(Described):
    """Arguments of a restorer, as a model card holds them."""

    # channels of each level; each halves y and x
    widths: Widths = Field((16, 32, 64), min_length=1)
    # residual blocks of each level; the halo grows most with the last
    blocks: tuple[Annotated[int, Field(ge=0)], ...] = (1, 1, 1)
    kernel: int = Field(3, ge=1, le=15)  # of the outer convolutions, odd
    fold: Count = 2  # pixels of y and x folded into channels
    flat: Whole = 1  # levels below the first that halve y and x, but not z
    inputs: tuple[Channel, ...] = ()  # further channels after the image, in order

    @model_validator(mode="after")
    def _consistent(self) -> "RestorerArguments":
        """Refuse numbers that contradict each other, and a kernel without a middle."""
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, found {self.kernel}")
        if len(self.blocks) != len(self.widths):
            raise ValueError(
                f"blocks must be {len(self.widths)} numbers, one per width, found {self.blocks}"
            )
        if len(set(self.inputs)) < len(self.inputs):
            raise ValueError(f"inputs must differ, found {self.inputs}")
        return self

    @property
    def strides(self) -> list[Triple]:
        """Factors z, y, x by which each level but the first is coarser than the one before."""
        return [(1 if level < self.flat else 2, 2, 2) for level in range(len(self.widths) - 1)]

    @property
    def multiple(self) -> Triple:
        """Numbers that the sides of an image must be multiples of, z, y, x."""
        z, y, x = (prod(step[axis] for step in self.strides) for axis in range(3))
        return z, y * self.fold, x * self.fold

    @property
    def halo(self) -> Triple:
        """Distance z, y, x from a tile's faces (at multiples of `multiple`) without influence.

        >>> RestorerArguments().halo
        (11, 38, 38)
        """
        z, y, x = (self._reach([step[axis] for step in self.strides]) for axis in range(3))
        return z, y * self.fold, x * self.fold

    def _reach(self, steps: list[int]) -> int:
        """Return how many folded voxels from a face on an axis see beyond it."""
        reach = self.kernel // 2
        for step in steps:  # a coarse voxel sees beyond the face if one of its own does
            reach = ceil(reach / step)
        reach += 2 * self.blocks[-1]
        for step, blocks in zip(reversed(steps), reversed(self.blocks[:-1]), strict=True):
            reach = reach * step + 2 * blocks
        return reach + self.kernel // 2


def _block(channels: int) -> AddedChange:
    """Return two convolutions after norms, which change nothing at first."""
    layers = [
        VoxelNorm(channels),
        nn.SiLU(inplace=True),
        _convolution(channels, channels),
        VoxelNorm(channels),
        nn.SiLU(inplace=True),
        _convolution(channels, channels),
    ]
    zero(layers[-1])
    return AddedChange(*layers)


class Restorer(Checkpointed):
    """A U-Net that estimates the fused image from one view.

    Norms are over the channels of a voxel: the result depends on the image within
    `RestorerArguments.halo` alone, and tiles leave no seams. Strided and transposed convolutions
    cover each voxel once: kernels that overlap unevenly make a chessboard (Odena et al.). Between
    head and tail values are only added to: amplitudes, which norms take away, pass.
    Ronneberger et al., MICCAI (2015), doi:10.1007/978-3-319-24574-4_28 (U-Net); He et al., ECCV
    (2016), doi:10.1007/978-3-319-46493-0_38 (norm before convolution); Odena et al., Distill
    (2016), doi:10.23915/distill.00003; Shi et al., CVPR (2016), doi:10.1109/CVPR.2016.207
    (folding).
    """

    def __init__(self, arguments: RestorerArguments) -> None:
        super().__init__()
        self.fold = arguments.fold
        widths, planes, ends = arguments.widths, arguments.fold**2, arguments.kernel
        inner = list(zip(pairwise(widths), arguments.strides, strict=True))
        self.head = _convolution((1 + len(arguments.inputs)) * planes, widths[0], ends)
        self.down = nn.ModuleList(_convolution(a, b, step, step) for (a, b), step in inner)
        self.up = nn.ModuleList(
            _convolution(b, a, step, step, is_transposed=True) for (a, b), step in inner
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(*(_block(width) for _ in range(number)))
            for width, number in zip(widths, arguments.blocks, strict=True)
        )
        self.tail = _convolution(widths[0], planes, ends)
        zero(self.tail)  # the first result is the image itself

    def forward(self, image: Tensor) -> Tensor:
        """Return restored (N, 1, Z, Y, X) images, float32, of images and inputs (N, C, Z, Y, X)."""
        values = folded(image, self.fold).contiguous(memory_format=torch.channels_last_3d)
        values = self.head(values)
        fine = []
        for layer in self.down:
            fine.append(values)
            values = layer(values)
        values = self.passed(self.blocks[-1], values)
        for level in reversed(range(len(self.up))):
            values = self.up[level](values).add_(fine.pop())
            values = self.passed(self.blocks[level], values)
        return unfolded(self.tail(values).float(), self.fold) + image[:, :1]


def build(arguments: RestorerArguments) -> Restorer:
    """Return a restorer with random weights; it starts as the identity."""
    return channels_last(Restorer(arguments))


load = partial(trained, build, RestorerArguments)  # arguments of a card, path of its weights
