"""Packages that an algorithm imports, those that are not installed, and torch among them."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from cytosuite.benchmark.catalog.catalog import algorithms
from cytosuite.benchmark.catalog.places import PACKAGE, ROOT, program_of
from cytosuite.benchmark.containers.sources import follow
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.errors.packages import needs


def imported(module: str, package: Path = PACKAGE) -> set[str]:
    """Return the packages of others that a module of ours needs to be imported; see `follow`."""
    return set(follow([module], package))


def need_packages(user: str, part: str = "predict") -> None:
    """Check the packages that a part of an algorithm, or a module, imports; else InputError."""
    module = part if part.startswith("cytosuite.") else f"cytosuite.algorithms.{user}.{part}"
    if missing := sorted(name for name in imported(module) if find_spec(name) is None):
        requirements = ROOT / "algorithms" / user / "requirements.txt"
        if requirements.is_file() and set(missing) - {"torch", "monai"}:
            raise InputError(
                f"{user} needs {', '.join(missing)}, not installed here: run its container "
                f"(ENGINE=docker), or install {requirements} in an environment of its own"
            )
        raise InputError(needs(user, missing))


def uses_gpu(algorithm: str) -> bool:
    """Return whether an algorithm may import torch or asks for a GPU, or is of others."""
    manifest = algorithms().get(program_of(algorithm))
    module = f"cytosuite.algorithms.{program_of(algorithm)}.predict"
    return (
        manifest is None
        or manifest.resources.gpu
        or "torch" in follow([module], PACKAGE, later=True)
    )


def refusal(check: Callable[[str], None], algorithm: str) -> str:
    """Return the error by which a check refuses an algorithm, or an empty text."""
    try:
        check(algorithm)
    except CytosuiteError as error:
        return str(error)
    return ""
