"""Metadata of an image from all sources: the JSON socket, its file, its name."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf, isclose

from cytosuite.contract.manifest import ModelCard
from cytosuite.contract.spacing import plausible, text, warned
from cytosuite.contract.tasks import LABELS, Task
from cytosuite.errors import InputError, plain
from cytosuite.files import Entries, Json, Scalar, TextDict, TextPair
from cytosuite.volume import SPATIAL, Volume, scalars

# Words for a channel: structures, stains, and fusion proteins of a known structure.
CHANNELS = {
    "nucleus": r"nucle(us|i|ar)|chromatin|dapi|hoechst|h2[ab]\w*|histones?|h3\.3|nls|draq[57]|"
    r"sytox|syto\d*|to-?pro|(picog|sybr ?)green",
    "membrane": r"(plasma)?membranes?|cell ?(walls?|outlines?|borders?)|cell ?mask|cell ?brite|"
    r"fm ?[14]-?(43|64)|wga|caax\w*|myr|lti6b|pip2|[en]-?cadherin|calcofluor|scri",
    "cytoplasm": r"cyto(plasm|plasmic|sol|solic)?|whole ?cells?|cell ?tracker|calcein",
}
MOST = 100  # warnings of the JSON socket
# Names of Fuse My Cells: image_19_membrane_angle and image_19_membrane_fused belong together, and
# lie in folders like Study1 and Study1_H5.
STUDY = re.compile(r"(?<![a-z])study[ _-]?(\d+)(?!\d)", re.IGNORECASE)
PAIR = re.compile(r"(?P<specimen>.*[^_])_(?P<role>angle|fused)", re.IGNORECASE)


def channel_of(text: str) -> str | None:
    """Return the structure that a channel shows, by the words in a name of a file or a channel."""
    words = text.lower().replace("_", " ")
    structures = [
        name
        for name, pattern in CHANNELS.items()
        if re.search(rf"(?<![a-z])({pattern})(?![a-z])", words)
    ]
    return structures[0] if len(structures) == 1 else None


def view_role(name: str) -> TextPair | None:
    """Return specimen and role of an image of Fuse My Cells, by its name without suffix."""
    match = PAIR.fullmatch(name)
    return (match["specimen"], match["role"].lower()) if match else None


def study_of(name: str) -> int | None:
    """Return the study of Fuse My Cells that a name tells, of nested folders the inner one."""
    studies = STUDY.findall(name.replace("_", " "))
    return int(studies[-1]) if studies else None


def acquisition(volume: Volume) -> Json:
    """Return the metadata of an image for its JSON socket."""
    metadata: Json = dict(volume.metadata)
    if not volume.spacing_is_assumed:
        metadata["spacing"] = list(volume.spacing)
    if volume.origin.sources:
        metadata["sources"] = dict(volume.origin.sources)
    if volume.origin.warnings:
        metadata["warnings"] = list(volume.origin.warnings)
    return metadata


def described(volume: Volume, values: Entries, name: str = "") -> Volume:
    """Return an image with the metadata of JSON socket, file and name, in this order."""
    stated, refused = scalars(values)
    stored = scalars(volume.metadata)[0]
    origin = volume.origin
    sources = {**dict.fromkeys(stored, "file"), **origin.sources}
    channels = [
        (stated.get("channel"), _source(values, "channel")),
        (stored.get("channel"), f"{sources.get('channel')} of the file"),
        (channel_of(name), "name"),
    ]
    metadata = {**stored, **stated}
    sources |= {key: _source(values, key) for key in stated}
    if "channel" in metadata:
        metadata["channel"] = channel_of(str(metadata["channel"])) or metadata["channel"]
    elif (named := channel_of(name)) is not None:
        metadata["channel"], sources["channel"] = named, "name"
    sources.pop("spacing_source", None)
    lines = values.get("warnings")
    lines = lines[:MOST] if isinstance(lines, list) else []
    texts = (plain(line) for line in lines if isinstance(line, str))
    warnings = [*origin.warnings, *refused, *texts, *_contradictions(channels)]
    origin = replace(origin, sources=sources, warnings=tuple(dict.fromkeys(warnings)))
    return plausible(_scaled(replace(volume, metadata=metadata, origin=origin), values))


def _scaled(volume: Volume, values: Entries) -> Volume:
    size = values.get("spacing")
    if size is None:
        return volume
    source = _source(values, "spacing")
    where = "" if source == "user" else "acquisition metadata: "
    if not isinstance(size, list) or not all(
        isinstance(step, int | float) and not isinstance(step, bool) and 0 < step < inf
        for step in size
    ):
        raise InputError(f"{where}spacing must be positive numbers in µm, found {size!r}")
    spacing = tuple(float(value) for value in size)
    origin = replace(volume.origin, sources={**volume.origin.sources, "spacing": source}, unit="um")
    metadata = {k: value for k, value in volume.metadata.items() if k != "spacing_source"}
    try:
        result = replace(volume, spacing=spacing, metadata=metadata, origin=origin)
    except InputError as error:
        raise InputError(f"{where}{error}") from None
    same = all(isclose(a, b, rel_tol=0.02) for a, b in zip(spacing, volume.spacing, strict=True))
    if same or volume.spacing_is_assumed or source == "user":
        return result
    replaced = volume.origin.sources.get("spacing", "file")
    return warned(
        result,
        f"voxel size contradictory: {text(spacing)} µm ({source}), used, not "
        f"{text(volume.spacing)} µm ({replaced} of the file)",
    )


def as_plane(image: Volume, cards: Iterable[ModelCard]) -> Volume:
    """Return a stack of one slice as a plane where a card is for planes, others as they are."""
    if image.axes != SPATIAL or len(image.array) != 1:
        return image  # and no card is read
    if any(card.task == "segment" and card.describes.get("axes") == "YX" for card in cards):
        return replace(image, array=image.array[0], axes="YX", spacing=image.spacing[1:])
    return image


def with_given(volume: Volume, task: Task, slugs: Iterable[str]) -> Volume:
    """Return a main input with ``given``, ``labels`` or ``sketch``, where a task takes either."""
    if all(socket.slug != LABELS.slug for socket in task.inputs):
        return volume
    return replace(
        volume,
        metadata={**volume.metadata, "given": "labels" if LABELS.slug in slugs else "sketch"},
        origin=replace(volume.origin, sources={**volume.origin.sources, "given": "input"}),
    )


def _contradictions(channels: Sequence[tuple[Scalar | None, str]]) -> list[str]:
    sources: TextDict = {}
    for word, source in channels:
        if word is not None:
            sources.setdefault(channel_of(str(word)) or str(word), source)
    if len(sources) < 2:
        return []
    listed = ", ".join(f"{word} ({source})" for word, source in sources.items())
    return [f"channel contradictory: {listed}; the first was used"]


def _source(values: Entries, key: str) -> str:
    sources = values.get("sources")
    source = sources.get(key) if isinstance(sources, Mapping) else None
    return plain(source) if isinstance(source, str) else "json"
