"""Read one case of a user's folder, and refuse files that no algorithm or metric can use."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from cytosuite.contract.interface import LARGEST, is_finite
from cytosuite.contract.metadata import acquisition, channel_of, described, study_of
from cytosuite.contract.spacing import as_movie, text, warned
from cytosuite.contract.tasks import ACQUISITION, LABELS, SKETCH, TRACKED, TRACKS, VIEW
from cytosuite.contract.tracks import Track, read_tracks
from cytosuite.contract.words import ASSUME, Size
from cytosuite.datasets.sample import Sample, Value, measured
from cytosuite.errors import InputError, at
from cytosuite.files import ScalarMap, read_json
from cytosuite.folders.entries import entries, in_time
from cytosuite.folders.index import OUTPUTS, SOCKETS, Item
from cytosuite.folders.masks import Masks, Source
from cytosuite.folders.part import MODULES, Part, read_microscope, read_part
from cytosuite.folders.points import read_annotated
from cytosuite.formats import header
from cytosuite.formats.hdf5 import LABELS_FIRST
from cytosuite.formats.imagefiles import CASE_SUFFIXES, case_suffix, is_image, is_large
from cytosuite.volume import SPATIAL, Volume
from cytosuite.volume.arrays import Array
from cytosuite.volume.pieces import extremes


def load(
    item: Item,
    spacing: Size | None = None,
    metadata: ScalarMap | None = None,
    min_object_voxels: int = 0,
    radius_um: float | None = None,
) -> Sample:
    """Return the sample of one item; `spacing` (µm, z y x) and `metadata` override its files."""
    values = {}
    for slug, path in item.files.items():
        if SOCKETS[slug].kind == "json" and isinstance(path, Path):
            values[slug] = value = read_json(path)
            if not isinstance(value, dict):
                raise InputError(f"{path}: expected a JSON object, found {type(value).__name__}")
    size = {} if spacing in {None, ASSUME} else {"spacing": list(spacing)}
    named = {**(metadata or {}), **size}
    entries = {**values.get(ACQUISITION.slug, {}), **named, "sources": dict.fromkeys(named, "user")}
    main = _volume(item.image, item.socket, entries, item, item.name)
    deep = main.axes.endswith(SPATIAL) and main.shape[-3] > 1
    if deep and main.spacing_is_assumed and spacing != ASSUME:
        raise InputError(
            f"{item.image}: the file does not give the voxel size, without which objects of a "
            f"volume are guesses: --spacing z,y,x (µm) or acquisition-metadata.json, or "
            f"--spacing {ASSUME} for {text(main.spacing)} µm; if its planes are the frames of a "
            f"movie: --axes TYX, or cytosuite apply --algorithm linking; if channels: --axes CYX"
        )
    socket = item.socket
    study = study_of(item.name)
    if socket == VIEW and study is not None and "study" not in main.metadata:
        origin = replace(main.origin, sources={**main.origin.sources, "study": "name"})
        main = replace(main, metadata={**main.metadata, "study": study}, origin=origin)
    elif (
        socket == SKETCH.slug
        and main.array.dtype.kind in "ui"
        and LABELS.slug not in item.files
        and SKETCH.slug not in item.image.resolve().parent.parts
    ):
        line = "input assumed: instance-labels, since its values are integers"
        array = _checked(item.image, LABELS.slug, main.array)
        socket = LABELS.slug
        main = warned(replace(main, array=array), line)
    if ACQUISITION.slug in values:
        values[ACQUISITION.slug] = {**values[ACQUISITION.slug], **acquisition(main)}
    sockets: dict[str, Volume | Value | list[Track]] = {socket: main, **values}
    masks = {}
    for slug, path in item.files.items():
        if isinstance(path, Masks):
            mask = path.read()
            sockets[slug] = _like(main, path, slug, mask.volume.array)
            masks = {"counts": mask.counts, "classes": mask.classes, "overlap": path.rules.overlap}
        elif slug in {TRACKED.slug, TRACKS.slug} and not is_image(path):
            sockets |= _tracked(main, path)
        elif SOCKETS[slug].kind == "points":
            sockets[slug] = read_annotated(path, main.spacing).document()
        elif slug in values:
            continue
        elif slug in OUTPUTS or SOCKETS[slug].kind == "labels":
            array = _read(path, slug, Part(group=item.part.group, axes=item.part.axes)).array
            sockets[slug] = _like(main, path, slug, array)
        else:
            sockets[slug] = _volume(path, slug, entries, item)
    conditions = item.conditions
    if item.socket == VIEW:  # study and channel in the words of the dataset `views`
        forms = {"study": "study {}", "channel": "{}"}
        words = {k: v.format(main.metadata[k]) for k, v in forms.items() if k in main.metadata}
        conditions = {**words, **conditions}
    paths = {socket: item.image, **item.files}.items()
    files = {k: v for k, v in paths if isinstance(v, Path) and _as_it_is(sockets.get(k), v)}
    sample = Sample(
        sockets,
        conditions=conditions,
        min_object_voxels=min_object_voxels,
        radius_um=radius_um,
        files=files,
        masks=masks,
    )
    if SOCKETS[socket].kind == "labels" or LABELS.slug not in sockets:
        return sample
    facts = measured(main.channels[0].array, sample.volume(LABELS.slug).array)
    return replace(sample, conditions={**facts, **conditions})


def _volume(path: Path, slug: str, entries: Value, item: Item, name: str = "") -> Volume:
    """Return an image or labels that an algorithm takes in."""
    stain = str(entries.get("channel") or "")
    part = replace(item.part, stains=(channel_of(stain) or stain,)) if stain else item.part
    movie = SOCKETS[slug].movie
    with at(path):
        image = _read(path, slug, part)
        image = described(as_movie(image) if movie else image, entries, name)
    axes = image.axes.replace("C" if part.channel else "", "")
    if axes not in {f"{'T' * movie}{space}" for space in ("YX", "ZYX")}:
        kind = "a movie in 2D or 3D" if movie else "a 2D or 3D image"
        raise InputError(
            f"{path}: expected {kind}, found shape {image.shape} with axes {image.axes}"
        )
    if image.array.size == 0:
        raise InputError(f"{path}: the image is empty, shape {image.shape}")
    return replace(image, array=_checked(path, slug, image.array))


def _read(path: Path, slug: str, part: Part) -> Volume:
    """Return one channel and frame of any kind of file."""
    socket = SOCKETS[slug]
    part = replace(part, group=part.group or LABELS_FIRST * (socket.kind == "labels"))
    if path.suffix.lower() in MODULES:
        return read_microscope(path, part)
    if socket.movie and path.is_dir() and not is_image(path):
        return _joined(path, part)
    return read_part(path, part, axes=socket.axes, colours=slug not in OUTPUTS, movie=socket.movie)


def _joined(folder: Path, part: Part) -> Volume:
    """Return the images of a folder, by their numbers, as the frames of a movie."""
    images = entries(folder).images
    paths = [images[name] for name in in_time(folder, images)]
    if not paths:
        raise InputError(f"{folder}: expected a frame per file, found no image")
    frames = [read_part(path, part) for path in paths]
    for path, frame in zip(paths, frames, strict=True):
        if frame.shape != frames[0].shape:
            raise InputError(f"{path}: expected the shape {frames[0].shape}, found {frame.shape}")
    return replace(frames[0], array=np.stack([f.array for f in frames]), axes=f"T{frames[0].axes}")


def _like(main: Volume, path: Source, slug: str, array: Array) -> Volume:
    """Return the true output of a task, with the geometry of the main image."""
    array = _checked(path, slug, array)
    if array.shape != main.shape:
        noun = "labels" if SOCKETS[slug].kind == "labels" else slug
        raise InputError(
            f"{path}: {noun} must have the image's shape {main.shape}, found {array.shape}"
        )
    return Volume(array, main.spacing, main.axes)


def _tracked(main: Volume, path: Path) -> dict[str, Volume | list[Track]]:
    """Return the tracks in a table, or those in a folder with the labels of all frames."""
    if path.is_file():
        return {TRACKS.slug: read_tracks(path)}
    from cytosuite.metrics.tracks.track_folder import read_sequence  # numba

    truth = read_sequence(path)
    array = np.stack([truth.frames[number] for number in range(len(truth.frames))])
    return {TRACKED.slug: _like(main, path, TRACKED.slug, array), TRACKS.slug: [*truth.tracks]}


def _checked(path: Source, slug: str, array: Array) -> Array:
    """Return finite intensities, or labels as the smallest unsigned integers that hold them."""
    if SOCKETS[slug].kind in ("image", "canvas"):
        if not is_finite(array):
            raise InputError(
                f"{path}: expected finite intensities, found NaN or infinity, or more than "
                f"{LARGEST:g}; replace them, for instance by numpy.nan_to_num"
            )
        return array.view("u1") if array.dtype == bool else array
    if array.dtype.kind not in "ui":
        raise InputError(
            f"{path}: labels must be integers, found dtype {array.dtype}; "
            "save them as 16- or 32-bit integers"
        )
    lowest, highest = map(int, extremes(array))
    if lowest < 0:
        raise InputError(f"{path}: labels must not be negative, found {lowest}")
    if is_large(array):
        return array  # a copy of it would fill memory or disk
    return array.astype(np.min_scalar_type(max(highest, 256)), copy=False)


def _as_it_is(volume: object, path: Path) -> bool:
    """Return whether a file holds a large image just as the case needs it."""
    if not isinstance(volume, Volume) or not is_large(volume.array):
        return False
    if case_suffix(path) not in CASE_SUFFIXES:
        return False
    stored = header(path, colours=True)
    there = stored.shape, stored.dtype, stored.spacing, stored.axes
    return there == (volume.shape, volume.array.dtype, volume.spacing, volume.axes)
