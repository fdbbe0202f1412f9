"""A recipe for sketches of nuclei: image, places, shapes, and how sketch and image are made."""

from math import acos, pi, sqrt
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, model_validator
from scipy.optimize import brentq

from cytosuite.bodies.harmonics import HIGHEST
from cytosuite.datasets.ranges import (
    Bumps,
    Count,
    Elongation,
    NotNegative,
    Overlap,
    PathName,
    Positive,
    Quantiles,
    Range,
    Section,
    Share,
    Triple,
    Wide,
)

Dents = Annotated[int, Field(ge=0, le=20)]
Core = Annotated[float, Field(gt=0, lt=1)]
Many = Annotated[int, Field(ge=1, le=65535)]  # numbers of uint16
Two = tuple[Count, Count]
Three = tuple[Count, Count, Count]


class Parameters(Section):
    """Parameters of sketches of nuclei; a pair is a range, one number fixes the value."""

    shape: Three | Two = (40, 128, 128)
    """voxels along z, y, x of a volume, or along y, x of a plane"""
    spacing_um: Triple | tuple[Positive, Positive] = (1.0, 0.5, 0.5)
    """µm per voxel, as many values as `shape`"""
    n_nuclei: Quantiles[Many] = (10, 30)
    """nuclei of a case; map: of the whole ball, also where it is not shown"""

    foreground: Literal["image", "ellipsoid", "shell", "layer", "map", "discs"] = "image"
    """where nuclei lie: in the image; an ellipsoid; the same around a core; the outermost layer of
    a bumpy ellipsoid; the layer of a ball, spread out as a map; a union of discs (balls in a
    volume)"""
    margin_um: NotNegative = 0.0
    """image, discs: how far nuclei lie beyond its faces, which then cut them"""
    width: Range[Share] = (0.6, 0.6)
    """ellipsoid, shell, layer: axes relative to the size of the image"""
    core: Core = 0.6
    """shell: axes of the core relative to the ellipsoid's"""
    thickness_um: Positive = 10.0
    """layer, map: how deep nuclei lie below the surface at most, µm"""
    bumps: Range[Bumps] = (0.0, 0.0)
    """layer: root mean square of bulges and dents relative to the radius"""
    dents: Range[Dents] = (0, 0)
    """layer: how many round pits it has"""
    dent_um: Positive = 15.0
    """layer: radius of a pit, µm"""
    latitude_deg: Annotated[float, Field(gt=0, le=85)] = 65.0
    """map: of the first and last row; nuclei widen with its secant"""
    discs: Range[Count] = (15, 29)
    """discs: how many"""
    disc_radius_um: Positive = 30.0
    """discs: their radius, µm"""

    radius_um: Quantiles[Positive] = (3.0, 6.0)
    """mean radius of a nucleus, µm; of the sphere (disc) of the same volume (area) before
    harmonics where it is elongated"""
    case_spread: Wide = 0.0
    """standard deviation of ln(radius) between cases"""
    shrinkage: Share = 0.0
    """exponent by which radii fall with the number of nuclei of a case; they are those of its
    median"""
    elongation: Range[Elongation] = (1.0, 1.0)
    """longest axis of a nucleus relative to the others"""
    long_fraction: Share = 0.0
    """share of nuclei of `long_elongation` instead"""
    long_elongation: Range[Elongation] = (1.1, 2.0)
    """the same for these"""
    upright: bool = False
    """whether the longest axes lie in the plane y, x; those of a plane always do"""
    turn_deg: Annotated[float, Field(ge=0, le=180)] = 180.0
    """upright: largest turn of a longest axis from x, degrees"""
    stretch: Annotated[float, Field(ge=0.2, le=5)] = 1.0
    """volume: heights in the image / true ones, as of labels that follow the blur along z"""
    outward: bool = False
    """whether the longest axes stand upright on the surface of the foreground"""
    shapes: PathName = ""
    """file of learned shapes of nuclei (JSON), in place of random harmonics"""
    order: int = Field(20, ge=0, le=HIGHEST)
    """highest degree of the spherical harmonics of the surface; below 2 nuclei are ellipsoids"""
    circularity: Annotated[float, Field(ge=0, le=20)] = 5.0
    """the mean square of degree l is l^-circularity, relative to the radius: higher is rounder"""
    gap_um: NotNegative = 0.0
    """smallest distance of the ellipsoids of nuclei, µm"""
    max_overlap: Overlap = 0.0
    """share of an ellipsoid's volume (area) that another one may cover; above 0 the layers of
    overlapping nuclei are written"""
    min_voxels: Count = 20
    """nuclei of which fewer voxels can be seen are left out"""

    grey: Range[Share] = (0.5, 0.9)
    """value of a nucleus in the sketch"""
    smooth_um: NotNegative = 0.5
    """standard deviation of the Gaussian that smooths the sketch, µm"""
    border_um: NotNegative = 1.0
    """thickness of the borders in the extra `boundary`, µm"""

    sketch: bool = True
    """whether the sketch is made; huge volumes do without"""
    extras: bool = Field(True, validation_alias=AliasChoices("extras", "companions"))
    """whether borders, distances, seeds and the layers of overlapping nuclei are written; huge
    volumes do without"""

    frames: Annotated[int, Field(ge=1, le=10_000)] = 1
    """movie: frames of a case; 1: an image. The task `track` takes 12 where none is set"""
    frame_labels: bool = False
    """movie: whether the labels of each frame are an input, so that links alone are compared"""
    step_um: NotNegative = 0.5
    """series: standard deviation of a nucleus' step along each axis from frame to frame, µm"""
    division: Share = 0.02
    """series: probability that a full-grown nucleus divides before the next frame"""

    photons: Range[Positive] = (50.0, 200.0)
    """image: photons per voxel at grey value 1 (drawn log-uniformly)"""
    background_photons: Range[NotNegative] = (1.0, 5.0)
    """image: photons per voxel everywhere"""
    psf_um: tuple[NotNegative, NotNegative] = (1.2, 0.3)
    """image: standard deviations of the Gaussian point spread function along z and in y, x, µm"""
    read_noise: NotNegative = 1.0
    """image: standard deviation, photons"""
    gain: Positive = 4.0
    """image: counts per photon"""
    offset: NotNegative = 100.0
    """image: counts in the dark"""

    @model_validator(mode="after")
    def _agree(self) -> "Parameters":
        """Refuse a voxel size of other axes than the image, and contradictions."""
        if len(self.shape) != len(self.spacing_um):
            raise ValueError(
                f"shape has {len(self.shape)} axes and spacing_um {len(self.spacing_um)}; give "
                "both z, y, x or both y, x"
            )
        if self.plane and self.foreground in ("layer", "map"):
            raise ValueError(
                f"foreground {self.foreground} needs an image with the axes z, y, x, found a "
                f"plane of {self.shape[0]} x {self.shape[1]} pixels"
            )
        if self.upright and self.outward:
            raise ValueError("upright and outward contradict each other; set one of them")
        return self

    @property
    def plane(self) -> bool:
        """Whether the image is a plane."""
        return len(self.shape) == 2

    def files(self) -> list[Path]:
        """Return the files the recipe refers to."""
        return [Path(self.shapes)] if self.shapes else []

    @property
    def packed_overlap(self) -> float:
        """The share of a ball's volume with the same distance of centres as `max_overlap`.

        Discs at distance 2 u share ``2 (acos u - u sqrt(1 - u²)) / π``, see `packing.shrinkage`.
        """
        if not self.plane or self.max_overlap == 0:
            return self.max_overlap
        u = float(
            brentq(lambda u: 2 * (acos(u) - u * sqrt(1 - u * u)) / pi - self.max_overlap, 0.0, 1.0)
        )
        return (u**3 - 3 * u + 2) / 2
