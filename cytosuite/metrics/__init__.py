"""Metrics of labels, images, realism and tracks: ``from cytosuite.metrics import seg, ssim``."""

from importlib import import_module
from typing import Any

from cytosuite.metrics.metric import Metric, board_metrics, metric, metrics_of

FAMILIES = ("labels", "images", "realism", "tracks")

__all__ = ["FAMILIES", "Metric", "board_metrics", "metric", "metrics_of"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - metrics, their evidence and its parts
    """Return a public name of a family, imported on first use; the first family with it counts."""
    if name in FAMILIES:
        return import_module(f"{__name__}.{name}")
    for family in () if name.startswith("_") else FAMILIES:
        package = import_module(f"{__name__}.{family}")
        if name in package.__all__:
            return getattr(package, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
