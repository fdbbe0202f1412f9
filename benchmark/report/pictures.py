"""Pictures of cases: three slices with outlines, drawn one case at a time."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.report import outlines
from benchmark.report.content import CasePicture
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.formats import read
from cytosuite.volume import Volume

LOGGER = logging.getLogger(__name__)

SIDES = (420, 300, 210)  # px of the longest side; the next one where a case takes too many bytes
PICTURED_CASES = 24
PICTURED_ALGORITHMS = 6
PICTURE_BYTES = 10_000_000

# Okabe and Ito (2008), plus white: told apart by any kind of colour vision on grey.
TRUTH = (86, 180, 233)
MISSED = (255, 255, 255)
RIGHT = (230, 159, 0)
EXTRA = (240, 100, 190)

Planes = list[NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Layer:
    """A transparent drawing over a slice: CSS classes that switch it, and its data address."""

    classes: str
    source: str
    alt: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One slice: its plane, size in px, PNG, drawings, and where the other two slices cross."""

    plane: Literal["XY", "XZ", "YZ"]
    width: int
    height: int
    source: str
    layers: list[Layer]
    crossing: tuple[float, float]  # % from the left, % from the top


@dataclass(frozen=True, slots=True)
class Row:
    """The slices of one image, with what stands above them."""

    title: str
    panels: list[Panel]


@dataclass(frozen=True, slots=True)
class CaseView:
    """A pictured case.

    Parameters
    ----------
    case : str
        Its name.
    rows : list of Row
        One for labels drawn as outlines; input, truth and predictions for images.
    where : str
        Position of the slices in words.
    bar_percent, bar_text : float, str
        Length of the scale bar in % of the XY panel's width, and in µm.
    counts : mapping of str to str
        For each algorithm, how many objects it found.
    size : int
        Bytes all its pictures take.
    """

    case: str
    rows: list[Row]
    where: str
    bar_percent: float
    bar_text: str
    counts: Mapping[str, str]
    size: int


@dataclass(frozen=True, slots=True)
class _Scene:
    """What all drawings of a case share: where it is cut and how large it is drawn."""

    cut: tuple[int, int, int]
    shape: tuple[int, int, int]
    sizes: list[tuple[int, int]]  # height, width per plane
    names: list[Literal["XY", "XZ", "YZ"]] = field(default_factory=list)

    def planes(self, array: NDArray[Any]) -> Planes:
        """Return the slices of a (Z, Y, X) array, as many as are drawn."""
        z, y, x = self.cut
        return [array[z], array[:, y, :], array[:, :, x].T][: len(self.names)]


