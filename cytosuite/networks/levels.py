"""Networks of several levels on folded planes: their common arguments, convolutions and U-Net."""

from collections.abc import Sequence
from typing import Literal

from monai.networks.blocks.convolutions import Convolution
from monai.networks.nets.dynunet import DynUNet
from pydantic import Field
from torch import nn

from cytosuite.contract.manifest import Count, Described
from cytosuite.files import IntTriple
from cytosuite.networks.network import PlaneByPlane
from cytosuite.networks.tiling import Widths

Triple = IntTriple


class LevelArguments(Described):
    """Arguments of a network, as a model card holds them."""

    dimensions: Literal[2, 3] = 3  # of the images: 2 for planes, 3 for volumes
    widths: Widths = Field(min_length=1)  # channels of each level; each halves all axes
    fold: Count = 2  # pixels of y and x folded into channels

    @property
    def multiple(self) -> Triple:
        """Numbers that the sides of an image must be multiples of, z, y, x."""
        return self._unfolded(2 ** (len(self.widths) - 1), 1)

    def _unfolded(self, voxels: int, plane: int) -> Triple:
        """Return folded voxels along z, y, x of an image; along z of planes `plane`."""
        return voxels if self.dimensions == 3 else plane, voxels * self.fold, voxels * self.fold


def convolution(
    dimensions: int,
    inputs: int,
    outputs: int,
    *,
    kernel: int = 3,
    stride: int = 1,
    padding: int | None = None,
) -> nn.Module:
    """Return a convolution, of volumes or plane by plane; a stride of -2 doubles the sides."""
    layer = Convolution(
        dimensions,
        inputs,
        outputs,
        strides=abs(stride),
        kernel_size=kernel,
        padding=padding,
        conv_only=True,
        is_transposed=stride < 0,
    )
    return PlaneByPlane(layer) if dimensions == 2 else layer


def unet(dimensions: int, inputs: int, outputs: int, widths: Sequence[int]) -> DynUNet:
    """Return a U-Net with batch norm: a patch without objects must not be stretched.

    Isensee et al., Nature Methods 18 (2021), doi:10.1038/s41592-020-01008-z.
    """
    strides = [1] + [2] * (len(widths) - 1)
    return DynUNet(
        spatial_dims=dimensions,
        in_channels=inputs,
        out_channels=outputs,
        kernel_size=[3] * len(widths),
        strides=strides,
        upsample_kernel_size=strides[1:],
        filters=list(widths),
        norm_name=("batch", {}),
        act_name=("leakyrelu", {"inplace": True, "negative_slope": 0.1}),
    )
