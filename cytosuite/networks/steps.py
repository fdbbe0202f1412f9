"""Steps of a diffusion from noise to an image, for arrays and for tensors."""

from math import log, sqrt
from typing import Generic, Literal, NamedTuple, TypeVar

from torch import Tensor

from cytosuite.volume.arrays import Floats

Solver = Literal["ddpm", "ddim", "dpm"]
Values = TypeVar("Values", Floats, Tensor)


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
    clean = sqrt(following) - ratio * sqrt(signal)
    return StepWeights(ratio, clean, 0.0 if following == 1 else fresh)


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
