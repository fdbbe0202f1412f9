"""Pictures of cases: slices with the outlines of truth and predictions, as layers of PNGs."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmark.pictures import outlines
from benchmark.report.content import CasePicture
from benchmark.pictures.slices import CutCase, Pixels, Slices, cut_case
from cytosuite.errors import CytosuiteError

LOGGER = logging.getLogger(__name__)

SIDES = (420, 300, 210)  # px of the longest side; the next one where a case takes too many bytes
PICTURED_CASES = 24
PICTURED_ALGORITHMS = 6
PICTURE_BYTES = 10_000_000

# After Okabe and Ito (2008): told apart on grey by any kind of colour vision.
TRUTH = (86, 180, 233)
MISSED = (255, 255, 255)
RIGHT = (230, 159, 0)
EXTRA = (240, 100, 190)

Plane = Literal["XY", "XZ", "YZ"]
PLANES: tuple[Plane, ...] = ("XY", "XZ", "YZ")


@dataclass(frozen=True, slots=True)
class Layer:
    """A transparent drawing over a slice: CSS classes that switch it, and its data address."""

    classes: str
    source: str
    alt: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One slice: its plane, size in px, PNG, drawings, and where the other two slices cross."""

    plane: Plane
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
            case = cut_case(picture, algorithms)
        except (CytosuiteError, OSError) as error:
            LOGGER.warning("%s: no picture: %s", picture.case, error)
            yield f"{picture.case}: {error}"
            continue
        for side in SIDES:
            view = draw(case, algorithms, side)
            if view.size <= share:
                break
        if view.size > left:
            yield f"{picture.case}: it would make the report too large."
            continue
        left -= view.size
        yield view


def draw(case: CutCase, algorithms: Sequence[str], side: int = SIDES[0]) -> CaseView:
    """Return the slices of one case with the outlines of truth and predictions.

    Parameters
    ----------
    case : CutCase
        Its slices.
    algorithms : sequence of str
        The names of its guesses, in the same order.
    side : int
        Length of the longest side of a panel in px.
    """
    if case.picture.kind == "labels":
        rows = [Row("", _outlined(case, algorithms, side))]
    else:
        named = [("Input", case.image), ("Truth", case.truth)]
        named += [(n, guess.slices) for n, guess in zip(algorithms, case.guesses, strict=True)]
        rows = [Row(n, _panels(case, slices, side)) for n, slices in named if slices is not None]
    percent, text = scale_bar(case.shape[2] * case.spacing[2], case.unit)
    counts = {n: guess.summary for n, guess in zip(algorithms, case.guesses, strict=True)}
    size = sum(
        len(panel.source) + sum(len(layer.source) for layer in panel.layers)
        for row in rows
        for panel in row.panels
    )
    return CaseView(case.picture.case, rows, _where(case), percent, text, counts, size)


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


def _panels(case: CutCase, slices: Slices, side: int) -> list[Panel]:
    """Return the grey slices of an image, µm square in all of them, without drawings."""
    extents = [size * um for size, um in zip(case.shape, case.spacing, strict=True)]
    scale = side / max(extents[1:] if case.flat else extents)
    depth, height, width = (max(8, round(extent * scale)) for extent in extents)
    sizes = [(height, width), (depth, width), (height, depth)]
    z, y, x = (100 * (at + 0.5) / n for at, n in zip(case.cut, case.shape, strict=True))
    crossings = [(x, y), (x, z), (z, y)]
    panels = []
    for index, plane in enumerate(slices.planes):
        rows, columns = sizes[index]
        pixels = outlines.shrink(outlines.grey(plane, *slices.limits), rows, columns)
        source = outlines.grey_png(pixels)
        panels.append(Panel(PLANES[index], columns, rows, source, [], crossings[index]))
    return panels


def _outlined(case: CutCase, algorithms: Sequence[str], side: int) -> list[Panel]:
    """Return the slices of the input with the outlines of all label images as layers."""
    panels = _panels(case, case.image, side)
    if case.truth is not None:
        _outline(panels, case.truth, [None], "truth", "outlines of the truth")
    for index, (name, guess) in enumerate(zip(algorithms, case.guesses, strict=True)):
        if guess.slices is None:
            continue
        if case.truth is not None and guess.missed is not None:
            alt = f"objects missed by {name}"
            _outline(panels, case.truth, [guess.missed], f"truth missed a{index}", alt)
        groups = [None] if guess.extra is None else [None, guess.extra]
        _outline(panels, guess.slices, groups, f"guess a{index}", f"outlines of {name}")
    return panels


def _outline(
    panels: list[Panel],
    labels: Slices,
    groups: Sequence[Pixels | None],
    classes: str,
    alt: str,
) -> None:
    """Add outlines to each panel: a colour per group of ids (None: all), later groups on top."""
    guess = classes.startswith("guess")
    colours = (RIGHT, EXTRA) if guess else ((MISSED,) if "missed" in classes else (TRUTH,))
    for panel, plane in zip(panels, labels.planes, strict=True):
        large = outlines.stretch(plane, panel.height, panel.width)
        edge = outlines.boundary(large, thickness=1 if guess else 2)
        codes = np.zeros(large.shape, dtype=np.uint8)
        for code, group in enumerate(groups, start=1):
            codes[edge if group is None else edge & np.isin(large, group)] = code
        if codes.any():
            panel.layers.append(Layer(classes, outlines.layer_png(codes, colours), alt))


def _where(case: CutCase) -> str:
    """Return the position of the slices in words, counted from 1."""
    if case.flat:
        return ""
    parts = zip("zyx", case.cut, case.shape, strict=True)
    return ", ".join(f"{axis} {at + 1} of {size}" for axis, at, size in parts)
