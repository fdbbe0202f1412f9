"""A recipe for cells on glass: bodies, nuclei, dyes, spots, stray light, optics and camera."""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from cytosuite.datasets.camera import Camera
from cytosuite.datasets.ranges import (
    Auto,
    Clump,
    Count,
    CountRange,
    Degrees,
    Elongation,
    NotNegative,
    NotNegativeRange,
    PathName,
    Positive,
    PositiveRange,
    Quantiles,
    Range,
    Rough,
    Section,
    Share,
    ShareRange,
    Triple,
    Wide,
)
from cytosuite.datasets.scene import Frame, Optics, Pair, SceneParameters, Shapes, Three, Two
from cytosuite.files import FloatPair, FloatTriple, FloatTuple
from cytosuite.volume import Volume

Ratio = Annotated[float, Field(gt=0, le=1)]
# A single number is the end of a range that goes as far as it can.
Least = Annotated[ShareRange, BeforeValidator(lambda v: v if _several(v) else (v, 1.0))]
Most = Annotated[Range[Degrees], BeforeValidator(lambda v: v if _several(v) else (0.0, v))]


def _several(value: object) -> bool:
    return isinstance(value, list | tuple)


class Glass(Frame):
    """The field of view; cells stand on the glass."""

    shape: Three | Two | Literal["source"] = (512, 512)  # type: ignore[assignment]
    """voxels along z, y, x of a volume, or along y, x of a plane; source: as large as the labels of
    `cells.source`"""
    glass_um: NotNegative = 1.0
    """volume: height of the glass above the lower face of the first plane, µm"""


class Outlines(Shapes):
    """Cells: how many, their outlines and how they meet; or the labels of a file."""

    source: PathName = ""
    """label image of cells with the axes of the image, or a folder of which each case takes
    one: they lie in the middle of the image, in place of drawn outlines"""
    source_um: Triple | Pair | Auto = "auto"
    """voxel size of `source` where the files give none, or another one"""
    n_cells: Quantiles[Count] = (12, 24)
    """cells in the image and its margin"""
    height_um: PositiveRange = (4.0, 6.0)
    """height of a cell, µm"""
    meet: Literal["press", "cover"] = "press"
    """what cells do that overlap: press, each flattens at the border; cover, they lie over each
    other, and their light adds up"""
    processes: CountRange = (0, 0)
    """thin processes of a cell, as neurons have; they end where they meet another cell"""
    process_um: PositiveRange = (15.0, 50.0)
    """their length from the border of the cell, µm"""
    process_width_um: Positive = 2.0
    """their width, which tapers to a third"""
    process_bend: NotNegative = 0.1
    """standard deviation of their turn over 1 µm, radians; over s µm it is √s as much"""
    forks: Share = 0.3
    """share of processes that fork"""
    colonies: CountRange = (0, 0)
    """discs that hold all cells, others where these have no room; 0: cells lie anywhere"""
    colony_um: Positive = 40.0
    """radius of a colony, µm"""
    kinds: tuple[Positive, ...] = (1.0,)
    """shares of kinds of cells, which may differ in their spots"""
    two_nuclei: Share = 0.0
    """share of cells with two nuclei"""
    dividing: Share = 0.0
    """share of cells in mitosis: round, with condensed chromosomes"""
    dying: Share = 0.0
    """share of cells that die: small and round, with bright pieces of a nucleus"""
    min_voxels: Count = 20
    """cells with fewer voxels in the image are ignored in the scores"""


class Placing(Section):
    """How a nucleus lies in its cell, relative to the cell."""

    depth: Least = (0.6, 1.0)
    """where the middle lies: distance to the border of its cell / the largest one there is; one
    number: at least"""
    offset: NotNegativeRange | Auto = "auto"
    """distance of the middles of nucleus and cell / radius of the disc (ball) of the cell's area
    (volume); auto: any"""
    ratio: Range[Ratio] | Auto = "auto"
    """area (in labels of a volume: volume) of the nucleus / that of its cell; auto: nuclei have the
    sizes that they have elsewhere"""
    elongation: Range[Elongation] = (1.0, 1.5)
    """longest axis / shortest axis"""
    align_deg: Most = (0.0, 30.0)
    """angle between the longest axes of nucleus and cell, degrees; one number: at most"""
    learned: PathName = ""
    """file of `cytosuite phantoms --placement`: depth, offset, ratio, elongation and angle of
    nuclei in cells like each, in place of the ranges"""


