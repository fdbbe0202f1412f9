"""The files of a run before it begins, the command that repeats it, and its last lines."""

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, fields
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from cytosuite import __version__
from cytosuite.benchmark.catalog import models as cards
from cytosuite.benchmark.catalog.places import CHECKOUT
from cytosuite.benchmark.commands.options.benchmark import BenchmarkOptions
from cytosuite.benchmark.commands.terminal.console import say
from cytosuite.benchmark.commands.terminal.options import TableOptions
from cytosuite.benchmark.commands.terminal.table import ValueTable, give
from cytosuite.benchmark.engines import gpu, outcome
from cytosuite.benchmark.runs.data.dataset import Dataset
from cytosuite.benchmark.runs.plan import Job
from cytosuite.benchmark.runs.store.csvfile import write_rows
from cytosuite.benchmark.runs.store.integrity import digests, unaltered
from cytosuite.benchmark.scores import circumstances
from cytosuite.benchmark.scores.circumstances import RunFacts, revision
from cytosuite.contract.tasks import Task
from cytosuite.errors import count
from cytosuite.files import TextDict, TextMap, TextSeq, atomic, frozen, visible_files, write_json
from cytosuite.folders.splits import TABLE, Placed, split_rows

if TYPE_CHECKING:
    from cytosuite.benchmark.runs.cluster.dask_pool import DaskPool
    from cytosuite.benchmark.scores.results import Results


# Of options that are called otherwise on the command line.
NAMES = {"settings": "set", "only": "part"}
# On the results.
WITHOUT_EFFECT = {"runs", "workers", "retry", "verify", "cluster", "shard", "wide", "csv", "json"}
FAILURES = 10  # that the console lists
FILE = ".conclusion.json"


@frozen
class PlannedRun:
    """A dataset and its answerers, in the folder that the run has locked."""

    folder: Path
    dataset: Dataset
    task: Task
    engine: outcome.Engine
    jobs: Sequence[Job]
    options: BenchmarkOptions
    console: Console
    models: cards.Models = field(default_factory=dict)  # that the user names
    parts: Mapping[str, Sequence[Placed]] = field(default_factory=dict)  # of a folder, see `Recipe`
    pool: "DaskPool | None" = None


def circumstances_of(options: BenchmarkOptions, engine: outcome.Engine, notes: TextSeq) -> RunFacts:
    """Return the circumstances of a run, with the command that repeats it."""
    memory = f"{options.memory:g} GiB" if options.memory else "memory as each manifest says"
    return RunFacts(
        engine.name,
        options.api or engine.api,
        command_of(options, engine.name),
        f"{memory}, {options.timeout:g} s, {os.cpu_count()} cores per case",
        (*notes, *engine.notes),
        {name: external.origin for name, external in engine.externals.items()},
    )


def write_run(run: PlannedRun, facts: RunFacts) -> None:
    """Write the description of a run before it begins, with all that its scores depend on."""
    dataset = run.dataset
    jobs = run.jobs
    models = {
        job.algorithm.name: {
            card.name: circumstances.model_digest(card)
            for card in cards.cards_of(job.algorithm.name, run.models)
        }
        for job in jobs
        if not job.external
    }
    if rows := split_rows(run.parts):
        write_rows(run.folder / TABLE, rows)
    write_json(
        run.folder / "run.json",
        {
            "command": facts.command,
            "dataset": dataset.name,
            "task": run.task.name,
            "fingerprint": dataset.fingerprint,
            "engine": facts.engine,
            "api": facts.api,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "jobs": {job.algorithm.name: job.key for job in jobs},
            "request": circumstances.request_facts(run.options.request),
            "cytosuite": f"{__version__} {revision()}".strip(),
            "versions": {job.algorithm.name: job.algorithm.version for job in jobs},
            "models": models,
            "cases": circumstances.case_digests(dataset),
            "reference": len(dataset.reference),
            **gpu.gpu_facts(run.options.device),
        },
    )


def command_of(options: BenchmarkOptions, engine: str) -> str:
    """Return the command that repeats a run: every option that is not as it is without a word."""
    words = typed_options(options)
    words["engine"] = engine if options.engine == "auto" else options.engine
    dataset = words.pop("dataset")
    if not CHECKOUT:
        return command_line("benchmark", [dataset], words)
    typed = {name: "1" if value == str(True) else quote(value) for name, value in words.items()}
    variables = (f"{k.upper()}={v}" for k, v in {"dataset": quote(dataset), **typed}.items())
    return " ".join(["make benchmark", *variables])


