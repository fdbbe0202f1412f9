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
from math import isfinite, log, nan, pi
from typing import Any

import numpy as np

from cytosuite.errors import InputError
from cytosuite.volume import Volume
from datasets.calibration.knobs import KNOBS, Knob, nested, of_parameters
from datasets.calibration.measure import VOLUME_STATISTICS, Statistics, measure
from datasets.calibration.start import Start, short

Pair = tuple[Volume, Volume]  # image and labels
Simulate = Callable[[Mapping[str, Any], int], list[Pair]]
Values = dict[str, float]

DAMPING = 0.7
FEWEST = 8  # stacks drawn from ranges in a round
LEAST = log(1.25)  # half-width of a range whatever the real stacks say
DENSEST = 0.36  # share of the tissue that nuclei may take before it is made wider
TIGHTER = 0.7  # gap between nuclei where some draws found no room
WIDER, TRIES = 1.12, 6  # tissue in which nuclei find no room is tried again so much wider


@dataclass(frozen=True, slots=True)
class Fit:
    """Result of a fit.

    Parameters
    ----------
    parameters : dict
        Sections of parameters; what differs between stacks is a range.
    comments : dict of str to str
        Where each value comes from, by dotted name below ``parameters``.
    misfits : tuple of dict of str to float
        For each round and parameter: real minus simulated statistic, on its scale.
    """

    parameters: dict[str, dict[str, Any]]
    comments: dict[str, str]
    misfits: tuple[Values, ...]


