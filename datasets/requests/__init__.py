"""Requests for samples: a seed and the size of an image, of which an algorithm makes masks."""
