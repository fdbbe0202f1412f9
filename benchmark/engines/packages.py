"""Packages that an algorithm imports, those that are not installed, and torch among them."""

from importlib.util import find_spec
from pathlib import Path

from cytosuite.benchmark.catalog import PACKAGE, algorithms
from cytosuite.benchmark.containers.imports import follow
from cytosuite.errors import InputError
from cytosuite.packages import needs


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
        If one is missing; the message is the command that installs it.
    """
    needed = imported(f"cytosuite.algorithms.{algorithm}.{part}")
    if missing := [name for name in needed if find_spec(name) is None]:
        raise InputError(needs(algorithm, missing))


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
