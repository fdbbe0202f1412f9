"""Scores of a run: answers judged, controls, standings, groups by condition."""
