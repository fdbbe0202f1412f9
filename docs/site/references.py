"""Pages of the site that are written from the program itself: commands, metrics, rules, Python."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields
from inspect import cleandoc
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from cytosuite.benchmark.commands.app import COMMANDS, MAINTAIN, Command
from cytosuite.benchmark.submission.checks.rules import RULES, SEVERITIES
from cytosuite.metrics.metric import FAMILIES, Metric, metrics_of

WORDS = {int: "whole number", float: "number", str: "text", Path: "path"}
# Modules for users, and the names in each that are shown; all of them without names.
PYTHON: Mapping[str, tuple[str, ...]] = {
    "cytosuite.volume": ("Volume", "Header", "Origin"),
    "cytosuite.formats": ("read", "header", "slabs", "channels", "write"),
    "cytosuite.apply": ("apply", "DoubtfulModelWarning"),
    "cytosuite.metrics.metric": ("Metric", "metric", "family", "metrics_of", "board_metrics"),
    "cytosuite.metrics.evidence": (),
    "cytosuite.monai.images": (),  # all of them are names of cytosuite.monai
    "cytosuite.monai.inferers": (),
    "cytosuite.monai.scheduler": (),
    "cytosuite.training.parts": ("Training",),
}
TERMINAL = """---
search: {boost: 2}
---

# Commands

`cytosuite COMMAND --help` says the same on the terminal."""
METRICS = """---
search: {{boost: 3}}
---

# Metrics

All {}, from their definitions. `from cytosuite.metrics import seg` takes one by its name in Python,
`cytosuite score --metrics SEG` by its name in tables.
[Boards, and how to add a metric](../cytosuite/metrics/README.md)."""
UPLOADS = """# Rules of uploads

`cytosuite preflight FILE` knows {} rules: {error} errors, which the platform refuses, {warning}
warnings and {note} notes. `rehearse` and `export` apply them too: [hand in](../docs/hand-in.md),
[submission](../benchmark/submission/README.md)."""
LIBRARY = """---
search: {boost: 0.5}
---

# Python

The parts of the package that programs may rely on. [From Python](../docs/python.md) shows them at
work; each of the [metrics](metrics.md) is a function of `cytosuite.metrics`."""
RULE_GROUPS = {
    "archive": "Archive of an image",
    "image": "Image",
    "layer": "Layers of an image",
    "tarball": "Tarball of models",
    "output": "Outputs",
}


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Return the lines of a Markdown table; a bar in a cell is escaped."""
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    columns = list(heads)
    return ["", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"] + [
        f"| {line} |" for line in lines
    ]


def commands() -> str:
    """Return the page of all commands, with a table of the options of each."""
    lines = [TERMINAL]
    for title, group in {**COMMANDS, "Maintain": MAINTAIN}.items():
        prefix = "maintain " if group is MAINTAIN else ""
        lines += ["", f"## {title}"]
        for command in group:
            lines += _command(command, f"cytosuite {prefix}{command.name}")
    return "\n".join([*lines, ""])


def _command(command: Command, words: str) -> list[str]:
    """Return the section of a command."""
    options = command.options
    hints, members = get_type_hints(options), fields(options)
    places = [field for field in members if field.name in _arguments(members)]
    usage = [f"[{e.name.upper()}]" if e.default is not MISSING else e.name.upper() for e in places]
    lines = ["", f"### {words}", "", command.help, "", "```"]
    lines += [" ".join([words, *usage, *["[OPTIONS]"][: len(members) > len(places)]]), "```"]
    rows = [_option(field, hints[field.name], argument=field in places) for field in members]
    ordered = sorted(rows, key=lambda row: row[0].startswith("`--"))
    return lines + (table(("option", "value", "meaning", "default"), ordered) if rows else [])


def _arguments(members: Iterable["Field[Any]"]) -> set[str]:
    """Return the names of the options that stand in their place, without a name."""
    return {
        field.name for field in members if type(field.metadata["mark"]).__name__ == "ArgumentInfo"
    }


def _option(field: "Field[Any]", kind: object, *, argument: bool) -> tuple[str, str, str, str]:
    """Return the row of an option: its name, kind of value, meaning, default."""
    mark, flag = field.metadata["mark"], field.metadata["flag"]
    name = field.name.upper() if argument else flag or f"--{field.name.replace('_', '-')}"
    value, default = _kind(kind, field.metadata["parse"] is not None), field.default
    if mark.min is not None or mark.max is not None:
        top = "" if mark.max is None or mark.max >= 2**31 else f" to {mark.max:g}"
        value += f", {mark.min:g}{top}" if top else f", from {mark.min:g}"
    if kind is bool and default is True:
        name = f"--no-{field.name.replace('_', '-')}"
    meaning = field.metadata["help"] + (f" Also `{mark.envvar}=`." if mark.envvar else "")
    shown = "" if default is None or default == () or isinstance(default, bool) else f"`{default}`"
    return f"`{name}`", value, meaning, "**required**" if default is MISSING else shown


