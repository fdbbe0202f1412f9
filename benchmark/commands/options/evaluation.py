"""Options of ``rehearse`` and ``build-evaluation``."""

from pathlib import Path

from cytosuite.benchmark.commands.terminal.options import (
    ExternalOptions,
    PhaseOptions,
    argument,
    command_options,
    known_task,
    option,
)

MOST_REHEARSED = 100


@command_options
class RehearseOptions(ExternalOptions):
    """Options of a rehearsal."""

    algorithm: str = argument("Name in algorithms/, image:tag or .tar.gz of others.")
    task: str | None = option("Of an image of others: segment, ...", parse=known_task)
    dataset: str | None = option("Images to rehearse on: a dataset, recipe or folder.")
    profile: str | None = option("Machine, like gc-t4-16gb; the smallest that suffices.")
    runs: Path | None = option("Folder for all results.")
    cases: int = option("How many at most.", 3, min=1, max=MOST_REHEARSED)


@command_options
class BuildEvaluationOptions(PhaseOptions):
    """Options of an evaluation on a challenge platform."""

    out: Path = option("Folder for the files to upload.", Path("dist"))
    image: bool = option("Build the evaluation container too.", False)
    codabench: str | None = option("Write a bundle for CodaBench too: the image that scores there.")
    run: Path | None = option("Rehearse it with the outputs of a run: folder, or name in runs/.")
