"""Image archives of docker, podman and skopeo, read once, manifest last or first, never on disk."""

import hashlib
import json
import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tarfile import BLOCKSIZE, DIRTYPE, GNU_FORMAT, REGTYPE, SYMTYPE, TarInfo
from typing import Any, Literal, NamedTuple

from cytosuite.benchmark.engines.images.blueprints import FILE_MODE, entry_of
from cytosuite.benchmark.submission.checks.rules import SAVE
from cytosuite.errors import plain
from cytosuite.files import Entries, TextDict, frozen, parse_json
from cytosuite.files.tarball import (
    CHUNK,
    ArchiveError,
    Compression,
    Forward,
    inner,
    legible,
    members,
    opened_tar,
)

EntryKind = Literal["file", "folder", "link", "other"]
JSON_BYTES = 2**22
FILE_BYTES = 2**23  # of a file that is kept
KEPT_BYTES = 2**26  # of all kept files and JSON
LISTED = 200_000  # entries that are listed
MEMBERS = 2000  # of the archive: an image has at most 127 layers
LINKS = 16  # in a chain
Asks = Callable[[str], bool]  # whether a path is of interest
CHANGED = "changed while it was read"
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"


class Entry(NamedTuple):
    """A file, folder or link in a layer."""

    kind: EntryKind  # other: a device, a pipe, a second name of a file
    mode: int
    owner: int
    group: int
    target: str  # of a link, unresolved
    content: bytes | None  # of a file that was asked for and is not too large


View = Mapping[str, Entry]  # by absolute path


class ImageLayer(NamedTuple):
    """One layer of an image."""

    name: str  # member of the archive that holds it
    digest: str  # ``sha256:`` and 64 digits of its uncompressed tar, the config's diff id
    size: int  # bytes of the uncompressed tar
    entries: View  # those asked for
    removed: frozenset[str]  # paths that lower layers lose
    opaque: frozenset[str]  # folders that lose their content in lower layers


@frozen
class ImageArchive:
    """An image in an archive."""

    tags: list[str]  # its names
    config: Entries
    text: bytes  # the bytes of the config
    id: str  # ``sha256:`` and 64 digits of these bytes
    layers: tuple[ImageLayer, ...]  # the lowest first
    config_name: str
    index: object  # OCI's ``index.json``, None without one
    compression: Compression
    ended: bool  # whether the tar has its closing block of zeros

    def altered(self) -> TextDict:
        """Return the faults of layers that differ from the config, by their place."""
        rootfs = self.config.get("rootfs")
        stated = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        if not isinstance(stated, list) or len(stated) != len(self.layers):
            number = len(stated) if isinstance(stated, list) else "no"
            text = f"the config lists {number} layers, the manifest {len(self.layers)}"
            return {"rootfs.diff_ids": text}
        return {
            layer.name: f"expected {digest}, found {layer.digest}"
            for layer, digest in zip(self.layers, stated, strict=True)
            if layer.digest != digest
        }

    def view(self) -> View:
        """Return the entries asked for as a container sees them, after all removals."""
        entries: dict[str, Entry] = {}
        for layer in self.layers:
            solid = {path for path, entry in layer.entries.items() if entry.kind != "folder"}
            gone = layer.removed | solid
            hidden = layer.removed | solid | layer.opaque
            entries = {
                path: entry
                for path, entry in entries.items()
                if path not in gone and hidden.isdisjoint(parents(path))
            }
            entries.update(layer.entries)
        return entries


def parents(path: str) -> Iterator[str]:
    """Yield the folders above an absolute path, the nearest first."""
    while path != "/":
        path = posixpath.dirname(path)
        yield path


def anew(path: Path, image: ImageArchive) -> Iterator[bytes]:
    """Yield an archive of an image's config and layers, without tags, or ArchiveError."""
    for place, text in image.altered().items():
        raise ArchiveError("archive.layer-altered", f"{path}: {place}: {text}")
    config = f"{image.id.removeprefix('sha256:')}.json"
    listed = {
        "Config": config,
        "RepoTags": None,
        "Layers": [_place(layer) for layer in image.layers],
    }
    for name, content in (("manifest.json", json.dumps([listed]).encode()), (config, image.text)):
        yield _header(name, len(content)) + content + bytes(-len(content) % BLOCKSIZE)
    pending = {
        layer.name: layer for layer in {layer.digest: layer for layer in image.layers}.values()
    }
    with opened_tar(path) as stream, legible():
        for member in members(stream):
            if (layer := pending.pop(member.name, None)) is not None:
                yield _header(_place(layer), layer.size)
                yield from _content(stream, member.size, layer)
                yield bytes(-layer.size % BLOCKSIZE)
    if pending:
        raise ArchiveError("archive.damaged", f"layer {next(iter(pending))} {CHANGED}")
    yield bytes(2 * BLOCKSIZE)


