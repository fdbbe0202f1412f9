"""Settings of the trainings of a denoiser, read from a TOML file like `train.toml`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from cytosuite.algorithms.diffusion.intensity import Units
from cytosuite.contract.manifest import Count, Described, NotNegative, OpenShare, Positive, Whole
from cytosuite.denoising.camera import CameraModel
from cytosuite.denoising.network import DenoiserArguments
from cytosuite.denoising.sampling import Process
from cytosuite.files import Texts
from cytosuite.networks.tiling import Sides
from cytosuite.training.augment import Augmentations
from cytosuite.training.judges import Judge
from cytosuite.training.settings import TrainingSettings

_ALONE = 1e-3  # of the signal: below, an image starts from noise alone


class NoisedCrops(Described):
    """Crops of a step, and of a validation."""

    shape: Sides = (32, 64, 64)  # voxels along z, y, x; z is 1 for planes
    batch: Count = 4  # crops per step, at evenly spread levels of noise
    shown: Sides = (32, 128, 128)  # middle of held-out images that a validation makes
    # share of crops without a sketch; process.guidance needs it
    dropped: OpenShare = 0
    augment: Augmentations = Augmentations()


class Adversary(Described):
    """Judges of one-pass images, and the weights of the parts of the loss."""

    judge: Judge = Judge(norm="spectral")
    judges: int = Field(2, ge=1, le=4)  # each sees images half as wide as the last
    # distances of answers from 1 and 0, or softplus of logits
    game: Literal["squares", "logistic"] = "squares"
    # sketches come from the role sketches; sketches made from images by a threshold count for
    # likeness and reader alone
    unpaired: bool = False
    features: NotNegative = 10.0  # weight: features of judges, as of the image
    # weight of the difference of local levels to the image of the same sketch
    likeness: NotNegative = 10.0
    grain: bool = False  # likeness counts single pixels
    # weight: a reader, which learns it of images, finds the sketch, too
    structure: NotNegative = 2.0
    penalty: NotNegative = 0.0  # R1: of the judges' slope at real images
    penalty_every: Count = 16  # steps between two of the penalty
    # mean sign of answers to real images that more and more changes of all that judges see keep; 0
    # for no changes, 0.6 is usual
    adapt: OpenShare = 0.0
    pool: Whole = 50  # earlier images that judges see again
    rate: Positive = 1.0  # of the judges' learning, relative to the network's
    betas: tuple[float, float] = (0.5, 0.99)  # of Adam, for all networks


class Settings(TrainingSettings):
    """All settings of a training."""

    network: DenoiserArguments = DenoiserArguments()
    # its schedule is trained on, all of it goes to the card; contrast and range are measured
    process: Process = Process()
    names: Texts = ("*",)  # of images, without suffix, like emb_*
    # of images for the network; contrast where there is no dark background, or one of few grey
    # values
    units: Units = "background"
    # of the images, as `cytosuite calibrate` measures it: the network then makes their light alone,
    # and this camera its noise
    camera: CameraModel | None = None
    crops: NoisedCrops = NoisedCrops()
    # of noised images; of one-pass images that judges see; or of a step that a teacher, the model
    # to start from, takes in several
    loss: Literal["denoising", "adversarial", "distillation"] = "denoising"
    adversary: Adversary = Adversary()
    # of the teacher from the start on, a multiple of process.steps
    teacher_steps: Count = 20

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """Refuse hidden sketches or guidance in vain."""
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

    @model_validator(mode="after")
    def _of_few_steps(self) -> Self:
        """Refuse a loss of few steps that do not start from noise alone, or do not fit."""
        network = self.network
        process = self.process
        if self.loss == "denoising":
            return self
        if network.predicts != "velocity" or not network.conditioned or self.crops.dropped:
            raise ValueError(
                f"loss {self.loss}: expected a conditioned network of velocity that always has its "
                "sketch (network.predicts, network.conditioned, crops.dropped)"
            )
        if process.left > _ALONE:
            raise ValueError(
                f"loss {self.loss}: expected a start from noise alone, found a signal of "
                f"{process.left:g}; set process.t_start to {process.schedule.length}"
            )
        if self.loss == "distillation":
            if self.teacher_steps % process.steps:
                raise ValueError(
                    f"teacher_steps must be a multiple of process.steps, {process.steps}, found "
                    f"{self.teacher_steps}"
                )
            if process.steps > 1 and (process.solver != "ddim" or process.eta):
                raise ValueError("distillation: expected process.solver ddim and eta 0")
            return self
        if process.steps > 1:
            raise ValueError(f"adversarial: expected process.steps 1, found {process.steps}")
        if self.adversary.unpaired and self.adversary.features:
            raise ValueError("adversary: features compare an image with its own: 0 if unpaired")
        self.adversary.judge.check(self.crops.shape, network.dimensions, self.adversary.judges)
        return self
