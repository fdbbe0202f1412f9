"""The channel, frame and scene of an image file that holds several."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cytosuite.errors import InputError
from cytosuite.formats import HEADERS, READERS, channels, header, read
from cytosuite.formats.tiff import COLOURS
from cytosuite.large import room, slabs
from cytosuite.spacing import warned
from cytosuite.volume import Volume


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a file that a user wants.

    Parameters
    ----------
    channel : str, optional
        Its number, from 0, or its name where the file gives names.
    frame : int, optional
        Number of the time point, from 0.
    scene : int, optional
        Number of the image in the file, from 0.
    """

    channel: str | None = None
    frame: int | None = None
    scene: int | None = None

    def channel_of(self, path: Path, names: Sequence[str]) -> int:
        """Return the number of the wanted channel among those with these names."""
        wanted = self.channel
        if wanted in names and names.count(wanted) == 1:
            return names.index(wanted)
        number = int(wanted) if wanted is not None and wanted.isdecimal() else wanted
        return _chosen(path, "channel", "--channel-index", names, number)

    def frame_of(self, path: Path, count: int) -> int:
        """Return the number of the wanted frame."""
        return _chosen(path, "frame", "--frame", [""] * count, self.frame)

    def scene_of(self, path: Path, names: Sequence[str]) -> int:
        """Return the number of the wanted scene among those with these names."""
        return _chosen(path, "scene", "--scene", names, self.scene)


def _chosen(
    path: Path, noun: str, option: str, names: Sequence[str], wanted: int | str | None
) -> int:
    """Return a wanted number, or 0 where there is no choice."""
    if wanted is None and len(names) == 1:
        return 0
    if isinstance(wanted, int) and wanted < len(names):
        return wanted
    found = f"{len(names)} {noun}s" if len(names) > 1 else f"1 {noun}"
    if len(names) > 1:
        listed = [f"{number} {name}".strip() for number, name in enumerate(names)]
        found += f" ({', '.join(listed if len(listed) < 9 else [*listed[:3], '...', listed[-1]])})"
    if wanted is None:
        raise InputError(f"{path}: found {found}; choose one with {option}")
    raise InputError(f"{path}: found {found}, and not {wanted}; see {option}")


def read_part(path: Path, part: Part, *, stack: bool = False, colours: bool = False) -> Volume:
    """Return one channel and frame of an image file; other pages of a TIFF are not decoded.

    Parameters
    ----------
    path : Path
        Of a kind that `cytosuite.formats.read` knows.
    part : Part
        May be empty for a file with one channel and frame.
    stack : bool
        As of `cytosuite.formats.read`.
    colours : bool
        Whether colours are channels, or their mean with a remark where none is wanted.

    Returns
    -------
    Volume
        With the axes ZYX or YX.

    Raises
    ------
    InputError
        If the file cannot be read, or there is a choice and nothing, or nothing like that, is
        wanted.
    """
    whole: Volume | None = None
    names = channels(path, part.scene)
    coloured = colours and tuple(names[: len(COLOURS)]) == COLOURS
    if READERS.get(path.suffix.lower()) in HEADERS:
        head = header(path, part.scene, stack=stack, colours=coloured)
        sizes = dict(zip(head.axes, head.shape, strict=True))
    elif coloured:
        sizes = {"C": len(names)}
    else:
        whole = read(path)
        sizes = dict(zip(whole.axes, whole.shape, strict=True))
    count = sizes.get("C", 1)
    if coloured and part.channel is None:
        numbers = [str(number) for number in range(len(COLOURS))]
        return _mean(
            [read_part(path, replace(part, channel=n), stack=stack, colours=True) for n in numbers]
        )
    channel = part.channel_of(path, names if len(names) == count else [""] * count)
    pick = {"C": channel, "T": part.frame_of(path, sizes.get("T", 1))}
    held = {axis: number for axis, number in pick.items() if axis in sizes}
    if whole is not None and not held:
        return whole
    return read(path, held, part.scene, stack=stack)


def _mean(found: Sequence[Volume]) -> Volume:
    """Return the mean of colours, with a remark, or one of them where all are equal."""
    first, *others = found
    arrays = [volume.array for volume in found]
    if all(np.array_equal(first.array, other.array) for other in others):
        return first
    mean = room(first.shape, np.float32)
    for part in slabs(mean, *arrays):
        np.mean([array[part] for array in arrays], axis=0, dtype=np.float32, out=mean[part])
    line = f"colours averaged: {', '.join(COLOURS)}; --channel-index takes one"
    return warned(replace(first, array=mean), line)
