"""Files of images, and folders of OME-Zarr, by their names."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from cytosuite.volume import Volume

IMAGE_SUFFIXES = (".mha", ".tif", ".tiff", ".ozx")  # of files
FOLDER_SUFFIX = ".zarr"  # of an image that is a folder
CASE_SUFFIXES = (".tif", ".ome.zarr", ".ozx")  # of images in the cases of datasets
LARGE = 2**31  # bytes of pixels from which an image of a case is an OME-Zarr


def image_files(folder: Path, *, deep: bool = False) -> list[Path]:
    """Return the images in a folder, sorted; hidden names are passed over, as of macOS' shadows.

    Parameters
    ----------
    folder : Path
        One that is missing has no images.
    deep : bool
        Whether folders in it are searched too.
    """
    found: list[Path] = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if not path.name.startswith("."):
            if is_image(path):
                found.append(path)
            elif deep and path.is_dir() and not path.is_symlink():
                found += image_files(path, deep=True)
    return sorted(found)


def is_image(path: Path) -> bool:
    """Return whether a path is an image by its name: a file, or a folder of OME-Zarr."""
    suffix = path.suffix.lower()
    return suffix == FOLDER_SUFFIX if path.is_dir() else suffix in IMAGE_SUFFIXES


def is_large(array: NDArray[Any]) -> bool:
    """Return whether an image is an OME-Zarr in a case, by its size alone."""
    return array.nbytes > LARGE


def image_name(path: Path) -> str:
    """Return the name of an image without suffix.

    Examples
    --------
    >>> image_name(Path("a.b.tif")), image_name(Path("a.ome.zarr"))
    ('a.b', 'a')
    """
    name = path.name.removesuffix(path.suffix)
    zarr = path.suffix.lower() in {FOLDER_SUFFIX, ".ozx"}
    return name[: -len(".ome")] if zarr and name.lower().endswith(".ome") else name


def case_suffix(image: Volume | Path) -> str:
    """Return the suffix of an image in a case: of TIFF, and of OME-Zarr where it is large.

    Parameters
    ----------
    image : Volume or Path
        What is written, or a file or folder that is linked.
    """
    if isinstance(image, Volume):
        return CASE_SUFFIXES[is_large(image.array)]
    suffix = image.suffix.lower()
    return {FOLDER_SUFFIX: ".ome.zarr", ".tiff": ".tif"}.get(suffix, suffix)
