"""The network: a U-Net on folded planes that predicts level, flow and, in training, centres."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import torch
from monai.networks.nets.dynunet import DynUNet
from pydantic import Field
from safetensors.torch import load_file
from torch import Tensor, nn

from cytosuite.manifest import Described, parse
from cytosuite.network import put_tensors, tensors_of

FIELDS = 4  # level, flow along z, y, x
AUXILIARY = 1  # heat of the centre: helps training, dropped afterwards


class Network(Described):
    """Arguments of the network, as a model card holds them."""

    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        min_length=3, description="channels of each level"
    )
    fold: int = Field(2, ge=1, description="pixels of y and x folded into channels")

    @property
    def multiple(self) -> tuple[int, int, int]:
        """Numbers that the sides of an image must be multiples of, z, y, x.

        Examples
        --------
        >>> Network(widths=(16, 32, 64, 96), fold=2).multiple
        (8, 16, 16)
        """
        deep = 2 ** (len(self.widths) - 1)
        return deep, deep * self.fold, deep * self.fold


class FlowNet(nn.Module):
    """A U-Net that works on planes folded two by two, and unfolds its outputs.

    Parameters
    ----------
    widths : sequence of int
        Channels of each level; each but the first halves all axes. Multiples of 16 are fastest.
    fold : int
        Pixels of y and of x that become channels before the first convolution.
    outputs : int
        Channels of the result.

    Notes
    -----
    Folding (space to depth) costs no information and makes a voxel of the working grid, twice as
    long along z as in the plane, nearly isotropic: over all levels z is halved once less often
    than y and x. Batch norm, not instance norm: a patch without nuclei must not be stretched.

    References
    ----------
    Shi et al., CVPR (2016), doi:10.1109/CVPR.2016.207 (folding); Isensee et al., Nature Methods
    18 (2021), doi:10.1038/s41592-020-01008-z (U-Net).
    """

    def __init__(self, widths: Sequence[int], fold: int, outputs: int) -> None:
        super().__init__()
        strides = [1] + [2] * (len(widths) - 1)
        self.fold = fold
        self.core = DynUNet(
            spatial_dims=3,
            in_channels=fold**2,
            out_channels=outputs * fold**2,
            kernel_size=[3] * len(widths),
            strides=strides,
            upsample_kernel_size=strides[1:],
            filters=list(widths),
            norm_name=("batch", {}),
            act_name=("leakyrelu", {"inplace": True, "negative_slope": 0.1}),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return the fields of normalised images.

        Parameters
        ----------
        image : (N, 1, Z, Y, X) tensor
            Sides must be multiples of `Network.multiple`.

        Returns
        -------
        (N, C, Z, Y, X) float32 tensor
            Channel 0: logit of the level; 1 to 3: flow along z, y, x in -1..1; then, where there
            is one, the logit of the centre's heat.
        """
        count, _, z, y, x = image.shape
        f = self.fold
        folded = image.view(count, z, y // f, f, x // f, f).permute(0, 3, 5, 1, 2, 4)
        folded = folded.reshape(count, f * f, z, y // f, x // f)
        # Convolutions on CPUs are about a fifth faster with the channels last.
        fields: Tensor = self.core(folded.contiguous(memory_format=torch.channels_last_3d)).float()
        fields = fields.view(count, -1, f, f, z, y // f, x // f).permute(0, 1, 4, 5, 2, 6, 3)
        fields = fields.reshape(count, -1, z, y, x)
        flow = torch.tanh(fields[:, 1:FIELDS])
        return torch.cat([fields[:, :1], flow, fields[:, FIELDS:]], 1)


def build(arguments: Network, *, auxiliary: bool = True) -> FlowNet:
    """Return a network with random weights; the auxiliary channel serves training alone."""
    outputs = FIELDS + AUXILIARY if auxiliary else FIELDS
    network = FlowNet(arguments.widths, arguments.fold, outputs)
    cast(Any, network).to(memory_format=torch.channels_last_3d)  # torch does not declare it
    return network


def load(arguments: Mapping[str, Any], path: Path) -> FlowNet:
    """Return a trained network for inference: without auxiliary channel, in evaluation mode.

    Parameters
    ----------
    arguments : mapping
        Those of `Network`.
    path : Path
        Verified weights in safetensors.

    Raises
    ------
    InputError
        If an argument is not allowed, or the weights do not fit.
    """
    network = build(parse("network", arguments, Network), auxiliary=False)
    found = load_file(path)
    for name, value in tensors_of(network).items():
        if name.startswith("core.output_block.") and name in found:
            found[name] = found[name][: len(value)]
    put_tensors(network, found, path)
    return network.eval()
