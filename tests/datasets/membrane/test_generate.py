import numpy as np
import pytest
from scipy import ndimage

from cytosuite.datasets.membrane.generate import expose, generate, rounded
from cytosuite.datasets.membrane.parameters import Parameters, draw_values
from cytosuite.errors import InputError
from cytosuite.volume import Volume

SOCKETS = ["instance-labels", "microscopy-image", "structure-sketch"]


def _labels(sample):
    return sample.volume("instance-labels").array


def test_all_volumes_are_of_one_scene(sample):
    assert sorted(sample.sockets) == SOCKETS
    assert sorted(sample.extras) == ["boundary", "distance", "seeds"]
    labels = sample.volume("instance-labels")
    assert labels.spacing == (1.0, 0.5, 0.5)
    volumes = [sample.volume(name) for name in SOCKETS] + list(sample.extras.values())
    for volume in volumes:
        assert (volume.shape, volume.spacing) == (labels.shape, labels.spacing)
    types = [labels.array.dtype, sample.volume("structure-sketch").array.dtype]
    assert types == [np.uint16, np.uint8]
    assert sample.volume("microscopy-image").metadata["channel"] == "membrane"


def test_cells_are_whole_and_consecutive(sample):
    labels = _labels(sample)
    count = sample.metadata["n_cells"]
    assert count == sample.conditions["objects"] > 10
    assert np.unique(labels[labels > 0]).tolist() == list(range(1, count + 1))
    boxes = ndimage.find_objects(labels)
    assert all(ndimage.label(labels[box] == n)[1] == 1 for n, box in enumerate(boxes, start=1))
    assert np.bincount(labels.ravel())[1:].min() >= 8


def test_same_seed_gives_the_same_bytes_and_another_one_others(sample, maker):
    structure = sample.conditions["structure"]
    again, other = (maker(structure, seed) for seed in (0, 1))
    for name in SOCKETS:
        assert again.volume(name).array.tobytes() == sample.volume(name).array.tobytes()
        assert (other.volume(name).array != sample.volume(name).array).any()
    assert again.metadata == sample.metadata
    assert all(type(value) in (int, float, str) for value in sample.metadata.values())


def test_membranes_fade_with_depth():
    values = {"structure": "meristem", "shape": (40, 80, 80), "spacing_um": (0.5,) * 3}
    values |= {"cell_um": 5.0, "bumps": 0.0, "microscope": False}
    plain, faded = (
        generate(np.random.default_rng(0), values | {"falloff_um": length}) for length in (0.0, 5.0)
    )
    assert (_labels(plain) == _labels(faded)).all()
    assert set(np.unique(plain.volume("structure-sketch").array)) == {0, 255}
    ticks = np.stack(np.indices((40, 80, 80)), -1) * 0.5 + 0.25 - (20, 20, 20)
    depth = 19 - np.linalg.norm(ticks, axis=-1)  # of a ball
    sketch = faded.volume("structure-sketch").array
    shown = (sketch > 0) & (depth > 0)
    expected = 255 * np.exp(-depth[shown] / 5)
    assert np.abs(sketch[shown] - expected).max() < 4


def test_rounded_cells_keep_flat_faces_and_lose_edges():
    block = np.zeros((24, 24, 24), np.uint16)
    block[4:, 4:20, 4:12], block[4:, 4:20, 12:20] = 1, 2
    depth = np.where(block > 0, 1.0, -1.0).astype(np.float32)
    cut = rounded(Volume(block, (1.0,) * 3), depth, 3.0)
    assert set(np.unique(cut)) == {0, 1, 2}
    assert (cut[cut > 0] == block[cut > 0]).all()
    assert cut[4, 12, 8] == 1  # middle of a face
    assert cut[4, 4, 4] == cut[4, 12, 11] == 0  # a corner; the furrow between the cells
    assert (cut[23, 8:16, 6:10] == 1).all()  # the border of the image is no surface


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"structure": "leaf"}, "membrane parameters.*structure.*found 'leaf'"),
        ({"cell_um": [9, 5]}, r"membrane parameters.*cell_um.*low <= high"),
        ({"colour": 1}, "membrane parameters.*colour"),
        ({"min_voxels": 10**7}, "no cell of tissue has 10000000 voxels in the image"),
        (
            {"shape": [400, 400, 400], "cell_um": 1.0},
            "cells of 1 µm in .* at most 65535 are allowed; raise cell_um",
        ),
    ],
)
def test_refuses(values, message):
    with pytest.raises(InputError, match=message):
        generate(np.random.default_rng(0), values)


CALM = {
    "psf_sigma_um": (0.0, 0.0, 0.0),
    "read_noise": 0.0,
    "background_photons": 0.0,
    "gain": 1.0,
    "offset": 50.0,
}


def _counts(sketch, inside, **values):
    parameters = Parameters(**CALM | values)
    drawn = draw_values(np.random.default_rng(0), parameters)
    return expose(np.random.default_rng(1), sketch, inside, parameters, drawn).astype(float)


def test_counts_are_photons_of_membranes_and_glow():
    sketch = np.zeros((10, 80, 80), np.uint8)
    sketch[:, :40] = 255
    inside = np.ones(sketch.shape, bool)
    counts = _counts(sketch, inside, photons=200.0, glow=0.1, attenuation_um=1e6)
    assert counts[:, :40].mean() - 50 == pytest.approx(200, rel=0.01)
    assert counts[:, 40:].mean() - 50 == pytest.approx(20, rel=0.02)
    assert counts[:, :40].var() == pytest.approx(200, rel=0.05)  # Poisson


def test_tissue_dims_what_lies_below():
    sketch = np.full((40, 60, 60), 255, np.uint8)
    inside = np.ones(sketch.shape, bool)
    inside[:, :30] = False
    values = {"photons": 1000.0, "attenuation_um": 10.0, "spacing_um": (0.5, 0.5, 0.5)}
    counts = _counts(sketch, inside, **values) - 50
    assert counts[:, :30].mean(axis=(1, 2)) == pytest.approx(1000, rel=0.01)
    depth = (np.arange(40) + 0.5) * 0.5
    assert counts[:, 30:].mean(axis=(1, 2)) == pytest.approx(1000 * np.exp(-depth / 10), rel=0.03)


def test_blur_is_in_micrometres_and_keeps_the_light():
    sketch = np.zeros((31, 61, 61), np.uint8)
    sketch[15, 30, 30] = 255
    inside = np.zeros(sketch.shape, bool)
    values = {"psf_sigma_um": (3.0, 1.0, 1.0), "spacing_um": (1.0, 0.5, 0.5), "photons": 1e6}
    light = _counts(sketch, inside, offset=0.0, glow=0.0, attenuation_um=1e6, gain=1.0, **values)
    total = light.sum()
    for axis, (step, sigma) in enumerate([(1.0, 3.0), (0.5, 1.0), (0.5, 1.0)]):
        away = (np.arange(sketch.shape[axis]) - sketch.shape[axis] // 2) * step
        profile = light.sum(axis=tuple({0, 1, 2} - {axis}))
        assert np.sqrt((profile * away**2).sum() / total) == pytest.approx(sigma, rel=0.03)
    assert total == pytest.approx(1e6, rel=0.01)
