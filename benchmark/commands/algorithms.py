"""Commands ``list``, ``new`` and ``check``: algorithms and all that there is for them."""

import json
import keyword
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory

from rich.console import Console

from cytosuite.benchmark.catalog.models import algorithms, named_models, rules_of
from cytosuite.benchmark.catalog.packed import made_for
from cytosuite.benchmark.catalog.places import PACKAGE, ROOT, model_homes, need_checkout
from cytosuite.benchmark.commands.options.algorithms import CheckOptions, ListOptions, NewOptions
from cytosuite.benchmark.commands.terminal.console import say
from cytosuite.benchmark.commands.terminal.table import Cell, ValueTable, keep, show
from cytosuite.contract.manifest import (
    ModelCard,
    SelectPolicy,
    read_algorithm,
    read_card,
    read_recipe,
)
from cytosuite.contract.select import left_out
from cytosuite.contract.tasks import TASKS, Task
from cytosuite.datasets.recipes import dataset_manifests, recipes
from cytosuite.errors import InputError, pick
from cytosuite.files import atomic, remove, write_text
from cytosuite.metrics.boards import BOARDS

KEYS = ("kind", "algorithm", "name", "task", "made for")
TEMPLATES = PACKAGE / "benchmark/catalog/scaffold"
WORDS = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")  # of a Python module and of an image's tag
TAKEN = {"base", "debian", "evaluation"}  # images of the containers' own


def list_command(options: ListOptions, console: Console) -> None:
    """Show all there is, a table for each kind: a model in one line, with its best score."""
    table = listing()
    if not options.stdout_is_data:
        for title, part in _parts(table):
            console.print(f"[bold]{title}[/]")
            show(part, console, wide=options.wide)
            console.print()
    keep(table, options)


def listing() -> ValueTable:
    """Return algorithms, models, datasets and recipes with their purpose."""
    rows = []
    manifests = algorithms()
    for name, algorithm in manifests.items():
        rows.append(_row("algorithm", name, algorithm.task, algorithm.description))
    for path in sorted(path for home in model_homes() for path in home.glob("*/*.json")):
        card = read_card(path)
        policy = manifests[card.algorithm].select if card.algorithm in manifests else SelectPolicy()
        used = card.name in {rule.model for rule in rules_of(card.algorithm)}
        doubt = left_out(card, policy)
        rows += _model(card, "in use" if used else f"used only by name: {doubt}" if doubt else "")
    for name, dataset in dataset_manifests().items():
        rows.append(_row("dataset", name, dataset.task, dataset.description))
    for name, path in recipes().items():
        rows.append(_row("recipe", name, None, read_recipe(path).title))
    first, *others = dict.fromkeys(name for board in BOARDS.values() for name in board.primary)
    return ValueTable([*KEYS, first, "scored on", *others, "purpose"], rows)


def _parts(table: ValueTable) -> Iterator[tuple[str, ValueTable]]:
    """Yield a title and a table for each kind, and for the models of each algorithm."""
    parts: dict[str, dict[Cell, Mapping[str, Cell]]] = {}
    for row in table.rows:
        title = f"{row['kind']}s" + (f" of {row['algorithm']}" if "algorithm" in row else "")
        parts.setdefault(title, {}).setdefault(row["name"], row)
    for title, rows in parts.items():
        yield title, ValueTable(table.names[2:], list(rows.values()))


def _row(kind: str, name: str, task: str | None, purpose: str) -> dict[str, Cell]:
    """Return one row."""
    return {"kind": kind, "name": name, "task": task, "purpose": purpose}


def _model(card: ModelCard, remark: str) -> list[dict[str, Cell]]:
    """Return rows of a model by scored data set, the best first, with a remark on its choice."""
    row = _row("model", card.name, None, card.description)
    row |= {"algorithm": card.algorithm, "made for": made_for(card)}
    primary = BOARDS[card.task].primary if card.task in BOARDS else ()
    end = f"; {remark}" if remark else ""
    rows = [
        row | {name: float(value) for name, value in scores.items()} | {"scored on": data + end}
        for data, scores in card.scores.items()
    ]
    rows.sort(key=lambda cells: -float(cells.get(primary[0]) or 0.0) if primary else 0.0)
    return rows or [row | {"scored on": "nothing: " + remark.partition(":")[0]}]


def new_command(options: NewOptions, console: Console) -> None:
    """Start an algorithm, and print its folders."""
    for folder in new(options.name, options.task, torch=options.torch):
        say(console, f"written: {folder}")
    add = f"cytosuite model add FILE --like {options.name} --name NAME, then "
    say(console, f"next: {add if options.torch else ''}cytosuite check {options.name}")


