import numpy as np
import pytest

from cytosuite.bodies.grid import Grid
from cytosuite.datasets.views.generate import generate
from cytosuite.datasets.views.light import Body
from cytosuite.datasets.views.parameters import Parameters, draw_values


@pytest.fixture(scope="session")
def sample():
    return generate(np.random.default_rng(np.random.SeedSequence(3).spawn(1)[0]), {"scale": 0.1})


@pytest.fixture
def scene(rng):
    """A block of tissue of uniform dye: parameters, drawn values, body and both grids."""
    parameters = Parameters(psf_sigma_um=(0, 0, 0), haze=0, growth=0, shadows=0)
    drawn = draw_values(rng, parameters, 0)
    grid = Grid((12, 20, 30), (1.0, 0.5, 0.5))
    solid = np.ones(grid.shape, np.float32)
    return parameters, drawn, Body(solid, solid), (grid, grid)
