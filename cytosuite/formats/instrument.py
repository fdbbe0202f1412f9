"""The microscope of an image in OME-XML: keys of `Volume.metadata`, written and read.

What OME has no place for, read noise and the point spread function, is a map annotation.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod

import tifffile

from cytosuite.errors import plain
from cytosuite.files import Entries, Json, Scalars
from cytosuite.volume import KEY_LETTERS, UM_PER

NAMESPACE = "cytosuite"
PLACES = {
    "camera": ("Detector", "Type"),
    "gain": ("Detector", "Gain"),
    "offset": ("Detector", "Offset"),
    "na": ("Objective", "LensNA"),
    "magnification": ("Objective", "NominalMagnification"),
    "index_immersion": ("ObjectiveSettings", "RefractiveIndex"),
    "emission_um": ("Channel", "EmissionWavelength"),
    "excitation_um": ("Channel", "ExcitationWavelength"),
}
MAPPED = ("read_noise", "psf", "psf_sigma_z_um", "psf_sigma_xy_um")
TYPES = {"CCD", "EMCCD", "CMOS", "PMT", "APD"}  # cameras that OME names
NM = 1000.0  # per µm; OME's unit of wavelengths

Element = Json


def ome_xml(
    metadata: Mapping[str, object],
    dtype: str,
    shape: Sequence[int],
    axes: str,
    name: Callable[[], str],
    **image: object,
) -> bytes:
    """Return the OME-XML of an image with its microscope or named channels; empty without any."""
    parts: dict[str, Element] = {}
    for key, (element, attribute) in PLACES.items():
        value = metadata.get(key)
        if value in TYPES if key == "camera" else isinstance(value, int | float):
            if element == "Channel" and isinstance(value, int | float):
                value = round(value * NM, 6)
            parts.setdefault(element, {})[attribute] = value
    mapped = {key: metadata[key] for key in MAPPED if key in metadata}
    channels = shape[axes.index("C")] if "C" in axes else 1
    named = str(metadata.get("channels" if channels > 1 else "channel", ""))
    if not parts and not mapped and (channels == 1 or not named):
        return b""
    document = tifffile.OmeXml(UUID=name())
    each = {key: [value] * channels for key, value in parts.get("Channel", {}).items()}
    names = named.split(", ", channels - 1)
    if named and len(names) == channels:
        each["Name"] = names
    notes = {"MapAnnotation": {"Namespace": NAMESPACE, **mapped}} if mapped else {}
    stored = (prod(shape[:-2]), 1, 1, shape[-2], shape[-1], 1)
    document.addimage(dtype, shape, stored, axes=axes, Channel=each, **notes, **image)
    text = document.tostring(declaration=True)
    instrument = ""
    if "Detector" in parts:
        instrument += _element("Detector", "Detector", parts)
        text = text.replace("<LightPath/>", '<DetectorSettings ID="Detector:0"/><LightPath/>')
    settings = '<InstrumentRef ID="Instrument:0"/>'
    if {"Objective", "ObjectiveSettings"} & set(parts):
        instrument += _element("Objective", "Objective", parts)
        settings += _element("ObjectiveSettings", "Objective", parts)
    whole = f'<Instrument ID="Instrument:0">{instrument}</Instrument>'
    text = text.replace("<Pixels ", f"{settings}<Pixels ", 1)
    return str(text.replace("<Image ", f"{whole}<Image ", 1)).encode()


def _element(name: str, kind: str, parts: Mapping[str, Element]) -> str:
    attributes = "".join(f' {key}="{value}"' for key, value in parts.get(name, {}).items())
    return f'<{name} ID="{kind}:0"{attributes}/>'


def microscope(ome: Element, scene: int, channel: int) -> Scalars:
    """Return the microscope of a channel from OME-XML (`tifffile.xml2dict`)."""
    image = dict(enumerate(elements(ome, "Image"))).get(scene, {})
    lit = dict(enumerate(below([image], "Pixels", "Channel"))).get(channel, {})
    parts = {"Channel": lit}
    for kind, home in (("Detector", lit), ("Objective", image)):
        settings = next(iter(elements(home, f"{kind}Settings")), {})
        held = below([ome], "Instrument", kind)
        chosen = next((one for one in held if one.get("ID") == settings.get("ID")), {})
        parts |= {kind: chosen | settings, f"{kind}Settings": settings}
    facts: Scalars = {}
    for key, (name, attribute) in PLACES.items():
        value = parts[name].get(attribute)
        if key == "camera" and isinstance(value, str):
            facts[key] = plain(value, KEY_LETTERS)
        elif key != "camera" and isinstance(value, int | float):
            unit = UM_PER.get(str(parts[name].get(f"{attribute}Unit", "nm")).lower(), 0.0)
            facts[key] = round(value * unit, 9) if name == "Channel" else value
    for note in below([ome], "StructuredAnnotations", "MapAnnotation"):
        rows = {row.get("K"): row.get("value") for row in below([note], "Value", "M")}
        if note.get("Namespace") == NAMESPACE:
            facts |= {key: value for key, value in rows.items() if key in MAPPED}
    return facts


def below(parents: Iterable[Element], *names: str) -> list[Element]:
    """Return the elements at the end of a path of names."""
    for name in names:
        parents = [element for parent in parents for element in elements(parent, name)]
    return [*parents]


def elements(parent: Entries, name: str) -> list[Element]:
    """Return the elements of a name below another one; those without any content are empty."""
    found = parent.get(name, [])
    listed = found if isinstance(found, list) else [found]
    return [element if isinstance(element, dict) else {} for element in listed]
