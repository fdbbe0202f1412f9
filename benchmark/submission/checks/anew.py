"""Write an image of strangers anew: a daemon reads no name, tag or key of theirs."""

import json
from collections.abc import Iterator
from pathlib import Path
from tarfile import BLOCKSIZE, GNU_FORMAT, TarInfo

from cytosuite.benchmark.submission.checks.layers import ImageArchive, ImageLayer
from cytosuite.benchmark.submission.checks.stream import (
    CHUNK,
    ArchiveError,
    Budget,
    Forward,
    expanded,
    inner,
    legible,
    members,
)
from cytosuite.files import open_regular


def anew(path: Path, image: ImageArchive) -> Iterator[bytes]:
    """Yield a plain archive of an image as `read_archive` found it: config and layers, no tags.

    Raises
    ------
    ArchiveError
        If layers are not those of the config, or no longer those that were found.
    """
    for place, text in image.altered().items():
        raise ArchiveError("archive.layer-altered", f"{path}: {place}: {text}")
    config = f"{image.id.removeprefix('sha256:')}.json"
    listed = {"Config": config, "RepoTags": None, "Layers": [_place(each) for each in image.layers]}
    yield _member("manifest.json", json.dumps([listed]).encode())
    yield _member(config, image.text)
    wanted = {each.name: each for each in {one.digest: one for one in image.layers}.values()}
    with open_regular(path) as source, legible():
        stream = Forward(expanded(source, image.compression), Budget.of(image.size))
        for member in members(stream):
            if (layer := wanted.pop(member.name, None)) is not None:
                yield _header(_place(layer), layer.size)
                yield from _content(stream, member.size, layer)
                yield bytes(-layer.size % BLOCKSIZE)
    if wanted:
        raise _changed(next(iter(wanted)))
    yield bytes(2 * BLOCKSIZE)


def _content(stream: Forward, size: int, layer: ImageLayer) -> Iterator[bytes]:
    """Yield the bytes of a layer, expanded, of which never more than it had."""
    opened = inner(stream, stream.take(min(BLOCKSIZE, size)), size)
    if opened is not None:
        while (part := opened[0].take(CHUNK)) and opened[0].position <= layer.size:
            yield part
    if opened is None or f"sha256:{opened[0].hash.hexdigest()}" != layer.digest:
        raise _changed(layer.name)


def _changed(name: str) -> ArchiveError:
    """Return the error of a file that is not what it was a moment ago."""
    return ArchiveError("archive.damaged", f"layer {name} changed while it was read")


def _place(layer: ImageLayer) -> str:
    """Return the name of a layer's member."""
    return f"{layer.digest.removeprefix('sha256:')}/layer.tar"


def _member(name: str, content: bytes) -> bytes:
    """Return a small file as a member."""
    return _header(name, len(content)) + content + bytes(-len(content) % BLOCKSIZE)


def _header(name: str, size: int) -> bytes:
    """Return the header of a file, without owner and time."""
    entry = TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry.tobuf(GNU_FORMAT)
