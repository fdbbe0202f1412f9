"""Strips: the distribution of one quantity over the cases, a strip per algorithm."""

from dataclasses import dataclass

from markupsafe import Markup, escape

from benchmark.report.figures import Axis, Dot, axis_figure, strip
from benchmark.report.index import Index
from benchmark.report.wording import known


@dataclass(frozen=True, slots=True)
class Strips:
    """Heading, the better end in words, name and drawing of each algorithm, and the axis."""

    title: str
    hint: str
    rows: list[tuple[str, Markup]]
    axis: Markup


def strips(
    index: Index,
    title: str,
    hint: str,
    axis: Axis,
    values: dict[str, dict[str, float]],
    unit: str = "",
) -> Strips:
    """Return a quantity of every case and algorithm as dots.

    Parameters
    ----------
    values : dict of str to dict of str to float
        By algorithm and case; values that are not finite are left out.
    unit : str
        Unit of the values, for the tooltip.
    """
    names = {case: escape(case) for case in index.cases}
    rows = []
    for name, found in values.items():
        dots = [
            Dot(index.cases[case], names[case], value, bool(index.status(name, case)))
            for case, value in found.items()
            if known(value)
        ]
        rows.append((name, strip(axis, dots, unit)))
    return Strips(title, hint, rows, axis_figure(axis))
