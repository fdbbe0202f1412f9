"""Restorers of random weights, and tiles of them."""

import sketches
import torch

from cytosuite.algorithms.view_fusion.network import RestorerArguments, build

TINY = RestorerArguments(widths=(4, 6), blocks=(1, 1), flat=0)
WHOLE = (10**4,) * 3


def random_network(arguments, change=1.0):
    """Return a restorer with random weights everywhere: it changes any image, much or a little."""
    network = sketches.random_network(arguments, build)
    with torch.no_grad():
        for weight in network.tail.parameters():
            weight.mul_(change)
    return network
