"""Parameters of a model card: the denoiser, the way from sketch to image, and grey values."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cytosuite.algorithms.diffusion.intensity import GreyLevels
from cytosuite.algorithms.diffusion.network import DenoiserArguments
from cytosuite.algorithms.diffusion.synthesise import Process
from cytosuite.manifest import Described
from cytosuite.normalise import Target
from cytosuite.tiling import check_tile

Size = Annotated[int, Field(ge=1)]
Given = Literal["sketch", "labels"]


class Parameters(Described):
    """``parameters`` of a card: with `network` a diffusion model, without it the plain sketch."""

    network: DenoiserArguments | None = Field(None, description="Arguments of the denoiser.")
    process: Process = Field(Process(), description="The way from a sketch over noise to an image.")
    target: Target | GreyLevels = Field(description="Grey values of the images to be made.")
    given: Given = Field(
        "sketch",
        description="Input that counts where a case has both, as in the training. labels: never a "
        "sketch; sketch: one is made of labels where there is none.",
    )
    dropped: float = Field(
        0, ge=0, lt=1, description="Share of the training's crops whose sketch was hidden."
    )
    tile: tuple[Size, Size, Size] = Field(
        (96, 320, 320), description="Voxels z, y, x; its volume bounds the memory."
    )
    seed: int | None = Field(
        None,
        ge=0,
        lt=2**63,
        description="Of the noise: frames of one seed share it; by default the image's digest.",
    )

    @model_validator(mode="after")
    def _tiles_hold_an_answer(self) -> Self:
        """Refuse tiles that are all halo."""
        if self.network is not None:
            check_tile(self.tile, self.network.halo, self.network.multiple)
        return self

    @model_validator(mode="after")
    def _guided_by_a_fitting_network(self) -> Self:
        """Refuse a guidance by a network that was never without a sketch."""
        if self.process.guidance > 1 and not self.dropped:
            raise ValueError(
                "process.guidance must be 1 for a network that was always given its sketch "
                f"(dropped is 0), found {self.process.guidance:g}; train one with crops.dropped"
            )
        return self
