"""Folders of the checkout or of the installed package, and the names of what lies in them."""

import os
from pathlib import Path

import cytosuite
from cytosuite.errors import InputError

PACKAGE = Path(str(cytosuite.__file__)).resolve().parent
# A checkout has the rooms next to the library, which links to them; a wheel has them inside.
CHECKOUT = (PACKAGE.parent / "pyproject.toml").is_file()
ROOT = PACKAGE.parent if CHECKOUT else PACKAGE
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cytosuite"


def workplace() -> Path:
    """Return the folder in which commands write: the checkout or, of a wheel, the current one."""
    return ROOT if CHECKOUT else Path.cwd()


def model_homes() -> list[Path]:
    """Return the folders of models: ours and, of a wheel, where its user's trainings write."""
    return [home / "weights" for home in dict.fromkeys([ROOT, workplace()])]


def program_of(name: str) -> str:
    """Return the algorithm of a name in a run: cellpose3d of ``cellpose3d:card``."""
    return name.partition(":")[0]


def folder_of(name: str) -> str:
    """Return the folder of a name in a run: no algorithm has the hyphen of ``cellpose3d-card``."""
    return name.replace(":", "-")


def need_checkout(purpose: str) -> Path:
    """Return the folder of the checkout; InputError if cytosuite is installed from a wheel."""
    if not CHECKOUT:
        raise InputError(
            f"{purpose} needs a checkout of the repository (git clone, then make benchmark); "
            f"this is the installed package in {PACKAGE}, which runs with --engine process"
        )
    return ROOT
