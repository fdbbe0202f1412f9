import numpy as np
import pytest
import torch

from cytosuite.algorithms.cellpose3d.fields import is_empty, predict_fields
from cytosuite.algorithms.cellpose3d.network import Network, build
from cytosuite.algorithms.cellpose3d.parameters import Parameters

SMALL = Network(widths=(4, 4, 4), fold=2)
TILING = Parameters(network=SMALL, tile=(16, 32, 32), halo=(2, 4, 4))


class Recorder:
    """A network that answers with the image itself, and remembers the shapes it was given."""

    def __init__(self):
        self.shapes = []

    def __call__(self, image):
        self.shapes.append(tuple(image.shape))
        assert torch.is_inference_mode_enabled()
        return torch.cat([image, image * 2, image * 3, image * 4, image * 99], 1)


def image(shape=(9, 50, 61)):
    return np.random.default_rng(0).uniform(0.5, 1, shape).astype(np.float32)


def test_fields_are_those_of_the_network():
    values, network = image(), Recorder()
    found = predict_fields(values, network, TILING)
    np.testing.assert_allclose(found.level, 1 / (1 + np.exp(-values)), rtol=1e-5)
    for channel, factor in zip(found.flow, (2, 3, 4), strict=True):
        np.testing.assert_array_equal(channel, values * np.float32(factor))
    assert found.level.dtype == found.flow.dtype == np.float32
    assert found.tiles == len(network.shapes) > 1
    assert found.skipped == 0


def test_the_network_gets_multiples_and_no_more_than_a_tile():
    network = Recorder()
    predict_fields(image(), network, TILING)
    for shape in network.shapes:
        assert shape[:2] == (1, 1)
        assert all(n % m == 0 for n, m in zip(shape[2:], SMALL.multiple, strict=True))
        assert np.prod(shape) <= np.prod(TILING.tile)


@pytest.mark.parametrize("shape", [(1, 40, 40), (3, 7, 70), (1, 1, 1)])
def test_thin_axes_are_extended_on_both_sides(shape):
    values, network = image(shape), Recorder()
    found = predict_fields(values, network, TILING)
    np.testing.assert_array_equal(found.flow[0], values * 2)


def test_empty_tiles_are_skipped():
    values = np.random.default_rng(0).normal(0, 0.165, (16, 32, 300)).astype(np.float32)
    values[6:10, 12:20, 40:48] += 0.5
    network = Recorder()
    found = predict_fields(values, network, TILING)
    assert 0 < found.skipped < found.tiles
    assert len(network.shapes) == found.tiles - found.skipped
    assert found.level[8, 16, 44] > 0.5
    assert not found.level[:, :, 200:].any()
    assert not found.flow[:, :, :, 200:].any()


def test_an_image_without_anything_needs_no_network():
    found = predict_fields(np.zeros((8, 16, 16), np.float32), Recorder(), TILING)
    assert found.skipped == found.tiles == 1
    assert not found.level.any()


def test_a_small_dim_nucleus_is_not_empty():
    part = np.full((5, 9, 17), -0.1, np.float32)
    assert is_empty(part)
    part[4:, 8:, 16:] = 0.05  # a block at the end, of one voxel
    assert not is_empty(part)


def test_a_real_network_in_tiles_is_the_one_without():
    torch.manual_seed(0)
    network = build(SMALL, auxiliary=False).eval()
    values = image((16, 32, 160))
    wide = TILING.model_copy(update={"tile": (16, 32, 128), "halo": (20, 48, 48)})
    tiled = predict_fields(values, network, wide)
    large = TILING.model_copy(update={"tile": (16, 32, 160), "halo": (0, 0, 0)})
    whole = predict_fields(values, network, large)
    assert tiled.tiles > whole.tiles == 1
    np.testing.assert_allclose(tiled.level, whole.level, atol=1e-5)
    np.testing.assert_allclose(tiled.flow, whole.flow, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same():
    torch.manual_seed(0)
    network = build(SMALL, auxiliary=False).eval()
    cpu = predict_fields(image(), network, TILING)
    gpu = predict_fields(image(), network.cuda(), TILING, "cuda")
    np.testing.assert_allclose(gpu.flow, cpu.flow, atol=1e-3)
