"""Still pictures of a case for print: its planes, with outlines or as images side by side."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from cytosuite.benchmark.report.pictures.scenes import CaseVolumes, ShownVolume, jpeg
from cytosuite.benchmark.runs.data.planes import (
    PLANES,
    boundary,
    cut_at,
    grey,
    planes,
    sizes,
    stretch,
)
from cytosuite.contract.tasks import Kind
from cytosuite.figures import svg
from cytosuite.figures.svg import rgb
from cytosuite.files import TextDict
from cytosuite.volume.arrays import Array, Bytes, Shape

SIDE = 420  # px of the longest side of a volume
QUALITY = 85  # of JPEG
DASH = 6  # px of a dash with its gap

Colour = tuple[int, int, int]  # red, green, blue, 0 to 255

LETTERS = {"missed": "m", "false": "f", "split": "s", "merged": "j"}  # matched is "."
ERRORS: Mapping[str, Colour] = {letter: rgb(name) for name, letter in LETTERS.items()}
TRUTH: Mapping[str, Colour] = {".": rgb(svg.TRUTH), **ERRORS}
GUESS: Mapping[str, Colour] = {".": rgb(svg.PREDICTION), **ERRORS}


class StillPlane(NamedTuple):
    """One plane: name, size in px, and JPEG as a data address."""

    plane: str
    height: int
    width: int
    source: str


class StillRow(NamedTuple):
    """Planes of one volume: heading, position, length of the scale bar in % of the width."""

    title: str
    panels: list[StillPlane]
    where: str
    bar_percent: float
    bar_text: str


class Still(NamedTuple):
    """Rows of a case, and the algorithm of the output among them, none without one."""

    rows: list[StillRow]
    algorithm: str


def codes(scene: CaseVolumes, algorithm: str) -> TextDict | None:
    """Return the class of each object as a letter, in the order of their labels."""
    match = scene.matches[algorithm]
    output = scene.outputs[algorithm]
    if match is None or output is None or scene.truth is None:
        return None
    true = {**dict.fromkeys(match.missed, "missed"), **match.truth_classes}
    answer = {**dict.fromkeys(match.extra, "false"), **match.answer_classes}
    return {
        "truth": "".join(LETTERS.get(true.get(label, ""), ".") for label in scene.truth.ids),
        "output": "".join(LETTERS.get(answer.get(label, ""), ".") for label in output.ids),
    }


def still(scene: CaseVolumes, kind: Kind) -> Still:
    """Return the planes of one case with the output of the first algorithm that has one."""
    name = next((name for name, output in scene.outputs.items() if output is not None), "")
    if kind == "labels":
        return Still([_outlined(scene, name)], name)
    volumes = [*scene.inputs, scene.truth, scene.real, scene.outputs.get(name)]
    return Still([_row(volume) for volume in volumes if volume], name)


def scale_bar(width: float, unit: str) -> tuple[float, str]:
    """Return the length of a scale bar in % of an image's width in `unit`, and its text."""
    power = 10 ** math.floor(math.log10(width / 4))
    length = max(step * power for step in (1, 2, 5) if step * power <= width / 4)
    return 100 * length / width, f"{length:g} {unit}"


def _row(
    volume: ShownVolume,
    cut: Shape | None = None,
    drawn: Sequence[tuple[ShownVolume, str, Mapping[str, Colour], int]] = (),
) -> StillRow:
    """Return the planes of a volume with outlines: labels, classes, colours, thickness."""
    if volume.kind == "labels":
        drawn = [(volume, "." * len(volume.ids), TRUTH, 1), *drawn]
    shape = volume.array.shape
    cut = cut or cut_at(shape, volume.array if volume.kind == "labels" else None)
    panels = []
    flat = slice(1) if volume.movie else slice(None)
    for n, (height, width) in enumerate(sizes(volume.full, volume.spacing, SIDE)[flat]):
        plane = planes(volume.array, cut)[n]
        picture = Image.fromarray(
            grey(np.zeros_like(plane) if volume.kind == "labels" else plane, volume.limits)
        )
        resized = np.asarray(picture.resize((width, height), Image.Resampling.BOX))
        colours = np.repeat(resized[:, :, None], 3, axis=2)
        for labels, letters, by_letter, thickness in drawn:
            indices = planes(labels.array, _moved(cut, shape, labels.array.shape))[n]
            _draw(colours, stretch(indices, height, width), letters, by_letter, thickness)
        panels.append(StillPlane(PLANES[n], height, width, jpeg(Image.fromarray(colours), QUALITY)))
    parts = zip("zyx", cut, shape, volume.full, strict=True)
    where = ", ".join(
        f"{axis} {(2 * at + 1) * m // (2 * n) + 1} of {m}" for axis, at, n, m in parts
    )
    bar = scale_bar(volume.full[2] * volume.spacing[2], volume.unit)
    return StillRow(volume.title, panels, where if panels[1:] else "", *bar)


def _outlined(scene: CaseVolumes, name: str) -> StillRow:
    """Return the planes of the main input with the outlines of truth and output."""
    output = scene.outputs.get(name)
    truth = scene.truth
    classes = codes(scene, name) if name else None
    drawn = []
    for side, volume, colours, wide in (("truth", truth, TRUTH, 2), ("output", output, GUESS, 1)):
        if volume is not None:
            drawn.append(
                (volume, classes[side] if classes else "." * len(volume.ids), colours, wide)
            )
    main = scene.inputs[0]
    shape = scene.inputs[0].array.shape
    if truth is None:
        return _row(main, None, drawn)
    return _row(
        main, _moved(cut_at(truth.array.shape, truth.array), truth.array.shape, shape), drawn
    )


def _moved(cut: Shape, shape: Shape, target: Shape) -> Shape:
    """Return the indices of a voxel on another grid of the same volume."""
    every = zip(cut, shape, target, strict=True)
    return tuple((2 * at + 1) * count // (2 * size) for at, size, count in every)


def _draw(
    colours: Bytes,
    indices: Array,
    letters: str,
    by_letter: Mapping[str, Colour],
    thickness: int,
) -> None:
    """Draw outlines into a (Y, X, 3) picture, errors dashed and on top."""
    edge = boundary(indices, thickness)
    classes = np.frombuffer(("." + letters).encode("ascii"), dtype=np.uint8)[indices]
    dashed = np.add.outer(*map(np.arange, edge.shape)) % DASH < DASH // 2
    for letter, colour in by_letter.items():
        mask = edge & (classes == ord(letter))
        colours[mask if letter == "." else mask & dashed] = colour
