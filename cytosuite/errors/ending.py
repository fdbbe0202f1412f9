"""The end of a program: its exit code, and one line where it did not go well."""

import errno
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from cytosuite.errors import CytosuiteError, plain
from cytosuite.errors.packages import lacking

REFUSED, INTERRUPTED, CLOSED = 2, 130, 141  # exit codes; the last as where SIGPIPE ends a program
AGAIN_S = 0.05
ALLOCATOR = "DefaultCPUAllocator: "  # of torch, which raises no MemoryError
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # errors that name no file


def end(program: Callable[[], int | None]) -> NoReturn:
    """Run a program and end with its exit code."""
    _open_streams()
    if not sys.warnoptions:  # for developers of other libraries: -W default shows them
        warnings.simplefilter("ignore")
    line = ""
    with _interruptible():
        try:
            code = program() or 0
            sys.stdout.flush()
        except SystemExit as stop:  # 1: rich and typer on a closed pipe
            code = CLOSED if stop.code == 1 else int(stop.code or 0)
        except (Exception, KeyboardInterrupt) as error:
            if (refusal := _refusal(error)) is None:
                raise
            code, line = refusal
    if code in (REFUSED, CLOSED):
        # The end of Python would try to write it once more; a stream in a test has no file.
        with suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
    if line:
        with suppress(OSError):
            sys.stderr.write(f"cytosuite: {plain(line)}\n")
    sys.exit(code)


def _refusal(error: BaseException) -> tuple[int, str] | None:
    """Return exit code and line for an error that is no fault of the program, None for others."""
    match error:
        case CytosuiteError():
            return error.exit_code, str(error)
        case KeyboardInterrupt():
            return INTERRUPTED, "interrupted; what is finished is kept: give the same command again"
        case ImportError() if line := lacking(error):
            return REFUSED, line
        case MemoryError():
            return REFUSED, f"not enough memory is free ({str(error) or 'of unknown size'})"
        case RuntimeError() if ALLOCATOR in str(error):
            return REFUSED, f"not enough memory is free ({str(error).rpartition(ALLOCATOR)[2]})"
        case BrokenPipeError():
            return CLOSED, ""
        case OSError(filename=str() | bytes()):
            place = os.fsdecode(error.filename if error.filename2 is None else error.filename2)
            return REFUSED, f"{place}: cannot be read or written ({error.strerror})"
        case OSError() if error.errno in FULL:
            return REFUSED, f"a file or the output cannot be read or written ({error.strerror})"
    return None


def _open_streams() -> None:
    """Let stdout and stderr take any text; open the null device if they are closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names that are no UTF-8, and µ in C


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let a request to end (SIGTERM, SIGHUP) do as Ctrl-C does: everything is tidied up."""
    before = {
        number: signal.signal(number, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
        if signal.getsignal(number) is signal.SIG_DFL  # nohup has it ignored
    }
    usual = sys.unraisablehook

    def dropped(ignored: "sys.UnraisableHookArgs") -> None:
        """Ask again for an interruption that Python drops, as it fell into a callback of a fork."""
        if isinstance(ignored.exc_value, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
        else:
            usual(ignored)

    sys.unraisablehook = dropped
    try:
        yield
    finally:
        sys.unraisablehook = usual
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
