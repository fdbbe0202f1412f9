"""Small pictures: beside a case or a result, and of real and simulated stacks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmark.pictures.planes import PLANES, Pixels, cut_at, grey, limits, spatial
from benchmark.pictures.sheet import outlined, views, write_png, write_sheet
from cytosuite.tasks import Kind
from cytosuite.volume import Volume

SIDE, STRIP_SIDE = 360, 180  # px of the longest side of a volume
SHOWN = 4  # stacks of each side of a strip

Stack = tuple[Volume, Pixels]


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
        (f"{name}, {caption}: {_size(volume)}", views(volume, SIDE, objects))
        for caption, volume in images.items()
    ]
    if labels is not None and objects is not None:
        main = next(iter(images.values()), labels)
        if main is labels or spatial(main)[0].shape != objects.shape:
            main = labels.like(np.zeros_like(labels.array))
        caption = f"{name}, outlines of {np.count_nonzero(np.unique(objects))} objects"
        rows.append((caption, views(main, SIDE, objects, drawn=True)))
    if rows:
        write_sheet(folder / "preview.png", rows)
    if stages:
        steps = [(caption, views(volume, SIDE, objects)) for caption, volume in stages.items()]
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
    objects = found if kind == "labels" else None
    z, _, _ = cut_at(array.shape, objects)
    left = grey(array[z], limits(array))
    right = left if kind == "labels" else grey(found[z], limits(found))
    drawn = outlined(right, None if objects is None else objects[z])
    write_png(path, np.concatenate([outlined(left, None), drawn], axis=1))


def write_strip(path: Path, real: Sequence[Stack], simulated: Sequence[Stack]) -> None:
    """Write a PNG with planes of real stacks above those of simulated ones.

    Parameters
    ----------
    path : Path
        Ends with ``.png``.
    real, simulated : sequence of (Volume, (Z, Y, X) integer array)
        Stacks with labels; four of each, evenly chosen from few objects to many. Grey values of
        all panels have the same limits, from the real stacks.
    """
    chosen = {"real": _chosen(real), "simulated": _chosen(simulated)}
    contrast = limits(np.concatenate([volume.array.ravel()[::7] for volume, _ in chosen["real"]]))
    rows = []
    for title, stacks in chosen.items():
        columns = [views(image, STRIP_SIDE, own, contrast=contrast) for image, own in stacks]
        for plane, row in zip(PLANES, zip(*columns, strict=True), strict=False):
            rows.append((f"{title} {plane}", row))
    write_sheet(path, rows)


def _chosen(stacks: Sequence[Stack]) -> list[Stack]:
    """Return stacks evenly chosen from few objects to many."""
    ordered = sorted(stacks, key=lambda pair: len(np.unique(pair[1])))
    places = np.unique(np.linspace(0, len(ordered) - 1, min(SHOWN, len(ordered))).astype(int))
    return [ordered[place] for place in places]


def _size(volume: Volume) -> str:
    """Return the size of a volume in words."""
    voxels, spacing = (" x ".join(f"{n:g}" for n in of) for of in (volume.shape, volume.spacing))
    return f"{voxels} voxels of {spacing} µm"
