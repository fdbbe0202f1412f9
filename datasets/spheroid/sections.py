"""The sections of a recipe for a simulated spheroid, in physical units, and their types."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from cytosuite.bodies.grid import Grid
from cytosuite.datasets import scene
from cytosuite.datasets.ranges import (
    LARGEST,
    Auto,
    Clump,
    Count,
    CountRange,
    Degrees,
    NotNegative,
    NotNegativeRange,
    PathName,
    Positive,
    PositiveRange,
    Range,
    Rough,
    Section,
    Share,
    ShareRange,
    Triple,
    Wide,
)
from cytosuite.files import Scalars

Finite = Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Spread = Annotated[float, Field(ge=0, le=0.5)]
Fraction = Annotated[float, Field(gt=0, le=0.55)]
Factor = Annotated[float, Field(ge=1, le=8)]
OutlineNames = Annotated[
    tuple[Literal["ellipsoid", "shell", "blastocyst", "irregular", "fill", "file"], ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    Field(min_length=1),
]


class TissueImage(scene.Image):
    """The field of view and its voxels."""

    stretch: float = Field(1.0, ge=0.5, le=2)
    """how much taller things appear than they are, as where refractive indices differ: the voxel
    size along z / the true one"""
    oversampling: tuple[Factor, Factor, Factor] = (1.5, 1.5, 1.5)
    """simulated samples per voxel of the detector along z, y, x"""

    @property
    def detector(self) -> Grid:
        """The voxels of the image, of their true size."""
        z, y, x = self.spacing_um
        return Grid(self.shape, (z / self.stretch, y, x))


class Tissue(Section):
    """Outline of the tissue, number and density of nuclei."""

    outline: OutlineNames = ("ellipsoid",)
    """shape of the tissue, or several of which each case takes one: ellipsoid; shell around a
    core without living cells; blastocyst (a layer with the flattest nuclei around a cavity and a
    mass of the others at one pole); irregular (a bumpy ellipsoid); fill (beyond the image on all
    sides); file (a mask)"""
    masks: tuple[PathName, ...] = ()
    """TIFF files for outline `file` (nonzero: tissue); each case takes one"""
    masks_um: Triple | Auto = "auto"
    """voxel size of the masks where their files give none"""
    n_nuclei: Range[Count] | Auto = (20, 100)
    """nuclei in the tissue (drawn log-uniformly); `auto`: as many as volume_fraction makes of
    the room"""
    shrinkage: Share = 0.0
    """how nuclei get smaller as there are more of them: diameters are multiplied by (n_nuclei /
    20)^-shrinkage"""
    volume_fraction: Range[Fraction] = (0.3, 0.42)
    """share of the tissue's volume that is nucleus; with n_nuclei it sets the size of
    ellipsoid, shell, irregular and of the mass of a blastocyst (a draw that cannot be packed is
    lowered within the range, below 10 nuclei down to 0.15 + 0.015 for each; see
    nuclear_volume_fraction and missed)"""
    width_um: PositiveRange | Auto = "auto"
    """full width of ellipsoid, shell, irregular and, at least, of a blastocyst; `auto`: from
    n_nuclei and volume_fraction"""
    may_be_cut: bool = False
    """whether draws may be larger than the image and cut by its faces"""
    middle: ShareRange = (0.5, 0.5)
    """depth of the middle of ellipsoid, shell, irregular and file below the plane at the
    objective / height of the image"""
    flattening: PositiveRange = (0.8, 1.0)
    """height of the tissue relative to its width"""
    bumps: ShareRange = (0.06, 0.14)
    """irregular: r.m.s. of the outline's displacement / radius"""
    core: ShareRange = (0.45, 0.65)
    """shell, blastocyst: size of the core, of the inside / of the tissue (lowered where nuclei find
    no room around it)"""
    core_offset: ShareRange = (0.0, 0.2)
    """shell: the core's displacement / the room it has"""
    core_tissue: ShareRange = (0.5, 1.0)
    """shell, blastocyst: how dense the core is (0: a cavity; 1: dead tissue)"""
    inner: ShareRange = (0.3, 0.5)
    """blastocyst: share of the nuclei in the mass, where they fill volume_fraction"""
    arrangement: Literal["packed", "random"] = "packed"
    """nuclei push each other apart until none overlap, or are put at random places one by one
    as long as there is room"""
    break_criterion: Count = 1000
    """random: give up after so many places in a row without room"""
    gap_um: NotNegativeRange = (0.3, 0.3)
    """smallest distance between nuclei before roughness, µm"""
    max_overlap: float = Field(0.0, ge=0, le=0.5)
    """share of a nucleus' volume a neighbour may take"""
    contact: ShareRange = (0.0, 0.0)
    """share of the surface of all nuclei inside of others: above 0, those that lie near are drawn
    together until it is met, as close as max_overlap allows, and flatten against each other (see
    contact_share)"""


