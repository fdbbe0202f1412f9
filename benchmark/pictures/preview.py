"""Small pictures beside a case or a result: planes of its images, outlines of its objects."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmark.pictures.planes import Pixels, cut_at, grey, limits, spatial
from benchmark.pictures.sheet import Colours, outlined, views, write_png, write_sheet
from cytosuite.tasks import Kind
from cytosuite.volume import Volume

SIDE = 360  # px of the longer side of a plane


def write_preview(
    folder: Path,
    name: str,
    volumes: Mapping[str, Volume],
    labels: Volume | None,
    stages: Mapping[str, Volume],
) -> None:
    """Write ``preview.png`` and, where there are stages, ``steps.png``.

    Parameters
    ----------
    folder : Path
        Folder of the case.
    name : str
        Name of the case, for the caption.
    volumes : mapping of str to Volume
        Images of the case by their captions, the main one first; the labels may be among them.
    labels : Volume or None
        Objects, outlined upon the main image where they have its shape, alone otherwise.
    stages : mapping of str to Volume
        The image after each step of its making, by caption.
    """
    objects = None if labels is None else spatial(labels)[0]
    images = {caption: volume for caption, volume in volumes.items() if volume is not labels}
    rows = [
        (f"{name}, {caption}: {_size(volume)}", _planes(volume, objects))
        for caption, volume in images.items()
    ]
    if labels is not None:
        main = next(iter(images.values()), labels)
        if main is labels or spatial(main)[0].shape != spatial(labels)[0].shape:
            main = labels.like(np.zeros_like(labels.array))
        amount = np.count_nonzero(np.unique(labels.array))
        rows.append((f"{name}, outlines of {amount} objects", _planes(main, objects, drawn=True)))
    if rows:
        write_sheet(folder / "preview.png", rows)
    if stages:
        steps = [(caption, _planes(volume, objects)) for caption, volume in stages.items()]
        write_sheet(folder / "steps.png", steps)


def write_result(path: Path, image: Volume, output: Volume, kind: Kind) -> None:
    """Write the XY plane of an image beside that of an output, in their own resolution.

    Parameters
    ----------
    path : Path
        Ends with ``.png``.
    image, output : Volume
        Of the same shape.
    kind : {"labels", "image"}
        Whether the output is outlined upon the image, or shown as an image of its own.
    """
    array, found = spatial(image)[0], spatial(output)[0]
    z, _, _ = cut_at(array.shape, found if kind == "labels" else None)
    left = grey(array[z], limits(array))
    right = (
        outlined(left, found[z])
        if kind == "labels"
        else outlined(grey(found[z], limits(found)), None)
    )
    write_png(path, np.concatenate([outlined(left, None), right], axis=1))


def _planes(volume: Volume, objects: Pixels | None, drawn: bool = False) -> list[Colours]:
    """Return the planes of a volume, through its objects if these have its shape."""
    shape = spatial(volume)[0].shape
    own = objects if objects is not None and objects.shape == shape else None
    return views(volume, SIDE, cut_at(shape, own), own if drawn else None)


def _size(volume: Volume) -> str:
    """Return the size of a volume in words."""
    voxels, spacing = (" x ".join(f"{n:g}" for n in of) for of in (volume.shape, volume.spacing))
    return f"{voxels} voxels of {spacing} µm"
