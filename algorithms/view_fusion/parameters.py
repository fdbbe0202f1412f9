"""Parameters of a model card: the method, and what it takes."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cytosuite.algorithms.view_fusion.classical import Restoration
from cytosuite.algorithms.view_fusion.network import RestorerArguments
from cytosuite.manifest import Described
from cytosuite.tiling import check_tile

Method = Literal["identity", "gaussian", "classical", "network"]
Size = Annotated[int, Field(ge=1)]


class Parameters(Described):
    """``parameters`` of a card: a method with the parts that it takes, and no others."""

    method: Method = Field(
        description="identity hands the view back, gaussian smooths it, classical corrects "
        "attenuation and blur, network applies a trained network."
    )
    sigma_px: float = Field(
        0.442,
        ge=0,
        le=10,
        description="Standard deviation of the Gaussian, in voxels along all axes; it stands in "
        "for a network whose answer is refused, too.",
    )
    classical: Restoration | None = Field(None, description="Of the classical restoration.")
    network: RestorerArguments | None = Field(None, description="Arguments of the network.")
    tile: tuple[Size, Size, Size] = Field(
        (128, 352, 352), description="Voxels z, y, x; its volume bounds the memory."
    )
    least_agreement: float = Field(
        0.3,
        ge=-1,
        le=1,
        description="Correlation of the network's answer and the view, smoothed over 5 µm, below "
        "which the answer is refused.",
    )

    @model_validator(mode="after")
    def _of_one_method(self) -> Self:
        """Refuse a card that lacks the part of its method, or has that of another."""
        for part in ("classical", "network"):
            given = getattr(self, part) is not None
            if given and self.method != part:
                raise ValueError(f"{part} is for method {part}, found method {self.method}")
            if not given and self.method == part:
                raise ValueError(f"method {part} needs {part}, found none")
        if self.network is not None:
            check_tile(self.tile, self.network.halo, self.network.multiple)
        return self
