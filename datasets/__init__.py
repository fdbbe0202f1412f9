"""Datasets of the suite: one folder each, with a manifest and a generate function."""
