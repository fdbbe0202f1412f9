"""Packages that an algorithm imports, those that are not installed, and torch among them."""

import re
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from pathlib import Path

from cytosuite.benchmark.catalog import PACKAGE, algorithms
from cytosuite.benchmark.containers.imports import follow
from cytosuite.errors import InputError


def imported(module: str, package: Path = PACKAGE) -> set[str]:
    """Return the packages of others that a module of ours needs to be imported.

    Parameters
    ----------
    module : str
        Like ``cytosuite.algorithms.watershed.predict``.
    package : Path
        The folder ``cytosuite``.

    Returns
    -------
    set of str
        Top-level names, of Python's own library none. Our modules are read and followed, nothing
        is imported. An import within a function does not count: a format that needs it may never
        be met.
    """
    return set(follow([module], package))


def need_packages(algorithm: str, part: str = "predict") -> None:
    """Check that all packages which an algorithm imports are installed.

    Parameters
    ----------
    algorithm : str
        Its name.
    part : str
        The module in its folder that is needed: ``predict`` or ``training.train``.

    Raises
    ------
    InputError
        If one is missing; the message names the extra that brings it.
    """
    needed = imported(f"cytosuite.algorithms.{algorithm}.{part}")
    missing = sorted(name for name in needed if find_spec(name) is None)
    if not missing:
        return
    extras = {extra for name in missing if (extra := _extra(name))}
    wanted = f"'cytosuite[{','.join(sorted(extras))}]'" if extras else " ".join(missing)
    raise InputError(
        f"{algorithm} needs {', '.join(missing)}, not installed here: pip install {wanted}, "
        "or name another algorithm; for the small CPU build of torch see README.md, Install"
    )


def uses_gpu(algorithm: str) -> bool:
    """Return whether an algorithm computes on a GPU where it is given one.

    Parameters
    ----------
    algorithm : str
        Its name: one of ours does if it may import torch, or its manifest says so
        (``resources.gpu``); an image of others may always.
    """
    own = algorithms().get(algorithm)
    module = f"cytosuite.algorithms.{algorithm}.predict"
    return own is None or own.resources.gpu or "torch" in follow([module], PACKAGE, later=True)


def _extra(name: str) -> str | None:
    """Return the extra of ours that brings a package, None if there is none."""
    try:
        lines = requires("cytosuite") or []
    except PackageNotFoundError:
        return None
    for line in lines:
        found = re.fullmatch(r"([\w.-]+).*extra == [\"'](\w+)[\"'].*", line)
        if found and found[1].lower() == name and found[2] != "dev":
            return found[2]
    return None
