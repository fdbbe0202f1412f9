"""The choice of a model for images, shown without running anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from cytosuite.benchmark.commands.options import SelectOptions
from cytosuite.benchmark.commands.own_images import candidates_for, own_images
from cytosuite.benchmark.commands.table import Cell, ValueTable, keep, show
from cytosuite.benchmark.models import Models, cards_of, choose_algorithm
from cytosuite.cautions import cautions
from cytosuite.datasets.folder.collect import SOCKETS, Item
from cytosuite.datasets.folder.load import load
from cytosuite.errors import CytosuiteError, InputError, printable
from cytosuite.manifest import AlgorithmManifest
from cytosuite.metadata import acquisition, described, with_given
from cytosuite.select import Selection, Value, describe, select
from cytosuite.tasks import ACQUISITION, TASKS
from cytosuite.volume import Volume

UNSAID = "not given"


@dataclass(frozen=True)
class Decision:
    """The choice of algorithm and model for an image, with all that led to it.

    Parameters
    ----------
    image : Path
        The file.
    algorithm : AlgorithmManifest
        Its ``select`` has the costs.
    named : bool
        Whether the user named the model.
    facts : mapping
        Metadata and geometry of the image, see `cytosuite.select.describe`.
    sources : mapping of str to str
        Source of each.
    selection : Selection
        The chosen card, with all others.
    warnings : sequence of str
        On metadata and choice, as a record has them.
    """

    image: Path
    algorithm: AlgorithmManifest
    named: bool
    facts: Mapping[str, Value]
    sources: Mapping[str, str]
    selection: Selection
    warnings: Sequence[str]

    @property
    def title(self) -> str:
        """Image, algorithm and model in a line."""
        name = f"{self.algorithm.name} {self.selection.card.name}"
        by = " (named by the user)" if self.named else ""
        return f"{printable(str(self.image))}: {name}{by}"

    def metadata(self) -> ValueTable:
        """Return the facts with their sources: those that count first, also where they lack."""
        keys = dict.fromkeys([*self.algorithm.select.keys, *sorted(self.facts)])
        rows = [
            (key, _text(self.facts[key]), self.sources.get(key, "file"))
            if key in self.facts
            else (key, None, UNSAID)
            for key in keys
        ]
        return ValueTable(("key", "value", "source"), rows)

    def candidates(self) -> ValueTable:
        """Return all cards with costs and doubts, the chosen first."""
        cards = [self.selection, *self.selection.others]
        keys = [key for key in self.algorithm.select.keys if any(key in own.terms for own in cards)]
        rows: list[list[Cell]] = [
            [own.card.name, own.cost, *(own.terms.get(key) for key in keys), _remarks(own)]
            for own in cards
        ]
        rows[0][-1] = "; ".join(["chosen", *([str(rows[0][-1])] if rows[0][-1] else [])])
        return ValueTable(("model", "cost", *keys, "remarks"), rows)

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON, with the keys of a record."""
        return {
            "image": printable(str(self.image)),
            "algorithm": self.algorithm.name,
            "by": "user" if self.named else "metadata",
            "metadata": {
                key: {"value": value, "source": self.sources.get(key, "file")}
                for key, value in self.facts.items()
            },
            **self.selection.summary,
            "others": [own.summary for own in self.selection.others],
            "warnings": list(self.warnings),
        }


def show_choice(options: SelectOptions, console: Console) -> int:
    """Show metadata and costs of all models for each image, and return the exit code.

    Parameters
    ----------
    options : SelectOptions
        Images, algorithm or task, and files for the tables.
    console : Console
        Of the terminal.

    Returns
    -------
    int
        0, or 2 if an image cannot be read or has no model: the others are shown all the same.

    Raises
    ------
    InputError
        If there is no such algorithm, task, model, file or folder.
    """
    say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    candidates, models = candidates_for(options, options.task)
    items, skipped = own_images(options, candidates[0].task)
    found: list[Decision] = []
    entries: list[dict[str, Any]] = []
    for item in items:
        try:
            decision = decide(item, candidates, models, options)
        except CytosuiteError as error:
            if len(items) == 1:
                raise InputError(_line(item, error)) from None
            entries.append({"image": printable(str(item.image)), "error": str(error)})
            say(_line(item, error))
            continue
        found.append(decision)
        entries.append(decision.as_json())
        if not options.stdout_is_data:
            _print(decision, options, console)
    for line in skipped:
        say(line)
    keep(_joined(found), options, entries)
    return 2 if len(found) < len(items) else 0


