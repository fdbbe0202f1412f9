"""The network: a U-Net on folded planes that predicts level, flow and, in training, centres."""

from copy import deepcopy
from pathlib import Path

import torch
from monai.networks.blocks.dynunet_block import UnetBasicBlock
from pydantic import Field
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cytosuite.contract.manifest import Count, parse
from cytosuite.files import Entries
from cytosuite.networks.levels import LevelArguments, unet
from cytosuite.networks.network import (
    Forward,
    PlaneByPlane,
    channels_last,
    folded,
    put_tensors,
    tensors_of,
    unfolded,
)
from cytosuite.networks.tiling import Widths
from cytosuite.segmentation.outline import PREFIX

FIELDS = 4  # level, flow along z, y, x
AUXILIARY = 1  # heat of the centre: helps training, dropped afterwards


class Network(LevelArguments):
    """Arguments of the network, as a model card holds them."""

    widths: Widths = Field(min_length=3)  # channels of each level
    channels: Count = 1  # of the images; further ones help to find the objects of the first


class FlowNet(nn.Module):
    """A U-Net (Isensee et al., Nature Methods 18 (2021), doi:10.1038/s41592-020-01008-z).

    Folded planes (Shi et al., CVPR (2016), doi:10.1109/CVPR.2016.207) make its voxels isotropic.
    Batch norm, not instance norm: a patch without nuclei must not be stretched.
    Of planes there is no flow along z: it is 0.
    """

    def __init__(self, arguments: Network, *, auxiliary: bool) -> None:
        super().__init__()
        widths, self.fold = arguments.widths, arguments.fold
        self.flat = arguments.dimensions == 2
        outputs = FIELDS - self.flat + AUXILIARY * auxiliary
        planes = self.fold**2
        core = unet(arguments.dimensions, arguments.channels * planes, outputs * planes, widths)
        self.core = PlaneByPlane(core) if self.flat else core

    def forward(self, image: Tensor) -> Tensor:
        """Return logit of the level, flow z y x, logit of the heat: (N, C, Z, Y, X) float32."""
        planes = folded(image, self.fold).contiguous(memory_format=torch.channels_last_3d)
        fields = unfolded(self.core(planes).float(), self.fold)
        fields[:, 1 : FIELDS - self.flat].tanh_()
        if not self.flat:
            return fields
        return torch.cat([fields[:, :1], torch.zeros_like(fields[:, :1]), fields[:, 1:]], 1)


def build(arguments: Network, *, auxiliary: bool = True) -> FlowNet:
    """Return a network with random weights; the auxiliary channel serves training alone."""
    return channels_last(FlowNet(arguments, auxiliary=auxiliary), arguments.dimensions)


def load(arguments: Entries, path: Path) -> FlowNet:
    """Return a trained network for inference, without auxiliary channel; InputError if unfit."""
    network = build(parse("network", arguments, Network), auxiliary=False)
    stored = {name: value for name, value in load_file(path).items() if not name.startswith(PREFIX)}
    for name, value in tensors_of(network).items():
        if "output_block." in name and name in stored:
            stored[name] = stored[name][: len(value)]
    put_tensors(network, stored, path)
    return network.eval()


def with_folded_norms(network: Forward) -> Forward:
    """Return a copy with norms folded into convolutions, of a `FlowNet`; others as they are."""
    if not isinstance(network, FlowNet):
        return network
    network = deepcopy(network)
    for block in network.modules():
        if isinstance(block, UnetBasicBlock):  # a norm of its own is an eighth of a pass
            for convolution, norm in ((block.conv1, "norm1"), (block.conv2, "norm2")):
                convolution.conv = fuse_conv_bn_eval(convolution.conv, getattr(block, norm))
                setattr(block, norm, nn.Identity())
    return network
