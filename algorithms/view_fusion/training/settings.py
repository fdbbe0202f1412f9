"""Settings of view fusion's training, read from a TOML file like `train.toml`."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cytosuite.algorithms.view_fusion.network import RestorerArguments
from cytosuite.algorithms.view_fusion.training.losses import FusionLoss
from cytosuite.manifest import Described
from cytosuite.tiling import are_multiples
from cytosuite.training.settings import TrainingSettings

Size = Annotated[int, Field(ge=1)]


class ViewCrops(Described):
    """Crops of a step, and of a validation."""

    shape: tuple[Size, Size, Size] = Field((32, 96, 96), description="voxels along z, y, x")
    batch: int = Field(2, ge=1, description="crops per step")
    aimed: float = Field(
        0.75, ge=0, le=1, description="share around voxels at or above the mean of the fused image"
    )
    mirror: tuple[Literal["z", "y", "x"], ...] = Field(
        ("y", "x"),
        description="axes along which crops are mirrored; none along which the network must know "
        "the direction of the light: no channel tells it",
    )
    shown: tuple[Size, Size, Size] = Field(
        (64, 256, 256),
        description="most voxels, z y x, of the middle of a held-out image that a validation "
        "predicts; percentiles and scores are those of this part",
    )


class Settings(TrainingSettings):
    """All settings of a training."""

    network: RestorerArguments = RestorerArguments()
    names: tuple[str, ...] = Field(
        ("*",), description="of views, without suffix, like image_*_membrane_angle"
    )
    crops: ViewCrops = ViewCrops()
    loss: FusionLoss = FusionLoss()

    @model_validator(mode="after")
    def _crops_fit_the_network(self) -> Self:
        """Refuse crops that the network cannot halve as often as it has to."""
        multiple = self.network.multiple
        if not are_multiples(self.crops.shape, multiple):
            raise ValueError(
                f"crops.shape must be multiples of {list(multiple)} for this network, found "
                f"{list(self.crops.shape)}"
            )
        return self