def _kind(kind: Any, parsed: bool) -> str:  # noqa: ANN401 - a type
    """Return the kind of value that an option takes, in words."""
    if get_origin(kind) in (Union, UnionType):
        kind = next(part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is Literal:
        return ", ".join(f"`{word}`" for word in get_args(kind))
    if kind is bool:
        return "switch"
    if parsed:
        return "text"
    inner = next(iter(get_args(kind)), None)  # of several, in their place
    return f"{WORDS.get(inner, 'text')}s" if inner else WORDS.get(kind, "text")


def metrics() -> str:
    """Return the page of all metrics: a table, then what each is."""
    families = {family: metrics_of(family) for family in FAMILIES}
    lines = [METRICS.format(sum(map(len, families.values())))]
    heads = ("metric", "title", "range", "better", "needs", "source")
    for family, members in families.items():
        rows = [(f"[`{m.name}`](#{_anchor(m)})", *_facts(m)) for m in members]
        lines += ["", f"## {FAMILIES[family]}", *table(heads, rows)]
    for family, members in families.items():
        lines += ["", f"## Definitions: {FAMILIES[family].lower()}"]
        for metric in members:
            lines += _definition(metric)
    return "\n".join([*lines, ""])


def _anchor(metric: Metric[Any]) -> str:
    """Return the anchor of a metric: its name in Python, after its family."""
    return f"{metric.family}-{metric.function.__name__}"


def _facts(metric: Metric[Any]) -> tuple[str, ...]:
    """Return title, range, direction, needs and source of a metric."""
    best, worst, doi = metric.best, metric.worst, metric.reference
    low, high = sorted((best, worst), key=lambda end: (end is None, end or 0))
    if best is None and worst is None:
        extent = "any"
    elif high is None:
        extent = f"from {low:g}" if best is not None or worst == 0 else f"to {low:g}"
    else:
        extent = f"{low:g} to {high:g}"
    better = {True: "higher", False: "lower", None: "describes"}[metric.higher_is_better]
    source = f"[{doi}](https://doi.org/{doi})" if doi else ""
    return metric.title, extent, better, ", ".join(metric.evidence.needs), source


def _definition(metric: Metric[Any]) -> list[str]:
    """Return the section of a metric: its documentation as Markdown."""
    text = cleandoc(metric.function.__doc__ or metric.title).replace("``", "`")
    text = re.sub(r"^Examples\n-+\n", "", text, flags=re.MULTILINE)
    # A block of doctest becomes a block of code.
    text = re.sub(
        r"(?:^>>>.*\n?(?:^(?!>>>).+\n?)*)+",
        lambda m: f"```pycon\n{m[0].rstrip()}\n```\n",
        text,
        flags=re.MULTILINE,
    )
    name = metric.function.__name__
    lines = ["", f"### {metric.name} {{ #{_anchor(metric)} }}", ""]
    lines += [f"{metric.title}: `{metric.function.__module__}.{name}`", "", text]
    return lines + (["", f"Undefined (NaN) {metric.undefined}."] if metric.undefined else [])


def rules() -> str:
    """Return the page of the rules of an upload."""
    counts = {level: sum(rule.severity == level for rule in RULES.values()) for level in SEVERITIES}
    lines = [UPLOADS.format(len(RULES), **counts)]
    for group in dict.fromkeys(name.partition(".")[0] for name in RULES):
        rows = [
            (f"`{name}`", rule.severity, rule.title, rule.fix, rule.source)
            for name, rule in RULES.items()
            if name.startswith(f"{group}.")
        ]
        heads = ("rule", "severity", "state that keeps to it", "remedy", "source")
        lines += ["", f"## {RULE_GROUPS.get(group, group.capitalize())}", *table(heads, rows)]
    return "\n".join([*lines, ""])


def python() -> str:
    """Return the page of the public parts of the library, for mkdocstrings."""
    lines = [LIBRARY]
    for module, names in PYTHON.items():
        lines += ["", f"## {module}", "", f"::: {module}", "    options:"]
        lines += ["      show_root_toc_entry: false"]
        lines += [f"      members: [{', '.join(names)}]"] if names else []
    return "\n".join([*lines, ""])


PAGES: Mapping[str, Callable[[], str]] = {
    "reference/commands.md": commands,
    "reference/metrics.md": metrics,
    "reference/rules.md": rules,
    "reference/python.md": python,
}
