"""A recipe for sketches of nuclei: image, places, shapes, and how sketch and image are made."""

from dataclasses import replace
from math import acos, pi, sqrt
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator
from scipy.optimize import brentq

from cytosuite.bodies.grid import Grid
from cytosuite.datasets.ranges import (
    Bumps,
    Count,
    Elongation,
    NotNegative,
    Positive,
    Quantiles,
    Range,
    Share,
    ShareRange,
)
from cytosuite.datasets.scene import Frame, Lit, Optics, Outlined, SceneParameters, Shapes

Dents = Annotated[int, Field(ge=0, le=20)]
Many = Annotated[int, Field(ge=1, le=65535)]  # numbers of uint16


class Voxels(Frame):
    """The field of view, a volume or a plane, and its voxels."""

    stretch: float = Field(1.0, ge=0.2, le=5)
    """volume: heights in the image / true ones, as of labels that follow the blur along z"""

    @property
    def detector(self) -> Grid:
        """The voxels of the image in true heights."""
        grid = super().detector
        return replace(grid, spacing=(grid.spacing[0] / self.stretch, *grid.spacing[1:]))


class Parameters(Shapes, SceneParameters):
    """Parameters of sketches of nuclei; a pair is a range, one number fixes the value."""

    older: ClassVar = {"companions": "extras"}

    image: Voxels = Voxels(shape=(40, 128, 128), spacing_um=(1.0, 0.5, 0.5))
    optics: Optics = Optics(psf_sigma_z_um=1.2, psf_sigma_xy_um=0.3)
    camera: Lit = Lit(photons=(50.0, 200.0), background_photons=(1.0, 5.0), read_noise=1.0)
    labels: Outlined = Outlined()

    n_nuclei: Quantiles[Many] = (10, 30)
    """nuclei of a case; map: of the whole ball, also where it is not shown"""

    foreground: Literal["image", "ellipsoid", "shell", "layer", "map", "discs"] = "image"
    """where nuclei lie: in the image; an ellipsoid; the same around a core; the outermost layer of
    a bumpy ellipsoid; the layer of a ball, spread out as a map; a union of discs (balls in a
    volume)"""
    width: ShareRange = (0.6, 0.6)
    """ellipsoid, shell, layer: axes relative to the size of the image"""
    core: float = Field(0.6, gt=0, lt=1)
    """shell: axes of the core relative to the ellipsoid's"""
    thickness_um: Positive = 10.0
    """layer, map: how deep nuclei lie below the surface at most, µm"""
    bumps: Range[Bumps] = (0.0, 0.0)
    """layer: root mean square of bulges and dents relative to the radius"""
    dents: Range[Dents] = (0, 0)
    """layer: how many round pits it has"""
    dent_um: Positive = 15.0
    """layer: radius of a pit, µm"""
    latitude_deg: float = Field(65.0, gt=0, le=85)
    """map: of the first and last row; nuclei widen with its secant"""
    discs: Range[Count] = (15, 29)
    """discs: how many; others are drawn where nuclei find no room in them"""
    disc_radius_um: Positive = 30.0
    """discs: their radius, µm"""

    long_fraction: Share = 0.0
    """share of nuclei of `long_elongation` instead"""
    long_elongation: Range[Elongation] = (1.1, 2.0)
    """the same for these"""
    upright: bool = False
    """whether the longest axes lie in the plane y, x; those of a plane always do"""
    outward: bool = False
    """whether the longest axes stand upright on the surface of the foreground"""
    grey: ShareRange = (0.5, 0.9)
    """value of a nucleus in the sketch"""
    smooth_um: NotNegative = 0.5
    """standard deviation of the Gaussian that smooths the sketch, µm"""

    sketch: bool = True
    """whether the sketch is made; huge volumes do without"""
    extras: bool = True
    """whether borders, distances, seeds and the layers of overlapping nuclei are written; huge
    volumes do without"""

    frames: int = Field(1, ge=1, le=10_000)
    """movie: frames of a case; 1: an image. The task `track` takes 12 where none is set"""
    frame_labels: bool = False
    """movie: whether the labels of each frame are an input, so that links alone are compared"""
    step_um: NotNegative = 0.5
    """series: standard deviation of a nucleus' step along each axis from frame to frame, µm"""
    division: Share = 0.02
    """series: probability that a full-grown nucleus divides before the next frame"""

    @model_validator(mode="after")
    def _agree(self) -> "Parameters":
        """Refuse contradictions."""
        shape = self.image.shape
        if self.image.plane and self.foreground in ("layer", "map"):
            raise ValueError(
                f"foreground {self.foreground} needs an image with the axes z, y, x, found a "
                f"plane of {shape[0]} x {shape[1]} pixels"
            )
        if self.upright and self.outward:
            raise ValueError("upright and outward contradict each other; set one of them")
        return self

    @property
    def packed_overlap(self) -> float:
        """The share of a ball's volume with the same distance of centres as `max_overlap`.

        Discs at distance 2 u share ``2 (acos u - u sqrt(1 - u²)) / π``, see `packing.shrinkage`.
        """
        if not self.image.plane or self.max_overlap == 0:
            return self.max_overlap
        u = float(
            brentq(lambda u: 2 * (acos(u) - u * sqrt(1 - u * u)) / pi - self.max_overlap, 0.0, 1.0)
        )
        return (u**3 - 3 * u + 2) / 2
