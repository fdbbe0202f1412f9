"""Fits of all spots of an image, each to what the others leave of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cytosuite.algorithms.spots import _kernels as kernels
from cytosuite.algorithms.spots.filters import Blocks, clearest
from cytosuite.algorithms.spots.parameters import Parameters
from cytosuite.volume.arrays import Bools, Doubles, Floats, Longs
from cytosuite.volume.points import apart

PLACE = [kernels.Z, kernels.Y, kernels.X]
WIDTH = [kernels.TALL, kernels.WIDE, kernels.WIDE]  # ln sigmas along z, y, x
_WINDOW = 2.25  # sigmas around a spot that count in its fit
_REACH = 4.0  # sigmas to which a spot's light is taken out of an image
_TELLING = 300  # the clearest spots, which tell width and shot noise
_CLEAR, _FEWEST = 10.0, 8  # least signal-to-noise of these, and how many are enough
_NARROWER = 0.9  # of the width of the clearest spots: uneven ground makes their fits wider
_FARTHEST = 1.5  # sigmas from a candidate to its spot
_LEAVES = 3.0  # times a spot's own chi² that its fit may leave: cosmic rays leave more
_CLUMPED = 1.75  # times clearer than a spot to wider filters: edges and clumps are more
_CROWDED = 2.5  # the same of candidates, near other ones
_STEPS = 8  # of a fit


class Fits:
    """Spots of one image, and what they leave of it."""

    def __init__(self, values: Floats, sigmas: Sequence[Doubles], parameters: Parameters) -> None:
        self.values, self.rest = values, values.copy()
        self.sigmas, self.parameters = sigmas, parameters
        self.half = np.ceil(_WINDOW * sigmas[len(sigmas) // 2]).astype(np.int64)
        self.axes = slice(1, 3) if len(values) == 1 else slice(0, 3)
        self.usual, self.gain = np.zeros(7), 0.0  # of its ln sigmas; grey values per photon
        self.clear = False  # whether enough spots are clear to tell both
        self.starts, self.spots = np.zeros((0, 7)), np.zeros((0, 7))
        self.variances, self.results = np.zeros(0), np.zeros((0, kernels.LEFT + 1))
        self.scores, self.skew = np.zeros(0), 0.0  # of the filter, and of its noise

    def add(self, starts: Doubles, scores: Doubles, variance: Blocks, skew: float) -> None:
        """Fit more spots (N, 7), the clearest first, those that are hardly noise."""
        count, self.skew = len(self.spots), skew
        before, self.variances = self.variances, variance.at(self.starts[:, PLACE])
        self.scores *= np.sqrt(before / self.variances)
        every = -np.sort(-np.concatenate([self.scores, scores]))
        number = clearest(every, self.rest.size, self.sigmas, skew)
        starts = starts[scores >= every[number - 1]] if number else starts[:0]
        if not count and len(starts):
            self.usual = np.median(starts, axis=0)
        bare = starts * (np.arange(7) != kernels.HEIGHT)  # their light is in the image
        like = kernels.clumped(self.rest, bare, self.usual) <= _CROWDED
        starts, scores = starts[like], scores[: len(starts)][like]
        self._append(starts, scores, variance.at(starts[:, PLACE]))
        for spot in self.spots[count:]:
            kernels.add(self.rest, spot, -1.0, _REACH)
        if len(self.spots):
            self._calibrate()
            self.sweep(slice(count, None))
            self._divide(slice(count, None))

    def measured(self, starts: Doubles, scores: Doubles, variance: Blocks, skew: float) -> "Fits":
        """Return fits that look for the width of the clearest spots, or again for all widths."""
        self.add(starts[:_TELLING], scores[:_TELLING], variance, skew)
        again = Fits(self.values, self.sigmas, self.parameters)
        if self.clear:
            wide = _NARROWER * np.exp(self.usual[WIDTH])
            again.sigmas = [wide * (self.sigmas[0] > 0)]
            own = np.ceil(_WINDOW * again.sigmas[0]).astype(np.int64)
            again.half = np.maximum(again.half, own)
        return again

    def _append(self, starts: Doubles, scores: Doubles, variances: Doubles) -> None:
        """Add spots that are in the image."""
        more = len(starts)
        self.starts = np.concatenate([self.starts, starts])
        self.spots = np.concatenate([self.spots, starts])
        self.results = np.concatenate([self.results, np.zeros((more, kernels.LEFT + 1))])
        self.variances = np.concatenate([self.variances, variances])
        self.scores = np.concatenate([self.scores, scores])

    def _divide(self, part: slice) -> None:
        """Replace long spots by two each."""
        places = self.starts[part]
        others, starts, results = (np.empty_like(a) for a in (places, places, self.results[part]))
        divided = kernels.divide(*self._fitted(part, others, starts, results))
        count = len(self.spots)
        self._append(starts[divided], self.scores[part][divided], self.variances[part][divided])
        self.spots[count:], self.results[count:] = others[divided], results[divided]

    def sweep(self, part: slice = slice(None)) -> None:
        """Fit spots one after the other to the image without all others."""
        kernels.sweep(*self._fitted(part))

    def _fitted(self, part: slice, *more: Doubles) -> tuple[Any, ...]:
        """Return the arguments of a fit of spots, views of their arrays, and further ones."""
        spots, starts = self.spots[part], self.starts[part]
        noise = self.variances[part], self.gain
        fit = self.usual, _REACH, _STEPS, self.results[part]
        return (self.rest, spots, starts, self.half, *noise, *fit, *more)

    def _calibrate(self) -> None:
        """Measure the usual width and the shot noise in the clearest spots."""
        part = slice(0, _TELLING)
        self.sweep(part)
        bright = self.results[part, kernels.SCORE] >= _CLEAR
        clear = np.flatnonzero(bright & (self.like_light() & self._sized())[part])
        self.clear = clear.size >= _FEWEST
        if self.clear:
            self.usual = np.median(self.spots[clear], axis=0)
            fits = self.spots[clear], self.starts[clear], self.half, self.variances[clear]
            self.gain = max(0.0, float(np.median(kernels.shot_noise(self.rest, *fits, self.gain))))

    def like_light(self) -> Bools:
        """Return which fits leave little; fits of hot pixels and cosmic rays leave more."""
        left = self.results[:, kernels.LEFT]
        return left <= _LEAVES * self.results[:, kernels.SCORE] ** 2

    def _sized(self) -> Bools:
        """Return which fits are as wide as the spots to look for."""
        wide, p = np.exp(self.spots[:, WIDTH]), self.parameters
        fit = (wide >= p.narrowest * self.sigmas[0]) & (wide <= p.widest * self.sigmas[-1])
        return np.asarray(fit[:, self.axes].all(axis=1))

    def good(self) -> Longs:
        """Return the numbers of the spots to believe in, the clearest first."""
        p, scores = self.parameters, self.results[:, kernels.SCORE]
        places, axes = self.spots[:, PLACE], self.axes
        wide = np.exp(self.spots[:, WIDTH])
        good = scores >= p.minimum_snr
        good &= self.like_light() & self._sized()
        good[good] = kernels.clumped(self.rest, self.spots[good], self.usual) <= _CLUMPED
        good &= (abs(places - self.starts[:, PLACE]) <= _FARTHEST * wide)[:, axes].all(axis=1)
        good &= ((places >= -0.5) & (places <= np.array(self.rest.shape) - 0.5)).all(axis=1)
        rank = np.flatnonzero(good)[np.argsort(-self.scores[good], kind="stable")]
        rank = rank[: clearest(self.scores[rank], self.rest.size, self.sigmas, self.skew)]
        rank = rank[np.argsort(-scores[rank], kind="stable")]
        units = places[rank][:, axes] / self.sigmas[0][axes]
        return rank[apart(units, p.minimum_distance)] if p.minimum_distance > 0 else rank
