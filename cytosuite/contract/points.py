"""Points in an image: places, names, cells, confidence; the platform's "Multiple points" JSON."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from cytosuite.errors import InputError, at
from cytosuite.files import Json, Texts, TextSeq, read_json
from cytosuite.volume.arrays import Array, Doubles, Lengths, Longs

KIND = "Multiple points"  # of the platform
MOST = 100_000  # points of an image: 18 MiB of JSON
FARTHEST_MM = 1e6
LONGEST_NAME = 200
DIGITS = 9  # of a place in mm: 1 pm
UM_PER_MM = 1000.0
SHAPE = {"type", "points", "version", "name"}
ENTRY = {"name", "type", "point", "probability"}
# The platform refuses other keys: cell and photons stand behind the name.
NAME = re.compile(
    r"(.*?)(?: cell=(\d{1,19}))?(?: photons=(\d[\d.e+-]{0,30}))?", re.DOTALL | re.ASCII
)


@dataclass(frozen=True, eq=False)
class Points:
    """Points in an image, with their names, cells, confidence and light.

    Parameters
    ----------
    array : array of shape (N, D)
        Places in pixels of the image, z y x or y x; 0 is the centre of the first pixel.
    spacing : tuple of float
        µm per pixel, one number per axis.
    names : sequence of str, optional
        A name of each, as ``spot 7``; ``1``, ``2``, ... without it.
    cells : array of shape (N,), optional
        Label of the cell that holds each, 0 of none.
    confidence : array of shape (N,), optional
        Probability from 0 to 1; NaN where it is not known.
    photons : array of shape (N,), optional
        Light of each; NaN where it is not known.
    warnings : tuple of str, optional
        Lines of an algorithm for the user, in no file of points.

    Raises
    ------
    InputError
        If lengths differ, a number is not finite, or there are more than 100,000 points.

    Examples
    --------
    >>> found = Points([[2, 4]], (0.5, 0.25), cells=[3])
    >>> found.um.tolist(), found.document()["points"]
    ([[1.0, 1.0]], [{'name': '1 cell=3', 'point': [0.001, 0.001, 0.0]}])
    >>> points_of(found.document(), (0.5, 0.25)).array.tolist()
    [[2.0, 4.0]]
    """

    array: Doubles
    spacing: Lengths
    names: TextSeq = ()
    cells: Longs = field(default_factory=lambda: np.zeros(0, np.int64))
    confidence: Doubles = field(default_factory=lambda: np.zeros(0))
    photons: Doubles = field(default_factory=lambda: np.zeros(0))
    warnings: Texts = ()

    def __post_init__(self) -> None:
        """Fill missing columns; refuse wrong lengths and numbers."""
        places = np.asarray(self.array, np.float64)
        axes = len(self.spacing)
        places = places.reshape(0, axes) if places.size == 0 else places
        number = len(places)
        if places.ndim != 2 or places.shape[1] != axes or axes not in (2, 3):
            raise InputError(
                f"points: expected the shape (N, {axes}), 2 or 3 numbers as the voxel size, found "
                f"{places.shape}"
            )
        if number > MOST:
            raise InputError(f"points: expected at most {MOST}, found {number}; keep the best")
        names = tuple(self.names) or tuple(map(str, range(1, number + 1)))
        cells = _column(self.cells, number, np.zeros(number, np.int64))
        chance = _column(self.confidence, number, np.full(number, np.nan))
        light = _column(self.photons, number, np.full(number, np.nan))
        columns = {"names": names, "cells": cells, "confidence": chance, "photons": light}
        for name, column in columns.items():
            if len(column) != number:
                raise InputError(f"points: expected {number} {name}, found {len(column)}")
        if max(map(len, names), default=0) > LONGEST_NAME:
            raise InputError(f"points: expected names of at most {LONGEST_NAME} characters")
        if not (np.abs(places) <= FARTHEST_MM * UM_PER_MM / np.asarray(self.spacing)).all():
            raise InputError(
                f"points: expected finite places within {FARTHEST_MM:g} mm, found NaN, infinity "
                "or one beyond"
            )
        if ((chance < 0) | (chance > 1)).any():
            raise InputError("points: expected a confidence from 0 to 1")
        if ((light < 0) | np.isinf(light)).any() or (cells < 0).any():
            raise InputError("points: expected cells and photons of 0 or more")
        vars(self).update(columns, array=places)

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.array)

    @property
    def um(self) -> Doubles:
        """Places in µm, (N, D)."""
        places: Doubles = self.array * np.asarray(self.spacing)
        return places

    def document(self) -> Json:
        """Return the platform's object: places as x, y, z in mm, z 0 of a plane's points."""
        flat = np.zeros((len(self), 3 - len(self.spacing)))
        places = np.round(np.hstack([self.um[:, ::-1] / UM_PER_MM, flat]), DIGITS).tolist()
        entries = []
        for name, cell, photons, chance, place in zip(
            self.names, self.cells, self.photons, self.confidence, places, strict=True
        ):
            words = [name, *([f"cell={cell}"] if cell else [])]
            words += [f"photons={photons:.6g}"] if isfinite(photons) else []
            entry = {"name": " ".join(words), "point": place}
            known = {"probability": round(float(chance), 6)} if isfinite(chance) else {}
            entries.append(entry | known)
        return {"type": KIND, "points": entries, "version": {"major": 1, "minor": 0}}


def read_points(path: Path, spacing: Lengths) -> Points:
    """Return the points of a JSON file for an image of a voxel size [µm]; see `points_of`."""
    value = read_json(path)
    with at(path):
        return points_of(value, spacing)


def points_of(value: object, spacing: Lengths) -> Points:
    """Return the points of the platform's object; InputError for any other value."""
    if not isinstance(value, Mapping) or value.get("type") != KIND:
        raise InputError(f'expected an object with "type": "{KIND}"')
    version = value.get("version")
    listed = value.get("points")
    if not isinstance(version, Mapping) or version.get("major") != 1:
        raise InputError('expected "version": {"major": 1, "minor": 0}')
    if odd := sorted({*value} - SHAPE):
        raise InputError(f"expected the keys {', '.join(sorted(SHAPE))}, found {odd[0]!r:.60}")
    if not isinstance(listed, list) or len(listed) > MOST:
        count = f"{len(listed)}" if isinstance(listed, list) else "no list"
        raise InputError(f'expected "points", a list of at most {MOST}, found {count}')
    rows = []
    for number, entry in enumerate(listed):
        with at(f"points[{number}]"):
            place, chance, name = _checked(entry)
        whole = NAME.fullmatch(name)
        label, cell, light = whole.groups() if whole else (name, None, None)
        rows.append((place, label or str(number + 1), int(cell or 0), chance, _float(light)))
    columns: Any = zip(*rows, strict=True) if rows else ((),) * 5
    places, names, *others = columns
    um = np.array(places, np.float64).reshape(-1, 3)[:, ::-1][:, 3 - len(spacing) :] * UM_PER_MM
    return Points(um / np.asarray(spacing), spacing, names, *others)


