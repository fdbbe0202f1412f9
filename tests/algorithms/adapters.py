"""What tests of adapters of other tools share: a scene, and what a stub learns and predicts."""

import json

import cards
import numpy as np
from house import ROOT

from cytosuite.contract.learning import Pair
from cytosuite.contract.manifest import read_toml
from cytosuite.contract.progress import gathered
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


class Adapter:
    """An algorithm of a tool that is a stub: what it learns, the model of that, its labels."""

    def __init__(self, stubbed, folder, name, kind, **settings):
        self.predict, self.learn = stubbed(name, "predict", "learn")
        self.name = name
        self.folder = folder
        self.tool = getattr(self.predict, kind)
        self.settings = {**read_toml(ALGORITHMS / name / "learn.toml"), "seed": 1, **settings}

    def learned(self, *pairs, **changes):
        """Return what the tool learns from pairs of image and labels."""
        named = [Pair(f"n{n}", *pair) for n, pair in enumerate(pairs)]
        return self.learn.learn(named, {**self.settings, **changes}, self.folder)

    def model(self, learned):
        """Return the model of what was learned."""
        facts = {"describes": dict(learned.describes), "parameters": dict(learned.parameters)}
        facts = json.loads(json.dumps(facts)) | {"name": "own", "algorithm": self.name}
        return cards.model(self.folder, learned.tensors, **facts)

    def predicted(self, image, model):
        """Return labels, keywords of the tool's call, and facts."""
        with gathered() as facts:
            labels = self.predict.predict({"microscopy-image": image}, model)["instance-labels"]
        return labels, self.tool.calls[-1], facts