def _content(stream: Forward, size: int, layer: ImageLayer) -> Iterator[bytes]:
    """Yield the expanded bytes of a layer, never more than were counted."""
    opened = inner(stream, stream.take(min(BLOCKSIZE, size)), size)
    if opened is not None:
        while (part := opened.take(CHUNK)) and opened.position <= layer.size:
            yield part
    if opened is None or f"sha256:{opened.hash.hexdigest()}" != layer.digest:
        raise ArchiveError("archive.damaged", f"layer {layer.name} {CHANGED}")


def _place(layer: ImageLayer) -> str:
    return f"{layer.digest.removeprefix('sha256:')}/layer.tar"


def _header(name: str, size: int) -> bytes:
    """Return the header of a file, without owner and time."""
    return entry_of(name, FILE_MODE, REGTYPE, size).tobuf(GNU_FORMAT)


def read_archive(
    path: Path,
    keep: Asks,
    note: Asks = lambda _: False,
    largest: int = FILE_BYTES,
) -> ImageArchive:
    """Read an image archive once; ArchiveError without exactly one whole image of sane size."""
    try:
        with opened_tar(path) as stream:
            scan = _Scan(stream, keep, note, largest)
            scan.all()
            return _image(scan, stream.form)
    except ArchiveError as error:
        raise ArchiveError(error.rule, f"{path}: {error}") from None


