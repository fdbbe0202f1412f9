"""Algorithms of the suite: one folder each, with a manifest and a predict function."""

from pathlib import Path

# A checkout has a link to this folder in the library: files have the path that git knows.
__path__[:] = [str(Path(place).resolve()) for place in __path__]
