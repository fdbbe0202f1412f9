"""Algorithms, their models, datasets and recipes, as a table."""

from rich.console import Console

from cytosuite.benchmark.catalog import ROOT, algorithms, dataset_manifests, recipes
from cytosuite.benchmark.commands.options import TableOptions
from cytosuite.benchmark.commands.table import Cell, Table, keep, show
from cytosuite.manifest import ModelCard, read_card, read_recipe
from cytosuite.metrics.boards import BOARDS

NAMES = ("kind", "name", "task")


def show_list(options: TableOptions, console: Console) -> None:
    """Show all there is, a table for each kind, and write it where that is asked for.

    Parameters
    ----------
    options : TableOptions
        Files, and whether all columns are shown.
    console : Console
        Of the terminal.
    """
    table = listing()
    if not options.stdout_is_data:
        for kind in dict.fromkeys(str(row[0]) for row in table.rows):
            console.print(f"[bold]{kind}s[/]")
            own = [row[1:] for row in table.rows if row[0] == kind]
            show(Table(table.names[1:], own), console, wide=options.wide)
            console.print()
    keep(table, options)


def listing() -> Table:
    """Return algorithms, models, datasets and recipes with their purpose.

    Returns
    -------
    Table
        ``kind``, ``name``, ``task``, the primary metrics of the boards, ``purpose``, ``scored on``.
        A model has a row for each data set in its card; one without scores is used only when it
        is named.
    """
    rows: list[dict[str, Cell]] = []
    for name, algorithm in algorithms().items():
        rows.append(_row("algorithm", name, algorithm.task, algorithm.description))
    for path in sorted((ROOT / "weights").glob("*/*.json")):
        rows += _model(read_card(path))
    for name, dataset in dataset_manifests().items():
        rows.append(_row("dataset", name, dataset.task, dataset.description))
    for name, path in recipes().items():
        rows.append(_row("recipe", name, None, read_recipe(path).title))
    metrics = dict.fromkeys(name for board in BOARDS.values() for name in board.primary)
    names = [*NAMES, *metrics, "purpose", "scored on"]
    return Table(names, [[row.get(name) for name in names] for row in rows])


def _row(kind: str, name: str, task: str | None, purpose: str) -> dict[str, Cell]:
    """Return one row."""
    return {"kind": kind, "name": name, "task": task, "purpose": purpose}


def _model(card: ModelCard) -> list[dict[str, Cell]]:
    """Return a row of a model for each data set that it was scored on."""
    row = _row("model", f"{card.algorithm}/{card.name}", None, card.description)
    return [
        row | {name: float(value) for name, value in scores.items()} | {"scored on": data}
        for data, scores in card.scores.items()
    ] or [row | {"scored on": "nothing: used only by name"}]