class Nucleus(Section):
    """Size, shape and dye of nuclei."""

    diameter_um: PositiveRange = (8.0, 10.0)
    """median diameter of a case: of the sphere of equal volume, µm"""
    diameter_spread: Range[Spread] = (0.07, 0.07)
    """standard deviation of ln(diameter) between nuclei"""
    axis_spread: Range[Spread] = (0.14, 0.14)
    """standard deviation of ln(axis) within a nucleus"""
    flat_fraction: ShareRange = (0.0, 0.0)
    """share of clearly flat or long nuclei"""
    flat_along_surface: bool = False
    """turn flat nuclei near the surface of the tissue along it, after they were placed; they
    may then overlap their neighbours, which keep their own labels"""
    roughness: Range[Rough] = (0.04, 0.04)
    """r.m.s. displacement of the surface relative to radius"""
    brightness: Positive = 1.0
    """median brightness, relative to other kinds"""
    brightness_spread: Range[Wide] = (0.25, 0.25)
    """standard deviation of ln(brightness) between nuclei"""
    chromatin_contrast: NotNegativeRange = (0.2, 0.45)
    """standard deviation of ln(dye density) within a nucleus"""
    chromatin_um: Clump = 0.5
    """size (Gaussian standard deviation) of chromatin clumps, µm"""
    nucleoli: int = Field(3, ge=0, le=10)
    """most dark nucleoli per nucleus"""
    mitotic_fraction: ShareRange = (0.03, 0.03)
    """share of nuclei in mitosis"""
    apoptotic_fraction: ShareRange = (0.0, 0.0)
    """share of nuclei that are dying: bright fragments without a label"""
    phantoms: PathName = ""
    """folder of stored nuclei to place instead of drawn ones, see Phantoms"""
    phantoms_um: Triple | Auto = "auto"
    """voxel size of the stored nuclei where their files give none"""
    phantoms_scaled: bool = False
    """scale stored nuclei to diameter_um; as large as stored otherwise"""
    phantoms_tilt: Degrees = 0.0
    """largest tilt of stored nuclei, degrees; turns are free"""


class Kind(Nucleus):
    """A kind of cells: the keys of `nucleus`, from which those not given are taken."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """name of the kind"""
    share: NotNegative = 1.0
    """how frequent, relative to the other kinds"""


class Subculture(Section):
    """Balls of tissue that hold one kind of cells only."""

    kind: str
    """name of the kind"""
    count: CountRange = (1, 1)
    """balls in a case"""
    diameter_um: PositiveRange = (30.0, 40.0)
    """width of a ball, µm"""
    flattening: Positive = 1.0
    """height of a ball relative to its width"""


class Cells(Section):
    """Cells around the nuclei, with membranes between them; or the labels of a file."""

    enabled: bool = False
    """simulate cells, a membrane channel and their labels"""
    source: PathName = ""
    """label image (3D) of cells, or a folder of which each case takes one: they lie in the middle
    of the image with a nucleus in each (`placement`), in place of tissue and packing"""
    source_um: Triple | Auto = "auto"
    """voxel size of `source` where the files give none, or another one"""
    volume_spread: float = Field(0.15, ge=0, le=0.6)
    """standard deviation of ln(cell volume / nuclear volume)"""
    wrinkle_um: float = Field(0.4, ge=0, le=3)
    """waviness of the membranes, µm"""
    membrane_um: float = Field(0.3, ge=1e-9, le=3)
    """thickness of two apposed membranes, µm"""
    membrane_brightness: Positive = 3.0
    """dye in a membrane relative to a median nucleus"""
    membrane_spread: Wide = 0.25
    """standard deviation of ln(brightness) of membranes"""
    membrane_glow: ShareRange = (0.02, 0.1)
    """membrane dye inside the cells relative to a median nucleus"""
    bleed_through: ShareRange = (0.0, 0.0)
    """share of the membrane dye that shines in the channel of the nuclei, as walls; above 0
    it needs no `enabled`"""


class Debris(Section):
    """Bodies that glow and are no nuclei; never labelled."""

    fragments: CountRange = (5, 15)
    """pieces of a dying nucleus; 0: it leaves a gap"""
    fragment_share: Share = Field(0.05, gt=0)
    """their volume / the nucleus' volume"""
    fragment_brightness: PositiveRange = (3.0, 10.0)
    """relative to the nucleus"""
    bodies: CountRange = (0, 0)
    """compact bodies between and around nuclei"""
    body_diameter: PositiveRange = (0.3, 0.6)
    """relative to a nucleus"""
    body_brightness: PositiveRange = (0.15, 2.5)
    """relative to a nucleus"""
    blobs: CountRange = (0, 0)
    """diffuse glowing blobs"""
    blob_sigma_z_um: PositiveRange = (8.0, 16.0)
    """their height, µm"""
    blob_sigma_xy_um: PositiveRange = (3.0, 7.0)
    """their width, µm"""
    blob_brightness: PositiveRange = (0.03, 0.3)
    """relative to a nucleus"""


