"""Checks of the user of an image: its entry in the layers, and its rights to the working folder."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cytosuite.benchmark.submission.checks.layers import Entry, parents
from cytosuite.benchmark.submission.checks.rules import Finding, finding

DEPTH = 3  # folders in each other that are looked at for WORKDIR
MOUNTS = ("/input", "/output", "/tmp", "/opt/ml/model")
LINKS = 16  # in a chain
NAME = r"[A-Za-z][A-Za-z0-9._-]*"
NUMBER = r"[0-9]{1,10}"
USER = re.compile(rf"({NAME}|{NUMBER})(?::({NAME}|{NUMBER}))?")


@dataclass(frozen=True, slots=True)
class Identity:
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


def check_user(
    file: str, config: Mapping[str, Any], view: Mapping[str, Entry]
) -> Iterator[Finding]:
    """Yield findings about the user, and WORKDIR as this user sees it.

    Parameters
    ----------
    file : str
        Name of the archive.
    config : mapping of str to Any
        Settings of a container.
    view : mapping of str to Entry
        What it sees of its files: those of `DEPTH` folders in each other, and the contents of
        ``/etc/passwd`` and ``/etc/group``.
    """
    user, where = config.get("User") or "", f"{file}: config.User"
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
        found = next((row for row in groups if row[0] == group), None)
        if found is None and not group.isdigit():
            yield finding("image.group-unknown", where, f"no {group!r} in /etc/group of the layers")
            return
        main = int(found[2] if found else group)
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
    file: str, config: Mapping[str, Any], view: Mapping[str, Entry], identity: Identity
) -> Iterator[Finding]:
    """Yield findings about the folder that the command starts in."""
    stated = posixpath.normpath(f"/{config.get('WorkingDir') or ''}".replace("//", "/"))
    where = f"{file}: config.WorkingDir"
    folder = _resolved(view, stated)
    if folder == "/" or folder.count("/") > DEPTH or folder.startswith(MOUNTS):
        return  # it is there, or the layers were not asked
    above = [each for each in parents(folder) if each in view]
    lost = folder in view and view[folder].kind != "folder"
    if lost or not any(path == folder or path.startswith(f"{folder}/") for path in view):
        yield finding("image.workdir-missing", where, f"no layer holds {stated}")
        return
    closed = [each for each in above if not identity.may(view[each], 1)]
    if folder in view and not identity.may(view[folder], 5):
        closed.append(folder)
    if closed:
        mode = view[closed[0]].mode
        text = f"{closed[0]} has the mode {mode:04o}, user {identity.user} cannot enter it"
        yield finding("image.workdir-unreadable", where, text)


def _resolved(view: Mapping[str, Entry], path: str) -> str:
    """Return a path after its links."""
    for _ in range(LINKS):
        found = [each for each in (path, *parents(path)) if each in view]
        link = next((each for each in found if view[each].kind == "link"), None)
        if link is None:
            break
        target = posixpath.join(posixpath.dirname(link), view[link].target)
        path = posixpath.normpath(target + path.removeprefix(link))
    return path
