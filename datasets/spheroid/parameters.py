"""What a simulated spheroid is made of, in physical units, checked before anything is drawn."""

from collections.abc import Mapping
from math import exp, pi, prod
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from cytosuite.errors import InputError
from cytosuite.manifest import parse

MAX_SAMPLES = 1_000_000_000  # simulated voxels: 20 GB at the peak

Number = TypeVar("Number", int, float)


def _pair(value: Any) -> Any:  # noqa: ANN401  (whatever a manifest contains)
    """Return a single number as the range that holds nothing else."""
    return (value, value) if isinstance(value, int | float) else value


def _ascending(value: tuple[Number, Number]) -> tuple[Number, Number]:
    """Return a range, refuse one whose ends are exchanged."""
    if value[0] > value[1]:
        raise ValueError("must be one number or a range [low, high] with low <= high")
    return value


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Fraction = Annotated[float, Field(gt=0, le=0.55)]
Count = Annotated[int, Field(ge=1, le=20000)]
Factor = Annotated[float, Field(ge=1, le=8)]
PositiveRange = Annotated[
    tuple[Positive, Positive], BeforeValidator(_pair), AfterValidator(_ascending)
]
Range = Annotated[
    tuple[NotNegative, NotNegative], BeforeValidator(_pair), AfterValidator(_ascending)
]
ShareRange = Annotated[tuple[Share, Share], BeforeValidator(_pair), AfterValidator(_ascending)]
FractionRange = Annotated[
    tuple[Fraction, Fraction], BeforeValidator(_pair), AfterValidator(_ascending)
]
CountRange = Annotated[tuple[Count, Count], BeforeValidator(_pair), AfterValidator(_ascending)]


