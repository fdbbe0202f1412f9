"""Options that commands share, each declared once; a field of a dataclass is an option."""

import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, dataclass_transform, get_type_hints

import typer

from cytosuite.benchmark.catalog.packages import Device
from cytosuite.benchmark.catalog.places import workplace
from cytosuite.benchmark.commands.terminal.console import (
    LEAST_UM,
    MOST_UM,
    axes_of,
    console,
    names,
    pairs,
    printable,
    voxel_size,
)
from cytosuite.benchmark.runs.cluster.site import read_cluster
from cytosuite.contract.tasks import TASKS
from cytosuite.contract.words import ASSUME, SPLITS, Api, Format, Size, SplitName
from cytosuite.errors import InputError, pick
from cytosuite.files import Entries, Json, Scalars, json_text, need_file, write_text
from cytosuite.segmentation.outline import looseness_of

if TYPE_CHECKING:
    from cytosuite.benchmark.engines.outcome import Limits
    from cytosuite.benchmark.runs.data.recipe import DataRequest
    from cytosuite.contract.manifest import AlgorithmManifest
    from cytosuite.folders.part import Part

STDOUT = Path("-")  # as the name of a file
MOST_CASES, MOST_WORKERS, MOST_S, MOST_GIB = 100_000, 1024, 1e7, 1e5
MOST_FRAMES = 10_000
SEGMENT = "segment"  # the task in which an algorithm is chosen where nothing is named
AUTO = "auto"  # the algorithm is chosen by the image
Options = TypeVar("Options")


@dataclass_transform(kw_only_default=True, frozen_default=True)
def command_options(options: type[Options]) -> type[Options]:
    """Make a class the options of a command: frozen, each field by its keyword."""
    return dataclass(frozen=True, kw_only=True)(options)


def option(
    help: str,
    default: Any = None,  # noqa: ANN401 - of any type
    *,
    flag: str = "",
    argument: bool = False,
    parse: Callable[[Any], Any] | None = None,
    repeatable: bool = False,
    env: str = "",
    metavar: str | None = None,
    **bounds: float,
) -> Any:  # noqa: ANN401 - a field of any type
    """Return a field that is an option, ``...`` where it must be given; `parse` reads its text."""
    shown: Json = {"help": help, "metavar": metavar, "envvar": env or None, **bounds}
    mark = typer.Argument(**shown) if argument else typer.Option(*([flag] if flag else []), **shown)
    metadata = {
        "mark": mark,
        "flag": flag,
        "parse": parse,
        "repeatable": repeatable,
        "help": help,
        "placed": argument or bool(env),
        "metavar": metavar,
    }
    return field(default=MISSING if default is ... else default, metadata=metadata)


def argument(help: str, default: Any = ..., **more: Any) -> Any:  # noqa: ANN401 - as `option`
    """Return a field that is an argument, given without a flag."""
    return option(help, default, argument=True, **more)


def seed_option() -> Any:  # noqa: ANN401 - a field
    """Return the field of a seed."""
    return option("Of everything drawn.", 0, min=0, max=2**63 - 1)


def listing(help: str, **more: Any) -> Any:  # noqa: ANN401 - as `option`
    """Return the field of names that are given with commas between them, none by default."""
    return option(help, (), parse=names, **more)


def as_callback(
    options: Any,  # noqa: ANN401 - a dataclass
    load: Callable[[], Callable[..., int | None]],
) -> Callable[..., None]:
    """Return a command with a parameter per field of its options; it is loaded when it runs."""
    hints = get_type_hints(options)
    texts = {option.name: option for option in fields(options) if option.metadata["parse"]}
    parameters = []
    for option in fields(options):
        kind = hints[option.name]
        default = option.default
        if option.name in texts:
            kind = (list[str] if option.metadata["repeatable"] else str) | None
            default = None
        parameters.append(
            inspect.Parameter(
                option.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if default is MISSING else default,
                annotation=Annotated[kind, option.metadata["mark"]],
            )
        )

    def callback(**typed: Any) -> None:  # noqa: ANN401 - as the fields say
        """Parse the texts that are not empty, call the command, and end with its exit code."""
        for name, option in texts.items():
            text = typed[name]
            typed[name] = option.metadata["parse"](text) if text else option.default
        chosen = options(**typed)
        code = load()(chosen, console(stderr=getattr(chosen, "stdout_is_data", False)))
        raise typer.Exit(code or 0)

    callback.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    callback.__annotations__ = {p.name: p.annotation for p in parameters}
    return callback


