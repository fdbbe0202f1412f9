"""The small library that every cytosuite container carries."""

__version__ = "0.1.0"
