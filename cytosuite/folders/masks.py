"""Masks of one object each, combined into labels: rules, overlaps, and a table of the objects."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import floor, prod
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import scipy  # ndimage is loaded where it is used
from numpy.typing import NDArray
from pydantic import Field

from cytosuite.contract.manifest import Described, parse
from cytosuite.contract.spacing import warned
from cytosuite.errors import InputError, at
from cytosuite.files import read_toml
from cytosuite.folders.colours import read_grey
from cytosuite.folders.rois import is_rois, read_rois
from cytosuite.formats import read
from cytosuite.volume import Volume

RULES = "masks.toml"
Shape: TypeAlias = tuple[int, ...]
Pixels: TypeAlias = NDArray[np.intp]  # places in the flat image
Overlap = Literal["smallest", "last", "first", "error"]


class MaskRules(Described):
    """How the masks in a folder become labels; its file `RULES`."""

    overlap: Overlap = Field("smallest", description="mask on top where several overlap")
    threshold: float | None = Field(
        None, description="values above belong to the object; half of the file's largest without it"
    )
    min_area: int = Field(0, ge=0, description="smaller objects (pixels) are left out")
    exclude: tuple[str, ...] = Field((), description="classes that are left out")
    classes: dict[str, str] = Field({}, description="class by the name of its folder")
    pairs: re.Pattern[str] = Field(
        re.compile(".*"), description="of names: the group name pairs, others are conditions"
    )
    images: str = Field("", description="folder of the images, where there are several")

    def class_of(self, name: str) -> str | None:
        """Return the class of the masks in a folder of this name, None where they are left out."""
        kind = self.classes.get(name, name)
        return None if {name, kind} & set(self.exclude) else kind

    def named(self, name: str) -> tuple[str, dict[str, str]] | None:
        """Return the key by which image and masks pair, and conditions; None for other names."""
        if (match := self.pairs.fullmatch(name)) is None:
            return None
        facts = {group: text for group, text in match.groupdict().items() if text}
        return facts.pop("name", name), facts


def read_rules(folder: Path) -> MaskRules:
    """Return the rules in a folder, the defaults where it has no file."""
    path = folder / RULES
    return parse(path, read_toml(path) if path.exists() else {}, MaskRules)


class ObjectMask(NamedTuple):
    """One object of an image, not yet read."""

    path: Path
    name: str  # for people
    kind: str  # its class, empty without one
    pixels: Callable[[Shape], Pixels]  # for the image's shape, or InputError
    label: int = 0  # its id, 0 for the next that is free


def pixels_of_file(path: Path, threshold: float | None, shape: Shape) -> Pixels:
    """Return the pixels of a mask file above the threshold; InputError for another shape."""
    array = read_grey(path).array
    if array.shape != shape:
        raise InputError(f"{path}: a mask must have the image's shape {shape}, found {array.shape}")
    level = float(array.max(initial=0)) / 2 if threshold is None else threshold
    # Whole numbers compare with whole ones ten times as fast, to the same end.
    return np.flatnonzero(array > (level if array.dtype.kind == "f" else floor(level)))


def _of_label_image(path: Path, shape: Shape) -> list[ObjectMask]:
    """Return the objects of a label image, named by their numbers."""
    labels = read_grey(path).array
    most = int(labels.max(initial=0))
    odd = labels.dtype.kind not in "iu" or labels.min(initial=0) < 0 or most > labels.size
    if labels.shape != shape or odd:
        raise InputError(
            f"{path}: expected labels of the image's shape {shape}, whole numbers from 0 to the "
            f"number of pixels, found {labels.dtype} of {labels.shape} up to {most}"
        )
    flat = labels.ravel()
    pixels = np.flatnonzero(flat)
    pixels = pixels[np.argsort(flat[pixels], kind="stable")]
    numbers, starts = np.unique(flat[pixels], return_index=True)
    parts = zip(numbers, np.split(pixels, starts)[1:], strict=True)
    return [ObjectMask(path, str(n), "", partial(_known, own)) for n, own in parts]


def _of_rois(path: Path, shape: Shape) -> tuple[list[ObjectMask], dict[str, int]]:
    """Return the objects in a file of ROIs, and counts of other ROIs by the keys of `sentence`."""
    found, left = read_rois(path, shape)
    return [ObjectMask(path, n, "", partial(_known, own), label) for n, label, own in found], left


def _known(pixels: Pixels, _: Shape) -> Pixels:
    return pixels


class MaskObject(NamedTuple):
    """A row of the table of objects."""

    id: int  # in the labels; 0 of one that is left out
    kind: str
    file: str
    area: int  # pixels as drawn
    lost: int  # of them, those that the labels do not hold
    pieces: int


class Combined(NamedTuple):
    """Labels 1 to N of an image, its objects, and counts by the keys of `sentence`."""

    volume: Volume
    objects: tuple[MaskObject, ...]
    counts: Mapping[str, int]

    @property
    def classes(self) -> dict[int, str]:
        """Classes of the labels that have one."""
        return {own.id: own.kind for own in self.objects if own.id and own.kind}


@dataclass(frozen=True, eq=False)
class Masks:
    """Labels of an image as masks of its objects; they are combined when they are read."""

    parent: Path  # the folder of all images
    place: Path  # folder of the masks, COCO file, label image, or file of ROIs
    rules: MaskRules
    objects: Sequence[ObjectMask] | None = None  # in the order of their ids; None: in the place
    left: Mapping[str, int] = field(default_factory=dict)  # counts for `sentence`
    image: Path = Path()

    def __str__(self) -> str:
        """Return the place, for messages."""
        return str(self.place)

    @property
    def name(self) -> str:
        """Name of the place."""
        return self.place.name

    @property
    def files(self) -> tuple[Path, ...]:
        """All files from which the labels are made."""
        own = [path for path in (self.parent / RULES, self.place) if path.is_file()]
        return tuple(dict.fromkeys([*own, *(mask.path for mask in self.objects or ())]))

    @property
    def classes(self) -> Counter[str]:
        """Number of objects of each class."""
        return Counter(mask.kind for mask in self.objects or () if mask.kind)

    def read(self) -> Combined:
        """Return the labels; InputError for an unreadable mask, or one of another shape."""
        image = read(self.image, {"C": 0, "T": 0})
        masks, others = self.objects, dict[str, int]()
        if masks is None and is_rois(self.place):
            masks, others = _of_rois(self.place, image.shape)
        elif masks is None:
            masks = _of_label_image(self.place, image.shape)
        with at(self.place):
            labels, objects, counts = combine(image.shape, masks, self.rules)
        volume = Volume(labels, image.spacing, image.axes, image.metadata)
        if any(others.values()):
            volume = warned(volume, sentence({"objects": len(masks), **others}, self.rules.overlap))
        return Combined(volume, objects, {**counts, **self.left, **others})


Source: TypeAlias = Path | Masks  # of the labels of an image


def files_of(source: Source) -> tuple[Path, ...]:
    """Return the files of labels."""
    return source.files if isinstance(source, Masks) else (source,)


def read_labels(source: Source, group: str = "") -> Volume:
    """Return the labels of an image, from a file or from masks."""
    return source.read().volume if isinstance(source, Masks) else read(source, group=group)


def combine(
    shape: Shape, masks: Sequence[ObjectMask], rules: MaskRules
) -> tuple[NDArray[Any], tuple[MaskObject, ...], dict[str, int]]:
    """Return labels (uint16 or uint32), rows of objects, counts; ids are given or in order."""
    drawn = [mask.pixels(shape) for mask in masks]
    areas = np.array([own.size for own in drawn], np.int64)
    least = max(1, rules.min_area)
    order = np.flatnonzero(areas >= least)
    if rules.overlap == "first":
        order = order[::-1]
    elif rules.overlap == "smallest":  # of equal ones the last
        order = order[np.argsort(-areas[order], kind="stable")]
    flat, sharing = np.zeros(prod(shape), np.uint32), set[int]()
    for number in order.tolist():
        under = flat[drawn[number]]
        if under.any():
            others = set(np.unique(under[under > 0]).tolist())
            if rules.overlap == "error":
                names = f"{masks[min(others) - 1].name} and {masks[number].name}"
                raise InputError(
                    f"{names} overlap in {np.count_nonzero(under)} pixels; correct one, or set "
                    f"overlap in {RULES}"
                )
            sharing |= {number + 1, *others}
        flat[drawn[number]] = number + 1
    left = np.bincount(flat, minlength=len(drawn) + 1)[1:]
    given = np.array([mask.label for mask in masks], np.int64)
    free = given.max(initial=0) + np.cumsum((left >= least) & (given == 0))
    ids = np.where(left >= least, np.where(given > 0, given, free), 0)
    touching, pieces = np.ones([3] * len(shape)), np.zeros_like(ids)
    flat = flat.reshape(shape)
    boxes = scipy.ndimage.find_objects(flat, max_label=len(masks))
    for number in np.flatnonzero(ids).tolist():
        inside = flat[boxes[number]] == number + 1
        pieces[number] = scipy.ndimage.label(inside, touching)[1]
    dtype = np.uint16 if ids.max(initial=0) < 2**16 else np.uint32
    labels = np.concatenate([[0], ids]).astype(dtype)[flat]
    counts = {
        "objects": len(drawn),
        "overlapping": len(sharing),
        "vanished": int(np.count_nonzero((areas >= least) & (ids == 0))),
        "broken": int(np.count_nonzero(pieces > 1)),
        "small": int(np.count_nonzero((areas > 0) & (areas < least))),
        "empty": int(np.count_nonzero(areas == 0)),
    }
    rows = zip(masks, np.stack([ids, areas, areas - left, pieces], 1).tolist(), strict=True)
    return labels, tuple(MaskObject(n, m.kind, m.name, *rest) for m, (n, *rest) in rows), counts


def sentence(counts: Mapping[str, int], overlap: str) -> str:
    """Return counts as a sentence, without zeros."""
    words = {
        "overlapping": f"overlap others (the {overlap} lies on top)",
        "vanished": "vanish below others",
        "broken": "are in several pieces",
        "small": "are smaller than min_area and left out",
        "empty": "are empty",
        "excluded": "more are of excluded classes",
        "clipped": "reach beyond the image and are cut",
        "crowds": "more are crowds of COCO (iscrowd) and left out",
        "no areas": "more are points, lines or texts and left out",
        "frames": "more are of later time points and left out",
        "replaced": "label images do not count beside ROIs of the same name",
        "empty folders": "folders of a class are empty",
    }
    parts = [f"{counts[key]} {text}" for key, text in words.items() if counts.get(key)]
    return f"{counts.get('objects', 0)} masks" + (f": {', '.join(parts)}." if parts else ".")
