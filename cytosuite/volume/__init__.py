"""An image with its axes, voxel size and metadata."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from math import inf

import numpy as np

from cytosuite.errors import LINE, InputError, plain
from cytosuite.files import (
    FloatDict,
    FloatMap,
    IntMap,
    ScalarMap,
    Scalars,
    TextMap,
    Texts,
    TextSeq,
    frozen,
)
from cytosuite.volume.arrays import Array, DType, Lengths, Shape, Sizes, Spacing
from cytosuite.volume.pieces import extremes, slabs_of

AXES = "TCZYX"
UM_PER = {
    **{"nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "inch": 25400.0, "in": 25400.0, "å": 1e-4},
    "angstrom": 1e-4,
    "picometer": 1e-6,
    "kilometer": 1e9,
    "nanometer": 1e-3,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
    **dict.fromkeys(("um", "µm", "μm", "\\u00b5m", "micron", "microns", "micrometer"), 1.0),
}
UNITS = {1e-3: "nm", 1.0: "um", 1e3: "mm", 1e4: "cm", 25400.0: "inch", 1e6: "m"}
SPATIAL = "ZYX"
SIZES = (1e-12, 1e12)  # µm: beyond, the units of files overflow
POSSIBLE = (0.01, 50.0)  # µm: from expanded samples at high magnification to whole embryos
KEYS = 1000  # of the metadata of an image
KEY_LETTERS = 100  # of one of them
# Keys that a choice of a model reads, in any case.
WORDS = frozenset({"channel", "study", "stain", "microscope", "method", "sample"})
LARGEST = 2**64  # of an integer that other programs can hold
KINDS, LARGEST_ITEM = "buif", 8  # of numpy's dtypes; bytes of a number


@frozen
class Header:
    """Geometry and number type of an image file, read without its pixels."""

    shape: Shape  # size of each axis in voxels
    dtype: DType  # of the pixels, in the order of bytes of this machine
    spacing: Lengths  # µm per voxel along z, y, x; 1 where the file gives none
    axes: str  # as of `Volume`

    def __post_init__(self) -> None:
        """Refuse numbers, axes, shapes and spacings that no image here has."""
        _check_geometry(self.shape, self.spacing, self.axes, self.dtype)

    @property
    def labels(self) -> "Header":
        """Geometry of the labels of an image, which have no channels."""
        shape = tuple(size for axis, size in zip(self.axes, self.shape, strict=True) if axis != "C")
        return replace(self, shape=shape, axes=self.axes.replace("C", ""))


@frozen
class Origin:
    """Origin of an image's voxel size and metadata."""

    # Of the voxel size (``spacing``) and of keys of the metadata: ``json``, ``ome``, ``imagej``,
    # ``tiff``, ``metaimage``, ``hdf5``, ``name``, ``user`` or ``assumed``.
    sources: TextMap = field(default_factory=dict)
    unit: str = "um"  # of the stated voxel size: ``um``, ``nm``, ``mm``, ``cm``, ``inch``, ``m``
    warnings: Texts = ()  # for the user, one short line each
    geometry: TextMap = field(default_factory=dict)  # of a MetaImage: texts of its header