class Cores(Placing):
    """Nuclei, one in a cell unless `cells` says otherwise."""

    radius_um: PositiveRange = (4.0, 5.5)
    """radius of the disc of a nucleus' area, µm; one that finds no room shrinks"""
    height_um: PositiveRange = (3.0, 4.0)
    """height, µm"""
    phantoms: PathName = ""
    """folder of stored nuclei (`cytosuite phantoms`), turned and scaled into their cells, in place
    of drawn ones"""
    roughness: Rough = 0.03
    """r.m.s. displacement of the surface / radius"""
    contrast: NotNegative = 0.3
    """standard deviation of ln(dye) of the chromatin"""
    nucleoli: int = Field(3, ge=0, le=10)
    """most dark nucleoli of a nucleus"""

    @property
    def fitted(self) -> bool:
        """Whether each nucleus is fitted into its cell, not only put deep enough."""
        ranges = (self.offset, self.ratio) != ("auto", "auto") or self.depth[1] < 1
        return ranges or self.align_deg[0] > 0 or bool(self.learned or self.phantoms)


class Dyes(Section):
    """Light of cytoplasm and nuclei."""

    cytoplasm_photons: NotNegativeRange = (40.0, 80.0)
    """photons per voxel of a cell's middle"""
    nuclei_photons: NotNegativeRange = (80.0, 160.0)
    """photons per voxel of a median nucleus"""
    spread: Wide = 0.2
    """standard deviation of ln(dye) between cells, and between nuclei"""
    contrast: NotNegative = 0.15
    """standard deviation of ln(dye) within the cytoplasm"""
    texture_um: Clump = 0.8
    """size (Gaussian standard deviation) of its darker and brighter parts, µm"""
    in_nucleus: Share = 0.4
    """dye of the cytoplasm inside of a nucleus / outside"""
    autofluorescence: ShareRange = (0.0, 0.0)
    """light of the cytoplasm in the channel of spots / in its own"""
    membrane: NotNegative = 0.0
    """dye of the membrane / of the cytoplasm; 0: none is seen"""
    membrane_um: Positive = 0.5
    """thickness of the membrane, and of the layer of spots at it, µm"""


class Cloud(Section):
    """Spots around a place of the image: middle + size · d · g · stretch, d uniform, g normal."""

    middle_um: FloatTriple | FloatPair
    """place relative to the first voxel, as many values as the image has axes"""
    size_um: Positive
    """how wide it is, µm: the standard deviation of a round cloud is size / √3"""
    stretch: tuple[FloatTuple, ...] = ()
    """matrix of as many rows and columns as the image has axes; none: a round cloud"""


class SpotKind(Section):
    """Fluorescent spots of one kind: number, place, brightness and size."""

    place: Literal["cell", "cytoplasm", "nucleus", "membrane"] = "cytoplasm"
    """part of the cell that holds the middles of all of them"""
    cloud: Cloud | None = None
    """they lie in a cloud, in cells or not, in place of in `place`"""
    count: NotNegativeRange = (10.0, 30.0)
    """mean number per cell of a case; in a cloud, of all"""
    law: Literal["poisson", "given"] = "poisson"
    """given: `count`, rounded, in each cell"""
    by_area: bool = False
    """whether a cell's mean number grows with the area (volume) of its `place`, which at the
    mean of all cells makes `count`"""
    kinds: tuple[NotNegative, ...] = ()
    """factors of the mean number by kind of cell; none: all alike"""
    clusters: CountRange = (0, 0)
    """centres per cell around which spots lie; 0: they lie anywhere; 1: around one centre"""
    cluster_um: Positive = 1.0
    """standard deviation of the distance from a centre along each axis, µm"""
    distance_um: NotNegative = 0.0
    """smallest distance of two spots of the kind, µm; those that find no room are left out"""
    photons: PositiveRange = (300.0, 600.0)
    """median photons of a spot, of a case (drawn log-uniformly)"""
    spread: Wide = 0.3
    """standard deviation of ln(photons) between spots"""
    radius_um: NotNegativeRange = (0.0, 0.0)
    """radius of a spot, µm: 0 is a point, else a ball"""


