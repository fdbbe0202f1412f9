"""Checks of tarballs of weights and of ground truth: what the platform's extraction refuses."""

import hashlib
import os
import posixpath
import tarfile
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.submission.checks.rules import Broken, Faults
from cytosuite.contract.manifest import ModelCard, SelectPolicy, Uses, parse
from cytosuite.contract.select import partakers
from cytosuite.contract.weights import USES, in_use
from cytosuite.errors import InputError, ModelError, plain, reason_of
from cytosuite.files import TextDict, parse_json
from cytosuite.files.tarball import (
    ArchiveError,
    Forward,
    legible,
    members,
    opened_tar,
)

CARD_BYTES = 2**20
CARDS_BYTES = 2**26
LISTED = 200_000
LONGEST = 3000  # bytes of a path, as file systems have it
LONGEST_PART = 255  # of a name in it
CHUNK = 2**20


def check_tarball(path: Path) -> Faults:
    """Yield the faults of a tarball of weights or ground truth."""
    if not path.name.endswith((".tar.gz", ".tgz")):
        yield "tarball.suffix", "", f"its name ends with {path.suffix!r}"
    content = _Content()
    try:
        with opened_tar(path) as stream:
            for member in members(stream):
                for rule, text in content.member(member, stream):
                    yield rule, plain(member.name, 90), text
            if stream.form != "gzip":
                yield "tarball.gzip", "", f"its content is {stream.form or 'an uncompressed tar'}"
    except ArchiveError as error:
        yield error.rule, "", str(error)
        return
    if not stream.ended:
        yield "archive.no-end", "", "it ends with the last file: it may be cut"
    yield from content.whole()


@dataclass
class _Content:
    """Cards, texts and names of a tarball, from one pass over it."""

    digests: TextDict = field(default_factory=dict)  # of all files, empty where unknown
    links: set[str] = field(default_factory=set)
    texts: dict[str, bytes] = field(default_factory=dict)
    text_bytes: int = 0
    closed: list[str] = field(default_factory=list)
    cards: list[ModelCard] = field(default_factory=list)  # not in a folder, where none is read

    def member(self, member: tarfile.TarInfo, stream: Forward) -> Broken:
        """Yield broken rules and findings of a member, and read its content."""
        name = posixpath.normpath(member.name)
        if member.name.startswith("/"):
            name = name.lstrip("/")
            yield "tarball.absolute", f"it is written to {name}"
        if rule := _refusal(member):
            yield rule, _kind(member)
            return
        parts = name.split("/")
        longest = max(map(len, map(os.fsencode, parts)))
        whole = len(os.fsencode(name))
        if whole > LONGEST or longest > LONGEST_PART:
            yield "tarball.place", f"a path of {whole} bytes, at most {longest} in a part"
            return
        if not self.links.isdisjoint("/".join(parts[:n]) for n in range(1, len(parts) + 1)):
            yield "tarball.link", "a link of the tarball leads there"
        if member.issym():
            self.links.add(name)
        elif member.isreg():
            if name in self.digests:
                yield "tarball.twice", "two files of this name"
            self._file(name, member, stream)
        if len(self.digests) + len(self.links) > LISTED:
            raise ArchiveError("archive.bomb", f"more than {LISTED} files in it")

    def _file(self, name: str, member: tarfile.TarInfo, stream: Forward) -> None:
        """Read a file: its digest, and the text of a possible card."""
        if member.mode & 0o444 != 0o444:
            self.closed.append(name)
        self.digests[name] = ""
        if member.issparse():  # its size differs from its content here
            return
        left, state, parts = member.size, hashlib.sha256(), list[bytes]()
        card = (name.endswith(".json") or name == USES) and member.size <= CARD_BYTES
        with legible():
            while left > 0 and (part := stream.take(min(CHUNK, left))):
                left -= len(part)
                state.update(part)
                if card:
                    parts.append(part)
        self.digests[name] = state.hexdigest()
        if card and self.text_bytes < CARDS_BYTES:
            self.text_bytes += member.size
            self.texts[name] = b"".join(parts)

    def whole(self) -> Faults:
        """Yield faults of all members together."""
        if not self.digests:
            yield "tarball.empty", "", "no file in it"
            return
        names = sorted(f"{name}/" for name in self.digests)
        if inside := next((name for file, name in pairwise(names) if name.startswith(file)), ""):
            yield "tarball.place", "", f"{plain(inside[:-1], 90)}: it lies in a file"
        tops = {name.partition("/")[0] for name in self.digests if "/" in name}
        if len(tops) == 1 and all("/" in name for name in (*self.digests, *self.links)):
            yield "tarball.parent", "", f"all files are in the folder {plain(tops.pop(), 90)}"
        if self.closed:
            text = f"{len(self.closed)} files that not all may read, like {self.closed[0]}"
            yield "tarball.unreadable", "", text
        for name, content in self.texts.items():
            for rule, text in self._card(name, content):
                yield rule, plain(name, 90), text
        rules = self.texts.pop(USES, b"{}").decode("utf-8", "replace")
        if self.cards:
            manifest = algorithms().get(self.cards[0].algorithm)
            policy = manifest.select if manifest else SelectPolicy()
            try:
                partakers(in_use(self.cards, parse(USES, parse_json(rules), Uses).use), policy)
            except (InputError, ModelError, ValueError, RecursionError) as error:
                yield "tarball.no-choice", "", str(error)

    def _card(self, name: str, content: bytes) -> Broken:
        """Yield broken rules and findings of a text that may be a model card."""
        try:
            value = parse_json(content.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            return  # of another program
        if not isinstance(value, dict) or not {"algorithm", "describes"} <= value.keys():
            return
        try:
            card = parse(Path(name), value, ModelCard)
        except InputError as error:
            yield "tarball.card", reason_of(error, name)
            return
        if "/" not in name:
            self.cards.append(card)
        if card.weights is None:
            return
        weights = posixpath.join(posixpath.dirname(name), card.weights)
        if weights not in self.digests:
            yield "tarball.weights-missing", f"no {weights} in the tarball"
        elif self.digests[weights] not in ("", card.sha256):
            yield (
                "tarball.weights-altered",
                f"{weights}: expected SHA-256 {card.sha256}, found {self.digests[weights]}",
            )


def _refusal(member: tarfile.TarInfo) -> str:
    """Return the rule by which Python's ``data`` filter, of 3.11.4 on, refuses a member, or ""."""
    name = member.name.lstrip("/")
    if "\0" in name + member.linkname or _leaves(name):
        return "tarball.outside"
    if not (member.isreg() or member.isdir() or member.islnk() or member.issym()):
        return "tarball.device"
    target = posixpath.join(posixpath.dirname(name) if member.issym() else "", member.linkname)
    if (member.issym() or member.islnk()) and (target.startswith("/") or _leaves(target)):
        return "tarball.link"
    # It fails where the folder before ".." is not there yet.
    return "tarball.outside" if ".." in name.split("/") else ""


def _leaves(path: str) -> bool:
    """Return whether a relative path leads out of its folder."""
    return posixpath.normpath(path).split("/")[0] == ".."


def _kind(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return f"a link to {plain(member.linkname, 90)}"
    if member.isreg() or member.isdir():
        return "a name that leads out of the folder"
    return "a device, a pipe or a socket"
