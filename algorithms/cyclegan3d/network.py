"""The generator: a residual network between two strided ends, on folded planes."""

from functools import partial
from typing import Annotated, Any, Literal, cast

import torch
from monai.networks.blocks.convolutions import Convolution
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cytosuite.manifest import Described
from cytosuite.network import VoxelNorm, folded, trained, unfolded

Norm = Literal["voxel", "instance"]


class Architecture(Described):
    """Arguments of a generator, as a model card holds them."""

    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (16, 32, 64), min_length=1, description="channels of each level; each halves all axes"
    )
    blocks: int = Field(3, ge=0, description="residual blocks at the coarsest level")
    kernel: int = Field(3, ge=1, le=15, description="of the outer convolutions, odd")
    fold: int = Field(2, ge=1, description="pixels of y and x folded into channels")
    norm: Norm = Field("voxel", description="over the channels of a voxel, or over an image")
    padding: Literal["zeros", "replicate"] = Field("zeros", description="beyond the borders")
    residual: bool = Field(True, description="the network gives the change of its input")
    bounded: bool = Field(False, description="whether the result is kept within -1..1")
    channels: int = Field(1, ge=1, le=16, description="of the images")
    noise: int = Field(
        0, ge=0, le=4, description="channels of normal noise beside the image, to make grain of"
    )

    @field_validator("kernel")
    @classmethod
    def _odd(cls, kernel: int) -> int:
        """Refuse a kernel without a middle, which would change the sides of an image."""
        if kernel % 2 == 0:
            raise ValueError(f"expected an odd number, found {kernel}")
        return kernel

    @property
    def multiple(self) -> tuple[int, int, int]:
        """Numbers that the sides of an image must be multiples of, z, y, x.

        Examples
        --------
        >>> Architecture(widths=(24, 48), fold=2).multiple
        (2, 4, 4)
        """
        deep: int = 2 ** (len(self.widths) - 1)
        return deep, deep * self.fold, deep * self.fold

    @property
    def halo(self) -> tuple[int, int, int]:
        """Distance from a tile's faces, from which on the result is that of the image, z, y, x.

        It is exact for faces at multiples of `multiple`. Norms over an image reach farther: see
        `Architecture.norm`.

        Examples
        --------
        >>> Architecture(widths=(24, 48), blocks=4, kernel=3, fold=2).halo
        (20, 40, 40)
        """
        levels = len(self.widths) - 1
        ends = 2 * (self.kernel // 2)
        strided = 2 * (2**levels - 1)  # on each level one voxel down, and one up
        reach = ends + strided + 2 * self.blocks * 2**levels
        return reach, reach * self.fold, reach * self.fold


class Residual(nn.Module):
    """Two convolutions whose result is added to their input."""

    def __init__(self, channels: int, arguments: Architecture) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *unit(channels, channels, arguments), *unit(channels, channels, arguments, act=False)
        )

    def forward(self, values: Tensor) -> Tensor:
        """Return the sum of (N, C, Z, Y, X) values and their change."""
        change: Tensor = self.body(values)
        return values + change