def choose(goodness: Mapping[str, float | None], limit: int = PICTURED_CASES) -> list[str]:
    """Return which cases to picture, worst first: a third worst, a third best, the rest between.

    Parameters
    ----------
    goodness : mapping of str to float or None
        A number per case that grows with quality; None (no score, for example failed) is worst.
    limit : int
        Most cases.

    Examples
    --------
    >>> choose({"a": 0.9, "b": 0.1, "c": None})
    ['c', 'b', 'a']
    """
    order = sorted(goodness, key=lambda case: -math.inf if (g := goodness[case]) is None else g)
    if len(order) <= limit:
        return order
    ends = limit // 3
    middle = order[ends : len(order) - ends]
    wanted = limit - 2 * ends
    between = [middle[(2 * n + 1) * len(middle) // (2 * wanted)] for n in range(wanted)]
    return [*order[:ends], *between, *order[len(order) - ends :]]


def draw_all(
    pictures: Sequence[CasePicture], algorithms: Sequence[str], limit: int = PICTURE_BYTES
) -> Iterator[CaseView | str]:
    """Yield a view of each case, one at a time, or a sentence why there is none.

    Parameters
    ----------
    pictures : sequence of CasePicture
        The cases to draw.
    algorithms : sequence of str
        Whose outputs to draw; the n-th one's layers carry the CSS class ``a<n>``.
    limit : int
        Bytes that all views together may take; each case has an equal share of what is left.
    """
    left = limit
    for index, picture in enumerate(pictures):
        share = left // (len(pictures) - index)
        try:
            for side in SIDES:
                view = draw(picture, algorithms, side)
                if view.size <= share:
                    break
        except (CytosuiteError, OSError, ValueError) as error:
            LOGGER.warning("%s: no picture: %s", picture.case, error)
            yield f"{picture.case}: {error}"
            continue
        if view.size > left:
            yield f"{picture.case}: its picture would make the report too large."
            continue
        left -= view.size
        yield view


def draw(picture: CasePicture, algorithms: Sequence[str], side: int = SIDES[0]) -> CaseView:
    """Return the slices of one case with the outlines of truth and predictions.

    Parameters
    ----------
    picture : CasePicture
        The files.
    algorithms : sequence of str
        Whose outputs to draw, in the order of their CSS classes.
    side : int
        Length of the longest side of a panel in px.

    Raises
    ------
    InputError
        If image or truth cannot be read or differ in shape.
    """
    volume = read(picture.image)
    image, spacing = spatial(volume)
    truth = None if picture.truth is None else spatial(read(picture.truth))[0]
    if truth is not None and truth.shape != image.shape:
        raise InputError(
            f"{picture.truth}: expected the shape {image.shape} of the image, found {truth.shape}"
        )
    labels = picture.kind == "labels"
    scene = _scene(image.shape, spacing, truth if labels else None, side)
    counts: dict[str, str] = {}
    rows = [Row("", _panels(scene, image))] if labels else [Row("Input", _panels(scene, image))]
    if truth is not None and not labels:
        rows.append(Row("Truth", _panels(scene, truth)))
    if truth is not None and labels:
        _draw_layer(rows[0].panels, scene.planes(truth), [None], "truth", "outlines of the truth")
    for index, name in enumerate(algorithms):
        prediction = _prediction(picture.predictions.get(name), image.shape)
        if prediction is None:
            counts[name] = "no valid output"
        elif labels:
            counts[name] = _draw_labels(rows[0].panels, scene, truth, prediction, index, name)
        else:
            rows.append(Row(name, _panels(scene, prediction)))
    percent, text = scale_bar(image.shape[2] * spacing[2], "px" if volume.spacing_is_assumed else "µm")
    size = sum(
        len(panel.source) + sum(len(layer.source) for layer in panel.layers)
        for row in rows
        for panel in row.panels
    )
    return CaseView(picture.case, rows, _where(scene), percent, text, counts, size)


def spatial(volume: Volume) -> tuple[NDArray[Any], tuple[float, float, float]]:
    """Return a volume's (Z, Y, X) pixels and voxel size: middle time point, first channel.

    Parameters
    ----------
    volume : Volume
        Any axes; a 2D image becomes one slice, as thick as a pixel is high.
    """
    array = volume.array
    if "T" in volume.axes:
        array = array[array.shape[0] // 2]
    if "C" in volume.axes:
        array = array[0]
    if "Z" in volume.axes:
        z, y, x = volume.spacing
        return array, (z, y, x)
    return array[None], (volume.spacing[0], volume.spacing[0], volume.spacing[1])


def cut_at(labels: NDArray[Any] | None, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the slice to show along each axis: the middle, or where it is empty the fullest one.

    Parameters
    ----------
    labels : (Z, Y, X) integer array or None
        The truth, 0 = background.
    shape : tuple of int
        Of the image.
    """
    cut = [size // 2 for size in shape]
    if labels is not None:
        for axis in range(3):
            if not np.take(labels, cut[axis], axis).any():
                others = tuple(other for other in range(3) if other != axis)
                cut[axis] = int(np.argmax(np.count_nonzero(labels, axis=others)))
    return cut[0], cut[1], cut[2]


def scale_bar(width: float, unit: str) -> tuple[float, str]:
    """Return the length of a scale bar in % of an image's width, and its text.

    Parameters
    ----------
    width : float
        Width of the image in `unit`.
    unit : str
        ``"µm"``, or ``"px"`` where the voxel size is unknown.

    Examples
    --------
    >>> scale_bar(100.0, "µm")
    (20.0, '20 µm')
    """
    power = 10 ** math.floor(math.log10(width / 4))
    length = max(step * power for step in (1, 2, 5) if step * power <= width / 4)
    return 100 * length / width, f"{length:g} {unit}"


def _scene(
    shape: tuple[int, ...],
    spacing: tuple[float, float, float],
    truth: NDArray[Any] | None,
    side: int,
) -> _Scene:
    """Return where a case is cut and how large its panels are, µm square in all of them."""
    cut = cut_at(truth, shape)
    flat = shape[0] == 1
    extents = [size * um for size, um in zip(shape, spacing, strict=True)]
    scale = side / max(extents[1:] if flat else extents)
    depth, height, width = (max(8, round(extent * scale)) for extent in extents)
    sizes = [(height, width), (depth, width), (height, depth)]
    names: list[Literal["XY", "XZ", "YZ"]] = ["XY"] if flat else ["XY", "XZ", "YZ"]
    return _Scene(cut, (shape[0], shape[1], shape[2]), sizes[: len(names)], names)


def _panels(scene: _Scene, image: NDArray[Any]) -> list[Panel]:
    """Return the grey slices of an image, without drawings."""
    low, high = outlines.limits(image)
    z, y, x = (100 * (at + 0.5) / n for at, n in zip(scene.cut, scene.shape, strict=True))
    crossings = [(x, y), (x, z), (z, y)]
    panels = []
    for plane, (height, width), name, crossing in zip(
        scene.planes(image), scene.sizes, scene.names, crossings[: len(scene.names)], strict=True
    ):
        pixels = outlines.shrink(outlines.grey(plane, low, high), height, width)
        panels.append(Panel(name, width, height, outlines.grey_png(pixels), [], crossing))
    return panels


def _prediction(path: Path | None, shape: tuple[int, ...]) -> NDArray[Any] | None:
    """Return an output, or None when there is none that fits the image."""
    if path is None:
        return None
    try:
        array = spatial(read(path))[0]
    except (CytosuiteError, OSError) as error:
        LOGGER.warning("%s: not drawn: %s", path, error)
        return None
    return array if array.shape == shape else None


def _draw_labels(
    panels: list[Panel],
    scene: _Scene,
    truth: NDArray[Any] | None,
    prediction: NDArray[Any],
    index: int,
    name: str,
) -> str:
    """Add the outlines of one algorithm to the panels and return what it found, in words."""
    who = f"a{index}"
    cuts = scene.planes(prediction)
    if truth is None:
        _draw_layer(panels, cuts, [None], f"guess {who}", f"outlines of {name}")
        return f"{len(np.unique(prediction[prediction > 0]))} objects"
    found, missed, _, extra = outlines.matched(truth, prediction)
    about = "objects missed by"
    _draw_layer(panels, scene.planes(truth), [missed], f"truth missed {who}", f"{about} {name}")
    _draw_layer(panels, cuts, [None, extra], f"guess {who}", f"outlines of {name}")
    return (
        f"{len(found)} of {len(found) + len(missed)} found, {len(missed)} missed, {len(extra)} extra"
    )


def _draw_layer(
    panels: list[Panel],
    cuts: Planes,
    groups: Sequence[NDArray[Any] | None],
    classes: str,
    alt: str,
) -> None:
    """Add outlines to each panel: a colour per group of labels (None: all), later groups on top."""
    kind = "missed" if "missed" in classes else classes.split()[0]
    colours = {"truth": (TRUTH,), "missed": (MISSED,), "guess": (RIGHT, EXTRA)}[kind]
    for panel, cut in zip(panels, cuts, strict=True):
        large = outlines.stretch(cut, panel.height, panel.width)
        codes = np.zeros(large.shape, dtype=np.uint8)
        edge = outlines.boundary(large, thickness=1 if kind == "guess" else 2)
        for code, group in enumerate(groups, start=1):
            codes[edge if group is None else edge & np.isin(large, group)] = code
        if codes.any():
            panel.layers.append(Layer(classes, outlines.layer_png(codes, colours), alt))


def _where(scene: _Scene) -> str:
    """Return the position of the slices in words, counted from 1."""
    if scene.shape[0] == 1:
        return ""
    parts = zip("zyx", scene.cut, scene.shape, strict=True)
    return ", ".join(f"{axis} {at + 1} of {size}" for axis, at, size in parts)
