"""The report of a run: a page to look at, and the same results as Markdown, CSV and JSON."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from cytosuite.benchmark.report import files, page
from cytosuite.benchmark.report.page import views
from cytosuite.benchmark.runs.store.csvfile import frame_parts
from cytosuite.benchmark.scores.blind import blind_names, blinded
from cytosuite.benchmark.scores.objects import join_tables
from cytosuite.benchmark.scores.results import Results, Tables
from cytosuite.benchmark.scores.score import Progress
from cytosuite.files import json_text, work_folder, write_json

__all__ = ["write_blind", "write_report"]


def write_report(results: Results, folder: Path, progress: Progress = lambda *_: None) -> Path:
    """Write `index.html`, `report.md` and tables, and return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = views(results, progress)
    groups = files.by_condition(results.conditions)
    texts = {
        "leaderboard.csv": frame_parts(pd.DataFrame(files.leaderboard(results), dtype=object)),
        "leaderboard.tex": [files.latex_board(results)],
        "scores.csv": frame_parts(results.scores),
        "cases.csv": frame_parts(files.by_case(results.scores, results.records)),
        "by_condition.csv": frame_parts(groups) if results.conditions else (),
        "by_depth.csv": frame_parts(files.by_depth(results.sets)) if shown["depth"] else (),
        "metrics.json": [json_text(files.platform_metrics(results)), "\n"],
        "report.md": [page.markdown(results, shown)],
        "index.html": [page.html(results, shown)],
    }
    tables = {
        "objects.csv": results.objects,
        "object_scores.csv": results.object_scores,
        "link_errors.csv": results.links,
    }
    _write(folder, texts, tables)
    return folder / "index.html"


def _write(folder: Path, texts: Mapping[str, Iterable[str]], tables: Mapping[str, Tables]) -> None:
    """Write files by their names in a folder, all or none; remove those that have no content."""
    with work_folder(folder.parent) as parts:
        for file, text in texts.items():
            with (parts / file).open("w", encoding="utf-8") as stream:
                stream.writelines(text)
        for file, paths in tables.items():
            join_tables(parts / file, ["algorithm", "case"], paths)
        for file, content in {**tables, **texts}.items():
            if content and (parts / file).stat().st_size:
                (parts / file).replace(folder / file)
            else:
                (folder / file).unlink(missing_ok=True)  # of an earlier report


def write_blind(results: Results, run_folder: Path) -> Path:
    """Write the report for participants, ``blind``, and the organiser's ``blind-names.json``."""
    names = {neutral: name for name, neutral in blind_names(results).items()}
    write_json(run_folder / "blind-names.json", names)
    return write_report(blinded(results), run_folder / "blind")
