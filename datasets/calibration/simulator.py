"""Simulators as a calibration calls them: parameters and a seed in, stacks with labels out."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cytosuite.errors import InputError
from datasets.calibration.fit import Pair, Simulate


def simulator(dataset: str) -> Simulate:
    """Return a function that simulates one stack with its labels.

    Parameters
    ----------
    dataset : str
        Name of a simulated dataset; today ``spheroid`` alone has parameters that a calibration
        knows.

    Raises
    ------
    InputError
        If the dataset is another one.
    """
    if dataset != "spheroid":
        raise InputError(f"dataset to calibrate: expected spheroid, found {dataset!r}")
    from datasets.spheroid.generate import generate  # the calibration itself needs no simulator

    def simulate(parameters: Mapping[str, Any], seed: int) -> list[Pair]:
        """Return one stack with its labels."""
        sample = generate(np.random.default_rng(seed), parameters)
        return [(sample.volume("microscopy-image"), sample.volume("instance-labels"))]

    return simulate
