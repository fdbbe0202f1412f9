"""Facts about cases and sets of images, each file decoded once and only when a metric needs it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from cytosuite.contract.points import Points, read_points
from cytosuite.contract.spacing import warned
from cytosuite.contract.tracks import Track, read_tracks
from cytosuite.folders.masks import Source, read_labels
from cytosuite.formats import header, read
from cytosuite.metrics.evidence import Facts
from cytosuite.metrics.labels.prepare import without_small
from cytosuite.metrics.realism.edges import EdgeSettings
from cytosuite.metrics.realism.scene import Scene
from cytosuite.metrics.tracks.lineage import TrackedSequence
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Lengths

Reader = Callable[[], Volume]
AnswerReader = Callable[[], Any]  # of a truth or an answer: a Volume, or Points


@dataclass(frozen=True, slots=True, eq=False)
class Movie:
    """Labels that cells keep over time, and their tracks."""

    labels: Volume  # T (Z) Y X
    tracks: Sequence[Track]

    @property
    def array(self) -> TrackedSequence:
        """The sequence that metrics take."""
        return TrackedSequence(self.tracks, self.labels.array)

    @property
    def spacing(self) -> Lengths:
        """Voxel size, µm."""
        return self.labels.spacing


def read_movie(labels: Path, table: Path) -> Movie:
    """Return a movie from its two files."""
    return Movie(read(labels), read_tracks(table))


def once(path: Source, group: str = "") -> Reader:
    """Return a reader of a file, or of masks, that decodes it on first use: its first channel."""

    def read_first() -> Volume:
        """Return the first channel, with a warning where there are others."""
        first, *others = read_labels(path, group).channels
        line = f"several channels: the first of {1 + len(others)} counts; save the one to score"
        return warned(first, line) if others else first

    return cache(read_first)


def once_points(path: Path, image: Path | None) -> Callable[[], Points]:
    """Return a reader of points on an image that decodes them on first use."""
    return cache(lambda: read_points(path, (1.0,) * 3 if image is None else header(image).spacing))


def case_facts(
    readers: Mapping[str, AnswerReader | None],
    data_range: Callable[[], float] | None = None,
    min_object_voxels: int = 0,
    radius_um: float | None = None,
    segmenter: str | None = None,
) -> Facts:
    """Return the facts about one case from readers of ``truth, prediction, image, labels``."""
    sources: dict[str, AnswerReader] = {
        name: partial(lambda reader: reader().array, reader)
        for name, reader in readers.items()
        if reader is not None
    }
    if min_object_voxels and {"truth", "prediction"} <= set(sources):
        truth = sources["truth"]
        answer = sources["prediction"]
        large = cache(lambda: without_small(truth(), answer(), min_object_voxels))
        sources |= {"truth": lambda: large()[0], "prediction": lambda: large()[1]}
    measured = readers.get("truth") or readers.get("image")
    if measured is not None:
        sources["spacing"] = lambda: measured().spacing
    for name, value in (("radius_um", radius_um), ("segmenter", segmenter)):
        if value is not None:
            sources[name] = partial(lambda value: value, value)
    if data_range is not None:
        sources["data_range"] = data_range
    return Facts(sources)


class ImageSet(NamedTuple):
    """Images without an order, and the labels of the objects in each, empty where not known."""

    images: Sequence[Reader]
    labels: Sequence[Reader] = ()

    def volumes(self) -> list[Volume]:
        """Return the images."""
        return [image() for image in self.images]

    def arrays(self) -> list[Any]:
        """Return the pixels of the images."""
        return [volume.array for volume in self.volumes()]

    def scenes(self) -> list[Scene]:
        """Return the images with their labels."""
        pairs = zip(self.volumes(), self.labels, strict=True)
        return [Scene(volume, labels().array) for volume, labels in pairs]


def set_facts(real: ImageSet, synthetic: ImageSet, edges: EdgeSettings | None = None) -> Facts:
    """Return the facts about two sets of images, in each form in which metrics take them."""
    sources: dict[str, AnswerReader] = {"edge_settings": lambda: edges}
    for name, images in (("real", real), ("synthetic", synthetic)):
        sources |= {f"{name}:arrays": images.arrays, f"{name}:volumes": images.volumes}
        if images.labels:
            sources[f"{name}:scenes"] = images.scenes
    return Facts(sources)
