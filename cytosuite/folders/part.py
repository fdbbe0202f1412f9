"""The channel, frame and scene of an image file that holds several; colours as grey values."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from cytosuite.contract.metadata import channel_of
from cytosuite.contract.spacing import warned
from cytosuite.errors import InputError, at, plain
from cytosuite.errors.packages import install
from cytosuite.files import FloatDict, Scalars, Texts, TextSeq, frozen
from cytosuite.formats import channels, guarded, header, read
from cytosuite.formats.imagefiles import PICTURE, format_of
from cytosuite.formats.picture import COLOURS
from cytosuite.formats.tiffmetadata import named
from cytosuite.volume import (
    KEY_LETTERS,
    SPATIAL,
    Origin,
    Volume,
    guessed_spacing,
    listed_channels,
    merged,
)
from cytosuite.volume.arrays import Array
from cytosuite.volume.memory import check_room, room
from cytosuite.volume.pieces import slabs

SMALL = 2**24  # bytes: smaller files are read whole
NNUNET = "imagestr"  # folder of nnU-Net with a file for each channel of an image
EVERY = "all"  # channels, as one image; frames, each as one
MODULES = {".czi": "bioio_czi", ".lif": "bioio_lif", ".nd2": "bioio_nd2"}


def read_grey(path: Path, group: str = "", *, axes: str = "") -> Volume:
    """Return the image in a file, of colours their mean; see `cytosuite.formats.read`."""
    colours = read_colours(path, axes=axes)
    return mean_colour(colours) if colours else read(path, axes=axes, group=group)


def read_colours(path: Path, *, axes: str = "") -> list[Volume]:
    """Return the colours of a colour image, of any other none."""
    if tuple(channels(path)[: len(COLOURS)]) != COLOURS:
        return []
    return [read(path, {"C": number}, axes=axes) for number in range(len(COLOURS))]


def mean_colour(colours: Sequence[Volume]) -> Volume:
    """Return the mean of colours with a warning; of equal ones the first."""
    first, *others = colours
    arrays = [volume.array for volume in colours]
    if all(np.array_equal(first.array, volume.array) for volume in others):
        return first
    mean = room(first.shape, np.float32)
    for part in slabs(mean, *arrays):
        np.mean([array[part] for array in arrays], axis=0, dtype=np.float32, out=mean[part])
    line = f"colours averaged: {', '.join(COLOURS)}; --channel-index takes one"
    return warned(replace(first, array=mean), line)


@frozen
class Part:
    """The part of a file that a user wants."""

    # its number, from 0, its name or stain where the file gives names, several with commas, or
    # `EVERY`
    channel: str | None = None
    frame: str | None = None  # number of the time point, from 0, or `EVERY`, one by one
    scene: int | None = None  # number of the image in the file, from 0
    group: str | None = None  # dataset in HDF5 files, see `formats.read`
    axes: str | None = None  # of files with as many, as they are stored
    stains: Texts = ()  # where no channel is wanted, the first that a name means counts

    def channel_of(self, names: TextSeq) -> tuple[int, str]:
        """Return the number of the channel with a wanted name, number or stain, and a warning."""
        channel = self.channel
        if channel in names and names.count(channel) == 1:
            return names.index(channel), ""
        shown = [channel_of(name) or name for name in names]
        stains = self.stains if channel is None else (channel_of(channel) or channel,)
        stain = next((word for word in stains if word in shown), "")
        if len(names) > 1 and stain and shown.count(stain) == 1:
            number = shown.index(stain)
            return number, (
                f"channel taken: {names[number]} of {', '.join(names)}, since the name means "
                f"{stain}; --channel-index takes another"
            )
        return _chosen("channel", "--channel-index", names, channel)

    def of_channels(self, names: TextSeq) -> "list[Part]":
        """Return a part for each of several wanted channels; of one alone, or in a file, none."""
        words = [] if self.channel in names else (self.channel or "").split(",")
        several = len(words) > 1 and len(names) > 1
        return [replace(self, channel=word.strip()) for word in words if several]

    def frame_of(self, count: int) -> tuple[int, str]:
        """Return the number of the wanted frame, and a warning."""
        return _chosen("frame", "--frame", [""] * count, self.frame)


def _chosen(noun: str, option: str, names: TextSeq, choice: int | str | None) -> tuple[int, str]:
    """Return the number of a choice, 0 of one name alone, and a warning if the choice is unlike."""
    if len(names) == 1:
        only = f"the file has one {noun} {names[0]}".strip()
        return 0, "" if choice in {None, 0, "0", EVERY} else f"{option} {choice} not used: {only}"
    if str(choice).isdecimal() and int(choice or 0) < len(names):
        return int(choice or 0), ""
    listed = [f"{number} {name}".strip() for number, name in enumerate(names)]
    choices = f"{len(names)} {noun}s "
    choices += f"({', '.join(listed if len(listed) < 9 else [*listed[:3], '...', listed[-1]])})"
    if choice is None:
        more = ", or each with --frame all" if noun == "frame" else ""
        raise InputError(f"found {choices}; choose one with {option}{more}")
    raise InputError(f"found {choices}, and not {choice}; see {option}")


def channel_file(image: Path, channel: str | None) -> Path:
    """Return the file of a wanted channel: nnU-Net has one of each, other images stay."""
    case, first, end = image.name.rpartition("_0000")
    if not first or image.parent.name.lower() != NNUNET or channel is None:
        return image
    other = image.with_name(f"{case}_{channel:0>4}{end}")
    if other.exists():
        return other
    if len(channels(image)) > 1:  # all in one file, like colours
        return image
    raise InputError(
        f"{image}: expected a file of --channel-index {channel} beside it, found none; give the "
        "number of one, from 0"
    )


def read_part(
    path: Path, part: Part, *, axes: str = "", colours: bool = False, movie: bool = False
) -> Volume:
    """Return the wanted channels, and one frame unless it is a movie.

    Colours are channels, or their mean with a warning.
    """
    axes = part.axes or axes
    taken = partial(read, path, scene=part.scene, axes=axes, group=part.group or "")
    small = path.is_file() and path.stat().st_size < SMALL
    has_header = getattr(format_of(path), "has_header", False)
    whole = None
    with suppress(InputError):  # of colours, or a defect that is met again
        whole = taken() if small else None
    lone = whole is not None and part.channel is None and "C" not in whole.axes
    names = [] if lone else channels(path, part.scene)
    coloured = colours and tuple(names[: len(COLOURS)]) == COLOURS
    if whole is None and not coloured and (small or not has_header):
        whole = taken()
    head = whole or (header(path, part.scene, axes=axes, colours=coloured) if has_header else None)
    names = names or listed_channels(whole.metadata if whole else {})
    sizes = dict(zip(head.axes, head.shape, strict=True)) if head else {"C": len(names)}
    count = sizes.get("C", 1)
    grey = coloured and part.channel is None
    names = names if len(names) == count else [""] * count
    if parts := part.of_channels(names):
        return merged([read_part(path, one, axes=axes, colours=colours) for one in parts])
    pick = {}
    with at(path):
        if part.channel != EVERY and not grey:
            pick["C"] = part.channel_of(names)
        if not movie:
            pick["T"] = part.frame_of(sizes.get("T", 1))
    held = {axis: number for axis, (number, _) in pick.items() if axis in sizes}
    if grey:
        whole = mean_colour([taken({**held, "C": number}) for number in range(len(COLOURS))])
    elif whole is None or held:
        whole = taken(held)
    return warned(whole, *(warning for _, warning in pick.values()))


def frames(path: Path, part: Part) -> int:
    """Return the number of time points in a file; 1 where nobody can tell."""
    form = format_of(path)
    suffix = path.suffix.lower()
    with suppress(InputError), guarded(path, suffix):
        if form is not None and form is not PICTURE:
            with form.opened(
                path, scene=part.scene, axes=part.axes or "", group=part.group or "", colours=True
            ) as image:
                return dict(zip(image.header.axes, image.header.shape, strict=True)).get("T", 1)
        if suffix in MODULES:
            return int(_opened(path, part).dims.T)
    return 1


def missing(path: Path) -> str:
    """Return the missing reader of a microscope's file with the remedy, or ""."""
    module = MODULES.get(path.suffix.lower())
    if module is None or (find_spec("bioio") and find_spec(module)):
        return ""
    return f"needs the extra `formats`: {install([module])}"