class Stray(Section):
    """Light that is no spot, and never in the table."""

    debris: CountRange = (0, 0)
    """autofluorescent blobs, in every channel"""
    debris_um: PositiveRange = (0.3, 1.0)
    """their standard deviation, µm"""
    debris_photons: PositiveRange = (20.0, 200.0)
    """photons per voxel in the middle of one (drawn log-uniformly)"""
    rays: CountRange = (0, 0)
    """cosmic rays in each image: straight, sharp lines"""
    ray_voxels: Range[Count] = (1, 12)
    """their length, voxels"""
    ray_photons: PositiveRange = (200.0, 3000.0)
    """photons per voxel (drawn log-uniformly)"""


class Shown(Section):
    """What algorithms see, and what they are scored by."""

    image: Literal["cytoplasm", "nuclei", "spots", "sum", "both"] = "cytoplasm"
    """channel of the image; sum: of all, added as photons and quantised once; both: cytoplasm and
    nuclei, as an image of two channels"""
    target: Literal["cells", "nuclei"] = "cells"
    """objects of the labels; the others are added"""
    radius_um: NotNegative = 0.0
    """largest distance of a found spot from a true one, µm; 0: 3 pixels"""


class Parameters(SceneParameters):
    """Parameters of cells; a pair is a range from which each case or object draws."""

    older: ClassVar = {"microscope": "", "dyes.background_photons": "background_photons"}

    image: Glass = Glass(margin_um=15.0)
    optics: Optics = Optics(psf_sigma_z_um=0.4, psf_sigma_xy_um=0.13)
    camera: Camera = Camera(background_photons=(1.0, 4.0), read_noise=1.5)
    cells: Outlines = Outlines(
        radius_um=(8.0, 13.0), elongation=(1.0, 1.6), order=8, circularity=4.0, max_overlap=0.1
    )
    nuclei: Cores = Cores()
    dyes: Dyes = Dyes()
    spots: tuple[SpotKind, ...] = ()
    stray: Stray = Stray()
    shown: Shown = Shown()

    @model_validator(mode="after")
    def _agree(self) -> "Parameters":
        """Refuse contradictions."""
        spacing = self.image.spacing_um
        if self.image.shape == "source" and not self.cells.source:
            raise ValueError("image.shape is source, but cells.source names no file")
        for kind in self.spots:
            if kind.kinds and len(kind.kinds) != len(self.cells.kinds):
                raise ValueError(
                    f"spots.kinds has {len(kind.kinds)} factors, but cells.kinds "
                    f"{len(self.cells.kinds)} shares; give one for each kind of cells"
                )
            cloud = kind.cloud
            axes = len(spacing)
            stretch = cloud.stretch or (spacing,) * axes if cloud else ()
            if cloud and {*map(len, (cloud.middle_um, stretch, *stretch))} != {axes}:
                raise ValueError(
                    f"spots.cloud: expected {axes} numbers in middle_um and in each row of "
                    "stretch, as image.spacing_um has"
                )
        if self.shown.image == "spots" and not self.spots:
            raise ValueError("shown.image is spots, but there are none; add [[parameters.spots]]")
        if self.cells.two_nuclei + self.cells.dividing + self.cells.dying > 1:
            raise ValueError("cells.two_nuclei, dividing and dying are shares of at most 1 in all")
        return self

    def sized(self, source: Volume) -> "Parameters":
        """Return parameters with an image as large as given labels, where it is wanted."""
        if self.image.shape != "source":
            return self
        axes = zip(source.shape, source.spacing, self.image.spacing_um, strict=True)
        shape = tuple(max(round(n * step / spacing), 1) for n, step, spacing in axes)
        return self.model_copy(update={"image": self.image.model_copy(update={"shape": shape})})
