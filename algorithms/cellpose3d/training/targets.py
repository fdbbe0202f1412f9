"""Targets of the network: flow to the centres, and their heat."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.cellpose3d.flows import flow_targets
from cytosuite.training.nuclei.cases import Targets

Floats = NDArray[np.float32]

_HEAT_WIDTH = 0.25  # standard deviation of the centre's heat, in half extents


def targets_of(labels: NDArray[Any]) -> Targets:
    """Return the flow (3, Z, Y, X) of labels (Z, Y, X), and the heat (1, Z, Y, X) of centres."""
    flow = flow_targets(labels)
    return Targets(flow, centre_heat(flow, labels > 0)[None])


def centre_heat(flow: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Return ``exp(-|(c - p) / h|^2 / (2 0.25^2))`` by flow ``tanh(2 (c - p) / h)``, 0 outside."""
    heat = np.zeros(inside.shape, np.float32)
    away = np.arctanh(np.clip(flow[:, inside], -0.999, 0.999)) / 2
    heat[inside] = np.exp(np.sum(away**2, 0) / (-2 * _HEAT_WIDTH**2))
    return heat
