"""The tissue of a spheroid: its outline, its core, the balls in it that hold one kind of cells."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cytosuite.datasets.physics import tissue
from cytosuite.datasets.physics.grid import Lengths
from cytosuite.datasets.physics.region import Region
from cytosuite.datasets.spheroid.checks import spheroid_semi_axes
from cytosuite.datasets.spheroid.parameters import Drawn, Parameters
from cytosuite.datasets.spheroid.sections import Tissue
from cytosuite.errors import InputError, at
from cytosuite.formats import read

BEYOND = 1.5  # nuclear diameters by which tissue that fills the image goes on outside


@dataclass(frozen=True, slots=True)
class Outline:
    """The tissue that holds the cells.

    Parameters
    ----------
    living : Region
        Holds the nuclei.
    core : Region or None
        Without living cells, inside the tissue.
    centre_um : tuple of float
        The middle of the tissue.
    fixed : bool
        Whether the size is given, and not to be matched to the nuclei.
    """

    living: Region
    core: Region | None
    centre_um: Lengths
    fixed: bool

    def scaled(self, factor: float) -> "Outline":
        """Return a copy with all lengths multiplied, the middle of the image unmoved."""
        core = None if self.core is None else self.core.scaled(factor, self.centre_um)
        return replace(self, living=self.living.scaled(factor, self.centre_um), core=core)


def outline(
    rng: np.random.Generator,
    parameters: Parameters,
    drawn: Drawn,
    volume_um3: float,
    diameter_um: float,
) -> Outline:
    """Return the tissue, by default in the middle of the image.

    Parameters
    ----------
    rng, parameters, drawn : numpy Generator, Parameters, dict of str to float
        See `cytosuite.datasets.spheroid.grow.grow`.
    volume_um3 : float
        Of the living tissue, unless its size is given otherwise.
    diameter_um : float
        Of a nucleus.

    Raises
    ------
    InputError
        If a mask cannot be read or is empty.
    """
    wanted, view = parameters.tissue, parameters.detector.size_um
    middle = (view[0] * drawn["middle"], view[1] / 2, view[2] / 2)
    kind = wanted.outline[int(rng.integers(len(wanted.outline)))]
    if kind == "fill":
        return Outline(tissue.fill(view, BEYOND * diameter_um), None, middle, fixed=True)
    if kind == "file":
        return Outline(_mask(rng, wanted, middle), None, middle, fixed=True)
    if "width_um" in drawn:
        width = drawn["width_um"] / 2
        axes = (width * drawn["flattening"], width, width)
    else:
        hollow = 1 - drawn["core"] ** 3 if kind == "shell" else 1.0
        axes = spheroid_semi_axes(volume_um3 / hollow, drawn["flattening"])
    core = None
    if kind == "irregular":
        living = tissue.irregular(rng, middle, axes, drawn["bumps"])
    elif kind == "shell":
        living, core = tissue.shell(middle, axes, drawn["core"], _offset(rng, axes, drawn))
    else:
        living = tissue.ellipsoid(middle, axes)
    return Outline(living, core, middle, fixed="width_um" in drawn)


def _offset(rng: np.random.Generator, axes: Lengths, drawn: Drawn) -> Lengths:
    """Return the displacement of the core in a random direction."""
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    room = (1 - drawn["core"]) * drawn["core_offset"]
    return tuple((direction * axes * room).tolist())


def _mask(rng: np.random.Generator, wanted: Tissue, middle: Lengths) -> Region:
    """Return one of the masks in files."""
    path = Path(wanted.masks[int(rng.integers(len(wanted.masks)))])
    volume = read(path)
    if wanted.masks_um != "auto":
        volume = replace(volume, spacing=wanted.masks_um)
    elif volume.spacing_is_assumed:
        raise InputError(f"{path}: the mask gives no voxel size; set tissue.masks_um")
    with at(path):
        return tissue.from_mask(volume, middle)
