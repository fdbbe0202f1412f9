"""Parameters of the detector of spots; fits of all spots, each without the light of the others."""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from cytosuite.algorithms.spots import _kernels as kernels
from cytosuite.algorithms.spots.filters import Blocks, clearest
from cytosuite.contract.manifest import Described, NotNegative, Positive
from cytosuite.volume.arrays import Bools, Doubles, Floats, Longs
from cytosuite.volume.points import apart

PLACE = [kernels.Z, kernels.Y, kernels.X]
START = [kernels.START + column for column in PLACE]
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


class Parameters(Described, strict=True):
    """Parameters of the detector of spots; lengths in µm, or all in pixels with `in_pixels`.

    In two dimensions `axial_elongation` has no effect.
    """

    # all lengths are in pixels: the image's voxel size does not count
    in_pixels: bool = False
    # standard deviations [µm] in y and x of the spots to look for
    sigmas_um: tuple[Positive, ...] = Field((0.12, 0.18), min_length=1, max_length=8, strict=False)
    # the widths are to begin with: the clearest spots tell that to look for
    measure_width: bool = False
    # how many times larger the standard deviation of a spot is along z
    axial_elongation: float = Field(2.5, ge=0.1, le=10)
    threshold: Positive = 3.0  # least response to the filter, in standard deviations of its noise
    minimum_snr: NotNegative = 3.0  # least height of a fitted spot, in its standard deviations
    # least standard deviation of a fitted spot, of the smallest to look for
    narrowest: Positive = 0.6
    # largest standard deviation of a fitted spot, of the largest to look for
    widest: Positive = 1.8
    # least distance of two spots, in the smallest standard deviation
    minimum_distance: NotNegative = 1.0
    # most searches for spots; the second and later ones look at the residual
    passes: int = Field(5, ge=1, le=5)


class Fits:
    """Spots of one image, and what they leave of it."""

    def __init__(self, values: Floats, sigmas: Sequence[Doubles], parameters: Parameters) -> None:
        self.values, self.rest = values, values.copy()
        self.sigmas, self.parameters = sigmas, parameters
        self.half = np.ceil(_WINDOW * sigmas[len(sigmas) // 2]).astype(np.int64)
        self.axes = slice(1, 3) if len(values) == 1 else slice(0, 3)
        self.usual, self.gain = np.zeros(7), 0.0  # of its ln sigmas; grey values per photon
        self.clear = False  # whether enough spots are clear to tell both
        self.spots = np.zeros((0, kernels.COLUMNS))
        self.skew = 0.0  # of the filter's noise

    def add(self, spots: Doubles, variance: Blocks, skew: float) -> None:
        """Fit more spots (N, 25), the clearest first, those that are hardly noise."""
        count, old, self.skew = len(self.spots), self.spots, skew
        before = old[:, kernels.VARIANCE].copy()
        old[:, kernels.VARIANCE] = now = variance.at(old[:, START])
        old[:, kernels.RESPONSE] *= np.sqrt(before / now)
        every = -np.sort(-np.concatenate([old, spots])[:, kernels.RESPONSE])
        number = clearest(every, self.rest.size, self.sigmas, skew)
        spots = spots[spots[:, kernels.RESPONSE] >= every[number - 1]] if number else spots[:0]
        if not count and len(spots):
            self.usual = np.median(spots[:, : kernels.START], axis=0)
        bare = spots * (np.arange(kernels.COLUMNS) != kernels.HEIGHT)  # light is in the image
        like = kernels.clumped(self.rest, bare, self.usual) <= _CROWDED
        self.spots = np.concatenate([old, spots[like]])
        for spot in self.spots[count:]:
            kernels.add(self.rest, spot, -1.0, _REACH)
        if len(self.spots):
            self._calibrate()
            self.sweep(slice(count, None))
            self._divide(slice(count, None))

    def measured(self, spots: Doubles, variance: Blocks, skew: float) -> "Fits":
        """Return fits that look for the width of the clearest spots, or again for all widths."""
        self.add(spots[:_TELLING], variance, skew)
        again = Fits(self.values, self.sigmas, self.parameters)
        if self.clear:
            wide = _NARROWER * np.exp(self.usual[WIDTH])
            again.sigmas = [wide * (self.sigmas[0] > 0)]
            again.half = np.maximum(again.half, np.ceil(_WINDOW * again.sigmas[0]).astype(int))
        return again

    def _divide(self, part: slice) -> None:
        """Replace long spots by two each."""
        others = np.empty_like(self.spots[part])
        divided = kernels.divide(*self._fitted(part), others)
        self.spots = np.concatenate([self.spots, others[divided]])

    def sweep(self, part: slice = slice(None)) -> None:
        """Fit spots one after the other to the image without all others."""
        kernels.sweep(*self._fitted(part))

    def _fitted(self, part: slice) -> tuple[Floats, Doubles, Longs, float, Doubles, float, int]:
        """Return the arguments of a fit of spots."""
        return self.rest, self.spots[part], self.half, self.gain, self.usual, _REACH, _STEPS

    def _calibrate(self) -> None:
        """Measure the usual width and the shot noise in the clearest spots."""
        part = slice(0, _TELLING)
        self.sweep(part)
        bright = self.spots[part, kernels.SCORE] >= _CLEAR
        clear = np.flatnonzero(bright & (self.like_light() & self._sized())[part])
        self.clear = clear.size >= _FEWEST
        if self.clear:
            spots = self.spots[clear]
            self.usual = np.median(spots[:, : kernels.START], axis=0)
            self.gain = max(
                0.0, float(np.median(kernels.shot_noise(self.rest, spots, self.half, self.gain)))
            )

    def like_light(self) -> Bools:
        """Return which fits leave little; fits of hot pixels and cosmic rays leave more."""
        return self.spots[:, kernels.LEFT] <= _LEAVES * self.spots[:, kernels.SCORE] ** 2

    def _sized(self) -> Bools:
        """Return which fits are as wide as the spots to look for."""
        wide, p = np.exp(self.spots[:, WIDTH]), self.parameters
        fit = (wide >= p.narrowest * self.sigmas[0]) & (wide <= p.widest * self.sigmas[-1])
        return np.asarray(fit[:, self.axes].all(axis=1))

    def good(self) -> Longs:
        """Return the numbers of the spots to believe in, the clearest first."""
        p, scores = self.parameters, self.spots[:, kernels.SCORE]
        response = self.spots[:, kernels.RESPONSE]
        places, axes = self.spots[:, PLACE], self.axes
        wide = np.exp(self.spots[:, WIDTH])
        good = scores >= p.minimum_snr
        good &= self.like_light() & self._sized()
        good[good] = kernels.clumped(self.rest, self.spots[good], self.usual) <= _CLUMPED
        good &= (abs(places - self.spots[:, START]) <= _FARTHEST * wide)[:, axes].all(axis=1)
        good &= ((places >= -0.5) & (places <= np.array(self.rest.shape) - 0.5)).all(axis=1)
        rank = np.flatnonzero(good)[np.argsort(-response[good], kind="stable")]
        rank = rank[: clearest(response[rank], self.rest.size, self.sigmas, self.skew)]
        rank = rank[np.argsort(-scores[rank], kind="stable")]
        units = places[rank][:, axes] / self.sigmas[0][axes]
        return rank[apart(units, p.minimum_distance)] if p.minimum_distance > 0 else rank
