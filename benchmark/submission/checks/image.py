"""Checks of an image in an archive: its file, its settings and what lies in its layers."""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_pascal

from cytosuite.benchmark.engines.external import API_LABEL, APIS
from cytosuite.benchmark.submission.checks.archive import (
    Entry,
    ImageArchive,
    View,
    parents,
    read_archive,
)
from cytosuite.benchmark.submission.checks.rules import ARCHITECTURE, Faults
from cytosuite.errors import listed, plain, reason_of
from cytosuite.files import Entries, TextDict, read_json
from cytosuite.files.tarball import ArchiveError, Compression

DEPTH = 3  # folders in each other that are looked at for WORKDIR
MOUNTED = ("/input/", "/output/", "/tmp/", "/opt/ml/model/")
LINKS = 16  # in a chain
NAME = r"[A-Za-z][A-Za-z0-9._-]*"
NUMBER = r"[0-9]{1,10}"
USER = re.compile(rf"({NAME}|{NUMBER})(?::({NAME}|{NUMBER}))?")
SUFFIXES: dict[str, Compression] = {".tar": "", ".tar.gz": "gzip", ".tar.xz": "xz"}
GB = 10**9
LARGEST = 128 * GB  # of an upload [bytes]
UNVERIFIED = 2 * GB  # of an upload by a user who is not verified
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


def check_user(config: Settings, view: View) -> Faults:
    """Yield faults of the user, and of WORKDIR as this user sees it."""
    user = config.user
    place = "config.User"
    low = user.lower()
    if low in ("", "root", "0") or low.startswith(("0:", "root:")):
        yield "image.user-root", place, f"it runs as {user or 'root: no USER is set'}"
        return
    if not (parts := USER.fullmatch(user)):
        yield "image.user-grammar", place, f"found {user!r}"
        return
    users = _table(view, "/etc/passwd")
    groups = _table(view, "/etc/group")
    name = parts[1]
    group = parts[2]
    row = next((row for row in users if name == row[0]), None) or next(
        (row for row in users if name.isdigit() and int(row[2]) == int(name)), None
    )
    if row is None and not name.isdigit():
        yield "image.user-unknown", place, f"no {name!r} in /etc/passwd of the layers"
        return
    if row is None:
        yield "image.user-no-home", place, f"no user of number {name} in /etc/passwd"
    number = int(row[2] if row else name)
    main = int(row[3]) if row and re.fullmatch(NUMBER, row[3]) else 0
    if group is not None:
        listed = next((row for row in groups if row[0] == group), None)
        if listed is None and not group.isdigit():
            yield "image.group-unknown", place, f"no {group!r} in /etc/group of the layers"
            return
        main = int(listed[2] if listed else group)
    if number == 0:
        yield "image.user-is-root", place, f"{user} is number 0"
        return
    member = {int(entry[2]) for entry in groups if row and row[0] in entry[-1].split(",")}
    yield from _workdir(config, view, Identity(number, frozenset(member | {main})))


def _table(view: View, path: str) -> list[list[str]]:
    """Return the rows of a list of users or groups that have a number."""
    text = (view[path].content or b"") if path in view else b""
    rows = [line.split(":") for line in text.decode("utf-8", "replace").splitlines()]
    return [row for row in rows if len(row) >= 4 and re.fullmatch(NUMBER, row[2])]


def _workdir(config: Settings, view: View, identity: Identity) -> Faults:
    place = "config.WorkingDir"
    stated = posixpath.normpath(f"/{config.working_dir}".replace("//", "/"))
    folder = _resolved(view, stated)
    if folder == "/" or folder.count("/") > DEPTH or f"{folder}/".startswith(MOUNTED):
        return  # it is there, or the layers were not asked
    lost = folder in view and view[folder].kind != "folder"
    if lost or not any(path == folder or path.startswith(f"{folder}/") for path in view):
        yield "image.workdir-missing", place, f"no layer holds {stated}"
        return
    for path, needed in (dict.fromkeys(parents(folder), 1) | {folder: 5}).items():
        if path in view and not identity.may(view[path], needed):
            yield (
                "image.workdir-unreadable",
                place,
                f"{path} has the mode {view[path].mode:04o}, user {identity.user} cannot enter it",
            )
            return


def _resolved(view: View, path: str) -> str:
    """Return a path after its links."""
    for _ in range(LINKS):
        places = [place for place in (path, *parents(path)) if place in view]
        link = next((place for place in places if view[place].kind == "link"), None)
        if link is None:
            break
        target = posixpath.join(posixpath.dirname(link), view[link].target)
        path = posixpath.normpath(target + path.removeprefix(link))
    return path


def check_image(path: Path) -> Faults:
    """Yield the faults of an image archive, which is read once."""
    yield from _file(path)
    try:
        image = read_archive(path, _kept, _noted, SMALL)
    except ArchiveError as error:
        yield error.rule, "", reason_of(error, path)
        return
    yield from _archive(path, image)
    yield from _identity(path, image)
    try:
        config = Settings.model_validate(_stated(image.config.get("config")))
    except ValidationError:
        yield (
            "image.config",
            "config",
            "expected User, WorkingDir, Entrypoint, Cmd, Env and Labels with their types",
        )
        return
    yield from _settings(image.config, config)
    yield from _label(config)
    view = image.view()
    yield from check_user(config, view)
    yield from _layers(image, view)


def _kept(path: str) -> bool:
    return path in ("/etc/passwd", "/etc/group") or bool(
        KEY_NAMES.fullmatch(posixpath.basename(path))
    )


