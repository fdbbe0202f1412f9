"""Metrics of labels, images, tracks, points, ...: ``from cytosuite.metrics import seg, ssim``."""

from cytosuite.metrics.metric import (
    FAMILIES,
    AnyMetric,
    Metric,
    Metrics,
    board_metrics,
    metric,
    metrics_of,
)

__all__ = ["FAMILIES", "AnyMetric", "Metric", "Metrics", "board_metrics", "metric", "metrics_of"]


def __getattr__(name: str) -> AnyMetric:
    """Return the metric of a function's name, from the first family that has one."""
    for family in () if name.startswith("_") else FAMILIES:
        for member in metrics_of(family):
            if member.function.__name__ == name:
                return member
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
