"""Options of the commands, each declared once: name, type, default, help, parser."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cytosuite.benchmark.catalog import pick, workplace
from cytosuite.benchmark.cluster.site import cluster_word
from cytosuite.benchmark.commands.console import (
    LEAST_UM,
    MOST_UM,
    names,
    numbers,
    pairs,
    plain_name,
    printable,
    several,
)
from cytosuite.benchmark.commands.fields import Text
from cytosuite.benchmark.containers.locks import Device
from cytosuite.benchmark.engines.guest import Format
from cytosuite.benchmark.engines.outcome import Api, Limits
from cytosuite.errors import InputError
from cytosuite.manifest import AlgorithmManifest
from cytosuite.places import need_file, need_folder
from cytosuite.tasks import TASKS
from cytosuite.volume import Scalar

if TYPE_CHECKING:
    from cytosuite.benchmark.data.recipe import DataRequest
    from cytosuite.datasets.folder.part import Part

Layout = Literal["plain", "nnunet"]  # of simulated folders
STDOUT = Path("-")  # as the name of a file
MOST_CASES, MOST_WORKERS, MOST_S, MOST_GIB = 100_000, 1024, 1e7, 1e5
MOST_FRAMES = 10_000
AUTO = "auto"  # the algorithm is chosen by the image
DeviceOption = Annotated[Device, typer.Option(envvar="DEVICE", help="Which torch.")]
BaseImage = Annotated[
    str | None, typer.Option(envvar="BASE_IMAGE", help="Image with Python 3.11 to build upon.")
]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of everything drawn.")]


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """Ways to get a table: on the terminal, as CSV, as JSON."""

    wide: Annotated[bool, typer.Option(help="Show all columns.")] = False
    csv: Annotated[Path | None, typer.Option(help="Write all columns here, - for stdout.")] = None
    json: Annotated[Path | None, typer.Option(help="Write as JSON here, - for stdout.")] = None

    def __post_init__(self) -> None:
        """Refuse places for the files before the work that they hold."""
        if self.csv is not None and self.csv == self.json:
            raise InputError(f"--csv and --json {self.csv}: expected one of them here")
        for path in (self.csv, self.json):
            if path not in (None, STDOUT):
                need_file(path)

    @property
    def stdout_is_data(self) -> bool:
        """Whether stdout holds CSV or JSON alone, and everything else goes to stderr."""
        return STDOUT in (self.csv, self.json)


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """A dataset as a user asks for it, and where it is made."""

    dataset: Annotated[
        str,
        typer.Argument(
            help="Name, name/recipe, recipe.toml, or folder of images; "
            "of benchmark also several, comma-separated."
        ),
    ]
    size: Annotated[str | None, typer.Option(help="mini, default or full.")] = None
    cases: Annotated[
        int | None, typer.Option(min=1, max=MOST_CASES, help="How many cases to simulate.")
    ] = None
    settings: Annotated[
        list[str],
        Text(pairs, "Parameters: camera.photons=5,camera.bits=8.", "--set", repeatable=True),
    ] = ()  # type: ignore[assignment]
    seed: Seed = 0
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_WORKERS, help="Processes that simulate; one per core."),
    ] = None
    runs: Annotated[Path | None, typer.Option(help="Folder for all results.")] = None

    def request(self, **more: Any) -> "DataRequest":  # noqa: ANN401 - fields of the request
        """Return the wanted dataset."""
        from cytosuite.benchmark.data.recipe import DataRequest  # loads the datasets

        wanted = (self.dataset, self.size or None, self.seed, self.cases, tuple(self.settings))
        return DataRequest(*wanted, **more)

    @property
    def processes(self) -> int:
        """Number of processes that make cases."""
        return self.workers or os.cpu_count() or 1

    @property
    def folder(self) -> Path:
        """Folder for everything that is generated."""
        return self.runs.resolve() if self.runs else workplace() / "runs"


@dataclass(frozen=True, kw_only=True)
class PartOptions:
    """Images of the user's: where they are, which part of them, and their voxel size."""

    spacing: Annotated[
        tuple[float, ...] | None, Text(numbers, "µm per voxel of your images: z,y,x.")
    ] = None
    recursive: Annotated[bool, typer.Option(help="Look for images in sub-folders too.")] = False
    channel_index: Annotated[
        str | None, typer.Option(help="Number, from 0, or name of a channel in files of several.")
    ] = None
    frame: Annotated[int | None, typer.Option(min=0, help="Time point in such files.")] = None
    scene: Annotated[int | None, typer.Option(min=0, help="Image in files of several.")] = None

    @property
    def part(self) -> "Part":
        """The wanted part of files that hold several channels, frames or scenes."""
        from cytosuite.datasets.folder.part import Part  # loads the readers

        return Part(self.channel_index, self.frame, self.scene)


