"""Turn the knobs of a simulator until its images measure like real ones.

Stacks are drawn by Latin hypercube (McKay et al. 1979, doi:10.1080/00401706.1979.10489755). Level,
spread and trend with the number of nuclei of each statistic are brought together, a knob turned by
the damped difference over its response (McFadden 1989, doi:10.2307/1913621).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from itertools import repeat
from math import exp, inf, isfinite, log, nan, sqrt
from pathlib import Path
from time import monotonic
from typing import Literal, NamedTuple

import numpy as np
from scipy import optimize

from cytosuite.contract.tasks import IMAGE, LABELS
from cytosuite.contract.words import Say
from cytosuite.datasets.calibration.measure import (
    VOLUME_STATISTICS,
    Each,
    Labels,
    StackStatistics,
    finite_or,
    in_order,
    in_turn,
    measure,
)
from cytosuite.datasets.calibration.start import TABLES, Start, short
from cytosuite.datasets.spheroid.parameters import LOGARITHMIC, TYPICAL
from cytosuite.errors import InputError
from cytosuite.files import Entries, FloatDict, Json, TextDict, Texts
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Doubles, Interval

Scale = Literal["log", "plain", "inverse"]

LONGEST = 1e-4  # smallest value on the inverse scale: 10 mm
Stack = tuple[Volume, Labels]  # image and labels
Simulate = Callable[[Entries, int], Stack]
DrawStrip = Callable[[Path, list[Stack], list[Stack]], None]  # of real and simulated ones
Values = FloatDict
DAMPING = 0.7
WIDEST = 1.6  # of the first estimate of the diameter: labels are never smaller than nuclei
STEEPEST = {"tissue.shrinkage": 1 / 3, "camera.fading": 1.5}
CALM = 3.0  # rounds after half of them, in which the damping doubles
WIDER = 1.5  # by which a range is widened or narrowed in a round, at most
LEAST_TREND, SURE_TREND = 2, 6  # stacks for a trend that a parameter follows; for any other
TIGHTER = 0.7  # gap between nuclei where some draws found no room
COUNTED = "tissue.n_nuclei"


class Knob(NamedTuple):
    """A parameter and the statistic that it moves."""

    parameter: str  # section.name
    statistic: str  # one of VOLUME_STATISTICS
    response: float  # change of the statistic per change of the parameter, on their scales
    low: float  # limits of the parameter
    high: float
    scale: Scale = "log"  # of the parameter; inverse: 1 / value
    seen: Scale = "log"  # scale of the statistic
    step: float = 0.5  # largest change in a round, on the parameter's scale
    ranged: bool = True  # stacks differ in it as the real ones do
    widest: float = 1.5  # half-width of the range, logarithmic: more is mostly uncertainty
    crowd: str = ""  # exponent by which it falls with the number of nuclei
    unit: str = ""  # of the statistic where it is compared by differences

    def place(self, value: float) -> float:
        """Return the place of a value of the parameter on its scale."""
        return on_scale(self.scale, value)

    def value(self, place: float) -> float:
        """Return the value at a place on the parameter's scale, within its limits."""
        if self.scale == "log":
            place = exp(min(place, 50.0))
        elif self.scale == "inverse":
            place = 1 / max(place, LONGEST)
        return min(max(place, self.low), self.high)


KNOBS = tuple(Knob(**facts) for facts in TABLES["knobs"])
FILLED = Knob(**TABLES["filled"])


def on_scale(scale: Scale, value: float) -> float:
    """Return the place of a value on a scale; NaN where it has none."""
    if not isfinite(value) or (scale != "plain" and value <= 0):
        return nan
    if scale == "plain":
        return value
    return log(value) if scale == "log" else 1 / value


def nested(values: Mapping[str, object]) -> dict[str, Json]:
    """Return dotted names as sections: camera.gain as {camera: {gain: ...}}."""
    sections: dict[str, Json] = {}
    for name, value in values.items():
        section, _, key = name.partition(".")
        sections.setdefault(section, {})[key] = value
    return sections


class Moments(NamedTuple):
    """Level, spread between stacks, and trend with ln(number of objects) of a statistic."""

    level: float
    spread: float
    trend: float = nan


