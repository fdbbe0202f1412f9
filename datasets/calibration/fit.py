"""Turn the knobs of a simulator until its images measure like real ones.

In the first half of the rounds each simulated stack stands for one real stack: it differs from the
middle of all in each parameter as that real stack does in the statistic the parameter moves. In
the second half stacks are drawn from the ranges that become the recipe. A knob is turned by the
damped difference between both sides: simulated moments, with the same measuring code on both sides
and the same seeds in every round.

References
----------
McFadden, A method of simulated moments, Econometrica 57 (1989), doi:10.2307/1913621.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, inf, isfinite, log, nan, pi
from typing import Any, NamedTuple

import numpy as np

from cytosuite.datasets.calibration.knobs import KNOBS, Knob, nested
from cytosuite.datasets.calibration.measure import (
    VOLUME_STATISTICS,
    Labels,
    StackStatistics,
    finite_median,
    measure,
)
from cytosuite.datasets.calibration.start import Start, short
from cytosuite.errors import InputError
from cytosuite.volume import Volume

Stack = tuple[Volume, Labels]  # image and labels
Simulate = Callable[[Mapping[str, Any], int], Stack]
Values = dict[str, float]

DAMPING = 0.7
FEWEST = 8  # stacks drawn from ranges in a round
LEAST = log(1.25)  # half-width of a range whatever the real stacks say
DENSEST = 0.36  # share of the tissue that nuclei may take before it is made wider
TIGHTER = 0.7  # gap between nuclei where some draws found no room
WIDER, TRIES = 1.12, 6  # tissue in which nuclei find no room is tried again so much wider


class Fit(NamedTuple):
    """Result of a fit.

    Parameters
    ----------
    parameters : dict
        Sections of parameters; those that differ between stacks are ranges.
    comments : dict of str to str
        Where each value comes from, by dotted name below ``parameters``.
    misfits : tuple of dict of str to float
        For each round and parameter: real minus simulated statistic, on its scale.
    """

    parameters: dict[str, dict[str, Any]]
    comments: dict[str, str]
    misfits: tuple[Values, ...]


def fit(
    real: StackStatistics,
    begin: Start,
    simulate: Simulate,
    *,
    rounds: int = 10,
    cases: int = 6,
    seed: int = 0,
    margin: float = 0.25,
    say: Callable[[str], None] = lambda _: None,
) -> Fit:
    """Return parameters with which a simulator's images measure like real ones.

    Parameters
    ----------
    real, begin : StackStatistics, Start
        Of the real stacks; knobs without a first estimate stay out.
    simulate : callable
        ``simulate(parameters, seed)`` returns a stack and its labels.
    rounds, cases, seed, say
        See `datasets.calibration.calibrate.calibrate`; the round with the smallest misfit counts.
    margin : float
        Share by which ranges go beyond the 10 % and 90 % quantiles of the real stacks.

    Raises
    ------
    InputError
        If the simulator refuses the parameters.
    """
    if rounds < 1 or cases < 1:
        raise InputError(f"calibration: needs a round and a case, found {rounds} and {cases}")
    task = _Task(real, begin, simulate, _knobs(begin), cases, seed, margin)
    places = {knob.parameter: knob.place(begin.centres[knob.parameter]) for knob in task.knobs}
    paired = (rounds + 1) // 2
    misfits: list[Values] = []
    best, least = dict(places), inf
    for number in range(1, rounds + 1):
        if number == paired + 1:
            least = inf  # only now do misfits tell of the recipe
        missing, refused = (task.of_pairs if number <= paired else task.of_draws)(places)
        misfits.append(missing)
        known = [(k, m) for k in task.knobs if isfinite(m := missing[k.parameter])]
        total = float(np.mean([abs(m / k.response) / k.step for k, m in known] or [0.0]))
        say(f"round {number} of {rounds}: " + _in_words(known))
        if total + refused < least:
            best, least = dict(places), total + refused
        for knob, value in known:
            turn = float(np.clip(DAMPING * value / knob.response, -knob.step, knob.step))
            there = knob.place(knob.value(places[knob.parameter]))
            places[knob.parameter] = knob.place(knob.value(there + turn))
        if refused and "tissue.gap_um" in places:
            places["tissue.gap_um"] *= TIGHTER
    return task.result(best, tuple(misfits))


def _knobs(begin: Start) -> tuple[Knob, ...]:
    """Return the knobs of the parameters to fit; those of photons count in the camera's gain."""
    gain = float(begin.fixed.get("camera.gain", 1.0))
    return tuple(
        replace(knob, response=gain) if knob.parameter == "camera.background_photons" else knob
        for knob in KNOBS
        if knob.parameter in begin.centres
    )


