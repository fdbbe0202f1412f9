import numpy as np
import pytest
import torch
from cards import card
from mistakes import refused
from reach import random_image
from safetensors.torch import save_file
from torch.testing import assert_close

from cytosuite.algorithms.cellpose3d.network import Network, build, load, with_folded_norms
from cytosuite.algorithms.cellpose3d.parameters import Parameters
from cytosuite.algorithms.cellpose3d.segment import is_empty, predict_fields
from cytosuite.contract.manifest import parameters_of
from cytosuite.networks.network import tensors_of

SMALL = Network(widths=(4, 6, 8), fold=2)


def _image():
    return random_image(2, 1, 8, 16, 24)


def test_five_fields_of_the_image_size_with_bounded_flow():
    fields = build(SMALL)(100 * _image())
    assert fields.shape == (2, 5, 8, 16, 24)
    assert fields.dtype == torch.float32
    assert fields[:, 1:4].abs().max() <= 1
    assert fields[:, [0, 4]].abs().max() > 1


def test_loaded_weights_give_the_same_fields_without_the_auxiliary_channel(tmp_path):
    torch.manual_seed(1)
    network = build(SMALL).eval()
    for name, value in tensors_of(network).items():
        if "norm" in name and value.is_floating_point():
            value.data.uniform_(0.5, 2)  # so that a folded norm counts
    weights = {k: v.contiguous() for k, v in tensors_of(network).items() if v.is_floating_point()}
    save_file(weights, tmp_path / "w.safetensors")
    loaded = load(SMALL.model_dump(), tmp_path / "w.safetensors")
    assert not loaded.training
    with torch.no_grad():
        fields = loaded(_image())
        assert fields.shape[1] == 4
        assert_close(fields, network(_image())[:, :4])
        assert_close(with_folded_norms(loaded)(_image()), fields)
    refused(
        "not of this network", load, {"widths": [4, 6, 12], "fold": 2}, tmp_path / "w.safetensors"
    )


def test_a_plane_is_alone_and_has_no_flow_along_z():
    flat = Network(dimensions=2, widths=(4, 6, 8), fold=2)
    assert flat.multiple == (1, 8, 8)
    network = build(flat).eval()
    with torch.no_grad():
        fields = network(_image())
        assert_close(fields[:, :, 3:4], network(_image()[:, :, 3:4]))
    assert fields.shape == (2, 5, 8, 16, 24)
    assert not fields[:, 1].any()
    assert fields[:, 2:4].abs().min() > 0


TINY = Network(widths=(4, 4, 4), fold=2)
TILING = Parameters(network=TINY, tile=(16, 32, 32), halo=(2, 4, 4))


def multiples(image):
    """Answer with the image itself."""
    return torch.cat([image, image * 2, image * 3, image * 4, image * 99], 1)


def test_fields_are_those_of_the_network(rng):
    values = rng.uniform(0.5, 1, (9, 50, 61)).astype(np.float32)
    fields = predict_fields(values[None], multiples, TILING)
    np.testing.assert_allclose(fields.level, 1 / (1 + np.exp(-values)), rtol=1e-5)
    for channel, factor in zip(fields.flow, (2, 3, 4), strict=True):
        np.testing.assert_array_equal(channel, values * np.float32(factor))


def test_empty_tiles_are_skipped(rng):
    values = rng.normal(0, 0.165, (16, 32, 300)).astype(np.float32)
    values[6:10, 12:20, 40:48] += 0.5
    fields = predict_fields(values[None], multiples, TILING)
    assert 0 < fields.skipped < fields.tiles
    assert fields.level[8, 16, 44] > 0.5
    assert not fields.level[:, :, 200:].any()


def test_a_small_dim_nucleus_is_not_empty():
    part = np.full((5, 9, 17), -0.1, np.float32)
    assert is_empty(part)
    part[4:, 8:, 16:] = 0.05  # a block at the end, of one voxel
    assert not is_empty(part)


@pytest.mark.parametrize(
    "message, parameters",
    {
        "card test: parameters: taw is not a known key; did you mean 'tau'?": {"taw": 0.3},
        "min_volume_um3 must not exceed max_volume": {"min_volume_um3": 5, "max_volume_um3": 4},
        "tile must be at least [20, 56, 56] for this network": {"tile": [16, 64, 64]},
    }.items(),
)
def test_explains(parameters, message):
    parameters["network"] = TINY.model_dump()
    refused(message, parameters_of, card(name="test", parameters=parameters), Parameters)
