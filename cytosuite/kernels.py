"""Loops compiled by numba, kept in an algorithm's image and used where nothing can be written.

When an image is built: ``NUMBA_CPU_NAME=generic python3 -m cytosuite.kernels <module>``; at run
time the same NUMBA_CPU_NAME. The module calls `use` before its first loop.
"""

import atexit
import os
import shutil
import sys
import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

FOLDER = "kernels"  # next to the module


def keep(name: str, store: Path | None = None) -> int:
    """Compile the loops of a module into a folder.

    Parameters
    ----------
    name : str
        Module of loops, each with its signature, like ``cytosuite.algorithms.mine._kernels``.
    store : Path, optional
        The folder, made where it is missing; ``kernels`` next to the module without it.

    Returns
    -------
    int
        Number of files in it afterwards.

    Raises
    ------
    RuntimeError
        If the module was already imported in this process, so that its loops lie elsewhere.
    ModuleNotFoundError
        If the module does not exist.
    """
    if name in sys.modules:
        raise RuntimeError(f"{name} was imported before its cache was chosen")
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no module {name}", name=name)
    store = store or Path(spec.origin).with_name(FOLDER)
    _choose(store)
    import_module(name)
    return sum(path.is_file() for path in store.rglob("*"))


def use(store: Path) -> bool:
    """Make kept loops available, before the first loop of their module is defined.

    Parameters
    ----------
    store : Path
        The folder that `keep` filled.

    Returns
    -------
    bool
        False where the folder does not exist, NUMBA_CACHE_DIR is set or there is no room:
        nothing changes, and loops are compiled when they are imported.

    Notes
    -----
    Numba reads only from a folder that it can write to. The files, a few hundred kB, are therefore
    copied to a temporary folder, which is removed when the process ends.
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
    except OSError:
        return False
    _choose(target)
    return True


def _choose(folder: Path) -> None:
    """Point numba's cache to a folder."""
    from numba import config  # takes half a second

    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    cast(Any, config).reload_config()


if __name__ == "__main__":
    for module in sys.argv[1:]:
        sys.stdout.write(f"{module}: {keep(module)} files\n")
