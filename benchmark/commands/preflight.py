"""The command that checks uploads before they are made."""

import json as json_text
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from cytosuite.benchmark.submission.checks.rules import Finding

KINDS = {"image": "image archive", "tarball": "tarball", "output": "output folder"}
STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


def preflight_command(
    files: Annotated[
        list[Path],
        typer.Argument(help="Image archives, tarballs of weights or truth, output folders."),
    ],
    task: Annotated[str | None, typer.Option(help="Task of an output folder.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write as JSON here, - for stdout.")] = None,
) -> None:
    """Check an upload to a challenge platform: seconds, without Docker."""
    from cytosuite.benchmark.catalog import pick
    from cytosuite.benchmark.commands.console import console
    from cytosuite.benchmark.commands.options import STDOUT
    from cytosuite.benchmark.submission.checks.preflight import preflight, upload_kind
    from cytosuite.files import write_json
    from cytosuite.places import need_file
    from cytosuite.tasks import TASKS

    if task is not None:
        pick("task", [task], TASKS)
    if json is not None and json != STDOUT:
        need_file(json)
    screen = console(stderr=json == STDOUT)
    kinds = {path: upload_kind(path) for path in files}
    found = {path: preflight(path, TASKS[task] if task else None) for path in kinds}
    for path, findings in found.items():
        show_findings(screen, f"{path}: {KINDS[kinds[path]]}", findings)
    summary = _summary(found)
    if json is not None:
        value = summary | {
            "files": [
                {"file": str(path), "kind": kinds[path], "findings": [f.as_json() for f in rows]}
                for path, rows in found.items()
            ]
        }
        if json == STDOUT:
            typer.echo(json_text.dumps(value, indent=2, ensure_ascii=False))
        else:
            write_json(json, value)
    screen.print(f"verdict: {_words(summary)}", highlight=False, markup=False)
    raise typer.Exit(1 if summary["error"] else 0)


def show_findings(screen: "Console", title: str, findings: Sequence["Finding"]) -> None:
    """Show findings below a title, the grave ones first, each with its remedy.

    Parameters
    ----------
    screen : Console
        Shows the lines.
    title : str
        Name of the file.
    findings : sequence of Finding
        In any order.
    """
    from cytosuite.benchmark.submission.checks.rules import SEVERITIES

    screen.print(title, highlight=False, markup=False, soft_wrap=True)
    for severity in SEVERITIES:
        for found in (each for each in findings if each.severity == severity):
            line = f"  {severity}  {found.rule}  {found.where}: {found.text}"
            style = STYLES[severity]
            screen.print(line, style=style, highlight=False, markup=False, soft_wrap=True)
            screen.print(f"      do: {found.fix}", highlight=False, markup=False, soft_wrap=True)
    if not findings:
        screen.print("  nothing found", highlight=False, markup=False)


def _summary(found: Mapping[Path, Sequence["Finding"]]) -> dict[str, Any]:
    """Return the verdict and the number of findings of each severity."""
    from cytosuite.benchmark.submission.checks.rules import SEVERITIES

    every = [each.severity for findings in found.values() for each in findings]
    verdict = "refused" if "error" in every else "accepted"
    return {"verdict": verdict, **{severity: every.count(severity) for severity in SEVERITIES}}


def _words(summary: Mapping[str, Any]) -> str:
    """Return a summary as a line."""
    numbers = [
        f"{summary[severity]} {severity}" + ("s" if summary[severity] != 1 else "")
        for severity in STYLES
    ]
    what = "do not upload" if summary["error"] else "may be uploaded"
    return f"{what}: {', '.join(numbers)}"
