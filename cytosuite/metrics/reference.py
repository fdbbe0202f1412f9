"""The table of all metrics, made from the metrics themselves."""

from cytosuite.metrics.metric import metrics_for

TASKS = {
    "segment": "Segmentation",
    "track": "Tracks",
    "enhance": "Image quality, paired",
    "synthesise": "Realism, unpaired sets",
}
HEAD = """\
# Metrics

Each works alone on arrays (`from cytosuite.metrics.labels.ctc import seg; seg(truth, prediction)`) and on
files (`cytosuite score`); those of overlap tables stand in every report of a segmentation.
Undefined values are NaN: left out of means and counted. What each definition decides where sources
disagree stands in its docstring (`help(seg)`). The tables are made from the metrics themselves, and
a test compares them:
`python -c "from cytosuite.metrics.reference import reference as r; print(r(), end='')"`.
"""


def reference() -> str:
    """Return ``cytosuite/metrics/README.md``: name, range, undefined cases and source of each.

    Examples
    --------
    >>> "| `SEG` | Segmentation accuracy | 1 | 0 |" in reference()
    True
    """
    lines = [HEAD]
    for task, title in TASKS.items():
        lines += [f"## {title}", "", "| name | what it is | best | worst | undefined | source |"]
        lines.append("|---|---|---|---|---|---|")
        for metric in metrics_for(task):
            ends = ("" if end is None else f"{end:g}" for end in (metric.best, metric.worst))
            source = f"doi:{metric.reference}" if metric.reference else ""
            cells = (f"`{metric.name}`", metric.title, *ends, metric.undefined, source)
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)
