"""The report of a run: a page to look at, and the same results as Markdown, CSV and JSON."""

import json
import tempfile
from pathlib import Path

from benchmark.report import conditions, html, markdown
from benchmark.report.content import (
    AlgorithmInfo,
    CasePicture,
    Failure,
    MetricInfo,
    ReportContent,
    SelectionNote,
)
from benchmark.report.tables import platform_metrics, tidy

__all__ = [
    "AlgorithmInfo",
    "CasePicture",
    "Failure",
    "MetricInfo",
    "ReportContent",
    "SelectionNote",
    "write_report",
]


def write_report(content: ReportContent, folder: Path) -> Path:
    """Write `index.html`, `report.md`, `scores.csv` and `metrics.json` and return the first.

    Where the cases differ in a condition, `by_condition.csv` stands beside them.

    Parameters
    ----------
    content : ReportContent
        What the benchmark found.
    folder : Path
        Where to write; made if missing. Files of these names are replaced, others are left alone.

    Returns
    -------
    Path
        ``folder / "index.html"``, one file that needs no other and no network.

    Raises
    ------
    InputError
        If two metrics have the same name in `metrics.json`.

    Notes
    -----
    All are written beside the folder first and moved when the last is whole: a report that is cut
    short leaves the previous one as it was. The page moves last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    metrics = json.dumps(platform_metrics(content), indent=2, allow_nan=False, ensure_ascii=False)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as name:
        parts = Path(name)
        tidy(content.scores).to_csv(parts / "scores.csv", index=False)
        if content.conditions:
            conditions.table(content).to_csv(parts / "by_condition.csv", index=False)
        (parts / "metrics.json").write_text(metrics + "\n", encoding="utf-8")
        (parts / "report.md").write_text(markdown.render(content), encoding="utf-8")
        (parts / "index.html").write_text(html.render(content), encoding="utf-8")
        for file in ("scores.csv", "by_condition.csv", "metrics.json", "report.md", "index.html"):
            if (parts / file).exists():
                (parts / file).replace(folder / file)
            else:
                (folder / file).unlink(missing_ok=True)  # of an earlier report
    return folder / "index.html"
