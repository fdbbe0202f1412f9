"""Options of the commands for challenges, see `cytosuite.benchmark.commands.options`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cytosuite.benchmark.commands.options import GuestOptions, PhaseOptions

MOST_REHEARSED = 100


@dataclass(frozen=True, kw_only=True)
class RehearseOptions(GuestOptions):
    """Options of a rehearsal."""

    algorithm: Annotated[
        str, typer.Argument(help="Name in algorithms/, image:tag or .tar.gz of others.")
    ]
    task: Annotated[str | None, typer.Option(help="Of an image of others: segment, ...")] = None
    dataset: Annotated[
        str | None, typer.Option(help="Images to rehearse on: a dataset, recipe or folder.")
    ] = None
    profile: Annotated[
        str | None, typer.Option(help="Machine, like gc-t4-16gb; the smallest that suffices.")
    ] = None
    runs: Annotated[Path | None, typer.Option(help="Folder for all results.")] = None
    cases: Annotated[int, typer.Option(min=1, max=MOST_REHEARSED, help="How many at most.")] = 3


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions(PhaseOptions):
    """Options of an evaluation on a challenge platform."""

    out: Annotated[Path, typer.Option(help="Folder for the files to upload.")] = Path("dist")
    image: Annotated[bool, typer.Option(help="Build the evaluation container too.")] = False
    run: Annotated[
        Path | None,
        typer.Option(help="Rehearse it with the outputs of a run: folder, or name in runs/."),
    ] = None
