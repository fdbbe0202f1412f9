"""Colours of outlines and classes; SVG without a plotting library: axes, marks of algorithms."""

import math
from collections.abc import Iterable
from dataclasses import replace

from cytosuite.files import IntTriple, frozen

# Distinct for all common kinds of colour blindness: Okabe and Ito, Color Universal Design (2008).
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")
# Distinct by shape as well as by colour.
SHAPES = (
    "M-4.5 0A4.5 4.5 0 1 0 4.5 0A4.5 4.5 0 1 0-4.5 0Z",
    "M-4-4H4V4H-4Z",
    "M0-5.5L5 4H-5Z",
    "M0-5.5L5.5 0L0 5.5L-5.5 0Z",
    "M0 5.5L5-4H-5Z",
    "M-1.7-5H1.7V-1.7H5V1.7H1.7V5H-1.7V1.7H-5V-1.7H-1.7Z",
)

SMALLEST = 1e-300  # of a margin: numbers near the smallest there is have no twentieth
# Okabe and Ito, Color Universal Design (2008): apart for all common kinds of colour blindness.
TRUTH, PREDICTION = "truth", "right"  # outlines without an error
PALETTE = {
    "matched": "#0072b2",
    TRUTH: "#56b4e9",
    PREDICTION: "#e69f00",
    "missed": "#d55e00",
    "false": "#cc79a7",
    "split": "#f0e442",
    "merged": "#009e73",
}


@frozen
class Axis:
    """A linear or logarithmic axis."""

    low: float  # value at its left or lower end; positive on a logarithmic axis
    high: float
    rising: bool | None = None  # whether larger values are better; None when neither end is
    log: bool = False

    def position(self, value: float) -> float:
        """Return the place of a value, 0 at the low end and 1 at the high one, clipped to these."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(max(value, low))
        if high <= low:
            return 0.5
        at = (at - low) / (high - low)
        return 0.0 if at < 0 else 1.0 if at > 1 else at  # half the time of min and max

    def goodness(self, value: float) -> float | None:
        """Return 1 for a value at the better end, 0 at the other, None without one or for NaN."""
        if self.rising is None or math.isnan(value):
            return None
        at = self.position(value)
        return at if self.rising else 1.0 - at

    def ticks(self) -> list[float]:
        """Return round values along the axis, the ends among them when they are round."""
        if self.log:
            first = math.floor(math.log10(self.low))
            last = math.ceil(math.log10(self.high))
            steps = (1, 2, 5) if last - first <= 2 else (1,)
            ticks = [float(f"{s}e{power}") for power in range(first, last + 1) for s in steps]
            return [t for t in ticks if self.low * (1 - 1e-9) <= t <= self.high * (1 + 1e-9)]
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        step = 10 ** math.floor(math.log10(span))
        step = next(s for s in (step / 4, step / 2, step, 2 * step) if span / s <= 5)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [n * step for n in range(first, last + 1)]


def axis_around(values: Iterable[float]) -> Axis:
    """Return a linear axis around numbers, with a margin of a twentieth on both sides."""
    pool = [value for value in values if math.isfinite(value)] or [0.0]
    spread = max(pool) - min(pool)
    margin = max(spread / 20, SMALLEST) if spread else abs(pool[0]) / 20 or 0.5
    return Axis(min(pool) - margin, max(pool) + margin)


def near(axis: Axis, values: Iterable[float]) -> Axis:
    """Return the part of a linear axis around some values, with a margin of a twentieth."""
    around = axis_around(values)
    return replace(axis, low=max(axis.low, around.low), high=min(axis.high, around.high))


def axis_of_times(values: Iterable[float]) -> Axis:
    """Return an axis for durations or sizes: from 0, or logarithmic when they differ 30-fold."""
    pool = [value for value in values if value > 0]
    if not pool:
        return Axis(0.0, 1.0)
    if max(pool) > 30 * min(pool):
        return Axis(10 ** math.floor(math.log10(min(pool))), max(pool) * 1.1, log=True)
    return Axis(0.0, max(pool) * 1.05)


def axis_of_ratios(values: Iterable[float]) -> Axis:
    """Return a logarithmic axis around positive numbers; its ends are 1, 2 or 5 x a power of 10."""
    pool = [value for value in values if 0 < value < math.inf]
    if not pool:
        return Axis(0.1, 10.0, log=True)
    low = min(pool) / 1.15
    high = max(pool) * 1.15
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ends = [float(f"{step}e{power}") for power in powers for step in (1, 2, 5)]
    return Axis(
        max(end for end in ends if end <= low), min(end for end in ends if end >= high), log=True
    )


def part(axis: Axis, values: Iterable[float]) -> Axis:
    """Return the part of a linear axis, in tenths, that holds some values, a fifth at least."""
    ends = [value for value in values if math.isfinite(value)]
    tenth = (axis.high - axis.low) / 10
    first = math.floor((min(ends, default=axis.low) - axis.low) / tenth + 1e-9)
    last = math.ceil((max(ends, default=axis.high) - axis.low) / tenth - 1e-9)
    first = max(0, min(first, last - 2))
    return replace(axis, low=axis.low + first * tenth, high=axis.low + last * tenth)


def colour(place: int) -> str:
    """Return the class of an algorithm's marks: the first few have a colour, the rest are grey."""
    return f"c{place}" if place < len(SHAPES) else "c-rest"


def mark(place: int) -> str:
    """Return the mark of an algorithm around the origin."""
    if place < len(SHAPES):
        return f'<path class="spot" d="{SHAPES[place]}"/>'
    return '<circle class="spot" r="2.6"/>'


def percent(value: float) -> str:
    """Return a place in % of the width."""
    return f"{value:.2f}%"


def rgb(name: str) -> IntTriple:
    """Return a colour as red, green and blue, 0 to 255."""
    red, green, blue = bytes.fromhex(PALETTE[name].removeprefix("#"))
    return red, green, blue


def style() -> str:
    """Return the palette as CSS: a custom property, and a class of its key, by name."""
    properties = "".join(f" --{name}: {tint};" for name, tint in PALETTE.items())
    keys = "\n".join(f".{name}-key {{ --c: var(--{name}); }}" for name in PALETTE)
    return f":root {{{properties} }}\n{keys}"
