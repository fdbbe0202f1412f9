"""Losses of the network: heat of the centres, and coefficients where it is hot."""

from collections.abc import Mapping

from pydantic import Field
from torch import Tensor
from torch.nn import functional

from cytosuite.algorithms.harmonicnet.network import SPHERE
from cytosuite.contract.manifest import Described


class LossWeights(Described):
    """Weights of the parts of the loss."""

    shape: float = Field(25.0, ge=0, description="weight of the shapes; the heat has 1")


def losses(
    prediction: Tensor, batch: Mapping[str, Tensor], weights: LossWeights
) -> dict[str, Tensor]:
    """Return the loss of (N, 1 + C, z, y, x), ``total``, and its parts heat and shape."""
    heat = heat_loss(prediction[:, 0], batch["heat"])
    shape = shape_loss(prediction[:, 1:], batch["heat"], batch["rows"], batch["table"])
    return {"total": heat + weights.shape * shape, "heat": heat, "shape": shape}


def heat_loss(logit: Tensor, heat: Tensor) -> Tensor:
    """Return the cross entropy of the heat; objects and ground have half of the weight each."""
    entropy = functional.binary_cross_entropy_with_logits(logit, heat, reduction="none")
    inside = heat > 0
    parts = [(entropy * side).sum() / side.sum().clamp(min=1) for side in (inside, ~inside)]
    return (parts[0] + parts[1]) / 2


def shape_loss(coefficients: Tensor, heat: Tensor, rows: Tensor, table: Tensor) -> Tensor:
    """Return the mean squared error of the radius over all directions, weighted with the heat.

    Harmonics are orthonormal: the squared errors of all coefficients sum up to 4 pi times the mean
    squared error over the sphere (Parseval). The mean absolute error of coefficients weighs large
    and small ones alike; a network learned hardly any shape by it.
    """
    where = (heat > 0).nonzero(as_tuple=True)
    wanted, weight = table[where[0], rows[where]], heat[where]
    error = (coefficients.movedim(1, -1)[where] - wanted).square().sum(1) / SPHERE**2
    return (error * weight).sum() / weight.sum().clamp(min=1)
