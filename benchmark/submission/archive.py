"""Image archives as docker, podman and skopeo write them, read once from begin to end.

Layouts: of Docker before 25 (``<id>.json``, ``<layer>/layer.tar``), of Docker 25 and newer, OCI's
with a ``manifest.json`` (``blobs/sha256/...``), and docker-archive (``<hex>.tar``, links for layers
that stand twice). The manifest may come after the layers: whatever looks like a tar archive
is scanned, and named once the manifest is known. Nothing is written to disk.
"""

import hashlib
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tarfile import BLOCKSIZE, TarInfo
from typing import Any, Literal

from cytosuite.benchmark.submission.stream import (
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
FILE_BYTES = 2**23  # of a file that is kept; a larger one is listed without its content
KEPT_BYTES = 2**26  # of all kept files and JSON
LISTED = 200_000  # entries that are listed, and members of the archive
LINKS = 16  # in a chain
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
HEX = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
SAVE = "write it with `docker save IMAGE | gzip -n > IMAGE.tar.gz`"
EntryKind = Literal["file", "folder", "link", "other"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, folder or link in a layer.

    Parameters
    ----------
    kind : str
        ``file``, ``folder``, ``link`` or ``other``: a device, a pipe, a second name of a file.
    mode, owner, group : int
        Permissions and the numbers of user and group.
    size : int
        Of a file [bytes].
    target : str
        Of a link, as it stands.
    content : bytes or None
        Of a file that was asked for and is no larger than 8 MiB.
    """

    kind: EntryKind
    mode: int = 0o644
    owner: int = 0
    group: int = 0
    size: int = 0
    target: str = ""
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of an image.

    Parameters
    ----------
    name : str
        Member of the archive that holds it.
    digest : str
        ``sha256:`` and 64 digits, of its uncompressed tar: what the image's config calls diff id.
    size : int
        Of the uncompressed tar [bytes].
    paths : int
        Number of entries.
    entries : mapping of str to Entry
        By absolute path: those asked for.
    removed, opaque : frozenset of str
        Paths that lower layers lose, and folders whose former content they lose.
    compression : str
        Of the member within the archive, empty without any.
    """

    name: str
    digest: str
    size: int
    paths: int
    entries: Mapping[str, Entry]
    removed: frozenset[str] = frozenset()
    opaque: frozenset[str] = frozenset()
    compression: Compression = ""

    @property
    def kept(self) -> dict[str, bytes]:
        """Contents of the files asked for, by absolute path."""
        found = ((path, entry.content) for path, entry in self.entries.items())
        return {path: content for path, content in found if content is not None}


@dataclass(frozen=True, slots=True)
class ImageArchive:
    """An image in an archive.

    Parameters
    ----------
    manifest : list of dict
        Of ``manifest.json``.
    config : mapping of str to Any
        Of the image.
    id : str
        ``sha256:`` and 64 digits, of the config's bytes.
    layers : tuple of Layer
        The lowest first.
    config_name : str
        Member that holds the config.
    index : object
        Of OCI's ``index.json``, None without one.
    compression : str
        Of the file, empty without any.
    size, expanded : int
        Of the file, and of the tar in it [bytes].
    ended : bool
        Whether the tar has the closing block of zeros.
    twice : tuple of str
        Names that several members have: the last of them counts.
    """

    manifest: list[dict[str, Any]]
    config: Mapping[str, Any]
    id: str
    layers: tuple[Layer, ...]
    config_name: str
    index: object
    compression: Compression
    size: int
    expanded: int
    ended: bool
    twice: tuple[str, ...] = ()

    @property
    def tags(self) -> list[str]:
        """Names of the image."""
        found = self.manifest[0].get("RepoTags")
        return [str(tag) for tag in found] if isinstance(found, list) else []

    def view(self) -> dict[str, Entry]:
        """Return the entries asked for as a container sees them, after all removals."""
        found: dict[str, Entry] = {}
        for layer in self.layers:
            solid = {path for path, entry in layer.entries.items() if entry.kind != "folder"}
            gone, hidden = layer.removed | solid, layer.removed | solid | layer.opaque
            found = {
                path: entry
                for path, entry in found.items()
                if path not in gone and hidden.isdisjoint(parents(path))
            }
            found.update(layer.entries)
        return found

    def files(self) -> dict[str, bytes]:
        """Return the contents of the files asked for as a container sees them."""
        found = ((path, entry.content) for path, entry in self.view().items())
        return {path: content for path, content in found if content is not None}


def parents(path: str) -> Iterator[str]:
    """Yield the folders above an absolute path, the nearest first."""
    while path != "/":
        path = posixpath.dirname(path)
        yield path


def nothing(path: str) -> bool:  # noqa: ARG001 - it is of no path
    """Return that an entry is not asked for."""
    return False


def read_archive(
    path: Path, keep: Callable[[str], bool], note: Callable[[str], bool] = nothing
) -> ImageArchive:
    """Read an image archive once, without writing anything.

    Parameters
    ----------
    path : Path
        ``.tar``, ``.tar.gz`` or ``.tar.xz``, whatever its name.
    keep : callable
        Whether the content of a file is kept, by its absolute path; files up to 8 MiB are.
    note : callable
        Whether an entry is listed without its content.

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
            scan = _Scan(stream, keep, note)
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
    texts: dict[str, bytes] = field(default_factory=dict)  # small members that may be JSON
    layers: dict[str, Layer | ArchiveError] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    twice: list[str] = field(default_factory=list)
    kept_bytes: int = 0
    listed: int = 0

    def all(self) -> None:
        """Scan all members."""
        for member in members(self.stream):
            name = posixpath.normpath(member.name).lstrip("/")
            if name in self.names and not member.isdir():
                self.twice.append(name)
            self.names.add(name)
            self._list()
            for found in (self.texts, self.layers, self.links):
                found.pop(name, None)
            if member.issym():
                self.links[name] = posixpath.join(posixpath.dirname(name), member.linkname)
            elif member.islnk():
                self.links[name] = member.linkname
            elif member.isreg():
                self._file(name, member.size)

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

    def _attempt(self, name: str, stream: Forward, form: Compression) -> Layer | ArchiveError:
        """Return a layer, or why it is none: it matters if the manifest names it."""
        try:
            return self._layer(name, stream, form)
        except ArchiveError as error:
            if error.rule == "archive.bomb":
                raise
            return ArchiveError("archive.layer-damaged", f"layer {plain(name, 90)}: {error}")

    def _layer(self, name: str, stream: Forward, form: Compression) -> Layer:
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
            elif (wanted := self.keep(path)) or self.note(path):
                self._list()
                entries[path] = self._entry(member, stream, wanted)
        digest = f"sha256:{stream.hash.hexdigest()}"
        gone, hidden = frozenset(removed), frozenset(opaque)
        return Layer(name, digest, stream.position, count, entries, gone, hidden, form)

    def _entry(self, member: TarInfo, stream: Forward, wanted: bool) -> Entry:
        """Return an entry of a layer, with the content of a file that is wanted."""
        content, kind = None, _kind(member)
        if wanted and kind == "file" and member.size <= FILE_BYTES:
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
        name = posixpath.normpath(name)
        for _ in range(LINKS):
            if name not in self.links:
                break
            name = posixpath.normpath(self.links[name])
        return name

    def json(self, name: str, rule: str) -> Any:  # noqa: ANN401 - any JSON
        """Return the value of a JSON member."""
        content = self.texts.get(self.resolve(name))
        if content is None:
            there = self.resolve(name) in self.names
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
    return ImageArchive(
        manifest,
        config,
        f"sha256:{hashlib.sha256(scan.texts[scan.resolve(name)]).hexdigest()}",
        tuple(_named_layer(scan, layer) for layer in layers or []),
        name,
        scan.json("index.json", "archive.index") if "index.json" in scan.texts else None,
        form,
        size,
        scan.stream.position,
        scan.stream.ended,
        tuple(scan.twice),
    )


def _named_layer(scan: _Scan, name: str) -> Layer:
    """Return the layer that the manifest names."""
    found = scan.layers.get(scan.resolve(name))
    if isinstance(found, ArchiveError):
        raise found
    if found is None:
        there = scan.resolve(name) in scan.names
        rule = "archive.layer-damaged" if there else "archive.layer-missing"
        what = "no tar, plain or with gzip or xz" if there else "none"
        reason = f"expected the layer {plain(name, 90)} of manifest.json, found {what}; {SAVE}"
        raise ArchiveError(rule, reason)
    return found
