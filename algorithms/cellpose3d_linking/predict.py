"""Entry point of Cellpose3D with Linking: a movie in, labels over time and their tracks out."""

from cytosuite.algorithms.cellpose3d.predict import predict as segment  # the cards name it
from cytosuite.algorithms.linking.predict import predict

__all__ = ["predict", "segment"]
