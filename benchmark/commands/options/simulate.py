"""Options of ``simulate``, ``calibrate`` and ``phantoms``."""

from pathlib import Path
from typing import Literal

from cytosuite.benchmark.commands.terminal.console import numbers
from cytosuite.benchmark.commands.terminal.options import (
    MOST_FRAMES,
    ClusterOptions,
    DataOptions,
    PartOptions,
    argument,
    command_options,
    option,
    seed_option,
)
from cytosuite.errors import InputError
from cytosuite.files import FloatTuple

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
    spacing: FloatTuple | None = option("µm per voxel: z,y,x.", parse=numbers)
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
        if self.copies and self.image is None:
            raise InputError("--copies alters nuclei of a stack: give one, or leave it out")
        if self.placement and (self.labels is None or self.out.suffix != ".json"):
            raise InputError("--placement CELLS needs --labels NUCLEI and --out NAME.json")


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
