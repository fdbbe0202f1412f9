"""PNG images as data addresses: grey values, outlines on transparent ground, differences."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cytosuite.benchmark.pictures.planes import Grey, shrink

Colour = tuple[int, int, int]  # red, green, blue, 0 to 255

# After Okabe and Ito (2008): distinct on black for any kind of colour vision.
SKY: Colour = (86, 180, 233)
ORANGE: Colour = (230, 159, 0)
PINK: Colour = (240, 100, 190)
WHITE: Colour = (255, 255, 255)
FULL = 0.5  # difference with the full colour, in units of the contrast


def grey(plane: Grey) -> str:
    """Return a grey image as a PNG data address."""
    return _address(Image.fromarray(np.ascontiguousarray(plane)), {})


def layer(codes: Grey, colours: tuple[Colour, ...]) -> str:
    """Return a drawing of at most three colours on transparent ground as a PNG data address.

    Parameters
    ----------
    codes : (Y, X) uint8 array
        0 = transparent, n = the n-th colour.
    colours : tuple of (red, green, blue)
    """
    image = Image.fromarray(np.ascontiguousarray(codes))
    image.putpalette([0, 0, 0, *(part for colour in colours for part in colour)])
    return _address(image, {"transparency": 0, "bits": 2})


def difference(change: NDArray[np.float64], height: int, width: int) -> str:
    """Return a signed difference as a PNG data address of at most this size [px].

    Parameters
    ----------
    change : (Y, X) array
        0 is black; `FULL` and more is `ORANGE`, -`FULL` and less is `SKY`.
    height, width : int
        Larger arrays are averaged down.
    """
    codes = np.rint(127 * (1 + (change / FULL).clip(-1, 1))).astype(np.uint8)
    image = Image.fromarray(shrink(codes, height, width))
    strength = (np.arange(256) - 127).clip(-127, 127) / 127
    ends = np.where(strength[:, None] < 0, SKY, ORANGE)
    palette = np.rint(np.abs(strength)[:, None] * ends).astype(np.uint8)
    image.putpalette(palette.tobytes())
    return _address(image, {})


def _address(image: Image.Image, options: dict[str, int]) -> str:
    """Return an image as ``data:image/png;base64,...``."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", **options)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
