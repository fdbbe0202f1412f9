"""Small pictures beside a simulated case: three planes with outlines, and a strip of the stages."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from benchmark.pictures.outlines import boundary
from cytosuite.files import atomic
from cytosuite.tasks import Task
from cytosuite.volume import Volume
from datasets.sample import Sample

Grey = NDArray[np.uint8]
WIDTH = 360  # pixels of the longer side of a plane
MARGIN = 8
OUTLINE = (255, 190, 60)
STEP = "step-"  # names of the companions that make the strip


def write_previews(folder: Path, name: str, sample: Sample, task: Task) -> None:
    """Write ``preview.png`` and, where a sample has its stages, ``steps.png``.

    Parameters
    ----------
    folder : Path
        Of the case.
    name : str
        Of the case, for the caption.
    sample : Sample
    task : Task
        Its first input is shown, with outlines of its first output where they are 3D labels.

    Notes
    -----
    Every plane is stretched from the median of the background (1 %) to its brightest voxels
    (99.8 %) of the volume; planes are in the middle of the labelled objects; µm are square.
    """
    image = sample.inputs[task.main_input.slug]
    labels = sample.truth.get(task.outputs[0].slug)
    if len(image.spacing) != 3 or image.array.ndim != 3:
        return
    middle = _middle(labels.array if labels is not None else None, image.array.shape)
    rows = [_planes(image, middle, None)]
    if labels is not None:
        rows.append(_planes(image, middle, labels.array))
    objects = "" if labels is None else f", {int(labels.array.max(initial=0))} objects"
    spacing = " x ".join(f"{step:g}" for step in image.spacing)
    caption = f"{name}: {' x '.join(map(str, image.array.shape))} voxels of {spacing} µm{objects}"
    _save(folder / "preview.png", rows, [caption, "the same with the outlines of the truth"])
    steps = sorted(slug for slug in sample.companions if slug.startswith(STEP))
    if steps:
        strips = [_planes(sample.companions[slug], middle, None) for slug in steps]
        _save(folder / "steps.png", strips, [slug.removeprefix(STEP) for slug in steps])


def _middle(labels: NDArray[np.integer] | None, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the middle of the labelled voxels, that of the image without any."""
    if labels is None or not labels.any():
        return tuple(size // 2 for size in shape)
    middle = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        profile = np.cumsum(np.count_nonzero(labels, axis=others))
        middle.append(int(np.searchsorted(profile, profile[-1] / 2)))
    return tuple(middle)


def _planes(
    volume: Volume, middle: tuple[int, ...], labels: NDArray[np.integer] | None
) -> list[Picture.Image]:
    """Return the xy, xz and zy planes through a point as pictures with square µm."""
    low, high = np.percentile(volume.array[::2, ::2, ::2], (1.0, 99.8))
    scale = WIDTH / max(n * s for n, s in zip(volume.array.shape, volume.spacing, strict=True))
    pictures = []
    for axis in range(3):
        plane = np.take(volume.array, middle[axis], axis).astype(np.float32)
        grey = np.clip((plane - low) / max(float(high - low), 1e-9) * 255, 0, 255).astype(np.uint8)
        rows, columns = (step for i, step in enumerate(volume.spacing) if i != axis)
        size = (round(plane.shape[1] * columns * scale), round(plane.shape[0] * rows * scale))
        size = (max(size[0], 1), max(size[1], 1))
        picture = Picture.fromarray(grey).resize(size, Picture.Resampling.BILINEAR).convert("RGB")
        if labels is not None:
            picture = _outlined(picture, np.take(labels, middle[axis], axis))
        pictures.append(picture if axis < 2 else picture.transpose(Picture.Transpose.TRANSPOSE))
    return pictures


def _outlined(picture: Picture.Image, labels: NDArray[np.integer]) -> Picture.Image:
    """Return a picture with the borders between labels drawn on it."""
    large = Picture.fromarray(labels.astype(np.int32)).resize(
        picture.size, Picture.Resampling.NEAREST
    )
    colours = np.array(picture)
    colours[boundary(np.asarray(large))] = OUTLINE
    return Picture.fromarray(colours)


def _save(path: Path, rows: list[list[Picture.Image]], captions: list[str]) -> None:
    """Write rows of pictures below their captions as one PNG."""
    line = 18
    height = sum(max(p.height for p in row) + line + MARGIN for row in rows) + MARGIN
    width = max(sum(p.width + MARGIN for p in row) for row in rows) + MARGIN
    sheet = Picture.new("RGB", (width, height), (18, 20, 24))
    pen = ImageDraw.Draw(sheet)
    # The font that Pillow brings has no µ.
    font = ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", 12)
    top = MARGIN
    for row, caption in zip(rows, captions, strict=True):
        pen.text((MARGIN, top), caption, fill=(225, 225, 225), font=font)
        left, top = MARGIN, top + line
        for picture in row:
            sheet.paste(picture, (left, top))
            left += picture.width + MARGIN
        top += max(picture.height for picture in row) + MARGIN
    with atomic(path) as temporary:
        sheet.save(temporary, format="PNG")
