"""A recipe for simulated light-sheet views, checked value by value."""

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field

from cytosuite.bodies.grid import Grid
from cytosuite.contract.manifest import Described
from cytosuite.datasets.ranges import (
    NotNegativeRange,
    Positive,
    PositiveRange,
    Range,
    Share,
    ShareRange,
    log_uniform,
)
from cytosuite.datasets.scene import Hazy, Lit, SceneParameters
from cytosuite.files import FloatPair, IntTriple, frozen
from cytosuite.volume.arrays import ZYX, Rng

LEAST = (12, 64, 64)  # voxels of a scaled volume: room for the window of SSIM and for networks

Ends = FloatPair

DEEP = (0.08, 0.35)
SIDE = (0.08, 0.35)
Content = Literal["nucleus", "membrane"]
Extent = Annotated[float, Field(gt=0, le=4)]
CROWD = 0.4  # of the specimen's shortest side: largest cell that leaves room for several
RANGES = ("nucleus_um", "cell_um", "extent", "growth", "haze")


@frozen
class Study:
    """An acquisition study: a participant published shapes, voxel sizes and axes of gradients."""

    shape: IntTriple  # voxels along z, y, x of its volumes
    spacing_um: ZYX  # µm per voxel
    detection: Ends  # share of emitted light that passes the height of the image in tissue
    # share of a sheet that passes the length of the image, by its axis; none: from both sides
    illumination: Mapping[int, Ends] = field(default_factory=dict)

    def grid(self, scale: float) -> Grid:
        """Return the voxels of an image with sides scaled by a factor, at the same voxel size."""
        sides = zip(self.shape, LEAST, strict=True)
        return Grid(tuple(max(least, round(n * scale)) for n, least in sides), self.spacing_um)


STUDIES: Mapping[int, Study] = MappingProxyType(
    {
        1: Study((222, 731, 860), (1.0, 0.195, 0.195), DEEP),
        2: Study((264, 2008, 1091), (1.0, 0.195, 0.195), DEEP),
        3: Study((891, 817, 817), (1.0, 0.39, 0.39), (0.2, 0.5), {1: (0.3, 0.6), 2: (0.3, 0.6)}),
        4: Study((80, 1920, 1920), (3.0, 0.33, 0.33), (0.6, 0.9), {2: SIDE}),
        5: Study((309, 1920, 1920), (1.01, 0.388, 0.388), (0.6, 0.9), {2: SIDE}),
    }
)


Number = Annotated[int, Field(ge=min(STUDIES), le=max(STUDIES))]


class SheetOptics(Hazy):
    """Light on its way to the camera."""

    growth: NotNegativeRange = (0.8, 2.5)
    """relative increase of the widths on the way through the height of the image"""


class Parameters(SceneParameters):
    """Parameters of a pair of views; a pair of numbers is a range from which each case draws."""

    optics: SheetOptics = SheetOptics(
        psf_sigma_z_um=1.2, psf_sigma_xy_um=0.3, haze_sigma_um=(5.0, 4.0, 4.0)
    )
    camera: Lit = Lit(photons=(30.0, 200.0), background_photons=2.0, read_noise=1.6, gain=8.0)

    studies: Annotated[tuple[Number, ...], Field(min_length=1)] = (1, 2, 3, 4, 5)
    """acquisition studies, which cases take in turn"""
    contents: Annotated[tuple[Content, ...], Field(min_length=1)] = ("nucleus", "membrane")
    """structures; cases take all studies with the first, then all with the next"""
    scale: float = Field(0.2, ge=0.05, le=0.5)
    """sides of the image relative to those of the challenge, at its voxel sizes; the largest take
    18 million voxels at 0.25 and 142 million at 0.5, about 70 bytes each"""
    nucleus_um: PositiveRange = (7.0, 10.0)
    """median diameter of the nuclei"""
    cell_um: PositiveRange = (9.0, 14.0)
    """diameter of the ball of a cell's mean volume; at most 0.4 of the specimen's shortest side"""
    membrane_um: Positive = 0.7
    """thickness of a membrane with the cells on both sides of it"""
    extent: Range[Extent] = (0.85, 1.3)
    """size of the specimen relative to the image; above 1 it is cut"""
    shadows: NotNegativeRange = (0.0, 6.0)
    """absorbing spots, rounded down: each throws a stripe of shadow away from the light"""
    shadow_depth: ShareRange = (0.15, 0.6)
    """share of the light that is missing in the middle of a stripe"""
    shadow_um: PositiveRange = (1.5, 5.0)
    """standard deviation of a stripe across its direction"""
    glow: Share = 0.05
    """dye of the tissue between nuclei or membranes"""
    preference: float = Field(1.0, ge=0, le=6)  # beyond, least light has no weight in float32
    """power of a view's light to which it counts in the fused volume: 0 is the mean, the larger the
    more only the better view counts"""


class Acquisition(Described):
    """Values of one case: specimen, light and cameras."""

    study: int
    content: Content
    nucleus_um: float
    cell_um: float
    extent: float
    growth: float
    haze: float
    shadows: int
    photons: float
    detection: float
    illumination: dict[int, float]
    far: tuple[bool, bool, bool]  # whether the first view's light comes from the far end of z, y, x


def draw_values(rng: Rng, parameters: Parameters, number: int) -> Acquisition:
    """Return the values of a case."""
    strata = [(s, c) for c in parameters.contents for s in parameters.studies]
    study, content = strata[number % len(strata)]
    light = STUDIES[study]
    ranges = dict([*parameters, *parameters.optics])
    values = {name: float(rng.uniform(*ranges[name])) for name in RANGES}
    shortest = min(light.grid(parameters.scale).size_um) * values["extent"]
    values["cell_um"] = min(values["cell_um"], CROWD * shortest)
    return Acquisition(
        study=study,
        content=content,
        shadows=int(rng.uniform(*parameters.shadows)),
        photons=log_uniform(rng, parameters.camera.photons),
        detection=float(rng.uniform(*light.detection)),
        illumination={
            axis: float(rng.uniform(*share)) for axis, share in light.illumination.items()
        },
        far=tuple((rng.random(3) < 0.5).tolist()),
        **values,
    )
