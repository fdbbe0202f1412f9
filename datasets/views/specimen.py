"""The specimen: dye and tissue on the grid of the simulation, by the other simulators."""

from typing import NamedTuple

import numpy as np

from cytosuite.bodies.grid import Grid
from cytosuite.datasets.membrane import voronoi
from cytosuite.datasets.membrane.structures import scattered
from cytosuite.datasets.physics.labels import tidy
from cytosuite.datasets.physics.sketch import boundary
from cytosuite.datasets.physics.tissue import irregular
from cytosuite.datasets.spheroid.grow import grow
from cytosuite.datasets.spheroid.light import Specimen
from cytosuite.datasets.spheroid.parameters import Parameters as Spheroid
from cytosuite.datasets.spheroid.parameters import draw_values
from cytosuite.datasets.views.parameters import Acquisition, Parameters
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Image, Rng

BUMPS = (0.06, 0.14)  # of the outline, relative to its radius
WEIGHT = 0.25  # of crowding in the weighted Voronoi diagram, as in datasets/membrane
LEAST = 8  # voxels of a cell
STAIN = 0.2  # standard deviation of ln(dye) between cells


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
    middle = tuple(length / 2 for length in size)
    region = irregular(for_outline, middle, axes, float(for_outline.uniform(*BUMPS)))
    centres = scattered(for_places, region, drawn.cell_um)
    inside = region.on(grid) < 0
    factors = voronoi.weights(centres, WEIGHT)
    cells, _ = tidy(voronoi.cells(centres, factors, grid, inside), LEAST)
    walls = boundary(Volume(cells, grid.spacing), parameters.membrane_um).array > 0
    stain = np.exp(for_stain.normal(0, STAIN, int(cells.max(initial=0)) + 1)).astype(np.float32)
    stain[0] = 1.0  # of walls towards the outside
    dye = np.where(walls, stain[cells], np.float32(parameters.glow) * inside).astype(np.float32)
    return Body(dye, inside.astype(np.float32))
