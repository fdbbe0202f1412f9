"""A simulated spheroid: its tissue, nuclei at their places, and other bodies that glow."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cytosuite.bodies.stars import Bodies
from cytosuite.datasets.phantoms.stored import StoredNuclei
from cytosuite.datasets.physics import tissue
from cytosuite.datasets.physics.bodies import Mixture, pressed, volumes_um3
from cytosuite.datasets.physics.debris import Blobs
from cytosuite.datasets.physics.shapes import Nuclei
from cytosuite.datasets.physics.tissue import Region
from cytosuite.datasets.spheroid.given import GivenCells
from cytosuite.datasets.spheroid.parameters import Drawn, Parameters, spheroid_semi_axes
from cytosuite.datasets.spheroid.sections import Tissue
from cytosuite.errors import at
from cytosuite.files import frozen
from cytosuite.formats import read
from cytosuite.volume.arrays import Doubles, Interval, Lengths, Longs, Rng

BEYOND = 1.5  # nuclear diameters by which tissue that fills the image goes on outside
LEAST_INSIDE = 0.4  # of the width of a blastocyst
Labelled = tuple[Nuclei | StoredNuclei, Doubles]  # nuclei that have labels, and their centres
Placed = tuple[Bodies, Doubles]  # bodies and their centres (N, 3), µm from the corner of the image


@frozen
class Outline:
    """The tissue that holds the cells."""

    living: Region  # holds the nuclei
    core: Region | None  # without living cells, inside the tissue
    centre_um: Lengths  # the middle of the tissue
    fixed: bool  # whether the size comes from the recipe, not from the nuclei
    homes: tuple[Region, ...] = ()  # of a blastocyst: the whole, its layer, its inner mass

    def scaled(self, factor: float) -> "Outline":
        """Return a copy with all lengths multiplied, the middle of the image unmoved."""
        core = self.core.scaled(factor, self.centre_um) if self.core else None
        homes = tuple(home.scaled(factor, self.centre_um) for home in self.homes)
        return replace(
            self, living=self.living.scaled(factor, self.centre_um), core=core, homes=homes
        )


def outline(
    rng: Rng,
    parameters: Parameters,
    drawn: Drawn,
    volume_um3: float,
    diameter_um: float,
) -> Outline:
    """Return the tissue of a volume, in µm³, in the middle of the image."""
    section = parameters.tissue
    middle = parameters.middle_um(drawn)
    kind = section.outline[int(rng.integers(len(section.outline)))]
    if kind == "fill":
        size_um = parameters.image.detector.size_um
        return Outline(tissue.fill(size_um, BEYOND * diameter_um), None, middle, fixed=True)
    if kind == "file":
        return Outline(_mask(rng, section, middle), None, middle, fixed=True)
    mass_um3 = volume_um3 * drawn["inner"] if kind == "blastocyst" else 0.0
    if "width_um" in drawn:
        width = drawn["width_um"] / 2
        axes = (width * drawn["flattening"], width, width)
    else:
        hollow = 1 - min(drawn["core"], 0.95) ** 3 if kind in ("shell", "blastocyst") else 1.0
        room_um3 = max((volume_um3 - mass_um3) / hollow, mass_um3 / max(drawn["core"], 0.1) ** 3)
        axes = spheroid_semi_axes(room_um3, drawn["flattening"])
    core = None
    homes = tuple[Region, ...]()
    if kind == "irregular":
        living = tissue.irregular(rng, middle, axes, drawn["bumps"])
    elif kind == "ellipsoid":
        living = tissue.ellipsoid(middle, axes)
    else:
        pole = rng.normal(size=3)
        pole /= np.linalg.norm(pole)
        if kind == "shell":
            offset = tuple((pole * axes * ((1 - drawn["core"]) * drawn["core_offset"])).tolist())
            living, core = tissue.shell(middle, axes, drawn["core"], offset)
        else:
            inside = max(min(drawn["core"], 1 - diameter_um / min(axes)), LEAST_INSIDE)
            whole, layer, mass, core = tissue.blastocyst(middle, axes, inside, pole, mass_um3)
            homes = (whole, layer, mass)
            living = whole.minus(core) if core else whole
    return Outline(living, core, middle, "width_um" in drawn, homes)


def _mask(rng: Rng, section: Tissue, middle: Lengths) -> Region:
    """Return one of the masks in files."""
    path = Path(section.masks[int(rng.integers(len(section.masks)))])
    volume = read(path)
    size = None if section.masks_um == "auto" else section.masks_um
    refusal = f"{path}: the mask gives no voxel size; set tissue.masks_um"
    volume = replace(volume, spacing=volume.sized(size, refusal))
    with at(path):
        return tissue.from_mask(volume, middle)


@frozen
class PackedNuclei:
    """All nuclei as they are packed, before any divides or falls into fragments."""

    parts: tuple[Nuclei | StoredNuclei, ...]  # living ones of a kind, its dying ones, the next kind
    centres_um: Doubles  # (N, 3), the dying take room like others

    @property
    def bodies(self) -> Mixture:
        """All of them as one population."""
        return Mixture(self.parts)

    @property
    def placed(self) -> list[Labelled]:
        """The parts with their places."""
        return list(zip(self.parts, self.bodies.split(self.centres_um), strict=True))


def volume_of(parts: Sequence[Bodies]) -> float:
    """Return the volume in µm³ of parts as in `PackedNuclei`, summed kind by kind."""
    sums = [float(volumes_um3(part).sum()) for part in parts]
    return sum(living + dying for living, dying in zip(sums[::2], sums[1::2], strict=True))


class Spheroid(NamedTuple):
    """All bodies of a spheroid; places are centres (N, 3) in µm."""

    packed: PackedNuclei  # one cell grows around each
    parts: tuple[Labelled, ...]  # labelled nuclei, by kind
    debris: tuple[Placed, ...]  # fragments and other bodies, not labelled
    blobs: Blobs
    outline: Outline
    cells: GivenCells | None = None  # of a user, with the numbers of the packed nuclei
    contact_share: float | None = None  # of their surface, of nuclei that press on each other

    def bodies(self, loose_um: float = 0.0) -> tuple[Placed, ...]:
        """Return labelled nuclei, by kind, some µm wider, as they flatten where they press."""
        parts = self.parts
        if loose_um != 0:
            parts = tuple((part.looser(loose_um), points) for part, points in self.parts)
        return parts if self.contact_share is None else pressed(parts)

    @property
    def kinds(self) -> Longs:
        """Number of the kind of each labelled nucleus, from 0."""
        return np.repeat(np.arange(len(self.parts)), [len(part) for part, _ in self.parts])

    @property
    def volume_fraction(self) -> float:
        """Share of the living tissue that is nucleus."""
        return volume_of(self.packed.parts) / self.outline.living.volume_um3

    @property
    def inner(self) -> Interval:
        """Share of nuclei in the mass of a blastocyst, and share of the mass that is nucleus."""
        mass = self.outline.homes[2]
        held = mass.distance_at(self.packed.centres_um) < 0
        filled = volumes_um3(self.packed.bodies)[held].sum() / mass.volume_um3
        return float(held.mean()), float(filled)
