"""Options of ``simulate``, ``calibrate``, ``phantoms``, ``labels`` and ``combine``."""

from math import isfinite
from pathlib import Path
from typing import Literal

from cytosuite.benchmark.terminal.console import names, numbers
from cytosuite.benchmark.terminal.options import (
    MOST_FRAMES,
    ClusterOptions,
    DataOptions,
    PartOptions,
    argument,
    command_options,
    option,
    seed_option,
)
from cytosuite.contract.words import Overlap
from cytosuite.errors import InputError

Layout = Literal["plain", "nnunet", "hdf5"]  # of simulated folders


@command_options
class SimulateOptions(ClusterOptions, DataOptions):
    """Options of a simulation without a benchmark."""

    out: Path | None = option("New folder for images/ and labels/.")
    frames: int | None = option("Time series of as many, as of the CTC.", min=1, max=MOST_FRAMES)
    layout: Layout = option(
        "plain: images/ and labels/; nnunet: imagesTr/ and labelsTr/; hdf5: images/ and masks/ "
        "(data/instances, boundary, distance, seeds) with a list.",
        "plain",
    )


@command_options
class PhantomsOptions:
    """Options of a library of nuclei."""

    image: Path | None = argument("Stack, or folder of stacks (images/ and labels/).", None)
    out: Path = option("New folder for the library.", Path("phantoms"))
    labels: Path | None = option("Labels of the stack, or folder.")
    drawn: int | None = option("Draw so many instead.", min=1, max=100_000)
    outline: Path | None = option("Stack, or folder, to write the tissue of as a mask.")
    placement: Path | None = option(
        "Labels of cells, or folder: write how nuclei (--labels) lie in them."
    )
    copies: int = option("Altered copies of each.", 0, min=0, max=1000)
    spacing: tuple[float, ...] | None = option("µm per voxel: z,y,x.", parse=numbers)
    smooth: float = option("Smoothing, µm; of an outline 6 if 0.", 0.0, min=0, max=100)
    seed: int = seed_option()

    def __post_init__(self) -> None:
        """Refuse a wrong voxel size, and all but one of stack, drawn nuclei, outline, placement."""
        axes = (2, 3) if self.placement else (3,)
        if self.spacing is not None and len(self.spacing) not in axes:
            raise InputError(f"spacing must be three numbers in µm (z,y,x), found {self.spacing}")
        if (self.image, self.drawn, self.outline, self.placement).count(None) != 3:
            raise InputError(
                "phantoms: give a stack to cut nuclei from, --drawn NUMBER, --outline STACK, or "
                "--placement CELLS"
            )
        if self.placement and (self.labels is None or self.out.suffix != ".json"):
            raise InputError("--placement CELLS needs --labels NUCLEI and --out NAME.json")


@command_options
class LabelsOptions:
    """Options of labels."""

    folder: Path = argument("Folder of images with masks or ROIs; of labels.")
    out: Path = option("New folder for labels/, objects.csv and conditions.csv.", ...)
    copy_images: bool = option("Write images/ too.", False)
    overlap: Overlap | None = option("On top: smallest, last, first; error refuses.")
    threshold: float | None = option("Of a mask; half of its largest value without it.")
    min_area: int | None = option("Smaller objects (pixels) are left out.", min=0)
    exclude: list[str] = option("Classes to leave out.", (), parse=names)
    classes: list[str] = option(
        "Classes of folders: folder=class, comma-separated.", (), parse=names
    )
    pairs: str | None = option("Expression that pairs names: (?P<name>.+?)(_ch0)?")
    images: str | None = option("Folder of the images, where there are several.")
    rois: bool = option("Write ROIs for ImageJ too; of label images: ROIs alone.", False)


def weights(text: str | None) -> tuple[float, ...]:
    """Return the weights of an option; InputError where one is no finite number."""
    try:
        numbers = tuple(float(part) for part in (text or "1,1").split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 2 or not all(map(isfinite, numbers)):
        raise InputError(f"--weights: expected two numbers like 1,0.5, found {text}")
    return numbers


@command_options
class CombineOptions:
    """Options of combine."""

    first: Path = argument("Folder of images, of cells say.")
    second: Path = argument("Folder of images of the same names, of spots say.")
    out: Path = option("New folder for the sums.", ...)
    weights: list[float] = option("Of both images, like 1,0.5.", (1.0, 1.0), parse=weights)


@command_options
class CalibrateOptions(PartOptions):
    """Options of a calibration."""

    dataset: str = argument("spheroid by images; nuclei or cells by labels alone.")
    real: Path = argument("Folder with images/ and, better, labels/; or labels.")
    out: Path = option("Recipe to write.", Path("calibrated.toml"))
    pattern: str = option("Which images, like 'ix71_*'.", "*")
    rounds: int = option("Rounds of fitting.", 12, min=1, max=1000)
    cases: int = option("Volumes per round.", 12, min=1, max=10_000)
    seed: int = seed_option()
    workers: int | None = option("Processes that simulate; one per core.", min=1, max=1024)
