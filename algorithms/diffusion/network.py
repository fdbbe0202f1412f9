"""The denoiser: a U-Net on folded planes that is given the level of the noise, and a sketch."""

from functools import partial
from itertools import pairwise
from math import pi
from typing import Annotated, Any, Literal, cast

import torch
from monai.networks.blocks.convolutions import Convolution
from monai.networks.nets.diffusion_model_unet import get_timestep_embedding
from pydantic import Field
from torch import Tensor, nn

from cytosuite.manifest import Described
from cytosuite.network import VoxelNorm, folded, trained, unfolded

_TURN = 1000 / (pi / 2)  # time as the embedding sees it: 0 for an image, 1000 for noise

Triple = tuple[int, int, int]


class DenoiserArguments(Described):
    """Arguments of a denoiser, as a model card holds them."""

    dimensions: Literal[2, 3] = Field(3, description="of the images: 2 for planes, 3 for volumes")
    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (32, 48, 64), min_length=1, description="channels of each level; each halves all axes"
    )
    blocks: int = Field(1, ge=0, le=8, description="residual blocks of each level, down and up")
    fold: int = Field(2, ge=1, le=4, description="pixels of y and x folded into channels")
    embedding: int = Field(64, ge=4, description="numbers that stand for the level of the noise")
    conditioned: bool = Field(True, description="the sketch is given beside the noised image")
    predicts: Literal["velocity", "noise"] = Field(
        "velocity", description="answer of the network, from which the image follows"
    )

    @property
    def multiple(self) -> Triple:
        """Numbers that the sides of an image must be multiples of, z, y, x.

        Examples
        --------
        >>> DenoiserArguments(widths=(8, 16), fold=2).multiple
        (2, 4, 4)
        """
        deep: int = 2 ** (len(self.widths) - 1)
        return self._deep(deep), deep * self.fold, deep * self.fold

    @property
    def halo(self) -> Triple:
        """Distance from a tile's faces, from which on the answer is that of the image, z, y, x.

        It is exact for faces at multiples of `multiple`.

        Examples
        --------
        >>> DenoiserArguments(widths=(32, 48, 64), blocks=1, fold=2).halo
        (28, 56, 56)
        >>> DenoiserArguments(dimensions=2, widths=(8, 16), blocks=1, fold=1).halo
        (0, 12, 12)
        """
        levels = len(self.widths) - 1
        strided = 2 * (2**levels - 1)  # on each level one voxel down, and one up
        # Two convolutions per block; levels but the last have blocks on the way down and up.
        blocks = 2 * self.blocks * (2 * (2**levels - 1) + 2**levels)
        reach: int = 2 + strided + blocks
        return self._deep(reach, 0), reach * self.fold, reach * self.fold

    def _deep(self, value: int, plane: int = 1) -> int:
        """Return a number along z: that of a plane where images are planes."""
        return value if self.dimensions == 3 else plane


