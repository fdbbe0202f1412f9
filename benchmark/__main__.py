"""The program ``cytosuite``, or ``python -m cytosuite.benchmark``: it ends as promised."""

import atexit
import gc
import os
import shutil
import tempfile
from pathlib import Path

from cytosuite.errors.ending import end


def main() -> None:
    """Run the command line; see `cytosuite.errors.ending.end`."""
    end(_run)


def _run() -> int | None:
    """Run the command line, which is imported here: an interruption can come at any time."""
    gc.set_threshold(20_000)  # loading makes many objects and no garbage: a fifth of the start
    from cytosuite.benchmark.catalog.places import CACHE, CHECKOUT, PACKAGE
    from cytosuite.benchmark.commands.app import run

    if not (CHECKOUT and os.access(PACKAGE, os.W_OK)) and "NUMBA_CACHE_DIR" not in os.environ:
        os.environ["NUMBA_CACHE_DIR"] = str(writable(CACHE / "numba"))  # not the installed package
    return run()


def writable(folder: Path) -> Path:
    """Return a folder for compiled loops, or one of this process alone where none can be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:  # numba refuses loops that it cannot keep
        own = Path(tempfile.mkdtemp(prefix="cytosuite-loops-"))
        atexit.register(shutil.rmtree, own, ignore_errors=True)
        return own


if __name__ == "__main__":
    main()
