"""Make a whole image from a sketch: tiles at each step, one step for the whole image."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy import ndimage
from torch import Tensor

from cytosuite.algorithms.diffusion.intensity import HIDDEN, Contrast
from cytosuite.algorithms.diffusion.network import DenoiserArguments, clean_image
from cytosuite.algorithms.diffusion.noise import noise_field
from cytosuite.algorithms.diffusion.sampler import Denoise, Solver, sample
from cytosuite.algorithms.diffusion.schedule import NoiseSchedule, phase
from cytosuite.manifest import Described
from cytosuite.network import predict_tiles
from cytosuite.progress import part

Image = NDArray[np.float32]
Conditional = Callable[[Tensor, Tensor], Tensor]  # images and times to answers

SIGNAL = 0.647  # left of the sketch at the start: 400 of 1000 steps by the cosine, as published


class Process(Described):
    """The way from a sketch over noise to an image."""

    schedule: NoiseSchedule = Field(NoiseSchedule(), description="noise of the training's steps")
    t_start: int | None = Field(None, ge=1, description="steps of noise that the sketch gets")
    signal: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of the sketch's variance that the noise leaves, in place of t_start; "
        f"{SIGNAL} without both",
    )
    steps: int = Field(20, ge=1, description="steps of the solver")
    solver: Solver = Field("dpm", description="dpm, ddim, or ddpm")
    eta: float = Field(0, ge=0, le=1, description="fresh noise of ddim: 0 none, 1 ancestral")
    guidance: float = Field(
        1,
        ge=1,
        le=20,
        description="weight of the sketch: the expected image is free + guidance (given - free), "
        "free without the sketch; above 1 at the cost of a second pass",
    )
    blur: float = Field(1.0, ge=0, le=50, description="of the sketch before the noise, sigma [px]")
    contrast: Contrast = Field(
        Contrast(dark=0, bright=1.5), description="of images, in units of the network"
    )
    range: tuple[float, float] = Field(
        (-1.5, 4.0), description="lowest and highest value that is expected, units of the network"
    )

    @property
    def start(self) -> int:
        """Steps of noise that the sketch gets, 1..length of the schedule."""
        if self.t_start is not None:
            return self.t_start
        return self.schedule.steps_to(SIGNAL if self.signal is None else self.signal)

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

    values: Image  # (Z, Y, X), units of the network
    tiles: int
    evaluations: int  # passes of the network, of all tiles and steps


def synthesise(
    sketch: Image,
    network: Conditional,
    arguments: DenoiserArguments,
    process: Process,
    *,
    tile: Sequence[int],
    seed: int = 0,
    device: str = "cpu",
) -> Synthesis:
    """Return an image of the objects of a sketch.

    Parameters
    ----------
    sketch : (Z, Y, X) float32 array
        Ground at 0, objects at 1; a whole image. Z is 1 for planes.
    network : callable
        A denoiser, see `cytosuite.algorithms.diffusion.network.Denoiser.forward`.
    arguments : DenoiserArguments
        Of the denoiser.
    process : Process
    tile : sequence of int
        Voxels z, y, x; its volume bounds the memory of the network.
    seed : int
        Of the noise.
    device : str
        Of the network.

    Notes
    -----
    At each step the expected images of all tiles are put together, and the step is taken for the
    whole image: tiles overlap by the reach of the network, noise goes by position, and so the
    image is the same for tiles of any size, but for rounding. Beyond the tile, about nine float32
    copies of the image are in memory. An image is extended to sides that the network takes by its
    own border, with noise of its own, and cut again.
    """
    shape = sketch.shape
    padding = [(0, -n % step) for n, step in zip(shape, arguments.multiple, strict=True)]
    whole = np.pad(sketch, padding, mode="edge")
    inputs = np.empty((1 + arguments.conditioned, *whole.shape), np.float32)
    levels = process.schedule.visited(process.start, process.steps)
    inputs[0] = _noised(whole, process, levels[0], seed)
    inputs[1:] = whole
    tiles: list[int] = []
    denoise = _denoiser(inputs, network, arguments, process, tile, device, tiles)
    made = sample(
        inputs[0],
        denoise,
        levels,
        lambda number: noise_field(whole.shape, seed, 1 + number),
        solver=process.solver,
        eta=process.eta,
    )
    z, y, x = shape
    passes = 2 if process.guidance > 1 else 1
    return Synthesis(made[:z, :y, :x].copy(), tiles[0], passes * sum(tiles))


def _denoiser(
    inputs: Image,
    network: Conditional,
    arguments: DenoiserArguments,
    process: Process,
    tile: Sequence[int],
    device: str,
    tiles: list[int],
) -> Denoise:
    """Return a function that expects the whole image, tile by tile, and notes their number.

    The noised image is the first of the inputs, which each step changes in place. Guidance is
    without a classifier: the answer with the sketch is continued away from that without it.

    References
    ----------
    Ho, Salimans, 2022, doi:10.48550/arXiv.2207.12598, equation 6 (guidance; their w is one less).
    """

    def denoise(noised: Image, signal: float) -> Image:
        """Return the expected image at a signal; the noised one stands in the inputs."""
        del noised
        time = torch.tensor([phase(signal)], dtype=torch.float32, device=device)

        def expected(given: Tensor) -> Tensor:
            """Return the expected image of a tile, within the range."""
            clean = clean_image(network(given, time), given[:, :1], time, arguments.predicts)
            if process.guidance > 1:
                hidden = given.clone()
                hidden[:, 1:] = HIDDEN
                free = clean_image(network(hidden, time), given[:, :1], time, arguments.predicts)
                clean = free + process.guidance * (clean - free)
            return clean.clamp(*process.range)

        with part(len(tiles), process.steps):
            found = predict_tiles(
                inputs,
                expected,
                channels=1,
                multiple=arguments.multiple,
                tile=tile,
                halo=arguments.halo,
                device=device,
            )
        tiles.append(found.tiles)
        clean: Image = found.values[0]
        return clean

    return denoise


def blurred(sketch: Image, process: Process) -> Image:
    """Return a sketch as a blurred image in units of the network.

    Parameters
    ----------
    sketch : (Z, Y, X) float32 array
        Ground at 0, objects at 1.
    process : Process
        Blur and contrast.
    """
    dark, bright = process.contrast.dark, process.contrast.bright
    sigma = [process.blur if n > 1 else 0 for n in sketch.shape]
    image: Image = np.array(ndimage.gaussian_filter(sketch, sigma) if process.blur else sketch)
    image *= np.float32(bright - dark)
    image += np.float32(dark)
    return image


def _noised(sketch: Image, process: Process, signal: float, seed: int) -> Image:
    """Return a blurred sketch with noise."""
    image = blurred(sketch, process)
    image *= np.float32(signal**0.5)
    image += np.float32((1 - signal) ** 0.5) * noise_field(sketch.shape, seed, 0)
    return image
