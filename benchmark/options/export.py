"""Options of ``build``, ``export`` and ``preflight``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cytosuite.benchmark.terminal.console import box
from cytosuite.benchmark.terminal.options import BuildingOptions, JsonOptions, option
from cytosuite.contract.tasks import TASKS
from cytosuite.contract.words import Api
from cytosuite.errors import InputError, pick


@dataclass(frozen=True, kw_only=True)
class BuildOptions(BuildingOptions):
    """Options of a build of containers."""

    algorithm: str | None = option(None, "Names, comma-separated, or all.", argument=True)
    engine: str = option("docker", "docker or podman.")
    dry_run: bool = option(False, "Say tag, base, files and digest of each image; build nothing.")


@dataclass(frozen=True, kw_only=True)
class ExportOptions(BuildingOptions):
    """Options of files to upload."""

    algorithm: str | None = option(None, "Names in algorithms/, comma-separated.", argument=True)
    out: Path | None = option(None, "Folder for the files; dist.")
    api: Api = option("invoke", "invoke: started once; exec: a process per case.")
    models: Literal["inside", "apart"] = option(
        "inside", "apart: not in the image, in the tarball."
    )
    engine: str = option("docker", "docker or podman.")
    ctc: Path | None = option(
        None, "Write this run, or label image or folder, as the Cell Tracking Challenge's."
    )
    series: bool = option(False, "With --ctc: all cases are frames of one time series, by name.")
    truth: bool = option(False, "With --ctc RUN: the true labels too, 01_GT.")
    true_labels: Path | None = option(
        None, "With --ctc LABELS: true labels of the same names, 01_GT."
    )
    crop: tuple[slice, ...] = option(
        (), "With --ctc LABELS: part of each, 0:32,243:499,366:622 (z,y,x).", parse=box
    )

    def __post_init__(self) -> None:
        """Refuse options of another export."""
        if self.ctc is None and (self.series or self.truth or self.true_labels or self.crop):
            raise InputError("--series, --truth, --true-labels and --crop are for --ctc")
        if self.ctc is None and self.algorithm is None:
            raise InputError("export: expected the name of an algorithm, found none")


@dataclass(frozen=True, kw_only=True)
class PreflightOptions(JsonOptions):
    """Options of a check of uploads."""

    files: list[Path] = option(
        ...,
        "Image archives, tarballs of weights or truth, output folders.",
        argument=True,
        metavar="FILE",
    )
    task: str | None = option(None, "Task of an output folder.")

    def __post_init__(self) -> None:
        """Refuse an unknown task, and a place for the file that is none."""
        pick("task", [self.task] if self.task else [], TASKS)
        super().__post_init__()
