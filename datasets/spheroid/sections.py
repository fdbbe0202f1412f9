"""The sections of a recipe for a simulated spheroid, in physical units."""

from typing import Literal

from pydantic import Field

from datasets.spheroid.fields import (
    AnyCountRange,
    Auto,
    Count,
    CountRange,
    Factor,
    Finite,
    FractionRange,
    Index,
    NotNegative,
    OpenShareRange,
    OutlineNames,
    PathName,
    Positive,
    PositiveRange,
    Range,
    RoughRange,
    Section,
    Share,
    ShareRange,
    SpreadRange,
    Triple,
    WideRange,
)


class Image(Section):
    """The field of view and its voxels."""

    shape: tuple[Count, Count, Count] = Field((48, 160, 160), description="voxels along z, y, x")
    spacing_um: Triple = Field((1.5, 0.5, 0.5), description="µm per voxel of the detector")
    oversampling: tuple[Factor, Factor, Factor] = Field(
        (1.5, 1.5, 1.5), description="simulated samples per voxel of the detector along z, y, x"
    )


class Tissue(Section):
    """Outline of the tissue, number and density of nuclei."""

    outline: OutlineNames = Field(
        ("ellipsoid",),
        description="shape of the tissue, or several of which each case takes one: ellipsoid; "
        "shell around a core without living cells; irregular (a bumpy ellipsoid); fill (beyond "
        "the image on all sides); file (a mask)",
    )
    masks: tuple[PathName, ...] = Field(
        (), description="TIFF files for outline `file` (nonzero: tissue); each case takes one"
    )
    masks_um: Triple | Auto = Field(
        "auto", description="voxel size of the masks where their files give none"
    )
    n_nuclei: CountRange | Auto = Field(
        (20, 100),
        description="nuclei in the tissue (drawn log-uniformly); `auto`: as many as "
        "volume_fraction makes of the room",
    )
    shrinkage: Share = Field(
        0.0,
        description="how nuclei get smaller as there are more of them: diameters are multiplied "
        "by (n_nuclei / 20)^-shrinkage",
    )
    volume_fraction: FractionRange = Field(
        (0.3, 0.42),
        description="share of the tissue's volume that is nucleus; with n_nuclei it sets the size "
        "of ellipsoid, shell and irregular (a draw that cannot be packed is lowered within the "
        "range, below 10 nuclei down to 0.15 + 0.015 for each; see nuclear_volume_fraction)",
    )
    width_um: PositiveRange | Auto = Field(
        "auto",
        description="full width of ellipsoid, shell and irregular; `auto`: from n_nuclei and "
        "volume_fraction",
    )
    flattening: PositiveRange = Field(
        (0.8, 1.0), description="height of the tissue relative to its width"
    )
    bumps: ShareRange = Field(
        (0.06, 0.14), description="irregular: r.m.s. of the outline's displacement / radius"
    )
    core: ShareRange = Field((0.45, 0.65), description="shell: size of the core / of the tissue")
    core_offset: ShareRange = Field(
        (0.0, 0.2), description="shell: the core's displacement / the room it has"
    )
    core_tissue: ShareRange = Field(
        (0.5, 1.0), description="shell: how dense the core is (0: a cavity; 1: dead tissue)"
    )
    arrangement: Literal["packed", "random"] = Field(
        "packed",
        description="nuclei push each other apart until none overlap, or are put at random places "
        "one by one as long as there is room",
    )
    break_criterion: Count = Field(
        1000, description="random: give up after so many places in a row without room"
    )
    gap_um: Range = Field(
        (0.3, 0.3), description="smallest distance between nuclei before roughness, µm"
    )
    max_overlap: float = Field(
        0.0, ge=0, le=0.5, description="share of a nucleus' volume a neighbour may take"
    )