class Fit(NamedTuple):
    """Result of a fit."""

    parameters: dict[str, Json]  # sections; those that differ between stacks are ranges
    comments: TextDict  # source of each value, by dotted name
    misfits: tuple[Values, ...]  # by round and parameter: real minus simulated level, on its scale
    limits: Texts = ()  # parameters left at a limit


def fit(
    real: StackStatistics,
    begin: Start,
    simulate: Simulate,
    *,
    rounds: int = 12,
    cases: int = 12,
    seed: int = 0,
    say: Say = lambda _: None,
    each: Each = in_turn,
) -> Fit:
    """Return parameters that measure like real images; later rounds make smaller turns."""
    search = Search(real, begin, simulate, cases, seed, each)
    misfits = []
    for number in range(rounds):
        simulated, refused = search.drawn(number)
        misfits.append(search.turn(simulated, damping(number, rounds)))
        say(f"round {number + 1} of {rounds}{search.in_words(misfits[-1])}")
        if refused and "tissue.gap_um" in search.places:
            search.places["tissue.gap_um"] *= TIGHTER
    return search.fit(tuple(misfits))


def damping(number: int, rounds: int) -> float:
    """Return the damping of a round: the later half makes smaller and smaller turns."""
    return DAMPING / (1 + max(0.0, number - rounds / 2) / CALM)


def _knobs(begin: Start) -> tuple[Knob, ...]:
    """Return the knobs of the parameters to fit, with their responses in these stacks."""
    gain = float(begin.fixed.get("camera.gain", 1.0))
    turned = begin.fixed.get("optics.objective") == "last"
    responses = {"camera.background_photons": gain}
    if turned:  # parameters count from the objective
        responses |= {"optics.attenuation_um": -1.0, "tissue.middle": -1.0}
    limits = {"nucleus.diameter_um": WIDEST * begin.centres.get("nucleus.diameter_um", inf)}
    every = KNOBS if COUNTED in begin.centres else (*KNOBS, FILLED)
    return tuple(
        knob._replace(
            response=responses.get(knob.parameter, knob.response),
            high=min(knob.high, limits.get(knob.parameter, inf)),
        )
        for knob in {knob.parameter: knob for knob in every}.values()
        if knob.parameter in begin.centres
    )


def pace(real: StackStatistics, begin: Start, simulate: Simulate, seed: int) -> float:
    """Return the time that a stack takes [s], the second of two; NaN where one has no room."""
    search = Search(real, begin, simulate, 1, seed)
    try:
        for number in range(2):  # the first one loads the simulator
            start = monotonic()
            search.drawn(number)
    except InputError:
        return nan
    return monotonic() - start


def simulator(dataset: str) -> Simulate:
    """Return a function that simulates image and labels, or labels twice, by parameters, seed."""
    if dataset not in ("spheroid", "nuclei", "cells"):
        raise InputError(
            f"dataset to calibrate: expected spheroid, nuclei or cells, found {dataset!r}"
        )
    return partial(_simulated, dataset)


def _simulated(dataset: str, parameters: Entries, seed: int) -> Stack:
    """Return a simulated stack; a function of the module, as processes need it."""
    module = import_module(f"cytosuite.datasets.{dataset}.generate")  # slow
    rng = np.random.default_rng(seed)
    if dataset == "nuclei":
        labels = module.labels_of(rng, parameters)
        return labels, labels.array
    sample = module.generate(rng, parameters)
    labels = sample.volume(LABELS.slug)
    return sample.volume(IMAGE.slug) if dataset == "spheroid" else labels, labels.array


def draw(
    simulate: Simulate,
    recipes: Iterable[Entries],
    seeds: Sequence[int],
    each: Each = in_turn,
) -> tuple[list[Stack], int]:
    """Return a stack of each recipe with its seed, and the number of those without room."""
    attempts = in_order(each, partial(_attempt, simulate), list(zip(recipes, seeds, strict=False)))
    stacks = [attempt for attempt in attempts if not isinstance(attempt, InputError)]
    if not stacks:
        raise attempts[-1]
    return stacks, len(attempts) - len(stacks)


def drawn_first(
    simulate: Simulate,
    recipes: Iterable[Entries],
    seeds: Sequence[int],
    each: Each,
) -> list[Stack]:
    """Return stacks of the first recipe with room for some, none if all are refused."""
    for recipe in recipes:
        try:
            return draw(simulate, repeat(recipe), seeds, each)[0]
        except InputError:
            continue
    return []


