"""Parameters of a model card: the network, its tiles, and the way from fields to labels."""

from math import inf
from typing import Annotated, Self

from pydantic import Field, model_validator

from cytosuite.algorithms.cellpose3d.network import Network
from cytosuite.networks.scale import Sizing
from cytosuite.networks.tiling import Tiled

Positive = Annotated[float, Field(gt=0)]
Halo = Annotated[int, Field(ge=0)]


class Parameters(Sizing, Tiled):
    """``parameters`` of a model card; lengths in µm are at the scale of the training.

    For an image with nuclei half as large as those of the training, voxels of the working grid are
    half as large, and every length here is halved with them.
    """

    network: Network = Field(description="Arguments of the network.")
    halo: tuple[Halo, Halo, Halo] = Field(
        (8, 24, 24), description="Voxels at the inner faces of a tile that are thrown away."
    )
    half: bool = Field(
        True, description="The network computes in bfloat16, on a CPU that is fast in it."
    )
    tau: float = Field(0.3, gt=0, lt=1, description="Foreground is where the level is above this.")
    li: bool = Field(True, description="Whether foreground must exceed Li's threshold as well.")
    li_factor: Positive = Field(1.0, description="Factor on Li's threshold above the background.")
    smoothing_um: float = Field(
        0.8, ge=0, description="Standard deviation of the smoothing before that threshold, µm."
    )
    axial_elongation: Positive = Field(
        1.0, description="Length of nuclei along z over that across: smoothing and seeds follow."
    )
    local_um: float = Field(
        10.0, ge=0, description="Standard deviation of the surroundings that raise it, µm."
    )
    local_weight: float = Field(
        0.0, ge=0, lt=1, description="Weight of their brightness in the threshold."
    )
    own_weight: float = Field(
        0.0, ge=0, lt=1, description="Weight of its own mean in the threshold of an object."
    )
    own_factor: Positive = Field(1.0, description="Factor on that threshold.")
    steps: int = Field(100, ge=1, description="Largest number of steps along the flow.")
    step_size: float = Field(0.7, gt=0, le=1, description="Factor on the flow, voxels per step.")
    flow_smoothing: float = Field(
        1.0, ge=0, description="Standard deviation of the smoothing of the flow, voxels."
    )
    seed_smoothing_um: float = Field(
        1.6, ge=0, description="Standard deviation of the smoothing of the points' density, µm."
    )
    seed_distance_um: float = Field(
        4.0, ge=0, description="Peaks of that density nearer than this are one nucleus, µm."
    )
    max_face_level: float = Field(
        1.0,
        gt=0,
        description="Touching objects are one where the mean level of their face is above this.",
    )
    wall_reach_um: float = Field(
        0.0,
        ge=0,
        description="Faces between touching objects move to bright walls at most this far, µm.",
    )
    wall_smoothing_um: float = Field(
        0.0, ge=0, description="Standard deviation of the smoothing of these walls, µm."
    )
    min_volume_um3: float = Field(0.0, ge=0, description="Least volume of a nucleus, µm³.")
    max_volume_um3: float = Field(inf, gt=0, description="Largest volume of a nucleus, µm³.")
    min_level: float = Field(0.0, ge=0, lt=1, description="Least mean level of a nucleus.")
    min_contrast: float = Field(
        0.0, ge=0, description="Least mean intensity of a nucleus in units of Li's threshold."
    )
    max_flow_error: float = Field(
        inf,
        gt=0,
        description="Largest mean difference from the flow of the object's own shape.",
    )
    max_elongation: float = Field(
        inf, ge=1, description="Largest ratio of longest to shortest axis."
    )
    outline: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Looseness of the outlines that the trees in the weights draw; None: no trees.",
    )

    @model_validator(mode="after")
    def _nothing_is_impossible(self) -> Self:
        """Refuse limits that no nucleus keeps to."""
        if self.min_volume_um3 > self.max_volume_um3:
            raise ValueError(
                f"min_volume_um3 must not exceed max_volume_um3, found {self.min_volume_um3:g} and "
                f"{self.max_volume_um3:g}"
            )
        return self