def put(path: Path | None, text: str) -> None:
    """Write a file where one is named, to stdout if its name is ``-``."""
    if path == STDOUT:
        sys.stdout.write(text)
    elif path is not None:
        write_text(path, text)


class Written:
    """Files of results, which a command writes besides its lines."""

    csv: Path | None = None
    json: Path | None = None

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

    def keep(self, value: object) -> None:
        """Write a value into the file of --json, if there is one."""
        put(self.json, f"{json_text(value)}\n")


@command_options
class TableOptions(Written):
    """Ways to get a table: on the terminal, as CSV, as JSON."""

    wide: bool = option("Show all columns.", False)
    csv: Path | None = option("Write all columns here, - for stdout.")
    json: Path | None = option("Write as JSON here, - for stdout.")


@command_options
class JsonOptions(Written):
    """The findings of a command as JSON, besides its lines."""

    json: Path | None = option("Write as JSON here, - for stdout.")


def known_task(text: str) -> str:
    """Return the name of a task."""
    return pick("task", [text], TASKS)[0]


def parameters() -> Any:  # noqa: ANN401 - a field of any name
    """Return the option --set: parameters of a simulation."""
    return option(
        "Parameters: camera.photons=5,camera.bits=8.",
        (),
        parse=pairs,
        flag="--set",
        repeatable=True,
    )


@command_options
class SimulatedOptions:
    """How much is simulated, by how many processes."""

    size: str | None = option("mini, default or full.")
    cases: int | None = option("How many cases to simulate.", min=1, max=MOST_CASES)
    workers: int | None = option("Processes that simulate; one per core.", min=1, max=MOST_WORKERS)


@command_options
class DataOptions(SimulatedOptions):
    """A dataset as a user asks for it, and where it is made."""

    dataset: str = argument(
        "Name, name/recipe, recipe.toml, folder or list (.csv) of images; benchmark: also several."
    )
    seed: int = seed_option()
    settings: list[str] = parameters()
    runs: Path | None = option("Folder for all results.")

    @property
    def request(self) -> "DataRequest":
        """The request of the dataset, by the options of the names of its fields."""
        from cytosuite.benchmark.runs.data.recipe import DataRequest  # loads the datasets

        names = (field.name for field in fields(DataRequest))
        asked = {name: getattr(self, name) for name in names if hasattr(self, name)}
        return DataRequest(**asked | {"size": self.size or None})

    @property
    def processes(self) -> int:
        """Number of processes that make cases."""
        return self.workers or os.cpu_count() or 1

    @property
    def folder(self) -> Path:
        """Folder for everything that is generated."""
        return self.runs.resolve() if self.runs else workplace() / "runs"


@command_options
class FileOptions:
    """Files of lists and in HDF5, as in published programs."""

    data_root: Path | None = option("Folder in which the names in a list count.")
    group: str | None = option("Dataset in HDF5 files, like data/raw_image.")


@command_options
class PartOptions(FileOptions):
    """Images of the user's: where they are, which part of them, and their voxel size."""

    spacing: Size | None = option(
        f"µm per voxel of your images: z,y,x; {ASSUME}: 1 where unknown.", parse=voxel_size
    )
    recursive: bool = option("Look for images in sub-folders too.", False)
    channel_index: str | None = option(
        "Number, from 0, name or stain of a channel in files of several; 1,0 or all: as one image."
    )
    frame: str | None = option("Time point in such files, from 0; all: one by one.")
    scene: int | None = option("Image in files of several.", min=0)
    axes: str | None = option(
        "Names of the axes in TIFF and HDF5 files, in the order stored: CZYX.", parse=axes_of
    )

    @property
    def part(self) -> "Part":
        """The wanted part of files that hold several channels, frames or scenes."""
        from cytosuite.folders.part import Part  # loads the readers

        return Part(self.channel_index, self.frame, self.scene, self.group, self.axes)


