"""Names, signatures and files of StarDist, without its network."""

import numpy as np
from scipy import ndimage


class Rays_GoldenSpiral:  # noqa: N801 - StarDist's
    """Directions in a volume."""

    def __init__(self, n, anisotropy=None):
        self.n = n
        self.anisotropy = anisotropy


def calculate_extents(lbl, func=np.median):
    """Return the median sides of the objects' boxes."""
    boxes = [box for box in ndimage.find_objects(lbl) if box]
    return func([[side.stop - side.start for side in box] for box in boxes], axis=0)
