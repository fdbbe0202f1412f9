"""Parameters of a model card: the generator and its units, and the classical transfer."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cytosuite.algorithms.cyclegan3d.fidelity import FidelityLimits
from cytosuite.algorithms.cyclegan3d.intensity import Scale, Target
from cytosuite.algorithms.cyclegan3d.network import Architecture
from cytosuite.algorithms.cyclegan3d.style import Style
from cytosuite.manifest import Described, ModelCard, parse

Size = Annotated[int, Field(ge=1)]


class Parameters(Described):
    """``parameters`` of a card: with `network` a generator, without it the classical transfer."""

    network: Architecture | None = Field(None, description="Arguments of the generator.")
    scale: Scale = Field("background", description="Units of the generator.")
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
        if self.network is not None and self.network.norm == "voxel":
            halo, multiple = self.network.halo, self.network.multiple
            # Halos at both faces, up to whole multiples, and a multiple that is kept.
            least = [
                (-(-2 * margin // step) + 1) * step
                for margin, step in zip(halo, multiple, strict=True)
            ]
            if any(size < needed for size, needed in zip(self.tile, least, strict=True)):
                raise ValueError(
                    f"tile must be at least {least} for this network, found {list(self.tile)}"
                )
        return self


def parameters_of(card: ModelCard) -> Parameters:
    """Return the parameters of a card.

    Raises
    ------
    InputError
        If one is unknown, missing or out of bounds: the first, with the place.
    """
    return parse(f"card {card.name}: parameters", card.parameters, Parameters)