class PlaneByPlane(nn.Module):
    """A layer of planes for the planes of volumes: several times as fast as a flat one in 3D."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, values: Tensor) -> Tensor:
        """Return the answer (N, C, Z, Y, X) of the layer for (N, C, Z, Y, X) values."""
        count, channels, deep, *sides = values.shape
        planes = values.transpose(1, 2).reshape(count * deep, channels, *sides)
        made = self.layer(planes.contiguous(memory_format=torch.channels_last))
        stacked: Tensor = made.reshape(count, deep, *made.shape[1:]).transpose(1, 2)
        return stacked


class TimedResidual(nn.Module):
    """Two convolutions whose result is added to their input; the level of the noise steers them."""

    def __init__(self, channels: int, arguments: DenoiserArguments) -> None:
        super().__init__()
        self.before, self.after = VoxelNorm(channels), VoxelNorm(channels)
        self.first, self.second = (_convolution(channels, channels, arguments) for _ in range(2))
        self.steer = nn.Linear(arguments.embedding, 2 * channels)
        for weight in self.second.parameters():  # at first a block changes nothing
            nn.init.zeros_(weight)

    def forward(self, values: Tensor, time: Tensor) -> Tensor:
        """Return changed (N, C, Z, Y, X) values; `time` is (N, embedding)."""
        gain, shift = self.steer(time)[:, :, None, None, None].chunk(2, 1)
        change = self.first(nn.functional.silu(self.before(values)))
        change = self.after(change) * (1 + gain) + shift
        return values + cast(Tensor, self.second(nn.functional.silu(change)))


class Denoiser(nn.Module):
    """A U-Net that finds the noise in an image, or the velocity from image to noise.

    Parameters
    ----------
    arguments : DenoiserArguments

    Notes
    -----
    Nothing is averaged over an image: norms are over the channels of a voxel, and there is no
    attention. So the answer for a voxel depends on the image within `DenoiserArguments.halo`
    alone, and tiles leave no seams. Between head and tail values are only added to: amplitudes,
    which norms take away, pass.

    References
    ----------
    Ho, Jain, Abbeel, NeurIPS 2020, doi:10.48550/arXiv.2006.11239 (U-Net with the step embedded);
    Nichol, Dhariwal, ICML 2021, doi:10.48550/arXiv.2102.09672 (gain and shift by the step); Shi
    et al., CVPR 2016, doi:10.1109/CVPR.2016.207 (folding).
    """

    def __init__(self, arguments: DenoiserArguments) -> None:
        super().__init__()
        self.arguments = arguments
        widths, planes = arguments.widths, arguments.fold**2
        levels, inner = range(len(widths)), list(pairwise(widths))
        channels = 1 + arguments.conditioned
        self.head = _convolution(channels * planes, widths[0], arguments)
        self.time = nn.Sequential(
            nn.Linear(arguments.embedding, arguments.embedding),
            nn.SiLU(),
            nn.Linear(arguments.embedding, arguments.embedding),
            nn.SiLU(),
        )
        self.down = nn.ModuleList(_blocks(widths[level], arguments) for level in levels)
        self.up = nn.ModuleList(_blocks(widths[level], arguments) for level in levels[:-1])
        self.coarser = nn.ModuleList(_convolution(a, b, arguments, stride=2) for a, b in inner)
        self.finer = nn.ModuleList(_convolution(b, a, arguments, stride=-2) for a, b in inner)
        self.tail = _convolution(widths[0], planes, arguments)
        for weight in self.tail.parameters():
            nn.init.zeros_(weight)

    def forward(self, image: Tensor, time: Tensor) -> Tensor:
        """Return the noise or the velocity.

        Parameters
        ----------
        image : (N, C, Z, Y, X) tensor
            The noised image in units of the network, then, where the network is conditioned, the
            sketch; sides are multiples of `DenoiserArguments.multiple`, z is 1 for planes.
        time : (N,) tensor
            `cytosuite.algorithms.diffusion.schedule.phase` of the signal.

        Returns
        -------
        (N, 1, Z, Y, X) float32 tensor
        """
        known = self.time(get_timestep_embedding(time * _TURN, self.arguments.embedding))
        values = folded(image, self.arguments.fold).contiguous(memory_format=torch.channels_last_3d)
        values = self.head(values)
        fine = []
        for level, blocks in enumerate(self.down):
            for block in cast(nn.ModuleList, blocks):
                values = block(values, known)
            if level < len(self.coarser):
                fine.append(values)
                values = self.coarser[level](values)
        for level in reversed(range(len(self.up))):
            values = self.finer[level](values) + fine.pop()
            for block in cast(nn.ModuleList, self.up[level]):
                values = block(values, known)
        return unfolded(self.tail(values).float(), self.arguments.fold)


def build(arguments: DenoiserArguments) -> Denoiser:
    """Return a denoiser with random weights; its first answer is 0."""
    network = Denoiser(arguments)
    layout = torch.channels_last_3d if arguments.dimensions == 3 else torch.channels_last
    cast(Any, network).to(memory_format=layout)  # torch does not declare it
    return network


load = partial(trained, build, DenoiserArguments)  # arguments of a card, path of its weights


def clean_image(answer: Tensor, noised: Tensor, time: Tensor, predicts: str) -> Tensor:
    """Return the image without noise that follows from the answer of a network.

    Parameters
    ----------
    answer, noised : (N, 1, ...) tensor
        Answer for a noised image ``cos(time) image + sin(time) noise``.
    time : (N,) tensor
        Phase, see `Denoiser.forward`.
    predicts : {"velocity", "noise"}
        Velocity is ``cos(time) noise - sin(time) image``.

    References
    ----------
    Salimans, Ho, ICLR 2022, doi:10.48550/arXiv.2202.00512, appendix D (velocity).
    """
    angle = time.reshape(-1, *[1] * (noised.ndim - 1))
    if predicts == "velocity":
        return angle.cos() * noised - angle.sin() * answer
    return (noised - angle.sin() * answer) / angle.cos()


def _blocks(channels: int, arguments: DenoiserArguments) -> nn.ModuleList:
    """Return the residual blocks of a level."""
    return nn.ModuleList(TimedResidual(channels, arguments) for _ in range(arguments.blocks))


def _convolution(
    inputs: int, outputs: int, arguments: DenoiserArguments, *, stride: int = 1
) -> nn.Module:
    """Return a convolution, of volumes or plane by plane; a stride of -2 doubles the sides."""
    layer = Convolution(
        arguments.dimensions,
        inputs,
        outputs,
        strides=abs(stride),
        kernel_size=3,
        conv_only=True,
        is_transposed=stride < 0,
    )
    return PlaneByPlane(layer) if arguments.dimensions == 2 else layer
