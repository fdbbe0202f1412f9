"""Commands for those who keep the repository: accepted scores, tables, variables, bundles."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import NamedTuple, get_type_hints

from rich.console import Console

from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.catalog.places import PACKAGE, ROOT, need_checkout
from cytosuite.benchmark.commands.app import COMMANDS, MAINTAIN
from cytosuite.benchmark.commands.options.maintain import (
    AcceptOptions,
    BundleOptions,
    CompileOptions,
    MigrateOptions,
    TablesOptions,
)
from cytosuite.benchmark.commands.terminal.console import progress, say
from cytosuite.benchmark.runs.finished import FACTS
from cytosuite.benchmark.runs.store.documents import rendered
from cytosuite.errors import InputError, pick
from cytosuite.files import TextDict, need_folder, write_json, write_text

PART = "training.bundle"
PAGE = ROOT / "docs/variables.md"
PICTURE = ROOT / "docs/history.svg"
# Goals of the Makefile with the options of a command.
GOALS = (
    *("benchmark", "segment", "apply", "train", "simulate", "list", "doctor", "new", "rehearse"),
    *("export", "preflight", "build-evaluation", "compare", "build", "bundle"),
)
# Options that a recipe sets by itself.
CTC = {"CTC", "SERIES", "TRUTH", "TRUE_LABELS", "CROP"}
SET = {"compare": {"ACCEPTED"}, "build-evaluation": {"IMAGE"}, "export": CTC}
SWITCH = "0 or 1"  # of the page, by which docker/make.py knows one
EVERYWHERE = {"ENGINE": "auto"}  # of the Makefile


class Variable(NamedTuple):
    """An option as a variable of the Makefile."""

    name: str
    help: str
    default: str = ""
    kind: str = "placed"  # "switch", "flag", or "placed" by the recipe or the environment


def accept_command(options: AcceptOptions, console: Console) -> None:
    """Accept the scores of a run."""
    from cytosuite.benchmark.scores.comparison.accepted import accept
    from cytosuite.benchmark.scores.comparison.scored import read_scored

    need_checkout("to accept scores")
    scored = read_scored(options.run)
    name = options.name or scored.place.resolve().name
    say(console, f"written: {accept(scored, name, options.title or '')}")


def tables_command(options: TablesOptions, console: Console) -> int:
    """Write tables, variables and digests of simulations; exit code 1 if a run is stale."""
    from cytosuite.benchmark.scores.circumstances import simulation_today
    from cytosuite.benchmark.scores.comparison.accepted import ACCEPTED, accepted
    from cytosuite.benchmark.scores.comparison.documents import documents, outdated, written
    from cytosuite.benchmark.scores.comparison.history import history_picture

    need_checkout("a change of the documents")
    runs = accepted()
    texts = {PAGE: page(), PICTURE: history_picture(ACCEPTED)}
    if not options.check:
        for path, text in (texts | {path: written(path, runs) for path in documents()}).items():
            if text != _read(path):
                write_text(path, text)
                say(console, f"written: {path.relative_to(ROOT)}")
    stale = [str(path.relative_to(ROOT)) for path, text in texts.items() if _read(path) != text]
    lines = [*stale, *outdated(runs)]
    if not (lines or options.check):  # the data are the same: they need not be made again
        for run in runs.values():
            former = run.said("simulation")
            if former and former != (today := simulation_today(run.table("request"))):
                write_json(run.place / FACTS, {**run.facts, "simulation": today})
    say(console, *(f"stale: {line}" for line in lines))
    return 1 if lines else 0


def _read(path: Path) -> str:
    """Return the text of a file, empty without one."""
    return path.read_text("utf-8") if path.exists() else ""


def variables(goal: str) -> list[Variable]:
    """Return the variables of a goal, in the order of the options of its command."""
    commands = [command for group in (*COMMANDS.values(), MAINTAIN) for command in group]
    options = next(command for command in commands if command.name == goal).options
    hints = get_type_hints(options)
    listed = []
    for option in fields(options):
        meta = option.metadata
        name = meta["metavar"] or meta["flag"].strip("-") or option.name
        use = "placed" if meta["placed"] else "switch" if hints[option.name] is bool else "flag"
        default = "" if option.default in (MISSING, None, False, ()) else str(option.default)
        if use == "switch" and not default:
            default = SWITCH
        listed.append(Variable(name.upper().replace("-", "_"), meta["help"], default, use))
    more = {
        "train": [Variable("REAL", "Folder of real images: DATA=real=<folder>.")],
        "compare": [
            Variable("RUN", "The run, a folder or a name in runs/."),
            Variable("WITH", "The run before; the accepted scores without it."),
        ],
    }.get(goal, [])
    hidden = {*SET.get(goal, ()), "RUNS" if more else ""}
    listed = [variable for variable in listed if variable.name not in hidden]
    if any(variable.name == "ENGINE" for variable in listed):
        more.append(Variable("SIF", "Folder of images for ENGINE=apptainer."))
    return [variable for variable in listed if variable.default != "True"] + more


def page() -> str:
    """Return docs/variables.md: a row per variable with its goals, meaning and default."""
    texts: TextDict = {}
    goals: dict[str, TextDict] = {}
    for goal in GOALS:
        for variable in variables(goal):
            texts.setdefault(variable.name, variable.help)
            default = EVERYWHERE.get(variable.name, variable.default)
            goals.setdefault(variable.name, {})["build-*" if goal == "build" else goal] = default
    return rendered(Path(__file__).with_name("variables.template"), texts=texts, goals=goals)


def bundle_command(options: BundleOptions, _: Console) -> int:
    """Pack models as MONAI bundles, in a process of its own: it needs torch."""
    from cytosuite.benchmark.catalog.packages import need_packages

    algorithm = options.algorithm
    described = f"{PART.replace('.', '/')}.py"
    candidates = [
        name for name in algorithms() if (ROOT / "algorithms" / name / described).is_file()
    ]
    pick("algorithm with networks to bundle", [algorithm], candidates)
    cards = chosen_cards(algorithm, options.model)
    need_packages(algorithm, PART)
    need_folder(options.out)
    command = [sys.executable, "-m", f"cytosuite.{PART}", *(str(card.resolve()) for card in cards)]
    # This command ends with its line on a mistake and its exit code.
    command += ["--out", str(options.out.resolve())]
    return subprocess.run(command, cwd=PACKAGE.parent, check=False).returncode


def chosen_cards(algorithm: str, model: str | None) -> Sequence[Path]:
    """Return the card that a user names or, without a name, all that have weights."""
    from cytosuite.benchmark.catalog.models import named_models
    from cytosuite.contract.weights import read_cards

    if model is not None:
        return list(named_models(model, [algorithm]).values())
    folder = ROOT / "weights" / algorithm
    cards = [card for card in read_cards(folder, algorithm) if card.weights is not None]
    if not cards:
        raise InputError(f"{folder}: no model card with weights; train a model, or name its card")
    return [folder / f"{card.name}.json" for card in cards]


def migrate_command(options: MigrateOptions, console: Console) -> None:
    """Translate a parameter file of the published spheroid simulators into a recipe."""
    from cytosuite.datasets.calibration.calibrate import to_toml
    from cytosuite.datasets.spheroid.migration import migrate

    migrated = migrate(options.parameters, options.out.parent)
    lines = [f"not translated: {line}" for line in migrated.untranslated]
    lines += [f"note: {line}" for line in migrated.notes]
    write_text(options.out, to_toml(migrated.recipe, {}, lines))
    say(console, *lines, f"written: {options.out}")


def compile_command(options: CompileOptions, console: Console) -> None:
    """Compile loops into numba's cache."""
    from cytosuite.benchmark.runs.data.loops import compile_loops

    with progress(console, "compiling loops") as step:
        compile_loops(options.parts, step)
