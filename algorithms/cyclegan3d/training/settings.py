"""Settings of the CycleGAN's training, read from a TOML file like `train.toml`."""

from typing import Literal, Self

from pydantic import model_validator

from cytosuite.algorithms.cyclegan3d.network import Architecture
from cytosuite.algorithms.cyclegan3d.translate import OF_TARGET, Scale
from cytosuite.contract.manifest import Count, Described, NotNegative, Positive, Whole
from cytosuite.denoising.camera import CameraModel
from cytosuite.files import Texts
from cytosuite.networks.tiling import Sides
from cytosuite.training.judges import Judge
from cytosuite.training.settings import TrainingSettings


class Images(Described):
    """Choice among the files of a folder, and the scale of their grey values."""

    simulated: Texts = ("*",)  # names without suffix, like ix71_*
    real: Texts = ("*",)  # names without suffix
    scale: Scale = "background"  # units of the network


class Crops(Described):
    """Crops of a step."""

    shape: Sides = (32, 64, 64)  # voxels along z, y, x
    batch: Count = 1  # crops of each domain per step
    alike: Count = 4  # candidate places in simulated volumes; the most similar one is taken


class CycleLosses(Described):
    """Weights of the parts of the generators' loss, and the judges' habits."""

    cycle: NotNegative = 10.0  # there and back again, of both domains
    identity: NotNegative = 0.5  # of the cycle's weight: images of the own domain
    structure: NotNegative = 2.0  # of the structure that must stay
    # structure is local levels, local correlation, or known labels
    keep: Literal["levels", "correlation", "labels"] = "correlation"
    window: Sides = (5, 9, 9)  # of levels and correlation, voxels, odd
    pool: Whole = 50  # earlier translations that judges see again
    soft: NotNegative = 0.2  # differences below this count by their square; 0: as published
    judge_rate: Positive = 1.0  # of learning, relative to the generators'
    judge_every: Count = 1  # steps between two steps of the judges


class Settings(TrainingSettings):
    """All settings of a training."""

    network: Architecture = Architecture()
    judge: Judge = Judge()
    images: Images = Images()
    camera: CameraModel | None = None  # of both domains, for the scale light
    crops: Crops = Crops()
    loss: CycleLosses = CycleLosses()
    both_ways: bool = False  # the way back, real to simulated, becomes the model NAME-back
    checkpointing: bool = False  # activations are computed twice in place of being kept

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """Refuse crops that are too small for judges, and units that contradict each other."""
        self.judge.check(self.crops.shape, self.network.dimensions)
        if any(side % 2 == 0 for side in self.loss.window):
            raise ValueError(f"loss.window must be odd numbers, found {list(self.loss.window)}")
        scale = self.images.scale
        if (scale == "light") != (self.camera is not None):
            raise ValueError("images.scale light needs a table camera, and no other scale has one")
        if scale in OF_TARGET and self.network.channels > 1:
            raise ValueError(
                f"images.scale {scale} is of one channel, found network.channels "
                f"{self.network.channels}; choose background"
            )
        if self.both_ways and scale in OF_TARGET:
            raise ValueError(f"both_ways: images.scale {scale} has no way back; choose background")
        if self.loss.pool and self.loss.pool < self.crops.batch:
            raise ValueError("loss.pool must hold a batch of crops, or be 0")
        if (of_card := self.card.parameters.get("scale", scale)) != scale:
            raise ValueError(
                f"card.parameters.scale must be images.scale, {scale}, found {of_card}"
            )
        return self
