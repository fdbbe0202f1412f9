"""A recipe for sketches of tissue with labelled membranes, checked value by value."""

from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from cytosuite.datasets.ranges import Bumps, NotNegative, PositiveRange, Range, Share
from cytosuite.datasets.scene import Dimming, Image, Lit, Outlined, SceneParameters
from cytosuite.volume.arrays import Rng

Nucleus = Annotated[float, Field(ge=0, le=0.7)]
Thinning = Annotated[float, Field(ge=0, le=0.9)]


class Parameters(SceneParameters):
    """Parameters of a sketch; a pair is a range from which each case draws, a number fixes it."""

    image: Image = Image(shape=(64, 128, 128), spacing_um=(1.0, 0.5, 0.5))
    optics: Dimming = Dimming(psf_sigma_z_um=1.0, psf_sigma_xy_um=0.3, attenuation_um=(60.0, 200.0))
    camera: Lit = Lit(photons=(20.0, 80.0), background_photons=1.0, read_noise=1.0)
    labels: Outlined = Outlined(min_voxels=8)

    structure: Literal["tissue", "meristem", "shell", "cartographic"] = "tissue"
    """tissue: cells everywhere; meristem: a dome with layers of cells; shell: one layer of cells
    around an ellipsoid of yolk; cartographic: the shell of a ball, spread out as a map"""
    cell_um: PositiveRange = (9.0, 13.0)
    """diameter of the ball of a cell's mean volume; shell, cartographic: of the disc of its area
    within the layer"""
    weight: float = Field(0.25, ge=0, le=2)
    """how much more the distance from an isolated centre counts than from a crowded one"""
    extent: float = Field(0.95, gt=0.1, le=2)
    """meristem, shell: axes of the body relative to the image; above 1 it is cut"""
    bumps: Range[Bumps] = (0.02, 0.06)
    """meristem: root mean square of bulges and dents relative to the radius"""
    growth: float = Field(1.1, ge=1, le=2)
    """meristem: diameter of cells relative to the next layer outside"""
    jitter: float = Field(0.1, ge=0, le=0.3)
    """standard deviation of the depth of centres in a layer, relative to its thickness"""
    rounding: float = Field(0.2, ge=0, le=0.4)
    """meristem: radius of the edges of cells at the surface, relative to cell_um"""
    thickness_um: PositiveRange = (10.0, 14.0)
    """shell, cartographic: of the layer of cells, at the equator"""
    thinning: Range[Thinning] = (0.24, 0.36)
    """shell: share of the thickness that is missing at the poles of the axis along x"""
    latitude_deg: float = Field(65.0, gt=0, le=85)
    """cartographic: of the first and last row; cells widen with its secant"""
    falloff_um: NotNegative = 0.0
    """depth below the surface at which the membranes of the sketch have lost 63 % of their
    brightness, like a dye that comes from outside; 0: none"""
    nucleus: Range[Nucleus] = (0.0, 0.0)
    """volume of the nucleus in each cell relative to the cell's: a second channel; 0: none"""
    both: bool = False
    """sketch and image have two channels, membranes and nuclei; labels stay those of the cells"""
    microscope: bool = True
    """whether a microscope image belongs to the case"""
    glow: Share = 0.05
    """microscope: dye inside of cells relative to the membranes"""

    @model_validator(mode="after")
    def _has_both(self) -> Self:
        """Refuse two channels of one."""
        if self.both and not self.nucleus[0] > 0:
            raise ValueError("both needs a nucleus above 0")
        return self


class Drawn(NamedTuple):
    """Values of one case, drawn from the ranges of its recipe."""

    cell_um: float
    bumps: float
    thickness_um: float
    thinning: float
    attenuation_um: float
    photons: float
    nucleus: float


def draw_values(rng: Rng, parameters: Parameters) -> Drawn:
    """Return one value, uniform, from each range of the parameters."""
    ranges = dict([*parameters, *parameters.optics, *parameters.camera])
    return Drawn(*(float(rng.uniform(*ranges[name])) for name in Drawn._fields))
