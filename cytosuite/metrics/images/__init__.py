"""Scores."""

__all__: list[str] = []