def command_line(command: str, arguments: Iterable[str], words: TextMap) -> str:
    """Return a command as a user types it, with its options by their names."""
    flags = (
        f"--{name.replace('_', '-')}" + ("" if value == str(True) else f" {quote(value)}")
        for name, value in words.items()
    )
    return " ".join([f"cytosuite {command}", *map(quote, arguments), *flags])


def typed_options(options: TableOptions) -> TextDict:
    """Return the options of a command that decide its results and were given."""
    texts = {}
    for option in fields(options):
        value = getattr(options, option.name)
        if option.name not in WITHOUT_EFFECT and value != option.default and (value or value == 0):
            texts[NAMES.get(option.name, option.name)] = _text(option.name, value)
    return texts


def _text(name: str, value: Any) -> str:  # noqa: ANN401 - of any option
    """Return the value of an option as a user types it."""
    if isinstance(value, (list, tuple)):
        return (" " if name == "settings" else ",").join(_text(name, part) for part in value)
    return f"{value:.12g}" if isinstance(value, float) else str(value)


@frozen
class Conclusion:
    """Leaderboard, notes and failures of a run."""

    table: ValueTable
    lines: TextSeq
    log: str  # of the first failed case, below the folder of the run; empty without
    failed: bool  # whether a case or a control failed
    origin: str  # digest of all that decides it
    files: TextMap  # digests of the reports


def concluded(results: "Results", origin: str, run: Path, options: BenchmarkOptions) -> Conclusion:
    """Return leaderboard, notes and failures of a run with written reports, and keep them."""
    from cytosuite.benchmark.report.files import leaderboard

    failures, log = _failures(results)
    rows = leaderboard(results)
    table = ValueTable(
        list(rows[0]) if rows else ["rank", "algorithm"],
        rows,
        keys=2,
        quiet=frozenset(n for n, row in enumerate(rows) if row["control"]),
        main=5 + 4 * len(results.board),  # the metrics to rank by
    )
    lines = [
        *(f"note: {note}" for note in results.notes),
        *failures,
        *(f"broken ruler: {line}" for line in results.broken),
    ]
    places = [run / "report", *([run / "blind"] if options.blind else [])]
    files = [
        file.relative_to(run).as_posix() for folder in places for file in visible_files(folder)
    ]
    conclusion = Conclusion(
        table, lines, log, bool(failures or results.broken), origin, digests(run, sorted(files))
    )
    with atomic(run / FILE) as temporary:
        temporary.write_bytes(TypeAdapter(Conclusion).dump_json(conclusion))
    return conclusion


def _failures(results: "Results") -> tuple[list[str], str]:
    """Return a line for each of the first failed cases and the others, and a log of the run."""
    from cytosuite.benchmark.report.wording import log_path

    failed = [(key, record) for key, record in results.records.items() if not record.ok]
    lines = [f"failed: {a} on {c}: {r.status}: {r.message}" for (a, c), r in failed[:FAILURES]]
    if more := failed[FAILURES:]:
        lines.append(f"failed: {count(len(more), 'more case')}, all of them in the report")
    return lines, next((log_path(*key) for key, _ in failed if results.logs.get(key)), "")


def kept(run: Path, origin: str) -> Conclusion | None:
    """Return the kept conclusion where its origin is the same and its reports are unaltered."""
    try:
        conclusion = TypeAdapter(Conclusion).validate_json((run / FILE).read_bytes())
    except (OSError, ValidationError):
        return None
    return conclusion if origin == conclusion.origin and unaltered(run, conclusion.files) else None


def conclude(conclusion: Conclusion, run: Path, options: BenchmarkOptions, console: Console) -> int:
    """Print leaderboard, notes and failures, and return the exit code."""
    give(conclusion.table, options, console)
    say(console, *conclusion.lines)
    if conclusion.log:
        say(console, f"log of the first: {_short(run)}/{conclusion.log}")
    say(console, f"report: {_short(run / 'report' / 'index.html')}")
    if options.blind:
        say(console, f"blind report: {_short(run / 'blind')}")
    return 1 if conclusion.failed else 0


def _short(path: Path) -> str:
    """Return a path relative to the current folder, if it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