class Nucleus(Section):
    """Size, shape and dye of nuclei."""

    diameter_um: PositiveRange = Field(
        (8.0, 10.0), description="median diameter of a case: of the sphere of equal volume, µm"
    )
    diameter_spread: SpreadRange = Field(
        (0.07, 0.07), description="standard deviation of ln(diameter) between nuclei"
    )
    axis_spread: SpreadRange = Field(
        (0.14, 0.14), description="standard deviation of ln(axis) within a nucleus"
    )
    flat_fraction: ShareRange = Field(
        (0.0, 0.0), description="share of clearly flat or long nuclei"
    )
    flat_along_surface: bool = Field(
        False,
        description="turn flat nuclei near the surface of the tissue along it, after they were "
        "placed; they may then overlap their neighbours, which keep their own labels",
    )
    roughness: RoughRange = Field(
        (0.04, 0.04), description="r.m.s. displacement of the surface relative to radius"
    )
    brightness: Positive = Field(1.0, description="median brightness, relative to other kinds")
    brightness_spread: WideRange = Field(
        (0.25, 0.25), description="standard deviation of ln(brightness) between nuclei"
    )
    chromatin_contrast: Range = Field(
        (0.2, 0.45), description="standard deviation of ln(dye density) within a nucleus"
    )
    chromatin_um: Positive = Field(
        0.5, description="size (Gaussian standard deviation) of chromatin clumps, µm"
    )
    nucleoli: int = Field(3, ge=0, le=10, description="most dark nucleoli per nucleus")
    mitotic_fraction: ShareRange = Field((0.03, 0.03), description="share of nuclei in mitosis")
    apoptotic_fraction: ShareRange = Field(
        (0.0, 0.0), description="share of nuclei that are dying: bright fragments without a label"
    )
    phantoms: PathName = Field(
        "", description="folder of stored nuclei to place instead of drawn ones, see Phantoms"
    )
    phantoms_um: Triple | Auto = Field(
        "auto", description="voxel size of the stored nuclei where their files give none"
    )
    phantoms_scaled: bool = Field(
        False, description="scale stored nuclei to diameter_um; as large as stored otherwise"
    )
    phantoms_tilt: float = Field(
        0.0, ge=0, le=180, description="largest tilt of stored nuclei, degrees; turns are free"
    )


class Kind(Nucleus):
    """A kind of cells: the keys of `nucleus`, from which those not given are taken."""

    name: str = Field(description="name of the kind", pattern=r"^[a-z][a-z0-9_]*$")
    share: NotNegative = Field(1.0, description="how frequent, relative to the other kinds")


class Subculture(Section):
    """Balls of tissue that hold one kind of cells only."""

    kind: str = Field(description="name of the kind")
    count: AnyCountRange = Field((1, 1), description="balls in a case")
    diameter_um: PositiveRange = Field((30.0, 40.0), description="width of a ball, µm")
    flattening: Positive = Field(1.0, description="height of a ball relative to its width")


class Cells(Section):
    """Cells around the nuclei, with membranes between them."""

    enabled: bool = Field(False, description="simulate cells, a membrane channel and their labels")
    volume_spread: float = Field(
        0.15, ge=0, le=0.6, description="standard deviation of ln(cell volume / nuclear volume)"
    )
    wrinkle_um: NotNegative = Field(0.4, le=3, description="waviness of the membranes, µm")
    membrane_um: Positive = Field(0.3, le=3, description="thickness of two apposed membranes, µm")
    membrane_brightness: Positive = Field(
        3.0, description="dye in a membrane relative to a median nucleus"
    )
    membrane_spread: float = Field(
        0.25, ge=0, le=1.5, description="standard deviation of ln(brightness) of membranes"
    )
    membrane_glow: ShareRange = Field(
        (0.02, 0.1), description="membrane dye inside the cells relative to a median nucleus"
    )


class Debris(Section):
    """Bodies that glow and are no nuclei; never labelled."""

    fragments: CountRange = Field((5, 15), description="pieces of a dying nucleus")
    fragment_share: Share = Field(0.05, gt=0, description="their volume / the nucleus' volume")
    fragment_brightness: PositiveRange = Field((3.0, 10.0), description="relative to the nucleus")
    bodies: AnyCountRange = Field((0, 0), description="compact bodies between and around nuclei")
    body_diameter: PositiveRange = Field((0.3, 0.6), description="relative to a nucleus")
    body_brightness: PositiveRange = Field((0.15, 2.5), description="relative to a nucleus")
    blobs: AnyCountRange = Field((0, 0), description="diffuse glowing blobs")
    blob_sigma_z_um: PositiveRange = Field((8.0, 16.0), description="their height, µm")
    blob_sigma_xy_um: PositiveRange = Field((3.0, 7.0), description="their width, µm")
    blob_brightness: PositiveRange = Field((0.03, 0.3), description="relative to a nucleus")


