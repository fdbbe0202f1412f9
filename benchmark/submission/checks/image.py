"""Checks of an image in an archive: its file, its settings and what lies in its layers."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_pascal

from cytosuite.benchmark.engines.external import API_LABEL, APIS
from cytosuite.benchmark.submission.checks.archive import Entry, ImageArchive, parents, read_archive
from cytosuite.benchmark.submission.checks.rules import ARCHITECTURE, Finding, finding
from cytosuite.errors import listed, plain, reason_of
from cytosuite.files import Entries, TextDict, read_json
from cytosuite.files.tarball import ArchiveError, Compression

DEPTH = 3  # folders in each other that are looked at for WORKDIR
MOUNTS = ("/input", "/output", "/tmp", "/opt/ml/model")
LINKS = 16  # in a chain
NAME = r"[A-Za-z][A-Za-z0-9._-]*"
NUMBER = r"[0-9]{1,10}"
USER = re.compile(rf"({NAME}|{NUMBER})(?::({NAME}|{NUMBER}))?")
SUFFIXES: dict[str, Compression] = {".tar": "", ".tar.gz": "gzip", ".tar.xz": "xz"}
GB = 10**9
LARGEST, UNVERIFIED = 128 * GB, 2 * GB  # of an upload [bytes]
SMALL = 2**16  # bytes of a list of users, of a key
KEY_NAMES = re.compile(r"id_(rsa|dsa|ecdsa|ed25519)|.*\.(pem|key)")
KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
RECORD = "export.json"
HEX = re.compile(r"[0-9a-f]{64}")
SHOWN = 5  # of paths that break one rule


class Settings(BaseModel):
    """The settings of a container, of the types that OCI gives them."""

    model_config = ConfigDict(alias_generator=to_pascal, strict=True)

    user: str = ""
    working_dir: str = ""
    entrypoint: list[str] = []
    cmd: list[str] = []
    env: list[str] = []
    labels: TextDict = {}


class Identity(NamedTuple):
    """The user and the groups that a container runs as, in numbers."""

    user: int
    groups: frozenset[int]

    def may(self, entry: Entry, rights: int) -> bool:
        """Return whether this user has rights (4 read, 2 write, 1 enter) to an entry."""
        if self.user == entry.owner:
            return entry.mode >> 6 & rights == rights
        if entry.group in self.groups:
            return entry.mode >> 3 & rights == rights
        return entry.mode & rights == rights


def check_user(file: str, config: Settings, view: Mapping[str, Entry]) -> Iterator[Finding]:
    """Yield findings about the user, and WORKDIR as this user sees it."""
    user, where = config.user, f"{file}: config.User"
    low = user.lower()
    if low in ("", "root", "0") or low.startswith(("0:", "root:")):
        yield finding("image.user-root", where, f"it runs as {user or 'root: no USER is set'}")
        return
    if not (parts := USER.fullmatch(user)):
        yield finding("image.user-grammar", where, f"found {user!r}")
        return
    users, groups = (_table(view, f"/etc/{name}") for name in ("passwd", "group"))
    name, group = parts[1], parts[2]
    row = next((row for row in users if name == row[0]), None) or next(
        (row for row in users if name.isdigit() and int(row[2]) == int(name)), None
    )
    if row is None and not name.isdigit():
        yield finding("image.user-unknown", where, f"no {name!r} in /etc/passwd of the layers")
        return
    if row is None:
        yield finding("image.user-no-home", where, f"no user of number {name} in /etc/passwd")
    number = int(row[2] if row else name)
    main = int(row[3]) if row and re.fullmatch(NUMBER, row[3]) else 0
    if group is not None:
        listed = next((row for row in groups if row[0] == group), None)
        if listed is None and not group.isdigit():
            yield finding("image.group-unknown", where, f"no {group!r} in /etc/group of the layers")
            return
        main = int(listed[2] if listed else group)
    if number == 0:
        yield finding("image.user-is-root", where, f"{user} is number 0")
        return
    member = {int(entry[2]) for entry in groups if row and row[0] in entry[-1].split(",")}
    yield from _workdir(file, config, view, Identity(number, frozenset(member | {main})))


def _table(view: Mapping[str, Entry], path: str) -> list[list[str]]:
    """Return the rows of a list of users or groups that have a number."""
    text = (view[path].content or b"") if path in view else b""
    rows = [line.split(":") for line in text.decode("utf-8", "replace").splitlines()]
    return [row for row in rows if len(row) >= 4 and re.fullmatch(NUMBER, row[2])]


def _workdir(
    file: str, config: Settings, view: Mapping[str, Entry], identity: Identity
) -> Iterator[Finding]:
    stated = posixpath.normpath(f"/{config.working_dir}".replace("//", "/"))
    where = f"{file}: config.WorkingDir"
    folder = _resolved(view, stated)
    if folder == "/" or folder.count("/") > DEPTH or folder.startswith(MOUNTS):
        return  # it is there, or the layers were not asked
    above = [path for path in parents(folder) if path in view]
    lost = folder in view and view[folder].kind != "folder"
    if lost or not any(path == folder or path.startswith(f"{folder}/") for path in view):
        yield finding("image.workdir-missing", where, f"no layer holds {stated}")
        return
    closed = [path for path in above if not identity.may(view[path], 1)]
    if folder in view and not identity.may(view[folder], 5):
        closed.append(folder)
    if closed:
        mode = view[closed[0]].mode
        yield finding(
            "image.workdir-unreadable",
            where,
            f"{closed[0]} has the mode {mode:04o}, user {identity.user} cannot enter it",
        )


def _resolved(view: Mapping[str, Entry], path: str) -> str:
    """Return a path after its links."""
    for _ in range(LINKS):
        places = [place for place in (path, *parents(path)) if place in view]
        link = next((place for place in places if view[place].kind == "link"), None)
        if link is None:
            break
        target = posixpath.join(posixpath.dirname(link), view[link].target)
        path = posixpath.normpath(target + path.removeprefix(link))
    return path


def check_image(path: Path) -> Iterator[Finding]:
    """Yield the findings of a platform about an image archive, which is read once."""
    yield from _file(path)
    try:
        image = read_archive(path, _kept, _noted, SMALL)
    except ArchiveError as error:
        yield finding(error.rule, path.name, reason_of(error, path))
        return
    yield from _archive(path, image)
    yield from _identity(path, image)
    try:
        config = Settings.model_validate(_stated(image.config.get("config")))
    except ValidationError:
        yield finding(
            "image.config",
            f"{path.name}: config",
            "expected User, WorkingDir, Entrypoint, Cmd, Env and Labels with their types",
        )
        return
    yield from _settings(path.name, image.config, config)
    yield from _label(path.name, config)
    yield from check_user(path.name, config, image.view())
    yield from _layers(path.name, image)


def _kept(path: str) -> bool:
    name = posixpath.basename(path)
    return path in ("/etc/passwd", "/etc/group") or bool(KEY_NAMES.fullmatch(name))


def _noted(path: str) -> bool:
    return (
        path.count("/") <= DEPTH
        or path.startswith(MOUNTS)
        or path.endswith((".env", "/.git", "/.git/HEAD"))
    )


def _file(path: Path) -> Iterator[Finding]:
    if not path.name.endswith(tuple(SUFFIXES)):
        yield finding("archive.suffix", path.name, f"its name ends with {path.suffix!r}")
    size = path.stat().st_size
    if size > LARGEST:
        yield finding("archive.size", path.name, f"{size / GB:.1f} GB, more than 128 GB")
    elif size > UNVERIFIED:
        yield finding("archive.size-unverified", path.name, f"{size / GB:.1f} GB, more than 2 GB")


def _archive(path: Path, image: ImageArchive) -> Iterator[Finding]:
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
    records = read_json(record) if record.is_file() else {}
    ids = set[str]()
    for about in records.values() if isinstance(records, dict) else ():
        about = about if isinstance(about, dict) else {}
        earlier, image = about.get("earlier"), about.get("image")
        ids.update(str(image_id) for image_id in earlier if image_id) if isinstance(
            earlier, list
        ) else None
        if isinstance(image, dict) and image.get("file") != path.name:
            ids.add(str(image.get("id")))
    return ids


def _stated(config: object) -> object:
    """Return settings without those that say nothing."""
    return {k: v for k, v in config.items() if v} if isinstance(config, dict) else config or {}


def _settings(file: str, about: Entries, config: Settings) -> Iterator[Finding]:
    for key, value in (("architecture", ARCHITECTURE), ("os", "linux")):
        if about.get(key) != value:
            yield finding(
                f"image.{key}",
                f"{file}: config.{key}",
                f"expected {value}, found {about.get(key)!r}",
            )
    entry, command = config.entrypoint, config.cmd
    where = f"{file}: config.Entrypoint"
    if not entry and not command:
        yield finding("image.no-command", where, "neither an entry point nor a command")
    elif not entry:
        yield finding("image.no-entrypoint", where, f"none; the command is {command}")
    elif len(entry) > 1 and entry[1] == "-c" and posixpath.basename(entry[0]) in ("sh", "bash"):
        yield finding("image.shell", where, f"it begins with {entry[0]} -c")
    names = [setting.partition("=")[0] for setting in config.env]
    for name in names:
        if name.startswith("GRAND_CHALLENGE_"):
            yield finding("image.env-reserved", f"{file}: config.Env", name)
    if "LD_LIBRARY_PATH" in names:
        yield finding("image.env-ld-library-path", f"{file}: config.Env", "LD_LIBRARY_PATH is set")


def _label(file: str, config: Settings) -> Iterator[Finding]:
    labels = {key.lower().strip(): value for key, value in config.labels.items()}
    where = f"{file}: label {API_LABEL}"
    if API_LABEL not in labels:
        yield finding("image.api-label-missing", where, "none: the platform takes exec")
    stated = labels.get(API_LABEL, "exec").lower().strip().strip("\"'")
    if stated not in APIS:
        yield finding("image.api-label-value", where, f"expected exec or invoke, found {stated!r}")
        return
    words = [*config.entrypoint, *config.cmd]
    if "cytosuite.container" in words and words[-1] in APIS and words[-1] != stated:
        yield finding("image.api-label-mode", where, f"{stated}, but its command is {words[-1]!r}")


def _layers(file: str, image: ImageArchive) -> Iterator[Finding]:
    """Yield findings about files that should not be in an image."""
    inside = tuple(f"{mount}/" for mount in MOUNTS)
    seen = image.view().items()
    hidden = [path for path, entry in seen if entry.kind != "folder" and path.startswith(inside)]
    yield from _paths("layer.hidden", file, hidden)
    for layer in image.layers:
        where = f"{file}: {layer.name}"
        git = [path for path in layer.entries if path.endswith(("/.git/HEAD", "/.git"))]
        names = dict.fromkeys(path.removesuffix("/HEAD") for path in git)
        yield from _paths("layer.git", where, [*names])
        keys = [path for path, content in layer.kept.items() if KEY.search(content)]
        yield from _paths("layer.private-key", where, keys)
        files = [path for path, entry in layer.entries.items() if entry.kind == "file"]
        yield from _paths(
            "layer.env-file", where, [path for path in files if path.endswith(".env")]
        )


def _paths(rule: str, where: str, paths: list[str]) -> Iterator[Finding]:
    """Yield one finding about all paths that break a rule, if any does."""
    if paths:
        yield finding(rule, where, listed(paths, SHOWN))
