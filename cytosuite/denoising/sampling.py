"""Make a whole image from a sketch: tiles at each step, one step for the whole image."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple, Self, TypeVar

import numpy as np
import torch
from pydantic import Field, model_validator
from scipy import ndimage
from torch import Tensor

from cytosuite.contract.manifest import Count, Described, Share, Whole
from cytosuite.contract.progress import part
from cytosuite.denoising.network import DenoiserArguments, clean_image
from cytosuite.denoising.noise import (
    CHANNEL,
    Levels,
    NoiseSchedule,
    SecondOrder,
    Solver,
    Values,
    noise_field,
    object_noise,
    phase,
    step_weights,
)
from cytosuite.networks.network import predict_tiles, reused_memory
from cytosuite.segmentation.specimen import Channel, CoarseMap, maps_of
from cytosuite.volume.arrays import Image, Integers, Interval, Sizes, Spacing

T = TypeVar("T")
Keep = Callable[[Image], None]  # takes an image of the course
Noise = Callable[..., Image]  # of a shape, a seed, a draw, and `labels` with which it moves
Conditional = Callable[[Tensor, Tensor], Tensor]  # images and times to answers
HIDDEN = -1.0  # everywhere, in place of a sketch: the ground of a real one is at 0 on average
SIGNAL = 0.647  # left of the sketch at the start: 400 of 1000 steps by the cosine, as published


def sample(
    noised: Values,
    denoise: Callable[[Values, float], Values],
    levels: Levels,
    draw: Callable[[int], Values],
    *,
    solver: Solver = "dpm",
    eta: float = 0.0,
    seen: Callable[[int, Values], None] = lambda *_: None,
) -> Values:
    """Return an image without noise, solved along rising `levels` to 1; `noised` is changed.

    `denoise` takes a noised image and its signal, `draw` the number of a step. Noise follows from
    the expectation, also from one that was cut.
    """
    course: SecondOrder[Values] = SecondOrder()
    for number, (signal, following) in enumerate(pairwise(levels.tolist())):
        expected = denoise(noised, signal)
        if solver == "dpm":
            expected = course.expected(expected, signal, following)
        weights = step_weights(signal, following, solver, eta)
        noised *= weights.noised
        noised += weights.clean * expected
        if weights.fresh:
            noised += weights.fresh * draw(number)
        seen(number, noised)
    return noised


class Contrast(Described):
    """Levels of the two sides of an image's threshold, in its unit."""

    dark: float  # mean of the ground
    bright: float  # mean of the objects


class Process(Described):
    """The way from a sketch over noise to an image."""

    schedule: NoiseSchedule = NoiseSchedule()  # noise of the training's steps
    t_start: int | None = Field(None, ge=1)  # steps of noise that the sketch gets
    # share of the sketch's variance that the noise leaves, in place of t_start; SIGNAL without both
    signal: float | None = Field(None, gt=0, lt=1)
    steps: Count = 20  # steps of the solver
    solver: Solver = "dpm"  # dpm, ddim, or ddpm
    eta: Share = 0  # fresh noise of ddim: 0 none, 1 ancestral
    # weight of the sketch: the expected image is free + guidance (given - free), free without the
    # sketch; above 1 at the cost of a second pass
    guidance: float = Field(1, ge=1, le=20)
    blur: float = Field(1.0, ge=0, le=50)  # of the sketch before the noise, sigma [px]
    # steps between the images of the output sampling-course, the last is the result; 0: no
    # output
    save: Whole = 0
    # of images, or of each channel, in units of the network
    contrast: Contrast | tuple[Contrast, ...] = Contrast(dark=0, bright=1.5)
    range: Interval = (-1.5, 4.0)  # lowest and highest value that is expected, units of the network

    @property
    def start(self) -> int:
        """Steps of noise that the sketch gets, 1..length of the schedule."""
        if self.t_start is not None:
            return self.t_start
        return self.schedule.steps_to(SIGNAL if self.signal is None else self.signal)

    @property
    def left(self) -> float:
        """Share of the sketch's variance that the noise leaves."""
        return float(self.schedule.signal()[self.start - 1])

    @model_validator(mode="after")
    def _possible(self) -> Self:
        """Refuse two starts, one beyond the schedule, and more steps than there are."""
        if self.t_start is not None and self.signal is not None:
            raise ValueError("expected t_start or signal, found both")
        if self.start > self.schedule.length:
            raise ValueError(
                f"t_start must be at most schedule.length, {self.schedule.length}, found "
                f"{self.start}"
            )
        if self.steps > self.start:
            raise ValueError(
                f"steps must be at most {self.start}, those from the start on, found {self.steps}"
            )
        if self.range[0] >= self.range[1]:
            raise ValueError(f"range must rise, found {list(self.range)}")
        return self


class Synthesis(NamedTuple):
    """A made image, and the work that it took."""

    values: Image  # of the sketch's shape, units of the network
    tiles: int
    evaluations: int  # passes of the network, of all tiles and steps


