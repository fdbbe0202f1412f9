"""What simulated datasets share: sections of recipes, older keys, and the way to a case."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Self, TypeVar

import numpy as np
from pydantic import Field, model_validator

from cytosuite.bodies.grid import Grid
from cytosuite.bodies.harmonics import HIGHEST
from cytosuite.contract.manifest import parse
from cytosuite.datasets.camera import Camera
from cytosuite.datasets.ranges import (
    Count,
    Degrees,
    Elongation,
    NotNegative,
    NotNegativeRange,
    PathName,
    Positive,
    PositiveRange,
    Quantiles,
    Range,
    Section,
    Share,
    ShareRange,
    Triple,
    Wide,
    is_range,
)
from cytosuite.datasets.sample import Sample
from cytosuite.errors import InputError
from cytosuite.files import Entries, FloatMap, Scalar, Scalars, TextMap
from cytosuite.volume import Volume
from cytosuite.volume.arrays import ZYX, Array, Floats, Rng

WIDTHS = {"psf_um", "psf_sigma_um"}  # of older recipes
SHARED = ("image", "optics", "camera", "labels")
MICROSCOPE = {"na", "magnification", "emission_um", "excitation_um", "index_immersion"}
Three = tuple[Count, Count, Count]
Two = tuple[Count, Count]
Pair = tuple[Positive, Positive]
Index = Annotated[float, Field(ge=1.0, le=2.0)]
Wavelength = Annotated[float, Field(gt=0, le=2)]
Values = TypeVar("Values", bound=Section)


class Image(Section):
    """The field of view and its voxels."""

    shape: Three = (48, 160, 160)
    """voxels along z, y, x"""
    spacing_um: Triple = (1.5, 0.5, 0.5)
    """µm per voxel of the detector"""

    @property
    def plane(self) -> bool:
        """Whether the image is a plane."""
        return len(self.spacing_um) == 2

    @property
    def axes(self) -> str:
        """The axes of the image."""
        return "YX" if self.plane else "ZYX"

    @property
    def detector(self) -> Grid:
        """The voxels of the image; a plane is one layer of voxels, 1 µm thick."""
        shape = self.shape
        spacing = self.spacing_um
        return Grid((1, *shape), (1.0, *spacing)) if self.plane else Grid(shape, spacing)

    def volume(self, array: Array, **facts: Scalar) -> Volume:
        """Return pixels (Z, Y, X) with the voxel size, as a plane where the image is one."""
        return Volume(array.reshape(self.shape), self.spacing_um, self.axes, facts)


class Frame(Image):
    """The field of view, a volume or a plane, and its voxels."""

    shape: Three | Two = (512, 512)  # type: ignore[assignment]
    """voxels along z, y, x of a volume, or along y, x of a plane"""
    spacing_um: Triple | Pair = (0.2, 0.2)  # type: ignore[assignment]
    """µm per voxel, as many values as `shape`"""
    margin_um: NotNegative = 0.0
    """how far objects lie beyond the image, whose faces cut them"""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Refuse a voxel size of other axes than the image."""
        if not isinstance(self.shape, str) and len(self.shape) != len(self.spacing_um):
            raise ValueError(
                f"shape has {len(self.shape)} axes and spacing_um {len(self.spacing_um)}; give "
                "both z, y, x or both y, x"
            )
        return self


class Optics(Section):
    """Light on its way to the camera."""

    psf_sigma_z_um: NotNegativeRange = (0.9, 1.6)
    """gaussian: axial standard deviation of the point spread function, µm; of a plane none"""
    psf_sigma_xy_um: NotNegativeRange = (0.25, 0.4)
    """gaussian: lateral standard deviation, µm"""
    na: float = Field(1.0, gt=0, le=1.7)
    """numerical aperture; this and all below stand in the files where a recipe gives them"""
    magnification: float = Field(20.0, gt=0, le=1000)
    """of the objective; changes no light"""
    emission_um: Wavelength = 0.52
    """emission wavelength, µm"""
    excitation_um: Wavelength = 0.488
    """excitation wavelength, µm"""
    index_immersion: Index = 1.33
    """refractive index at the objective"""

    @property
    def sigma_um(self) -> ZYX:
        """The standard deviations along z, y, x, of optics with single values (`settled`)."""
        return self.psf_sigma_z_um[0], self.psf_sigma_xy_um[0], self.psf_sigma_xy_um[0]

    def facts(self) -> Scalars:
        """Return the optics for the metadata of files: widths of the psf, stated values."""
        z, across, _ = self.sigma_um
        stated = self.model_dump(include=MICROSCOPE & self.model_fields_set)
        return {"psf_sigma_z_um": z, "psf_sigma_xy_um": across, **stated}


class Dimming(Optics):
    """Light that tissue dims on its way to the camera."""

    attenuation_um: PositiveRange = (40.0, 160.0)
    """tissue that takes away 63 % of the light (of other laws their length), µm"""


class Hazy(Optics):
    """Light that tissue scatters on its way to the camera."""

    haze: ShareRange = (0.05, 0.3)
    """gaussian: share of the light that is scattered into a haze"""
    haze_sigma_um: tuple[NotNegative, NotNegative, NotNegative] = (6.0, 3.0, 3.0)
    """standard deviations of the haze along z, y, x, µm"""


class Lit(Camera):
    """From the light of a bright structure to counts."""

    photons: PositiveRange = (8.0, 80.0)
    """photons per voxel of a bright structure without attenuation and blur (drawn log-uniformly,
    membrane: uniformly)"""

    def brighten(self, light: Floats) -> Floats:
        """Return the photons of light, 1 in a bright structure, in place; of single values."""
        light *= np.float32(self.photons[0])
        light += np.float32(self.background_photons[0])
        return light


