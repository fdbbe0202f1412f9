"""Options of ``build``, ``export`` and ``preflight``."""

from pathlib import Path
from typing import Literal

from cytosuite.benchmark.commands.terminal.console import box
from cytosuite.benchmark.commands.terminal.options import (
    BuildingOptions,
    JsonOptions,
    argument,
    command_options,
    known_task,
    listing,
    option,
)
from cytosuite.contract.words import Api
from cytosuite.errors import InputError


@command_options
class BuildOptions(BuildingOptions):
    """Options of a build of containers."""

    algorithm: list[str] = listing("Names, comma-separated, or all.", argument=True)
    engine: str = option("docker or podman.", "docker")
    dry_run: bool = option("Say tag, base, files and digest of each image; build nothing.", False)


@command_options
class ExportOptions(BuildingOptions):
    """Options of files to upload."""

    algorithm: list[str] = listing("Names in algorithms/, comma-separated.", argument=True)
    out: Path | None = option("Folder for the files; dist.")
    api: Api = option("invoke: started once; exec: a process per case.", "invoke")
    models: Literal["inside", "apart"] = option(
        "apart: not in the image, in the tarball.", "inside"
    )
    engine: str = option("docker or podman.", "docker")
    ctc: Path | None = option(
        "Write this run, or label image or folder, as the Cell Tracking Challenge's."
    )
    series: bool = option("With --ctc: all cases are frames of one time series, by number.", False)
    truth: bool = option("With --ctc RUN: the true labels too, 01_GT.", False)
    true_labels: Path | None = option("With --ctc LABELS: true labels of the same names, 01_GT.")
    crop: tuple[slice, ...] = option(
        "With --ctc LABELS: part of each, 0:32,243:499,366:622 (z,y,x).", (), parse=box
    )

    def __post_init__(self) -> None:
        """Refuse options of another export."""
        if self.ctc is None and (self.series or self.truth or self.true_labels or self.crop):
            raise InputError("--series, --truth, --true-labels and --crop are for --ctc")
        if self.ctc is None and not self.algorithm:
            raise InputError("export: expected the name of an algorithm, found none")


@command_options
class PreflightOptions(JsonOptions):
    """Options of a check of uploads."""

    files: list[Path] = argument(
        "Image archives, tarballs of weights or truth, output folders.", metavar="FILE"
    )
    task: str | None = option("Task of an output folder.", parse=known_task)
