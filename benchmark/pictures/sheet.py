"""Sheets of pictures: rows of planes below their captions, as one PNG file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmark.pictures.planes import (
    Grey,
    Pixels,
    boundary,
    cut_at,
    grey,
    limits,
    planes,
    sizes,
    spatial,
    stretch,
)
from cytosuite.files import atomic
from cytosuite.volume import Volume

MARGIN, LINE = 8, 18  # px between pictures, and of a caption
OUTLINE = (255, 190, 60)

Colours = NDArray[np.uint8]  # (Y, X, 3)
Row = tuple[str, Sequence[Colours]]  # caption and pictures


def outlined(plane: Grey, labels: Pixels | None) -> Colours:
    """Return a grey plane as (Y, X, 3) colours, with the outlines of labels of the same shape."""
    colours = np.repeat(plane[:, :, None], 3, axis=2)
    if labels is not None:
        colours[boundary(labels)] = OUTLINE
    return colours


def views(
    volume: Volume,
    side: int,
    objects: Pixels | None = None,
    drawn: bool = False,
    contrast: tuple[float, float] | None = None,
) -> list[Colours]:
    """Return the planes of a volume as (Y, X, 3) colours with square µm.

    Parameters
    ----------
    volume : Volume
        Any axes.
    side : int
        Length of the longest side [px].
    objects : (Z, Y, X) integer array, optional
        Objects through which the planes go, of no effect with another shape than the volume's.
    drawn : bool
        Whether the objects are outlined.
    contrast : tuple of float, optional
        Values shown as black and white; `limits` of the volume without it.
    """
    array, spacing = spatial(volume)
    own = objects if objects is not None and objects.shape == array.shape else None
    cut = cut_at(array.shape, own)
    labels = planes(own, cut) if own is not None and drawn else [None] * 3
    ends = contrast or limits(array)
    boxes = sizes(array.shape, spacing, side)
    found = []
    for plane, drawing, (rows, columns) in zip(planes(array, cut), labels, boxes, strict=False):
        picture = Image.fromarray(grey(plane, ends))
        resized = np.asarray(picture.resize((columns, rows), Image.Resampling.BILINEAR))
        found.append(
            outlined(resized, None if drawing is None else stretch(drawing, rows, columns))
        )
    return found


def write_sheet(path: Path, rows: Sequence[Row]) -> None:
    """Write rows of pictures below their captions as one PNG.

    Parameters
    ----------
    path : Path
        Ends with ``.png``; replaced when the picture is whole.
    rows : sequence of (str, sequence of (Y, X, 3) uint8 arrays)
        Caption and pictures of each row.
    """
    height = sum(max(p.shape[0] for p in row) + LINE + MARGIN for _, row in rows) + MARGIN
    width = max(sum(p.shape[1] + MARGIN for p in row) for _, row in rows) + MARGIN
    sheet = Image.new("RGB", (width, height), (18, 20, 24))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    top = MARGIN
    for caption, row in rows:
        # The font has no µ.
        pen.text((MARGIN, top), caption.replace("µ", "u"), fill=(225, 225, 225), font=font)
        left, top = MARGIN, top + LINE
        for picture in row:
            sheet.paste(Image.fromarray(picture), (left, top))
            left += picture.shape[1] + MARGIN
        top += max(picture.shape[0] for picture in row) + MARGIN
    write_png(path, np.asarray(sheet))


def write_png(path: Path, picture: Colours) -> None:
    """Write a (Y, X, 3) picture as a PNG, in place of a former one only when it is whole."""
    with atomic(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
