"""Checks of an image in an archive: its file, its settings and what lies in its layers."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cytosuite.benchmark.engines.guest import API_LABEL, APIS
from cytosuite.benchmark.submission.checks.archive import read_archive
from cytosuite.benchmark.submission.checks.layers import ImageArchive
from cytosuite.benchmark.submission.checks.rules import Finding, finding
from cytosuite.benchmark.submission.checks.stream import ArchiveError, Compression
from cytosuite.benchmark.submission.checks.user import DEPTH, MOUNTS, check_user
from cytosuite.errors import plain
from cytosuite.files import read_json

SUFFIXES: dict[str, Compression] = {".tar": "", ".tar.gz": "gzip", ".tar.xz": "xz"}
GB = 10**9
LARGEST, UNVERIFIED = 128 * GB, 2 * GB  # of an upload [bytes]
SMALL = 2**16  # bytes of a list of users, of a key
KEY_NAMES = re.compile(r"id_(rsa|dsa|ecdsa|ed25519)|.*\.(pem|key)")
KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
RECORD = "export.json"
HEX = re.compile(r"[0-9a-f]{64}")
SHOWN = 5  # of paths that break one rule


def check_image(path: Path) -> Iterator[Finding]:
    """Yield the findings of a platform about an image archive; it is read once.

    Parameters
    ----------
    path : Path
        ``.tar``, ``.tar.gz`` or ``.tar.xz`` as ``docker save`` writes it.

    Raises
    ------
    InputError
        If there is no such file.
    """
    yield from _file(path)
    try:
        image = read_archive(path, _kept, _noted, SMALL)
    except ArchiveError as error:
        yield finding(error.rule, path.name, str(error).removeprefix(f"{path}: "))
        return
    yield from _archive(path, image)
    yield from _identity(path, image)
    config = image.config.get("config") or {}
    if not isinstance(config, dict) or not _typed(config):
        reason = "expected User, WorkingDir, Entrypoint, Cmd, Env and Labels with their types"
        yield finding("image.config", f"{path.name}: config", reason)
        return
    yield from _platform(path.name, image.config)
    yield from _label(path.name, config)
    yield from _command(path.name, config)
    yield from _environment(path.name, config)
    yield from check_user(path.name, config, image.view())
    yield from _layers(path.name, image)


def _kept(path: str) -> bool:
    """Return whether the content of a file is looked into."""
    return path in ("/etc/passwd", "/etc/group") or bool(
        KEY_NAMES.fullmatch(posixpath.basename(path))
    )


def _noted(path: str) -> bool:
    """Return whether the presence of a path matters."""
    return (
        path.count("/") <= DEPTH
        or path.startswith(MOUNTS)
        or path.endswith((".env", "/.git", "/.git/HEAD"))
    )


def _file(path: Path) -> Iterator[Finding]:
    """Yield findings about size and name of the file."""
    if not path.name.endswith(tuple(SUFFIXES)):
        yield finding("archive.suffix", path.name, f"its name ends with {path.suffix!r}")
    size = path.stat().st_size
    if size > LARGEST:
        yield finding("archive.size", path.name, f"{size / GB:.1f} GB, more than 128 GB")
    elif size > UNVERIFIED:
        yield finding("archive.size-unverified", path.name, f"{size / GB:.1f} GB, more than 2 GB")


def _archive(path: Path, image: ImageArchive) -> Iterator[Finding]:
    """Yield findings about the form of the archive."""
    named = next((form for end, form in SUFFIXES.items() if path.name.endswith(end)), None)
    if named is not None and named != image.compression:
        text = f"its content is {image.compression or 'an uncompressed tar'}"
        yield finding("archive.content", path.name, text)
    if not image.compression:
        yield finding("archive.plain", path.name, f"{image.size / 1e6:.0f} MB, uncompressed")
    if not image.ended:
        yield finding("archive.no-end", path.name, "it ends with the last file: it may be cut")
    if image.index is not None:
        text = "the layout of Docker 25 and newer (index.json, blobs/)"
        yield finding("archive.layout", path.name, text)
        if "attestation-manifest" in str(image.index):
            yield finding("archive.attestation", f"{path.name}: index.json", "an attestation")
    if len(image.tags) > 1:
        yield finding("archive.tags", path.name, f"{len(image.tags)}: {', '.join(image.tags[:3])}")


def _identity(path: Path, image: ImageArchive) -> Iterator[Finding]:
    """Yield findings about digests: of config, layers and earlier exports."""
    digits = posixpath.basename(image.config_name).removeprefix("sha256:").removesuffix(".json")
    where = f"{path.name}: {plain(image.config_name, 90)}"
    if not HEX.fullmatch(digits):
        yield finding("archive.config-name", where, "no 64 hexadecimal digits")
    elif image.id != f"sha256:{digits}":
        yield finding("archive.config-digest", where, f"its digest is {image.id}")
    for place, text in image.altered().items():
        yield finding("archive.layer-altered", f"{path.name}: {place}", text)
    if image.id in _earlier(path):
        yield finding("archive.repeated", path.name, f"{image.id} stands in {RECORD}")


def _earlier(path: Path) -> set[str]:
    """Return the ids of images that were exported into the same folder under other names."""
    record = path.with_name(RECORD)
    known = read_json(record) if record.is_file() else {}
    found = set[str]()
    for about in known.values() if isinstance(known, dict) else ():
        about = about if isinstance(about, dict) else {}
        earlier, image = about.get("earlier"), about.get("image")
        found.update(str(each) for each in earlier if each) if isinstance(earlier, list) else None
        if isinstance(image, dict) and image.get("file") != path.name:
            found.add(str(image.get("id")))
    return found


def _typed(config: Mapping[str, Any]) -> bool:
    """Return whether the settings of a container have the types that OCI gives them."""

    def texts(key: str) -> bool:
        """Return whether a setting is a list of texts, or missing."""
        value = config.get(key) or []
        return isinstance(value, list) and all(isinstance(item, str) for item in value)

    labels = config.get("Labels") or {}
    return (
        all(isinstance(config.get(key) or "", str) for key in ("User", "WorkingDir"))
        and all(map(texts, ("Entrypoint", "Cmd", "Env")))
        and isinstance(labels, dict)
        and all(isinstance(value, str) for value in labels.values())
    )


def _platform(file: str, config: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield findings about the machine that an image is for."""
    for key, wanted in (("architecture", "amd64"), ("os", "linux")):
        if config.get(key) != wanted:
            text = f"expected {wanted}, found {config.get(key)!r}"
            yield finding(f"image.{key}", f"{file}: config.{key}", text)


