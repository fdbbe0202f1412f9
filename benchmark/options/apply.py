"""Options of ``segment`` and ``apply``."""

from dataclasses import dataclass
from pathlib import Path

from cytosuite.benchmark.terminal.options import (
    SEGMENT,
    OwnOptions,
    RunOptions,
    TableOptions,
    option,
)
from cytosuite.errors import InputError
from cytosuite.files import need_folder


@dataclass(frozen=True, kw_only=True)
class SegmentOptions(TableOptions, RunOptions, OwnOptions):
    """Options of an algorithm on images without scores; tables are those of `dry_run`."""

    out: Path = option(Path("segmented"), "Folder for the results.")
    overwrite: bool = option(False, "Replace also what was changed since it was written.")
    preview: bool = option(True, "Write a picture of each.")
    rois: bool = option(False, "Write the outlines for ImageJ too, as name_rois.zip.")
    dry_run: bool = option(False, "Only show the model for each image, and why; run nothing.")

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


@dataclass(frozen=True, kw_only=True)
class ApplyOptions(SegmentOptions):
    """Options of `SegmentOptions`, of an algorithm for any task."""

    out: Path = option(Path("applied"), "Folder for the results.")
    task: str | None = option(None, "segment, enhance, ...: of the algorithms to choose from.")
    cells: Path | None = option(None, "Labels of cells (as segment writes), to count points in.")
