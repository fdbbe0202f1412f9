import numpy as np
import pytest

from cytosuite.datasets.membrane.generate import generate

SMALL = {
    "tissue": {"shape": (20, 48, 48)},
    "meristem": {"shape": (32, 72, 72), "cell_um": 6.5, "falloff_um": 15.0},
    "shell": {"shape": (36, 72, 144), "cell_um": 6.0, "thickness_um": 6.0},
    "cartographic": {"shape": (12, 80, 120), "cell_um": 7.0, "thickness_um": 8.0},
}


def small(structure, **changes):
    """Return a small recipe with changes."""
    return {"structure": structure, **SMALL[structure], **changes}


def make(structure, seed=0, **changes):
    """Return a small sample with changes to its recipe."""
    return generate(np.random.default_rng(seed), small(structure, **changes))


@pytest.fixture(scope="session")
def maker():
    """Return a function that makes small samples."""
    return make


@pytest.fixture(scope="session", params=SMALL)
def both(request):
    """Return a small sample of each structure with nuclei of a quarter of the cells."""
    return make(request.param, nucleus=0.25)
