"""Solvers: from a noised image back to one without noise, in any number of steps."""

from collections.abc import Callable
from itertools import pairwise
from math import log, sqrt
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.diffusion.schedule import Levels

Image = NDArray[np.float32]
Denoise = Callable[[Image, float], Image]  # a noised image and its signal to the image expected
Draw = Callable[[int], Image]  # normal noise of a step
Solver = Literal["ddpm", "ddim", "dpm"]


class StepWeights(NamedTuple):
    """Weights of the next image: of the noised one, the expected one, and fresh noise."""

    noised: float
    clean: float
    fresh: float


def step_weights(signal: float, following: float, solver: Solver, eta: float = 0.0) -> StepWeights:
    """Return the weights of a step between any two levels of noise.

    Parameters
    ----------
    signal, following : float
        Share of the image's variance before and after the step, ``signal < following <= 1``; at 1
        the expected image itself is the result.
    solver : {"ddpm", "ddim", "dpm"}
        ``ddpm``: draws with the variance of the step itself, ``1 - signal / following``, as
        published; ``ddim``: with `eta` times the deviation of the exact posterior; ``dpm``: none.
    eta : float
        0: no noise; 1: ancestral sampling.

    Notes
    -----
    All follow from the two levels alone, ``x' = sqrt(following) x0 + sqrt(1 - following - v) e +
    sqrt(v) z`` with the noise ``e`` that image and expectation imply: steps may be left out.
    Between neighbouring levels they are those of Ho et al. (2020). The last step of ``ddpm`` has no
    noise.

    References
    ----------
    Song, Meng, Ermon, ICLR 2021, doi:10.48550/arXiv.2010.02502, equations 12 and 16; Ho, Jain,
    Abbeel, NeurIPS 2020, doi:10.48550/arXiv.2006.11239, equation 7.
    """
    step = 1 - signal / following  # variance of the noise that the way out has added
    posterior = step * (1 - following) / (1 - signal)
    share = {"ddpm": 1.0, "ddim": eta, "dpm": 0.0}[solver]
    kept = sqrt(max(0.0, 1 - following - share**2 * posterior))  # amplitude of the implied noise
    ratio = kept / sqrt(1 - signal)
    fresh = sqrt(step) if solver == "ddpm" else share * sqrt(posterior)
    clean = sqrt(following) - ratio * sqrt(signal)
    return StepWeights(ratio, clean, 0.0 if following == 1 else fresh)


def sample(
    noised: Image,
    denoise: Denoise,
    levels: Levels,
    draw: Draw,
    *,
    solver: Solver = "dpm",
    eta: float = 0.0,
) -> Image:
    """Return an image without noise.

    Parameters
    ----------
    noised : float32 array
        Image with noise of the first level; it is changed.
    denoise : callable
        ``denoise(noised, signal)`` returns the image that is expected, limited to the range of
        images if it is to be; it is asked once per step.
    levels : (n + 1,) float64 array
        Signal before each of n steps, rising, then 1: see `NoiseSchedule.visited`.
    draw : callable
        ``draw(i)`` returns normal noise of the shape of the image for step i; it is asked where a
        step takes noise.
    solver : {"ddpm", "ddim", "dpm"}
        See `step_weights`; ``dpm`` continues the change of the expected image (DPM-Solver++, second
        order, multistep), which costs no further call.
    eta : float
        Of ``ddim``.

    Notes
    -----
    Every solver takes the image that is expected, and the noise follows from it: an expectation
    that was cut to a range brings noise that fits, in contrast to a cut after the step.

    References
    ----------
    Lu et al., DPM-Solver++, 2022, doi:10.48550/arXiv.2211.01095, algorithm 2.
    """
    last: Image | None = None
    rise = 0.0  # of half the log of signal over noise in the step before
    for number, (signal, following) in enumerate(pairwise(levels.tolist())):
        clean = expected = denoise(noised, signal)
        if solver == "dpm" and following < 1:
            before, rise = rise, _half_log_ratio(following) - _half_log_ratio(signal)
            if last is not None:
                expected = clean + np.float32(min(0.5, rise / (2 * before))) * (clean - last)
            last = clean
        weights = step_weights(signal, following, solver, eta)
        noised *= np.float32(weights.noised)
        noised += np.float32(weights.clean) * expected
        if weights.fresh:
            noised += np.float32(weights.fresh) * draw(number)
    return noised


def _half_log_ratio(signal: float) -> float:
    """Return ln of amplitude of the image over that of the noise."""
    return log(signal / (1 - signal)) / 2
