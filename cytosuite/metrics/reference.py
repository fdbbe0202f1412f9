"""Tables of all metrics and boards, made from their declarations."""

from typing import Any

from cytosuite.metrics.boards import BOARDS
from cytosuite.metrics.metric import FAMILIES, Metric, metrics_of


def reference() -> str:
    """Return the tables of ``cytosuite/metrics/README.md``: boards, then metrics by family.

    Examples
    --------
    >>> "| `SEG` | Segmentation accuracy | truth, prediction | 1 | 0 |" in reference()
    True
    """
    lines = ["## Boards", "", *_header("task", "primary metrics", "families", "controls")]
    for task, board in BOARDS.items():
        primary = ", ".join(f"`{name}`" for name in board.primary)
        lines.append(_row(task, primary, ", ".join(board.families), ", ".join(board.controls)))
    columns = ("name", "title", "needs", "best", "worst", "undefined", "source")
    for family, title in FAMILIES.items():
        lines += ["", f"## {title}: `{family}`", "", *_header(*columns)]
        lines += [_row(*_cells(metric)) for metric in metrics_of(family)]
    return "\n".join([*lines, ""])


def _cells(metric: Metric[Any]) -> tuple[str, ...]:
    """Return the cells of a metric."""
    ends = ("" if end is None else f"{end:g}" for end in (metric.best, metric.worst))
    source = f"doi:{metric.reference}" if metric.reference else ""
    needs = ", ".join(metric.evidence.needs)
    return (f"`{metric.name}`", metric.title, needs, *ends, metric.undefined, source)


def _header(*names: str) -> list[str]:
    """Return the first two lines of a table."""
    return [_row(*names), "|" + "---|" * len(names)]


def _row(*cells: str) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(cells)} |"
