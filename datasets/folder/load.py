"""Read one case of a user's folder, and refuse files that no algorithm or metric can use."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.datasets.conditions import measured
from cytosuite.datasets.folder.collect import OUTPUTS, SOCKETS, Item
from cytosuite.datasets.folder.microscopes import MODULES, read_microscope
from cytosuite.datasets.folder.part import Part, read_part
from cytosuite.datasets.sample import Sample, Value
from cytosuite.errors import InputError, at
from cytosuite.files import read_json
from cytosuite.formats import header
from cytosuite.imagefiles import CASE_SUFFIXES, case_suffix, is_large
from cytosuite.interface import LARGEST, is_finite
from cytosuite.large import slabs
from cytosuite.metadata import acquisition, described, study_of
from cytosuite.spacing import warned
from cytosuite.tasks import ACQUISITION, LABELS, SKETCH, VIEW
from cytosuite.volume import Scalar, Volume


def load(
    item: Item,
    spacing: tuple[float, ...] | None = None,
    metadata: Mapping[str, Scalar] | None = None,
    part: Part | None = None,
    min_object_voxels: int = 0,
) -> Sample:
    """Return the sample of one item, with the conditions that can be measured.

    Parameters
    ----------
    item : Item
        Files of one case.
    spacing : tuple of float, optional
        µm per voxel (z, y, x), in place of the values in the image files.
    metadata : mapping of str to str, int or float, optional
        Facts about the image that the user gives, in place of those in the file: ``channel``,
        ``diameter_um``.
    part : Part, optional
        Channel, frame and scene of image files that hold several; labels hold one.
    min_object_voxels : int
        Smaller objects of the labels are ignored in the scores.

    Raises
    ------
    InputError
        If a file cannot be read, an image is not 2D or 3D or holds NaN, labels are not
        non-negative integers, or labels or another output have not the main image's shape.
    """
    values = {s: _value(path) for s, path in item.files.items() if SOCKETS[s].kind == "json"}
    given = _given(values.get(ACQUISITION.slug, {}), spacing, metadata or {})
    part = part or Part()
    main = _volume(item.image, item.socket, given, part, item.name)
    own = item.socket
    if own == VIEW:
        main = _of_study(main, item.name)
    elif own == SKETCH.slug and _is_labels(main, item):
        own, main = LABELS.slug, _as_labels(main, item.image)
    if ACQUISITION.slug in values:
        values[ACQUISITION.slug] = {**values[ACQUISITION.slug], **acquisition(main)}
    sockets: dict[str, Volume | Value] = {own: main, **values}
    paths = {own: item.image, **item.files}
    for slug, path in item.files.items():
        if slug in OUTPUTS and slug not in values:
            sockets[slug] = _like(main, path, slug)
        elif slug not in values:
            sockets[slug] = _volume(path, slug, given, part)
    told = _strata(main) if item.socket == VIEW else {}
    conditions = {**told, **item.conditions}
    files = {slug: paths[slug] for slug, of in sockets.items() if _as_it_is(of, paths.get(slug))}
    sample = Sample(
        sockets, conditions=conditions, min_object_voxels=min_object_voxels, files=files
    )
    if SOCKETS[own].kind == "labels" or LABELS.slug not in sockets:
        return sample
    found = measured(main.array, sample.volume(LABELS.slug).array)
    return replace(sample, conditions=found | conditions)


def _of_study(view: Volume, name: str) -> Volume:
    """Return a view with the study that its name tells where its file does not."""
    study = study_of(name)
    if study is None or "study" in view.metadata:
        return view
    origin = replace(view.origin, sources={**view.origin.sources, "study": "name"})
    return replace(view, metadata={**view.metadata, "study": study}, origin=origin)


def _is_labels(image: Volume, item: Item) -> bool:
    """Return whether a sketch is labels: integers, in no folder of sketches and without labels."""
    folders = item.image.resolve().parent.parts
    return (
        image.array.dtype.kind in "ui"
        and LABELS.slug not in item.files
        and SKETCH.slug not in folders
    )


def _as_labels(image: Volume, path: Path) -> Volume:
    """Return integers that were given as a sketch as labels, with a remark."""
    line = "input assumed: instance-labels, since its values are integers"
    return warned(replace(image, array=_checked(path, LABELS.slug, image.array)), line)


def _strata(view: Volume) -> dict[str, Scalar]:
    """Return study and channel of a view in the words of the dataset `views`."""
    own = view.metadata
    found: dict[str, Scalar] = {"study": f"study {own['study']}"} if "study" in own else {}
    return found | ({"channel": str(own["channel"])} if "channel" in own else {})


def _given(
    file: Value, spacing: tuple[float, ...] | None, metadata: Mapping[str, Scalar]
) -> dict[str, Any]:
    """Return the object of the JSON socket with the facts that the user names in its place."""
    named = {**metadata, **({} if spacing is None else {"spacing": list(spacing)})}
    return {**file, **named, "sources": dict.fromkeys(named, "user")}


def _volume(path: Path, slug: str, given: Value, part: Part, name: str = "") -> Volume:
    """Return an image or labels that an algorithm takes in."""
    with at(path):
        image = described(_read(path, slug, part), given, name)
    if image.axes not in {"YX", "ZYX"}:
        raise InputError(
            f"{path}: expected a 2D or 3D image, found shape {image.shape} with axes {image.axes}"
        )
    if image.array.size == 0:
        raise InputError(f"{path}: the image is empty, shape {image.shape}")
    return replace(image, array=_checked(path, slug, image.array))


def _read(path: Path, slug: str, part: Part) -> Volume:
    """Return one channel and frame of any kind of file."""
    if path.suffix.lower() in MODULES:
        return read_microscope(path, part)
    return read_part(path, part, stack=SOCKETS[slug].stack, colours=slug not in OUTPUTS)


def _like(main: Volume, path: Path, slug: str) -> Volume:
    """Return the true output of a task, with the geometry of the main image."""
    array = _checked(path, slug, _read(path, slug, Part()).array)
    if array.shape != main.shape:
        noun = "labels" if SOCKETS[slug].kind == "labels" else slug
        raise InputError(
            f"{path}: {noun} must have the image's shape {main.shape}, found {array.shape}"
        )
    return Volume(array, main.spacing, main.axes)


def _checked(path: Path, slug: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return finite intensities, or labels as the smallest unsigned integers that hold them."""
    if SOCKETS[slug].kind == "image":
        if not is_finite(array):
            raise InputError(
                f"{path}: expected finite intensities, found NaN or infinity, or more than "
                f"{LARGEST:g}"
            )
        if array.dtype.kind not in "uif":
            raise InputError(f"{path}: expected numbers, found dtype {array.dtype}")
        return array
    if array.dtype.kind not in "ui":
        raise InputError(
            f"{path}: labels must be integers, found dtype {array.dtype}; "
            "save them as 16- or 32-bit integers"
        )
    ends = [(int(array[p].min()), int(array[p].max())) for p in slabs(array)] if array.size else []
    lowest, highest = (f(end[i] for end in ends) if ends else 0 for i, f in enumerate((min, max)))
    if lowest < 0:
        raise InputError(f"{path}: labels must not be negative, found {lowest}")
    if is_large(array):
        return array  # a copy of it would fill memory or disk
    return array.astype(np.min_scalar_type(max(highest, 256)), copy=False)


def _as_it_is(own: Volume | Value, path: Path | None) -> bool:
    """Return whether a file holds a large image just as the case needs it."""
    if path is None or not isinstance(own, Volume) or not is_large(own.array):
        return False
    if case_suffix(path) not in CASE_SUFFIXES:
        return False
    found = header(path, colours=True)
    there = found.shape, found.dtype, found.spacing, found.axes
    return there == (own.shape, own.array.dtype, own.spacing, own.axes)


def _value(path: Path) -> Value:
    """Return the object of a JSON socket."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value
