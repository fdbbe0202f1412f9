"""OME-Zarr images: folders (.ome.zarr, .zarr) and single zip files (.ozx), read and written.

Source: https://ngff.openmicroscopy.org, versions 0.4 and 0.5, and RFC-9 for single files.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.errors import InputError
from cytosuite.formats.ngff import NgffImage, image_of
from cytosuite.formats.pieces import chunk_rows, gathered, regrouped
from cytosuite.formats.zarrarray import ZarrArray, array_of
from cytosuite.formats.zarrhome import entries, sizes_of
from cytosuite.memory import check_claim
from cytosuite.volume import AXES, SPATIAL, Header, Origin, Scalar, Volume, scalars

if TYPE_CHECKING:
    import zarr


@dataclass(frozen=True, slots=True)
class _Opened:
    """An image of which parts can be read, along the axes of a `Volume`."""

    image: NgffImage
    stored: ZarrArray
    header: Header
    held: Mapping[str, int]
    metadata: dict[str, Scalar]
    origin: Origin
    array: "Callable[[], zarr.Array[Any]]"

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of the chunks."""
        by_axis = dict(zip(self.image.axes, self.stored.chunks, strict=True))
        return tuple(by_axis[axis] for axis in self.header.axes)

    def part(self, source: "zarr.Array[Any]", *region: slice) -> NDArray[Any]:
        """Return the pixels of a region along the first axes."""
        wanted = dict(zip(self.header.axes, region, strict=False))
        index = tuple(self.held.get(a, wanted.get(a, slice(None))) for a in self.image.axes)
        left = [axis for axis in self.image.axes if axis not in self.held]
        found = np.asarray(source[index])
        return found.transpose([left.index(axis) for axis in self.header.axes])

    def rows(self) -> Iterator[NDArray[Any]]:
        """Yield whole rows of chunks along the first axis."""
        return chunk_rows(self.header, self.chunks, partial(self.part, self.array()))


def read_omezarr(
    path: Path,
    pick: Mapping[str, int] | None = None,
    scene: int | None = None,
) -> Volume:
    """Return an image of an OME-Zarr at its full resolution, whole or one frame and channel of it.

    Parameters
    ----------
    path : Path
        A folder of version 0.1 to 0.5, or a zip file (``.ozx``). Axes T and C of length one are
        dropped.
    pick : mapping of str to int, optional
        Index along T or C: only its chunks are decoded, and the axis is dropped.
    scene : int, optional
        Number of the image; without it the first, and a remark where there are several.

    Returns
    -------
    Volume
        1 µm and ``spacing_source = "assumed"`` where axes have no unit and a scale of one.

    Raises
    ------
    InputError
        If it is no image, broken, or its chunks cannot be read.
    """
    with _opened(path, pick or {}, scene) as found:
        head = found.header
        array = gathered(head.shape, head.dtype, found.rows())
    return Volume(array, head.spacing, head.axes, found.metadata, found.origin)


def omezarr_header(path: Path, scene: int | None = None) -> Header:
    """Return the geometry of an image without decoding a pixel; see `read_omezarr`."""
    with _opened(path, {}, scene) as found:
        return found.header


def omezarr_slabs(path: Path, planes: int | None = None) -> Iterator[NDArray[Any]]:
    """Yield the pixels in slabs along the first axis; see `cytosuite.formats.slabs`."""
    with _opened(path, {}, None) as found:
        yield from regrouped(found.header, found.rows(), planes)


def omezarr_channels(path: Path, scene: int | None = None) -> list[str]:
    """Return the names of an image's channels, empty where a channel has none."""
    with entries(path) as home:
        return image_of(home, scene).channels


@contextmanager
def _opened(path: Path, pick: Mapping[str, int], scene: int | None) -> Iterator[_Opened]:
    """Open an image; T and C are dropped where they are picked or of length one."""
    with entries(path) as home:
        image = image_of(home, scene)
        stored = array_of(path, home, image.path)
        check_claim(prod(stored.shape) * stored.dtype.itemsize, sizes_of(path))
        if len(stored.shape) != len(image.axes):
            raise InputError(
                f"the axes {', '.join(image.axes.lower())} contradict the shape {stored.shape}"
            )
        sizes = dict(zip(image.axes, stored.shape, strict=True))
        single = {axis: 0 for axis in "TC" if sizes.get(axis) == 1}
        held = single | {axis: number for axis, number in pick.items() if axis in sizes}
        axes = "".join(axis for axis in AXES if axis in sizes and axis not in held)
        metadata, remarks = _metadata(image, axes, pick)
        spatial = [axis for axis in axes if axis in SPATIAL]
        if not all(axis in image.sizes for axis in spatial):
            metadata["spacing_source"] = "assumed"
        # A step that is not known is guessed: cubic voxels.
        guess = image.sizes.get("Y", 1.0)
        spacing = tuple(image.sizes.get(axis, guess) for axis in spatial)
        header = Header(tuple(sizes[axis] for axis in axes), stored.dtype, spacing, axes)
        yield _Opened(
            image,
            stored,
            header,
            held,
            metadata,
            _origin(image, metadata, remarks),
            partial(_array, home, image.path, stored),
        )


def _metadata(
    image: NgffImage, axes: str, pick: Mapping[str, int]
) -> tuple[dict[str, Scalar], tuple[str, ...]]:
    """Return metadata with the name of the channel that is read, and remarks on them."""
    metadata, remarks = scalars(image.own)
    names = dict(enumerate(image.channels))
    if "C" not in axes and (name := names.get(pick.get("C", 0))):
        metadata.setdefault("channel", name)
    return metadata, remarks


def _origin(image: NgffImage, metadata: Mapping[str, Scalar], remarks: tuple[str, ...]) -> Origin:
    """Return the origin of voxel size and metadata."""
    keys = [key for key in metadata if key != "spacing_source"]
    sources = {key: "json" if key in image.own else "ome" for key in keys}
    known = metadata.get("spacing_source") != "assumed"
    sources["spacing"] = "ome" if known else "assumed"
    return Origin(sources, image.unit if known else "um", (*image.warnings, *remarks))


def _array(home: Any, folder: str, stored: ZarrArray) -> "zarr.Array[Any]":  # noqa: ANN401
    """Return the array of the zarr library."""
    from cytosuite.formats.zarrstore import opened

    return opened(home, folder, stored.metadata, stored.limit)
