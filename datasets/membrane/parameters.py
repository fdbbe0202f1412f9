"""A recipe for sketches of tissue with labelled membranes, checked value by value."""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from cytosuite.bodies.grid import Grid
from cytosuite.contract.manifest import Described
from cytosuite.datasets.ranges import Range, Section, Share

Positive = Annotated[float, Field(gt=0, le=1e6)]
NotNegative = Annotated[float, Field(ge=0, le=1e6)]
Count = Annotated[int, Field(ge=1, le=4096)]
Bumps = Annotated[float, Field(ge=0, le=0.3)]
Nucleus = Annotated[float, Field(ge=0, le=0.7)]
Thinning = Annotated[float, Field(ge=0, le=0.9)]


class Parameters(Section):
    """Parameters of a sketch; a pair is a range from which each case draws, a number fixes it."""

    structure: Literal["tissue", "meristem", "shell", "cartographic"] = "tissue"
    """tissue: cells everywhere; meristem: a dome with layers of cells; shell: one layer of cells
    around an ellipsoid of yolk; cartographic: the shell of a ball, spread out as a map"""
    shape: tuple[Count, Count, Count] = (64, 128, 128)
    """voxels along z, y, x"""
    spacing_um: tuple[Positive, Positive, Positive] = (1.0, 0.5, 0.5)
    """µm per voxel along z, y, x"""
    cell_um: Range[Positive] = (9.0, 13.0)
    """diameter of the ball of a cell's mean volume; shell, cartographic: of the disc of its area
    within the layer"""
    weight: Annotated[float, Field(ge=0, le=2)] = 0.25
    """how much more the distance from an isolated centre counts than from a crowded one"""
    min_voxels: Annotated[int, Field(ge=1)] = 8
    """smaller cells are given to a cell beside them"""
    extent: Annotated[float, Field(gt=0.1, le=2)] = 0.95
    """meristem, shell: axes of the body relative to the image; above 1 it is cut"""
    bumps: Range[Bumps] = (0.02, 0.06)
    """meristem: root mean square of bulges and dents relative to the radius"""
    growth: Annotated[float, Field(ge=1, le=2)] = 1.1
    """meristem: diameter of cells relative to the next layer outside"""
    jitter: Annotated[float, Field(ge=0, le=0.3)] = 0.1
    """standard deviation of the depth of centres in a layer, relative to its thickness"""
    rounding: Annotated[float, Field(ge=0, le=0.4)] = 0.2
    """meristem: radius of the edges of cells at the surface, relative to cell_um"""
    thickness_um: Range[Positive] = (10.0, 14.0)
    """shell, cartographic: of the layer of cells, at the equator"""
    thinning: Range[Thinning] = (0.24, 0.36)
    """shell: share of the thickness that is missing at the poles of the axis along x"""
    latitude_deg: Annotated[float, Field(gt=0, le=85)] = 65.0
    """cartographic: of the first and last row; cells widen with its secant"""
    border_um: NotNegative = 1.0
    """thickness of the membranes between two cells in the sketch; at least two voxels"""
    falloff_um: NotNegative = 0.0
    """depth below the surface at which the membranes of the sketch have lost 63 % of their
    brightness, like a dye that comes from outside; 0: none"""
    nucleus: Range[Nucleus] = (0.0, 0.0)
    """volume of the nucleus in each cell relative to the cell's: a second channel; 0: none"""
    both: bool = False
    """sketch and image have two channels, membranes and nuclei; labels stay those of the cells"""
    microscope: bool = True
    """whether a microscope image belongs to the case"""
    psf_sigma_um: tuple[NotNegative, NotNegative, NotNegative] = (1.0, 0.3, 0.3)
    """microscope: standard deviations of the Gaussian point spread function along z, y, x"""
    attenuation_um: Range[Positive] = (60.0, 200.0)
    """microscope: tissue that takes away 63 % of the light, objective at the first plane"""
    glow: Share = 0.05
    """microscope: dye inside of cells relative to the membranes"""
    photons: Range[Positive] = (20.0, 80.0)
    """microscope: of a voxel in the membrane, without blur"""
    background_photons: NotNegative = 1.0
    """microscope: photons per voxel everywhere"""
    read_noise: NotNegative = 1.0
    """microscope: standard deviation of the camera, photons"""
    gain: Positive = 4.0
    """microscope: counts per photon"""
    offset: NotNegative = 100.0
    """microscope: counts in the dark"""

    @model_validator(mode="after")
    def _has_both(self) -> Self:
        """Refuse two channels of one."""
        if self.both and not self.nucleus[0] > 0:
            raise ValueError("both needs a nucleus above 0")
        return self

    @property
    def grid(self) -> Grid:
        """The voxels of the image."""
        return Grid(self.shape, self.spacing_um)


class Drawn(Described):
    """Values of one case, drawn from the ranges of its recipe."""

    cell_um: float
    bumps: float
    thickness_um: float
    thinning: float
    attenuation_um: float
    photons: float
    nucleus: float


def draw_values(rng: np.random.Generator, parameters: Parameters) -> Drawn:
    """Return one value, uniform, from each range of the parameters."""
    ranges = {name: getattr(parameters, name) for name in Drawn.model_fields}
    return Drawn(**{name: float(rng.uniform(low, high)) for name, (low, high) in ranges.items()})