class Labels(Section):
    """The true labels."""

    min_voxels: int = Field(20, ge=1)
    """smaller objects in the image are not labelled"""


class Outlined(Labels):
    """The true labels and their borders."""

    border_um: NotNegative = 1.0
    """thickness of the borders in the extra `boundary`, at least two voxels"""


class Shapes(Section):
    """Sizes, outlines and closeness of objects with random harmonics."""

    radius_um: Quantiles[Positive] = (3.0, 6.0)
    """mean radius of an object, µm; of the sphere (disc) of the same volume (area) before
    harmonics where it is elongated, and before it meets others"""
    case_spread: Wide = 0.0
    """standard deviation of ln(radius) between cases"""
    shrinkage: Share = 0.0
    """exponent by which radii fall with the number of objects of a case; they are those of its
    median"""
    elongation: Range[Elongation] = (1.0, 1.0)
    """longest axis of an object relative to the others"""
    turn_deg: Degrees = 180.0
    """plane, upright: largest turn of a longest axis from x, degrees"""
    shapes: PathName = ""
    """file of learned shapes (JSON), in place of random harmonics"""
    order: int = Field(20, ge=0, le=HIGHEST)
    """highest degree of the harmonics of the surface; below 2 objects are ellipsoids (ellipses)"""
    circularity: float = Field(5.0, ge=0, le=20)
    """the mean square of degree l is l^-circularity, relative to the radius: higher is rounder"""
    gap_um: NotNegative = 0.0
    """smallest distance of the ellipsoids (ellipses) of objects, µm"""
    max_overlap: float = Field(0.0, ge=0, le=0.9)
    """share of an ellipsoid's volume (ellipse's area) that another one may cover"""


class SceneParameters(Section):
    """Base of the parameters of simulated datasets."""

    older: ClassVar[TextMap] = {}  # dotted name in older recipes, present name; "": section

    optics: Optics = Optics()
    camera: Camera = Camera()

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, values: Any) -> Any:  # noqa: ANN401  (whatever a recipe contains)
        """Fill sections with the defaults of this dataset."""
        values = cls.arranged(values)
        for name, field in cls.model_fields.items():
            section = values.get(name) if isinstance(values, Mapping) else None
            if isinstance(field.default, Section) and isinstance(section, Mapping):
                values[name] = {**field.default.model_dump(exclude_unset=True), **section}
        return values

    @classmethod
    def arranged(cls, values: Any) -> Any:  # noqa: ANN401  (whatever a recipe contains)
        """Rename the former keys of a recipe; where both stand, the present key wins."""
        if not isinstance(values, Mapping):
            return values
        result = {key: dict(v) if isinstance(v, Mapping) else v for key, v in values.items()}
        for old, new in cls.older.items():
            *path, key = old.split(".")
            home = result.get(path[0]) if path else result
            if isinstance(home, dict) and key in home and (new or isinstance(home[key], dict)):
                value = home.pop(key)
                result |= {new: value} if new else value
        for key in WIDTHS & set(result):
            value = result.pop(key)
            z, *across = value if value and isinstance(value, list | tuple) else [value]
            if len(set(across)) != 1:
                raise InputError(f"{key} must be a width along z and one across, found {value!r}")
            result |= {"psf_sigma_z_um": z, "psf_sigma_xy_um": across[0]}
        for name in SHARED:
            section = result.get(name, {})
            if name in cls.model_fields and isinstance(section, dict):
                keys = set(type(cls.model_fields[name].default).model_fields)
                keys = (keys - set(cls.model_fields)) & set(result)
                result |= {name: {key: result.pop(key) for key in keys} | section} if keys else {}
        return result

    def seen_by(self, rng: Rng, drawn: FloatMap) -> Self:
        """Return the parameters with single values, drawn or new ones, in optics and camera."""
        sections = ("optics", "camera")
        return self.model_copy(
            update={name: settled(getattr(self, name), drawn, rng) for name in sections}
        )

    def light(self) -> Scalars:
        """Return the values of a case (`seen_by`) for its record, where optics and camera vary."""
        return {name: value[0] for name, value in (*self.optics, *self.camera) if is_range(value)}

    def channel(self, name: str, **facts: Scalar) -> Scalars:
        """Return the metadata of a channel's file, see `cytosuite.formats.tiffmetadata`."""
        camera = self.camera
        return {
            "channel": name,
            **facts,
            "camera": "EMCCD" if camera.excess[0] > 0 else "CMOS",
            "gain": camera.gain,
            "offset": camera.offset,
            "read_noise": camera.read_noise[0],
            **self.optics.facts(),
        }


def settled(section: Values, drawn: FloatMap, rng: Rng) -> Values:
    """Return a section with a single value in place of each range: the drawn one, or a new one."""
    values = {
        name: drawn[name] if name in drawn else float(rng.uniform(*value))
        for name, value in section
        if is_range(value)
    }
    return section.model_copy(update={name: (value, value) for name, value in values.items()})


Parameters = TypeVar("Parameters", bound=SceneParameters)


def generator(
    name: str,
    form: type[Parameters],
    draw: Callable[[Rng, Parameters], Sample],
    check: Callable[[Parameters], Parameters] = lambda parameters: parameters,
) -> Callable[[Rng, Parameters | Entries], Sample]:
    """Return the function `generate` of a dataset, which draws a case: a seed gives its bytes."""

    def generate(rng: Rng, parameters: Parameters | Entries) -> Sample:
        """Return a case, drawn from a generator of random numbers."""
        if not isinstance(parameters, form):
            parameters = check(parse(f"{name} parameters", dict(parameters), form))
        return draw(rng, parameters)

    return generate
