"""Cells of tables: the text of a value, its sort key and its colour."""

import math
from typing import Any

from markupsafe import Markup, escape

from benchmark.report.figures import Axis, heat
from benchmark.report.wording import number
from cytosuite.metrics import Metric


def cell(text: str, key: float | str = "", style: str = "", badge: str = "") -> Markup:
    """Return a table cell: badge and text, its key for sorting and its CSS style."""
    mark = f'<span class="badge">{escape(badge)}</span>' if badge else ""
    shown = f"<span>{escape(text)}</span>" if text else ""
    end = str(key).replace("inf", "Infinity")  # as scripts read it
    return Markup(f'<td data-key="{escape(end)}" style="{style}">{mark}{shown}</td>')


def value(metric: Metric[Any], found: float | None, axis: Axis, badge: str = "") -> Markup:
    """Return a value as a cell with its colour; without one it sorts last.

    A number without two ends, for example a count, shows no decimals where it is whole.
    """
    if found is None or math.isnan(found):
        return cell("" if badge else "-", badge=badge)
    whole = (metric.best is None or metric.worst is None) and float(found).is_integer()
    return cell(number(found, 0 if whole else 2), found, heat(axis.goodness(found)), badge)