@dataclass
class _Scan:
    """Layers, texts and names of an archive, from one pass over it."""

    stream: Forward
    keep: Asks
    note: Asks
    largest: int
    texts: dict[str, bytes] = field(default_factory=dict)  # small members that may be JSON
    layers: dict[str, ImageLayer | ArchiveError] = field(default_factory=dict)
    links: TextDict = field(default_factory=dict)
    names: set[str] = field(default_factory=set)  # in small letters
    kept_bytes: int = 0
    listed: int = 0
    noted: int = 0

    def all(self) -> None:
        """Scan all members."""
        for number, member in enumerate(members(self.stream)):
            if number >= MEMBERS:
                raise _unsaved("archive.bomb", f"more than {MEMBERS} members")
            if member.isdir():
                continue
            name = member.name
            self._name(name)
            if member.issym():
                self.links[name] = posixpath.join(posixpath.dirname(name), member.linkname)
            elif member.islnk():
                self.links[name] = member.linkname
            elif member.isreg() and not member.issparse():
                self._file(name, member.size)

    def _name(self, name: str) -> None:
        """Take the name of a member, which all readers must take for the same."""
        canonical = name.isascii() and name.isprintable() and posixpath.normpath(name) == name
        if not canonical or name.startswith(("/", "..")):
            raise _unsaved(
                "archive.twice",
                f"member {plain(name, 90)}: expected a relative path without . and ..",
            )
        if name.lower() in self.names:
            raise _unsaved("archive.twice", f"two members of the name {name[:90]}")
        self.names.add(name.lower())

    def _file(self, name: str, size: int) -> None:
        """Scan a member that is a file: a layer, a JSON text, or neither."""
        with legible():
            head = self.stream.take(min(BLOCKSIZE, size))
            opened = inner(self.stream, head, size)
        if opened is not None:
            try:
                self.layers[name] = self._layer(name, opened)
            except ArchiveError as error:  # it matters if the manifest names it
                if error.rule == "archive.bomb":
                    raise
                self.layers[name] = ArchiveError(
                    "archive.layer-damaged", f"layer {plain(name, 90)}: {error}"
                )
        elif size <= JSON_BYTES and head.lstrip()[:1] in (b"{", b"["):
            self._keep(size)
            with legible():
                self.texts[name] = head + self.stream.take(size - len(head))

    def _layer(self, name: str, stream: Forward) -> ImageLayer:
        """Return a layer with its entries that were asked for."""
        entries = {}
        removed = set[str]()
        opaque = set[str]()
        for member in members(stream):
            path = posixpath.normpath(f"/{member.name.lstrip('/')}")
            folder, base = posixpath.split(path)
            asked = base.startswith(WHITEOUT) or self.keep(path)
            self.listed += asked
            if self.listed > LISTED:
                raise ArchiveError("archive.bomb", f"more than {LISTED} entries of interest")
            if base == OPAQUE:
                opaque.add(folder)
            elif base.startswith(WHITEOUT):
                removed.add(posixpath.join(folder, base.removeprefix(WHITEOUT)))
            elif asked:
                entries[path] = self._entry(member, stream, asked=True)
            elif self.note(path) and self.noted < LISTED:
                self.noted += 1
                entries[path] = self._entry(member, stream, asked=False)
        digest = f"sha256:{stream.hash.hexdigest()}"
        return ImageLayer(
            name, digest, stream.position, entries, frozenset(removed), frozenset(opaque)
        )

    def _entry(self, member: TarInfo, stream: Forward, *, asked: bool) -> Entry:
        """Return an entry of a layer, with the content of a file that is asked for."""
        content = None
        kinds: dict[bytes, EntryKind] = {DIRTYPE: "folder", SYMTYPE: "link"}
        kind = "file" if member.isreg() else kinds.get(member.type, "other")
        asked = asked and kind == "file" and not member.issparse()
        if asked and member.size <= self.largest:
            self._keep(member.size)
            with legible():
                content = stream.take(member.size)
        target = member.linkname if kind == "link" else ""
        return Entry(kind, member.mode & 0o7777, member.uid, member.gid, target, content)

    def _keep(self, size: int) -> None:
        self.kept_bytes += size
        if self.kept_bytes > KEPT_BYTES:
            raise ArchiveError(
                "archive.bomb",
                f"more than {KEPT_BYTES // 2**20} MiB of small files that describe it",
            )

    def resolve(self, name: str) -> str:
        """Return the name of the member that a name leads to, by links within the archive."""
        for _ in range(LINKS):
            if name not in self.links:
                break
            name = posixpath.normpath(self.links[name])
        return name

    def json(self, name: str, rule: str) -> Any:  # noqa: ANN401 - any JSON
        """Return the value of a JSON member."""
        content = self.texts.get(self.resolve(name))
        if content is None:
            there = self.resolve(name).lower() in self.names
            text = f"no JSON text of at most {JSON_BYTES // 2**20} MiB" if there else "none"
            raise _unsaved(rule, f"expected a member {plain(name, 90)}, found {text}")
        try:
            return parse_json(content.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise _unsaved(
                rule, f"{plain(name, 90)}: expected JSON, found {plain(str(error), 200)}"
            ) from None


def _unsaved(rule: str, text: str) -> ArchiveError:
    """Return the error of an archive that is none of a saved image, with the remedy."""
    return ArchiveError(rule, f"{text}; {SAVE}")


def _image(scan: _Scan, form: Compression) -> ImageArchive:
    manifest = scan.json("manifest.json", "archive.manifest-missing")
    if not isinstance(manifest, list) or not all(isinstance(image, dict) for image in manifest):
        reason = "manifest.json: expected a list of one object"
        raise _unsaved("archive.manifest-invalid", reason)
    if len(manifest) != 1:
        reason = f"expected one image in the archive, found {len(manifest)}; save one alone"
        raise ArchiveError("archive.several-images", reason)
    name = manifest[0].get("Config")
    layers = manifest[0].get("Layers")
    named = isinstance(layers, list) and all(isinstance(layer, str) for layer in layers)
    if not isinstance(name, str) or not named:
        reason = "manifest.json: expected the texts Config and Layers"
        raise _unsaved("archive.manifest-invalid", reason)
    config = scan.json(name, "archive.config-missing")
    if not isinstance(config, dict):
        reason = f"{plain(name, 90)}: expected an object, the image's config"
        raise _unsaved("archive.config-missing", reason)
    text = scan.texts[scan.resolve(name)]
    identity = f"sha256:{hashlib.sha256(text).hexdigest()}"
    index = scan.json("index.json", "archive.index") if "index.json" in scan.texts else None
    if others := _configs(scan, index) - {identity}:
        reason = f"index.json leads to the image {plain(min(others), 90)}, manifest.json to"
        raise ArchiveError("archive.several-images", f"{reason} {identity}; save one alone")
    tags = manifest[0].get("RepoTags")
    return ImageArchive(
        [str(tag) for tag in tags] if isinstance(tags, list) else [],
        config,
        text,
        identity,
        tuple(_named_layer(scan, layer) for layer in layers or []),
        name,
        index,
        form,
        scan.stream.ended,
    )


def _configs(scan: _Scan, index: object) -> set[str]:
    """Return the digests of the configs that OCI's index leads to."""
    digests, seen, todo = set[str](), set[str](), [index]
    while todo:
        value = todo.pop()
        if not isinstance(value, dict):
            continue
        if isinstance(config := value.get("config"), dict):
            digests.add(str(config.get("digest")))
        entries = value.get("manifests")
        for entry in entries if isinstance(entries, list) else ():
            about = entry if isinstance(entry, dict) else {}
            name = f"blobs/{str(about.get('digest')).replace(':', '/')}"
            # An attestation of a builder is for no platform: no daemon takes it for an image.
            unknown = "'architecture': 'unknown'" in str(about.get("platform"))
            if name in scan.texts and not unknown and name not in seen:
                seen.add(name)
                todo.append(scan.json(name, "archive.index"))
    return digests


def _named_layer(scan: _Scan, name: str) -> ImageLayer:
    layer = scan.layers.get(scan.resolve(name))
    if isinstance(layer, ArchiveError):
        raise layer
    if layer is None:
        there = scan.resolve(name).lower() in scan.names
        rule = "archive.layer-damaged" if there else "archive.layer-missing"
        what = "no tar, plain or with gzip or xz" if there else "none"
        raise _unsaved(rule, f"expected the layer {plain(name, 90)} of manifest.json, found {what}")
    return layer
