"""The files an algorithm can import at run time: its image and its results depend on no others."""

from pathlib import Path

from cytosuite.files import digest, visible_files

ROOMS = {
    "algorithms",
    "benchmark",
    "datasets",
    "weights",
}  # links in a checkout
NOT_IN_CORE = {"metrics", "training", *ROOMS}  # of the library
NOT_AT_RUN_TIME = {
    "training",
    "kernels",
    "wheels",
    "README.md",
    "Dockerfile",
}  # of an algorithm's folder


def runtime_files(root: Path, algorithm: str) -> list[Path]:
    """Return the files of which an algorithm's image is made.

    Parameters
    ----------
    root : Path
        The checkout, or the installed package.
    algorithm : str
        Its name.

    Returns
    -------
    list of Path
        Ascending: the core of the library, the algorithm's folder without training, compiled
        kernels, README and Dockerfile, and its model cards and weights; neither caches nor hidden
        files.
    """
    core, own = root / "cytosuite", root / "algorithms" / algorithm
    return sorted(
        [
            *_below(core if core.is_dir() else root, NOT_IN_CORE),
            root / "algorithms" / "__init__.py",
            *_below(own, NOT_AT_RUN_TIME),
            *visible_files(root / "weights" / algorithm),
        ]
    )


def runtime_digest(root: Path, algorithm: str) -> str:
    """Return the SHA-256 of names and contents of an algorithm's files, see `runtime_files`."""
    return digest(runtime_files(root, algorithm), root)


def _below(folder: Path, without: set[str]) -> list[Path]:
    """Return the files below a folder, except entries of the folder with these names."""
    files = visible_files(folder)
    return [file for file in files if file.relative_to(folder).parts[0] not in without]
