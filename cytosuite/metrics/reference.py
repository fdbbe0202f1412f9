"""Tables of all metrics and boards, made from their declarations."""

from cytosuite.metrics.boards import BOARDS
from cytosuite.metrics.metric import Metric, metrics_of

FAMILIES = {
    "labels": "Instance labels",
    "images": "Images with a paired truth",
    "realism": "Images without a paired truth",
    "tracks": "Tracks",
}


def reference() -> str:
    """Return the tables of ``cytosuite/metrics/README.md``: boards, then metrics by family.

    Examples
    --------
    >>> "| `SEG` | Segmentation accuracy | truth, prediction | 1 | 0 |" in reference()
    True
    """
    lines = [
        "## Boards",
        "",
        "| task | primary metrics | families | controls |",
        "|---|---|---|---|",
    ]
    for task, board in BOARDS.items():
        primary = ", ".join(f"`{name}`" for name in board.primary)
        families, controls = (", ".join(names) for names in (board.families, board.controls))
        lines.append(f"| {task} | {primary} | {families} | {controls} |")
    for family, title in FAMILIES.items():
        lines += ["", f"## {title}: `{family}`", ""]
        lines.append("| name | title | needs | best | worst | undefined | source |")
        lines.append("|---|---|---|---|---|---|---|")
        lines += [_row(metric) for metric in metrics_of(family)]
    return "\n".join([*lines, ""])


def _row(metric: Metric[object]) -> str:
    """Return the row of a metric."""
    ends = ("" if end is None else f"{end:g}" for end in (metric.best, metric.worst))
    source = f"doi:{metric.reference}" if metric.reference else ""
    needs = ", ".join(metric.evidence.needs)
    cells = (f"`{metric.name}`", metric.title, needs, *ends, metric.undefined, source)
    return f"| {' | '.join(cells)} |"
