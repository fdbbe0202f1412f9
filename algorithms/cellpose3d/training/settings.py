"""Settings of a training, read from `train.toml`."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from algorithms.cellpose3d.training.cases import Channel
from algorithms.cellpose3d.flows import FlowKind
from algorithms.cellpose3d.training.losses import LossWeights
from algorithms.cellpose3d.network import multiple_of
from algorithms.cellpose3d.training.patches import Patches
from cytosuite.errors import InputError
from cytosuite.manifest import Described, parse

# At the network's coarsest level. At a depth of two voxels the gradient of a 3x3x3 convolution's
# weights in bfloat16 is wrong on CPUs: oneDNN takes memory into it that was never written.
_LEAST_DEPTH = 4


class Network(Described):
    """Arguments of the network's constructor."""

    widths: tuple[int, ...] = Field((16, 32, 64, 96), description="channels of each level")
    fold: int = Field(2, ge=1, description="pixels of y and x folded into channels")

    def arguments(self) -> dict[str, Any]:
        """Return the arguments as a card holds them."""
        return self.model_dump(mode="json")


class Schedule(Described):
    """How long and how fast."""

    steps: int = Field(1500, ge=1, description="batches")
    learning_rate: float = Field(2e-3, gt=0, description="highest rate of the one cycle")
    warm_up: float = Field(0.1, ge=0, lt=1, description="share of the steps that go up")
    weight_decay: float = Field(1e-3, ge=0, description="of AdamW")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    average: float = Field(0.995, ge=0, lt=1, description="decay of the averaged weights")
    seed: int = Field(0, ge=0, description="of weights, patches and thresholds")
    report: int = Field(25, ge=1, description="steps between two lines of the log")
    checkpoint: int = Field(200, ge=1, description="steps between two checkpoints")


class Card(Described):
    """What the card of the new model says, besides what the training finds out."""

    version: str = Field("0.1.0", description="of the model")
    description: str = Field(description="What it is for.")
    authors: str = Field(description="Who made it.")
    license: str = Field(description="SPDX identifier.")
    describes: dict[str, str | float | tuple[float, ...]] = Field(
        description="its images; what is left out is measured"
    )
    parameters: dict[str, Any] = Field({}, description="of the inference")


class Settings(Described):
    """All settings of a training."""

    channel: Channel = Field("nucleus", description="what images show: nuclei, or cells' membranes")
    flow: FlowKind = Field("size", description="which flow to aim at")
    network: Network = Network()
    schedule: Schedule = Schedule()
    patches: Patches = Patches()
    loss: LossWeights = LossWeights()
    card: Card

    @model_validator(mode="after")
    def _patches_fit_the_network(self) -> "Settings":
        """Refuse patches that the network cannot halve as often as it wants to."""
        multiple = multiple_of(self.network.arguments())
        if any(side % unit for side, unit in zip(self.patches.shape, multiple, strict=True)):
            raise ValueError(
                f"patches.shape must be multiples of {list(multiple)} for this network, "
                f"found {list(self.patches.shape)}"
            )
        if self.patches.shape[0] < _LEAST_DEPTH * multiple[0]:
            raise ValueError(
                f"patches.shape must be at least {_LEAST_DEPTH * multiple[0]} along z for this "
                f"network, found {self.patches.shape[0]}"
            )
        if self.patches.shape[1] != self.patches.shape[2]:
            raise ValueError("patches.shape must be as long in y as in x, which are exchanged")
        return self

    def with_schedule(self, **changes: int | float | None) -> "Settings":
        """Return settings with another schedule; what is None stays.

        Raises
        ------
        InputError
            If a value is not allowed.
        """
        given = {key: value for key, value in changes.items() if value is not None}
        schedule = parse("schedule", {**self.schedule.model_dump(), **given}, Schedule)
        return self.model_copy(update={"schedule": schedule})


def read_settings(path: Path) -> Settings:
    """Return the settings in a TOML file.

    Raises
    ------
    InputError
        If the file is missing, is not TOML, or a key or value is wrong.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected TOML, found {error}") from None
    return parse(path, values, Settings)
