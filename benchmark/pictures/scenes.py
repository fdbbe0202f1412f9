"""Volumes of a case as the slice viewer shows them: each is read once, and one at a time."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cytosuite.benchmark.pictures.planes import grey, limits, spatial
from cytosuite.benchmark.pictures.stacks import (
    Indices,
    Shape,
    averaged,
    coarser,
    renumbered,
    sampled,
)
from cytosuite.benchmark.results.results import CaseFiles, Matches, Results
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.formats import read
from cytosuite.tasks import Kind, Socket

LOGGER = logging.getLogger(__name__)
VOXELS = 2**22  # of one volume, at most


@dataclass(frozen=True, slots=True)
class ShownVolume:
    """One volume of a case on the grid that is shown.

    Parameters
    ----------
    title : str
        Its name for readers.
    kind : {"image", "labels"}
        Whether it is shown as grey values or as outlines.
    array : (Z, Y, X) array
        Float values of an image, or numbers of objects from 1.
    full : tuple of int
        Voxels of the file, z y x.
    spacing : tuple of float
        Extent of a voxel of the file, z y x, in `unit`.
    unit : {"µm", "px"}
        ``"px"`` where the voxel size is not known.
    limits : tuple of float
        Values shown as black and white; of an output those of the truth.
    ids : list of int
        Label of each object by its number, less 1.
    """

    title: str
    kind: Kind
    array: NDArray[np.float32] | Indices
    full: Shape
    spacing: tuple[float, ...]
    unit: Literal["µm", "px"]
    limits: tuple[float, float]
    ids: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CaseVolumes:
    """All volumes of a case.

    Parameters
    ----------
    name : str
        Name of the case.
    inputs : list of ShownVolume
        The main one first.
    truth, real : ShownVolume or None
        The true output, or where there is none a real image to compare with.
    outputs : mapping of str to ShownVolume or None
        By algorithm; None without a valid output of the input's shape.
    matches : mapping of str to Matches or None
        Objects found and missed by each algorithm, where they are known.
    """

    name: str
    inputs: list[ShownVolume]
    truth: ShownVolume | None
    real: ShownVolume | None
    outputs: Mapping[str, ShownVolume | None]
    matches: Mapping[str, Matches | None]


def read_scene(
    results: Results,
    output: Socket,
    case: CaseFiles,
    algorithms: Sequence[str],
    neighbour: Path | None = None,
) -> CaseVolumes:
    """Read the volumes of a case, none with more than `VOXELS` voxels.

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
    truth = None if true is None else shown_volume(true, "Truth", output.kind)
    inputs = [
        shown_volume(
            file, "Input" if len(case.inputs) == 1 else sockets[slug].title, sockets[slug].kind
        )
        for slug, file in case.inputs.items()
    ]
    shape = inputs[0].full
    if truth is not None and truth.full != shape:
        raise InputError(f"{true}: expected the shape {shape} of the image, found {truth.full}")
    outputs: dict[str, ShownVolume | None] = {}
    for name in algorithms:
        outputs[name] = None
        path = results.outputs.get((name, case.name), {}).get(output.slug)
        try:
            made = None if path is None else shown_volume(path, "Output", output.kind)
        except (CytosuiteError, OSError) as error:
            LOGGER.warning("%s: not drawn: %s", path, error)
            continue
        if made is not None and truth is not None:
            made = replace(made, limits=truth.limits)
        outputs[name] = made if made is not None and made.full == shape else None
    real = None
    if output.kind == "image" and truth is None and neighbour is not None:
        real = shown_volume(neighbour, f"Real image {neighbour.stem}", "image")
    matches = {name: results.matches.get((name, case.name)) for name in algorithms}
    return CaseVolumes(case.name, inputs, truth, real, outputs, matches)


def shown_volume(path: Path, title: str, kind: Kind) -> ShownVolume:
    """Read a volume on a grid of at most `VOXELS` voxels."""
    volume = read(path)
    array, spacing = spatial(volume)
    shape = coarser(array.shape, spacing, VOXELS)
    unit: Literal["µm", "px"] = "px" if volume.spacing_is_assumed else "µm"
    if kind == "labels":
        small, ids = sampled(array, shape)
        numbers, known = renumbered(small, ids), ids.tolist()
        return ShownVolume(title, kind, numbers, array.shape, spacing, unit, (0.0, 1.0), known)
    ends = limits(array)
    values = averaged(array, shape, ends)
    return ShownVolume(title, kind, values, array.shape, spacing, unit, ends)


def shrunk(volume: ShownVolume, voxels: int) -> NDArray[Any]:
    """Return a volume with at most so many voxels: grey values, or numbers of objects."""
    shape = coarser(volume.full, volume.spacing, min(voxels, VOXELS))
    if volume.kind == "labels":
        return sampled(np.asarray(volume.array, dtype=np.uint32), shape)[0]
    return grey(averaged(volume.array, shape), volume.limits)
