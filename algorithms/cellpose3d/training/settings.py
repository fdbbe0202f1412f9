"""Settings of Cellpose3D's training, read from a TOML file like `embryo.toml`."""

from typing import Self

from pydantic import Field, model_validator

from cytosuite.algorithms.cellpose3d.network import Network
from cytosuite.algorithms.cellpose3d.training.cases import Channel
from cytosuite.algorithms.cellpose3d.training.losses import LossWeights
from cytosuite.algorithms.cellpose3d.training.patches import Patches
from cytosuite.tiling import are_multiples
from cytosuite.training.settings import TrainingSettings


class Settings(TrainingSettings):
    """All settings of a training."""

    channel: Channel = Field("nucleus", description="images show nuclei, or cells' membranes")
    network: Network = Network(widths=(16, 32, 64, 96))
    patches: Patches = Patches()
    loss: LossWeights = LossWeights()

    @model_validator(mode="after")
    def _patches_fit_the_network(self) -> Self:
        """Refuse patches that the network cannot halve as often as it has to."""
        multiple = self.network.multiple
        if not are_multiples(self.patches.shape, multiple):
            raise ValueError(
                f"patches.shape must be multiples of {list(multiple)} for this network, "
                f"found {list(self.patches.shape)}"
            )
        if self.patches.shape[1] != self.patches.shape[2]:
            raise ValueError("patches.shape must be as long in y as in x, which are exchanged")
        return self
