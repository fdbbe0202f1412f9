"""Figures of errors by object, inline SVG: classes as a stacked bar, missed objects by place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from markupsafe import Markup, escape

from cytosuite.benchmark.report.figures import svg
from cytosuite.metrics.labels.object_errors import FALSE, MATCHED, MERGED, MISSED, SPLIT

# The colours of the slice viewer, see style.css.
COLOURS = {
    MATCHED: "var(--good)",
    **{name: f"var(--{name})" for name in (SPLIT, MERGED, MISSED, FALSE)},
}
HIGH, BAR = 30, 16  # px
LONGEST = 1.5  # true objects: a longer bar is cut, its numbers stand beside it
Share: TypeAlias = tuple[int, int]  # objects missed, and all


@dataclass(frozen=True, slots=True)
class MissedShares:
    """The share of missed objects by depth or by size.

    Parameters
    ----------
    name, unit : str
        Of the quantity.
    edges : sequence of float
        Ends of the groups, each with about as many true objects.
    missed : mapping of str to sequence of Share
        By algorithm, in the order of the groups.
    """

    name: str
    unit: str
    edges: Sequence[float]
    missed: Mapping[str, Sequence[Share]]

    @property
    def top(self) -> float:
        """The largest share, at least a tenth: the height of the figures."""
        shares = [lost / of for own in self.missed.values() for lost, of in own if of]
        return max(0.1, *shares)

    @property
    def span(self) -> str:
        """All of the groups together, in words."""
        return f"{rounded(self.edges[0])} to {rounded(self.edges[-1])} {self.unit}"


def rounded(value: float) -> str:
    """Return a depth or size with three digits, large ones without decimals.

    Examples
    --------
    >>> rounded(3.594), rounded(3651.2)
    ('3.59', '3651')
    """
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def error_bar(counts: Mapping[str, int], longest: float) -> Markup:
    """Return the objects of an algorithm as a stacked bar, the false ones after a gap.

    Parameters
    ----------
    counts : mapping of str to int
        Objects by class.
    longest : float
        Number of objects that the whole width stands for; more are cut off.
    """
    parts, at = [], 0.0
    for name, number in counts.items():
        start = at + (longest / 100 if name == FALSE else 0)
        width = max(0.0, 100 * min(number, longest - start) / longest)
        place = f'x="{100 * start / longest:.2f}%" width="{width:.2f}%" height="{BAR}"'
        text = f"<title>{escape(f'{name}: {number}')}</title>"
        parts.append(f'<rect {place} style="fill:{COLOURS[name]}">{text}</rect>')
        at += number
    return svg(
        "error-bar", BAR, ", ".join(f"{number} {name}" for name, number in counts.items()), parts
    )


def missed_bars(place: MissedShares, algorithm: str) -> Markup:
    """Return the share of missed objects of each group as a bar; empty where it is not known."""
    shares = place.missed.get(algorithm, ())
    wide, parts, words = 100 / max(len(shares), 1), [], []
    for n, (lost, of) in enumerate(shares):
        ends = f"{rounded(place.edges[n])} to {rounded(place.edges[n + 1])} {place.unit}"
        text, share = f"{ends}: {lost} of {of} missed", lost / max(of, 1)
        height = (HIGH - 1) * share / place.top
        spot = f'x="{wide * n:.2f}%" width="{0.86 * wide:.2f}%"'
        colour, rest = COLOURS[MISSED], "var(--shade)"
        parts.append(
            f'<g><title>{escape(text)}</title><rect {spot} height="{HIGH}" style="fill:{rest}"/>'
            f'<rect {spot} y="{HIGH - 1 - height:.1f}" height="{height + 1:.1f}" '
            f'style="fill:{colour}"/></g>'
        )
        words.append(text)
    return svg("missed-bars", HIGH, "; ".join(words), parts) if words else Markup("")
