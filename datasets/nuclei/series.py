"""Time series: nuclei that move, divide and grow, in the layout of the Cell Tracking Challenge."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cytosuite.bodies.grid import Labels
from cytosuite.bodies.stars import Stars
from cytosuite.contract.tracks import Track
from cytosuite.datasets.nuclei.generate import draw_light, draw_values, show
from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.nuclei.population import annotate, draw_population, place, populate
from cytosuite.datasets.sample import Sample
from cytosuite.files import Scalars, need_folder
from cytosuite.formats import write
from cytosuite.metrics.tracks.lineage import Lineage
from cytosuite.metrics.tracks.track_folder import write_sequence
from cytosuite.volume import Volume, seed_of
from cytosuite.volume.arrays import Doubles, Longs, Rng

Names = Longs

GROWTH = 8.0  # frames after which a daughter is as large as its mother
APART = 0.6  # of the mother's longest semi-axis: how far daughters start from its centre


class Colony(NamedTuple):
    """The nuclei of one frame."""

    stars: Stars  # full-grown
    centres_um: Doubles
    size: Doubles  # present radius relative to the full-grown one
    names: Names  # cells, from 1 on, each with one name from division to division; 0: no mother
    mothers: Names

    @property
    def present(self) -> Stars:
        """The nuclei in their present size."""
        size = self.size[:, None]
        axes = self.stars.axes_um * size
        return replace(self.stars, axes_um=axes, semi_axes_um=self.stars.semi_axes_um * size)


def colonies(rng: Rng, parameters: Parameters, frames: int) -> Iterator[Colony]:
    """Yield the nuclei of each frame; InputError where they fit no more into the foreground."""
    for_place, for_shape, for_motion = rng.spawn(3)
    stars, centres, room = populate(for_place, for_shape, parameters)
    count = len(stars)
    colony = Colony(stars, centres, np.ones(count), np.arange(1, count + 1), np.zeros(count, int))
    for frame in range(frames):
        if frame > 0:
            colony = _step(for_motion, for_shape, colony, parameters)
            turned, moved = place(for_place, colony.present, room, parameters, colony.centres_um)
            stars = replace(colony.stars, rotations=turned.rotations)
            colony = colony._replace(stars=stars, centres_um=moved)
        yield colony


def _step(rng: Rng, for_shape: Rng, old: Colony, parameters: Parameters) -> Colony:
    """Return the nuclei after growth, divisions and random steps; new names follow the highest."""
    axes = 2 if parameters.image.plane else 3
    half = 2 ** (-1 / axes)  # the radius of half the volume
    ripe = (rng.random(len(old.names)) < parameters.division) & (old.size >= 1)
    mothers = np.flatnonzero(ripe)
    rest = np.flatnonzero(~ripe)
    origin = np.concatenate([rest, np.repeat(mothers, 2)])
    count = len(origin)
    born = 2 * len(mothers)
    stars = Stars.joined([old.stars.take(rest), draw_population(for_shape, born, parameters)])
    axes_um = old.stars.axes_um[origin]
    stars = replace(
        stars, axes_um=axes_um, semi_axes_um=axes_um * (stars.semi_axes_um / stars.axes_um)
    )
    size = np.minimum(old.size[origin] * 2 ** (1 / (axes * GROWTH)), 1)
    size[len(rest) :] = half
    long = old.stars.rotations[mothers, :, 2] * old.stars.axes_um[mothers, 2:] * APART
    centres = old.centres_um[origin]
    centres[len(rest) :] += np.stack([long, -long], axis=1).reshape(-1, 3)
    steps = rng.normal(0, parameters.step_um, (count, 3))
    steps[:, : 3 - axes] = 0
    names = old.names[origin]
    parents = old.mothers[origin]
    parents[len(rest) :] = names[len(rest) :]
    names[len(rest) :] = old.names.max(initial=0) + 1 + np.arange(born)
    return Colony(stars, centres + steps, size, names, parents)


def simulate_series(
    rng: Rng, parameters: Parameters, frames: int
) -> Iterator[tuple[Sample, Names, Names]]:
    """Yield frames with the cell and its mother (0: none) of each label; cells keep their grey."""
    for_cells, for_grey, for_light, for_camera, for_optics = rng.spawn(5)
    parameters = draw_light(for_light, for_optics, parameters)
    values = draw_values(for_grey, 0, parameters)
    for frame, colony in enumerate(colonies(for_cells, parameters, frames)):
        annotation = annotate(colony.present, colony.centres_um, parameters)
        names = colony.names[annotation.numbers]
        mothers = colony.mothers[annotation.numbers]
        more = int(colony.names.max(initial=0)) - len(values)
        values = np.append(values, draw_values(for_grey, more, parameters))
        seen = show(for_camera, annotation, values[names - 1], parameters, {"frame": frame})
        yield seen, names, mothers


def by_track(
    labels: Sequence[Labels], presence: Sequence[Names], mothers: Sequence[Names]
) -> tuple[list[Labels], list[Track]]:
    """Return labels by track, and the tracks: one per stretch of a cell, from 1 on.

    ``presence[frame][label - 1]`` is a cell, `mothers` has its mother; the parent of a stretch is
    the cell's own last one, or the mother's.
    """
    tracks: dict[int, list[Track]] = {}
    last = 0
    renumbered = []
    for frame, (image, *cells) in enumerate(zip(labels, presence, mothers, strict=True)):
        numbers = [0]
        for name, mother in np.transpose(cells).tolist():
            stretches = tracks.setdefault(name, [])
            if stretches and stretches[-1].end == frame - 1:
                stretches[-1] = replace(stretches[-1], end=frame)
            else:
                before = stretches or tracks.get(mother, [])
                last += 1
                stretches.append(Track(last, frame, frame, before[-1].label if before else 0))
            numbers.append(stretches[-1].label)
        renumbered.append(np.array(numbers, np.uint16)[image])
    return renumbered, [track for stretches in tracks.values() for track in stretches]


def generate(rng: Rng, parameters: Parameters) -> Sample:
    """Return a movie with labels over time and their tracks; 6 bytes per voxel of all frames."""
    samples, presence, mothers = zip(
        *simulate_series(rng, parameters, parameters.frames), strict=True
    )
    labels = [sample.volume("instance-labels").array for sample in samples]
    images = [sample.volume("microscopy-image") for sample in samples]
    tracked, tracks = by_track(labels, presence, mothers)
    arrays = {"microscopy-movie": [image.array for image in images]}
    if parameters.frame_labels:
        arrays["frame-labels"] = labels
    arrays["tracked-labels"] = tracked
    movies = {
        slug: replace(images[0], array=np.stack(frames), axes=f"T{images[0].axes}")
        for slug, frames in arrays.items()
    }
    divisions = len(Lineage.of(tracks).divisions())
    step = parameters.step_um / float(np.mean(parameters.radius_um))
    return Sample(
        {**movies, "tracks": tracks},
        metadata={**samples[0].metadata, "n_tracks": len(tracks)},
        conditions={"step / radius": round(step, 3), "divisions": divisions},
    )


def write_series(
    folder: Path,
    rng: Rng,
    parameters: Parameters,
    frames: int,
    name: str = "01",
    done: Callable[[int], None] = lambda _: None,
) -> Scalars:
    """Write ``01/tTTT.tif``, ``01_SKETCH/``, ``01_GT/``, and return the drawn values.

    Memory: 2 bytes per voxel of all.
    """
    for part in (name, f"{name}_SKETCH", f"{name}_GT"):
        need_folder(folder / part, new=True)
    digits = max(3, len(str(frames - 1)))
    labels, presence, mothers = list[Volume](), list[Names](), list[Names]()
    for number, (sample, names, parents) in enumerate(simulate_series(rng, parameters, frames)):
        file = f"t{number:0{digits}d}.tif"
        labels.append(sample.volume("instance-labels"))
        # 53 bits are whole in any JSON. By it a synthesiser's noise moves with the tracks.
        shared = {"series_seed": seed_of(labels[0]) >> 11}
        image = sample.volume("microscopy-image")
        write(folder / name / file, replace(image, metadata={**image.metadata, **shared}))
        write(folder / f"{name}_SKETCH" / file, sample.volume("structure-sketch"))
        presence.append(names)
        mothers.append(parents)
        done(number + 1)
    tracked = by_track([volume.array for volume in labels], presence, mothers)
    like = replace(labels[0], metadata=shared)
    write_sequence(folder / f"{name}_GT", *tracked, truth=True, like=like)
    return {key: value for key, value in sample.metadata.items() if key != "frame"}
