"""Image archives as docker, podman and skopeo write them, read once from begin to end.

Layouts: of Docker before 25 (``<id>.json``, ``<layer>/layer.tar``), of Docker 25 and newer, OCI's
with a ``manifest.json`` (``blobs/sha256/...``), and docker-archive (``<hex>.tar``, links for layers
that stand twice). The manifest may come after the layers: whatever looks like a tar archive
is scanned, and named once the manifest is known. Nothing is written to disk.
"""

import hashlib
import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tarfile import BLOCKSIZE, TarInfo
from typing import Any

from cytosuite.benchmark.submission.checks.layers import Entry, EntryKind, ImageArchive, ImageLayer
from cytosuite.benchmark.submission.checks.rules import SAVE
from cytosuite.benchmark.submission.checks.stream import (
    ArchiveError,
    Budget,
    Compression,
    Forward,
    compression,
    expanded,
    inner,
    legible,
    members,
)
from cytosuite.errors import plain
from cytosuite.files import open_regular, parse_json

JSON_BYTES = 2**22
FILE_BYTES = 2**23  # of a file that is kept
KEPT_BYTES = 2**26  # of all kept files and JSON
LISTED = 200_000  # entries that are listed
MEMBERS = 2000  # of the archive: an image has at most 127 layers
LINKS = 16  # in a chain
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"


def nothing(path: str) -> bool:  # noqa: ARG001 - it is of no path
    """Return that an entry is not asked for."""
    return False


def read_archive(
    path: Path,
    keep: Callable[[str], bool],
    note: Callable[[str], bool] = nothing,
    largest: int = FILE_BYTES,
) -> ImageArchive:
    """Read an image archive once, without writing anything.

    Parameters
    ----------
    path : Path
        ``.tar``, ``.tar.gz`` or ``.tar.xz``, whatever its name.
    keep : callable
        Whether the content of a file is kept, by its absolute path.
    note : callable
        Whether an entry is listed without its content; the first 200000 are.
    largest : int
        Of a file that is kept [bytes]: a larger one is listed without its content.

    Returns
    -------
    ImageArchive
        Its config, layers, and what was asked for.

    Raises
    ------
    ArchiveError
        If it is no archive of exactly one image, is cut, altered, or expands without measure.
    InputError
        If there is no such file.
    """
    with open_regular(path) as source:
        head = source.read(8)
        source.seek(0)
        size, form = path.stat().st_size, compression(head)
        try:
            with legible():
                stream = Forward(expanded(source, form), Budget.of(size))
            scan = _Scan(stream, keep, note, largest)
            scan.all()
            return _image(scan, form, size)
        except ArchiveError as error:
            raise ArchiveError(error.rule, f"{path}: {error}") from None


