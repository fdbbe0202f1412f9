"""Metadata of OME-Zarr, https://ngff.openmicroscopy.org 0.1 to 0.5: axes, voxel size, channels."""

from dataclasses import field

from cytosuite.errors import InputError, plain
from cytosuite.files import Entries, FloatDict, FloatMap, Json, frozen
from cytosuite.formats.tiffmetadata import named
from cytosuite.formats.zarrarray import ZarrEntries, json_of, short
from cytosuite.volume import AXES, SPATIAL, UNITS, counted_sizes, listed_channels

NAMESPACE = "cytosuite"  # attribute of our own metadata
SCENES = 10000
# µm of the units of length that UDUNITS-2, and so NGFF, has.
PREFIXES = {
    "": 1e6,
    "kilo": 1e9,
    "hecto": 1e8,
    "deca": 1e7,
    "deci": 1e5,
    "centi": 1e4,
    "milli": 1e3,
    "micro": 1.0,
    "nano": 1e-3,
    "pico": 1e-6,
    "femto": 1e-9,
}
UM = {
    **{f"{prefix}met{end}": um for prefix, um in PREFIXES.items() for end in ("er", "re")},
    "angstrom": 1e-4,
    "inch": 25400.0,
    "foot": 304800.0,
    "yard": 914400.0,
    "mile": 1.609344e9,
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "micron": 1.0,
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
}


@frozen
class NgffImage:
    """The description of an image."""

    path: str  # name of the folder of the array with the full resolution
    axes: str  # letters of ``TCZYX`` as stored
    sizes: FloatDict  # µm per voxel by axis; empty where nothing is known
    unit: str = "um"  # as of `cytosuite.volume.Origin`
    channels: list[str] = field(default_factory=list)  # names, empty for a channel without one
    metadata: Json = field(default_factory=dict)  # that we wrote
    warnings: list[str] = field(default_factory=list)  # for the user


def image_of(home: ZarrEntries, scene: int | None) -> NgffImage:
    """Return the description of an image."""
    images = _images(home)
    number = scene or 0
    if number not in range(len(images)):
        raise InputError(f"expected a scene from 0 to {len(images) - 1}, found {scene}")
    folder, index, attributes = images[number]
    scale = _multiscales(attributes)[index]
    datasets = scale.get("datasets")
    first = datasets[0] if isinstance(datasets, list) and datasets else None
    first = first if isinstance(first, dict) else {}
    path = first.get("path")
    if not (
        isinstance(path, str)
        and path.isprintable()
        and len(path) < 1000
        and not {"", ".", ".."} & set(path.split("/"))
    ):
        raise InputError(f"expected datasets with a path in the image, found {short(datasets)}")
    axes, units = _axes(scale.get("axes"))
    steps = _scale(first, len(axes))
    whole = _scale(scale, len(axes))
    products = [a * b for a, b in zip(steps or whole, whole if steps else [], strict=False)]
    sizes, warnings = _sizes(dict(zip(axes, products or steps or whole, strict=False)), units)
    unit = UNITS.get(units.get("X", 1.0), "um")
    metadata = attributes.get(NAMESPACE, {})
    metadata = metadata if isinstance(metadata, dict) else {}
    names = _channels(attributes.get("omero")) or listed_channels(metadata if "C" in axes else {})
    if scene is None and len(images) > 1:
        warnings.append(f"the file holds {len(images)} images, and only the first is read")
    return NgffImage(f"{folder}{path}", axes, sizes, unit, names, metadata, warnings)


def _images(home: ZarrEntries) -> list[tuple[str, int, Json]]:
    root = _attributes_of(home, "")
    if root is None:
        raise InputError("expected OME-Zarr, found neither zarr.json nor .zattrs in it")
    if "plate" in root:
        raise InputError(
            "expected an image, found a plate; give one of its wells, as in a link: "
            "ln -s plate.zarr/A/1/0 A1.zarr"
        )
    if scales := _multiscales(root):
        return [("", index, root) for index in range(len(scales))]
    images: list[tuple[str, int, Json]] = []
    while len(images) < SCENES and (below := _attributes_of(home, f"{len(images)}/")) is not None:
        if not _multiscales(below):
            break
        images.append((f"{len(images)}/", 0, below))
    if not images:
        raise InputError("expected OME-Zarr, found no multiscales in its metadata")
    return images


