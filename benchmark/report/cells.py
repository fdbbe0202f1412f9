"""Cells of tables: the text of a value, its sort key and its colour."""

import math
from collections.abc import Iterable
from typing import Any

from markupsafe import Markup, escape

from benchmark.report.axis import Axis
from benchmark.report.wording import number
from cytosuite.metrics import Metric

KEYS = {"None": "", "nan": "", "inf": "Infinity", "-inf": "-Infinity"}  # as scripts read them


def cell(
    text: str,
    key: float | str | None = None,
    style: str = "",
    badge: str = "",
    below: Iterable[str] = (),
) -> Markup:
    """Return a table cell: badge, text and small lines, its key for sorting and its CSS style."""
    mark = f'<span class="badge">{escape(badge)}</span>' if badge else ""
    shown = f"<span>{escape(text)}</span>" if text else ""
    small = "".join(f"<small>{escape(line)}</small>" for line in below if line)
    end = escape(KEYS.get(str(key), key))
    return Markup(f'<td data-key="{end}" style="{style}">{mark}{shown}{small}</td>')


def value(metric: Metric[Any], found: float, axis: Axis, badge: str = "") -> Markup:
    """Return a value as a cell with its colour; NaN sorts last.

    A number without two ends, for example a count, shows no decimals where it is whole.
    """
    if math.isnan(found):
        return cell("" if badge else "-", badge=badge)
    whole = (metric.best is None or metric.worst is None) and found.is_integer()
    return cell(number(found, 0 if whole else 2), found, heat(axis.goodness(found)), badge)


def heat(goodness: float | None) -> str:
    """Return a CSS style for a value: orange below the middle of the range, blue above.

    Parameters
    ----------
    goodness : float or None
        0 (worst) to 1 (best); None gives no colour.

    Notes
    -----
    Orange and blue of Okabe and Ito (2008, Color Universal Design) stay apart for all common
    kinds of colour blindness; the text keeps its colour as at most 55 % of the hue is mixed in.

    Examples
    --------
    >>> heat(1.0), heat(0.5)
    ('background:color-mix(in srgb, var(--good) 55%, transparent)', '')
    """
    if goodness is None or abs(goodness - 0.5) < 0.01:
        return ""
    strength = round(110 * abs(goodness - 0.5))
    hue = "good" if goodness > 0.5 else "poor"
    return f"background:color-mix(in srgb, var(--{hue}) {strength}%, transparent)"
