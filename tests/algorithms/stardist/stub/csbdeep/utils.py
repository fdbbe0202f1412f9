"""Scaling of intensities."""

import numpy as np


def normalize(x, pmin=3, pmax=99.8):
    """Return an image in which two percentiles are 0 and 1."""
    low, high = np.percentile(x, (pmin, pmax))
    return ((x - low) / (high - low + 1e-20)).astype(np.float32)