def _label(file: str, config: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield findings about the interface that the label says."""
    labels = {key.lower().strip(): value for key, value in (config.get("Labels") or {}).items()}
    where = f"{file}: label {API_LABEL}"
    if API_LABEL not in labels:
        yield finding("image.api-label-missing", where, "none: the platform takes exec")
    stated = labels.get(API_LABEL, "exec").lower().strip().strip("\"'")
    if stated not in APIS:
        yield finding("image.api-label-value", where, f"expected exec or invoke, found {stated!r}")
        return
    words = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
    if "cytosuite.container" in words and words[-1] in APIS and words[-1] != stated:
        yield finding("image.api-label-mode", where, f"{stated}, but its command is {words[-1]!r}")


def _command(file: str, config: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield findings about entry point and command of an image."""
    entry, command = config.get("Entrypoint") or [], config.get("Cmd") or []
    where = f"{file}: config.Entrypoint"
    if not entry and not command:
        yield finding("image.no-command", where, "neither an entry point nor a command")
    elif not entry:
        yield finding("image.no-entrypoint", where, f"none; the command is {command}")
    elif len(entry) > 1 and entry[1] == "-c" and posixpath.basename(entry[0]) in ("sh", "bash"):
        yield finding("image.shell", where, f"it begins with {entry[0]} -c")


def _environment(file: str, config: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield findings about environment variables."""
    names = [setting.partition("=")[0] for setting in config.get("Env") or []]
    for name in names:
        if name.startswith("GRAND_CHALLENGE_"):
            yield finding("image.env-reserved", f"{file}: config.Env", name)
    if "LD_LIBRARY_PATH" in names:
        yield finding("image.env-ld-library-path", f"{file}: config.Env", "LD_LIBRARY_PATH is set")


def _layers(file: str, image: ImageArchive) -> Iterator[Finding]:
    """Yield findings about files that should not be in an image."""
    hidden = [
        path
        for path, entry in image.view().items()
        if entry.kind != "folder" and any(path.startswith(f"{mount}/") for mount in MOUNTS)
    ]
    yield from _paths("layer.hidden", file, hidden)
    for layer in image.layers:
        where = f"{file}: {layer.name}"
        files = {path: entry for path, entry in layer.entries.items() if entry.kind == "file"}
        repositories = [
            path.removesuffix("/HEAD")
            for path in layer.entries
            if path.endswith(("/.git/HEAD", "/.git"))
        ]
        yield from _paths("layer.git", where, [*dict.fromkeys(repositories)])
        keys = [path for path, content in layer.kept.items() if KEY.search(content)]
        yield from _paths("layer.private-key", where, keys)
        yield from _paths(
            "layer.env-file", where, [path for path in files if path.endswith(".env")]
        )


def _paths(rule: str, where: str, paths: list[str]) -> Iterator[Finding]:
    """Yield one finding about all paths that break a rule, if any does."""
    if paths:
        more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
        yield finding(rule, where, f"{', '.join(paths[:SHOWN])}{more}")
