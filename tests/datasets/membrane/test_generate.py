import numpy as np
import pytest
from mistakes import refused
from rasters import away_from
from scipy import ndimage

from cytosuite.datasets.membrane.generate import expose, generate, rounded
from cytosuite.datasets.membrane.parameters import Parameters, draw_values
from cytosuite.volume import Volume


def _labels(sample):
    return sample.volume("instance-labels").array


def test_cells_are_whole_and_consecutive(both):
    labels = _labels(both)
    count = both.metadata["n_cells"]
    assert count == both.conditions["objects"] > 10
    assert np.unique(labels[labels > 0]).tolist() == list(range(1, count + 1))
    boxes = ndimage.find_objects(labels)
    assert all(ndimage.label(labels[box] == n)[1] == 1 for n, box in enumerate(boxes, 1))
    assert np.bincount(labels.ravel())[1:].min() >= 8


def test_membranes_fade_with_depth():
    values = {"structure": "meristem", "shape": (40, 80, 80), "spacing_um": (0.5,) * 3}
    values |= {"cell_um": 5.0, "bumps": 0.0, "microscope": False}
    plain, faded = (
        generate(np.random.default_rng(0), values | {"falloff_um": length}) for length in (0.0, 5.0)
    )
    assert (_labels(plain) == _labels(faded)).all()
    assert set(np.unique(plain.volume("structure-sketch").array)) == {0, 255}
    depth = 19 - away_from(39.5, (40, 80, 80), 0.5)  # of a ball
    sketch = faded.volume("structure-sketch").array
    shown = (sketch > 0) & (depth > 0)
    assert np.abs(sketch[shown] - (255 * np.exp(-depth[shown] / 5))).max() < 4


def test_rounded_cells_keep_flat_faces_and_lose_edges():
    block = np.zeros((24, 24, 24), np.uint16)
    block[4:, 4:20, 4:12] = 1
    block[4:, 4:20, 12:20] = 2
    cut = rounded(Volume(block, (1.0,) * 3), np.where(block > 0, 1.0, -1.0).astype(np.float32), 3.0)
    assert set(np.unique(cut)) == {0, 1, 2}
    assert (cut[cut > 0] == block[cut > 0]).all()
    assert cut[4, 12, 8] == 1  # middle of a face
    assert cut[4, 4, 4] == cut[4, 12, 11] == 0  # a corner; the furrow between the cells
    assert (cut[23, 8:16, 6:10] == 1).all()  # the border of the image is no surface


@pytest.mark.parametrize(
    "message, values",
    {
        "membrane parameters.*structure.*found 'leaf'": {"structure": "leaf"},
        "no cell of tissue has 10000000 voxels in the image": {
            "min_voxels": 10**7,
            "shape": [9, 20, 20],
        },
        "cells of 0.524 µm³ fill .* at most 65535 are allowed; raise cell_um": {
            "shape": [400, 400, 400],
            "cell_um": 1.0,
        },
    }.items(),
)
def test_refuses(values, message, rng):
    refused(message, generate, rng, values)


def test_counts_are_photons_of_membranes_and_glow(rng):
    sketch = np.zeros((10, 80, 80), np.uint8)
    sketch[:, :40] = 255
    calm = {"photons": 200.0, "background_photons": 0, "read_noise": 0, "gain": 1.0, "offset": 50.0}
    optics = {"psf_sigma_z_um": 0, "psf_sigma_xy_um": 0, "attenuation_um": 1e6}
    parameters = Parameters(camera=calm, optics=optics, glow=0.1)
    drawn = draw_values(rng, parameters)
    counts = expose(
        np.random.default_rng(1), sketch, np.ones(sketch.shape, bool), parameters, drawn
    ).astype(float)
    assert counts[:, :40].mean() - 50 == pytest.approx(200, rel=0.01)
    assert counts[:, 40:].mean() - 50 == pytest.approx(20, rel=0.02)
