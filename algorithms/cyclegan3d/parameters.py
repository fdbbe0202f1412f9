"""Parameters of a model card: the generator and its units, and the classical transfer."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cytosuite.algorithms.cyclegan3d.fidelity import FidelityLimits
from cytosuite.algorithms.cyclegan3d.intensity import Scale
from cytosuite.algorithms.cyclegan3d.network import Architecture
from cytosuite.algorithms.cyclegan3d.style import Style
from cytosuite.manifest import Described
from cytosuite.normalise import Target
from cytosuite.tiling import check_tile

Size = Annotated[int, Field(ge=1)]


class Parameters(Described):
    """``parameters`` of a card: with `network` a generator, without it the classical transfer."""

    network: Architecture | None = Field(None, description="Arguments of the generator.")
    scale: Scale = Field(
        "background",
        description="Units of the generator: of the image's background, of its dtype, or of the "
        "target's background, for an image that the classical transfer has brought there.",
    )
    target: Target | None = Field(None, description="Grey values of the target domain.")
    style: Style | None = Field(
        None, description="Reference of the classical transfer, which stands in for a refusal."
    )
    tile: tuple[Size, Size, Size] = Field(
        (96, 320, 320), description="Voxels z, y, x; its volume bounds the memory."
    )
    guard: Literal["replace", "refuse", "off"] = Field(
        "replace",
        description="A translation that moves structure is replaced by the classical transfer, "
        "refused, or kept.",
    )
    limits: FidelityLimits = Field(
        FidelityLimits(), description="Of a translation that keeps the structure."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Refuse a card that cannot translate, and tiles that are all halo."""
        if self.network is None and self.style is None:
            raise ValueError("expected network (with target), style, or both")
        if self.network is not None and self.target is None:
            raise ValueError("expected target beside network")
        if self.scale == "style" and (self.style is None or self.target is None):
            raise ValueError("expected style and target for scale style")
        if self.network is not None and self.network.norm == "voxel":
            check_tile(self.tile, self.network.halo, self.network.multiple)
        return self
