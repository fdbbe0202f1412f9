"""One case in, one case out: ``/input`` and ``/output`` as the platform lays them out."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cytosuite.errors import InputError
from cytosuite.files import read_json, write_json
from cytosuite.formats import read, write
from cytosuite.tasks import Socket, Task
from cytosuite.volume import SPATIAL, Scalar, Volume

IMAGE_SUFFIXES = (".mha", ".tif", ".tiff")
IMAGE = "microscopy-image"
CHANNELS = {"nucleus": "nucleus", "nuclei": "nucleus", "membrane": "membrane"}


@dataclass(frozen=True, slots=True)
class Mounts:
    """The three folders a container sees."""

    input: Path
    output: Path
    models: tuple[Path, ...]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Mounts":
        """Return the platform's folders, or those named by ``CYTOSUITE_INPUT/OUTPUT/MODEL``.

        Models are looked for in ``CYTOSUITE_MODEL``, then ``/opt/ml/model`` (a mounted
        tarball), then ``/opt/app/model`` (built into the image).
        """
        given = environment.get("CYTOSUITE_MODEL")
        return cls(
            Path(environment.get("CYTOSUITE_INPUT", "/input")),
            Path(environment.get("CYTOSUITE_OUTPUT", "/output")),
            (Path(given),) if given else (Path("/opt/ml/model"), Path("/opt/app/model")),
        )


@dataclass(frozen=True, slots=True)
class Case:
    """The inputs of one case.

    Parameters
    ----------
    volumes : mapping of str to Volume
        Images by socket slug, with the metadata of all sources merged in.
    name : str
        Stem of the main image's file: outputs are named after it.
    suffix : str
        Suffix of the main image's file: outputs are of the same kind.
    sources : mapping of str to str
        Where each metadata key came from.
    """

    volumes: Mapping[str, Volume]
    name: str
    suffix: str
    sources: Mapping[str, str]


def read_case(folder: Path, task: Task) -> Case:
    """Return the inputs of a case.

    Parameters
    ----------
    folder : Path
        ``/input``: ``images/<slug>/<any name>``, ``<slug>.json``, and ``inputs.json``, which may
        give a socket another path and holds the image's original name; without it the folders of
        the task are read.
    task : Task
        Whose sockets to read.

    Returns
    -------
    Case
        Metadata come from the JSON socket, else the file, else the original name, in this
        order of precedence.

    Raises
    ------
    InputError
        If a socket that is needed is missing, or does not hold exactly one readable file.
    """
    listed = _listed(folder)
    volumes: dict[str, Volume] = {}
    given: dict[str, Any] = {}
    main = folder
    for socket in task.inputs:
        path = folder / listed.get(socket.slug, {}).get("relative_path", socket.relative_path)
        if socket.kind == "json":
            given |= _values(path, socket)
            continue
        file = _only_image(path, socket)
        volumes[socket.slug] = read(file)
        if socket is task.main_input:
            main = file
    sources: dict[str, str] = {}
    for slug, volume in volumes.items():
        named = _from_name(listed.get(slug, {}).get("name", ""))
        volumes[slug] = _merge(volume, named, given, sources)
    return Case(volumes, main.name[: -len(main.suffix)], main.suffix, sources)


def write_outputs(folder: Path, task: Task, case: Case, outputs: Mapping[str, Volume]) -> None:
    """Write the outputs of a case, each under its final name only once it is whole.

    Parameters
    ----------
    folder : Path
        ``/output``.
    task : Task
        Whose sockets to write.
    case : Case
        Gives the file's name and kind.
    outputs : mapping of str to Volume
        Images by socket slug.

    Raises
    ------
    InputError
        If the outputs are not those the task declares.
    """
    expected = {socket.slug for socket in task.outputs}
    if set(outputs) != expected:
        raise InputError(
            f"task {task.name}: expected the outputs {sorted(expected)}, found {sorted(outputs)}"
        )
    for slug, volume in outputs.items():
        write(folder / "images" / slug / f"{case.name}{case.suffix}", volume)


def write_case(folder: Path, task: Task, name: str, volumes: Mapping[str, Volume]) -> None:
    """Write a case so that `read_case` gives it back: the form of ``/input``.

    Parameters
    ----------
    folder : Path
        A new folder.
    task : Task
        Whose input sockets `volumes` fill.
    name : str
        Stem of the image files.
    volumes : mapping of str to Volume
        Images by socket slug. Metadata of the main image go to the task's JSON socket too.
    """
    listed: list[dict[str, Any]] = []
    for socket in task.inputs:
        entry: dict[str, Any] = {
            "interface": {
                "slug": socket.slug,
                "title": socket.title,
                "kind": "Anything" if socket.kind == "json" else "Image",
                "super_kind": "Value" if socket.kind == "json" else "Image",
                "relative_path": socket.relative_path,
            },
            "value": None,
            "file": None,
            "image": None,
        }
        path = folder / socket.relative_path
        if socket.kind == "json":
            entry["value"] = _acquisition(volumes[task.main_input.slug])
            write_json(path, entry["value"])
        elif socket.slug in volumes:
            write(path / f"{name}.tif", volumes[socket.slug])
            entry["image"] = {"name": f"{name}.tif"}
        listed.append(entry)
    write_json(folder / "inputs.json", sorted(listed, key=lambda e: str(e["interface"]["slug"])))


def image_of(inputs: Mapping[str, Volume]) -> Volume:
    """Return the image to segment.

    Parameters
    ----------
    inputs : mapping of str to Volume
        ``microscopy-image``: axes ZYX or YX.

    Raises
    ------
    InputError
        If the image is missing or empty, has time or channel axes, or holds values that are not
        finite.
    """
    if IMAGE not in inputs:
        raise InputError(f"expected the input {IMAGE}, found {sorted(inputs)}")
    volume = inputs[IMAGE]
    if any(axis not in SPATIAL for axis in volume.axes):
        raise InputError(
            f"{IMAGE} must have the axes ZYX or YX, found {volume.axes}: "
            "give one frame and one channel at a time"
        )
    if volume.array.size == 0:
        raise InputError(f"{IMAGE} must not be empty, found shape {volume.shape}")
    # Plane by plane: the image may be as large as the memory.
    if volume.array.dtype.kind == "f" and not all(np.isfinite(p).all() for p in volume.array):
        raise InputError(f"{IMAGE} must be finite, found NaN or infinity")
    return volume


def _acquisition(volume: Volume) -> dict[str, Scalar | list[float]]:
    """Return an image's metadata with its voxel size, where that is known."""
    found: dict[str, Scalar | list[float]] = dict(volume.metadata)
    if not volume.spacing_is_assumed:
        found["spacing"] = list(volume.spacing)
    return found


