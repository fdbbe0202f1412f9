"""Datasets of the suite: one folder each, with a manifest and a generate function."""

from pathlib import Path

# A checkout has a link to this folder in the library: files have the path that git knows.
__path__[:] = [str(Path(place).resolve()) for place in __path__]

from cytosuite.datasets.recipes import simulate  # noqa: E402 - by the path above

__all__ = ["simulate"]