class Optics(Section):
    """Light on its way to the camera."""

    cytoplasm: ShareRange = Field(
        (0.02, 0.08), description="glow of the tissue between nuclei relative to a median nucleus"
    )
    attenuation: Literal["exponential", "power", "none"] = Field(
        "exponential",
        description="law of dimming by the tissue above: exp(-d/l); (d/l + 1)^-6; none",
    )
    attenuation_um: PositiveRange = Field(
        (40.0, 160.0), description="its length l, µm of tissue (drawn log-uniformly)"
    )
    attenuation_delay_um: Finite = Field(0.0, description="tissue that does not dim yet, µm")
    attenuation_floor: Share = Field(0.0, description="light that is added to the law at any depth")
    psf: Literal["gaussian", "physical", "file"] = Field(
        "gaussian",
        description="point spread function: Gaussian; computed from the microscope; measured",
    )
    psf_sigma_z_um: PositiveRange = Field(
        (0.9, 1.6), description="gaussian: axial standard deviation, µm"
    )
    psf_sigma_xy_um: PositiveRange = Field(
        (0.25, 0.4), description="gaussian: lateral standard deviation, µm"
    )
    psf_growth: Range = Field(
        (0.0, 0.0), description="gaussian: relative growth of the widths per 100 µm of depth"
    )
    haze: ShareRange = Field(
        (0.05, 0.3), description="gaussian: share of the light that is scattered into a haze"
    )
    haze_sigma_um: Triple = Field(
        (6.0, 3.0, 3.0), description="standard deviations of the haze along z, y, x, µm"
    )
    psf_files: tuple[PathName, ...] = Field(
        (), description="file: stacks of a bead, the first for the top, the last for the bottom"
    )
    psf_um: Triple | Auto = Field("auto", description="voxel size of psf_files that give none")
    microscope: Literal["widefield", "confocal", "lightsheet"] = Field(
        "confocal", description="physical: kind"
    )
    na: float = Field(1.0, gt=0, le=1.7, description="physical: numerical aperture")
    emission_um: Positive = Field(0.52, le=2, description="physical: emission wavelength, µm")
    excitation_um: Positive = Field(0.488, le=2, description="physical: excitation wavelength, µm")
    pinhole_airy: NotNegative = Field(
        1.0, le=20, description="confocal: diameter of the pinhole in Airy disks"
    )
    sheet_um: Positive = Field(
        2.0, le=100, description="lightsheet: standard deviation of its thickness, µm"
    )
    index_sample: Index = Field(1.36, description="physical: refractive index of the tissue")
    index_immersion: Index = Field(1.33, description="physical: refractive index at the objective")


class Camera(Section):
    """From expected photons to counts."""

    photons: PositiveRange = Field(
        (8.0, 80.0),
        description="photons per voxel of a median nucleus without attenuation and blur (drawn "
        "log-uniformly)",
    )
    background_photons: Range = Field(
        (0.2, 2.0), description="photons per voxel everywhere: stray light, dark current"
    )
    read_noise: Range = Field((0.5, 2.0), description="standard deviation, photons")
    gain: Positive = Field(4.0, description="counts per photon")
    offset: NotNegative = Field(100.0, le=60000, description="counts in the dark")
    excess: Range = Field(
        (0.0, 0.0), description="multiplication noise: extra variance / shot noise (EMCCD: 1)"
    )
    half_normal: NotNegative = Field(0.0, description="sigma of noise that only adds, counts")
    averaging: int = Field(1, ge=1, le=1000, description="acquisitions that are averaged")
    exposure: float = Field(
        0.0,
        ge=0,
        le=4,
        description="if not 0, the gain is chosen so that the brightest nuclei (99.99 %) reach "
        "this share of the full scale",
    )
    bits: Literal[8, 12, 16] = Field(16, description="of the detector; 8 makes uint8 images")
    sensor_blur: Range = Field(
        (0.0, 0.0), description="lateral Gaussian after the noise (correlated noise), voxels"
    )


class Labels(Section):
    """The true labels."""

    style: Literal["shape", "widened", "visible"] = Field(
        "shape",
        description="shape: the nucleus itself; widened: where its blurred shape exceeds `level` "
        "of its peak; visible: where its own blurred image does, as annotators draw",
    )
    level: OpenShareRange = Field((0.25, 0.25), description="widened, visible: share of the peak")
    visibility: NotNegative = Field(
        0.0, description="a nucleus fainter than this many times the noise loses its label"
    )
    min_voxels: int = Field(20, ge=1, description="smaller nuclei in the image are not labelled")


class Output(Section):
    """The written images."""

    channel: Literal["nucleus", "membrane"] = Field(
        "nucleus", description="channel that algorithms see and are scored by; the other is added"
    )
    steps: bool = Field(
        False,
        description="also write the volume after every stage and, for visible labels, the share "
        "of its nucleus' peak in every voxel",
    )