@dataclass(frozen=True, slots=True)
class Volume:
    """An image with its axes, its voxel size in µm and its metadata.

    Parameters
    ----------
    array : ndarray
        The pixels, in the order of `axes`.
    spacing : tuple of float
        µm per voxel, one positive number per spatial axis of `axes`, in the order z, y, x.
    axes : str
        Ordered subset of ``TCZYX`` that ends in ``YX``, one letter per dimension of `array`.
    metadata : mapping
        Strings and numbers (channel, study, ...). The key ``spacing_source`` is ``"assumed"``
        where the file gave no voxel size.
    origin : Origin
        Where voxel size and metadata come from; it is no part of the content.

    Raises
    ------
    InputError
        If axes and array disagree, an axis is unknown or out of order, a spacing is not a positive
        number or beyond 1e-12 to 1e12 µm, or the pixels are no ndarray (a tensor, a list), masked,
        complex numbers, objects or records.

    Examples
    --------
    >>> Volume(np.zeros((8, 64, 64), np.uint16), spacing=(1.0, 0.2, 0.2)).shape
    (8, 64, 64)
    """

    array: Array
    spacing: Lengths
    axes: str = "ZYX"
    metadata: ScalarMap = field(default_factory=dict)
    origin: Origin = field(default=Origin(), compare=False)

    def __post_init__(self) -> None:
        """Refuse numbers, axes, shapes and spacings that no image here has."""
        if not isinstance(self.array, np.ndarray) or isinstance(self.array, np.ma.MaskedArray):
            raise InputError(
                f"expected pixels as an ndarray, found {type(self.array).__name__}; give "
                "numpy.asarray of it, filled where it is masked"
            )
        values = _check_geometry(self.array.shape, self.spacing, self.axes, self.array.dtype)
        object.__setattr__(self, "spacing", values)

    @property
    def shape(self) -> Shape:
        """Size of each axis in voxels."""
        return tuple(self.array.shape)

    @property
    def spacing_is_assumed(self) -> bool:
        """Whether the voxel size is a stand-in because the file gave none."""
        return self.metadata.get("spacing_source") == "assumed"

    def sized(self, spacing: Lengths | None, refusal: str) -> Lengths:
        """Return a voxel size where one is given, else the file's; InputError where it is none."""
        if spacing is not None:
            return spacing
        if self.spacing_is_assumed:
            raise InputError(refusal)
        if not all(is_size(step, POSSIBLE) for step in self.spacing):
            raise InputError(f"{refusal}; found {self.spacing} µm")
        return self.spacing

    @property
    def steps(self) -> FloatDict:
        """The voxel size in µm by spatial axis."""
        return dict(zip((axis for axis in self.axes if axis in SPATIAL), self.spacing, strict=True))

    @property
    def channels(self) -> "list[Volume]":
        """Each channel as an image of its own; the image itself where it has no axis C."""
        at = self.axes.find("C")
        rest = self.axes.replace("C", "")
        if at < 0:
            return [self]
        return [replace(self, array=part, axes=rest) for part in np.moveaxis(self.array, at, 0)]

    def like(self, array: Array) -> "Volume":
        """Return another image of the same scene: all but the pixels is kept."""
        if array.shape != self.array.shape:
            raise InputError(f"expected the shape {self.array.shape}, found {array.shape}")
        return replace(self, array=array)


def merged(channels: Sequence[Volume]) -> Volume:
    """Return images as channels of one; metadata stay, and ``channels`` are their names."""
    first, *others = channels
    if not others:
        return first
    names = [str(channel.metadata.get("channel", "")) for channel in channels]
    facts = {
        key: fact for key, fact in first.metadata.items() if key not in {"channel", "channels"}
    }
    facts |= _named_channels(names)
    array = np.stack([channel.array for channel in channels])
    return Volume(array, first.spacing, f"C{first.axes}", facts, first.origin)


Volumes = Mapping[str, Volume]  # by the slugs of their sockets


def scalars(entries: Mapping[str, object]) -> tuple[Scalars, Texts]:
    """Return the texts and numbers among a file's metadata that every program can hold."""
    metadata: Scalars = {}
    refused = []
    absent = WORDS - set(entries)
    for name, entry in entries.items():
        value = entry.item() if isinstance(entry, np.generic) else entry
        if not isinstance(value, str | int | float):
            continue
        word = str(name).strip().casefold()
        key = word if word in absent else name
        named = isinstance(key, str) and 0 < len(key) <= KEY_LETTERS and key.isprintable()
        held = isinstance(value, str) or abs(value) < (LARGEST if isinstance(value, int) else inf)
        if not (named and held) or len(metadata) == KEYS:
            refused.append(plain(str(key), KEY_LETTERS))
        else:
            odd = isinstance(value, str) and (len(value) > LINE or not value.isprintable())
            metadata[key] = plain(str(value)) if odd else value
    if not refused:
        return metadata, ()
    names = ", ".join(refused[:3]) + (", ..." if len(refused) > 3 else "")
    return metadata, (f"metadata that no program can hold do not count: {names}",)


