"""The request for a dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DataRequest:
    """A dataset as a user asks for it.

    Parameters
    ----------
    dataset : str
        A name in ``datasets/``, one of its recipes (``spheroid/mouse_embryo``), the path of a
        recipe (``.toml``), or that of a folder with images.
    size : str, optional
        One of the sizes in the manifest, ``default`` without it; for simulated datasets only.
    seed : int
        Of the simulation.
    cases : int, optional
        How many cases to simulate, as size or recipe says without it.
    settings : sequence of str
        Parameters of the simulation like ``camera.photons=5``.
    spacing : tuple of float, optional
        Voxel size in µm (z, y, x) for images in a folder.
    task : str, optional
        Task for which a folder is read.
    reference : Path, optional
        Folder of real images that unpaired outputs are compared with, in place of the recipe's.
    through : sequence of str
        Algorithms that each case passes, after those of the recipe.
    """

    dataset: str
    size: str | None = None
    seed: int = 0
    cases: int | None = None
    settings: Sequence[str] = ()
    spacing: tuple[float, ...] | None = None
    task: str | None = None
    reference: Path | None = None
    through: Sequence[str] = ()
