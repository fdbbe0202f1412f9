"""The generator: a residual network between two strided ends, on folded planes."""

from functools import partial
from typing import Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from cytosuite.contract.manifest import Whole
from cytosuite.networks import levels
from cytosuite.networks.levels import LevelArguments, Triple
from cytosuite.networks.network import (
    AddedChange,
    Checkpointed,
    VoxelNorm,
    channels_last,
    folded,
    strided_reach,
    trained,
    unfolded,
    zero,
)
from cytosuite.networks.tiling import Widths

Norm = Literal["voxel", "instance"]
BORDERS = {"replicate": nn.ReplicationPad3d, "reflect": nn.ReflectionPad3d}


class Architecture(LevelArguments):
    """Arguments of a generator, as a model card holds them."""

    # channels of each level; each halves all axes
    widths: Widths = Field((16, 32, 64), min_length=1)
    blocks: Whole = 3  # residual blocks at the coarsest level
    kernel: int = Field(3, ge=1, le=15)  # of the outer convolutions, odd
    norm: Norm = "voxel"  # over the channels of a voxel, or over an image
    padding: Literal["zeros", "replicate", "reflect"] = "zeros"  # beyond the borders
    residual: bool = True  # the network gives the change of its input
    bounded: bool = False  # whether the result is kept within -1..1
    channels: int = Field(1, ge=1, le=16)  # of the images
    noise: int = Field(0, ge=0, le=4)  # channels of normal noise, a source of grain

    @field_validator("kernel")
    @classmethod
    def _odd(cls, kernel: int) -> int:
        """Refuse a kernel without a middle, which would change the sides of an image."""
        if kernel % 2 == 0:
            raise ValueError(f"expected an odd number, found {kernel}")
        return kernel

    @property
    def axes(self) -> str:
        """Axes of the images."""
        return "ZYX"[-self.dimensions :]

    @property
    def halo(self) -> Triple:
        """Distance from a tile's faces, at multiples, beyond their influence, z, y, x."""
        return self._unfolded(
            strided_reach((0,) * (len(self.widths) - 1) + (self.blocks,), self.kernel), 0
        )


class Generator(Checkpointed):
    """A network that translates normalised volumes of one domain into another.

    Convolution, strided convolutions, residual blocks, transposed convolutions, convolution
    (Johnson et al., ECCV (2016), doi:10.1007/978-3-319-46475-6_43). The published 3D version (Bruch
    et al., PLoS ONE 18 (2023), doi:10.1371/journal.pone.0283828) is ``widths=(64, 128, 256),
    blocks=9, kernel=7, fold=1, norm="instance", padding="replicate", residual=False,
    bounded=True``.

    Zhu et al., ICCV (2017), doi:10.1109/ICCV.2017.244 (CycleGAN); Shi et al., CVPR (2016),
    doi:10.1109/CVPR.2016.207 (folding).
    """

    def __init__(self, arguments: Architecture, outputs: int | None = None) -> None:
        super().__init__()
        self.fold = arguments.fold
        self.bounded = arguments.bounded
        self.channels = arguments.channels
        self.residual = arguments.residual and outputs is None
        widths = arguments.widths
        planes = arguments.fold**2
        inner = list(zip(widths[1:], widths, strict=False))
        inputs = (arguments.channels + arguments.noise) * planes
        self.head = nn.Sequential(*unit(inputs, widths[0], arguments, kernel=arguments.kernel))
        self.down = nn.ModuleList(
            nn.Sequential(*unit(fine, coarse, arguments, stride=2)) for coarse, fine in inner
        )
        self.blocks = nn.ModuleList(
            AddedChange(
                *unit(widths[-1], widths[-1], arguments),
                *unit(widths[-1], widths[-1], arguments, act=False),
            )
            for _ in range(arguments.blocks)
        )
        self.up = nn.ModuleList(
            nn.Sequential(*unit(coarse, fine, arguments, stride=-2)) for coarse, fine in inner[::-1]
        )
        last = convolution(
            widths[0], (outputs or arguments.channels) * planes, arguments, kernel=arguments.kernel
        )
        self.tail = nn.Sequential(*last)
        if self.residual:  # the first translation is the identity
            zero(last[-1])

    def forward(self, image: Tensor) -> Tensor:
        """Return translated images (N, C, Z, Y, X) of normalised images and noise channels."""
        values = folded(image, self.fold).contiguous(memory_format=torch.channels_last_3d)
        values = self.passed(self.head, values)
        fine = []
        for layer in self.down:
            fine.append(values)
            values = self.passed(layer, values)
        for block in self.blocks:
            values = self.passed(block, values)
        for layer in self.up:
            values = self.passed(layer, values)
            finer = fine.pop()
            if self.residual:
                values = values + finer
        translated = unfolded(self.tail(values).float(), self.fold)
        if self.residual:
            translated = translated + image[:, : self.channels]
        return torch.tanh(translated) if self.bounded else translated


def convolution(
    inputs: int, outputs: int, arguments: Architecture, *, kernel: int = 3, stride: int = 1
) -> list[nn.Module]:
    """Return the layers of a convolution; a stride of -2 doubles the sides, 2 halves them."""
    repeated = BORDERS.get(arguments.padding) if stride == 1 else None
    padding = 0 if repeated else None
    layer = levels.convolution(
        arguments.dimensions, inputs, outputs, kernel=kernel, stride=stride, padding=padding
    )
    margin = kernel // 2
    margins = (*(margin,) * 4, *(margin * (arguments.dimensions - 2),) * 2)
    return [repeated(margins), layer] if repeated else [layer]


def unit(
    inputs: int,
    outputs: int,
    arguments: Architecture,
    *,
    kernel: int = 3,
    stride: int = 1,
    act: bool = True,
) -> list[nn.Module]:
    """Return the layers of a convolution, its norm and, if wanted, a rectifier."""
    layers = convolution(inputs, outputs, arguments, kernel=kernel, stride=stride)
    layers.append(VoxelNorm(outputs) if arguments.norm == "voxel" else nn.InstanceNorm3d(outputs))
    return [*layers, nn.ReLU(inplace=True)] if act else layers


def build(arguments: Architecture, outputs: int | None = None) -> Generator:
    """Return a generator with random weights; with `residual` it starts as the identity."""
    return channels_last(Generator(arguments, outputs), arguments.dimensions)


load = partial(trained, build, Architecture)  # arguments of a card, path of its weights