class Generator(nn.Module):
    """A network that translates normalised volumes of one domain into another.

    Parameters
    ----------
    arguments : Architecture
    outputs : int, optional
        Channels of the result; without a value as many as the images have.

    Notes
    -----
    Convolution, strided convolutions, residual blocks, transposed convolutions, convolution, as in
    Johnson et al. The published 3D version is ``widths=(64, 128, 256), blocks=9, kernel=7, fold=1,
    norm="instance", padding="replicate", residual=False, bounded=True``.

    References
    ----------
    Johnson et al., ECCV (2016), doi:10.1007/978-3-319-46475-6_43; Zhu et al., ICCV (2017),
    doi:10.1109/ICCV.2017.244; Bruch et al., PLoS ONE 18 (2023), doi:10.1371/journal.pone.0283828;
    Shi et al., CVPR (2016), doi:10.1109/CVPR.2016.207 (folding).
    """

    def __init__(self, arguments: Architecture, outputs: int | None = None) -> None:
        super().__init__()
        self.fold, self.bounded, self.channels = (
            arguments.fold,
            arguments.bounded,
            arguments.channels,
        )
        self.residual = arguments.residual and outputs is None
        self.checkpointing = False
        widths, planes = arguments.widths, arguments.fold**2
        inner, outer = list(zip(widths[1:], widths, strict=False)), arguments.kernel
        self.head = nn.Sequential(
            *unit(
                (arguments.channels + arguments.noise) * planes, widths[0], arguments, kernel=outer
            )
        )
        self.down = nn.ModuleList(
            nn.Sequential(*unit(fine, coarse, arguments, stride=2)) for coarse, fine in inner
        )
        self.blocks = nn.ModuleList(
            Residual(widths[-1], arguments) for _ in range(arguments.blocks)
        )
        self.up = nn.ModuleList(
            nn.Sequential(*unit(coarse, fine, arguments, stride=-2)) for coarse, fine in inner[::-1]
        )
        count = (outputs or arguments.channels) * planes
        last = convolution(widths[0], count, arguments.padding, kernel=outer)
        self.tail = nn.Sequential(*last)
        if self.residual:  # the first translation is the identity
            for weight in last[-1].parameters():
                nn.init.zeros_(weight)

    def forward(self, image: Tensor) -> Tensor:
        """Return translated images.

        Parameters
        ----------
        image : (N, C + noise, Z, Y, X) tensor
            Normalised images, then noise of standard deviation 1; sides are multiples of
            `Architecture.multiple`.

        Returns
        -------
        (N, C, Z, Y, X) float32 tensor
        """
        values = folded(image, self.fold).contiguous(memory_format=torch.channels_last_3d)
        values = self._passed(self.head, values)
        fine = []
        for layer in self.down:
            fine.append(values)
            values = self._passed(layer, values)
        for block in self.blocks:
            values = self._passed(block, values)
        for layer in self.up:
            values = self._passed(layer, values)
            kept = fine.pop()
            values = values + kept if self.residual else values
        made = unfolded(self.tail(values).float(), self.fold)
        made = made + image[:, : self.channels] if self.residual else made
        return torch.tanh(made) if self.bounded else made

    def _passed(self, layer: nn.Module, values: Tensor) -> Tensor:
        """Return the answer of a layer, with `checkpointing` without its inner activations kept."""
        if self.checkpointing and torch.is_grad_enabled():
            return cast(Tensor, checkpoint(layer, values, use_reentrant=False))
        return cast(Tensor, layer(values))


def convolution(
    inputs: int, outputs: int, padding: str, *, kernel: int = 3, stride: int = 1
) -> list[nn.Module]:
    """Return the layers of a convolution; a stride of -2 doubles the sides, 2 halves them."""
    if stride < 0:
        layer = Convolution(
            3,
            inputs,
            outputs,
            strides=-stride,
            kernel_size=kernel,
            conv_only=True,
            is_transposed=True,
        )
        return [layer]
    repeated = padding == "replicate" and stride == 1
    layer = Convolution(
        3,
        inputs,
        outputs,
        strides=stride,
        kernel_size=kernel,
        conv_only=True,
        padding=0 if repeated else kernel // 2,
    )
    return [nn.ReplicationPad3d(kernel // 2), layer] if repeated else [layer]


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
    layers = convolution(inputs, outputs, arguments.padding, kernel=kernel, stride=stride)
    layers.append(VoxelNorm(outputs) if arguments.norm == "voxel" else nn.InstanceNorm3d(outputs))
    return [*layers, nn.ReLU(inplace=True)] if act else layers


def build(arguments: Architecture, outputs: int | None = None) -> Generator:
    """Return a generator with random weights; with `residual` it starts as the identity."""
    network = Generator(arguments, outputs)
    cast(Any, network).to(memory_format=torch.channels_last_3d)  # torch does not declare it
    return network


load = partial(trained, build, Architecture)  # arguments of a card, path of its weights
