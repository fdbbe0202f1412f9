"""Simulators as a calibration calls them: parameters and a seed in, stacks with labels out."""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmark.catalog import dataset_manifests, pick
from cytosuite.errors import InputError
from cytosuite.volume import Volume
from datasets.calibration.fit import Simulate


def simulator(dataset: str) -> Simulate:
    """Return a function that simulates one stack.

    Parameters
    ----------
    dataset : str
        Name of a simulated dataset; today ``spheroid`` alone has parameters that a calibration
        knows.

    Raises
    ------
    InputError
        If there is no such dataset.
    """
    known = {name: m for name, m in dataset_manifests().items() if m.kind == "simulated"}
    pick("dataset to calibrate", [dataset], known)
    if dataset != "spheroid":
        raise InputError(f"{dataset}: only spheroid can be calibrated")
    module = importlib.import_module(f"datasets.{dataset}.generate")

    def simulate(parameters: Mapping[str, Any], seed: int) -> list[tuple[Volume, Volume]]:
        """Return one stack with its labels."""
        sample = module.generate(np.random.default_rng(seed), dict(parameters))
        return [(sample.volume("microscopy-image"), sample.volume("instance-labels"))]

    return simulate