def _in_words(known: Sequence[tuple[Knob, float]]) -> str:
    """Return the largest misfits of a round as a line."""
    rows = sorted(known, key=lambda row: -abs(row[1] / row[0].response) / row[0].step)
    words = [
        knob.statistic + (f" {np.expm1(value):+.0%}" if knob.seen == "log" else f" {value:+.3g}")
        for knob, value in rows[:4]
    ]
    return "missing " + ", ".join(words) if words else "nothing to compare"


def draw(
    simulate: Simulate, parameters: Mapping[str, Any], seeds: Sequence[int]
) -> tuple[list[Stack], int]:
    """Return stacks drawn from one recipe, and the number of seeds without room for the nuclei.

    Raises
    ------
    InputError
        If all are refused: the simulator's last reason.
    """
    stacks: list[Stack] = []
    refused = 0
    for seed in seeds:
        try:
            stacks.append(simulate(parameters, seed))
        except InputError:
            refused += 1
            if refused == len(seeds):
                raise
    return stacks, refused


def statistics_of(
    real: StackStatistics, stacks: Sequence[Stack], dark: float | None
) -> StackStatistics:
    """Return the statistics of simulated stacks, by their labels only if real ones have some.

    Parameters
    ----------
    real : StackStatistics
        Of the real stacks.
    stacks, dark
        See `cytosuite.datasets.calibration.measure.measure`.
    """
    return measure(stacks if real.annotated else [(image, None) for image, _ in stacks], dark=dark)


