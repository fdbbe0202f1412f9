"""Noise of a diffusion: how much its steps add, values by position, steps back to an image."""

from itertools import product
from math import log, pi, sqrt
from typing import Generic, Literal, NamedTuple, TypeVar

import numpy as np
from pydantic import Field
from torch import Tensor

from cytosuite.contract.manifest import Described
from cytosuite.volume.arrays import Doubles, Floats, Integers, Longs, Rng, Sizes
from cytosuite.volume.objects import objects_in

Levels = Doubles
NoiseKind = Literal["gaussian", "rayleigh", "laplace"]

_FIRST, _LAST = 1e-4, 0.02  # variances of the first and the last step, but for the cosine
_OFFSET = 0.008  # of the cosine: keeps its first steps from being too small
_LEAST, _MOST = 1e-4, 0.9999  # variances of a step of the cosine
_ENDS = 6.0  # of the sigmoid's argument

BLOCK = (1, 64, 64)  # voxels z, y, x that share a stream of random numbers
AWAY = 2**20  # voxels between the noise of the image and of its objects
FLOOR = 2**32  # planes of noise for each object
CHANNEL = 2**32  # draws between the noise of two channels
Solver = Literal["ddpm", "ddim", "dpm"]
Values = TypeVar("Values", Floats, Tensor)


class NoiseSchedule(Described):
    """Variances of the noise that the steps of a diffusion add."""

    kind: Literal["cosine", "linear", "quadratic", "sigmoid"] = "cosine"  # course of the variances
    length: int = Field(1000, ge=2, le=100_000)  # steps from an image to noise

    def betas(self) -> Levels:
        """Return the variance of the noise that each step adds, (length,) float64.

        Ho, Jain, Abbeel, NeurIPS 2020, doi:10.48550/arXiv.2006.11239 (linear); Nichol, Dhariwal,
        ICML 2021, doi:10.48550/arXiv.2102.09672 (cosine); limits of the cosine as in Eschweiler
        et al., PLoS Comput Biol 20 (2024) e1011890, doi:10.1371/journal.pcbi.1011890.

        >>> NoiseSchedule(kind="linear").betas()[[0, -1]].tolist()
        [0.0001, 0.02]
        """
        if self.kind == "cosine":
            part = np.arange(self.length + 1) / self.length
            left = np.cos((part + _OFFSET) / (1 + _OFFSET) * pi / 2) ** 2
            return np.asarray(np.clip(1 - left[1:] / left[:-1], _LEAST, _MOST), np.float64)
        if self.kind == "sigmoid":
            rise = 1 / (1 + np.exp(-np.linspace(-_ENDS, _ENDS, self.length)))
            return rise * (_LAST - _FIRST) + _FIRST
        if self.kind == "quadratic":
            return np.asarray(np.linspace(_FIRST**0.5, _LAST**0.5, self.length) ** 2, np.float64)
        return np.linspace(_FIRST, _LAST, self.length)

    def signal(self) -> Levels:
        """Return the share of the image after each step: ``prod(1 - beta)``, (length,)."""
        return np.asarray(np.cumprod(1 - self.betas()), np.float64)

    def steps_to(self, signal: float) -> int:
        """Return the number of steps after which least differs from a wanted signal."""
        return 1 + int(np.argmin(np.abs(self.signal() - signal)))

    def visited(self, start: int, count: int) -> Levels:
        """Return the signal at `count` even steps from ``signal[start - 1]`` on, then 1, rising."""
        return np.append(self.signal()[self.stops(start, count)], 1.0)

    def stops(self, start: int, count: int) -> Longs:
        """Return the places in `signal` of `count` even steps from ``start - 1`` down to 0."""
        # From the noisiest on: a single step starts there, too.
        return np.rint(np.linspace(start - 1, 0, count)).astype(np.int64)


def phase(signal: float | Levels) -> float | Levels:
    """Return the angle 0..pi/2 with the image's amplitude as cosine, the noise's as sine."""
    left = np.asarray(signal, np.float64)
    angle = np.arctan2(np.sqrt(1 - left), np.sqrt(left))
    return float(angle) if np.ndim(signal) == 0 else angle


def noise_of(rng: Rng, shape: Sizes, kind: NoiseKind = "gaussian") -> Floats:
    """Return noise of a distribution of scale 1, not centred: Rayleigh's has the mean 1.25."""
    if kind == "gaussian":
        return rng.standard_normal(tuple(shape), np.float32)
    drawn = rng.rayleigh(size=shape) if kind == "rayleigh" else rng.laplace(size=shape)
    return drawn.astype(np.float32)