@command_options
class ImageOptions(PartOptions):
    """Images of the user's, and the model for them."""

    model: str | None = option(
        "Name of a model, path of its card, or tarball for an image of others."
    )


@command_options
class OwnOptions(ImageOptions):
    """Images of the user's for an algorithm, which is named or chosen."""

    images: list[Path] = argument("Image files, folders of them, or lists (.csv).")
    algorithm: str = option(f"Name in algorithms/; {AUTO}: one with a model that fits.", AUTO)
    diameter: float | None = option(
        "Of a nucleus or spot, µm, or px without voxel size; estimated without it."
    )
    stricter: float | None = option(
        "Times the least height of a spot that is marked.", min=0.01, max=100.0
    )
    expected: int | None = option("Spots to mark: so many of the highest.", min=1)
    channel: str | None = option("Stain, like nucleus.", parse=printable)
    outline: str | None = option(
        "Extent of objects by models that draw it: looser, tighter, or 0 to 1."
    )

    def __post_init__(self) -> None:
        """Refuse a length or looseness that cannot be meant."""
        looseness_of(0.5, self.outline)
        if self.diameter is not None and not LEAST_UM <= self.diameter <= MOST_UM:
            raise InputError(
                f"diameter must be {LEAST_UM:g} to {MOST_UM:g} µm, found {self.diameter}"
            )

    @property
    def metadata(self) -> Scalars:
        """The facts that the user gives about the images."""
        facts = {
            "channel": self.channel,
            "diameter_um": self.diameter,
            "outline": self.outline,
            "stricter": self.stricter,
            "expected": self.expected,
        }
        return {key: value for key, value in facts.items() if value is not None}


@command_options
class BuildingOptions:
    """Device of the images to build, and their base."""

    device: Device = option("Which torch.", "cpu", env="DEVICE")
    base_image: str | None = option("Image with Python 3.11 to build upon.", env="BASE_IMAGE")


@command_options
class RunOptions(BuildingOptions, ImageOptions):
    """Engine, limits and containers of a run."""

    engine: str = option("auto, docker, podman, apptainer or process.", "auto")
    api: Api | None = option("invoke (without it): started once; exec: a process per case.")
    memory: float | None = option(
        "GiB per case; the algorithm's own without it.", min=0.1, max=MOST_GIB
    )
    timeout: float = option("Seconds per case.", 3600.0, min=0.1, max=MOST_S)

    def limits(self, algorithm: "AlgorithmManifest") -> "Limits":
        """Return the limits of one case of an algorithm."""
        from cytosuite.benchmark.engines.outcome import Limits  # loads the readers

        return Limits(
            memory_gib=self.memory or algorithm.resources.memory_gib,
            timeout_s=self.timeout,
            cpus=float(os.cpu_count() or 1),
        )


@command_options
class ClusterOptions:
    """Cluster of workers."""

    cluster: Entries | None = option(
        "local, slurm or another kind, address of a Dask scheduler, or site file (.toml).",
        parse=read_cluster,
    )


@command_options
class ExternalOptions(RunOptions):
    """Options of a run that may take in images of others."""

    sockets: Path | None = option("File (.toml) with the sockets of images of others.")
    input_format: Format = option("Of input images for images of others: tif or mha.", "tif")


@command_options
class PhaseOptions(RunOptions, DataOptions):
    """A dataset and the task to judge on it."""

    task: str | None = option(
        "segment, enhance, ...; the dataset's own without it.", parse=known_task
    )
    through: list[str] = listing("Algorithms that the images pass before.")
    reference: Path | None = option("Folder of real images for unpaired outputs.")
    min_object_voxels: int = option("Smaller true objects of a folder are ignored.", 0, min=0)
    radius: float | None = option(
        "µm between paired points of a folder, at most; by default 3 pixels.",
        min=LEAST_UM,
        max=MOST_UM,
    )
    only: SplitName | None = option(f"One part of a folder, by its {SPLITS}.", flag="--part")
    splits: Path | None = option(f"File with the parts, in place of {SPLITS}.")
