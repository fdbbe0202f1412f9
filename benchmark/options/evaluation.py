"""Options of ``rehearse`` and ``build-evaluation``."""

from dataclasses import dataclass
from pathlib import Path

from cytosuite.benchmark.terminal.options import ExternalOptions, PhaseOptions, option

MOST_REHEARSED = 100


@dataclass(frozen=True, kw_only=True)
class RehearseOptions(ExternalOptions):
    """Options of a rehearsal."""

    algorithm: str = option(
        ..., "Name in algorithms/, image:tag or .tar.gz of others.", argument=True
    )
    task: str | None = option(None, "Of an image of others: segment, ...")
    dataset: str | None = option(None, "Images to rehearse on: a dataset, recipe or folder.")
    profile: str | None = option(None, "Machine, like gc-t4-16gb; the smallest that suffices.")
    runs: Path | None = option(None, "Folder for all results.")
    cases: int = option(3, "How many at most.", min=1, max=MOST_REHEARSED)


@dataclass(frozen=True, kw_only=True)
class BuildEvaluationOptions(PhaseOptions):
    """Options of an evaluation on a challenge platform."""

    out: Path = option(Path("dist"), "Folder for the files to upload.")
    image: bool = option(False, "Build the evaluation container too.")
    run: Path | None = option(
        None, "Rehearse it with the outputs of a run: folder, or name in runs/."
    )
