"""Options of ``segment`` and ``apply``."""

from pathlib import Path

from cytosuite.benchmark.commands.terminal.options import (
    SEGMENT,
    OwnOptions,
    RunOptions,
    TableOptions,
    command_options,
    known_task,
    option,
)
from cytosuite.errors import InputError
from cytosuite.files import need_folder


@command_options
class SegmentOptions(TableOptions, RunOptions, OwnOptions):
    """Options of an algorithm on images without scores; `dry_run` alone writes tables."""

    out: Path = option("Folder for the results.", Path("segmented"))
    overwrite: bool = option("Replace also what was changed since it was written.", False)
    preview: bool = option("Write a picture of each.", True)
    rois: bool = option("Write the outlines for ImageJ too, as name_rois.zip.", False)
    dry_run: bool = option("Only show the model for each image, and why; run nothing.", False)

    def __post_init__(self) -> None:
        """Refuse wrong lengths and places, and tables where none is made."""
        TableOptions.__post_init__(self)
        OwnOptions.__post_init__(self)
        if not self.dry_run and (self.wide or self.csv or self.json):
            raise InputError("--wide, --csv and --json show the choice: give --dry-run too")
        if not self.dry_run:
            need_folder(self.out)

    @property
    def task(self) -> str | None:
        """The task of the algorithms to choose from."""
        return SEGMENT


@command_options
class ApplyOptions(SegmentOptions):
    """Options of `SegmentOptions`, of an algorithm for any task."""

    out: Path = option("Folder for the results.", Path("applied"))
    task: str | None = option(
        "segment, enhance, ...: of the algorithms to choose from.", parse=known_task
    )
    cells: Path | None = option("Labels of cells (as segment writes), to count points in.")
