"""Cells linked by `algorithms/linking`, beside laptrack, on the same labels: scores and CPU time.

Usage: python performance/linking.py [--movies 4] [--recipes NAME...] [--crowd FRAMES]

Simulated movies of 12 frames, by their true labels and by the labels of `watershed` in each frame.
laptrack (Fukai and Kawaguchi 2022, doi:10.1093/bioinformatics/btac799) links centres, or overlaps;
its cut-offs are those that are best on movies of their own (another seed), for each recipe; ours
are the defaults. What laptrack writes becomes tracks without gaps, as the metrics take them.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from statistics import fmean
from typing import NamedTuple

import numpy as np
import pandas as pd
from side_by_side import installed
from skimage.measure import regionprops_table

from cytosuite.algorithms.linking.predict import predict
from cytosuite.algorithms.watershed.predict import predict as segment
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.scores.controls import nearest
from cytosuite.benchmark.scores.facts import Movie as Truth
from cytosuite.contract.manifest import read_card
from cytosuite.contract.progress import gathered
from cytosuite.contract.tasks import FRAME_LABELS, IMAGE, LABELS, MOVIE, TRACKED, TRACKS
from cytosuite.contract.tracks import Track
from cytosuite.contract.weights import Model, open_model
from cytosuite.datasets import simulate
from cytosuite.datasets.sample import Sample
from cytosuite.metrics.tracks.biology import bc0, ct, tf
from cytosuite.metrics.tracks.lineage import TrackedSequence
from cytosuite.metrics.tracks.matched_tracks import match_tracks
from cytosuite.metrics.tracks.tracking import lnk, tra
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array

Linker = Callable[[Volume], TrackedSequence]
RECIPES = ("gowt1", "hela", "crowded", "fast", "rare_frames")  # of `datasets/nuclei`
CUTS_UM, SPLITS_UM = (5, 10, 15, 25, 40), (0, 8, 15, 25)  # of laptrack, tuned
SEEDS = {"tuned": 900, "tested": 100}


class Movie(NamedTuple):
    """A simulated movie."""

    image: Volume
    labels: Volume  # true ones that cells keep
    tracks: list[Track]


def movies(recipe: str, part: str, number: int) -> list[Movie]:
    """Return simulated movies of a part, of its own seed."""
    settings = ["frames=12"]
    samples = simulate(f"nuclei/{recipe}", cases=number, seed=SEEDS[part], settings=settings)
    return [
        Movie(sample.volume(MOVIE.slug), sample.volume(TRACKED.slug), tracks_of(sample))
        for sample in samples
    ]


def tracks_of(sample: Sample) -> list[Track]:
    """Return the true tracks of a case."""
    tracks = sample.sockets[TRACKS.slug]
    assert isinstance(tracks, list)
    return tracks


def _model(algorithm: str) -> Model:
    """Return the shipped model for planes of nuclei."""
    folder = ROOT / "weights" / algorithm
    return open_model(folder, read_card(folder / "nuclei-2d.json"))


def ours(frames: Volume) -> TrackedSequence:
    """Return the tracks of our defaults for labels of frames."""
    with gathered():
        outputs = predict({FRAME_LABELS.slug: frames}, _model("linking"))
    return TrackedSequence(outputs[TRACKS.slug], outputs[TRACKED.slug].array)


def neighbours(frames: Volume) -> TrackedSequence:
    """Return the tracks of the control: each cell goes on as the nearest of the next frame."""
    linked = nearest(Truth(frames, []))
    return TrackedSequence(linked.tracks, linked.labels.array)


def centres(frames: Volume) -> pd.DataFrame:
    """Return label and centre [µm] of each cell of each frame."""
    rows = []
    for number, labels in enumerate(frames.array):
        table = pd.DataFrame(regionprops_table(labels, properties=("label", "centroid")))
        rows.append(table.assign(frame=number))
    cells = pd.concat(rows, ignore_index=True).rename(
        columns={"centroid-0": "y", "centroid-1": "x"}
    )
    cells[["y", "x"]] *= list(frames.spacing)
    return cells


def laptrack(cut_um: float, split_um: float) -> Linker:
    """Return laptrack with a longest step and a longest distance of daughters."""
    tracker = installed("laptrack").LapTrack(
        cutoff=cut_um**2, gap_closing_cutoff=cut_um**2, splitting_cutoff=split_um**2 or False
    )

    def run(frames: Volume) -> TrackedSequence:
        """Link the centres of all cells."""
        cells = centres(frames)
        linked, splits, _ = tracker.predict_dataframe(
            cells, ["y", "x"], only_coordinate_cols=False, frame_col="frame"
        )
        linked = linked.reset_index(drop=True)
        mothers = (
            {}
            if splits.empty
            else dict(zip(splits.child_track_id, splits.parent_track_id, strict=True))
        )
        return _tracks(frames.array, linked, mothers)

    return run


def _tracks(labels: Array, cells: pd.DataFrame, mothers: Mapping[int, int]) -> TrackedSequence:
    """Return the tracks of laptrack, each gap as the end of one and the begin of its child."""
    tracked, tracks = np.zeros(labels.shape, np.uint16), list[Track]()
    last: dict[int, int] = {}  # label of the last piece of a track
    first = cells.groupby("track_id").frame.min().sort_values(kind="stable")
    for name in map(int, first.index.tolist()):
        rows = cells[cells.track_id == name].sort_values("frame")
        parent = last.get(mothers.get(name, -1), 0)
        for _, piece in rows.groupby((rows.frame.diff() != 1).cumsum()):
            number = len(tracks) + 1
            tracks.append(Track(number, int(piece.frame.min()), int(piece.frame.max()), parent))
            for frame, label in zip(piece.frame, piece.label, strict=True):
                tracked[frame][labels[frame] == label] = number
            parent = last[name] = number
    return TrackedSequence(tracks, tracked)


def watershed(image: Volume) -> Volume:
    """Return the labels that `watershed` gives each frame."""
    model = _model("watershed")
    frames = []
    for frame in image.array:
        with gathered():
            plane = Volume(frame, image.spacing, image.axes[1:], image.metadata)
            frames.append(segment({IMAGE.slug: plane}, model)[LABELS.slug].array)
    return image.like(np.stack(frames))


def scores(movie: Movie, linked: TrackedSequence) -> list[float]:
    """Return TRA, LNK, CT, TF and BC0."""
    tracks = match_tracks(TrackedSequence(movie.tracks, movie.labels.array), linked)
    return [metric.of(tracks) for metric in (tra, lnk, ct, tf, bc0)]


def tuned(examples: list[tuple[Movie, Volume]]) -> tuple[float, float]:
    """Return the cut-offs of laptrack with the highest TRA on some movies."""

    def mean(cuts: tuple[float, float]) -> float:
        """Return the mean TRA of cut-offs."""
        return fmean(scores(movie, laptrack(*cuts)(frames))[0] for movie, frames in examples)

    return max(product(CUTS_UM, SPLITS_UM), key=mean)


def rows(recipe: str, number: int) -> Iterator[str]:
    """Yield the lines of a recipe: by true labels and by watershed, ours and laptrack."""
    parts = {part: movies(recipe, part, number) for part in SEEDS}
    for source, frames_of in (
        ("true labels", lambda m: m.labels),
        ("watershed", lambda m: watershed(m.image)),
    ):
        pairs = {p: [(m, frames_of(m)) for m in some] for p, some in parts.items()}
        named: dict[str, Linker] = {"linking": ours, "nearest": neighbours}
        if installed("laptrack"):
            cuts = tuned(pairs["tuned"])
            named[f"laptrack, {cuts[0]} and {cuts[1]} µm"] = laptrack(*cuts)
        for name, linker in named.items():
            begin = time.process_time()
            linked = [linker(frames) for _, frames in pairs["tested"]]
            cpu = (time.process_time() - begin) / number
            values = zip(
                *(scores(m, t) for (m, _), t in zip(pairs["tested"], linked, strict=True)),
                strict=True,
            )
            means = " | ".join(f"{fmean(column):.4f}" for column in values)
            yield f"| {recipe}, {source} | {name} | {means} | {cpu:.2f} |"


def crowd(frames: int) -> str:
    """Return the CPU time of linking frames of 500 cells, 1024 x 1024 pixels, by true labels."""
    grid = np.moveaxis(np.indices((20, 25)), 0, -1).reshape(-1, 2) * (50.0, 40.0) + 25
    disc = np.argwhere(np.hypot(*(np.mgrid[-8:9, -8:9])) <= 8) - 8
    places, rng = grid.copy(), np.random.default_rng(0)
    film = np.zeros((frames, 1024, 1024), np.uint16)
    for image in film:
        for label, place in enumerate(np.rint(places).astype(int), 1):
            image[tuple((place + disc).T)] = label
        places += rng.normal(0, 0.7, places.shape) + 0.1 * (grid - places)
    begin = time.process_time()
    tracks = ours(Volume(film, (0.5, 0.5), "TYX")).tracks
    return (
        f"{frames} frames of 500 cells: {len(tracks)} tracks, {time.process_time() - begin:.1f} s"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--movies", type=int, default=4, help="of each recipe and part")
    parser.add_argument("--recipes", nargs="*", default=RECIPES)
    parser.add_argument("--crowd", type=int, help="frames of 500 cells, in place of the table")
    words = parser.parse_args()
    if words.crowd:
        print(crowd(words.crowd))
        return
    print("| movies | program | TRA | LNK | CT | TF | BC0 | CPU s a movie |\n|" + 8 * "---|")
    for recipe in words.recipes:
        for row in rows(recipe, words.movies):
            print(row, flush=True)


if __name__ == "__main__":
    main()
