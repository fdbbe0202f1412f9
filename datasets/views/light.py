"""The specimen, and its light in a view: dimmed, blurred, turned; planes 0 see the camera."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cytosuite.bodies.grid import Grid
from cytosuite.datasets.membrane import structures
from cytosuite.datasets.membrane.structures import scattered
from cytosuite.datasets.physics.grid import area_average
from cytosuite.datasets.physics.labels import tidy
from cytosuite.datasets.physics.optics import Attenuation, attenuate
from cytosuite.datasets.physics.psf import Gaussian
from cytosuite.datasets.physics.render import render_whole
from cytosuite.datasets.physics.sketch import boundary
from cytosuite.datasets.physics.tissue import irregular
from cytosuite.datasets.spheroid.grow import grow
from cytosuite.datasets.spheroid.light import Specimen
from cytosuite.datasets.spheroid.parameters import Parameters as Spheroid
from cytosuite.datasets.spheroid.parameters import draw_values
from cytosuite.datasets.views.parameters import Acquisition, Parameters
from cytosuite.volume import Volume
from cytosuite.volume.arrays import ZYX, Image, Rng

BUMPS = (0.06, 0.14)  # of the outline, relative to its radius
WEIGHT = 0.25  # of crowding in the weighted Voronoi diagram, as in datasets/membrane
LEAST = 8  # voxels of a cell
STAIN = 0.2  # standard deviation of ln(dye) between cells
WIDENING = 0.02  # of a stripe of shadow, in µm per µm of its length
SOFT = 1.0  # µm over which a shadow begins
REACH = 3.0  # standard deviations of a stripe that are shaded


class Body(NamedTuple):
    """A specimen as it lies in the microscope."""

    dye: Image  # 1 in a bright structure
    tissue: Image  # share of each voxel, in [0, 1], that takes light away


def nuclei(
    rng: Rng, parameters: Parameters, drawn: Acquisition, detector: Grid, grid: Grid
) -> Body:
    """Return a spheroid of nuclei, see `cytosuite.datasets.spheroid`."""
    height, *sides = (length * drawn.extent for length in detector.size_um)
    wide = float(np.mean(sides))
    recipe = Spheroid.model_validate(
        {
            "image": {"shape": detector.shape, "spacing_um": detector.spacing},
            "tissue": {
                "outline": "irregular",
                "n_nuclei": "auto",
                "width_um": wide,
                "flattening": height / wide,
                "bumps": BUMPS,
                "may_be_cut": True,
            },
            "nucleus": {"diameter_um": drawn.nucleus_um},
            "optics": {"cytoplasm": parameters.glow},
        }
    )
    for_values, for_tissue, for_chromatin = rng.spawn(3)
    values = draw_values(for_values, recipe)
    specimen = Specimen(grow(for_tissue, recipe, values), recipe, values)
    specimen.draw_chromatin(for_chromatin, grid)
    return Body(specimen.nuclei(grid), specimen.share(grid))


def membranes(
    rng: Rng, parameters: Parameters, drawn: Acquisition, detector: Grid, grid: Grid
) -> Body:
    """Return tissue of cells with labelled membranes, see `cytosuite.datasets.membrane`."""
    for_outline, for_places, for_stain = rng.spawn(3)
    size = detector.size_um
    axes = tuple(length / 2 * drawn.extent for length in size)
    region = irregular(
        for_outline, tuple(length / 2 for length in size), axes, float(for_outline.uniform(*BUMPS))
    )
    centres = scattered(for_places, region, drawn.cell_um)
    inside = region.on(grid) < 0
    cells, _ = tidy(
        structures.cells(centres, structures.weights(centres, WEIGHT), grid, inside), LEAST
    )
    walls = boundary(Volume(cells, grid.spacing), parameters.membrane_um).array > 0
    stain = np.exp(for_stain.normal(0, STAIN, int(cells.max(initial=0)) + 1)).astype(np.float32)
    stain[0] = 1.0  # of walls towards the outside
    dye = np.where(walls, stain[cells], np.float32(parameters.glow) * inside).astype(np.float32)
    return Body(dye, inside.astype(np.float32))


class Shadow(NamedTuple):
    """An absorbing spot in the specimen."""

    place_um: ZYX  # z, y, x
    depth: float  # share of the light that is missing behind it
    sigma_um: float  # standard deviation of the stripe across its direction
    axis: int  # along which the sheet of light goes: 1 or 2


class View(NamedTuple):
    """A view before its camera."""

    photons: Image  # light of the dye, 1 for a bright structure without loss
    passed: Image  # share of the light that is left, of excitation and emission together


def draw_shadows(
    rng: Rng, parameters: Parameters, drawn: Acquisition, detector: Grid
) -> list[Shadow]:
    """Return absorbing spots in the inner half of the image."""
    axis = max(drawn.illumination, default=2)
    shadows = []
    for _ in range(drawn.shadows):
        place = rng.uniform(0.2, 0.8, 3) * detector.size_um
        depth = rng.uniform(*parameters.shadow_depth)
        sigma = rng.uniform(*parameters.shadow_um)
        shadows.append(Shadow(tuple(place.tolist()), float(depth), float(sigma), axis))
    return shadows


def view(
    body: Body,
    shadows: Sequence[Shadow],
    parameters: Parameters,
    drawn: Acquisition,
    grids: tuple[Grid, Grid],
    far: Sequence[bool],
) -> View:
    """Return a view; excitation dims along the sheet (`far`, shadows), emission to the camera."""
    detector, grid = grids
    turn = tuple(slice(None, None, -1 if end else 1) for end in far)
    left = passed(body, shadows, drawn, detector, grid, far)
    dye = body.dye * left
    spread = Gaussian(
        parameters.optics.sigma_um,
        haze=drawn.haze,
        haze_sigma_um=parameters.optics.haze_sigma_um,
        growth=drawn.growth * 100 / detector.size_um[0],
    )
    photons = render_whole(dye[turn], grid, detector, spread)
    return View(np.ascontiguousarray(photons[turn]), area_average(left, grid, detector))


def passed(
    body: Body,
    shadows: Sequence[Shadow],
    drawn: Acquisition,
    detector: Grid,
    grid: Grid,
    far: Sequence[bool],
) -> Image:
    """Return the share (Z, Y, X) of the light that is left, of excitation and emission together."""
    left = np.ones(grid.shape, np.float32)
    for axis, share in {0: drawn.detection, **drawn.illumination}.items():
        law = Attenuation(length_um=-detector.size_um[axis] / np.log(share))
        turn = slice(None, None, -1 if far[axis] else 1)
        lit, solid = (np.moveaxis(image, axis, 0)[turn] for image in (left, body.tissue))
        attenuate(lit, solid, grid.spacing[axis], law)
    for shadow in shadows:
        _shade(left, shadow, grid, far)
    return left


def _shade(left: Image, shadow: Shadow, grid: Grid, far: Sequence[bool]) -> None:
    """Darken the stripe behind an absorbing spot, in place."""
    axis = shadow.axis
    across = 3 - axis  # y for a sheet along x, x for one along y
    along = grid.centres(axis) - np.float32(shadow.place_um[axis])
    along = -along if far[axis] else along
    width = shadow.sigma_um + WIDENING * np.maximum(along, 0)
    begun = 1 / (1 + np.exp(-np.clip(along / SOFT, -30, 30)))
    height = grid.centres(0) - np.float32(shadow.place_um[0])
    side = grid.centres(across) - np.float32(shadow.place_um[across])
    near = np.flatnonzero(np.abs(height) < REACH * float(width.max()))
    stripe = np.moveaxis(left, axis, 2)  # a view: z, across, along
    for plane in near.tolist():
        squared = height[plane] ** 2 + side[:, None] ** 2
        dark = shadow.depth * begun * (shadow.sigma_um / width)
        stripe[plane] *= 1 - dark * np.exp(-squared / (2 * width**2))
