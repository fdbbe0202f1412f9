"""Scores and values in pages, between ``<!-- scores: SEG of cells -->`` and ``<!-- end -->``."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from cytosuite.benchmark.catalog.packed import fact_text
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.runs.store.csvfile import original
from cytosuite.benchmark.runs.store.documents import table
from cytosuite.benchmark.scores.comparison.accepted import BOARD, stale
from cytosuite.benchmark.scores.comparison.history import history_table
from cytosuite.benchmark.scores.comparison.scored import ScoredRun
from cytosuite.contract.manifest import ModelCard
from cytosuite.contract.weights import read_cards
from cytosuite.errors import InputError
from cytosuite.figures.markdown import table_lines
from cytosuite.files import FloatMap, Texts, read_text, read_toml
from cytosuite.metrics.boards import CONTROLS
from cytosuite.metrics.metric import known_metrics

HEADS = ("model", "purpose", "made for", "trained", "scores", "baselines", "license")
COUNTS = {"n_objects"}  # among the scores of a card
DIGITS = 3
MARKED = re.compile(
    r"(?P<head><!-- scores: (?P<what>[^>]+?) of (?P<names>[^>]+?) -->\n).*?(?P<end><!-- end -->)",
    re.DOTALL,
)
MEASURED = re.compile(r"(?P<head><!-- measured: (?P<key>[\w.]+) -->).*?(?P<end><!-- end -->)")
VALUES = "docs/measured.toml"
DOCUMENTS = ("README.md", "*/README.md", "algorithms/*/README.md", "docs/*.md")
MODELS = "models"
HISTORY = "history"
OBJECTS = "truth_count_pooled"
REMEDY = "cytosuite maintain tables writes it"


def _row(card: ModelCard) -> Texts:
    """Return the cells of a model."""
    return (
        card.name,
        card.description,
        ", ".join(f"{key} {fact_text(value)}" for key, value in card.images.items()),
        trained(card),
        *(
            "; ".join(f"{name}: {_values(scores)}" for name, scores in table.items()) or "-"
            for table in (card.scores, card.baselines)
        ),
        card.license,
    )


def trained(card: ModelCard) -> str:
    """Return data, steps, seed, time and device of a training; of parameters alone, that."""
    facts = card.trained
    if not facts:
        return "not trained: parameters"
    data = facts.get("dataset") or facts.get("data")
    words = [f"data {_digests(data)}"] if data else []
    forms = {"volumes": "{} volumes", "steps": "{} steps", "seed": "seed {}"}
    words += [form.format(facts[name]) for name, form in forms.items() if name in facts]
    if facts.get("seconds"):
        words.append(f"{facts['seconds'] / 60:.0f} min")
    if "device" in facts:
        words.append(str(facts["device"]))
    return ", ".join(words)


def _digests(data: object) -> str:
    """Return the start of each digest of the data."""
    if isinstance(data, Mapping):
        return ", ".join(f"{role} {_digests(part)}" for role, part in data.items())
    if isinstance(data, list):
        return " ".join(map(_digests, data))
    return str(data)[:12]


def _values(scores: FloatMap) -> str:
    """Return scores as text, with the number of objects first."""
    counts = [f"{scores[name]:.0f} objects" for name in COUNTS if name in scores]
    return ", ".join(counts + [f"{k} {v:.{DIGITS}g}" for k, v in scores.items() if k not in COUNTS])


def documents(root: Path = ROOT) -> list[Path]:
    """Return the documents with generated tables."""
    paths = (path for pattern in DOCUMENTS for path in sorted(root.glob(pattern)))
    return [p for p in paths if any(mark.search(read_text(p)) for mark in (MARKED, MEASURED))]


def written(path: Path, runs: Mapping[str, ScoredRun], root: Path = ROOT) -> str:
    """Return the text of a document with its tables as they are today."""

    def _between(mark: "re.Match[str]") -> str:
        names = [name.strip() for name in mark["names"].split(",")]
        if mark["what"] == MODELS:
            lines = []
            for name in names:
                if not (cards := read_cards(root / "weights" / name, name)):
                    raise InputError(f"{root}/weights/{name}: expected model cards, found none")
                lines += table(HEADS, map(_row, cards))
        elif mark["what"] == HISTORY:
            lines = history_table(root / "benchmark/accepted")
        else:
            if missing := [name for name in names if name not in runs]:
                raise InputError(
                    f"{path}: no accepted scores {missing[0]!r}; there are "
                    f"{', '.join(runs) or 'none'}"
                )
            metrics = [name.strip() for name in mark["what"].split(",")]
            lines = scores_table({name: runs[name] for name in names}, metrics)
        return mark["head"] + "\n".join(["", *lines, ""]) + "\n" + mark["end"]

    def measured(mark: "re.Match[str]") -> str:
        """Return a mark with its value."""
        value = values.get(mark["key"])
        if not isinstance(value, str):
            raise InputError(f"{path}: {VALUES} has no text {mark['key']!r}")
        return mark["head"] + value + mark["end"]

    text = MARKED.sub(_between, read_text(path))
    values = read_toml(root / VALUES) if MEASURED.search(text) else {}
    return MEASURED.sub(measured, text)


def outdated(runs: Mapping[str, ScoredRun], root: Path = ROOT) -> Iterator[str]:
    """Yield a sentence for each table or accepted score that differs from the checkout."""
    for path in documents(root):
        if written(path, runs, root) != read_text(path):
            yield f"{path.relative_to(root)}: a score or value is not that of today; {REMEDY}"
    for name, run in runs.items():
        for reason in stale(run):
            yield (
                f"accepted scores {name}: {reason}; run it again, then cytosuite maintain "
                "accept RUN"
            )


def scores_table(runs: Mapping[str, ScoredRun], metrics: list[str]) -> list[str]:
    """Return the lines of a table: data, objects, pooled scores of each algorithm, best in bold."""
    boards = {name: _board(run) for name, run in runs.items()}
    algorithms = dict.fromkeys(name for board in boards.values() for name in sorted(board.index))
    offered = {metric for run in runs.values() for metric in known_metrics(run.said("task"))}
    if missing := [name for name in metrics if name not in offered]:
        raise InputError(f"table of scores: no metric {missing[0]!r}")
    heads = ["images", "objects", *(f"{', '.join(metrics)} of {name}" for name in algorithms)]
    rows = []
    for name, run in runs.items():
        objects = boards[name].get(OBJECTS, pd.Series(dtype=float)).max()
        cells = [str(run.facts.get("title") or name), f"{objects:.0f}" if objects >= 0 else "-"]
        scores = _scores(boards[name], metrics, run.said("task"))
        cells += [scores.get(algorithm, "-") for algorithm in algorithms]
        rows.append(cells)
    return table_lines(heads, rows)


def _scores(board: pd.DataFrame, metrics: list[str], task: str) -> "pd.Series[str]":
    """Return the cell of each algorithm: its pooled scores, the best of each metric in bold."""
    texts = board[[f"{metric}_pooled" for metric in metrics]].map("{:.3f}".format)
    signs = [1 if known_metrics(task)[metric].higher_is_better else -1 for metric in metrics]
    values = texts.astype(float) * signs
    bold = (values == values.max()) & (len(board) > 1)
    cells = texts.mask(bold, "**" + texts + "**").agg(", ".join, axis=1)
    return cells.mask(bold.all(axis=1), "**" + texts.agg(", ".join, axis=1) + "**")


def _board(run: ScoredRun) -> pd.DataFrame:
    """Return the leaderboard of accepted scores by algorithm, controls left out."""
    table = pd.read_csv(run.place / "report" / BOARD).set_index("algorithm")
    table = table.rename(index=original, columns=original)
    return table[~table.index.isin(CONTROLS)]
