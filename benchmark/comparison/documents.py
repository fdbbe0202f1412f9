"""Tables of scores and models in documents, generated from accepted scores and model cards.

A table stands between ``<!-- scores: SEG, DET, F1 of spheroid, nuclei_2d -->``, the metrics and the
accepted scores in the order of rows, or ``<!-- scores: models of cellpose3d -->``, the algorithm,
and ``<!-- end -->``.
"""

import re
from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path

import pandas as pd

from cytosuite.benchmark.catalog import ROOT
from cytosuite.benchmark.comparison.accepted import BOARD, accepted, stale
from cytosuite.benchmark.comparison.cards import models_table
from cytosuite.benchmark.comparison.scored import ScoredRun, known_metrics
from cytosuite.benchmark.csvfile import original
from cytosuite.benchmark.results.controls import CONTROLS
from cytosuite.errors import InputError

MARKED = re.compile(
    r"(?P<head><!-- scores: (?P<what>[^>]+?) of (?P<names>[^>]+?) -->\n).*?(?P<end><!-- end -->)",
    re.DOTALL,
)
DOCUMENTS = ("README.md", "*/README.md", "algorithms/*/README.md")
MODELS = "models"
OBJECTS = "truth_count_pooled"
REMEDY = "cytosuite tables writes it"


def documents(root: Path = ROOT) -> list[Path]:
    """Return the documents with generated tables."""
    found = (path for pattern in DOCUMENTS for path in sorted(root.glob(pattern)))
    return [path for path in found if MARKED.search(path.read_text(encoding="utf-8"))]


def written(path: Path, runs: Mapping[str, ScoredRun], root: Path = ROOT) -> str:
    """Return the text of a document with its tables as they are today.

    Parameters
    ----------
    path : Path
        Document.
    runs : mapping of str to ScoredRun
        Accepted scores by name.
    root : Path
        The checkout.

    Raises
    ------
    InputError
        If a table is of scores, metrics or an algorithm that are not there.
    """

    def table(found: "re.Match[str]") -> str:
        """Return one table between its marks."""
        names = [name.strip() for name in found["names"].split(",")]
        if found["what"] == MODELS:
            lines = [line for name in names for line in models_table(root / "weights" / name, name)]
        else:
            metrics = [name.strip() for name in found["what"].split(",")]
            lines = scores_table(_named(path, names, runs), metrics)
        return found["head"] + "\n".join(["", *lines, ""]) + "\n" + found["end"]

    return MARKED.sub(table, path.read_text(encoding="utf-8"))


def outdated(runs: Mapping[str, ScoredRun] | None = None, root: Path = ROOT) -> Iterator[str]:
    """Yield a sentence for each table or accepted score that is not that of the checkout.

    Parameters
    ----------
    runs : mapping of str to ScoredRun, optional
        Accepted scores by name; those of the checkout without it.
    root : Path
        The checkout.
    """
    known = accepted() if runs is None else runs
    for path in documents(root):
        if written(path, known, root) != path.read_text(encoding="utf-8"):
            yield f"{path.relative_to(root)}: a table of scores is not that of today; {REMEDY}"
    for name, run in known.items():
        for reason in stale(run):
            yield f"accepted scores {name}: {reason}; run it again, then cytosuite accept RUN"


def scores_table(runs: Mapping[str, ScoredRun], metrics: list[str]) -> list[str]:
    """Return the lines of a table: data, objects, pooled scores of each algorithm, best in bold.

    Parameters
    ----------
    runs : mapping of str to ScoredRun
        A row each, with the title as its name.
    metrics : list of str
        Names.
    """
    boards = {name: _board(run) for name, run in runs.items()}
    algorithms = list(
        dict.fromkeys(own for board in boards.values() for own in sorted(board.index))
    )
    known = {metric for run in runs.values() for metric in known_metrics(run.said("task"))}
    if missing := [name for name in metrics if name not in known]:
        raise InputError(f"table of scores: no metric {missing[0]!r}")
    heads = ["images", "objects", *(f"{', '.join(metrics)} of {name}" for name in algorithms)]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for name, run in runs.items():
        title = run.facts.get("title") or name
        objects = boards[name].get(OBJECTS, pd.Series(dtype=float)).max()
        cells = [str(title), f"{objects:.0f}" if isfinite(objects) else "-"]
        cells += _scores(boards[name], algorithms, metrics, run.said("task"))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _scores(board: pd.DataFrame, algorithms: list[str], metrics: list[str], task: str) -> list[str]:
    """Return the cell of each algorithm: its pooled scores, the best of each metric in bold."""
    there = [name for name in algorithms if name in board.index]
    texts = {
        name: [f"{board[f'{metric}_pooled'].loc[name]:.3f}" for metric in metrics] for name in there
    }
    best = [
        (max if known_metrics(task)[metric].higher_is_better else min)(map(float, column))
        for metric, column in zip(metrics, zip(*texts.values(), strict=True), strict=True)
    ]
    return [
        _in_bold(texts[name], best, len(there)) if name in texts else "-" for name in algorithms
    ]


def _in_bold(texts: list[str], best: list[float], rivals: int) -> str:
    """Return scores as a cell, the best in bold where there are several algorithms."""
    bold = [rivals > 1 and float(text) == top for text, top in zip(texts, best, strict=True)]
    if all(bold):
        return f"**{', '.join(texts)}**"
    return ", ".join(f"**{t}**" if b else t for t, b in zip(texts, bold, strict=True))


def _board(run: ScoredRun) -> pd.DataFrame:
    """Return the leaderboard of accepted scores by algorithm, controls left out."""
    table = pd.read_csv(run.place / "report" / BOARD).set_index("algorithm")
    table = table.rename(index=original, columns=original)
    return table[~table.index.isin(CONTROLS)]


def _named(path: Path, names: list[str], runs: Mapping[str, ScoredRun]) -> dict[str, ScoredRun]:
    """Return the accepted scores that a mark names."""
    if missing := [name for name in names if name not in runs]:
        known = ", ".join(runs) or "none"
        raise InputError(f"{path}: no accepted scores {missing[0]!r}; there are {known}")
    return {name: runs[name] for name in names}
