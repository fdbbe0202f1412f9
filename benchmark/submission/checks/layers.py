"""An image in an archive: its layers, the entries in them, and what a container sees of these."""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cytosuite.benchmark.submission.checks.stream import Compression

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
        Of a file that was asked for and is not too large.
    """

    kind: EntryKind
    mode: int = 0o644
    owner: int = 0
    group: int = 0
    size: int = 0
    target: str = ""
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class ImageLayer:
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
    text : bytes
        Of the config as it stands.
    id : str
        ``sha256:`` and 64 digits, of these bytes.
    layers : tuple of ImageLayer
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
    """

    manifest: list[dict[str, Any]]
    config: Mapping[str, Any]
    text: bytes
    id: str
    layers: tuple[ImageLayer, ...]
    config_name: str
    index: object
    compression: Compression
    size: int
    expanded: int
    ended: bool

    @property
    def tags(self) -> list[str]:
        """Names of the image."""
        found = self.manifest[0].get("RepoTags")
        return [str(tag) for tag in found] if isinstance(found, list) else []

    def altered(self) -> dict[str, str]:
        """Return what is wrong with layers that are not those of the config, by their place."""
        rootfs = self.config.get("rootfs")
        stated = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        if not isinstance(stated, list) or len(stated) != len(self.layers):
            number = len(stated) if isinstance(stated, list) else "no"
            text = f"the config lists {number} layers, the manifest {len(self.layers)}"
            return {"rootfs.diff_ids": text}
        return {
            layer.name: f"expected {wanted}, found {layer.digest}"
            for layer, wanted in zip(self.layers, stated, strict=True)
            if layer.digest != wanted
        }

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