def _listed(folder: Path) -> dict[str, dict[str, str]]:
    """Return path and original name of each socket in ``inputs.json``, nothing without it."""
    path = folder / "inputs.json"
    if not path.is_file():
        return {}
    found: dict[str, dict[str, str]] = {}
    try:
        for entry in read_json(path):
            interface = entry["interface"]
            name = (entry.get("image") or {}).get("name", "")
            found[interface["slug"]] = {"name": str(name)}
            if "relative_path" in interface:
                found[interface["slug"]]["relative_path"] = str(interface["relative_path"])
    except (TypeError, KeyError, AttributeError):
        raise InputError(f"{path}: expected a list of objects with interface.slug") from None
    return found


def _only_image(folder: Path, socket: Socket) -> Path:
    """Return the one image file of a socket."""
    files = sorted(
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )
    if len(files) != 1:
        names = ", ".join(path.name for path in files[:3])
        found = f"{len(files)}: {names}" if files else "none"
        raise InputError(
            f"{folder}: socket {socket.slug} needs exactly one image "
            f"({', '.join(IMAGE_SUFFIXES)}), found {found}"
        )
    return files[0]


def _values(path: Path, socket: Socket) -> dict[str, Any]:
    """Return the object in a JSON socket; an absent optional one is empty."""
    if not path.is_file():
        if socket.optional:
            return {}
        raise InputError(f"{path}: socket {socket.slug} is missing")
    value = read_json(path)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object, found {json.dumps(value)[:60]}")
    return value


def _from_name(name: str) -> dict[str, Scalar]:
    """Return the channel if the image's original name tells it."""
    words = re.split(r"[^a-z]+", name.lower())
    channels = [CHANNELS[word] for word in words if word in CHANNELS]
    return {"channel": channels[0]} if channels else {}


def _merge(
    volume: Volume, named: Mapping[str, Scalar], given: Mapping[str, Any], sources: dict[str, str]
) -> Volume:
    """Return a volume with the metadata of all sources, the JSON socket's first."""
    plain = {key: value for key, value in given.items() if isinstance(value, str | int | float)}
    merged: dict[str, Scalar] = {}
    for source, values in (("name", named), ("file", volume.metadata), ("json", plain)):
        merged |= values
        sources.update(dict.fromkeys(values, source))
    spacing = volume.spacing
    if (size := given.get("spacing")) is not None:
        if not isinstance(size, list) or not all(isinstance(v, int | float) for v in size):
            raise InputError(f"acquisition metadata: spacing must be numbers in µm, found {size!r}")
        spacing = tuple(float(value) for value in size)
        merged.pop("spacing_source", None)
        sources["spacing"] = "json"
    elif not volume.spacing_is_assumed:
        sources["spacing"] = "file"
    return replace(volume, spacing=spacing, metadata=merged)
