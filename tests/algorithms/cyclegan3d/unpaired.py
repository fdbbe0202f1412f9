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


def random_network(arguments):
    """Return a generator with random weights everywhere: it changes any image."""
    torch.manual_seed(0)
    network = build(arguments).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(0.4 * torch.randn_like(weight))
    return network


def simulated(number=0):
    """Return grey values and labels of two round objects on a flat ground."""
    rng = np.random.default_rng(number)
    labels = np.zeros(SHAPE, np.uint16)
    for label, share in enumerate((0.3, 0.7), start=1):
        away = away_from(np.multiply(SHAPE, share) + rng.uniform(-1, 1, 3), SHAPE, SPACING) ** 2
        labels[(away < 12) & (labels == 0)] = label
    return (20 + 180 * (labels > 0) + rng.normal(0, 2, SHAPE)).astype(np.uint16), labels


def real(number=0):
    """Return grey values of a brighter, noisier microscope."""
    image, _ = simulated(100 + number)
    noise = np.random.default_rng(number).normal(100, 20, SHAPE)
    return (5 * image.astype(np.float32) + noise).clip(0).astype(np.uint16)


def simulated_dataset(folder, cases=3):
    """Write cases in the layout of a dataset, and return the folder."""
    for number in range(cases):
        image, labels = simulated(number)
        sockets = folder / f"cases/case_{number}" / "sockets/images"
        write(sockets / f"microscopy-image/s_{number}.tif", Volume(image, SPACING))
        write(sockets / f"instance-labels/s_{number}.tif", Volume(labels, SPACING))
    return folder


def real_folder(folder):
    """Write real images into a flat folder, and return it."""
    for number in range(3):
        write(folder / f"r_{number}.tif", Volume(real(number), SPACING))
    return folder