class Parameters(BaseModel):
    """Parameters of a simulated spheroid; a pair is a range from which each case draws.

    A single number in place of a pair fixes the value. Raises `InputError` where fields that are
    right on their own contradict each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: tuple[Count, Count, Count] = Field(
        default=(48, 160, 160), description="voxels of the image along z, y, x"
    )
    spacing_um: tuple[Positive, Positive, Positive] = Field(
        default=(1.5, 0.5, 0.5), description="µm per voxel of the detector along z, y, x"
    )
    oversampling: tuple[Factor, Factor, Factor] = Field(
        default=(1.5, 1.5, 1.5),
        description="simulated samples per voxel of the detector along z, y, x",
    )
    n_nuclei: CountRange = Field(
        default=(20, 100), description="nuclei in the spheroid (drawn log-uniformly)"
    )
    volume_fraction: FractionRange = Field(
        default=(0.3, 0.42),
        description="share of the spheroid's volume that is nucleus; with n_nuclei and "
        "diameter_um it sets the spheroid's size (a draw that cannot be packed is lowered within "
        "the range: below 10 nuclei more than 0.35 is rarely reached)",
    )
    flattening: PositiveRange = Field(
        default=(0.8, 1.0), description="height of the spheroid relative to its width"
    )
    diameter_um: PositiveRange = Field(
        default=(8.0, 10.0),
        description="median nuclear diameter of a case, as that of the sphere of equal volume, µm",
    )
    diameter_spread: NotNegative = Field(
        default=0.07, le=0.3, description="standard deviation of ln(diameter) between nuclei"
    )
    axis_spread: NotNegative = Field(
        default=0.14, le=0.4, description="standard deviation of ln(axis) within a nucleus"
    )
    roughness: NotNegative = Field(
        default=0.04, le=0.15, description="r.m.s. displacement of the surface relative to radius"
    )
    gap_um: NotNegative = Field(
        default=0.3, description="smallest distance between nuclei before roughness, µm"
    )
    mitotic_fraction: Share = Field(
        default=0.03, description="probability that a nucleus is condensed: small, flat, bright"
    )
    brightness_spread: NotNegative = Field(
        default=0.25, le=1.0, description="standard deviation of ln(brightness) between nuclei"
    )
    chromatin_contrast: Range = Field(
        default=(0.2, 0.45), description="standard deviation of ln(dye density) within a nucleus"
    )
    chromatin_um: Positive = Field(
        default=0.5, description="size (Gaussian standard deviation) of chromatin clumps, µm"
    )
    nucleoli: int = Field(default=3, ge=0, le=10, description="most dark nucleoli per nucleus")
    cytoplasm: ShareRange = Field(
        default=(0.02, 0.08),
        description="glow of the spheroid between nuclei relative to a median nucleus",
    )
    attenuation_um: PositiveRange = Field(
        default=(40.0, 160.0),
        description="tissue depth after which 1/e of the light is left, µm (drawn log-uniformly)",
    )
    psf_sigma_z_um: PositiveRange = Field(
        default=(0.9, 1.6), description="axial standard deviation of the point spread function, µm"
    )
    psf_sigma_xy_um: PositiveRange = Field(
        default=(0.25, 0.4),
        description="lateral standard deviation of the point spread function, µm",
    )
    haze: ShareRange = Field(
        default=(0.05, 0.3), description="share of the light scattered into a wide haze"
    )
    haze_sigma_um: tuple[Positive, Positive, Positive] = Field(
        default=(6.0, 3.0, 3.0), description="standard deviations of the haze along z, y, x, µm"
    )
    photons: PositiveRange = Field(
        default=(8.0, 80.0),
        description="photons per voxel of a median nucleus without attenuation and blur (drawn "
        "log-uniformly)",
    )
    background_photons: Range = Field(
        default=(0.2, 2.0), description="photons per voxel everywhere: stray light, dark current"
    )
    read_noise: Range = Field(
        default=(0.5, 2.0), description="standard deviation of the electronic noise, photons"
    )
    gain: Positive = Field(default=4.0, description="counts per photon")
    offset: NotNegative = Field(default=100.0, le=60000, description="counts in the dark")
    min_voxels: int = Field(
        default=20, ge=1, description="nuclei with fewer voxels in the image are not labelled"
    )

    @model_validator(mode="after")
    def _fits_into_memory(self) -> Self:
        """Refuse an image that would need more memory than a large machine has."""
        samples = prod(self.shape) * prod(self.oversampling)
        if samples > MAX_SAMPLES:
            raise InputError(
                f"spheroid parameters: shape {list(self.shape)} at oversampling "
                f"{list(self.oversampling)} makes {samples:.1e} simulated voxels, at most "
                f"{MAX_SAMPLES:.0e} are allowed; lower shape or oversampling"
            )
        return self

    @model_validator(mode="after")
    def _field_of_view_holds_the_spheroid(self) -> Self:
        """Refuse ranges from which a spheroid larger than the image could be drawn."""
        nucleus = pi / 6 * self.diameter_um[1] ** 3 * exp(4.5 * self.diameter_spread**2)
        volume = self.n_nuclei[1] * nucleus / self.volume_fraction[0]
        widest = spheroid_semi_axes(volume, self.flattening[0])[1]
        highest = spheroid_semi_axes(volume, self.flattening[1])[0]
        size = (2 * highest, 2 * widest, 2 * widest)
        view = [n * step for n, step in zip(self.shape, self.spacing_um, strict=True)]
        if any(a > b for a, b in zip(size, view, strict=True)):
            raise InputError(
                f"spheroid parameters: up to {self.n_nuclei[1]} nuclei of {self.diameter_um[1]:g} "
                f"µm at a volume_fraction of {self.volume_fraction[0]:g} make a spheroid of "
                f"{_um(size)} µm, larger than the image of {_um(view)} µm; lower n_nuclei or "
                "diameter_um, or raise volume_fraction, shape or spacing_um"
            )
        return self

    def ranges(self) -> list[tuple[str, float, float]]:
        """Return name, low and high of every parameter that is a range."""
        pairs = ((name, getattr(self, name)) for name in type(self).model_fields)
        return [(n, *v) for n, v in pairs if isinstance(v, tuple) and len(v) == 2]


def _um(values: Any) -> str:  # noqa: ANN401
    """Return lengths as text."""
    return " x ".join(f"{value:.0f}" for value in values)


def spheroid_semi_axes(volume_um3: float, flattening: float) -> tuple[float, float, float]:
    """Return the semi-axes (z, y, x) in µm of a spheroid of a given volume.

    Parameters
    ----------
    volume_um3 : float
    flattening : float
        Height relative to width.

    Examples
    --------
    >>> [round(axis, 2) for axis in spheroid_semi_axes(4188.79, 1.0)]
    [10.0, 10.0, 10.0]
    """
    width = (volume_um3 * 3 / (4 * pi * flattening)) ** (1 / 3)
    return flattening * width, width, width


def parameters_from(values: Mapping[str, Any]) -> Parameters:
    """Return checked parameters from the values of a manifest or a command line.

    Parameters
    ----------
    values : mapping
        Some fields of `Parameters`; the others keep their defaults.

    Raises
    ------
    InputError
        If a name is unknown or a value is not allowed; one line that names the first of them.
    """
    return parse("spheroid parameters", dict(values), Parameters)


def reference_table() -> str:
    """Return all parameters with default and meaning as a Markdown table."""
    rows = ["| parameter | default | meaning |", "|---|---|---|"]
    for name, field in Parameters.model_fields.items():
        default = field.default
        value = list(default) if isinstance(default, tuple) else default
        rows.append(f"| `{name}` | {value} | {field.description} |")
    return "\n".join(rows)
