"""Noise schedules: how much of an image is left at each step of the diffusion."""

from math import pi
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cytosuite.manifest import Described

Levels = NDArray[np.float64]

_FIRST, _LAST = 1e-4, 0.02  # variances of the first and the last step, but for the cosine
_OFFSET = 0.008  # of the cosine: keeps its first steps from being too small
_LEAST, _MOST = 1e-4, 0.9999  # variances of a step of the cosine
_ENDS = 6.0  # of the sigmoid's argument


class NoiseSchedule(Described):
    """Variances of the noise that the steps of a diffusion add."""

    kind: Literal["cosine", "linear", "quadratic", "sigmoid"] = Field(
        "cosine", description="course of the variances"
    )
    length: int = Field(1000, ge=2, le=100_000, description="steps from an image to noise")

    def betas(self) -> Levels:
        """Return the variance of the noise that each step adds, (length,) float64.

        References
        ----------
        Ho, Jain, Abbeel, NeurIPS 2020, doi:10.48550/arXiv.2006.11239 (linear); Nichol, Dhariwal,
        ICML 2021, doi:10.48550/arXiv.2102.09672 (cosine); limits of the cosine as in Eschweiler
        et al., PLoS Comput Biol 20 (2024) e1011890, doi:10.1371/journal.pcbi.1011890.

        Examples
        --------
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
        """Return the share of the variance that is left of an image after each step.

        Returns
        -------
        (length,) float64 array
            ``prod(1 - beta)`` up to each step, falling. After step t an image is
            ``sqrt(signal[t]) image + sqrt(1 - signal[t]) noise``.

        Examples
        --------
        >>> NoiseSchedule().signal()[399].round(3).item()
        0.647
        """
        return np.asarray(np.cumprod(1 - self.betas()), np.float64)

    def steps_to(self, signal: float) -> int:
        """Return the number of steps after which least differs from a wanted signal.

        Parameters
        ----------
        signal : float
            Share of the variance that is left of the image, 0..1.

        Examples
        --------
        >>> NoiseSchedule().steps_to(0.647)
        400
        """
        return 1 + int(np.argmin(np.abs(self.signal() - signal)))

    def visited(self, start: int, count: int) -> Levels:
        """Return the signal at the steps that a solver visits on its way back to the image.

        Parameters
        ----------
        start : int
            Steps of noise that the image has, 1..length.
        count : int
            Steps of the solver, 1..start.

        Returns
        -------
        (count + 1,) float64 array
            Rising from ``signal[start - 1]`` to 1, the image itself.

        Notes
        -----
        Steps are evenly spaced in time from the first to the last. The published program has the
        same, ``linspace(0, start - 1, count)``, cut to whole numbers; here they are rounded.
        """
        # From the noisiest on: a single step starts there, too.
        steps = np.rint(np.linspace(start - 1, 0, count)).astype(int)
        return np.append(self.signal()[steps], 1.0)


def phase(signal: float | Levels) -> float | Levels:
    """Return the place between image and noise as an angle, 0..pi/2.

    Parameters
    ----------
    signal : float or array
        Share of the variance that is left of the image.

    Returns
    -------
    float or array
        The angle whose cosine is the amplitude of the image and whose sine is that of the noise:
        a time that means the same under any schedule.
    """
    left = np.asarray(signal, np.float64)
    angle: Levels = np.arctan2(np.sqrt(1 - left), np.sqrt(left))
    return float(angle) if np.ndim(signal) == 0 else angle
