"""Options of ``report``."""

from pathlib import Path

from cytosuite.benchmark.commands.terminal.console import numbers
from cytosuite.benchmark.commands.terminal.options import (
    TableOptions,
    argument,
    command_options,
    known_task,
    option,
)
from cytosuite.errors import InputError
from cytosuite.files import FloatTuple


@command_options
class ReportOptions(TableOptions):
    """Options of a report over results that are there."""

    sources: list[str] = argument(
        "Finished runs, and folders of predictions: FOLDER or NAME=FOLDER."
    )
    truth: Path | None = option(
        "Data to score predictions on, where no run says it: a folder, or one of labels."
    )
    images: Path | None = option("Folder of the images that belong to a folder of labels.")
    task: str | None = option("segment, enhance, ...; the data's own without it.", parse=known_task)
    out: Path | None = option("Folder for the report; without it one in runs/.")
    spacing: FloatTuple | None = option("µm per voxel of your images: z,y,x.", parse=numbers)
    min_object_voxels: int = option("Smaller true objects are ignored.", 0, min=0)
    blind: bool = option("Write a second report, for participants: nothing of the truth.", False)

    def __post_init__(self) -> None:
        """Refuse images without labels."""
        super().__post_init__()
        if self.images is not None and self.truth is None:
            raise InputError(f"--images {self.images}: give the labels too, --truth FOLDER")