def fit(
    real: Statistics,
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
    real : Statistics
        Of the real stacks.
    begin : Start
        First estimates; knobs without one stay out.
    simulate : callable
        ``simulate(parameters, seed)`` returns stacks with their labels.
    rounds, cases, seed : int
        Number of rounds (that with the smallest misfit counts), stacks simulated in a round, and
        the seed of the first.
    margin : float
        Share by which ranges go beyond the 10 % and 90 % quantiles of the real stacks.
    say : callable
        Receives a line per round.

    Raises
    ------
    InputError
        If the simulator refuses the parameters.
    """
    if rounds < 1 or cases < 1:
        raise InputError(f"calibration: needs a round and a case, found {rounds} and {cases}")
    knobs = _tuned(begin)
    places = {knob.parameter: knob.place(begin.centres[knob.parameter]) for knob in knobs}
    task = _Task(real, begin, simulate, cases, seed, margin)
    paired = (rounds + 1) // 2
    misfits: list[Values] = []
    best, least = dict(places), float("inf")
    for number in range(1, rounds + 1):
        if number == paired + 1:
            least = float("inf")  # only now do misfits tell of the recipe
        missing, refused = (_pairs if number <= paired else _drawn)(task, knobs, places)
        misfits.append(missing)
        known = _known(knobs, missing)
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
    return _result(task, knobs, best, tuple(misfits))


@dataclass(frozen=True, slots=True)
class _Task:
    """Constants of all rounds."""

    real: Statistics
    begin: Start
    simulate: Simulate
    cases: int
    seed: int
    margin: float


def _pairs(task: _Task, knobs: Sequence[Knob], places: Values) -> tuple[Values, int]:
    """Return real minus simulated statistics, in the median over pairs of stacks."""
    real = task.real
    lacks: dict[str, list[float]] = {knob.parameter: [] for knob in knobs}
    for case, model in enumerate(_models(real, task.cases)):
        values = _of_model(knobs, places, real, model)
        stacks = _simulated(task, values, task.seed + 1000 * case)
        found = statistics_of(real, stacks, task.begin.fixed.get("camera.offset"))
        for knob in knobs:
            own = knob.seen_at(float(real.volumes[knob.statistic][model]))
            lacks[knob.parameter].append(own - knob.seen_at(found.median(knob.statistic)))
    finite = {name: [v for v in values if isfinite(v)] for name, values in lacks.items()}
    return {name: float(np.median(v)) if v else nan for name, v in finite.items()}, 0


def _drawn(task: _Task, knobs: Sequence[Knob], places: Values) -> tuple[Values, int]:
    """Return real minus drawn statistics, and the number of refused draws."""
    parameters = _result(task, knobs, places, ()).parameters
    seeds = [task.seed + 1000 * case for case in range(max(task.cases, FEWEST))]
    stacks, refused = draw(task.simulate, parameters, seeds)
    found = statistics_of(task.real, stacks, task.begin.fixed.get("camera.offset"))
    missing = {knob.parameter: _middle(knob, task.real) - _middle(knob, found) for knob in knobs}
    return missing, refused


def _middle(knob: Knob, statistics: Statistics) -> float:
    """Return the middle of stacks on the scale of a statistic: half-way between mean and median.

    Ranges are drawn from evenly, and real stacks seldom lie even; by the median alone one end of
    a range would be far out.
    """
    places = [knob.seen_at(float(value)) for value in statistics.volumes[knob.statistic]]
    finite = [place for place in places if isfinite(place)]
    if not finite:
        return nan
    return float(np.median(finite) + np.mean(finite)) / 2


def draw(
    simulate: Simulate, parameters: Mapping[str, Any], seeds: Sequence[int]
) -> tuple[list[Pair], int]:
    """Return stacks drawn from one recipe, without those that have no room for their nuclei.

    Returns
    -------
    stacks : list of (Volume, Volume)
        Images with labels.
    refused : int
        Seeds that gave none.

    Raises
    ------
    InputError
        If all are refused: the simulator's last reason.
    """
    stacks: list[Pair] = []
    refused = 0
    for seed in seeds:
        try:
            stacks += simulate(parameters, seed)
        except InputError:
            refused += 1
            if refused == len(seeds):
                raise
    return stacks, refused


def statistics_of(real: Statistics, stacks: Sequence[Pair], dark: float | None) -> Statistics:
    """Return the statistics of simulated stacks.

    Parameters
    ----------
    real : Statistics
        Of the real stacks: simulated labels are used only if some of these were annotated.
    stacks : sequence of (Volume, Volume)
        Images with labels.
    dark : float or None
        Counts in the dark, see `datasets.calibration.measure.measure`.
    """
    labels = [truth.array for _, truth in stacks] if real.annotated else None
    return measure([image for image, _ in stacks], labels, dark=dark)


def _tuned(begin: Start) -> tuple[Knob, ...]:
    """Return the knobs of the parameters to fit; those of photons count in the camera's gain."""
    gain = float(begin.fixed.get("camera.gain", 1.0))
    return tuple(
        replace(knob, response=gain) if knob.parameter == "camera.background_photons" else knob
        for knob in of_parameters(KNOBS, begin.centres)
    )


def _models(real: Statistics, cases: int) -> list[int]:
    """Return the real stacks that simulated ones stand for, from few objects to many."""
    order = np.argsort(real.volumes["objects"], kind="stable")
    chosen = (np.arange(cases) + 0.5) / cases * len(order)
    return [int(order[int(place)]) for place in chosen]


def _shift(knob: Knob, real: Statistics, model: int) -> float:
    """Return the distance of a real stack from the middle of all, on the scale of a parameter."""
    middle = knob.seen_at(real.median(knob.statistic))
    own = knob.seen_at(float(real.volumes[knob.statistic][model]))
    shift = (own - middle) / knob.response
    return shift if knob.ranged and isfinite(shift) else 0.0


def _of_model(knobs: Sequence[Knob], places: Values, real: Statistics, model: int) -> Values:
    """Return the parameters of the simulated stack that stands for a real one."""
    values = {
        knob.parameter: knob.value(places[knob.parameter] + _shift(knob, real, model))
        for knob in knobs
    }
    if "tissue.n_nuclei" in values:
        values["tissue.n_nuclei"] = max(round(values["tissue.n_nuclei"]), 1)
        tightest = (_nuclear_volume(values) * 6 / (pi * DENSEST * values["tissue.flattening"])) ** (
            1 / 3
        )
        values["tissue.width_um"] = max(values["tissue.width_um"], tightest)
    return values


def _nuclear_volume(values: Values) -> float:
    """Return the volume of all nuclei in µm³."""
    spread = np.exp(4.5 * values["nucleus.diameter_spread"] ** 2)
    return float(values["tissue.n_nuclei"] * pi / 6 * values["nucleus.diameter_um"] ** 3 * spread)


def _simulated(task: _Task, values: Values, seed: int) -> list[Pair]:
    """Return simulated stacks; tissue that is too tight for its nuclei is made wider."""
    for attempt in range(TRIES):
        if attempt and "tissue.width_um" in values:
            values = values | {"tissue.width_um": values["tissue.width_um"] * WIDER}
        try:
            return task.simulate(nested({**task.begin.fixed, **values}), seed)
        except InputError:
            if attempt == TRIES - 1 or "tissue.width_um" not in values:
                raise
    raise AssertionError  # the last attempt returns or raises


def _known(knobs: Sequence[Knob], missing: Values) -> list[tuple[Knob, float]]:
    """Return the knobs of known misfit, each with its misfit."""
    return [(k, missing[k.parameter]) for k in knobs if isfinite(missing[k.parameter])]


def _in_words(known: Sequence[tuple[Knob, float]]) -> str:
    """Return the largest misfits of a round as a line."""
    rows = sorted(known, key=lambda row: -abs(row[1] / row[0].response) / row[0].step)
    words = [
        f"{knob.statistic} {np.expm1(value):+.0%}"
        if knob.seen == "log"
        else f"{knob.statistic} {value:+.3g}"
        for knob, value in rows[:4]
    ]
    return "missing " + ", ".join(words) if words else "nothing to compare"


def _result(task: _Task, knobs: Sequence[Knob], places: Values, misfits: tuple[Values, ...]) -> Fit:
    """Return the fitted parameters as ranges, with their sources."""
    real, begin, margin = task.real, task.begin, task.margin
    values: dict[str, Any] = dict(begin.fixed)
    comments = dict(begin.sources)
    for knob in knobs:
        name = knob.parameter
        low, high = real.quantile(knob.statistic, 0.1), real.quantile(knob.statistic, 0.9)
        if knob.ranged:
            values[name] = _range(knob, real, places[name], margin)
        else:
            values[name] = short(knob.value(places[name]))
        meaning = VOLUME_STATISTICS[knob.statistic].split(",")[0]
        median = real.median(knob.statistic)
        comments[name] = (
            f"{knob.statistic} {median:.3g} ({low:.3g} to {high:.3g}): {meaning}"
            if isfinite(median)
            else f"{knob.statistic} could not be measured: first estimate"
        )
    if "tissue.n_nuclei" in places:
        rows = [_of_model(knobs, places, real, m) for m in range(len(real.volumes["objects"]))]
        dense = [
            _nuclear_volume(row) / (pi / 6 * row["tissue.width_um"] ** 3 * row["tissue.flattening"])
            for row in rows
        ]
        low, high = (float(np.quantile(dense, share)) for share in (0.1, 0.9))
        values["tissue.volume_fraction"] = [
            short(max(low / (1 + margin), 0.005)),
            short(min(high * (1 + margin), 0.45)),
        ]
        # Large nuclei are few and small ones many: numbers of their own would not fit the tissue.
        values["tissue.n_nuclei"] = "auto"
        comments["tissue.volume_fraction"] = comments["tissue.n_nuclei"]
        comments["tissue.n_nuclei"] = "follows from volume_fraction, width_um and diameter_um"
    return Fit(nested(values), comments, misfits)


def _range(knob: Knob, real: Statistics, place: float, margin: float) -> list[float]:
    """Return the range of a parameter over the real stacks, widened by the margin."""
    shifts = [_shift(knob, real, model) for model in range(len(real.volumes["objects"]))]
    ends = [knob.value(place + float(np.quantile(shifts, share))) for share in (0.1, 0.9)]
    low, high = min(ends), max(ends)
    if low <= 0:
        return [short(max(low, knob.low)), short(min(high + margin * (high - low), knob.high))]
    middle, half = log(low * high) / 2, log(high / low) / 2
    half = min(max(half * (1 + margin), LEAST), knob.widest)
    limits = (float(np.exp(middle - half)), float(np.exp(middle + half)))
    return [short(max(limits[0], knob.low)), short(min(limits[1], knob.high))]
