"""Time series: nuclei that move, divide and grow, in the layout of the Cell Tracking Challenge."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cytosuite.datasets.nuclei.generate import draw_light, draw_values, show
from cytosuite.datasets.nuclei.motion import Names, colonies
from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.nuclei.population import annotate
from cytosuite.datasets.physics.grid import Labels
from cytosuite.datasets.sample import Sample
from cytosuite.errors import InputError
from cytosuite.formats import write
from cytosuite.metrics.tracks.lineage import Track
from cytosuite.metrics.tracks.track_folder import write_sequence
from cytosuite.places import need_folder


def tracks_of(presence: Sequence[Names], mothers: Mapping[int, int]) -> dict[int, list[Track]]:
    """Return the tracks of each cell: one, or one for each stretch in which it can be seen.

    Parameters
    ----------
    presence : sequence of (K,) int array
        Names of the cells that have a label, for each frame.
    mothers : mapping of int to int
        Mother of each cell, 0 for none.

    Returns
    -------
    dict of int to list of Track
        By name, in time, with labels from 1 on without gaps. The first track of a daughter has the
        last one of its mother as parent, a later one the one before.
    """
    found: dict[int, list[Track]] = {}
    label = 0
    for frame, names in enumerate(presence):
        for name in names.tolist():
            own = found.setdefault(name, [])
            if own and own[-1].end == frame - 1:
                own[-1] = replace(own[-1], end=frame)
                continue
            before = own or found.get(mothers[name], [])
            label += 1
            own.append(Track(label, frame, frame, before[-1].label if before else 0))
    return found


def simulate_series(
    rng: np.random.Generator, parameters: Parameters, frames: int
) -> Iterator[tuple[Sample, Names, Names]]:
    """Yield the frames of a time series.

    Parameters
    ----------
    rng : numpy Generator
    parameters : Parameters
        Of the first frame; motion, light and camera of all.
    frames : int
        At least 1.

    Yields
    ------
    Sample, (M,) int array, (M,) int array
        A frame, and the cell and its mother (0: none) of each of its labels.

    Raises
    ------
    InputError
        If there is no frame, or nuclei do not fit.

    Notes
    -----
    A cell keeps its grey value; daughters draw their own. Labels within a sample are those of the
    frame.
    """
    if frames < 1:
        raise InputError(f"a time series needs at least 1 frame, found {frames}")
    for_cells, for_grey, for_light, for_camera = rng.spawn(4)
    light = draw_light(for_light, parameters)
    values = draw_values(for_grey, 0, parameters)
    for frame, colony in enumerate(colonies(for_cells, parameters, frames)):
        found = annotate(colony.present, colony.centres_um, parameters)
        names, mothers = colony.names[found.numbers], colony.mothers[found.numbers]
        more = int(colony.names.max(initial=0)) - len(values)
        values = np.append(values, draw_values(for_grey, max(more, 0), parameters))
        measures = {**light, "frame": frame}
        yield show(for_camera, found, values[names - 1], parameters, measures), names, mothers


def by_track(
    labels: Sequence[Labels], presence: Sequence[Names], mothers: Mapping[int, int]
) -> tuple[list[Labels], list[Track]]:
    """Return labels of frames by track instead of by frame, and the tracks.

    Parameters
    ----------
    labels : sequence of integer arrays
        One per frame.
    presence : sequence of (K,) int array
        Cell of each label, ``presence[frame][label - 1]``.
    mothers : mapping of int to int
        See `tracks_of`.
    """
    known = tracks_of(presence, mothers)
    found = []
    for frame, (own, names) in enumerate(zip(labels, presence, strict=True)):
        numbers = [
            next(t.label for t in known[name] if t.begin <= frame <= t.end)
            for name in names.tolist()
        ]
        found.append(np.append(0, numbers).astype(np.uint16)[own])
    return found, [track for own in known.values() for track in own]


def write_series(
    folder: Path,
    rng: np.random.Generator,
    parameters: Parameters,
    frames: int,
    name: str = "01",
    done: Callable[[int], None] = lambda _: None,
) -> None:
    """Write a time series as a sequence of the Cell Tracking Challenge, with its sketches.

    Parameters
    ----------
    folder : Path
        Gets ``01/tTTT.tif`` (images), ``01_SKETCH/tTTT.tif`` and at last ``01_GT/`` (``SEG``,
        ``TRA/man_track.txt``); none of them may hold anything.
    rng, parameters, frames
        See `simulate_series`.
    name : str
        Of the sequence.
    done : callable
        Is told how many frames are written.

    Raises
    ------
    InputError
        If nuclei do not fit, or the folder holds a sequence.

    Notes
    -----
    Memory: one frame, and 2 bytes per voxel of all frames.
    """
    for part in (name, f"{name}_SKETCH", f"{name}_GT"):
        need_folder(folder / part, new=True)
    digits = max(3, len(str(frames - 1)))
    labels, presence = [], []
    mothers: dict[int, int] = {}
    for number, (sample, names, own) in enumerate(simulate_series(rng, parameters, frames)):
        file = f"t{number:0{digits}d}.tif"
        write(folder / name / file, sample.volume("microscopy-image"))
        write(folder / f"{name}_SKETCH" / file, sample.volume("structure-sketch"))
        labels.append(sample.volume("instance-labels").array)
        presence.append(names)
        mothers |= dict(zip(names.tolist(), own.tolist(), strict=True))
        done(number + 1)
    write_sequence(folder / f"{name}_GT", *by_track(labels, presence, mothers), truth=True)