def with_channel(
    entries: Mapping[str, object], names: TextSeq, axes: str, pick: IntMap
) -> tuple[Scalars, Texts]:
    """Return the `scalars` of an image with the name of its channel, or the names of several."""
    metadata, warnings = scalars(entries)
    if "C" not in axes:
        metadata.pop("channels", None)
        if name := dict(enumerate(names)).get(pick.get("C", 0)):
            metadata.setdefault("channel", name)
        return metadata, warnings
    named = _named_channels(names)
    if names and all(names) and not named:
        warnings = (*warnings, "names of channels are too long to be kept in copies")
    if "channels" not in metadata:
        metadata |= named
    return metadata, warnings


def _named_channels(names: TextSeq) -> Scalars:
    """Return the metadata that name all channels; none where one has no name, or a line is full."""
    listed = ", ".join(name.replace(", ", ",") for name in names)
    return {"channels": listed} if names and all(names) and len(listed) <= LINE else {}


def listed_channels(metadata: Mapping[str, object]) -> list[str]:
    """Return the names of channels in metadata, as `_named_channels` lists them."""
    names = metadata.get("channels")
    return [name for name in names.split(", ") if name] if isinstance(names, str) else []


def guessed_spacing(axes: str, sizes: FloatMap, metadata: Scalars) -> Lengths:
    """Return known sizes in µm along z, y, x; one that is not is guessed, as the metadata say.

    Without both Y and X no size counts.
    """
    spatial = [axis for axis in axes if axis in SPATIAL]
    sizes = sizes if {*"YX"} <= sizes.keys() else {}
    if not sizes.keys() >= set(spatial):
        metadata["spacing_source"] = "assumed"
    return tuple(sizes.get(axis, sizes.get("Y", 1.0)) for axis in spatial)  # cubic voxels


def counted_sizes(sizes: FloatMap, source: str) -> tuple[FloatDict, list[str]]:
    """Return the edges of a voxel in µm by axis that are sizes, and warnings on the others."""
    counted = {axis: size for axis, size in sizes.items() if is_size(size)}
    return counted, [
        f"a voxel size of {sizes[axis]} µm ({source}) is none and does not count"
        for axis in sizes
        if axis not in counted
    ]


def is_size(value: object, limits: Lengths = SIZES) -> bool:
    """Return whether a value is an edge of a voxel in µm that can be calculated with."""
    return isinstance(value, int | float) and limits[0] <= value <= limits[1]


def _check_geometry(shape: Sizes, spacing: Spacing, axes: str, dtype: DType) -> Lengths:
    """Return a voxel size after a check that it, shape and axes fit each other."""
    if dtype.kind not in KINDS or dtype.itemsize > LARGEST_ITEM:
        raise InputError(f"expected real numbers of at most 64 bits, found dtype {dtype}")
    if "".join(axis for axis in AXES if axis in axes) != axes or not axes.endswith("YX"):
        raise InputError(
            f"axes must be an ordered subset of {AXES} that ends in YX, found {axes!r}"
        )
    if len(shape) != len(axes):
        raise InputError(
            f"an image with axes {axes} has {len(axes)} dimensions, found shape {tuple(shape)}"
        )
    spatial = [axis.lower() for axis in axes if axis in SPATIAL]
    values = tuple(float(value) for value in spacing)
    if len(values) != len(spatial) or not all(map(is_size, values)):
        raise InputError(
            f"spacing must be {len(spatial)} positive numbers in µm ({', '.join(spatial)}), "
            f"found {list(spacing)}; from {SIZES[0]:g} to {SIZES[1]:g}"
        )
    return values


def seed_of(volume: Volume) -> int:
    """Return a seed from the digest of an image: the same image gets the same noise, in any dtype.

    Whole numbers of 16 bits are digested as these, others as float64.
    """
    low, high = map(float, extremes(volume.array))
    short = 0 <= low <= high < 2**16 and (
        volume.array.dtype.kind != "f"
        or all(np.array_equal(slab, np.rint(slab)) for slab in slabs_of(volume.array))
    )
    digest = sha256()
    for slab in slabs_of(volume.array):
        digest.update(np.ascontiguousarray(slab, "<u2" if short else "<f8").data)
    return int.from_bytes(digest.digest()[:8])
