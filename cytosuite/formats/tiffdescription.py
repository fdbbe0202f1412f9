"""Descriptions in TIFF files: JSON of tifffile and of ours, the text of ImageJ, OME-XML."""

import json
import re
from collections.abc import Mapping
from typing import Any

import tifffile

from cytosuite.errors import plain
from cytosuite.files import parse_json
from cytosuite.volume import AXES, KEY_LETTERS, SPATIAL, is_size

NO_NUMBERS = re.compile("-?(NaN|Infinity)")  # of Python's JSON, which tifffile writes
UNNAMED = re.compile(r"channel[:_ \d]*", re.IGNORECASE)  # names that programs make up


def description(file: tifffile.TiffFile) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Return the description of the first page, our own JSON, and remarks on both.

    Parameters
    ----------
    file : TiffFile
        Of any program.

    Returns
    -------
    found : dict
        Keys and values of the description: JSON or ImageJ's text.
    ours : dict
        JSON of `tiffwriter`, with axes, shape and spacing; empty where there is none.
    warnings : list of str
        One line for each JSON that is broken.
    """
    imagej = dict(file.imagej_metadata or {})
    texts = [imagej.get("Info"), *(_comments(file) if file.is_ome else ())]
    found, infos = _json(file.pages[0].description, NO_NUMBERS), [_json(text) for text in texts]
    warnings = [reason for _, reason in (found, *infos) if reason]
    return found[0] or imagej, next((own for own, _ in infos if _is_ours(own)), {}), warnings


def ome_image(file: tifffile.TiffFile, scene: int) -> dict[str, Any]:
    """Return the attributes and elements of an image's ``Pixels`` in OME-XML; empty without it."""
    if not file.is_ome:
        return {}
    images = _elements(_ome(file), "Image")
    found = _elements(images[scene], "Pixels") if scene < len(images) else []
    return found[0] if found else {}


def channel_names(file: tifffile.TiffFile, scene: int) -> list[str]:
    """Return the names of an image's channels in OME-XML; programs number those without one."""
    channels = _elements(ome_image(file, scene), "Channel")
    names = [plain(str(channel.get("Name", "")), KEY_LETTERS) for channel in channels]
    return ["" if UNNAMED.fullmatch(name) else name for name in names]


def _ome(file: tifffile.TiffFile) -> dict[str, Any]:
    """Return the root of OME-XML."""
    found = tifffile.xml2dict(file.ome_metadata or "").get("OME")
    return found if isinstance(found, dict) else {}


def _elements(parent: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the elements of a name below another one; those without any content are empty."""
    found = parent.get(name, [])
    listed = found if isinstance(found, list) else [found]
    return [element if isinstance(element, dict) else {} for element in listed]


def _comments(file: tifffile.TiffFile) -> list[Any]:
    """Return the texts of the comment annotations in OME-XML."""
    notes = _elements(_ome(file), "StructuredAnnotations")
    return [found.get("Value") for note in notes for found in _elements(note, "CommentAnnotation")]


def _json(text: object, allowed: re.Pattern[str] | None = None) -> tuple[dict[str, Any], str]:
    """Return the JSON object that a text begins with, and a remark on one that is broken.

    What is `allowed` besides JSON stays in the object: whoever uses a value refuses it alone.
    """
    if not isinstance(text, str) or not text.startswith("{"):
        return {}, ""
    try:
        found, end = json.JSONDecoder().raw_decode(text)
        parse_json(text[:end] if allowed is None else allowed.sub("0", text[:end]))
    except RecursionError:
        reason = "too many lists and objects in each other"
    except ValueError as error:
        reason = str(error)
    else:
        return found, ""
    return {}, f"the description of the file is no JSON and does not count: {plain(reason, 200)}"


def _is_ours(found: Mapping[str, Any]) -> bool:
    """Return whether a JSON object has the axes, shape and spacing of `tiffwriter`."""
    axes, shape, spacing = (found.get(key) for key in ("axes", "shape", "spacing"))
    if not (isinstance(axes, str) and isinstance(shape, list) and isinstance(spacing, list)):
        return False
    spatial = sum(axis in SPATIAL for axis in axes)
    return (
        len(set(axes) & set(AXES)) == len(axes) == len(shape)
        and axes.endswith("YX")
        and len(spacing) == spatial
        and all(type(size) is int and size > 0 for size in shape)
        and all(type(size) in {int, float} and is_size(size) for size in spacing)
    )
