"""Volumes of a case as the slice viewer shows them: each is read once, and one at a time."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from cytosuite.benchmark.report.pictures import stacks
from cytosuite.benchmark.runs.data.circles import circles
from cytosuite.benchmark.runs.data.planes import frames, grey, limits, spatial
from cytosuite.benchmark.scores.matches import read_links
from cytosuite.benchmark.scores.results import CaseFiles, Matches, Results
from cytosuite.contract.points import read_points
from cytosuite.contract.tasks import TRACKS, Kind, Socket
from cytosuite.contract.tracks import read_tracks
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.files import TextSeq, frozen
from cytosuite.formats import read
from cytosuite.metrics.tracks.tracking import LinkError
from cytosuite.volume.arrays import Array, Floats, Interval, Lengths, Shape, Words

LOGGER = logging.getLogger(__name__)
VOXELS = 2**22  # of one volume, at most


@frozen
class ShownVolume:
    """One volume of a case on the grid that is shown."""

    title: str  # its name for readers
    kind: Kind  # whether it is shown as grey values or as outlines
    array: Floats | Words  # grey values, or numbers of objects from 1
    full: Shape  # voxels of the file, z y x
    spacing: Lengths  # extent of a voxel of the file, z y x, in `unit`
    unit: Literal["µm", "px"]  # ``"px"`` where the voxel size is not known
    limits: Interval  # values shown as black and white; an output has the truth's
    ids: list[int] = field(default_factory=list)  # label of each object by its number, less 1
    movie: bool = False  # whether z counts frames
    parents: list[int] = field(default_factory=list)  # of tracks: number of each parent, 0 for none


@frozen
class CaseVolumes:
    """All volumes of a case."""

    name: str  # name of the case
    inputs: list[ShownVolume]  # the main one first
    channels: list[ShownVolume]  # other images of it, under the outlines of objects
    truth: ShownVolume | None
    real: ShownVolume | None  # to compare with where there is no truth
    outputs: Mapping[str, ShownVolume | None]  # None without a valid one
    matches: Mapping[str, Matches | None]  # by algorithm, where they are known
    links: Mapping[str, Sequence[LinkError]] = field(default_factory=dict)  # wrong ones of tracks


def read_scene(
    results: Results,
    output: Socket,
    case: CaseFiles,
    algorithms: TextSeq,
    neighbour: Path | None = None,
) -> CaseVolumes:
    """Read the volumes of a case on grids of at most `VOXELS`; InputError if broken."""
    sockets = {socket.slug: socket for socket in results.task.inputs}
    kinds: dict[str, Kind] = {
        slug: "labels" if socket.kind == "labels" else "image" for slug, socket in sockets.items()
    }
    inputs = [
        shown_volume(file, "Input" if len(case.inputs) == 1 else sockets[slug].title, kinds[slug])
        for slug, file in case.inputs.items()
    ]
    shape = inputs[0].full
    shown = partial(_shown, kind=output.kind, main=inputs[0])
    true = case.truth.get(output.slug)
    table = case.truth.get(TRACKS.slug)
    truth = None if true is None else _tracked(shown(true, "Truth"), table)
    if truth is not None and truth.full != shape:
        raise InputError(f"{true}: expected the shape {shape} of the image, found {truth.full}")
    outputs: dict[str, ShownVolume | None] = {}
    for name in algorithms:
        outputs[name] = None
        files = results.outputs.get((name, case.name), {})
        path = files.get(output.slug)
        table = files.get(TRACKS.slug)
        try:
            answer = None if path is None else _tracked(shown(path, "Output"), table)
        except (CytosuiteError, OSError) as error:
            LOGGER.warning("%s: not drawn: %s", path, error)
            continue
        if answer is not None and answer.full == shape:
            outputs[name] = answer if truth is None else replace(answer, limits=truth.limits)
    real = None
    if output.kind == "image" and truth is None and neighbour is not None:
        real = shown_volume(neighbour, f"Real image {neighbour.stem}", "image")
    others = case.channels.items() if output.kind in ("labels", "points") else ()
    read_in = [shown_volume(path, name, "image") for name, path in others]
    channels = [volume for volume in read_in if volume.full == shape]
    matches = {name: results.matches.get((name, case.name)) for name in algorithms}
    links = {
        name: read_links(results.links[name, case.name])
        for name in algorithms
        if (name, case.name) in results.links
    }
    return CaseVolumes(case.name, inputs, channels, truth, real, outputs, matches, links)


def _shown(path: Path, title: str, kind: Kind, main: ShownVolume) -> ShownVolume:
    """Read a truth or an output; points are shown as circles on the grid of the main input."""
    if kind != "points":
        return shown_volume(path, title, kind)
    spacing = main.spacing[1:] if main.full[0] == 1 else main.spacing
    points = read_points(path, spacing)
    discs = circles(points, main.full, main.array.shape)
    ids = list(range(1, len(points) + 1))
    return ShownVolume(title, "labels", discs, main.full, main.spacing, main.unit, (0.0, 1.0), ids)


def _tracked(volume: ShownVolume, table: Path | None) -> ShownVolume:
    """Return labels with the parents of their tracks, where there is a table of these."""
    if table is None:
        return volume
    parents = {track.label: track.parent for track in read_tracks(table)}
    number = {label: n for n, label in enumerate(volume.ids, 1)}
    return replace(volume, parents=[number.get(parents.get(n, 0), 0) for n in volume.ids])


def shown_volume(path: Path, title: str, kind: Kind) -> ShownVolume:
    """Read a volume on a grid of at most `VOXELS` voxels."""
    volume = read(path)
    movie = "T" in volume.axes
    array, spacing = frames(volume) if movie else spatial(volume)
    shape = stacks.coarser(array.shape, spacing, VOXELS)
    unit: Literal["µm", "px"] = "px" if volume.spacing_is_assumed else "µm"
    values: Floats | Words
    if kind == "labels":
        small, ids = stacks.sampled(array, shape)
        values, ends, labels = stacks.renumbered(small, ids), (0.0, 1.0), ids.tolist()
    else:
        ends = limits(array)
        labels = []
        values = stacks.averaged(array, shape, ends)
    return ShownVolume(title, kind, values, array.shape, spacing, unit, ends, labels, movie)


def shrunk(volume: ShownVolume, voxels: int) -> Array:
    """Return a volume with at most so many voxels: grey values, or numbers of objects."""
    shape = stacks.coarser(volume.full, volume.spacing, min(voxels, VOXELS))
    if volume.kind == "labels":
        return stacks.sampled(np.asarray(volume.array, dtype=np.uint32), shape)[0]
    return grey(stacks.averaged(volume.array, shape), volume.limits)
