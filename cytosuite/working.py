"""Working names: of files and folders that a program has in work, hidden, its own alone."""

import os
import re
import time
from contextlib import suppress
from hashlib import sha256
from itertools import count
from pathlib import Path

PART, SESSION = ".part", ".session"  # of what is being written, of an engine at work
LEFTOVER = re.compile(rf"\..*\{PART}(\..*)?", re.DOTALL)
OWNER = re.compile(rf"\.([0-9a-f]{{8}})-(\d+)-\d+(?:(?:\.former)?\{PART}(?:\..*)?)?\Z", re.DOTALL)
DAY_S = 86400.0
_NUMBERS = count()


def _machine() -> str:
    """Return a digest of all that a process id belongs to: node, its last start, namespace."""
    facts = [os.uname().nodename]
    with suppress(OSError):  # not Linux: the node alone
        facts += [Path("/proc/sys/kernel/random/boot_id").read_text("ascii")]
        facts += [str(Path("/proc/self/ns/pid").readlink())]
    return sha256(" ".join(facts).encode()).hexdigest()[:8]


MACHINE = _machine()  # folders may be shared with others


def working_name(mark: str, suffix: str = "", *, former: bool = False) -> str:
    """Return a hidden name with the owner in it, which no other program and thread uses.

    Parameters
    ----------
    mark, suffix : str
        Its beginning and end.
    former : bool
        Whether it is for something that is being replaced.
    """
    return f".{mark}.{_owner()}{'.former' if former else ''}{PART}{suffix}"


def session_name() -> str:
    """Return a name as by `working_name` for an engine at work: `sweep` leaves it alone.

    What strangers wrote there may be too deep for it.
    """
    return f"{SESSION}.{_owner()}"


def _owner() -> str:
    """Return machine and number of this process, and a number that it gives but once."""
    return f"{MACHINE}-{os.getpid()}-{next(_NUMBERS)}"


def is_abandoned(path: Path) -> bool:
    """Return whether the program has ended that wrote under a working name.

    Parameters
    ----------
    path : Path
        A name by `working_name`. One of this machine is abandoned with the end of its process, any
        other when nothing in it changed for a day: another machine may be at work on it.
    """
    found = OWNER.search(path.name)
    if found and found[1] == MACHINE:
        return not is_running(int(found[2]))
    try:
        content = [*path.iterdir()] if path.is_dir() and not path.is_symlink() else []
        latest = max(each.lstat().st_mtime for each in (path, *content))
    except FileNotFoundError:  # its program has just ended well
        return False
    return time.time() - latest > DAY_S


def is_running(process: int) -> bool:
    """Return whether a process of this machine runs; one that only awaits its burial does not."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        return True
    with suppress(OSError):  # not Linux
        state = Path(f"/proc/{process}/stat").read_bytes().rpartition(b") ")[2][:1]
        return state not in (b"Z", b"X")
    return True
