"""Options of ``labels`` and ``combine``."""

from math import isfinite
from pathlib import Path

from cytosuite.benchmark.commands.terminal.console import floats
from cytosuite.benchmark.commands.terminal.options import (
    argument,
    command_options,
    listing,
    option,
)
from cytosuite.contract.words import Overlap
from cytosuite.errors import InputError
from cytosuite.files import FloatTuple


@command_options
class LabelsOptions:
    """Options of labels."""

    folder: Path = argument("Folder of images with masks or ROIs; of labels.")
    out: Path = option("New folder for labels/, objects.csv and conditions.csv.", ...)
    copy_images: bool = option("Write images/ too.", False)
    overlap: Overlap | None = option("On top: smallest, last, first; error refuses.")
    threshold: float | None = option("Of a mask; half of its largest value without it.")
    min_area: int | None = option("Smaller objects (pixels) are left out.", min=0)
    exclude: list[str] = listing("Classes to leave out.")
    classes: list[str] = listing("Classes of folders: folder=class, comma-separated.")
    pairs: str | None = option("Expression that pairs names: (?P<name>.+?)(_ch0)?")
    images: str | None = option("Name of the folder of images in it, where there are several.")
    rois: bool = option("Write ROIs for ImageJ too; of label images: ROIs alone.", False)


def weights(text: str) -> FloatTuple:
    """Return the weights of an option; InputError where one is no finite number."""
    numbers = floats(text)
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
