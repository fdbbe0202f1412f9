"""Algorithms, their models, datasets and recipes, as a table."""

from collections.abc import Iterator

from rich.console import Console

from cytosuite.benchmark.catalog import algorithms, dataset_manifests, model_homes, recipes
from cytosuite.benchmark.commands.options import TableOptions
from cytosuite.benchmark.commands.table import Cell, ValueTable, keep, show
from cytosuite.manifest import ModelCard, SelectPolicy, read_card, read_recipe
from cytosuite.metrics.boards import BOARDS
from cytosuite.select import left_out

KIND, ALGORITHM, NAME = range(3)  # columns
KEYS = ("kind", "algorithm", "name", "task", "made for")
DIMENSIONS = {"YX": "2D", "ZYX": "3D"}


def show_list(options: TableOptions, console: Console) -> None:
    """Show all there is, a table for each kind, and write it where that is asked for.

    Parameters
    ----------
    options : TableOptions
        Files, and whether all columns are shown.
    console : Console
        Of the terminal: a model has one line there, with its best score.
    """
    table = listing()
    if not options.stdout_is_data:
        for title, part in _parts(table):
            console.print(f"[bold]{title}[/]")
            show(part, console, wide=options.wide)
            console.print()
    keep(table, options)


def listing() -> ValueTable:
    """Return algorithms, models, datasets and recipes with their purpose.

    Returns
    -------
    ValueTable
        ``kind``, ``algorithm``, ``name``, ``task``, ``made for``, the primary metrics of the
        boards, ``scored on``, ``purpose``. A model has a row for each data set in its card, the
        best first; one without scores, or not above its baselines, is used only when it is named.
    """
    rows: list[dict[str, Cell]] = []
    known = algorithms()
    for name, algorithm in known.items():
        rows.append(_row("algorithm", name, algorithm.task, algorithm.description))
    for path in sorted(path for home in model_homes() for path in home.glob("*/*.json")):
        card = read_card(path)
        policy = known[card.algorithm].select if card.algorithm in known else SelectPolicy()
        rows += _model(card, left_out(card, policy))
    for name, dataset in dataset_manifests().items():
        rows.append(_row("dataset", name, dataset.task, dataset.description))
    for name, path in recipes().items():
        rows.append(_row("recipe", name, None, read_recipe(path).title))
    first, *others = dict.fromkeys(name for board in BOARDS.values() for name in board.primary)
    names = [*KEYS, first, "scored on", *others, "purpose"]
    return ValueTable(names, [[row.get(name) for name in names] for row in rows])


def _parts(table: ValueTable) -> Iterator[tuple[str, ValueTable]]:
    """Yield a title and a table for each kind, and for the models of each algorithm."""
    parts: dict[str, dict[Cell, list[Cell]]] = {}
    for row in table.rows:
        title = f"{row[KIND]}s" + (f" of {row[ALGORITHM]}" if row[ALGORITHM] else "")
        parts.setdefault(title, {}).setdefault(row[NAME], list(row[NAME:]))
    for title, rows in parts.items():
        yield title, ValueTable(table.names[NAME:], list(rows.values()))


def _row(kind: str, name: str, task: str | None, purpose: str) -> dict[str, Cell]:
    """Return one row."""
    return {"kind": kind, "name": name, "task": task, "purpose": purpose}


def _model(card: ModelCard, doubt: str) -> list[dict[str, Cell]]:
    """Return a row of a model for each data set that it was scored on, the best first.

    `doubt` is the reason why it is used only by name, see `cytosuite.select.left_out`.
    """
    row = _row("model", card.name, None, card.description)
    row |= {"algorithm": card.algorithm, "made for": _made_for(card)}
    primary = BOARDS[card.task].primary if card.task in BOARDS else ()
    only = f"; used only by name: {doubt}" if doubt else ""
    rows = [
        row | {name: float(value) for name, value in scores.items()} | {"scored on": data + only}
        for data, scores in card.scores.items()
    ]
    rows.sort(key=lambda own: -float(own.get(primary[0]) or 0.0) if primary else 0.0)
    return rows or [row | {"scored on": "nothing: used only by name"}]


def _made_for(card: ModelCard) -> str:
    """Return the images that a model was made for: channel, study, dimensions, size, sample."""
    facts = card.describes
    size = facts.get("spacing")
    words = [
        str(facts.get("channel", "")),
        f"study {study:g}" if isinstance(study := facts.get("study"), float) else "",
        DIMENSIONS.get(str(facts.get("axes", "")), ""),
        " x ".join(f"{step:g}" for step in size) + " µm" if isinstance(size, tuple) else "",
        str(facts.get("sample", "")),
    ]
    return ", ".join(word for word in words if word)
