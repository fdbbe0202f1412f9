"""Training of Cellpose3D: the parts that `cytosuite.training.loop` puts together."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cytosuite.algorithms.cellpose3d.flows import flow_targets
from cytosuite.algorithms.cellpose3d.network import Network
from cytosuite.contract.manifest import Count, Described, NotNegative
from cytosuite.training.nuclei.cases import Targets
from cytosuite.training.nuclei.parts import NucleiSettings, NucleiTraining
from cytosuite.training.parts import Tensors
from cytosuite.volume.arrays import Array, Bools, Floats, Interval

_SHARPNESS = 3.0  # of the step from "below" to "above a threshold", per unit of logit


class LossWeights(Described):
    """Weights of the parts of the loss, and thresholds of the level."""

    flow: NotNegative = 2.0  # weight of the flow; the level has weight 1
    heat: NotNegative = 4.0  # weight of the centre's heat
    # thresholds of the level are drawn log-uniformly from this range
    thresholds: Interval = (0.06, 0.9)
    per_step: Count = 2  # thresholds per step


def level_loss(logit: Tensor, level: Tensor, thresholds: Tensor) -> Tensor:
    """Return the loss of a level as the answer to "is it above the threshold?", over thresholds.

    A cumulative link model: the probability of a level above t is ``sigmoid(3 (logit -
    log(t / (1 - t))))``, fitted by cross entropy and soft Dice; a mean would be too high.
    McCullagh, Journal of the Royal Statistical Society B 42 (1980) 109,
    doi:10.1111/j.2517-6161.1980.tb01109.x; Milletari et al., 3DV (2016), doi:10.1109/3DV.2016.79.
    """
    total = logit.new_zeros(())
    for threshold in thresholds:
        above = (level > threshold).to(logit.dtype)
        score = _SHARPNESS * (logit - torch.logit(threshold))
        entropy = functional.binary_cross_entropy_with_logits(score, above)
        chance = torch.sigmoid(score)
        overlap = (2 * (chance * above).sum() + 1) / (chance.sum() + above.sum() + 1)
        total = total + entropy + 1 - overlap
    return total / len(thresholds)


def flow_loss(flow: Tensor, target: Tensor, inside: Tensor) -> Tensor:
    """Return the mean squared error of the flow (N, 3, Z, Y, X) inside of nuclei, 0 without any."""
    return ((flow - target) ** 2 * inside).sum() / (3 * inside.sum()).clamp(min=1)


def draw_thresholds(weights: LossWeights) -> Tensor:
    """Return the thresholds of one step, drawn with torch's generator of the CPU."""
    low, high = torch.log(torch.tensor(weights.thresholds))
    return torch.exp(low + (high - low) * torch.rand(weights.per_step))


_HEAT_WIDTH = 0.25  # standard deviation of the centre's heat, in half extents


def targets_of(labels: Array) -> Targets:
    """Return the flow (3, Z, Y, X) of labels (Z, Y, X), and the heat (1, Z, Y, X) of centres."""
    flow = flow_targets(labels)
    return Targets(flow, centre_heat(flow, labels > 0)[None])


def centre_heat(flow: Floats, inside: Bools) -> Floats:
    """Return ``exp(-|(c - p) / h|^2 / (2 0.25^2))`` by flow ``tanh(2 (c - p) / h)``, 0 outside."""
    heat = np.zeros(inside.shape, np.float32)
    away = np.arctanh(np.clip(flow[:, inside], -0.999, 0.999)) / 2
    heat[inside] = np.exp(np.sum(away**2, 0) / (-2 * _HEAT_WIDTH**2))
    return heat


class Settings(NucleiSettings):
    """All settings of a training."""

    network: Network = Network(widths=(16, 32, 64, 96))
    loss: LossWeights = LossWeights()


class FlowTraining(NucleiTraining[Settings]):
    """The parts of the training."""

    algorithm = "cellpose3d"
    settings = Settings
    default = "embryo.toml"
    widened = ("channels",)
    make_targets = staticmethod(targets_of)

    def losses(self, prediction: Tensor, batch: Tensors, settings: Settings) -> Tensors:
        """Return the loss of (N, 5, Z, Y, X), ``total``, and its parts level, flow and heat."""
        target = batch["target"]
        weights = settings.loss
        thresholds = draw_thresholds(weights).to(prediction.device)
        level = level_loss(prediction[:, 0], target[:, 0], thresholds)
        flow = flow_loss(prediction[:, 1:4], target[:, 1:4], target[:, :1] > 0)
        heat = functional.binary_cross_entropy_with_logits(prediction[:, 4], target[:, 4])
        total = level + weights.flow * flow + weights.heat * heat
        return {"total": total, "level": level, "flow": flow, "heat": heat}

    def channels(self, settings: Settings) -> int:
        """Return the number of channels of the images."""
        return settings.network.channels

    def tau(self, settings: Settings) -> float:
        """Return the level at which the card cuts nuclei."""
        return float(self.parameters(settings).tau)


TRAINING = FlowTraining()