def _attempt(simulate: Simulate, pair: tuple[Entries, int]) -> Stack | InputError:
    try:
        return simulate(*pair)
    except InputError as error:
        return error


def statistics_of(
    real: StackStatistics, stacks: Sequence[Stack], dark: float | None, each: Each
) -> StackStatistics:
    """Return the statistics of simulated stacks, by their labels only if real ones have some."""
    return measure(
        stacks if real.annotated else [(image, None) for image, _ in stacks], dark=dark, each=each
    )


def moments(knob: Knob, statistics: StackStatistics) -> Moments:
    """Return level (between mean and median), spread and trend of a knob's statistic, on its scale.

    Of enough stacks the level is the trend's at 20 objects, the spread that about the trend.
    """
    values = np.array([on_scale(knob.seen, float(v)) for v in statistics.volumes[knob.statistic]])
    crowd = np.log(np.maximum(statistics.volumes["objects"], 1) / TYPICAL)
    finite = np.isfinite(values)
    values = values[finite]
    crowd = crowd[finite]
    if not values.size:
        return Moments(nan, nan)
    spread = float(values.std(ddof=1)) if values.size > 1 else nan
    if knob.parameter == COUNTED:
        return Moments(log(np.exp(values).mean()), spread)
    if values.size >= (LEAST_TREND if knob.crowd else SURE_TREND) and np.ptp(crowd) > log(2):
        trend, level = np.polyfit(crowd, values, 1)
        rest = values - np.polyval((trend, level), crowd)
        return Moments(
            float(level), float(sqrt((rest**2).sum() / max(rest.size - 2, 1))), float(trend)
        )
    return Moments(float(np.median(values) + values.mean()) / 2, spread)


def nearest_range(values: Doubles) -> Interval:
    """Return the ends of the log-uniform distribution nearest (W1) to positive values."""
    ordered = np.sort(values)
    shares = (np.arange(ordered.size) + 0.5) / ordered.size

    def distance(ends: Doubles) -> float:
        """Return the distance to the distribution between exp(middle -+ exp(half))."""
        return float(np.abs(np.exp(ends[0] + (2 * shares - 1) * np.exp(ends[1])) - ordered).mean())

    logs = np.log(ordered)
    guess = [logs.mean(), log(max(sqrt(3) * logs.std(), 1e-3))]
    middle, half = optimize.minimize(distance, guess, method="Nelder-Mead").x
    return float(np.exp(middle - np.exp(half))), float(np.exp(middle + np.exp(half)))


