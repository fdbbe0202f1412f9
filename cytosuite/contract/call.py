"""A case belongs to its caller: once nobody waits for its answer it ends, and writes nothing."""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from ctypes import c_ulong, py_object, pythonapi
from pathlib import Path
from typing import TypeVar

from cytosuite.files import remove
from cytosuite.files.working import working_name

T = TypeVar("T")
LOOK_S = 0.05  # between two looks at the connection
PATIENCE_S = 0.5  # of the next case with the tile or step that an abandoned one still computes


@contextmanager
def within(variable: ContextVar[T], value: T) -> Iterator[T]:
    """Give a variable a value until the end of the block."""
    token = variable.set(value)
    try:
        yield value
    finally:
        variable.reset(token)


class Abandoned(BaseException):
    """Nobody waits for this case any longer; no algorithm takes it for an error of its own."""


class Call(threading.Thread):
    """A case in a thread of its own, for as long as its caller waits."""

    def __init__(self, caller: socket.socket, work: Callable[[], int]) -> None:
        super().__init__(daemon=True)
        self.caller, self.work = caller, work
        self.code = 1  # of the work: it may end without any
        self.private = Path(working_name("case"))  # of the outputs, until they are handed over
        self._lock = threading.RLock()
        self._over = self._ended = False

    def run(self) -> None:
        """Do the work; an abandoned one ends without a traceback."""
        _present.set(self)
        with suppress(Abandoned):
            try:
                self.code = self.work()
            finally:
                with self._lock:
                    self._ended = True

    def follow(self, abandoned: list["Call"]) -> None:
        """Wait until one other case at most is in memory, and briefly for its end."""
        # A step that computes outside of Python cannot be stopped.
        deadline = time.monotonic() + PATIENCE_S
        while abandoned and not self.over():
            if len(abandoned) == 1 and time.monotonic() > deadline:
                break
            abandoned[0].join(LOOK_S)
            abandoned[:] = filter(Call.is_alive, abandoned)

    def watched(self) -> bool:
        """Run, and return whether the caller waits to the end; else stop the work in Python."""
        if self.over():
            return False
        self.start()
        while self.is_alive() and not self.over():
            self.join(LOOK_S)
        with self._lock:
            if self._over and not self._ended:
                pythonapi.PyThreadState_SetAsyncExc(c_ulong(self.ident or 0), py_object(Abandoned))
        return not self._over

    def over(self) -> bool:
        """Return whether the caller has gone."""
        with self._lock:
            if not self._over:  # else the connection may be closed
                poll = select.poll()
                poll.register(self.caller, select.POLLRDHUP)
                self._over = bool(poll.poll(0))
            return self._over

    @contextmanager
    def delivered(self, outputs: Path) -> Iterator[Path]:
        """Yield a private folder; hand its files over, all or none if the caller has gone."""
        folder = self.private = outputs / self.private.name
        folder.mkdir(parents=True)
        try:
            yield folder
            moved = []
            with self._lock:  # the next case waits for it
                for file in [path for path in folder.rglob("*") if not path.is_dir()]:
                    target = outputs / file.relative_to(folder)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    moved.append(file.replace(target))
                if self.over():
                    for file in moved:
                        remove(file)
                    raise Abandoned
        finally:
            remove(folder)


_present: ContextVar[Call | None] = ContextVar("present", default=None)


def look() -> None:
    """Raise `Abandoned` if the caller of the present case has gone; a lone case has none."""
    if (call := _present.get()) is not None and call.over():
        raise Abandoned


@contextmanager
def attended() -> Iterator[None]:
    """Call any error of an abandoned case, which may have lost its files, into `Abandoned`."""
    try:
        yield
    except BaseException:
        look()
        raise
    look()


@contextmanager
def delivered(outputs: Path) -> Iterator[Path]:
    """Yield the folder to write in: of a server a private one, handed over at the end."""
    look()
    call = _present.get()
    with call.delivered(outputs) if call else nullcontext(outputs) as folder:
        yield folder
