"""Small simulated volumes with labels, small real ones without, and networks of random weights."""

import numpy as np
import torch
from rasters import away_from

from cytosuite.algorithms.cyclegan3d.network import Architecture, build
from cytosuite.formats import write
from cytosuite.volume import Volume

SPACING = (2.0, 0.8, 0.8)
SHAPE = (10, 24, 20)
TINY = Architecture(widths=(4, 6), blocks=1, fold=2)


def random_network(arguments, seed=0, outputs=None):
    """Return a generator with random weights everywhere: it changes any image."""
    torch.manual_seed(seed)
    network = build(arguments, outputs).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(0.4 * torch.randn_like(weight))
    return network


def simulated(number=0, shape=SHAPE):
    """Return grey values and labels of two round objects on a flat ground."""
    rng = np.random.default_rng(number)
    image, labels = np.full(shape, 20, np.float32), np.zeros(shape, np.uint16)
    for label, share in enumerate((0.3, 0.7), start=1):
        away = away_from([share * n + rng.uniform(-1, 1) for n in shape], shape, SPACING) ** 2
        own = (away < 12) & (labels == 0)
        image[own], labels[own] = 200, label
    return (image + rng.normal(0, 2, shape)).astype(np.uint16), labels


def real(number=0, shape=SHAPE):
    """Return grey values of a brighter, noisier microscope."""
    image, _ = simulated(100 + number, shape)
    noise = np.random.default_rng(number).normal(100, 20, shape)
    return (5 * image.astype(np.float32) + noise).clip(0).astype(np.uint16)


def simulated_dataset(folder, cases=3, shape=SHAPE):
    """Write cases in the layout of a dataset, and return the folder."""
    for number in range(cases):
        image, labels = simulated(number, shape)
        sockets = folder / f"cases/case_{number}" / "sockets/images"
        write(sockets / f"microscopy-image/s_{number}.tif", Volume(image, SPACING))
        write(sockets / f"instance-labels/s_{number}.tif", Volume(labels, SPACING))
    return folder


def real_folder(folder, cases=3, shape=SHAPE):
    """Write real images into a flat folder, and return it."""
    for number in range(cases):
        write(folder / f"r_{number}.tif", Volume(real(number, shape), SPACING))
    return folder
