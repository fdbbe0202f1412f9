"""Parameters of a model card: the network, its grid, and the way from maps to stars."""

from typing import Annotated, Literal

from pydantic import Field

from cytosuite.algorithms.harmonicnet.network import Network
from cytosuite.networks.scale import Positive, Sizing
from cytosuite.networks.tiling import Sides, Tiled

Even = Annotated[int, Field(ge=0, multiple_of=2)]


class Parameters(Sizing, Tiled):
    """``parameters`` of a model card; lengths in µm are at the scale of the training."""

    network: Network = Field(description="Arguments of the network.")
    spacing_um: tuple[Positive, Positive, Positive] = Field(
        description="Voxels z, y, x that images are brought to, µm."
    )
    radius_um: Positive = Field(description="Unit of the coefficients: mean radius, µm.")
    threshold: float = Field(
        0.5, gt=0, lt=1, description="Least heat of a centre, chosen on validation data."
    )
    overlap: float = Field(
        0.3,
        gt=0,
        le=1,
        description="Share of the smaller star within a more certain one that suppresses.",
    )
    smallest_um3: float = Field(0.0, ge=0, description="Least volume of a star, µm³.")
    diameter: Literal["trained", "estimated"] = Field(
        "trained", description="Default nucleus diameter when the user gives none."
    )
    rescale_tolerance: float = Field(
        0.01, ge=0, description="Largest |ln| of voxel size over the training's without rescaling."
    )
    tile: Sides = Field((96, 256, 256), description="Voxels z, y, x; its volume bounds the memory.")
    halo: tuple[Even, Even, Even] = Field(
        (16, 32, 32), description="Voxels at the inner faces of a tile that are thrown away."
    )