def noise_field(
    shape: Sizes,
    seed: int,
    draw: int,
    origin: Sizes = (0, 0, 0),
    kind: NoiseKind = "gaussian",
) -> Floats:
    """Return noise ([C,] Z, Y, X) float32 from an origin in voxels on, the same for any tiles.

    Philox by key (seed, draw) and block: Salmon et al., SC 2011, doi:10.1145/2063384.2063405.
    """
    noise = np.empty(tuple(shape), np.float32)
    channels = noise.reshape(-1, *noise.shape[-3:])
    sides = channels.shape[1:]
    ranges = [
        range(low // step, -(-(low + size) // step))
        for low, size, step in zip(origin, sides, BLOCK, strict=True)
    ]
    for channel, place in product(range(len(channels)), product(*ranges)):
        key = np.array([seed, draw + channel * CHANNEL], np.uint64)
        values = noise_of(
            Rng(np.random.Philox(counter=np.array([0, *place], np.uint64), key=key)), BLOCK, kind
        )
        target = []
        source = []
        for number, step, low, size in zip(place, BLOCK, origin, sides, strict=True):
            first = number * step - low  # of the block, counted from the origin
            begin = max(first, 0)
            end = min(first + step, size)
            target.append(slice(begin, end))
            source.append(slice(begin - first, end - first))
        channels[channel][tuple(target)] = values[tuple(source)]
    return noise


def object_noise(shape: Sizes, seed: int, draw: int, labels: Integers | None) -> Floats:
    """Return `noise_field` with noise that moves with each object of labels (Z, Y, X), if given.

    An object of the same number in another frame has the same noise around its centre, whole
    voxels apart; the background has that of its place.
    """
    noise = noise_field(shape, seed, draw)
    if labels is None:
        return noise
    for number, box, inside in objects_in(labels):
        centre = np.rint(np.mean(np.nonzero(inside), axis=1)).astype(int).tolist()
        z, y, x = (AWAY - middle for middle in centre)
        moving = noise_field(inside.shape, seed, draw, (number * FLOOR + z, y, x))
        noise.reshape(-1, *labels.shape)[:, *box][:, inside] = moving[inside]
    return noise


class StepWeights(NamedTuple):
    """Weights of the next image: of the noised one, the expected one, and fresh noise."""

    noised: float
    clean: float
    fresh: float


def step_weights(signal: float, following: float, solver: Solver, eta: float = 0.0) -> StepWeights:
    """Return the weights of a step between two levels, ``signal < following <= 1``.

    ``x' = sqrt(following) x0 + sqrt(1 - following - v) e + sqrt(v) z`` with the noise ``e`` that
    image and expectation imply. ``ddpm``: v is the step's variance (Ho et al., NeurIPS 2020,
    doi:10.48550/arXiv.2006.11239, equation 7); ``ddim``: `eta` times the posterior's deviation
    (Song et al., ICLR 2021, doi:10.48550/arXiv.2010.02502, equations 12, 16); ``dpm``: 0.
    """
    step = 1 - signal / following  # variance of the noise that the way out has added
    posterior = step * (1 - following) / (1 - signal)
    share = {"ddpm": 1.0, "ddim": eta, "dpm": 0.0}[solver]
    implied = sqrt(max(0.0, 1 - following - share**2 * posterior))  # amplitude of the implied noise
    ratio = implied / sqrt(1 - signal)
    fresh = sqrt(step) if solver == "ddpm" else share * sqrt(posterior)
    return StepWeights(
        ratio, sqrt(following) - ratio * sqrt(signal), 0.0 if following == 1 else fresh
    )


class SecondOrder(Generic[Values]):
    """Continues the change of the expected image from step to step.

    Lu et al., DPM-Solver++, 2022, algorithm 2, doi:10.48550/arXiv.2211.01095.
    """

    def __init__(self) -> None:
        self.last: Values | None = None
        self.rise = 0.0  # of half the log of signal over noise in the step before

    def expected(self, clean: Values, signal: float, following: float) -> Values:
        """Return the expected image of a step between two levels, from that at the first."""
        if following == 1:
            return clean
        before = self.rise
        last = self.last
        self.rise, self.last = _half_log_ratio(following) - _half_log_ratio(signal), clean
        if last is None:
            return clean
        return clean + min(0.5, self.rise / (2 * before)) * (clean - last)


def _half_log_ratio(signal: float) -> float:
    """Return ln of the image's amplitude over the noise's."""
    return log(signal / (1 - signal)) / 2