def _attributes_of(home: ZarrEntries, folder: str) -> Json | None:
    """Return the attributes of a group: OME's at the top, ours under `NAMESPACE`."""
    group = json_of(home, f"{folder}zarr.json")
    if group is None:
        if (zattrs := json_of(home, f"{folder}.zattrs")) is not None:
            return zattrs
        return {} if json_of(home, f"{folder}.zgroup") is not None else None
    if group.get("node_type") != "group":
        if folder:
            return None
        raise InputError("expected a group with multiscales, found a single array of zarr")
    attributes = group.get("attributes", {})
    if not isinstance(attributes, dict):
        raise InputError(f"expected attributes, found {short(attributes)}")
    ome = attributes.get("ome", attributes)  # 0.5; a few programs write 0.4 into zarr v3
    if not isinstance(ome, dict):
        raise InputError(f"expected an object as ome, found {short(ome)}")
    return {**ome, NAMESPACE: attributes.get(NAMESPACE, {})}


def _multiscales(attributes: Entries) -> list[Json]:
    scales = attributes.get("multiscales", [])
    if not isinstance(scales, list) or not all(isinstance(scale, dict) for scale in scales):
        raise InputError(f"expected a list of objects as multiscales, found {short(scales)}")
    return scales[:SCENES]


def _axes(axes: object) -> tuple[str, FloatDict]:
    """Return the axes as stored, and µm per unit of those that state one."""
    if axes is None:
        return AXES, {}  # before 0.3
    listed = axes if isinstance(axes, list) else [axes]
    named = [{"name": axis} if isinstance(axis, str) else axis for axis in listed]
    entries = [axis for axis in named if isinstance(axis, dict)]
    if len(entries) < len(named):
        raise InputError(f"expected a list of axes, found {short(axes)}")
    names = [str(axis.get("name", "")).upper() for axis in entries]
    if not 2 <= len(names) <= len(AXES) or len(set(names)) < len(names) or set(names) - set(AXES):
        raise InputError(
            "expected axes of t, c, z, y, x, found "
            f"{', '.join(plain(name.lower(), 20) for name in names[:9])}"
        )
    units = {}
    for name, axis in zip(names, entries, strict=True):
        if name in SPATIAL and axis.get("unit") is not None:
            um = UM.get(str(axis["unit"]).lower())
            if um is None:
                raise InputError(
                    f"the axis {name.lower()} has the unit {short(axis['unit'])}, which is no "
                    "length; expected micrometer or another one of UDUNITS-2"
                )
            units[name] = um
    return "".join(names), units


def _scale(entry: Entries, count: int) -> list[float]:
    listed = entry.get("coordinateTransformations", [])
    for step in listed if isinstance(listed, list) else ():
        if isinstance(step, dict) and step.get("type") == "scale":
            values = step.get("scale")
            factors = values if isinstance(values, list) else []
            numbers = [float(value) for value in factors if type(value) in {int, float}]
            if not len(numbers) == len(factors) == count:
                raise InputError(f"expected a scale of {count} numbers, found {short(values)}")
            return numbers
    return []


def _sizes(scales: FloatMap, units: FloatMap) -> tuple[FloatDict, list[str]]:
    """Return µm per voxel, and a warning on impossible sizes; without a unit 1 means nothing."""
    spatial = {axis: size for axis, size in scales.items() if axis in SPATIAL}
    if not units and all(size == 1.0 for size in spatial.values()):
        return {}, []
    sizes = {
        axis: float(f"{size * units.get(axis, 1.0):.12g}") if axis in units else size
        for axis, size in spatial.items()
    }
    return counted_sizes(sizes, "ome")


def _channels(omero: object) -> list[str]:
    channels = omero.get("channels", []) if isinstance(omero, dict) else []
    return [
        named(channel.get("label", "")) if isinstance(channel, dict) else ""
        for channel in (channels if isinstance(channels, list) else [])
    ]
