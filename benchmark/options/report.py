"""Options of ``report``."""

from pathlib import Path
from shlex import quote

from cytosuite.benchmark.terminal.console import numbers
from cytosuite.benchmark.terminal.options import TableOptions, argument, command_options, option
from cytosuite.contract.tasks import TASKS
from cytosuite.errors import InputError, pick


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
    task: str | None = option("segment, enhance, ...; the data's own without it.")
    spacing: tuple[float, ...] | None = option("µm per voxel of your images: z,y,x.", parse=numbers)
    min_object_voxels: int = option("Smaller true objects are ignored.", 0, min=0)
    out: Path | None = option("Folder for the report; without it one in runs/.")
    blind: bool = option("Write a second report, for participants: nothing of the truth.", False)

    def __post_init__(self) -> None:
        """Refuse an unknown task, and images without labels."""
        super().__post_init__()
        pick("task", [self.task] if self.task else [], TASKS)
        if self.images is not None and self.truth is None:
            raise InputError(f"--images {self.images}: give the labels too, --truth FOLDER")

    @property
    def command(self) -> str:
        """The command that makes the report again."""
        flags = {"truth": self.truth, "images": self.images, "task": self.task, "out": self.out}
        words = [*self.sources, *(w for k, v in flags.items() if v for w in (f"--{k}", str(v)))]
        words += ["--spacing", ",".join(f"{s:g}" for s in self.spacing)] if self.spacing else []
        small = self.min_object_voxels
        words += ["--min-object-voxels", str(small)] if small else []
        words += ["--blind"] if self.blind else []
        return " ".join(["cytosuite report", *map(quote, words)])
