"""The denoiser: a U-Net on folded planes that is given the level of the noise, and a sketch."""

from functools import partial
from itertools import pairwise
from math import pi
from typing import Literal, Self, cast

import torch
from monai.networks.nets.diffusion_model_unet import get_timestep_embedding
from pydantic import Field, model_validator
from torch import Tensor, nn

from cytosuite.denoising.noise import NoiseKind
from cytosuite.networks.levels import LevelArguments, Triple, convolution
from cytosuite.networks.network import (
    VoxelNorm,
    channels_last,
    folded,
    strided_reach,
    trained,
    unfolded,
    zero,
)
from cytosuite.networks.tiling import Widths

_TURN = 1000 / (pi / 2)  # time as the embedding sees it: 0 for an image, 1000 for noise

Position = Literal["distance", "depth"]


class DenoiserArguments(LevelArguments):
    """Arguments of a denoiser, as a model card holds them."""

    # channels of each level; each halves all axes
    widths: Widths = Field((32, 48, 64), min_length=1)
    blocks: int = Field(1, ge=0, le=8)  # residual blocks of each level, down and up
    fold: int = Field(2, ge=1, le=4)  # pixels of y and x folded into channels
    embedding: int = Field(64, ge=4)  # numbers that stand for the level of the noise
    channels: int = Field(1, ge=1, le=16)  # of the images, each with its own sketch
    conditioned: bool = True  # the sketch is a channel, next to the noised image
    # where a voxel lies, as further input channels: distance to the surface of the objects' whole
    # (inside > 0), depth below its first plane; the voxel size counts
    position: tuple[Position, ...] = ()
    # distribution of a further input channel of noise, as published
    noise_channel: NoiseKind | None = None
    # answer of the network, from which the image follows
    predicts: Literal["velocity", "noise"] = "velocity"

    @model_validator(mode="after")
    def _placed(self) -> Self:
        """Refuse positions without a sketch, which they follow from."""
        if self.position and not self.conditioned:
            raise ValueError("position follows from the sketch; set conditioned, or leave it out")
        return self

    @property
    def axes(self) -> str:
        """Axes of the images."""
        return ("C" if self.channels > 1 else "") + "ZYX"[-self.dimensions :]

    @property
    def inputs(self) -> int:
        """Channels of the input: the noised image, its sketch, its position, noise."""
        more = len(self.position) + (self.noise_channel is not None)
        return self.channels * (1 + self.conditioned) + more

    @property
    def halo(self) -> Triple:
        """Distance z, y, x from a tile's faces (at multiples of `multiple`) without influence.

        >>> DenoiserArguments(widths=(32, 48, 64), blocks=1, fold=2).halo
        (28, 56, 56)
        >>> DenoiserArguments(dimensions=2, widths=(8, 16), blocks=1, fold=1).halo
        (0, 12, 12)
        """
        # LevelArguments but the last have blocks on the way down and up.
        return self._unfolded(
            strided_reach((2 * self.blocks,) * (len(self.widths) - 1) + (self.blocks,)), 0
        )


class TimedResidual(nn.Module):
    """Two convolutions, steered by the level of the noise, added to their input."""

    def __init__(self, channels: int, arguments: DenoiserArguments) -> None:
        super().__init__()
        self.before, self.after = VoxelNorm(channels), VoxelNorm(channels)
        self.first, self.second = (
            convolution(arguments.dimensions, channels, channels) for _ in range(2)
        )
        self.steer = nn.Linear(arguments.embedding, 2 * channels)
        zero(self.second)  # at first a block changes nothing

    def forward(self, values: Tensor, time: Tensor) -> Tensor:
        """Return changed (N, C, Z, Y, X) values; `time` is (N, embedding)."""
        gain, shift = self.steer(time)[:, :, None, None, None].chunk(2, 1)
        change = self.first(nn.functional.silu(self.before(values), inplace=True))
        change = self.after(change, gain, shift)
        return cast(Tensor, self.second(nn.functional.silu(change, inplace=True))).add_(values)


class Denoiser(nn.Module):
    """A U-Net that finds the noise in an image, or the velocity from image to noise.

    Norms are over the channels of a voxel, and there is no attention: the answer depends on the
    image within `DenoiserArguments.halo` alone, and tiles leave no seams. Between head and tail
    values are only added to: amplitudes, which norms take away, pass.
    Ho, Jain, Abbeel, NeurIPS 2020, doi:10.48550/arXiv.2006.11239 (U-Net with the step embedded);
    Nichol, Dhariwal, ICML 2021, doi:10.48550/arXiv.2102.09672 (gain and shift by the step); Shi
    et al., CVPR 2016, doi:10.1109/CVPR.2016.207 (folding).
    """

    def __init__(self, arguments: DenoiserArguments) -> None:
        super().__init__()
        self.arguments = arguments
        widths = arguments.widths
        planes = arguments.fold**2
        inner = list(pairwise(widths))
        layer = partial(convolution, arguments.dimensions)
        self.head = layer(arguments.inputs * planes, widths[0])
        self.time = nn.Sequential(
            nn.Linear(arguments.embedding, arguments.embedding),
            nn.SiLU(),
            nn.Linear(arguments.embedding, arguments.embedding),
            nn.SiLU(),
        )

        def blocks(width: int) -> nn.ModuleList:
            """Return the residual blocks of a level."""
            return nn.ModuleList(TimedResidual(width, arguments) for _ in range(arguments.blocks))

        self.down = nn.ModuleList(blocks(width) for width in widths)
        self.up = nn.ModuleList(blocks(width) for width in widths[:-1])
        self.coarser = nn.ModuleList(layer(a, b, stride=2) for a, b in inner)
        self.finer = nn.ModuleList(layer(b, a, stride=-2) for a, b in inner)
        self.tail = layer(widths[0], arguments.channels * planes)
        zero(self.tail)

    def forward(self, image: Tensor, time: Tensor) -> Tensor:
        """Return the answer (N, C, Z, Y, X) for (N, `inputs`, Z, Y, X) at a `phase` (N,)."""
        embedded = self.time(get_timestep_embedding(time * _TURN, self.arguments.embedding))
        values = folded(image, self.arguments.fold).contiguous(memory_format=torch.channels_last_3d)
        values = self.head(values)
        fine = []
        for level, blocks in enumerate(self.down):
            for block in cast(nn.ModuleList, blocks):
                values = block(values, embedded)
            if level < len(self.coarser):
                fine.append(values)
                values = self.coarser[level](values)
        for level in reversed(range(len(self.up))):
            values = self.finer[level](values).add_(fine.pop())
            for block in cast(nn.ModuleList, self.up[level]):
                values = block(values, embedded)
        return unfolded(self.tail(values).float(), self.arguments.fold)


def build(arguments: DenoiserArguments) -> Denoiser:
    """Return a denoiser with random weights; its first answer is 0."""
    return channels_last(Denoiser(arguments), arguments.dimensions)


load = partial(trained, build, DenoiserArguments)  # arguments of a card, path of its weights


def clean_image(answer: Tensor, noised: Tensor, time: Tensor, predicts: str) -> Tensor:
    """Return the image of an answer (Salimans, Ho, ICLR 2022, D, doi:10.48550/arXiv.2202.00512)."""
    angle = time.reshape(-1, *[1] * (noised.ndim - 1))
    if predicts == "velocity":
        return angle.cos() * noised - angle.sin() * answer
    return (noised - angle.sin() * answer) / angle.cos()
