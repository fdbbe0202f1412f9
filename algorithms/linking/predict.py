"""Entry point of Linking: a movie in, labels that cells keep over time and their tracks out."""

from collections.abc import Iterator, Mapping
from importlib import import_module

import numpy as np
from pydantic import Field

from cytosuite.algorithms.linking.link import Parameters, link, tracks_of
from cytosuite.algorithms.linking.repair import repaired
from cytosuite.contract.interface import image_of
from cytosuite.contract.manifest import Described, ModelCard, parameters_of
from cytosuite.contract.progress import part, report, state
from cytosuite.contract.sizes import Size, consent, probes, size_in
from cytosuite.contract.spacing import warned
from cytosuite.contract.tasks import FRAME_LABELS, IMAGE, LABELS, MOVIE, TRACKED, TRACKS
from cytosuite.contract.tracks import LARGEST
from cytosuite.contract.weights import Model
from cytosuite.errors import InputError
from cytosuite.files import Entries, Json
from cytosuite.volume import Volume
from cytosuite.volume.objects import numbered


class Settings(Described):
    """Parameters of a card."""

    links: Parameters = Parameters()
    """how unusual links may be"""
    segmenter: str = "watershed"
    """algorithm that segments frames without labels"""
    segmentation: Json = Field(default_factory=dict)
    """fields of its card, `parameters` and maybe `describes`; the weights are those of this card"""


def predict(inputs: Mapping[str, Volume], model: Model) -> Entries:
    """Return ``tracked-labels`` and ``tracks`` of a movie; InputError if it is none."""
    settings = parameters_of(model.card, Settings)
    if FRAME_LABELS.slug in inputs:
        labels = inputs[FRAME_LABELS.slug]
        state(cells="of the labels given")
    else:
        movie = image_of(inputs, MOVIE.slug, "TZYX")
        frames = [*_segmented(movie, settings, model)]
        lines = {line.partition(":")[0]: line for frame in frames for line in frame.origin.warnings}
        labels = warned(movie.like(np.stack([frame.array for frame in frames])), *lines.values())
        del frames  # room for the links
        state(cells=f"by {settings.segmenter}")
    if labels.axes not in {"TYX", "TZYX"}:
        raise InputError(f"expected a movie with the axes TYX or TZYX, found {labels.axes}")
    mended = repaired(labels.array, labels.spacing, settings.links.mend)
    if mended.cut or mended.joined:
        state(mended=f"{mended.cut} objects cut, {mended.joined} joined")
    cells = mended.cells
    names, tracks = tracks_of(cells, *link(cells, settings.links))
    if len(tracks) > LARGEST:
        raise InputError(f"expected at most {LARGEST} tracks, found {len(tracks)}")
    tracked = np.zeros(labels.shape, np.uint16)
    for image, frame, new in zip(
        mended.frames, tracked, np.split(names, cells.first[1:-1]), strict=True
    ):
        frame[...] = np.append(0, new)[numbered(image)[1]]
    return {TRACKED.slug: labels.like(tracked), TRACKS.slug: tracks}


def _segmented(movie: Volume, settings: Settings, model: Model) -> Iterator[Volume]:
    """Yield the labels of each frame, which the segmenter sees as an image of its own.

    All have one size of objects, where the segmenter estimates it.
    """
    # An image holds those that the manifest ``uses``.
    segment = import_module(f"cytosuite.algorithms.{settings.segmenter}.predict").predict
    card: ModelCard = model.card.model_copy(update=settings.segmentation)
    count, metadata = len(movie.array), dict(movie.metadata)

    def segmented(number: int) -> Volume:
        """Return the labels of a frame."""
        image = Volume(movie.array[number], movie.spacing, movie.axes[1:], metadata, movie.origin)
        labels: Volume = segment({IMAGE.slug: image}, Model(card, model.weights))[LABELS.slug]
        return labels

    def size(labels: Volume) -> Size | None:
        """Return the size that a frame guesses."""
        return size_in(labels.metadata, movie.spacing[-1], f"{settings.segmenter}_")

    probed = {0: segmented(0)}
    if size(probed[0]):
        probed |= {number: segmented(number) for number in sorted(probes(count) - {0})}
    sizes = {number: own for number, labels in probed.items() if (own := size(labels))}
    if agreed := consent(sizes, sequence=True):
        metadata |= agreed[0]
        probed.clear()
    for number in range(count):
        with part(number, count):
            labels = probed.pop(number, None) or segmented(number)
            yield labels
        report(number + 1, count)
