import pytest
import torch
from safetensors.torch import save_file

from cytosuite.algorithms.cellpose3d.network import Network, build, load
from cytosuite.errors import InputError
from cytosuite.network import tensors_of

SMALL = Network(widths=(4, 6, 8), fold=2)


def _image(z=8, y=16, x=24):
    return torch.randn(2, 1, z, y, x, generator=torch.Generator().manual_seed(0))


def test_five_fields_of_the_image_size_with_bounded_flow():
    fields = build(SMALL)(100 * _image())
    assert fields.shape == (2, 5, 8, 16, 24)
    assert fields.dtype == torch.float32
    assert fields[:, 1:4].abs().max() <= 1
    assert fields[:, [0, 4]].abs().max() > 1


@pytest.mark.parametrize("fold", [1, 2])
def test_the_smallest_allowed_image_passes(fold):
    arguments = Network(widths=(4, 6, 8), fold=fold)
    network = build(arguments).eval()
    assert network(torch.zeros(1, 1, *arguments.multiple)).shape[2:] == arguments.multiple


def test_folding_keeps_every_pixel_in_its_place():
    network = build(SMALL, auxiliary=False)
    network.core = torch.nn.Conv3d(4, 16, 1, bias=False)
    weight = torch.zeros(16, 4, 1, 1, 1)
    weight[:4] = torch.eye(4)[:, :, None, None, None]  # the first field is the image itself
    network.core.weight = torch.nn.Parameter(weight)
    image = _image()
    torch.testing.assert_close(network(image)[:, :1], image)


def test_the_default_network_is_of_the_planned_size():
    network = build(Network(widths=(16, 32, 64, 96)))
    assert 0.7e6 < sum(weight.numel() for weight in network.parameters()) < 1.3e6
    assert not any(isinstance(part, torch.nn.InstanceNorm3d) for part in network.modules())
    assert any(isinstance(part, torch.nn.BatchNorm3d) for part in network.modules())


def test_far_parts_of_batch_and_image_have_no_influence():
    network = build(SMALL).eval()
    image = _image(16, 64, 64)
    other = image.clone()
    other[1] += 5
    other[0, :, :, :, 60:] += 5
    one, two = network(image), network(other)
    torch.testing.assert_close(one[0, :, :, :, :16], two[0, :, :, :, :16])
    assert (one[1] - two[1]).abs().max() > 1e-3


def test_loaded_weights_give_the_same_fields_without_the_auxiliary_channel(tmp_path):
    torch.manual_seed(1)
    network = build(SMALL).eval()
    kept = {k: v.contiguous() for k, v in tensors_of(network).items() if v.is_floating_point()}
    save_file(kept, tmp_path / "w.safetensors")
    loaded = load(SMALL.model_dump(), tmp_path / "w.safetensors")
    assert not loaded.training
    with torch.no_grad():
        fields = loaded(_image())
        assert fields.shape[1] == 4
        torch.testing.assert_close(fields, network(_image())[:, :4])
    with pytest.raises(InputError, match="not of this network"):
        load({"widths": [4, 6, 12], "fold": 2}, tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    "arguments",
    [{}, {"widths": [4, 8]}, {"widths": [4, 6, 8], "depth": 3}, {"widths": [4, 0, 4], "fold": 2}],
)
def test_impossible_arguments_are_refused(arguments, tmp_path):
    with pytest.raises(InputError, match="network: "):
        load(arguments, tmp_path / "w.safetensors")