def content(path: Path) -> list[Path]:
    """Return the files of an image for a digest; OME-Zarr hides some."""
    return [path, *sorted(path.rglob(".z*"))] if path.is_dir() else [path]


def _opened(path: Path, part: Part) -> Any:  # noqa: ANN401 - a BioImage
    """Return the wanted scene of a microscope's file."""
    suffix = path.suffix.lower()
    if lack := missing(path):
        raise InputError(f"{suffix} {lack}")
    from bioio import BioImage

    logging.getLogger("bioio").addHandler(logging.NullHandler())  # it repeats its errors
    image = BioImage(path, reader=import_module(MODULES[suffix]).Reader)
    image.set_scene(_chosen("scene", "--scene", image.scenes, part.scene)[0])
    return image


def read_microscope(path: Path, part: Part) -> Volume:
    """Return the channels and frame of a microscope's file; no other pixels are read."""
    suffix = path.suffix.lower()
    with guarded(path, suffix):
        image = _opened(path, part)
        names = [
            plain(str(name), KEY_LETTERS) for name in image.channel_names or [""] * image.dims.C
        ]
        if parts := part.of_channels(names):
            return merged([read_microscope(path, one) for one in parts])
        channel, taken = part.channel_of(names)
        frame, first = part.frame_of(image.dims.T)
        if "S" in image.dims.order:  # samples of a pixel
            raise InputError(
                "expected a grey image, found a colour image; save it as TIFF or PNG, of which "
                "colours are read as channels"
            )
        lazy = image.get_image_dask_data("ZYX", C=channel, T=frame)
        check_room(lazy.nbytes)
        return warned(
            _volume(np.asarray(lazy), _sizes(image), names[channel], suffix[1:]), taken, first
        )


def _sizes(image: Any) -> FloatDict:  # noqa: ANN401 - a BioImage
    """Return µm per voxel of the axes for which the file gives one."""
    sizes = {}
    properties = image.dimension_properties
    for axis in SPATIAL:
        size = getattr(image.physical_pixel_sizes, axis)
        unit = getattr(getattr(properties, axis, None), "unit", None)
        if size is not None and np.isfinite(size) and size > 0:
            # Readers give µm where they give no unit.
            sizes[axis] = float(size * (1 * unit).to("micrometer").magnitude if unit else size)
    return sizes


def _volume(array: Array, sizes: FloatDict, name: str, source: str) -> Volume:
    """Return an image (Z, Y, X) with its metadata, of one plane without z."""
    axes = "ZYX" if array.shape[0] > 1 else "YX"
    metadata: Scalars = {"channel": shown} if (shown := named(name)) else {}
    sources = dict.fromkeys([*metadata, "spacing"], source)
    spacing = guessed_spacing(axes, sizes, metadata)
    sources["spacing"] = str(metadata.get("spacing_source", source))
    return Volume(array if axes == "ZYX" else array[0], spacing, axes, metadata, Origin(sources))
