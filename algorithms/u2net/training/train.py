"""Training of U2-Net: the parts that `cytosuite.training.loop` puts together."""

from typing import Self

import numpy as np
import torch
from pydantic import model_validator
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from cytosuite.algorithms.u2net.network import CLASSES, Network
from cytosuite.algorithms.u2net.predict import BORDER, GROUND, INSIDE
from cytosuite.contract.manifest import Count, Described, NotNegative, Positive
from cytosuite.training.nuclei.parts import NucleiCases, NucleiSettings, NucleiTraining
from cytosuite.training.parts import Arrays, Tensors
from cytosuite.volume.arrays import Ints, Longs


class LossWeights(Described):
    """Weights of the parts of the loss."""

    border: Positive = 2.0  # of the border's pixels; others have 1
    sides: NotNegative = 1.0  # of the answer of each depth; the fused has 1


class Settings(NucleiSettings):
    """All settings of a training."""

    network: Network = Network()
    width: Count = 2  # pixels of the border within an object
    loss: LossWeights = LossWeights()

    @model_validator(mode="after")
    def _lowest_layer_has_statistics(self) -> Self:
        """Refuse a batch of one value at the lowest layer, which is normalised over the batch."""
        shape = self.patches.shape
        if (self.patches.batch, shape) == (1, self.network.multiple):
            raise ValueError(
                f"patches: expected a batch of 2 or more, or a shape beyond {list(shape)}, found "
                "batch 1"
            )
        return self


def classes(labels: Ints, width: int) -> Longs:
    """Return the class of each pixel (Y, X): border is an object's within `width` of another."""
    size = 2 * width + 1
    least, most = (
        extreme(labels, size, mode="nearest")
        for extreme in (ndimage.minimum_filter, ndimage.maximum_filter)
    )
    return np.where(labels > 0, np.where(least == most, INSIDE, BORDER), GROUND).astype(np.int64)


class U2NetTraining(NucleiTraining[Settings]):
    """The parts of the training."""

    algorithm = "u2net"
    settings = Settings

    def batch(self, cases: NucleiCases, settings: Settings, step: int) -> Arrays:
        """Return images (N, 1, 1, Y, X) and classes (N, 1, Y, X) of a step."""
        drawn = super().batch(cases, settings, step)
        targets = np.stack(
            [classes(plane, settings.width) for plane in drawn["target"][:, -1, 0].astype(np.int32)]
        )
        return {"image": drawn["image"], "classes": targets[:, None]}

    def losses(self, prediction: Tensor, batch: Tensors, settings: Settings) -> Tensors:
        """Return the cross entropy of (N, 7 C, 1, Y, X), ``total``, and the fused answer's."""
        prediction, target, weights = prediction.float(), batch["classes"], settings.loss
        by_class = prediction.new_ones(CLASSES)
        by_class[BORDER] = weights.border
        answers = prediction.unfold(1, CLASSES, CLASSES).movedim(-1, 2).unbind(1)
        fused, *sides = (functional.cross_entropy(answer, target, by_class) for answer in answers)
        return {"total": fused + weights.sides * torch.stack(sides).sum(), "fused": fused}


TRAINING = U2NetTraining()
