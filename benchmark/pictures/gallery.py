"""Pictures of cases for a page: planes with outlines as layers, images with their differences."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cytosuite.benchmark.pictures import png
from cytosuite.benchmark.pictures.cut import CutCase, Slices, cut_case
from cytosuite.benchmark.pictures.planes import (
    PLANES,
    boundary,
    grey,
    shown,
    shrink,
    sizes,
    stretch,
)
from cytosuite.benchmark.results.results import CaseFiles, Results
from cytosuite.errors import CytosuiteError
from cytosuite.tasks import Kind, Socket

SIDES = (420, 300, 210)  # px of the longest side; the next one where a case takes too many bytes
CASES: Mapping[Kind, int] = {"labels": 24, "image": 12}  # pictured at most, by kind of output
ALGORITHMS: Mapping[Kind, int] = {"labels": 6, "image": 3}
PICTURE_BYTES = 10_000_000

Coloured = tuple[Sequence[int] | None, png.Colour]  # ids of labels (None: all) and their colour


@dataclass(frozen=True, slots=True)
class Layer:
    """A transparent drawing over a plane: CSS classes that switch it, and its data address."""

    classes: str
    source: str
    alt: str


@dataclass(frozen=True, slots=True)
class PlaneView:
    """One plane: name, size in px, PNG, drawings, and where the other two planes cross it."""

    plane: str
    height: int
    width: int
    source: str
    layers: list[Layer]
    crossing: tuple[float, float]  # % from the left, % from the top


@dataclass(frozen=True, slots=True)
class VolumeView:
    """Planes of one volume: heading, CSS class ``a<n>`` of its algorithm, position, scale bar."""

    title: str
    classes: str
    panels: list[PlaneView]
    where: str
    bar_percent: float
    bar_text: str


@dataclass(frozen=True, slots=True)
class CaseView:
    """A pictured case: its rows, and a sentence on the output of each algorithm by its name."""

    case: str
    rows: list[VolumeView]
    counts: Mapping[str, str]

    @property
    def size(self) -> int:
        """Bytes of all its pictures."""
        panels = [panel for row in self.rows for panel in row.panels]
        layers = [layer for panel in panels for layer in panel.layers]
        return sum(len(panel.source) for panel in panels) + sum(len(of.source) for of in layers)


def choose(goodness: Mapping[str, float], limit: int) -> list[str]:
    """Return the cases to picture, worst first: a third worst, a third best, the rest between.

    Parameters
    ----------
    goodness : mapping of str to float
        A number per case that grows with quality.
    limit : int
        Most cases.

    Examples
    --------
    >>> choose({"a": 0.9, "b": 0.1, "c": -math.inf}, 24)
    ['c', 'b', 'a']
    """
    order = sorted(goodness, key=goodness.__getitem__)
    ends, count = limit // 3, len(order)
    if count <= limit:
        return order
    middle, wanted = order[ends : count - ends], limit - 2 * ends
    between = [middle[(2 * n + 1) * len(middle) // (2 * wanted)] for n in range(wanted)]
    return [*order[:ends], *between, *order[count - ends :]]


def draw_all(
    results: Results,
    output: Socket,
    cases: Sequence[CaseFiles],
    algorithms: Sequence[str],
    limit: int = PICTURE_BYTES,
) -> tuple[list[CaseView], list[str]]:
    """Return a view of each case, and a sentence on each that cannot be drawn.

    Parameters
    ----------
    results, output, cases
        The run, the output to show, and the cases to draw.
    algorithms : sequence of str
        Algorithms with outputs to draw; drawings of the n-th carry the CSS class ``a<n>``.
    limit : int
        Bytes that all views together may take; each case has an equal share of the rest.
    """
    views: list[CaseView] = []
    problems = []
    left, real = limit, results.reference
    for index, files in enumerate(cases):
        neighbour = real[index * len(real) // len(cases)] if real else None
        try:
            case = cut_case(results, output, files, algorithms, neighbour)
        except (CytosuiteError, OSError) as error:
            problems.append(f"{files.name}: {error}")
            continue
        for side in SIDES:
            view = draw(case, output.kind, side)
            if view.size <= left // (len(cases) - index):
                break
        if view.size <= left:
            views.append(view)
            left -= view.size
        else:
            problems.append(f"{files.name}: it would make the report too large.")
    return views, problems


def draw(case: CutCase, kind: Kind, side: int = SIDES[0]) -> CaseView:
    """Return the planes of one case: outlines over the input, or images next to each other.

    Parameters
    ----------
    case : CutCase
        The planes.
    kind : {"labels", "image"}
        Kind of the outputs.
    side : int
        Length of the longest side of a panel in px.
    """
    if kind == "labels":
        rows = [_outlined(case, side)]
    else:
        rows = [_row(slices, side) for slices in case.shown]
        for n, output in enumerate(case.outputs.values()):
            rows += [] if output is None else _output(case, output, f"a{n}", side)
    return CaseView(case.name, rows, {name: _count(case, name) for name in case.outputs})


def scale_bar(width: float, unit: str) -> tuple[float, str]:
    """Return the length of a scale bar in % of an image's width in `unit`, and its text.

    Examples
    --------
    >>> scale_bar(100.0, "µm")
    (20.0, '20 µm')
    """
    power = 10 ** math.floor(math.log10(width / 4))
    length = max(step * power for step in (1, 2, 5) if step * power <= width / 4)
    return 100 * length / width, f"{length:g} {unit}"


def _count(case: CutCase, name: str) -> str:
    """Return how many objects an algorithm found, or that it has no output."""
    output, match = case.outputs[name], case.matches[name]
    if output is None:
        return "no valid output"
    if match is not None:
        missed, extra = len(match.missed), len(match.extra)
        return f"{match.found} of {match.true} found, {missed} missed, {extra} extra"
    return "" if output.objects is None else f"{output.objects} objects"


def _row(slices: Slices, side: int, classes: str = "") -> VolumeView:
    """Return the planes of a volume, without drawings, or outlines on black for labels."""
    z, y, x = (100 * (at + 0.5) / n for at, n in zip(slices.cut, slices.shape, strict=True))
    boxes = sizes(slices.shape, slices.spacing, side)
    crossings = [(x, y), (x, z), (z, y)]
    panels = []
    for n, plane in enumerate(slices.planes):
        ground = np.zeros_like(plane) if slices.kind == "labels" else plane
        source = png.grey(shrink(grey(ground, slices.limits), *boxes[n]))
        panels.append(PlaneView(PLANES[n], *boxes[n], source, [], crossings[n]))
    if slices.kind == "labels":
        _outline(panels, slices, [(None, png.SKY)], "labels", slices.title)
    parts = zip("zyx", slices.cut, slices.shape, strict=True)
    where = ", ".join(f"{axis} {at + 1} of {size}" for axis, at, size in parts)
    bar = scale_bar(slices.shape[2] * slices.spacing[2], slices.unit)
    return VolumeView(slices.title, classes, panels, where if panels[1:] else "", *bar)


def _output(case: CutCase, output: Slices, classes: str, side: int) -> list[VolumeView]:
    """Return an output image, in the contrast of the truth, and its difference."""
    base = case.truth or case.shown[0]
    if case.truth is not None:
        output = replace(output, limits=case.truth.limits)
    row = _row(output, side, classes)
    if base.kind != "image":
        return [row]
    panels = []
    for panel, plane, other in zip(row.panels, output.planes, base.planes, strict=True):
        change = shown(plane, output.limits) - shown(other, base.limits)
        panels.append(replace(panel, source=png.difference(change, panel.height, panel.width)))
    return [row, replace(row, title=f"Output minus {base.title.lower()}", panels=panels)]


def _outlined(case: CutCase, side: int) -> VolumeView:
    """Return the planes of the main input with the outlines of all label images as layers."""
    row = replace(_row(case.shown[0], side), title="")
    if case.truth is not None:
        _outline(row.panels, case.truth, [(None, png.SKY)], "truth", "outlines of the truth", 2)
    for n, (name, output) in enumerate(case.outputs.items()):
        match = case.matches[name]
        if output is None:
            continue
        if match is not None and case.truth is not None:
            missed, alt = [(match.missed, png.WHITE)], f"objects missed by {name}"
            _outline(row.panels, case.truth, missed, f"truth missed a{n}", alt, 2)
        groups: list[Coloured] = [(None, png.ORANGE)]
        groups += [] if match is None else [(match.extra, png.PINK)]
        _outline(row.panels, output, groups, f"guess a{n}", f"outlines of {name}")
    return row


def _outline(
    panels: list[PlaneView],
    labels: Slices,
    groups: Sequence[Coloured],
    classes: str,
    alt: str,
    thickness: int = 1,
) -> None:
    """Add outlines of labels to each panel, later groups on top."""
    for panel, plane in zip(panels, labels.planes, strict=True):
        large = stretch(plane, panel.height, panel.width)
        edge = boundary(large, thickness)
        codes = np.zeros(large.shape, dtype=np.uint8)
        for code, (group, _) in enumerate(groups, start=1):
            codes[edge if group is None else edge & np.isin(large, group)] = code
        if codes.any():
            drawn = png.layer(codes, tuple(colour for _, colour in groups))
            panel.layers.append(Layer(classes, drawn, alt))
