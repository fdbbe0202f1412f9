"""Time series: nuclei that move, divide and grow, in the layout of the Cell Tracking Challenge."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cytosuite.datasets.nuclei.generate import draw_light, draw_values, show
from cytosuite.datasets.nuclei.motion import Motion, Names, colonies
from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.nuclei.population import annotate
from cytosuite.datasets.sample import Sample
from cytosuite.errors import InputError
from cytosuite.formats import write
from cytosuite.metrics.tracks.lineage import Track
from cytosuite.metrics.tracks.track_folder import write_sequence


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
    rng: np.random.Generator, parameters: Parameters, frames: int, motion: Motion
) -> tuple[list[Sample], list[NDArray[np.uint16]], list[Track]]:
    """Return the frames of a time series, their labels by track, and the tracks.

    Parameters
    ----------
    rng : numpy Generator
    parameters : Parameters
        Of the first frame; light and camera of all.
    frames : int
        At least 1.
    motion : Motion

    Raises
    ------
    InputError
        If there is no frame, or nuclei do not fit.

    Notes
    -----
    A cell keeps its grey value; daughters draw their own. Labels within a sample are those of the
    frame. All frames are held in memory.
    """
    if frames < 1:
        raise InputError(f"a time series needs at least 1 frame, found {frames}")
    for_cells, for_grey, for_light, for_camera = rng.spawn(4)
    light = draw_light(for_light, parameters)
    values = draw_values(for_grey, 0, parameters)
    samples: list[Sample] = []
    labels, presence = [], []
    mothers: dict[int, int] = {}
    for colony in colonies(for_cells, parameters, frames, motion):
        found = annotate(colony.present, colony.centres_um, parameters)
        names = colony.names[found.numbers]
        mothers |= dict(zip(colony.names.tolist(), colony.mothers.tolist(), strict=True))
        more = int(colony.names.max(initial=0)) - len(values)
        values = np.append(values, draw_values(for_grey, max(more, 0), parameters))
        own = values[names - 1]
        samples.append(show(for_camera, found, own, parameters, {**light, "frame": len(samples)}))
        labels.append(samples[-1].volume("instance-labels").array)
        presence.append(names)
    known = tracks_of(presence, mothers)
    for frame, names in enumerate(presence):
        of_track = [
            next(t.label for t in known[name] if t.begin <= frame <= t.end)
            for name in names.tolist()
        ]
        labels[frame] = np.append(0, of_track).astype(np.uint16)[labels[frame]]
    return samples, labels, [track for own in known.values() for track in own]


def write_series(
    folder: Path, seed: int, parameters: Parameters, frames: int, motion: Motion | None = None
) -> None:
    """Write a time series as a sequence of the Cell Tracking Challenge, with its sketches.

    Parameters
    ----------
    folder : Path
        Gets ``01/tTTT.tif`` (images), ``01_GT/`` (``SEG``, ``TRA/man_track.txt``) and
        ``01_SKETCH/tTTT.tif``; none of them may hold anything.
    seed, parameters, frames, motion
        See `simulate_series`.

    Raises
    ------
    InputError
        If nuclei do not fit, or the folder holds a sequence.
    """
    rng = np.random.default_rng(seed)
    samples, labels, tracks = simulate_series(rng, parameters, frames, motion or Motion())
    write_sequence(folder / "01_GT", labels, tracks, truth=True)
    for number, sample in enumerate(samples):
        write(folder / "01" / f"t{number:03d}.tif", sample.volume("microscopy-image"))
        write(folder / "01_SKETCH" / f"t{number:03d}.tif", sample.volume("structure-sketch"))