def _noted(path: str) -> bool:
    return (
        path.count("/") <= DEPTH
        or path.startswith(MOUNTED)
        or path.endswith((".env", "/.git", "/.git/HEAD"))
    )


def _file(path: Path) -> Faults:
    if not path.name.endswith(tuple(SUFFIXES)):
        yield "archive.suffix", "", f"its name ends with {path.suffix!r}"
    size = path.stat().st_size
    if size > LARGEST:
        yield "archive.size", "", f"{size / GB:.1f} GB, more than 128 GB"
    elif size > UNVERIFIED:
        yield "archive.size-unverified", "", f"{size / GB:.1f} GB, more than 2 GB"


def _archive(path: Path, image: ImageArchive) -> Faults:
    named = next((form for end, form in SUFFIXES.items() if path.name.endswith(end)), None)
    if named is not None and named != image.compression:
        yield "archive.content", "", f"its content is {image.compression or 'an uncompressed tar'}"
    if not image.compression:
        yield "archive.plain", "", f"{path.stat().st_size / 1e6:.0f} MB, uncompressed"
    if not image.ended:
        yield "archive.no-end", "", "it ends with the last file: it may be cut"
    if image.index is not None:
        yield "archive.layout", "", "the layout of Docker 25 and newer (index.json, blobs/)"
        if "attestation-manifest" in str(image.index):
            yield "archive.attestation", "index.json", "an attestation"
    if len(image.tags) > 1:
        yield "archive.tags", "", f"{len(image.tags)}: {', '.join(image.tags[:3])}"


def _identity(path: Path, image: ImageArchive) -> Faults:
    """Yield faults of digests: of config, layers and earlier exports."""
    digits = posixpath.basename(image.config_name).removeprefix("sha256:").removesuffix(".json")
    place = plain(image.config_name, 90)
    if not HEX.fullmatch(digits):
        yield "archive.config-name", place, "no 64 hexadecimal digits"
    elif image.id != f"sha256:{digits}":
        yield "archive.config-digest", place, f"its digest is {image.id}"
    for layer, text in image.altered().items():
        yield "archive.layer-altered", layer, text
    if image.id in _earlier(path):
        yield "archive.repeated", "", f"{image.id} stands in {RECORD}"


def _earlier(path: Path) -> Iterator[str]:
    """Yield the ids of images that were exported into the same folder under other names."""
    record = path.with_name(RECORD)
    records = read_json(record) if record.is_file() else {}
    for about in records.values() if isinstance(records, dict) else ():
        match about:
            case {"earlier": [*earlier]}:
                yield from map(str, earlier)
        match about:
            case {"image": {"id": image_id, **image}} if image.get("file") != path.name:
                yield str(image_id)


def _stated(config: object) -> object:
    """Return settings without those that say nothing."""
    return {k: v for k, v in config.items() if v} if isinstance(config, dict) else config or {}


def _settings(about: Entries, config: Settings) -> Faults:
    for key, value in (("architecture", ARCHITECTURE), ("os", "linux")):
        if about.get(key) != value:
            yield f"image.{key}", f"config.{key}", f"expected {value}, found {about.get(key)!r}"
    entry, command, place = config.entrypoint, config.cmd, "config.Entrypoint"
    if not entry and not command:
        yield "image.no-command", place, "neither an entry point nor a command"
    elif not entry:
        yield "image.no-entrypoint", place, f"none; the command is {command}"
    elif len(entry) > 1 and entry[1] == "-c" and posixpath.basename(entry[0]) in ("sh", "bash"):
        yield "image.shell", place, f"it begins with {entry[0]} -c"
    names = [setting.partition("=")[0] for setting in config.env]
    for name in names:
        if name.startswith("GRAND_CHALLENGE_"):
            yield "image.env-reserved", "config.Env", name
    if "LD_LIBRARY_PATH" in names:
        yield "image.env-ld-library-path", "config.Env", "LD_LIBRARY_PATH is set"


def _label(config: Settings) -> Faults:
    labels = {k.lower().strip(): v for k, v in config.labels.items()}
    place = f"label {API_LABEL}"
    if API_LABEL not in labels:
        yield "image.api-label-missing", place, "none: the platform takes exec"
    stated = labels.get(API_LABEL, "exec").lower().strip().strip("\"'")
    if stated not in APIS:
        yield "image.api-label-value", place, f"expected exec or invoke, found {stated!r}"
        return
    words = [*config.entrypoint, *config.cmd]
    if "cytosuite.container" in words and words[-1] in APIS and words[-1] != stated:
        yield "image.api-label-mode", place, f"{stated}, but its command is {words[-1]!r}"


def _layers(image: ImageArchive, view: View) -> Faults:
    """Yield a fault for all files of one layer that should not be in an image, by rule."""
    hidden = [p for p, entry in view.items() if entry.kind != "folder" and p.startswith(MOUNTED)]
    if hidden:
        yield "layer.hidden", "", listed(hidden, SHOWN)
    for layer in image.layers:
        git = [path for path in layer.entries if path.endswith(("/.git/HEAD", "/.git"))]
        files = [path for path, entry in layer.entries.items() if entry.kind == "file"]
        for rule, paths in {
            "layer.git": list(dict.fromkeys(path.removesuffix("/HEAD") for path in git)),
            "layer.private-key": [
                path for path, entry in layer.entries.items() if KEY.search(entry.content or b"")
            ],
            "layer.env-file": [path for path in files if path.endswith(".env")],
        }.items():
            if paths:
                yield rule, layer.name, listed(paths, SHOWN)