@dataclass(slots=True)
class Search:
    """A fit, and where its knobs stand: middle and half-width on their scales, and exponents."""

    real: StackStatistics
    begin: Start
    simulate: Simulate
    cases: int
    seed: int
    each: Each = in_turn
    knobs: tuple[Knob, ...] = ()
    places: Values = field(default_factory=dict)
    halves: Values = field(default_factory=dict)
    crowds: Values = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Put the knobs at the first estimates."""
        self.knobs = _knobs(self.begin)
        counts = self.real.volumes["objects"].clip(1)
        for knob in self.knobs:
            name = knob.parameter
            real = moments(knob, self.real)
            self.places[name] = knob.place(self.begin.centres[name])
            half = sqrt(3) * real.spread / abs(knob.response)
            if name == COUNTED:
                ends = nearest_range(counts)
                low = log(max(ends[0], counts.min()))
                high = log(min(ends[1], 1.1 * counts.max()))
                self.places[name], self.halves[name] = (low + high) / 2, (high - low) / 2
            elif knob.ranged:
                self.halves[name] = min(half, knob.widest) if isfinite(half) else 0.0
            if knob.crowd and COUNTED in self.begin.centres:
                self.crowds[knob.crowd] = min(
                    max(-finite_or(real.trend) / knob.response, 0.0), STEEPEST[knob.crowd]
                )

    def ends(self, knob: Knob) -> Interval:
        """Return the range of a parameter; of one that is no range, its value twice."""
        place = self.places[knob.parameter]
        half = self.halves.get(knob.parameter, 0.0)
        low, high = sorted(knob.value(place + way * half) for way in (-1, 1))
        return low, high

    def drawn(self, number: int) -> tuple[StackStatistics, int]:
        """Return statistics of stacks drawn evenly from all ranges, and the refused draws."""
        rng = np.random.default_rng([self.seed, number])
        columns = {}
        for knob in self.knobs:
            low, high = self.ends(knob)
            share = (rng.permutation(self.cases) + 0.5) / self.cases
            even = knob.parameter.split(".")[1] not in LOGARITHMIC
            column = low + (high - low) * share if even else low * (high / low) ** share
            counted = knob.parameter == COUNTED
            columns[knob.parameter] = column.round().astype(int) if counted else column
        fixed = {**self.begin.fixed, **self.crowds}
        recipes = [
            nested({**fixed, **{name: column[case].item() for name, column in columns.items()}})
            for case in range(self.cases)
        ]
        seeds = [self.seed + 1000 * (number * self.cases + case) for case in range(self.cases)]
        stacks, refused = draw(self.simulate, recipes, seeds, self.each)
        return statistics_of(self.real, stacks, fixed.get("camera.offset"), self.each), refused

    def in_words(self, misfit: Values) -> str:
        """Return the largest misfits of a round as a line: real minus simulated."""
        rows = [(k, v) for k in self.knobs if isfinite(v := misfit[k.parameter])]
        rows.sort(key=lambda row: -abs(row[1] / row[0].response) / row[0].step)
        words = [
            f"{TABLES['words'][knob.statistic]} "
            + (f"{np.expm1(v):+.0%}" if knob.seen == "log" else f"{v:+.3g}{knob.unit}")
            for knob, v in rows[:4]
        ]
        return f", real against simulated: {', '.join(words)}" if words else ": nothing to compare"

    def turn(self, measured: StackStatistics, damping: float) -> Values:
        """Turn the knobs in place by the differences of moments; return the levels' ones."""
        missing = {}
        for knob in self.knobs:
            name, real, simulated = (
                knob.parameter,
                moments(knob, self.real),
                moments(knob, measured),
            )
            missing[name] = real.level - simulated.level
            if isfinite(missing[name]):
                turn = damping * missing[name] / knob.response
                there = knob.place(knob.value(self.places[name]))
                step = float(np.clip(turn, -knob.step, knob.step))
                self.places[name] = knob.place(knob.value(there + step))
            if name in self.halves and name != COUNTED:
                factor = real.spread / simulated.spread if simulated.spread > 0 else nan
                if isfinite(factor):
                    half = self.halves[name] * float(np.clip(factor, 1 / WIDER, WIDER)) ** damping
                    self.halves[name] = min(
                        half, knob.widest, sqrt(3) * real.spread / abs(knob.response)
                    )
            if knob.crowd in self.crowds and isfinite(simulated.trend):
                more = damping * (real.trend - simulated.trend) / knob.response / 2
                self.crowds[knob.crowd] = float(
                    np.clip(self.crowds[knob.crowd] - more, 0, STEEPEST[knob.crowd])
                )
        return missing

    def fit(self, misfits: tuple[Values, ...]) -> Fit:
        """Return the fitted parameters as ranges, with their sources."""
        values = {
            **self.begin.fixed,
            **{k: short(v) for k, v in self.crowds.items()},
        }
        comments = dict(self.begin.sources)
        limits = []
        for knob in self.knobs:
            name = knob.parameter
            low, high = self.ends(knob)
            ends = [round(low), round(high)] if name == COUNTED else [short(low), short(high)]
            values[name] = ends if name in self.halves else ends[0]
            if knob.low > 0 and not knob.low < knob.value(self.places[name]) < knob.high:
                limits.append(name)
            low, median, high = (self.real.quantile(knob.statistic, q) for q in (0.1, 0.5, 0.9))
            meaning = VOLUME_STATISTICS[knob.statistic].split(",")[0]
            comments[name] = (
                f"{knob.statistic} {median:.3g} ({low:.3g} to {high:.3g}): {meaning}"
                if isfinite(median)
                else f"{knob.statistic} could not be measured: first estimate"
            )
            if knob.crowd in self.crowds:
                comments[knob.crowd] = f"trend of {knob.statistic} with the number of objects"
        return Fit(nested(values), comments, misfits, tuple(limits))