def synthesise(
    sketch: Image,
    network: Conditional,
    arguments: DenoiserArguments,
    process: Process,
    *,
    tile: Sizes,
    spacing: Spacing = (1.0, 1.0, 1.0),
    seed: int = 0,
    moving: Integers | None = None,
    device: str = "cpu",
    keep: Keep = lambda _: None,
    noise: Noise = object_noise,
) -> Synthesis:
    """Return an image of the objects of a whole ([C,] Z, Y, X) sketch, ground 0 and objects 1.

    Voxels of `spacing` µm, z y x, count for a network that takes positions. Each step is taken for
    the whole image, in nine float32 copies of memory; tiles overlap by the reach of the network, so
    that their size changes rounding alone. Noise moves with the labels `moving` (Z, Y, X). Guidance
    is without a classifier: Ho, Salimans, 2022, doi:10.48550/arXiv.2207.12598, equation 6 (their w
    is one less).
    """
    count, (z, y, x) = arguments.channels, sketch.shape[-3:]
    padding = [(0, -n % step) for n, step in zip((z, y, x), arguments.multiple, strict=True)]
    whole = np.pad(sketch.reshape(-1, z, y, x), [(0, 0), *padding], mode="edge")
    objects = None if moving is None else np.pad(moving, padding)
    draw = partial(noise, whole.shape, seed, labels=objects)
    inputs = np.empty((arguments.inputs, *whole.shape[1:]), np.float32)
    image = inputs[:count]
    conditions = inputs[count : count * (1 + arguments.conditioned)]
    levels = process.schedule.visited(process.start, process.steps)
    image[:] = blurred(whole, process)
    image *= np.float32(levels[0] ** 0.5)
    image += np.float32((1 - levels[0]) ** 0.5) * draw(draw=0)
    conditions[:] = whole[: len(conditions)]
    first = count + len(conditions)
    for row, position in enumerate(positions(whole, spacing, arguments.position), start=first):
        inputs[row] = position.read(tuple(map(slice, position.shape)))
    if arguments.noise_channel:
        inputs[-1] = noise_field(
            whole.shape[1:], seed, count * CHANNEL, kind=arguments.noise_channel
        )
    tiles: list[int] = []  # of each step

    def denoise(noised: Image, signal: float) -> Image:
        """Return the expected image at a signal; the noised one stands in the inputs."""
        del noised
        time = torch.tensor([phase(signal)], dtype=torch.float32, device=device)
        with part(len(tiles), process.steps):
            prediction = predict_tiles(
                inputs,
                partial(_expected, network, arguments, process, time),
                channels=count,
                multiple=arguments.multiple,
                tile=tile,
                halo=arguments.halo,
                device=device,
                half=True,
            )
        tiles.append(prediction.tiles)
        return prediction.values

    def seen(number: int, image: Image) -> None:
        """Keep an image of the course."""
        if process.save and (process.steps - 1 - number) % process.save == 0:
            keep(image[:, :z, :y, :x].copy().reshape(sketch.shape))

    with reused_memory():
        sampled = sample(
            image,
            denoise,
            levels,
            lambda number: draw(draw=1 + number),
            solver=process.solver,
            eta=process.eta,
            seen=seen,
        )
    passes = 2 if process.guidance > 1 else 1
    whole_image = sampled[:, :z, :y, :x].copy().reshape(sketch.shape)
    return Synthesis(whole_image, tiles[0], passes * sum(tiles))


def _expected(
    network: Conditional,
    arguments: DenoiserArguments,
    process: Process,
    time: Tensor,
    inputs: Tensor,
) -> Tensor:
    """Return the expected image of a tile, within the range."""
    count = arguments.channels
    image = inputs[:, :count]
    clean = clean_image(network(inputs, time), image, time, arguments.predicts)
    if process.guidance > 1:
        hidden = inputs.clone()
        hidden[:, count : 2 * count] = HIDDEN
        free = clean_image(network(hidden, time), image, time, arguments.predicts)
        clean = free + process.guidance * (clean - free)
    return clean.clamp(*process.range)


def positions(sketch: Image, spacing: Spacing, channels: Sequence[Channel]) -> list[CoarseMap]:
    """Return the maps of the whole of a sketch's (C, Z, Y, X) objects, voxels in µm."""
    return maps_of(sketch.max(axis=0), spacing, channels) if channels else []


def of_channels(value: T | tuple[T, ...], count: int) -> tuple[T, ...]:
    """Return a value for each channel; a single one is for all."""
    return value if isinstance(value, tuple) else (value,) * count


def blurred(sketch: Image, process: Process) -> Image:
    """Return a ([C,] Z, Y, X) sketch as a blurred image in units of the network."""
    sigma = [process.blur if n > 1 else 0 for n in sketch.shape[-3:]]
    image = np.array(sketch)
    channels = image.reshape(-1, *sketch.shape[-3:])
    contrasts = of_channels(process.contrast, len(channels))
    for channel, contrast in zip(channels, contrasts, strict=True):
        if process.blur:
            ndimage.gaussian_filter(channel, sigma, output=channel)
        channel *= np.float32(contrast.bright - contrast.dark)
        channel += np.float32(contrast.dark)
    return image