class TissueOptics(scene.Dimming, scene.Hazy):
    """Light on its way to the camera."""

    cytoplasm: ShareRange = (0.02, 0.08)
    """glow of the tissue between nuclei relative to a median nucleus"""
    cytoplasm_spread: Range[Wide] = (0.0, 0.0)
    """standard deviation of ln(glow) over the tissue: vacuoles are dark, plastids bright"""
    cytoplasm_um: Clump = 1.0
    """size (Gaussian standard deviation) of darker and brighter parts of the glow, µm"""
    attenuation: Literal["exponential", "power", "none"] = "exponential"
    """law of dimming by the tissue above: exp(-d/l); (d/l + 1)^-6; none"""
    attenuation_delay_um: Finite = 0.0
    """tissue that does not dim yet, µm"""
    attenuation_floor: Share = 0.0
    """light that is added to the law at any depth"""
    objective: Literal["first", "last"] = "first"
    """plane at the objective, where light is not yet dimmed; last: the finished stack is turned
    over, masks and measured point spread functions with it"""
    psf: Literal["gaussian", "physical", "file"] = "gaussian"
    """point spread function: Gaussian; computed from the microscope; measured"""
    psf_growth: NotNegativeRange = (0.0, 0.0)
    """gaussian: relative growth of the widths per 100 µm of depth"""
    psf_files: tuple[PathName, ...] = ()
    """file: stacks of a bead, the first for the top, the last for the bottom"""
    psf_um: Triple | Auto = "auto"
    """voxel size of psf_files that give none"""
    microscope: Literal["widefield", "confocal", "lightsheet"] = "confocal"
    """physical: kind"""
    pinhole_airy: float = Field(1.0, ge=0, le=20)
    """confocal: diameter of the pinhole in Airy disks"""
    sheet_um: float = Field(2.0, ge=1e-9, le=100)
    """lightsheet: standard deviation of its thickness, µm"""
    index_sample: scene.Index = 1.36
    """physical: refractive index of the tissue"""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        """Refuse an aperture that no ray passes."""
        if self.psf == "physical" and self.na >= self.index_immersion:
            raise ValueError(f"na must be below index_immersion = {self.index_immersion:g}")
        return self

    def facts(self) -> Scalars:
        """Return the optics for the metadata of files, with all causes of a computed psf."""
        if self.psf == "gaussian":
            return super().facts()
        known = scene.MICROSCOPE if self.psf == "physical" else self.model_fields_set
        return {"psf": self.psf, **self.model_dump(include=scene.MICROSCOPE & known)}


class TissueCamera(scene.Lit):
    """From expected photons to counts."""

    fading: float = Field(0.0, ge=0, le=2)
    """how nuclei get dimmer as there are more of them: photons are multiplied by (n_nuclei /
    20)^-fading"""
    exposure: float = Field(0.0, ge=0, le=4)
    """if not 0, the gain is chosen so that the brightest nuclei (99.99 %) reach this share of
    the full scale"""


class TissueLabels(scene.Labels):
    """The true labels."""

    style: Literal["shape", "widened", "visible"] = "shape"
    """shape: the nucleus itself; widened: where its blurred shape exceeds `level` of its peak;
    visible: where its own blurred image does, as annotators draw"""
    level: Range[OpenShare] = (0.25, 0.25)
    """widened, visible: share of the peak"""
    plane_level: ShareRange = (0.0, 0.0)
    """widened, visible: above 0 as annotators draw who go plane by plane: `level` is the share of
    the peak in a plane, and planes with a peak below this share of the nucleus' are left out"""
    haze: bool = False
    """widened, visible: whether the haze of a gaussian point spread function counts as light of
    the nucleus, as for annotators who draw down to the dark background"""
    loose_um: Range[Finite] = (0.0, 0.0)
    """by how much nuclei are drawn wider than they are, µm; below 0 narrower; neighbours divide
    what both would take"""
    visibility: NotNegative = 0.0
    """a nucleus fainter than this many times the noise loses its label"""


class Output(Section):
    """The written images."""

    channel: Literal["nucleus", "membrane"] = "nucleus"
    """channel that algorithms see and are scored by; the other is added"""
    steps: bool = False
    """also write the volume after every stage and, for visible labels, the share of its
    nucleus' peak in every voxel"""