@dataclass(frozen=True, slots=True)
class _Task:
    """Everything that stays the same in all rounds."""

    real: StackStatistics
    begin: Start
    simulate: Simulate
    knobs: tuple[Knob, ...]
    cases: int
    seed: int
    margin: float

    def of_pairs(self, places: Values) -> tuple[Values, int]:
        """Return real minus simulated statistics, in the median over pairs of stacks."""
        order = np.argsort(self.real.volumes["objects"], kind="stable")
        chosen = (np.arange(self.cases) + 0.5) / self.cases * len(order)  # few objects to many
        missing = []
        for case, index in enumerate(order[chosen.astype(int)]):
            stack = self._simulated(self._like(places, index), self.seed + 1000 * case)
            found = self._measured([stack])
            missing.append(
                [
                    knob.seen_at(float(self.real.volumes[knob.statistic][index]))
                    - knob.seen_at(found.median(knob.statistic))
                    for knob in self.knobs
                ]
            )
        medians = map(finite_median, np.array(missing).T)
        return {knob.parameter: found for knob, found in zip(self.knobs, medians, strict=True)}, 0

    def of_draws(self, places: Values) -> tuple[Values, int]:
        """Return real minus drawn statistics, and the number of refused draws."""
        seeds = [self.seed + 1000 * case for case in range(max(self.cases, FEWEST))]
        stacks, refused = draw(self.simulate, self.result(places, ()).parameters, seeds)
        found = self._measured(stacks)
        missing = {k.parameter: _middle(k, self.real) - _middle(k, found) for k in self.knobs}
        return missing, refused

    def result(self, places: Values, misfits: tuple[Values, ...]) -> Fit:
        """Return the fitted parameters as ranges, with their sources."""
        values: dict[str, Any] = dict(self.begin.fixed)
        comments = dict(self.begin.sources)
        for knob in self.knobs:
            name, place = knob.parameter, places[knob.parameter]
            values[name] = self._range(knob, place) if knob.ranged else short(knob.value(place))
            low, median, high = (self.real.quantile(knob.statistic, q) for q in (0.1, 0.5, 0.9))
            meaning = VOLUME_STATISTICS[knob.statistic].split(",")[0]
            comments[name] = (
                f"{knob.statistic} {median:.3g} ({low:.3g} to {high:.3g}): {meaning}"
                if isfinite(median)
                else f"{knob.statistic} could not be measured: first estimate"
            )
        if "tissue.n_nuclei" in places:
            dense = []
            for index in range(len(self.real.volumes["objects"])):
                row = self._like(places, index)
                tissue = pi / 6 * row["tissue.width_um"] ** 3 * row["tissue.flattening"]
                dense.append(_nuclear_volume(row) / tissue)
            low, high = (float(np.quantile(dense, share)) for share in (0.1, 0.9))
            values["tissue.volume_fraction"] = [
                short(max(low / (1 + self.margin), 0.005)),
                short(min(high * (1 + self.margin), 0.45)),
            ]
            # Large nuclei are few, small ones many: numbers of their own would not fit the tissue.
            values["tissue.n_nuclei"] = "auto"
            comments["tissue.volume_fraction"] = comments["tissue.n_nuclei"]
            comments["tissue.n_nuclei"] = "follows from volume_fraction, width_um and diameter_um"
        return Fit(nested(values), comments, misfits)

    def _measured(self, stacks: Sequence[Stack]) -> StackStatistics:
        """Return the statistics of simulated stacks."""
        return statistics_of(self.real, stacks, self.begin.fixed.get("camera.offset"))

    def _simulated(self, values: Values, seed: int, tries: int = TRIES) -> Stack:
        """Return a simulated stack; tissue that is too tight for its nuclei is made wider."""
        try:
            return self.simulate(nested({**self.begin.fixed, **values}), seed)
        except InputError:
            if tries == 1 or "tissue.width_um" not in values:
                raise
        wider = values | {"tissue.width_um": values["tissue.width_um"] * WIDER}
        return self._simulated(wider, seed, tries - 1)

    def _like(self, places: Values, index: int) -> Values:
        """Return the parameters of the simulated stack that stands for a real one."""
        values = {
            knob.parameter: knob.value(places[knob.parameter] + self._shift(knob, index))
            for knob in self.knobs
        }
        if "tissue.n_nuclei" in values:
            values["tissue.n_nuclei"] = max(round(values["tissue.n_nuclei"]), 1)
            ball = pi * DENSEST * values["tissue.flattening"]
            tightest = (_nuclear_volume(values) * 6 / ball) ** (1 / 3)
            values["tissue.width_um"] = max(values["tissue.width_um"], tightest)
        return values

    def _shift(self, knob: Knob, index: int) -> float:
        """Return the distance of a real stack from the middle, on the scale of a parameter."""
        middle = knob.seen_at(self.real.median(knob.statistic))
        own = knob.seen_at(float(self.real.volumes[knob.statistic][index]))
        shift = (own - middle) / knob.response
        return shift if knob.ranged and isfinite(shift) else 0.0

    def _range(self, knob: Knob, place: float) -> list[float]:
        """Return the range of a parameter over the real stacks, widened by the margin."""
        shifts = [self._shift(knob, index) for index in range(len(self.real.volumes["objects"]))]
        ends = [knob.value(place + float(np.quantile(shifts, share))) for share in (0.1, 0.9)]
        low, high = min(ends), max(ends)
        if low > 0:
            middle, half = log(low * high) / 2, log(high / low) / 2
            half = min(max(half * (1 + self.margin), LEAST), knob.widest)
            low, high = exp(middle - half), exp(middle + half)
        else:
            high += self.margin * (high - low)
        return [short(max(low, knob.low)), short(min(high, knob.high))]


def _middle(knob: Knob, statistics: StackStatistics) -> float:
    """Return the middle of stacks on the scale of a statistic: half-way between mean and median.

    Ranges are drawn from evenly, and real stacks seldom lie even; by the median alone one end of
    a range would be far out.
    """
    places = [knob.seen_at(float(value)) for value in statistics.volumes[knob.statistic]]
    finite = [place for place in places if isfinite(place)]
    return float(np.median(finite) + np.mean(finite)) / 2 if finite else nan


def _nuclear_volume(values: Values) -> float:
    """Return the volume of all nuclei in µm³."""
    spread = np.exp(4.5 * values["nucleus.diameter_spread"] ** 2)
    return float(values["tissue.n_nuclei"] * pi / 6 * values["nucleus.diameter_um"] ** 3 * spread)
