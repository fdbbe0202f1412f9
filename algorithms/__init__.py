"""Algorithms of the suite: one folder each, with a manifest and a predict function."""
