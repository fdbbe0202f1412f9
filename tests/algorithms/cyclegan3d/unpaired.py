"""Small simulated volumes with labels, small real ones without, and networks of random weights."""

from functools import partial

import numpy as np
import sketches
from sketches import SHAPE, image_of, labels_of, paired_dataset, volume

from cytosuite.algorithms.cyclegan3d.network import Architecture, build
from cytosuite.formats import write

simulated_dataset = partial(paired_dataset, sketches=False)
random_network = partial(sketches.random_network, build=build)
TINY = Architecture(widths=(4, 6), blocks=1, fold=2)


def simulated(number=0):
    """Return grey values and labels of two round objects on a flat ground."""
    labels = labels_of(number)
    return image_of(labels, number), labels


def real(number=0):
    """Return grey values of a brighter, noisier microscope."""
    image, _ = simulated(100 + number)
    noise = np.random.default_rng(number).normal(100, 20, SHAPE)
    return (5 * image.astype(np.float32) + noise).clip(0).astype(np.uint16)


def real_folder(folder):
    """Write real images into a flat folder, and return it."""
    for number in range(3):
        write(folder / f"r_{number}.tif", volume(real(number)))
    return folder
