"""The file formats of images, and images by their names; no format is loaded yet."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from cytosuite.files import Texts, frozen
from cytosuite.formats.stored import Stored
from cytosuite.volume import Header, Volume
from cytosuite.volume.arrays import Array
from cytosuite.volume.pieces import copies


@frozen
class Format:
    """A module here: ``opened``, else ``read``; perhaps ``channels``, ``write``."""

    name: str  # for messages
    module: str
    suffixes: Texts
    takes: Texts = ()  # options of its functions
    has_header: bool = True  # the geometry is known without decoding
    is_written: bool = True

    @property
    def code(self) -> ModuleType:
        """The module of the format."""
        return import_module(f"cytosuite.formats.{self.module}")

    def call(self, function: str, path: Path, *arguments: object, **options: object) -> Any:  # noqa: ANN401
        """Return the answer of a function of the module, without options that it does not take."""
        accepted = {name: value for name, value in options.items() if name in self.takes}
        return getattr(self.code, function)(path, *arguments, **accepted)

    @contextmanager
    def opened(self, path: Path, **options: object) -> Iterator[Stored]:
        """Open an image; one of a format without slabs is read."""
        if hasattr(self.code, "opened"):
            with self.call("opened", path, **options) as stored:
                yield stored
        else:
            image = self.call("read", path, **options)
            dtype = image.array.dtype.newbyteorder("=")
            head = Header(image.shape, dtype, image.spacing, image.axes)
            yield Stored(
                head, image.metadata, image.origin, partial(copies, image.array), image=image
            )


TIFF = Format("TIFF", "tiff", (".tif", ".tiff"), ("pick", "scene", "axes", "colours", "as_json"))
METAIMAGE = Format("MetaImage", "metaimage", (".mha",))
HDF5 = Format("HDF5", "hdf5", (".h5", ".hdf5"), ("axes", "group"), has_header=False)
PICTURE = Format(
    "a picture", "picture", (".png", ".jpg", ".jpeg"), ("pick",), has_header=False, is_written=False
)
REQUEST = Format("a request", "request", (".json",), is_written=False)  # for an image, empty
OMEZARR = Format("OME-Zarr", "omezarr", (".zarr", ".ozx"), ("pick", "scene"))

READABLE = {
    suffix: form for form in (TIFF, METAIMAGE, HDF5, PICTURE, OMEZARR) for suffix in form.suffixes
}
LABEL = "_label"  # ends the names of labels of published simulators
FOLDER_SUFFIX = ".zarr"  # of an image that is a folder
IMAGE_SUFFIXES = (*METAIMAGE.suffixes, *TIFF.suffixes, ".ozx")  # of files in sockets of a task
CASE_SUFFIXES = (".tif", ".ome.zarr", ".ozx")  # of images in the cases of datasets
LARGE = 2**31  # bytes of pixels from which an image of a case is an OME-Zarr


def format_of(path: Path) -> Format | None:
    """Return the format of a file by its suffix; a request is no image in a folder."""
    suffix = path.suffix.lower()
    return REQUEST if suffix in REQUEST.suffixes else READABLE.get(suffix)


def is_readable(path: Path) -> bool:
    """Return whether images of users can have the suffix of a path."""
    return path.suffix.lower() in READABLE


def image_files(folder: Path, *, deep: bool = False) -> list[Path]:
    """Return the images in a folder, sorted, but hidden ones; with `deep` its folders' too."""
    paths = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if not path.name.startswith("."):
            if is_image(path):
                paths.append(path)
            elif deep and path.is_dir() and not path.is_symlink():
                paths += image_files(path, deep=True)
    return sorted(paths)


def is_image(path: Path) -> bool:
    """Return whether a path is an image by its name: a file, or a folder of OME-Zarr."""
    suffix = path.suffix.lower()
    return suffix == FOLDER_SUFFIX if path.is_dir() else suffix in IMAGE_SUFFIXES


def is_large(array: Array) -> bool:
    """Return whether an image is an OME-Zarr in a case, by its size alone."""
    return array.nbytes > LARGE


def image_name(path: Path) -> str:
    """Return the name of an image without suffix: ``a.b`` of a.b.tif, ``a`` of a.ome.zarr."""
    name = path.name.removesuffix(path.suffix)
    is_zarr = path.suffix.lower() in OMEZARR.suffixes
    return name[: -len(".ome")] if is_zarr and name.lower().endswith(".ome") else name


def case_suffix(image: Volume | Path) -> str:
    """Return the suffix of an image, or a file linked, in a case: TIFF, large ones OME-Zarr."""
    if isinstance(image, Volume):
        return CASE_SUFFIXES[is_large(image.array)]
    suffix = image.suffix.lower()
    return {FOLDER_SUFFIX: ".ome.zarr", ".tiff": ".tif"}.get(suffix, suffix)
