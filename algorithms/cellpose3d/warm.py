"""Compile the loops once, when an image is built; find them again where nothing can be written.

At build: ``NUMBA_CPU_NAME=generic python3 -m algorithms.cellpose3d.warm``; at run the same
NUMBA_CPU_NAME. The module of the loops calls :func:`use` itself.
"""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

STORE = Path(__file__).resolve().parent / "kernels"


def fill(store: Path = STORE) -> int:
    """Compile the loops of inference into a folder.

    Parameters
    ----------
    store : Path
        The folder, made where it is missing.

    Returns
    -------
    int
        Number of files in it afterwards.

    Raises
    ------
    RuntimeError
        If the loops were already imported in this process, so that they lie elsewhere.
    """
    name = "algorithms.cellpose3d._kernels"
    if name in sys.modules:
        raise RuntimeError(f"{name} was imported before its cache was chosen")
    _choose(store)
    from algorithms.cellpose3d import _kernels

    del _kernels
    return sum(path.is_file() for path in store.rglob("*"))


def use(store: Path = STORE) -> bool:
    """Make the compiled loops of an image available, before they are imported.

    Parameters
    ----------
    store : Path
        The folder that :func:`fill` filled.

    Returns
    -------
    bool
        Whether that was done. The compiler reads only from a folder it can write to: the files,
        a few hundred kB, are copied to a folder of their own for temporary files, which is gone
        when the process ends. Without them, or with NUMBA_CACHE_DIR set, nothing changes.
    """
    if os.environ.get("NUMBA_CACHE_DIR") or not store.is_dir():
        return False
    try:
        target = Path(tempfile.mkdtemp(prefix="cytosuite-kernels-"))
        atexit.register(shutil.rmtree, target, ignore_errors=True)
        for path in (path for path in store.rglob("*") if path.is_file()):
            copy = target / path.relative_to(store)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)  # not its mode, which may forbid writing
    except OSError:  # no room: the loops are compiled once more
        return False
    _choose(target)
    return True


def _choose(folder: Path) -> None:
    """Point the compiler's cache to a folder."""
    from numba import config  # takes half a second

    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    cast(Any, config).reload_config()


if __name__ == "__main__":
    sys.stdout.write(f"{fill()} files in {STORE}\n")