@dataclass(frozen=True, kw_only=True)
class ImageOptions(PartOptions):
    """Images of the user's, and the model for them."""

    model: Annotated[
        str | None,
        typer.Option(help="Name of a model, path of its card, or tarball for an image of others."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class OwnOptions(ImageOptions):
    """Images of the user's for an algorithm, which is named or chosen."""

    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")]
    algorithm: Annotated[
        str, typer.Option(help=f"Name in algorithms/; {AUTO}: one with a model that fits.")
    ] = AUTO
    diameter: Annotated[
        float | None, typer.Option(help="Of a nucleus, µm; estimated without it.")
    ] = None
    channel: Annotated[str | None, Text(printable, "Stain, like nucleus.")] = None

    def __post_init__(self) -> None:
        """Refuse a length that cannot be meant."""
        if self.diameter is not None and not LEAST_UM <= self.diameter <= MOST_UM:
            raise InputError(
                f"diameter must be {LEAST_UM:g} to {MOST_UM:g} µm, found {self.diameter}"
            )

    @property
    def metadata(self) -> dict[str, Scalar]:
        """The facts that the user gives about the images."""
        given = {"channel": self.channel, "diameter_um": self.diameter}
        return {key: value for key, value in given.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class RunOptions(ImageOptions):
    """Engine, limits and containers of a run."""

    engine: Annotated[str, typer.Option(help="auto, docker, podman, apptainer or process.")] = (
        "auto"
    )
    api: Annotated[
        Api | None,
        typer.Option(help="invoke (without it): started once; exec: a process per case."),
    ] = None
    memory: Annotated[
        float | None,
        typer.Option(min=0.1, max=MOST_GIB, help="GiB per case; the algorithm's own without it."),
    ] = None
    timeout: Annotated[float, typer.Option(min=0.1, max=MOST_S, help="Seconds per case.")] = 3600.0
    device: DeviceOption = "cpu"
    base_image: BaseImage = None

    def own_api(self, engine: str) -> Api:
        """Return the api of our algorithms; containers of others say theirs, unless the user does.

        Parameters
        ----------
        engine : str
            Name of the engine: that of Apptainer has no servers.
        """
        return self.api or ("exec" if engine == "apptainer" else "invoke")

    def limits(self, algorithm: AlgorithmManifest) -> Limits:
        """Return the limits of one case of an algorithm."""
        return Limits(
            memory_gib=self.memory or algorithm.resources.memory_gib,
            timeout_s=self.timeout,
            cpus=float(os.cpu_count() or 1),
        )


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """Cluster of workers, and their settings."""

    cluster: Annotated[
        str | None, Text(cluster_word, "local, slurm, or tcp://host:port of a Dask scheduler.")
    ] = None
    site: Annotated[
        Path | None, typer.Option(help="File (.toml) with the settings of the workers.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class GuestOptions(RunOptions):
    """Options of a run that may take in images of others."""

    sockets: Annotated[
        Path | None, typer.Option(help="File (.toml) with the sockets of images of others.")
    ] = None
    input_format: Annotated[
        Format, typer.Option(help="Of input images for images of others: tif or mha.")
    ] = "tif"


@dataclass(frozen=True, kw_only=True)
class PhaseOptions(RunOptions, DataOptions):
    """A dataset and the task whose results are judged on it."""

    task: Annotated[
        str | None, typer.Option(help="segment, enhance, ...; the dataset's own without it.")
    ] = None
    through: Annotated[list[str], Text(names, "Algorithms that the images pass before.")] = ()  # type: ignore[assignment]
    reference: Annotated[
        Path | None, typer.Option(help="Folder of real images for unpaired outputs.")
    ] = None
    min_object_voxels: Annotated[
        int, typer.Option(min=0, help="Smaller true objects of a folder are ignored.")
    ] = 0

    @property
    def wanted(self) -> "DataRequest":
        """The wanted dataset, after a look at the task."""
        pick("task", [self.task] if self.task else [], TASKS)
        own = {"part": self.part, "recursive": self.recursive}  # of a folder
        own |= {"min_object_voxels": self.min_object_voxels, "reference": self.reference}
        return self.request(task=self.task, through=self.through, spacing=self.spacing, **own)


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions(TableOptions, PhaseOptions, GuestOptions, ClusterOptions):
    """Options of the main job."""

    algorithm: Annotated[
        list[str],
        Text(names, "Names, images (image:tag) or files (.tar.gz) of others, comma-separated."),
    ] = ()  # type: ignore[assignment]
    run: Annotated[str | None, Text(plain_name, "Name of the run's folder.")] = None
    retry: Annotated[bool, typer.Option(help="Run failed cases again.")] = False
    keep_going: Annotated[
        bool, typer.Option(help="Run all cases, also if the first fail alike; failed ones again.")
    ] = False
    verify: Annotated[
        bool, typer.Option(help="Read all finished files again to see that none was altered.")
    ] = False
    blind: Annotated[
        bool, typer.Option(help="Write a second report, for participants: nothing of the truth.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class SimulateOptions(ClusterOptions, DataOptions):
    """Options of a simulation without a benchmark."""

    out: Annotated[Path | None, typer.Option(help="New folder for images/ and labels/.")] = None
    frames: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_FRAMES, help="Time series of as many, as of the CTC."),
    ] = None
    layout: Annotated[
        Layout, typer.Option(help="plain: images/ and labels/; nnunet: imagesTr/ and labelsTr/.")
    ] = "plain"


@dataclass(frozen=True, kw_only=True)
class ApplyOptions(RunOptions, OwnOptions):
    """Options of an algorithm on images without scores."""

    out: Annotated[Path, typer.Option(help="Folder for the results.")]
    overwrite: Annotated[
        bool, typer.Option(help="Replace also what was changed since it was written.")
    ] = False
    preview: Annotated[bool, typer.Option(help="Write a picture of each.")] = True

    def __post_init__(self) -> None:
        """Refuse a length that cannot be meant, and a place for the results that is none."""
        super().__post_init__()
        need_folder(self.out)


@dataclass(frozen=True, kw_only=True)
class SelectOptions(TableOptions, OwnOptions):
    """Options of a choice of models that is only shown."""

    task: Annotated[
        str | None, typer.Option(help="segment, enhance, ...: of the algorithms to choose from.")
    ] = None

    def __post_init__(self) -> None:
        """Refuse options that one of both parts refuses."""
        TableOptions.__post_init__(self)
        OwnOptions.__post_init__(self)


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of a training; those of the training itself are `passed` on."""

    algorithm: Annotated[str, typer.Argument(help="Name in algorithms/.")]
    dataset: Annotated[str, typer.Argument(help="Name, name/recipe, recipe.toml, or folder.")]
    name: Annotated[str, typer.Option(help="Of the model.")]
    data: Annotated[
        list[str],
        Text(several, "More data: role=dataset, comma-separated.", "--data", repeatable=True),
    ] = ()  # type: ignore[assignment]
    steps: Annotated[
        int | None, typer.Option(min=0, max=10**9, help="Batches; 0 only measures parameters.")
    ] = None
    start: Annotated[Path | None, typer.Option("--from", help="Card to start from.")] = None
    settings: Annotated[Path | None, typer.Option(help="File of the training.")] = None
    threads: Annotated[int, typer.Option(min=1, max=MOST_WORKERS, help="Of the CPU.")] = 1
    device: Annotated[Device, typer.Option(envvar="DEVICE", help="Where to train.")] = "cpu"
    authors: Annotated[str | None, Text(printable, "Of the model; git's user.name.")] = None
    size: Annotated[str | None, typer.Option(help="mini, default or full.")] = None
    cases: Annotated[
        int | None, typer.Option(min=1, max=MOST_CASES, help="How many cases to simulate.")
    ] = None
    changes: Annotated[
        list[str],
        Text(pairs, "Parameters: camera.photons=5,camera.bits=8.", "--set", repeatable=True),
    ] = ()  # type: ignore[assignment]
    seed: Seed = 0
    workers: Annotated[
        int | None, typer.Option(min=1, max=MOST_WORKERS, help="Processes that simulate.")
    ] = None
    runs: Annotated[Path | None, typer.Option(help="Folder for simulated data.")] = None

    @property
    def passed(self) -> list[str]:
        """Options as words for the command of the training."""
        words = ["--seed", str(self.seed), "--threads", str(self.threads), "--device", self.device]
        words += ["--steps", str(self.steps)] if self.steps is not None else []
        words += ["--from", str(self.start.resolve())] if self.start else []
        words += ["--authors", self.authors] if self.authors else []
        return words + (["--settings", str(self.settings.resolve())] if self.settings else [])


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(TableOptions):
    """Options of a scoring of files, see `cytosuite.benchmark.commands.score.score_files`."""

    truth: Annotated[Path, typer.Option(help="File, folder, or 01_GT.")]
    prediction: Annotated[Path, typer.Option(help="File, folder, or 01_RES.")]
    metrics: Annotated[list[str], Text(names, "Names, comma-separated.")] = ()  # type: ignore[assignment]
    image: Annotated[Path | None, typer.Option(help="Input images, for N_SSIM.")] = None
    spacing: Annotated[tuple[float, ...] | None, Text(numbers, "µm per voxel: z,y,x.")] = None
    data_range: Annotated[float | None, typer.Option(help="For image metrics.")] = None
    border: Annotated[
        int, typer.Option(min=0, max=10**9, help="Pixels to leave out at the border.")
    ] = 0
    min_object_voxels: Annotated[
        int, typer.Option(min=0, help="Smaller true objects are ignored.")
    ] = 0
    truth_labels: Annotated[Path | None, typer.Option(help="Objects in truth images.")] = None
    prediction_labels: Annotated[Path | None, typer.Option(help="In predicted ones.")] = None
    objects: Annotated[
        Path | None, typer.Option(help="CSV file: what became of each object of label volumes.")
    ] = None

    def __post_init__(self) -> None:
        """Refuse to write over an input."""
        super().__post_init__()
        if self.objects is not None:
            if self.objects in (STDOUT, self.csv, self.json):
                raise InputError(f"--objects {self.objects}: expected a CSV file of its own")
            need_file(self.objects)
        read = {self.truth, self.prediction, self.image, self.truth_labels, self.prediction_labels}
        if twice := {self.csv, self.json, self.objects} & read - {None}:
            raise InputError(f"{twice.pop()}: the table would overwrite it; name another file")
