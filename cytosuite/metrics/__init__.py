"""Scores of label volumes: each a function of one overlap table, found by `metrics_for`."""

from cytosuite.metrics.metric import Metric, metric, metrics_for
from cytosuite.metrics.labels.overlap import Overlap, concatenate, overlap

__all__ = ["Metric", "Overlap", "concatenate", "metric", "metrics_for", "overlap"]
