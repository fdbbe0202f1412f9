"""The published diffusion program in plain torch layers: what `diffusion.py` compares ours with.

Source: Eschweiler et al., PLoS Comput Biol 20 (2024) e1011890, doi:10.1371/journal.pcbi.1011890:
network, cosine schedule, single reverse steps and the tiler with fading weights, float32
throughout. Only the inference, with one step after the other and the last image kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import ceil, log, pi

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

WIDTH, TIMES = 16, 128  # channels of the first level, numbers that stand for a step
WEIGHTS = 2_318_961  # of the network of volumes
LENGTH, START = 1000, 400  # steps of the training, steps back
BLUR, CLIP = 1.0, 1000.0

Triple = tuple[int, int, int]
Image = NDArray[np.float32]
Network = Callable[[Tensor, int], Tensor]


class TimedBlock(nn.Module):
    """Two convolutions, each activated, then normalised; the vector of a step is added."""

    def __init__(self, dimensions: int, inputs: int, inner: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_layer(dimensions, inputs, inner, 3), *_layer(dimensions, inner, outputs, 3)
        )
        self.time = nn.Sequential(
            nn.Linear(TIMES, outputs), nn.PReLU(outputs), nn.Linear(outputs, outputs)
        )

    def forward(self, values: Tensor, step: Tensor) -> Tensor:
        """Return changed (N, C, ...) values; `step` is (1, TIMES)."""
        made: Tensor = self.body(values)
        shift: Tensor = self.time(step)
        return made + shift.reshape(1, -1, *[1] * (made.ndim - 2))


class PublishedDenoiser(nn.Module):
    """The published U-Net, which finds the noise; its second input is a channel of noise.

    Parameters
    ----------
    dimensions : {2, 3}
        Of the images.
    width : int
        Channels of the first level, a multiple of 2.
    """

    def __init__(self, dimensions: int = 3, width: int = WIDTH) -> None:
        super().__init__()
        f, self.dimensions = width, dimensions
        up = 8 * f // 2**dimensions  # channels that a shuffle leaves
        wide = [(2, f // 2, f), (f, f, 2 * f), (2 * f, 2 * f, 4 * f), (4 * f, 4 * f, 8 * f)]
        wide += [(up + 4 * f, 8 * f, 8 * f), (up + 2 * f, 8 * f, 8 * f), (up + f, f, f)]
        self.blocks = nn.ModuleList(TimedBlock(dimensions, *sizes) for sizes in wide)
        self.coarser = nn.ModuleList(
            nn.Sequential(*_layer(dimensions, n * f, n * f, 4, 2)) for n in (1, 2, 4)
        )
        self.finer = nn.ModuleList(
            nn.Sequential(*_layer(dimensions, 8 * f, 8 * f, 1)) for _ in range(3)
        )
        convolution = (nn.Conv2d, nn.Conv3d)[dimensions - 2]
        self.out = nn.Sequential(
            *_layer(dimensions, f, f, 3), *_layer(dimensions, f, f, 3), convolution(f, 1, 1)
        )

    def forward(self, image: Tensor, step: int) -> Tensor:
        """Return the noise (N, 1, ...) in images (N, 2, ...); sides are multiples of 8."""
        known = embedded(step).to(image.device)
        fine, values = [], image
        for number, coarser in enumerate(self.coarser):
            values = self.blocks[number](values, known)
            fine.append(values)
            values = coarser(values)
        values = self.blocks[3](values, known)
        for number, finer in enumerate(self.finer):
            values = torch.cat([shuffled(finer(values)), fine.pop()], 1)
            values = self.blocks[4 + number](values, known)
        made: Tensor = self.out(values)
        return made


def _layer(
    dimensions: int, inputs: int, outputs: int, kernel: int, stride: int = 1
) -> list[nn.Module]:
    """Return a convolution, its activation and its norm over the window."""
    convolution = (nn.Conv2d, nn.Conv3d)[dimensions - 2]
    norm = (nn.InstanceNorm2d, nn.InstanceNorm3d)[dimensions - 2]
    padding = 0 if kernel == 1 else 1
    made = convolution(inputs, outputs, kernel, stride=stride, padding=padding)
    return [made, nn.PReLU(outputs), norm(outputs)]


def embedded(step: int) -> Tensor:
    """Return sines, then cosines of a step, (1, TIMES)."""
    half = TIMES // 2
    angle = step * torch.exp(torch.arange(half) * (-log(10_000) / (half - 1)))
    return torch.cat([angle.sin(), angle.cos()])[None]


def shuffled(values: Tensor) -> Tensor:
    """Return values (N, C, ...) with 2 x 2 (x 2) channels laid out as neighbouring voxels."""
    count, channels, *sides = values.shape
    n = len(sides)
    parts = values.reshape(count, channels // 2**n, *[2] * n, *sides)
    order = [axis for i in range(n) for axis in (2 + n + i, 2 + i)]
    return parts.permute(0, 1, *order).reshape(count, -1, *(2 * side for side in sides))


@dataclass(frozen=True)
class Reverse:
    """Numbers of the reverse steps, (T,) float64 each.

    Parameters
    ----------
    signal : array
        Share of the image's variance after each step.
    clean, noised : array
        Weights of the expected and of the noised image in the mean of the step before.
    spread : array
        Deviation of the fresh noise.
    """

    signal: NDArray[np.float64]
    clean: NDArray[np.float64]
    noised: NDArray[np.float64]
    spread: NDArray[np.float64]


def reverse_steps() -> Reverse:
    """Return the numbers of the cosine schedule, of variance ``fixedlarge``."""
    place = np.arange(LENGTH + 1) / LENGTH
    left = np.cos((place + 0.008) / 1.008 * pi / 2) ** 2
    betas = np.clip(1 - left[1:] / left[:-1], 1e-4, 0.9999)
    signal = np.cumprod(1 - betas)
    before = np.append(1.0, signal[:-1])
    posterior = betas * (1 - before) / (1 - signal)
    variance = np.append(posterior[1], betas[1:])
    clean = np.sqrt(before) * betas / (1 - signal)
    noised = np.sqrt(1 - betas) * (1 - before) / (1 - signal)
    return Reverse(signal, clean, noised, np.sqrt(variance))


def one_step(noised: Tensor, network: Network, numbers: Reverse, step: int) -> Tensor:
    """Return the image (N, 1, ...) of the step before, with a fresh second channel of noise.

    The published clip of the expected image comes after the mean, without effect: it is left out.
    """
    noise = network(torch.cat([noised, torch.randn_like(noised)], 1), step)
    signal = float(numbers.signal[step])
    clean = (1 / signal) ** 0.5 * noised - (1 / signal - 1) ** 0.5 * noise
    mean: Tensor = float(numbers.clean[step]) * clean + float(numbers.noised[step]) * noised
    return mean if step == 0 else mean + float(numbers.spread[step]) * torch.randn_like(noised)


def denoised(image: Tensor, network: Network, numbers: Reverse, start: int = START) -> Tensor:
    """Return an image (N, 1, ...) that was noised with the steps up to a start, and denoised."""
    signal = float(numbers.signal[start - 1])
    image = signal**0.5 * image + (1 - signal) ** 0.5 * torch.randn_like(image)
    for step in reversed(range(start)):
        image = one_step(image, network, numbers, step)
    return image


@dataclass(frozen=True)
class Tiler:
    """Tiles of equal distance that reach beyond the image, voxels z y x."""

    patch: Triple
    overlap: Triple = (0, 0, 0)
    crop: Triple = (0, 0, 0)

    def starts(self, shape: Triple) -> list[Triple]:
        """Return the corners of the tiles; those beyond the image are negative."""
        axes = []
        for size, patch, o, c in zip(shape, self.patch, self.overlap, self.crop, strict=True):
            step = max(patch - o - 2 * c, 1)
            axes.append([k * step - o - c for k in range(ceil((size + o + c) / step))])
        return [(z, y, x) for z, y, x in product(*axes)]

    def fading(self) -> Image:
        """Return weights of a tile's voxels: 0 in its border, rising to 1 in its middle."""
        inner = tuple(slice(c, n - c) for c, n in zip(self.crop, self.patch, strict=True))
        ones = np.zeros(self.patch, bool)
        ones[inner] = True
        around = [(int(n > 1), int(n > 1)) for n in self.patch]
        away = ndimage.distance_transform_edt(np.pad(ones, around))
        away = away[tuple(slice(a, n + a) for n, (a, _) in zip(self.patch, around, strict=True))]
        weights: Image = (away / away.max()).astype(np.float32)
        return weights


