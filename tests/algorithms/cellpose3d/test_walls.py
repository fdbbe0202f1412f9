"""The shipped model of nuclei in tissue among walls, which are no nuclei."""

import tomllib

import numpy as np
import pytest

from cytosuite.algorithms.cellpose3d.predict import predict
from cytosuite.contract.manifest import read_card
from cytosuite.contract.weights import open_model
from cytosuite.datasets.recipes import merged
from cytosuite.datasets.spheroid.generate import generate
from cytosuite.metrics.labels.detection import f1_at
from cytosuite.metrics.labels.overlap import overlap
from cytosuite.training.publish import ALGORITHMS

ROOT = ALGORITHMS.parent
CARD = ROOT / "weights" / "cellpose3d" / "tissue-nuclei-3d.json"
WALLS = {
    "image": {"shape": [48, 96, 96]},
    "tissue": {"volume_fraction": 0.2},
    "nucleus": {"diameter_um": 3.6},
    "cells": {"bleed_through": 0.3},
    "optics": {"cytoplasm": 0.1},
    "camera": {"photons": 25},
}


@pytest.mark.long
@pytest.mark.slow
def test_walls_are_no_nuclei():
    recipe = ROOT / "datasets" / "spheroid" / "recipes" / "tissue.toml"
    values = merged(tomllib.loads(recipe.read_text())["parameters"], WALLS)
    model = open_model(CARD.parent, read_card(CARD))
    scores, found, true = [], 0, 0
    for seed in (1, 2, 3):
        sample = generate(np.random.default_rng(seed), values)
        truth = sample.volume("instance-labels").array
        image = {"microscopy-image": sample.volume("microscopy-image")}
        labels = predict(image, model)["instance-labels"].array
        scores.append(f1_at(overlap(truth, labels), 50))
        found, true = found + int(labels.max()), true + int(truth.max())
    assert found < 1.2 * true  # version 0.2.0: 1.7
    assert np.mean(scores) > 0.5  # version 0.2.0: 0.43
