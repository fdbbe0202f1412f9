"""Loops compiled by numba into an image: ``python3 -m cytosuite.networks.kernels <module>``."""

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from inspect import getfile
from pathlib import Path
from typing import Any, TypeVar, cast

FOLDER = "kernels"  # next to the module
Loop = TypeVar("Loop", bound=Callable[..., Any])
_made: list[str] = []  # folder of this process that holds copies of all kept loops


def compiled(*signature: str, **options: object) -> Callable[[Loop], Loop]:
    """Return numba's decorator; each process compiles the loop where no cache can be written."""

    def decorate(loop: Loop) -> Loop:
        """Return a loop that its first call compiles."""
        from numba import njit  # takes half a second

        use(Path(getfile(loop)).with_name(FOLDER))
        fast = partial(njit, [*signature] or None, nogil=True, **options)
        try:
            return cast(Loop, fast(cache=True)(loop))
        except RuntimeError:  # neither the module's folder nor the user's cache can be written
            return cast(Loop, fast()(loop))

    return decorate


def keep(name: str, store: Path | None = None) -> int:
    """Compile the loops of a module into a folder, `FOLDER` next to it; return the files made."""
    if name in sys.modules:
        raise RuntimeError(f"{name} was imported before its cache was chosen")
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no module {name}", name=name)
    store = store or Path(spec.origin).with_name(FOLDER)
    _choose(store)
    import_module(name)
    return sum(path.is_file() for path in store.rglob("*"))


@cache
def use(store: Path) -> bool:
    """Copy kept loops to where numba can write, before their module's first loop; False without."""
    folder = os.environ.get("NUMBA_CACHE_DIR", "")
    if not store.is_dir() or folder not in ("", *_made):
        return False
    try:
        target = Path(folder or tempfile.mkdtemp(prefix="cytosuite-kernels-"))
        if not folder:
            _made.append(str(target))
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
    from numba import config  # takes half a second

    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    cast(Any, config).reload_config()


if __name__ == "__main__":
    for module in sys.argv[1:]:
        sys.stdout.write(f"{module}: {keep(module)} files\n")