def generated(sketch: Image, network: PublishedDenoiser, tiler: Tiler, start: int = START) -> Image:
    """Return an image made of a sketch in -1..1, (Z, Y, X); Z is 1 for a network of planes.

    Each tile is noised and denoised by itself; overlaps are averaged with the fading weights.
    """
    numbers, weights = reverse_steps(), tiler.fading()
    corners = tiler.starts(sketch.shape)
    low = [-min(corner[axis] for corner in corners) for axis in range(3)]
    high = [
        max(0, max(c[axis] for c in corners) + tiler.patch[axis] - sketch.shape[axis])
        for axis in range(3)
    ]
    wide = np.pad(sketch, list(zip(low, high, strict=True)), mode="reflect")
    made, sums = np.zeros(wide.shape, np.float32), np.zeros(wide.shape, np.float32)
    flat = network.dimensions == 2
    for corner in corners:
        box = tuple(
            slice(c + a, c + a + n) for c, a, n in zip(corner, low, tiler.patch, strict=True)
        )
        soft = ndimage.gaussian_filter(wide[box], [BLUR if n > 1 else 0 for n in tiler.patch])
        given = torch.from_numpy(soft if flat else soft[None])[None]
        with torch.inference_mode():
            found = denoised(given, network, numbers, start).clamp(-CLIP, CLIP)
        made[box] += found.numpy().reshape(tiler.patch) * weights
        sums[box] += weights
    inside = tuple(slice(a, a + n) for a, n in zip(low, sketch.shape, strict=True))
    # Voxels of a border that all tiles crop have no weight at all.
    answer: Image = np.divide(made[inside], np.maximum(sums[inside], 1e-30), dtype=np.float32)
    return answer
