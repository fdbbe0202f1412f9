import numpy as np
import pytest
from scipy import ndimage

from cytosuite.datasets.views.generate import finer
from cytosuite.datasets.views.light import membranes, nuclei
from cytosuite.datasets.views.parameters import STUDIES, Parameters, draw_values


def _made(build, **options):
    parameters = Parameters(scale=0.05, studies=(3,), **options)
    drawn = draw_values(np.random.default_rng(0), parameters, 0)
    detector = STUDIES[3].grid(0.05)
    grid = finer(detector, parameters)
    return build(np.random.default_rng(0), parameters, drawn, detector, grid), grid


@pytest.mark.parametrize("build", [nuclei, membranes])
def test_dye_lies_in_tissue(build):
    specimen, grid = _made(build, extent=0.8)
    assert specimen.dye.shape == specimen.tissue.shape == grid.shape
    assert specimen.dye.dtype == specimen.tissue.dtype == np.float32
    assert specimen.dye.min() >= 0
    assert 0.5 < np.percentile(specimen.dye, 99.8) < 5
    assert ((specimen.tissue >= 0) & (specimen.tissue <= 1)).all()
    # The outer half of a membrane lies on the surface.
    assert ndimage.binary_dilation(specimen.tissue > 0, iterations=2)[specimen.dye > 0.5].all()
    assert not specimen.tissue[0].all()


@pytest.mark.parametrize("build", [nuclei, membranes])
def test_a_larger_specimen_fills_more_of_the_image(build):
    shares = [_made(build, extent=size)[0].tissue.mean() for size in (0.7, 1.3)]
    assert shares[0] < 0.8 * shares[1]


def test_membranes_surround_dim_cells():
    specimen, _ = _made(membranes, glow=0.05)
    inside = specimen.tissue > 0
    assert 0.1 < (specimen.dye[inside] > 0.3).mean() < 0.8
    assert np.isclose(specimen.dye[inside], 0.05).mean() > 0.2
