"""Images, labels, results and simulated samples as layers of napari, in µm, and layers as images.

A layer is array, arguments and type, as napari's plugins exchange it; nothing here loads Qt.
Corrected images of a fine-tuning lie in a folder, ``images/NAME.tif`` and ``labels/NAME.tif``.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from skimage.measure import regionprops_table

from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.runs.data.planes import limits
from cytosuite.benchmark.runs.data.recipe import DataRequest, recipe
from cytosuite.contract.points import Points, read_points
from cytosuite.contract.tasks import IMAGE, LABELS, TASKS
from cytosuite.contract.tracks import Track
from cytosuite.errors import InputError
from cytosuite.files import Json, atomic, need_folder, object_in, read_json
from cytosuite.folders.entries import case_name, key_of, readable
from cytosuite.folders.index import PLAIN, SOCKETS, index
from cytosuite.folders.layouts import MASKS
from cytosuite.folders.part import read_colours
from cytosuite.formats import channels, read, write
from cytosuite.formats.imagefiles import LABEL, image_name
from cytosuite.volume import SPATIAL, UM_PER, Volume
from cytosuite.volume.arrays import Lengths, Spacing
from cytosuite.volume.objects import label_type

LayerData = tuple[Any, Json, str]
Layers = list[LayerData]
OWN = "cytosuite"  # key of an image's metadata in the metadata of its layer
# Folders of label images: of sockets, of users, and of the Cell Tracking Challenge.
LABEL_FOLDERS = {
    *(slug for slug, socket in SOCKETS.items() if socket.kind == "labels"),
    *(PLAIN[LABELS.slug], "masks", "SEG", "TRA"),
}
TINTS = ("green", "magenta", "cyan", "yellow", "blue", "red")  # of channels
DOT = 5  # px of a point


def read_image(path: str | Path) -> Layers:
    """Return the channels of an image, or label images, as layers; InputError if broken."""
    place = Path(path)
    names = channels(place)
    name = image_name(place)
    coloured = parts = read_colours(place)
    labelled = False
    if not coloured:
        whole = read(place)
        parts = whole.channels
        for line in whole.origin.warnings:  # napari shows warnings
            warnings.warn(f"{place.name}: {line}", stacklevel=2)
        labelled = whole.array.dtype.kind in "iub" and is_labels(place)
    make = labels_layer if labelled else image_layer
    if not parts[1:]:
        return [make(parts[0], name)]
    layers = []
    for number, part in enumerate(parts):
        label = names[number] if number < len(names) and names[number] else f"channel {number}"
        layers.append(make(part, f"{name} {label}"))
        arguments = layers[-1][1]
        arguments["metadata"][OWN].setdefault("channel", label)
        if not labelled:
            tint = label if coloured else TINTS[number % len(TINTS)]
            arguments |= {"colormap": tint, "blending": "additive"}
    return layers


def is_labels(path: Path) -> bool:
    """Return whether an image of integers holds labels, by its folder, name, or record."""
    name = image_name(path)
    home = path.absolute().parent.name
    if home in LABEL_FOLDERS or home.endswith(("_GT", "_RES")) or name.endswith(LABEL):
        return True
    counted = {"key", "objects", "tracks"} & set(_record(path))
    return bool(MASKS.fullmatch(name)) or {"key"} < counted


def _record(path: Path) -> Json:
    """Return the record that ``cytosuite apply`` has written next to labels, empty without."""
    return object_in(path.with_name(f"{image_name(path)}.json"))


def made_by(layer: Any) -> str:  # noqa: ANN401 - napari's own have no common class
    """Return ``algorithm:model`` of the labels of a layer by their record; ":" without."""
    path = None if layer is None else layer.source.path
    record = _record(Path(path)) if path else {}
    return f"{record.get('algorithm', '')}:{record.get('model', '')}"


def geometry(volume: Volume, name: str) -> Json:
    """Return name, scale in µm, units and axes of a layer; pixels where no voxel size is known."""
    extra = len(volume.axes) - len(volume.spacing)
    unit = "pixel" if volume.spacing_is_assumed and set(volume.spacing) == {1.0} else "um"
    return {
        "name": name,
        "scale": (1.0,) * extra + volume.spacing,
        "units": ("pixel",) * extra + (unit,) * len(volume.spacing),
        "axis_labels": tuple(volume.axes.lower()),
        "metadata": {OWN: {**volume.metadata, "spacing_um": list(volume.spacing)}},
    }


def image_layer(volume: Volume, name: str) -> LayerData:
    """Return an image as a layer, with the contrast of the pictures of a report."""
    low, high = limits(volume.array)
    ends = {"contrast_limits": (low, high)} if low < high else {}
    return volume.array, geometry(volume, name) | ends, "image"


def labels_layer(volume: Volume, name: str) -> LayerData:
    """Return labels as a layer that can be edited."""
    array = volume.array
    editable = array.flags.writeable and array.dtype.kind != "b"
    data = array if editable else array.astype(np.promote_types(array.dtype, np.uint8))
    return data, geometry(volume, name), "labels"


def points_layer(points: Points, name: str) -> LayerData:
    """Return points as a layer of rings."""
    place = Volume(
        np.zeros((1,) * len(points.spacing)), points.spacing, SPATIAL[-len(points.spacing) :]
    )
    ring = {"size": DOT, "face_color": "transparent", "border_color": "yellow"}
    return points.array, geometry(place, name) | ring, "points"


def tracks_layer(labels: Volume, tracks: Sequence[Track], name: str) -> LayerData:
    """Return the ways of the cells of a movie, daughters joined to their mothers."""
    places = []
    for frame, array in enumerate(labels.array):
        measured = regionprops_table(array, properties=("label", "centroid"))
        cell, *centre = (column.tolist() for column in measured.values())
        places += [[n, frame, *at] for n, *at in zip(cell, *centre, strict=True)]
    graph = {track.label: [track.parent] for track in tracks if track.parent}
    data = np.array(sorted(places)).reshape(len(places), 1 + labels.array.ndim)
    return data, {**geometry(labels, name), "graph": graph}, "tracks"


def layer_of(path: Path, kind: str, name: str, spacing: Spacing) -> LayerData:
    """Return a file of a known kind, ``labels``, ``points`` or ``image``, as a layer."""
    if kind == "points":
        return points_layer(read_points(path, tuple(spacing)), name)
    return {"labels": labels_layer, "image": image_layer}[kind](read(path).channels[0], name)


def results(out: Path, name: str) -> tuple[Json, Layers]:
    """Return the record of an image that ``cytosuite apply`` has written, and its outputs."""
    record = read_json(out / f"{name}.json")
    title = f"{name}: {record['algorithm']} {record['model']}"
    layers = []
    for number, socket in enumerate(TASKS[algorithms()[record["algorithm"]].task].outputs):
        more = f"-{socket.slug}" if number else ""
        end = f"-{socket.slug}.json" if socket.is_file else ".tif"
        path = out / f"{name}{more}{end}"
        if socket.kind in ("image", "labels", "points") and path.is_file():
            layers.append(layer_of(path, socket.kind, f"{title}{more}", record["spacing_um"]))
    return record, layers


def simulated_spheroid() -> Layers:
    """Return the first case of ``cytosuite simulate spheroid --size mini``: image and labels."""
    ((_, make),) = recipe(DataRequest("spheroid", "mini", cases=1)).makers
    sample = make()
    image = sample.volume(IMAGE.slug)
    return [
        image_layer(image, "spheroid"),
        labels_layer(sample.volume(LABELS.slug), "spheroid labels"),
    ]


def spacing_of(layer: Any) -> Lengths | None:  # noqa: ANN401 - a layer of napari
    """Return the voxel size of a layer in µm (z, y, x); None if it is not known."""
    axes = axes_of(layer)
    units = [str(unit).lower() for unit in layer.units][-len(axes) :]
    scale = [abs(float(step)) for step in layer.scale][-len(axes) :]
    if set(units) == {"pixel"} and set(scale) == {1.0}:
        return None
    if unknown := {*units} - {"pixel", *UM_PER}:
        raise InputError(f"{layer.name}: expected lengths as units, found {', '.join(unknown)}")
    return tuple(step * UM_PER.get(unit, 1.0) for step, unit in zip(scale, units, strict=True))


def axes_of(layer: Any) -> str:  # noqa: ANN401 - a layer of napari
    """Return the spatial axes of a layer: by its labels, else the last three, of planes two."""
    names = "".join(str(name).upper() for name in layer.axis_labels)
    if len(names) == layer.ndim and set(names) <= set("TCZYX"):
        return "".join(axis for axis in names if axis in SPATIAL)
    return SPATIAL[-min(layer.ndim, 3) :]


def volume_of(layer: Any, point: Sequence[float] = ()) -> Volume:  # noqa: ANN401 - as above
    """Return the pixels of a layer as an image, of further axes those at a point of the viewer."""
    if getattr(layer, "rgb", False):
        raise InputError(
            f"{layer.name}: expected grey values, found colours; right click on the layer, "
            "Split RGB, and take one channel"
        )
    if layer.ndim < 2:
        raise InputError(f"{layer.name}: expected an image of 2 axes or more, found {layer.ndim}")
    data = layer.data[0] if layer.multiscale else layer.data
    axes = axes_of(layer)
    spacing = spacing_of(layer)
    extra = layer.ndim - len(axes)
    place = layer.world_to_data(point) if len(point) else (0.0,) * layer.ndim
    shown = np.clip(np.round(place[:extra]), 0, np.array(data.shape[:extra]) - 1).astype(int)
    array = np.asarray(data[tuple(shown)])
    stored = layer.metadata.get(OWN, {})
    metadata = {key: value for key, value in stored.items() if key != "spacing_um"}
    if spacing is None or list(spacing) != stored.get("spacing_um"):
        metadata.pop("spacing_source", None)
    if spacing is None:
        metadata["spacing_source"] = "assumed"
    return Volume(array, spacing or (1.0,) * len(axes), axes, metadata)


def paint_anew(layer: Any) -> None:  # noqa: ANN401 - a layer of napari
    """Let painting begin an object of its own: the active label becomes the largest and one."""
    if hasattr(layer, "selected_label") and isinstance(layer.data, np.ndarray):
        label = int(layer.data.max(initial=0)) + 1
        layer.data = layer.data.astype(
            np.promote_types(layer.data.dtype, np.min_scalar_type(label)), copy=False
        )
        layer.selected_label = label


def labels_of(layer: Any, image: Volume, point: Sequence[float] = ()) -> Volume:  # noqa: ANN401
    """Return the labels of a layer on an image; InputError for another shape or negative ones."""
    labels = volume_of(layer, point)
    if labels.shape != image.shape:
        raise InputError(
            f"{layer.name}: expected labels of the shape {image.shape} of the image, found "
            f"{labels.shape}"
        )
    low = int(labels.array.min(initial=0))
    high = int(labels.array.max(initial=0))
    if low < 0 or high >= 2**32:
        raise InputError(f"{layer.name}: expected labels from 0 to {2**32 - 1}, found {low, high}")
    return image.like(labels.array.astype(label_type(high)))


def save_pair(
    folder: Path, name: str, image: Volume, labels: Volume, *, replace: bool = False
) -> int:
    """Write an image with its labels, both or none, and return the number of objects.

    InputError for a name that no file can have, or one that is taken and not to be replaced.
    """
    if not name or case_name(name) != name:
        raise InputError(f"name: expected one like {case_name(name)!r}, found {name!r}")
    need_folder(folder)
    images = folder / "images"
    truths = folder / "labels"
    for home in (images, truths):
        for path in readable(home):
            if key_of(path).casefold() != name.casefold():
                continue
            if path != home / f"{name}.tif":
                raise InputError(f"{path}: an image of this name is there; take another name")
            if not replace:
                raise InputError(f"{path}: it is there already; take another name, or replace it")
    with (
        atomic(images / f"{name}.tif") as image_part,
        atomic(truths / f"{name}.tif") as labels_part,  # takes its name first
    ):
        write(image_part, image)
        write(labels_part, labels)
    return int(np.count_nonzero(np.unique(labels.array)))


def in_pieces(labels: Volume) -> str:
    """Return the labels of several pieces in words: a painting may have joined two objects."""
    from cytosuite.segmentation.objects import largest_pieces  # compiles its loops

    array = labels.array.astype(np.uint32)
    torn = ", ".join(map(str, np.unique(array[largest_pieces(array) != array])))
    return f"; in several pieces, which may be objects of their own: {torn}" if torn else ""


def count(folder: Path) -> int:
    """Return how many images with labels a training finds in a folder; InputError if it refuses."""
    if not (folder / "images").is_dir():
        return 0
    return sum(LABELS.slug in item.files for item in index(folder, "segment").items)
