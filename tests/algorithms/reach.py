"""Tiles of networks of any kind, and how far their voxels see."""

import numpy as np
import torch


def random_image(*shape, seed=0):
    """Return an image of normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def roomy(arguments, halos=3):
    """Return a tile that keeps about a third of what it reads along each axis."""
    steps = zip(arguments.halo, arguments.multiple, strict=True)
    return [(-(-halos * halo // step) + 1) * step for halo, step in steps]


def spacious(arguments):
    """Return sides in which a halo fits on both sides of the middle, which is at a multiple."""
    steps = zip(arguments.halo, arguments.multiple, strict=True)
    return [2 * (margin // step + 2) * step for margin, step in steps]


def seen(network, arguments, place):
    """Return where the result depends on a place of an image: NaN goes wherever a kernel looks."""
    image = torch.zeros(1, 1, *spacious(arguments))
    image[(0, 0, *place)] = torch.nan
    with torch.no_grad():
        return np.isnan(network(image)[0, 0].numpy())