def new(name: str, task: str, *, torch: bool = False) -> list[Path]:
    """Write the files of a new algorithm, of one of `torch` without a model card."""
    from cytosuite.benchmark.runs.finished import need_free

    if torch and task != "segment":
        raise InputError(f"--torch: expected the task segment, found {task}")
    (chosen,) = pick("task", [task], TASKS)
    need_checkout("a new algorithm")
    if not WORDS.fullmatch(name) or keyword.iskeyword(name) or name in TAKEN:
        raise InputError(
            "name must be lower-case words joined by _ (a-z, 0-9, a letter first), and neither a "
            f"word of Python nor {', '.join(sorted(TAKEN))}; found {name!r}"
        )
    need_free(name)
    homes = [ROOT / room / name for room in ("algorithms", "tests/algorithms", "weights")]
    if taken := [home for home in homes if home.exists()]:
        raise InputError(f"{taken[0]}: exists already; choose another name")
    files = _files(name, TASKS[chosen], torch=torch)
    try:
        for home in homes[: 3 - torch]:
            with atomic(home) as temporary:
                temporary.mkdir()
                for path, text in files.items():
                    if path.parent == home:
                        (temporary / path.name).write_text(text, "utf-8")
        _list(name, TASKS[chosen])
    except BaseException:  # also Ctrl-C: all of the folders, or none
        for home in homes:
            remove(home)
        raise
    return homes[: 3 - torch]


def _files(name: str, task: Task, *, torch: bool) -> dict[Path, str]:
    """Return the files of a new algorithm with their content."""
    images = [socket for socket in task.inputs if socket.is_volume]
    main = next(
        (socket for socket in images if not socket.optional),
        next((socket for socket in images if socket.kind == "labels"), None),
    )
    output = task.main_output if main is not None else None
    if torch:
        template = "torch"
    elif main is None or output is None:
        template = "json"
    elif output.movie:
        template = "tracks"
    else:
        template = "canvas" if main.kind == "canvas" else output.kind
    words = {
        "name": name,
        "title": name.replace("_", " ").capitalize(),
        "task": task.name,
        "tasks": ", ".join(TASKS),
        "needs": json.dumps([main.slug] if main is not None and main.optional else []),
        "main": main.slug if main is not None else "",
        "output": (output or task.outputs[0]).slug,
    }
    algorithm = ROOT / "algorithms" / name
    places = {
        algorithm / "algorithm.toml": "algorithm.toml",
        algorithm / "predict.py": f"{template}.py",
        algorithm / "README.md": "README.md",
        ROOT / "weights" / name / "default.json": "card.json",
        ROOT / "tests/algorithms" / name / "test_predict.py": f"test_{template}.py",
    }
    texts = {path: TEMPLATES / f"{file}.template" for path, file in places.items()}
    files = {path: Template(t.read_text("utf-8")).substitute(words) for path, t in texts.items()}
    return files | {algorithm / "__init__.py": f'"""The algorithm {name}."""\n'}


def _list(name: str, task: Task) -> None:
    """Add a row to the table of algorithms in their README, where there is one."""
    path = ROOT / "algorithms/README.md"
    if not path.is_file():
        return
    text = path.read_text("utf-8").rstrip("\n")
    write_text(
        path,
        f"{text}\n| [{name}]({name}/README.md) | {task.name} | What it does, in a sentence. |\n",
    )


def check_command(options: CheckOptions, console: Console) -> int:
    """Check an algorithm as its container would run it, unisolated; exit code 1 if one fails."""
    from cytosuite.benchmark.catalog.contract import Check, checks
    from cytosuite.benchmark.runs.trial import running  # loads the readers

    name = options.name
    folders = (ROOT / "algorithms").glob("*/")
    pick("algorithm", [name], [folder.name for folder in folders if folder.name[:1] not in "._"])
    results = Counter[str]()

    def show(done: Check) -> None:
        """Count and show a check."""
        results[done.result] += 1
        say(console, done.line)

    title = "manifest: algorithm.toml"
    try:
        manifest = read_algorithm(ROOT / "algorithms" / name / "algorithm.toml")
    except InputError as error:
        show(Check(title, "FAIL", str(error)))
        return 1
    show(Check(title))
    models = named_models(options.model, [name])
    with TemporaryDirectory() as folder, running(manifest, Path(folder), models) as run:
        for done in checks(ROOT, manifest, run, models.get(name)):
            show(done)
    say(console, f"{name}: {results['pass']} passed, {results['FAIL']} failed")
    return 1 if results["FAIL"] else 0