def decide(
    item: Item, candidates: Sequence[AlgorithmManifest], models: Models, options: SelectOptions
) -> Decision:
    """Return the choice for an image, the same as `apply` makes.

    Parameters
    ----------
    item : Item
        The image, and its acquisition metadata.
    candidates : sequence of AlgorithmManifest
        Algorithms of one task, preferred ones first.
    models : mapping of str to Path
        Cards that the user names.
    options : SelectOptions
        Facts about the image and the wanted part of its file.

    Raises
    ------
    CytosuiteError
        If the image cannot be read, or there is no model for it.
    """
    files = {slug: path for slug, path in item.files.items() if SOCKETS[slug].kind == "json"}
    sample = load(replace(item, files=files), options.spacing, options.metadata, options.part)
    main = next(own for own in sample.sockets.values() if isinstance(own, Volume))
    given = sample.sockets.get(ACQUISITION.slug)
    told = acquisition(main) if given is None or isinstance(given, Volume) else given
    volume = described(main, told, item.name)
    volume = with_given(volume, TASKS[candidates[0].task], {*sample.sockets, *item.files})
    facts = describe(volume)
    algorithm = choose_algorithm(candidates, facts, models)
    selection = select(cards_of(algorithm.name, models), facts, algorithm.select)
    warnings = dict.fromkeys([*volume.origin.warnings, *cautions(selection, volume)])
    sources, named = volume.origin.sources, algorithm.name in models
    return Decision(item.image, algorithm, named, facts, sources, selection, list(warnings))


def _print(decision: Decision, options: SelectOptions, console: Console) -> None:
    """Print title, metadata, candidates and warnings of a choice."""
    console.print(decision.title, style="bold", highlight=False, markup=False, soft_wrap=True)
    for table in (decision.metadata(), decision.candidates()):
        show(table, console, wide=options.wide)
        console.print()
    for line in decision.warnings:
        console.print(f"warning: {line}", highlight=False, markup=False, soft_wrap=True)


def _joined(decisions: Sequence[Decision]) -> ValueTable:
    """Return the candidates of all images as one table."""
    tables = [(decision, decision.candidates()) for decision in decisions]
    keys = dict.fromkeys(name for _, table in tables for name in table.names[2:-1])
    names = ["image", "algorithm", "model", "cost", *keys, "remarks"]
    rows: list[list[Cell]] = []
    for decision, table in tables:
        own = {"image": printable(str(decision.image)), "algorithm": decision.algorithm.name}
        for row in table.rows:
            cells: dict[str, Cell] = {**own, **dict(zip(table.names, row, strict=True))}
            rows.append([cells.get(name) for name in names])
    return ValueTable(names, rows)


def _remarks(found: Selection) -> str:
    """Return the doubts about a card in a line."""
    made = found.card.describes
    lines = [f"left out: {found.left_out}"] if found.left_out else []
    lines += [f"made for {key} {_text(made[key])}" for key in found.broken]
    lines += [f"{key} assumed" for key in found.unknown]
    lines += [f"for any {', '.join(found.general)}"] if found.general else []
    return "; ".join(lines)


def _text(value: Value) -> str:
    """Return a fact as text."""
    sizes = value if isinstance(value, tuple) else (value,)
    return " x ".join(f"{own:g}" if isinstance(own, float) else str(own) for own in sizes)


def _line(item: Item, error: CytosuiteError) -> str:
    """Return the failure of an image as a line that names it once."""
    place = str(item.image)
    return str(error) if str(error).startswith(place) else f"{place}: {error}"
