"""Pictures of a case, of a result next to its image, and of real and simulated stacks."""

from collections.abc import Mapping, Sequence
from itertools import repeat
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cytosuite.benchmark.runs.data.planes import (
    PLANES,
    boundary,
    cut_at,
    grey,
    limits,
    planes,
    sizes,
    spatial,
    stretch,
)
from cytosuite.contract.tasks import Kind
from cytosuite.files import atomic
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Bytes, Interval
from cytosuite.volume.memory import blank
from cytosuite.volume.pieces import distinct, thinned

READABLE = 1000  # px of the longest side to which a small result is enlarged
SIDE = 360  # px of the longest side of a volume
STRIP_SIDE = 180  # the same in a strip
SHOWN = 4  # stacks of each side of a strip
MARGIN = 8  # px between pictures
LINE = 18  # px of a caption
OUTLINE = (255, 190, 60)
FAST = 3  # level of zlib: smaller files than level 6 for these pictures, in 0.4 of its time

Colours = Bytes  # (Y, X, 3)
Stack = tuple[Volume, Array]


def write_preview(
    folder: Path,
    name: str,
    volumes: Mapping[str, Volume],
    labels: Volume | None,
    stages: Mapping[str, Volume],
) -> None:
    """Write ``preview.png`` of images with outlines, and ``steps.png`` of stages."""
    objects = None if labels is None else spatial(labels)[0]
    images = {caption: volume for caption, volume in volumes.items() if volume is not labels}
    contrasts = {caption: limits(spatial(volume)[0]) for caption, volume in images.items()}
    rows = [
        (f"{name}, {caption}: {_size(volume)}", _views(volume, SIDE, objects, contrasts[caption]))
        for caption, volume in images.items()
    ]
    if labels is not None and objects is not None:
        main = next(iter(images.values()), labels)
        contrast = next(iter(contrasts.values()), None)
        if main is labels or spatial(main)[0].shape != objects.shape:
            main = labels.like(blank(labels.array))
            contrast = None
        caption = f"{name}, outlines of {np.count_nonzero(distinct(objects))} objects"
        rows.append((caption, _views(main, SIDE, objects, contrast, drawn=True)))
    steps = [(caption, _views(volume, SIDE, objects)) for caption, volume in stages.items()]
    _write_sheet(folder / "preview.png", rows)
    _write_sheet(folder / "steps.png", steps)


def write_result(path: Path, image: Volume, output: Volume, kind: Kind) -> None:
    """Write the XY planes of an image and an output side by side, enlarged up to `READABLE`."""
    array = spatial(image)[0]
    pixels = spatial(output)[0]
    objects = pixels if kind == "labels" else None
    z, _, _ = cut_at(array.shape, objects)
    left = grey(array[z], limits(array))
    right = left if kind == "labels" else grey(pixels[z], limits(pixels))
    height, width = left.shape
    times = max(1, READABLE // max(height, 2 * width))
    left, right = (stretch(plane, times * height, times * width) for plane in (left, right))
    outlines = None if objects is None else stretch(objects[z], times * height, times * width)
    _write_png(path, np.concatenate([_outlined(left, None), _outlined(right, outlines)], axis=1))


def write_strip(path: Path, real: Sequence[Stack], simulated: Sequence[Stack]) -> None:
    """Write planes of four real stacks, below them simulated ones in the same contrast."""
    chosen = {"real": _chosen(real), "simulated": _chosen(simulated)}
    contrast = limits(np.concatenate([thinned(volume.array, 7) for volume, _ in chosen["real"]]))
    rows = []
    for title, stacks in chosen.items():
        columns = [_views(image, STRIP_SIDE, labels, contrast) for image, labels in stacks]
        for plane, row in zip(PLANES, zip(*columns, strict=True), strict=False):
            rows.append((f"{title} {plane}", row))
    _write_sheet(path, rows)


def _chosen(stacks: Sequence[Stack]) -> list[Stack]:
    """Return stacks evenly chosen from few objects to many."""
    ordered = sorted(stacks, key=lambda pair: len(np.unique(pair[1])))
    places = np.unique(np.linspace(0, len(ordered) - 1, min(SHOWN, len(ordered))).astype(int))
    return [ordered[place] for place in places]


def _size(volume: Volume) -> str:
    """Return the size of a volume in words."""
    voxels, spacing = (" x ".join(f"{n:g}" for n in of) for of in (volume.shape, volume.spacing))
    return f"{voxels} voxels of {spacing} µm"


def _outlined(plane: Bytes, labels: Array | None) -> Colours:
    """Return a grey plane as (Y, X, 3) colours, with the outlines of labels of the same shape."""
    colours = np.repeat(plane[:, :, None], 3, axis=2)
    if labels is not None:
        colours[boundary(labels)] = OUTLINE
    return colours


def _views(
    volume: Volume,
    side: int,
    objects: Array | None,
    contrast: Interval | None = None,
    *,
    drawn: bool = False,
) -> list[Colours]:
    """Return planes, square µm, longest `side` px, through objects; outlined if `drawn`."""
    array, spacing = spatial(volume)
    fitting = objects if objects is not None and objects.shape == array.shape else None
    cut = cut_at(array.shape, fitting)
    ends = contrast or limits(array)
    outlines = planes(fitting, cut) if drawn and fitting is not None else repeat(None)
    views = []
    shown = zip(planes(array, cut), outlines, sizes(array.shape, spacing, side), strict=False)
    for plane, labels, (rows, columns) in shown:
        picture = Image.fromarray(grey(plane, ends))
        resized = np.asarray(picture.resize((columns, rows), Image.Resampling.BILINEAR))
        views.append(_outlined(resized, None if labels is None else stretch(labels, rows, columns)))
    return views


def _write_sheet(path: Path, rows: Sequence[tuple[str, Sequence[Colours]]]) -> None:
    """Write rows of pictures below their captions as one PNG, nothing without any."""
    if not rows:
        return
    height = sum(max(p.shape[0] for p in row) + LINE + MARGIN for _, row in rows) + MARGIN
    width = max(sum(p.shape[1] + MARGIN for p in row) for _, row in rows) + MARGIN
    sheet = Image.new("RGB", (width, height), (18, 20, 24))
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    top = MARGIN
    for caption, row in rows:
        caption = caption.replace("µ", "u")  # which the font lacks
        pen.text((MARGIN, top), caption, fill=(225, 225, 225), font=font)
        left = MARGIN
        top += LINE
        for picture in row:
            sheet.paste(Image.fromarray(picture), (left, top))
            left += picture.shape[1] + MARGIN
        top += max(picture.shape[0] for picture in row) + MARGIN
    _write_png(path, np.asarray(sheet))


def _write_png(path: Path, picture: Colours) -> None:
    """Write a (Y, X, 3) picture as a PNG, in place of a former one only when it is whole."""
    with atomic(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG", compress_level=FAST)