def _checked(entry: object) -> tuple[list[float], float, str]:
    """Return place [mm, x y z], probability (NaN without) and name of a point."""
    if not isinstance(entry, Mapping) or not ENTRY.issuperset(entry):
        raise InputError(f"expected an object with the keys {', '.join(sorted(ENTRY))} alone")
    place, name, chance = (entry.get(key) for key in ("point", "name", "probability"))
    if not isinstance(place, list) or len(place) != 3 or not all(map(_near, place)):
        raise InputError(f'expected "point": [x, y, z], three numbers in mm, found {place!r:.60}')
    if name is not None and (not isinstance(name, str) or len(name) > 2 * LONGEST_NAME):
        raise InputError(f'expected "name", a text of at most {LONGEST_NAME} characters')
    if chance is not None and (not _near(chance) or not 0 <= float(chance) <= 1):
        raise InputError(f'expected "probability" from 0 to 1, found {chance!r:.60}')
    return place, np.nan if chance is None else float(chance), name or ""


def _near(value: object) -> bool:
    """Return whether a value is a finite number of a place."""
    whole = isinstance(value, int | float) and not isinstance(value, bool)
    return whole and -FARTHEST_MM <= value <= FARTHEST_MM  # type: ignore[operator]


def _float(text: str | None) -> float:
    """Return the number of photons in a name, NaN where it is none."""
    try:
        photons = float(text or "nan")
    except ValueError:
        return np.nan
    return photons if isfinite(photons) else np.nan


def _column(values: object, number: int, default: Array) -> Array:
    """Return a column in the dtype of its default, which stands for an empty one."""
    try:
        column = np.asarray(values, default.dtype)
    except OverflowError:
        raise InputError("points: expected cells below 2^63") from None
    return default if column.size == 0 and number else column
