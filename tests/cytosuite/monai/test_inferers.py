import numpy as np
import pytest
import torch
from mistakes import refused
from monai.networks.nets.basic_unet import BasicUNet
from monai.networks.nets.unet import UNet

from cytosuite.monai import TileInferer

pytestmark = pytest.mark.filterwarnings("ignore")  # of MONAI, about torch


def _net(sides, norm="batch"):
    torch.manual_seed(0)
    return UNet(sides, 2, 3, (4, 8, 8), (2, 2), norm=norm).eval()


@pytest.mark.parametrize("shape", [(37, 50, 44), (101, 90)])
def test_tiles_of_a_network_of_monai_are_the_whole_image(shape):
    sides = len(shape)
    network = _net(sides)
    multiple = (4,) * sides
    image = torch.rand(2, 2, *shape)
    padded = torch.nn.functional.pad(
        image, [n for side in reversed(shape) for n in (0, -side % 4)], mode="replicate"
    )
    with torch.inference_mode():
        whole = network(padded)[(..., *(slice(side) for side in shape))]
    inferer = TileInferer((32,) * sides, multiple)
    inferer(image, (torch.nn.Conv2d, torch.nn.Conv3d)[sides - 2](2, 1, 1))  # without a halo
    assert (inferer(image, network) - whole).abs().max() < 1e-5
    short = TileInferer((32,) * sides, multiple, [n - 4 for n in inferer.halo])
    assert (short(image, network) - whole).abs().max() > 1e-5  # no longer than needed


def test_further_arguments_reach_the_network():
    values = TileInferer((8, 8), (1, 1), (0, 0))(
        torch.ones(1, 1, 20, 9), lambda image, gain, bias: gain * image + bias, 2, bias=3
    )
    np.testing.assert_array_equal(values, np.full((1, 1, 20, 9), 5))


def test_a_network_that_sees_the_whole_image_and_other_axes_are_refused():
    image = torch.rand(1, 2, 64, 64)
    wide = "tiles: expected a network whose answer depends on a part of the image, found one that"
    refused(wide, TileInferer((32, 32), (4, 4)), image, _net(2, "instance"))
    axes = "tiles: expected images of 3 spatial axes, found 2"
    refused(axes, TileInferer((32, 32, 32), (16, 16, 16)), image[:, :1], BasicUNet(2))
