"""One case in, one case out: ``/input`` and ``/output`` in the layout of the platform."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cytosuite.contract.metadata import acquisition, described
from cytosuite.contract.points import Points
from cytosuite.contract.spacing import as_movie
from cytosuite.contract.tasks import ACQUISITION, IMAGE, REQUEST, Socket, Task
from cytosuite.contract.tracks import read_tracks, write_tracks
from cytosuite.errors import InputError, at
from cytosuite.files import (
    Entries,
    Json,
    TextDict,
    TextMap,
    TextSeq,
    frozen,
    link,
    read_json,
    write_json,
)
from cytosuite.formats import read, write
from cytosuite.formats.imagefiles import (
    FOLDER_SUFFIX,
    IMAGE_SUFFIXES,
    case_suffix,
    image_files,
    image_name,
)
from cytosuite.formats.request import request_of
from cytosuite.volume import SPATIAL, Volume, Volumes
from cytosuite.volume.arrays import Array
from cytosuite.volume.pieces import from_lowest, slabs

LARGEST = 1e15  # grey value
TABLE = ".csv"


@frozen
class Inputs:
    """The inputs of one case."""

    volumes: Volumes  # images and labels by slug, the main one first
    values: Mapping[str, Entries]  # objects of the JSON sockets by slug
    name: str  # stem of the main image's file and of image outputs; empty without an image
    suffix: str  # of the main image's file and of image outputs; ``.ozx`` for a folder of OME-Zarr
    sources: TextMap  # of voxel size and metadata of the main input, see `volume.Origin`
    warnings: TextSeq = ()  # on the metadata, one short line each

    @property
    def sockets(self) -> Json:
        """All inputs by slug: the argument of an algorithm."""
        return {**self.volumes, **self.values}


def read_case(folder: Path, task: Task) -> Inputs:
    """Return the inputs of a case in the layout of ``/input``; `InputError` names a wrong file."""
    listed = _listed(folder)
    files = dict[Socket, Path]()
    values = {}
    for socket in task.inputs:
        path = folder / listed.get(socket.slug, {}).get("relative_path", socket.relative_path)
        if socket.kind == "canvas":
            files[socket] = path
        elif socket.is_file:
            if (value := _value(path, socket)) is not None:
                values[socket.slug] = value
        elif (file := _only_image(path, socket)) is not None:
            files[socket] = file
    slugs = [socket.slug for socket in task.inputs if socket.is_volume]
    if slugs and not files:
        raise InputError(f"{folder}: expected one of the images {', '.join(slugs)}, found none")
    metadata = values.get(ACQUISITION.slug, {})
    volumes = {
        socket.slug: input_image(
            file, socket, metadata, listed.get(socket.slug, {}).get("name", "")
        )
        for socket, file in files.items()
    }
    origins = [volume.origin for volume in volumes.values()]
    main = next(iter(files.values()), Path(".json"))
    return Inputs(
        volumes,
        values,
        image_name(main),
        {FOLDER_SUFFIX: ".ozx", ".json": ".tif"}.get(main.suffix.lower(), main.suffix),
        origins[0].sources if origins else {},
        tuple(dict.fromkeys(line for origin in origins for line in origin.warnings)),
    )


def input_image(file: Path, socket: Socket, metadata: Entries, original: str = "") -> Volume:
    """Return the image of a socket with the metadata of all sources; see `read_case`."""
    volume = read(file, axes=socket.axes)
    with at(file):
        if socket.axes not in ("", volume.axes):
            raise InputError(
                "expected a stack of slices (z, y, x), found shape "
                f"{volume.shape} with axes {volume.axes}"
            )
        if socket.movie:
            volume = as_movie(volume)
        return described(volume, metadata, original or file.name)


def write_outputs(folder: Path, task: Task, inputs: Inputs, outputs: Entries) -> None:
    """Write the outputs of a case, each under its final name only once it is whole."""
    sockets = {socket.slug: socket for socket in task.outputs}
    needed = {socket.slug for socket in task.outputs if not socket.optional}
    if not needed <= set(outputs) <= set(sockets):
        raise InputError(
            f"task {task.name}: expected the outputs {sorted(sockets)}, found {sorted(outputs)}"
        )
    for slug, output in outputs.items():
        path = folder / sockets[slug].relative_path
        if sockets[slug].is_file:
            write_value(path, output)
        else:
            write(path / f"{inputs.name}{inputs.suffix}", output, as_json=bool(sockets[slug].axes))


def write_value(path: Path, value: Any) -> None:  # noqa: ANN401 - of any socket
    """Write the value of a socket that is a file: JSON, or a table of tracks."""
    if path.suffix == TABLE:
        write_tracks(path, value)
    else:
        write_json(path, value.document() if isinstance(value, Points) else value)


def read_value(path: Path) -> Any:  # noqa: ANN401 - of any socket
    """Return the value of a socket that is a file, see `write_value`."""
    return read_tracks(path) if path.suffix == TABLE else read_json(path)


def in_files(sockets: Entries) -> Json:
    """Return sockets as files hold them: an empty image that is asked for is its request."""
    canvas = sockets.get(REQUEST.slug)
    request = {REQUEST.slug: request_of(canvas)} if isinstance(canvas, Volume) else {}
    return {**sockets, **request}


def write_case(folder: Path, task: Task, name: str, sockets: Entries) -> None:
    """Write a case so that `read_case` gives it back; files are linked, volumes written."""
    values = dict(sockets)
    volumes = [value for value in sockets.values() if isinstance(value, Volume)]
    if volumes:
        values.setdefault(ACQUISITION.slug, acquisition(volumes[0]))
    values = in_files(values)
    listed = []
    inputs = (socket for socket in task.inputs if socket.slug in values)
    for socket in sorted(inputs, key=lambda socket: socket.slug):
        value = values[socket.slug]
        path = folder / socket.relative_path
        place = {
            "slug": socket.slug,
            "title": socket.title,
            "kind": socket.platform_kind,
            "super_kind": "Value" if socket.is_file else "Image",
            "relative_path": socket.relative_path,
        }
        entry: Json = {
            "interface": place,
            "socket": place,
            **dict.fromkeys(("value", "file", "image")),
        }
        if socket.is_file:
            entry["value"] = read_json(value) if isinstance(value, Path) else dict(value)
            write_json(path, entry["value"])
        else:
            file_name = f"{name}{case_suffix(value)}"
            entry["image"], file = {"name": file_name}, path / file_name
            if isinstance(value, Volume):
                write(file, value)
            else:
                link(file, value)
        listed.append(entry)
    write_json(folder / "inputs.json", listed)


def image_of(
    inputs: Volumes,
    slug: str = IMAGE.slug,
    axes: str = SPATIAL,
    *,
    offset: bool = True,
) -> Volume:
    """Return an input image; `InputError` unless it has no other axes, is not empty and finite.

    Without `offset`, grey values that float32 would round are counted from the lowest one.
    """
    if slug not in inputs:
        raise InputError(f"expected the input {slug}, found {sorted(inputs)}")
    volume = inputs[slug]
    if any(axis not in axes for axis in volume.axes):
        raise InputError(
            f"{slug} must have the axes ZYX or YX, found {volume.axes}: "
            "give one frame and one channel at a time"
        )
    if volume.array.size == 0:
        raise InputError(f"{slug} must not be empty, found shape {volume.shape}")
    if volume.array.dtype == bool:
        volume = volume.like(volume.array.view("u1"))
    if not is_finite(volume.array):
        raise InputError(f"{slug} must be finite, found NaN or infinity, or more than {LARGEST:g}")
    return volume if offset else volume.like(from_lowest(volume.array))


def is_finite(array: Array) -> bool:
    """Return whether all grey values can be calculated with: none is NaN or beyond 1e15."""
    # Plane by plane: the image may be larger than the memory. Integers of 32 bits are below.
    large = array.dtype.kind == "f" or (array.dtype.kind in "iu" and array.dtype.itemsize == 8)
    return not large or all(
        -LARGEST <= float(plane.min(initial=0)) <= float(plane.max(initial=0)) <= LARGEST
        for part in slabs(array)
        for plane in array[part]
    )


def _listed(folder: Path) -> dict[str, TextDict]:
    """Return path and original name of each socket in ``inputs.json``; empty without it."""
    path = folder / "inputs.json"
    if not os.path.lexists(path):
        return {}
    entries = read_json(path)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{path}: expected a list of objects, one per socket")
    sockets = {}
    for number, entry in enumerate(entries):
        place = socket_place(f"{path}: entry {number}", entry)
        slug = place.pop("slug")
        if slug in sockets:
            raise InputError(f"{path}: expected one entry per socket, found two of {slug}")
        image = entry.get("image")
        name = image.get("name", "") if isinstance(image, dict) else ""
        sockets[slug] = {"name": str(name), **place}
    return sockets


def socket_place(where: str, entry: Entries) -> TextDict:
    """Return ``slug`` and, where it is given, ``relative_path`` of the socket of an entry."""
    kinds = [kind for kind in ("interface", "socket") if kind in entry]  # before and since 2026
    fields: TextDict = {}
    for kind in kinds:
        place = entry[kind]
        if not isinstance(place, dict) or not isinstance(place.get("slug"), str):
            raise InputError(f"{where}: expected {kind}.slug, a text, found {_short(place)}")
        for key in ("slug", "relative_path"):
            value = place.get(key)
            if value is None:
                continue
            if not isinstance(value, str):
                raise InputError(f"{where}: expected {kind}.{key}, a text, found {_short(value)}")
            if fields.setdefault(key, value) != value:
                raise InputError(
                    f"{where}: interface and socket contradict each other: "
                    f"{key} is {_short(fields[key])} and {_short(value)}"
                )
    if not kinds:
        raise InputError(f"{where}: expected interface.slug or socket.slug, found {_short(entry)}")
    inside = Path(fields.get("relative_path", ""))
    if inside.is_absolute() or ".." in inside.parts:
        raise InputError(f"{where}: relative_path must stay in the folder, found {_short(inside)}")
    return fields


def _short(value: object) -> str:
    return json.dumps(value, default=str)[:60]


def _only_image(folder: Path, socket: Socket) -> Path | None:
    files = image_files(folder) if _is_there(folder) else []
    if not files and socket.optional:
        return None
    if len(files) != 1:
        names = ", ".join(path.name for path in files[:3])
        shown = f"{len(files)}: {names}" if files else "none"
        raise InputError(
            f"{folder}: socket {socket.slug} needs exactly one image "
            f"({', '.join([*IMAGE_SUFFIXES, FOLDER_SUFFIX])}), found {shown}"
        )
    return files[0]


def _is_there(path: Path) -> bool:
    """Return whether anything has a path, refuse one that no file can have."""
    try:
        return path.is_symlink() or path.exists()
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror})") from None


def _value(path: Path, socket: Socket) -> Json | None:
    if not _is_there(path):
        if socket.optional:
            return None
        raise InputError(f"{path}: socket {socket.slug} is missing")
    value = read_json(path)
    if value is not None and not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object, found {_short(value)}")
    return value
