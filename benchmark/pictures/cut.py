"""Cases cut into planes: each volume is read once, and one at a time."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cytosuite.benchmark.pictures.planes import Pixels, cut_at, limits, planes, spatial
from cytosuite.benchmark.results.results import CaseFiles, Matches, Results
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.formats import read
from cytosuite.tasks import Kind, Socket

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Slices:
    """Planes of one volume.

    Parameters
    ----------
    title : str
        Its name for readers.
    kind : {"image", "labels"}
        Whether it is shown as grey values or as outlines.
    planes : list of 2D arrays
        (Y, X), and for a volume of several planes (Z, X) and (Y, Z).
    shape, cut : tuple of int
        Voxels of the volume, and the index of each plane, z y x.
    spacing : tuple of float
        Extent of a voxel, z y x, in `unit`.
    unit : {"µm", "px"}
        ``"px"`` where the voxel size is not known.
    limits : tuple of float
        Values shown as black and white.
    objects : int or None
        Number of labels, where it was counted.
    """

    title: str
    kind: Kind
    planes: list[Pixels]
    shape: tuple[int, ...]
    cut: tuple[int, ...]
    spacing: tuple[float, ...]
    unit: Literal["µm", "px"]
    limits: tuple[float, float]
    objects: int | None = None


@dataclass(frozen=True, slots=True)
class CutCase:
    """Planes of all volumes of a case.

    Parameters
    ----------
    name : str
        Name of the case.
    shown : list of Slices
        The inputs, the main one first; then the truth, or a real image to compare with.
    truth : Slices or None
        The true output.
    outputs : mapping of str to Slices or None
        By algorithm; None without a valid output of the input's shape.
    matches : mapping of str to Matches or None
        Objects found and missed by each algorithm, where they are known.
    """

    name: str
    shown: list[Slices]
    truth: Slices | None
    outputs: Mapping[str, Slices | None]
    matches: Mapping[str, Matches | None]


def cut_case(
    results: Results,
    output: Socket,
    case: CaseFiles,
    algorithms: Sequence[str],
    neighbour: Path | None = None,
) -> CutCase:
    """Read the volumes of a case and keep their planes.

    Parameters
    ----------
    results, output, case
        The run, the output to show, and a case with one input at least.
    algorithms : sequence of str
        Algorithms with outputs to read.
    neighbour : Path, optional
        A real image, read where there is no truth.

    Raises
    ------
    InputError
        If an input or the truth cannot be read, or they differ in shape.
    """
    sockets = {socket.slug: socket for socket in results.task.inputs}
    true = case.truth.get(output.slug)
    truth = None if true is None else _slices(true, "Truth", output.kind)
    at = truth.cut if truth is not None and output.kind == "labels" else None
    inputs = []
    for slug, file in case.inputs.items():
        title = "Input" if len(case.inputs) == 1 else sockets[slug].title
        inputs.append(_slices(file, title, sockets[slug].kind, at))
    shape = inputs[0].shape
    if truth is not None and truth.shape != shape:
        raise InputError(f"{true}: expected the shape {shape} of the image, found {truth.shape}")
    outputs: dict[str, Slices | None] = {}
    for name in algorithms:
        outputs[name] = None
        path = results.outputs.get((name, case.name), {}).get(output.slug)
        try:
            made = None if path is None else _slices(path, "Output", output.kind, at, not truth)
        except (CytosuiteError, OSError) as error:
            LOGGER.warning("%s: not drawn: %s", path, error)
            continue
        outputs[name] = made if made is not None and made.shape == shape else None
    compared = [] if truth is None else [truth]
    if output.kind == "image" and truth is None and neighbour is not None:
        compared = [_slices(neighbour, f"Real image {neighbour.stem}", "image")]
    matches = {name: results.matches.get((name, case.name)) for name in algorithms}
    return CutCase(case.name, inputs + compared, truth, outputs, matches)


def _slices(
    path: Path, title: str, kind: Kind, cut: tuple[int, ...] | None = None, count: bool = False
) -> Slices:
    """Read a volume and keep copies of its planes, so that the volume itself can go."""
    volume = read(path)
    array, spacing = spatial(volume)
    labels = kind == "labels"
    if cut is None or any(at >= size for at, size in zip(cut, array.shape, strict=True)):
        cut = cut_at(array.shape, array if labels else None)
    return Slices(
        title,
        kind,
        [plane.copy() for plane in planes(array, cut)],
        array.shape,
        cut,
        spacing,
        "px" if volume.spacing_is_assumed else "µm",
        (0.0, 1.0) if labels else limits(array),
        int(np.count_nonzero(np.unique(array))) if labels and count else None,
    )
