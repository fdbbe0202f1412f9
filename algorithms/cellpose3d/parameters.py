"""Parameters of a model card: the network, its tiles, and the way from fields to labels."""

from math import inf
from typing import Self

from pydantic import Field, model_validator

from cytosuite.algorithms.cellpose3d.network import Network
from cytosuite.contract.manifest import Count, NotNegative, OpenShare, Positive, Whole
from cytosuite.files import Json
from cytosuite.networks.scale import Sizing
from cytosuite.networks.tiling import Tiled


class Parameters(Sizing, Tiled):
    """``parameters`` of a model card; lengths in µm are at the scale of the training.

    For an image with nuclei half as large as those of the training, voxels of the working grid are
    half as large, and every length here is halved with them.
    """

    network: Network  # arguments of the network
    # voxels at the inner faces of a tile that are thrown away
    halo: tuple[Whole, Whole, Whole] = (8, 24, 24)
    half: bool = True  # the network computes in bfloat16, on a CPU that is fast in it
    # brightest signal over the noise of a voxel below which a volume is smoothed; 0: never
    clear: NotNegative = 0.0
    tau: float = Field(0.3, gt=0, lt=1)  # foreground is where the level is above this
    li: bool = True  # whether foreground must exceed Li's threshold as well
    li_factor: Positive = 1.0  # factor on Li's threshold above the background
    # standard deviation of the smoothing before that threshold, µm
    smoothing_um: NotNegative = 0.8
    # length of nuclei along z over that across: smoothing and seeds follow
    axial_elongation: Positive = 1.0
    local_um: NotNegative = 10.0  # standard deviation of the surroundings that raise it, µm
    local_weight: OpenShare = 0.0  # weight of their brightness in the threshold
    # weight of its own mean in the threshold of an object
    own_weight: OpenShare = 0.0
    own_factor: Positive = 1.0  # factor on that threshold
    # values in place of others here, for images in voxels far from the card's: annotators differ
    foreign: Json = Field({})
    steps: Count = 100  # largest number of steps along the flow
    step_size: float = Field(0.7, gt=0, le=1)  # factor on the flow, voxels per step
    # standard deviation of the smoothing of the flow, voxels
    flow_smoothing: NotNegative = 1.0
    # standard deviation of the smoothing of the points' density, µm
    seed_smoothing_um: NotNegative = 1.6
    # peaks of that density nearer than this are one nucleus, µm
    seed_distance_um: NotNegative = 4.0
    # touching objects are one where the mean level of their face is above this
    max_face_level: Positive = 1.0
    # faces between touching objects move to bright walls at most this far, µm
    wall_reach_um: NotNegative = 0.0
    # standard deviation of the smoothing of these walls, µm
    wall_smoothing_um: NotNegative = 0.0
    min_volume_um3: NotNegative = 0.0  # least volume of a nucleus, µm³
    max_volume_um3: float = Field(inf, gt=0)  # largest volume of a nucleus, µm³
    min_level: OpenShare = 0.0  # least mean level of a nucleus
    # least mean intensity of a nucleus in units of Li's threshold
    min_contrast: NotNegative = 0.0
    # largest mean difference from the flow of the object's own shape
    max_flow_error: float = Field(inf, gt=0)
    max_elongation: float = Field(inf, ge=1)  # largest ratio of longest to shortest axis
    # looseness of the outlines that the trees in the weights draw; None: no trees
    outline: float | None = Field(None, gt=0, lt=1)

    @model_validator(mode="after")
    def _nothing_is_impossible(self) -> Self:
        """Refuse limits that no nucleus keeps to."""
        if self.min_volume_um3 > self.max_volume_um3:
            raise ValueError(
                f"min_volume_um3 must not exceed max_volume_um3, found {self.min_volume_um3:g} and "
                f"{self.max_volume_um3:g}"
            )
        return self
