"""Recipes from the parameter files of the published spheroid simulators."""
