"""Folders and names that one program has for itself: hidden names with their owner, and locks."""

import errno
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from itertools import count
from pathlib import Path
from threading import Event, Thread

from cytosuite.errors import CytosuiteError, InputError

PART, SESSION = ".part", ".session"  # of a file or folder in work, of an engine at work
LEFTOVER = re.compile(rf"\..*\{PART}(\..*)?", re.DOTALL)
OWNER = re.compile(rf"\.([0-9a-f]{{8}})-(\d+)-\d+(?:(?:\.former)?\{PART}(?:\..*)?)?\Z", re.DOTALL)
DAY_S = 86400.0
_NUMBERS = count()
LOCK = ".lock"
LEASE = ".lease"
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
POLL_S = 0.2
RENEWED_S, LAPSED_S = 30.0, 300.0  # a lease is renewed every 30 s, and ends 300 s after the last


def _machine() -> str:
    """Return a digest of all that a process id belongs to: node, its last start, namespace."""
    facts = [os.uname().nodename]
    with suppress(OSError):  # not Linux: the node alone
        facts += [Path("/proc/sys/kernel/random/boot_id").read_text("ascii")]
        facts += [str(Path("/proc/self/ns/pid").readlink())]
    return sha256(" ".join(facts).encode()).hexdigest()[:8]


MACHINE = _machine()  # folders may be shared with others


def working_name(mark: str, suffix: str = "", *, former: bool = False) -> str:
    """Return a hidden name with the owner in it, which no other program and thread uses."""
    return f".{mark}.{_owner()}{'.former' if former else ''}{PART}{suffix}"


def session_name() -> str:
    """Return a name for an engine at work: `sweep` leaves it, and files of strangers, alone."""
    return f"{SESSION}.{_owner()}"


def private_session(home: Path) -> Path:
    """Make a folder for an engine at work, closed to other users, in a folder of all."""
    home.mkdir(parents=True, exist_ok=True)
    while True:
        with suppress(FileExistsError):  # of an ended process with the same number
            (folder := home / session_name()).mkdir(0o700)
            return folder


def abandoned_sessions(home: Path) -> Iterator[Path]:
    """Yield the folders that engines of this user have left in a folder, see `is_abandoned`."""
    for path in home.glob(f"{SESSION}.*"):
        with suppress(FileNotFoundError):  # another program removes it
            if path.lstat().st_uid == os.getuid() and is_abandoned(path):
                yield path


def _owner() -> str:
    """Return machine and number of this process, and a number that it gives but once."""
    return f"{MACHINE}-{os.getpid()}-{next(_NUMBERS)}"


def is_abandoned(path: Path) -> bool:
    """Return whether the program has ended that wrote under a working name."""
    owner = OWNER.search(path.name)
    if owner and owner[1] == MACHINE:
        return not is_running(int(owner[2]))
    try:
        content = [*path.iterdir()] if path.is_dir() and not path.is_symlink() else []
        latest = max(entry.lstat().st_mtime for entry in (path, *content))
    except FileNotFoundError:  # its program has just ended well
        return False
    return time.time() - latest > DAY_S


def owner_label() -> str:
    """Return an identifier of this process, unique on this machine also after its end."""
    return f"{_namespace()}:{os.getpid()}:{_birth(os.getpid())}"


def is_orphan(label: str) -> bool:
    """Return whether the process of an `owner_label` ran in this namespace and has ended."""
    namespace, _, rest = label.partition(":")
    process, _, birth = rest.partition(":")
    return namespace == _namespace() and process.isdigit() and _birth(int(process)) != birth


def _namespace() -> str:
    """Return the machine and the number of its namespace in which a process id is one process."""
    with suppress(OSError):  # not Linux: the node alone
        return f"{os.uname().nodename}/{Path('/proc/self/ns/pid').stat().st_ino}"
    return os.uname().nodename


def _facts(process: int) -> list[bytes]:
    """Return state and numbers of a process as Linux tells them, 19 its start; empty without it."""
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_bytes().rpartition(b") ")[2].split()
    return []


def _birth(process: int) -> str:
    """Return the start of a process in ticks since boot; empty without a process of this number."""
    return b"".join(_facts(process)[19:20]).decode()


def is_running(process: int) -> bool:
    """Return whether a process of this machine runs; one that only awaits its burial does not."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        return True
    return _facts(process)[:1] not in ([b"Z"], [b"X"])


@contextmanager
def full_disk(path: Path) -> Iterator[None]:
    """Turn the errors of a disk without space, which name no file, into one line.

    Within a file or folder in work the block around it names what the user asked for.
    """
    try:
        yield
    except OSError as error:
        inner = any(map(LEFTOVER.fullmatch, path.parts))
        if inner or error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        raise CytosuiteError(
            f"{path}: cannot be written ({os.strerror(error.errno)}); make room or give another "
            "folder"
        ) from error


@contextmanager
def alone(folder: Path, busy: str = "") -> Iterator[None]:
    """Lock a folder until the block ends; wait for it, or raise `InputError` with the line `busy`.

    Without locks of the file system a file with machine and process is the lease, renewed in 300 s.
    """
    with ExitStack() as stack:
        with full_disk(folder):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                held = _lock(folder / LOCK, stack, wait=not busy)
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
                (folder / LOCK).unlink(missing_ok=True)
                held = _lease(folder / LEASE, stack, wait=not busy)
        if not held:
            raise InputError(busy)
        yield


def is_locked(folder: Path) -> bool:
    """Return whether a program locks a folder, or has left its lock when it was killed."""
    return (folder / LOCK).exists()


def _lock(path: Path, stack: ExitStack, *, wait: bool) -> bool:
    """Lock a file until the end of the stack; return False if another program holds it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is_at(handle, path):
                stack.callback(os.close, handle)
                stack.callback(path.unlink, missing_ok=True)
                return True
        except BlockingIOError:
            os.close(handle)
            return False
        except OSError:
            os.close(handle)
            raise
        os.close(handle)  # the program that held it has removed it


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _lease(path: Path, stack: ExitStack, *, wait: bool) -> bool:
    """Make a file until the end of the stack; return False if another lease is valid."""
    while True:
        try:
            with path.open("x", encoding="utf-8") as stream:
                json.dump([MACHINE, os.getpid()], stream)
        except FileExistsError:
            if _has_lapsed(path):
                path.unlink(missing_ok=True)
            elif not wait:
                return False
            else:
                time.sleep(POLL_S)
        else:
            ended = Event()
            renewer = Thread(target=_renew, args=(path, ended), daemon=True)
            renewer.start()
            stack.callback(path.unlink, missing_ok=True)
            stack.callback(renewer.join)
            stack.callback(ended.set)
            return True


def _renew(path: Path, ended: Event) -> None:
    while not ended.wait(RENEWED_S):
        try:
            os.utime(path)
        except FileNotFoundError:
            return  # it had lapsed, and the next holder has ended


def _has_lapsed(path: Path) -> bool:
    """Return whether a lease counts no more: its process has ended, or renews it no longer."""
    try:
        text = path.read_text(encoding="utf-8")
        age = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return False  # its holder has just ended: the next look finds it free
    try:
        machine, process = json.loads(text)
        ended = machine == MACHINE and not is_running(process)
    except (ValueError, TypeError):  # it is being written
        ended = False
    return ended or age > LAPSED_S
