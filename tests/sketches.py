"""Small sketches, images and networks of random weights."""

import numpy as np
import torch
from rasters import away_from

from cytosuite.denoising.network import DenoiserArguments, build
from cytosuite.formats import write
from cytosuite.volume import Volume

SPACING = (2.0, 0.8, 0.8)
SHAPE = (10, 24, 20)
TINY = DenoiserArguments(widths=(4, 6), blocks=1, fold=2, embedding=8)
FLAT = TINY.model_copy(update={"dimensions": 2})
PLACED = TINY.model_copy(update={"position": ("distance", "depth")})
TWO = TINY.model_copy(update={"channels": 2, "noise_channel": "rayleigh"})


def randomise(network):
    """Give a network random weights everywhere, moderate enough for many steps, and return it."""
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(torch.randn_like(weight) / max(1, weight[0].numel()) ** 0.5)
    return network


def random_network(arguments=TINY, build=build):
    """Return a network with random weights everywhere: it changes any image."""
    torch.manual_seed(0)
    return randomise(build(arguments).eval())


def labels_of(number=0, shape=SHAPE):
    """Return labels of two round objects that touch."""
    rng = np.random.default_rng(number)
    spacing = SPACING[-len(shape) :]
    labels = np.zeros(shape, np.uint16)
    for label, share in enumerate((0.35, 0.65), 1):
        away = away_from([share * n + rng.uniform(-1, 1) for n in shape], shape, spacing) ** 2
        labels[(away < 20) & (labels == 0)] = label
    return labels


def image_of(labels, number=0):
    """Return a microscope's image of labels, uint16."""
    noise = np.random.default_rng(number).normal(0, 8, labels.shape)
    return (100 + 300 * (labels > 0) + noise).clip(0).astype(np.uint16)


def real_folder(folder, cases=3, shape=SHAPE):
    """Write images alone into a flat folder, and return it."""
    for number in range(cases):
        write(folder / f"r_{number}.tif", volume(image_of(labels_of(number, shape), number)))
    return folder


def paired_dataset(folder, cases=3, sketches=True, channels=1):
    """Write images, labels and sketches in the layout of a dataset, and return the folder."""
    for number in range(cases):
        labels = labels_of(number)
        sockets = folder / f"cases/case_{number}" / "sockets/images"
        arrays = {"microscopy-image": image_of(labels, number), "instance-labels": labels}
        if sketches:
            arrays["structure-sketch"] = np.where(labels > 0, 90, 30).astype(np.uint8)
        for socket, array in arrays.items():
            if channels > 1 and socket != "instance-labels":
                array = np.stack([array * (1 + channel) for channel in range(channels)])
            write(sockets / socket / f"s_{number}.tif", volume(array))
    return folder


def volume(array, **metadata):
    """Return an image with axes and voxel size by its number of dimensions."""
    return Volume(array, SPACING[-array.ndim :], "CZYX"[-array.ndim :], metadata)
