"""What tests of adapters of other tools share: a scene, and what a stub learns and predicts."""

import numpy as np
from house import ROOT

from cytosuite.contract.facts import gathered
from cytosuite.contract.learning import Pair
from cytosuite.contract.manifest import read_toml
from cytosuite.volume import Volume

ALGORITHMS = ROOT / "algorithms"
ASSUMED = {"spacing_source": "assumed"}


def scene(*shape, spacing=0.5, **metadata):
    """Return an image with two bright squares or cuboids, and their labels."""
    labels = np.zeros(shape, np.uint16)
    for n in (1, 2):
        labels[tuple(slice(8 * n - 4, 8 * n) for _ in shape)] = n
    size = (spacing * 4, spacing, spacing)[-len(shape) :]
    image = Volume((labels > 0) * 100 + 10, size, "ZYX"[-len(shape) :], metadata)
    return image, image.like(labels)


def learned(name, learn, folder, pairs, **changes):
    """Return what a tool learns from pairs of image and labels."""
    settings = {**read_toml(ALGORITHMS / name / "learn.toml"), "seed": 1, **changes}
    return learn([Pair(f"n{n}", *pair) for n, pair in enumerate(pairs)], settings, folder)


def predicted(predict, calls, image, model):
    """Return labels, keywords of the tool's call, and facts."""
    with gathered() as facts:
        found = predict({"microscopy-image": image}, model)["instance-labels"]
    return found, calls[-1], facts