@dataclass
class _Scan:
    """What one pass over an archive found."""

    stream: Forward
    keep: Callable[[str], bool]
    note: Callable[[str], bool]
    largest: int
    texts: dict[str, bytes] = field(default_factory=dict)  # small members that may be JSON
    layers: dict[str, ImageLayer | ArchiveError] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)  # in small letters
    kept_bytes: int = 0
    listed: int = 0
    noted: int = 0

    def all(self) -> None:
        """Scan all members."""
        for number, member in enumerate(members(self.stream)):
            if number >= MEMBERS:
                raise ArchiveError("archive.bomb", f"more than {MEMBERS} members; {SAVE}")
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
            reason = f"member {plain(name, 90)}: expected a relative path without . and .."
            raise ArchiveError("archive.twice", f"{reason}; {SAVE}")
        if name.lower() in self.names:
            raise ArchiveError("archive.twice", f"two members of the name {name[:90]}; {SAVE}")
        self.names.add(name.lower())

    def _file(self, name: str, size: int) -> None:
        """Scan a member that is a file: a layer, a JSON text, or neither."""
        with legible():
            head = self.stream.take(min(BLOCKSIZE, size))
            opened = inner(self.stream, head, size)
        if opened is not None:
            self.layers[name] = self._attempt(name, *opened)
        elif size <= JSON_BYTES and head.lstrip()[:1] in (b"{", b"["):
            self._keep(size)
            with legible():
                self.texts[name] = head + self.stream.take(size - len(head))

    def _attempt(self, name: str, stream: Forward, form: Compression) -> ImageLayer | ArchiveError:
        """Return a layer, or why it is none: it matters if the manifest names it."""
        try:
            return self._layer(name, stream, form)
        except ArchiveError as error:
            if error.rule == "archive.bomb":
                raise
            return ArchiveError("archive.layer-damaged", f"layer {plain(name, 90)}: {error}")

    def _layer(self, name: str, stream: Forward, form: Compression) -> ImageLayer:
        """Return a layer with its entries that were asked for."""
        entries: dict[str, Entry] = {}
        removed, opaque, count = set[str](), set[str](), 0
        for member in members(stream):
            count += 1
            path = posixpath.normpath(f"/{member.name.lstrip('/')}")
            folder, base = posixpath.split(path)
            if base == OPAQUE:
                self._list()
                opaque.add(folder)
            elif base.startswith(WHITEOUT):
                self._list()
                removed.add(posixpath.join(folder, base.removeprefix(WHITEOUT)))
            elif self.keep(path):
                self._list()
                entries[path] = self._entry(member, stream, wanted=True)
            elif self.note(path) and self.noted < LISTED:
                self.noted += 1
                entries[path] = self._entry(member, stream, wanted=False)
        digest = f"sha256:{stream.hash.hexdigest()}"
        gone, hidden = frozenset(removed), frozenset(opaque)
        return ImageLayer(name, digest, stream.position, count, entries, gone, hidden, form)

    def _entry(self, member: TarInfo, stream: Forward, *, wanted: bool) -> Entry:
        """Return an entry of a layer, with the content of a file that is wanted."""
        content, kind = None, _kind(member)
        wanted = wanted and kind == "file" and not member.issparse()
        if wanted and member.size <= self.largest:
            self._keep(member.size)
            with legible():
                content = stream.take(member.size)
        return Entry(
            kind,
            member.mode & 0o7777,
            member.uid,
            member.gid,
            member.size,
            member.linkname if kind == "link" else "",
            content,
        )

    def _keep(self, size: int) -> None:
        """Count bytes that are kept."""
        self.kept_bytes += size
        if self.kept_bytes > KEPT_BYTES:
            reason = f"more than {KEPT_BYTES // 2**20} MiB of small files that describe it"
            raise ArchiveError("archive.bomb", reason)

    def _list(self) -> None:
        """Count an entry that is listed."""
        self.listed += 1
        if self.listed > LISTED:
            raise ArchiveError("archive.bomb", f"more than {LISTED} entries of interest")

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
            found = f"no JSON text of at most {JSON_BYTES // 2**20} MiB" if there else "none"
            raise ArchiveError(rule, f"expected a member {plain(name, 90)}, found {found}; {SAVE}")
        try:
            return parse_json(content.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            reason = f"{plain(name, 90)}: expected JSON, found {plain(str(error), 200)}; {SAVE}"
            raise ArchiveError(rule, reason) from None


def _kind(member: TarInfo) -> EntryKind:
    """Return the kind of a layer's entry."""
    if member.isreg():
        return "file"
    if member.isdir():
        return "folder"
    return "link" if member.issym() else "other"


def _image(scan: _Scan, form: Compression, size: int) -> ImageArchive:
    """Return the image that a scanned archive holds."""
    manifest = scan.json("manifest.json", "archive.manifest-missing")
    if not isinstance(manifest, list) or not all(isinstance(found, dict) for found in manifest):
        reason = f"manifest.json: expected a list of one object; {SAVE}"
        raise ArchiveError("archive.manifest-invalid", reason)
    if len(manifest) != 1:
        reason = f"expected one image in the archive, found {len(manifest)}; save one alone"
        raise ArchiveError("archive.several-images", reason)
    name, layers = manifest[0].get("Config"), manifest[0].get("Layers")
    named = isinstance(layers, list) and all(isinstance(layer, str) for layer in layers)
    if not isinstance(name, str) or not named:
        reason = f"manifest.json: expected the texts Config and Layers; {SAVE}"
        raise ArchiveError("archive.manifest-invalid", reason)
    config = scan.json(name, "archive.config-missing")
    if not isinstance(config, dict):
        reason = f"{plain(name, 90)}: expected an object, the image's config; {SAVE}"
        raise ArchiveError("archive.config-missing", reason)
    text = scan.texts[scan.resolve(name)]
    identity = f"sha256:{hashlib.sha256(text).hexdigest()}"
    index = scan.json("index.json", "archive.index") if "index.json" in scan.texts else None
    if others := _configs(scan, index) - {identity}:
        reason = f"index.json leads to the image {plain(min(others), 90)}, manifest.json to"
        raise ArchiveError("archive.several-images", f"{reason} {identity}; save one alone")
    return ImageArchive(
        manifest,
        config,
        text,
        identity,
        tuple(_named_layer(scan, layer) for layer in layers or []),
        name,
        index,
        form,
        size,
        scan.stream.position,
        scan.stream.ended,
    )


def _configs(scan: _Scan, index: object) -> set[str]:
    """Return the digests of the configs that OCI's index leads to."""
    found, seen, todo = set[str](), set[str](), [index]
    while todo:
        value = todo.pop()
        if not isinstance(value, dict):
            continue
        if isinstance(config := value.get("config"), dict):
            found.add(str(config.get("digest")))
        entries = value.get("manifests")
        for entry in entries if isinstance(entries, list) else ():
            about = entry if isinstance(entry, dict) else {}
            name = f"blobs/{str(about.get('digest')).replace(':', '/')}"
            # An attestation of a builder is for no platform: no daemon takes it for an image.
            unknown = "'architecture': 'unknown'" in str(about.get("platform"))
            if name in scan.texts and not unknown and name not in seen:
                seen.add(name)
                todo.append(scan.json(name, "archive.index"))
    return found


def _named_layer(scan: _Scan, name: str) -> ImageLayer:
    """Return the layer that the manifest names."""
    found = scan.layers.get(scan.resolve(name))
    if isinstance(found, ArchiveError):
        raise found
    if found is None:
        there = scan.resolve(name).lower() in scan.names
        rule = "archive.layer-damaged" if there else "archive.layer-missing"
        what = "no tar, plain or with gzip or xz" if there else "none"
        reason = f"expected the layer {plain(name, 90)} of manifest.json, found {what}; {SAVE}"
        raise ArchiveError(rule, reason)
    return found
