"""Claims: a folder is held by one program at a time, on file systems without locks too."""

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread

from cytosuite.errors import InputError
from cytosuite.files import full_disk
from cytosuite.working import MACHINE, is_running

LOCK, CLAIM = ".lock", ".claim"
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
POLL_S = 0.2
RENEWED_S, LAPSED_S = 30.0, 300.0  # a claim is renewed every 30 s, and ends 300 s after the last


@contextmanager
def alone(folder: Path, busy: str = "") -> Iterator[None]:
    """Hold a folder against other programs that ask for it too.

    Parameters
    ----------
    folder : Path
        Made if it is missing. It is let go when the program ends, however it ends.
    busy : str
        Message where another program holds it; without one the call waits until it is free.

    Raises
    ------
    InputError
        If another program holds the folder, and there is a message for this.
    CytosuiteError
        If the disk is full or can only be read.

    Notes
    -----
    The system locks a file in the folder. Where the file system has no locks, a file with machine
    and process is the claim, which is renewed every 30 s. It counts as long as its process runs,
    as far as this machine can know, and has renewed it within 300 s. After a long standstill two
    programs may hold a folder: they do work twice, and `cytosuite.files.atomic` keeps it whole.
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
                held = _claim(folder / CLAIM, stack, wait=not busy)
        if not held:
            raise InputError(busy)
        yield


def _lock(path: Path, stack: ExitStack, *, wait: bool) -> bool:
    """Lock a file until the end of the stack; return False if another program has done so."""
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
    """Return whether an open file still has its name."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _claim(path: Path, stack: ExitStack, *, wait: bool) -> bool:
    """Make a file until the end of the stack; return False if that of another program counts."""
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
    """Set the time of a claim again and again."""
    while not ended.wait(RENEWED_S):
        try:
            os.utime(path)
        except FileNotFoundError:
            return  # it had lapsed, and the next holder has ended


def _has_lapsed(path: Path) -> bool:
    """Return whether a claim counts no more: its process has ended, or renews it no longer."""
    try:
        text, age = path.read_text(encoding="utf-8"), time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return False  # its holder has just ended: the next look finds it free
    try:
        machine, process = json.loads(text)
        ended = machine == MACHINE and not is_running(process)
    except (ValueError, TypeError):  # it is being written
        ended = False
    return ended or age > LAPSED_S
