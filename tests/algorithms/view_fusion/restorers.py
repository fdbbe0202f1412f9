"""Restorers of random weights, and tiles of them."""

import torch

from cytosuite.algorithms.view_fusion.network import RestorerArguments, build

TINY = RestorerArguments(widths=(4, 6), blocks=(1, 1), flat=0)
WHOLE = (10**4,) * 3


def random_network(arguments, change=1.0):
    """Return a restorer with random weights everywhere: it changes any image, much or a little."""
    torch.manual_seed(0)
    network = build(arguments).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_((0.2 if weight.ndim > 1 else 0.5) * torch.randn_like(weight))
        for weight in network.tail.parameters():
            weight.mul_(change)
    return network
