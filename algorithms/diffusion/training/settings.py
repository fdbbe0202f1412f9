"""Settings of the diffusion model's training, read from a TOML file like `train.toml`."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from cytosuite.algorithms.diffusion.intensity import Units
from cytosuite.algorithms.diffusion.network import DenoiserArguments
from cytosuite.algorithms.diffusion.synthesise import Process
from cytosuite.manifest import Described
from cytosuite.tiling import are_multiples
from cytosuite.training.settings import TrainingSettings

Size = Annotated[int, Field(ge=1)]


class NoisedCrops(Described):
    """Crops of a step, and of a validation."""

    shape: tuple[Size, Size, Size] = Field(
        (32, 64, 64), description="voxels along z, y, x; z is 1 for planes"
    )
    batch: int = Field(4, ge=1, description="crops per step, at evenly spread levels of noise")
    shown: tuple[Size, Size, Size] = Field(
        (32, 128, 128), description="middle of held-out images that a validation makes"
    )
    dropped: float = Field(
        0,
        ge=0,
        lt=1,
        description="share of crops whose sketch is hidden; process.guidance needs it",
    )


class Settings(TrainingSettings):
    """All settings of a training."""

    network: DenoiserArguments = DenoiserArguments()
    process: Process = Field(
        Process(),
        description="its schedule is trained on, all of it goes to the card; contrast and range "
        "are measured",
    )
    names: tuple[str, ...] = Field(("*",), description="of images, without suffix, like emb_*")
    units: Units = Field(
        "background",
        description="of images for the network; contrast where there is no dark background, or "
        "one of few grey values",
    )
    crops: NoisedCrops = NoisedCrops()

    @model_validator(mode="after")
    def _crops_fit_the_network(self) -> Self:
        """Refuse crops that the network cannot halve as often as it has to."""
        multiple = self.network.multiple
        if not are_multiples(self.crops.shape, multiple):
            raise ValueError(
                f"crops.shape must be multiples of {list(multiple)} for this network, found "
                f"{list(self.crops.shape)}"
            )
        if self.network.dimensions == 2 and self.crops.shape[0] != 1:
            raise ValueError(
                f"crops.shape must begin with 1 for a network of planes, found "
                f"{list(self.crops.shape)}"
            )
        return self

    @model_validator(mode="after")
    def _sketches_can_be_hidden(self) -> Self:
        """Refuse hidden sketches of a network that is given none, and guidance without them."""
        if self.crops.dropped and not self.network.conditioned:
            raise ValueError(
                f"crops.dropped must be 0 for a network that is given no sketch, found "
                f"{self.crops.dropped:g}"
            )
        if self.process.guidance > 1 and not self.crops.dropped:
            raise ValueError(
                f"process.guidance must be 1 where no sketch is hidden (crops.dropped is 0), found "
                f"{self.process.guidance:g}; 0.1 is a usual share"
            )
        return self
