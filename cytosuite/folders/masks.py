"""Masks of one object each, combined into labels: rules, overlaps, and a table of the objects."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from math import floor, prod
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import AfterValidator, Field

from cytosuite.contract.interface import LARGEST
from cytosuite.contract.manifest import Described, parse
from cytosuite.contract.spacing import warned
from cytosuite.contract.words import Overlap
from cytosuite.errors import InputError, at, printable
from cytosuite.files import IntDict, IntMap, TextDict, Texts, TextSeq, read_toml
from cytosuite.folders.conditions import cell_of
from cytosuite.folders.outlines import Canvas, Pixels
from cytosuite.folders.part import read_grey
from cytosuite.folders.rois import is_rois, read_rois
from cytosuite.folders.splits import ANY, expression, groups_of
from cytosuite.formats import header, read
from cytosuite.formats.hdf5 import LABELS_FIRST
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Indices, Shape, Words
from cytosuite.volume.objects import label_type

RULES = "masks.toml"
LONGEST_NAME = 255  # characters of an object's name in tables, as of files


class MaskRules(Described):
    """How the masks in a folder become labels; its file `RULES`."""

    overlap: Overlap = Field("smallest", description="mask on top where several overlap")
    threshold: float | None = Field(
        None,
        ge=0,
        le=LARGEST,
        description="values above belong to the object; half of the file's largest without it",
    )
    min_area: int = Field(0, ge=0, le=LARGEST, description="smaller objects (pixels) are left out")
    exclude: Texts = Field((), description="classes that are left out")
    classes: TextDict = Field({}, description="class by the name of its folder")
    pairs: Annotated[str, AfterValidator(expression)] = Field(
        ANY, description="of names: the group name pairs, others are conditions"
    )
    images: str = Field("", description="folder of the images in this one, where there are several")

    def class_of(self, place: Path, name: str) -> str | None:
        """Return the class for a name in a place, None where its masks are left out."""
        kind = self.classes.get(name, name)
        return None if {name, kind} & set(self.exclude) else cell_of(place, kind)

    def named(self, names: TextSeq) -> Iterator[tuple[str, TextDict] | None]:
        """Yield the key by which image and masks pair, and conditions; None for other names."""
        with at(RULES):
            groups = groups_of(self.pairs, names)
        for name, facts in zip(names, groups, strict=True):
            yield None if facts is None else (facts.pop("name", name), facts)


def read_rules(folder: Path) -> MaskRules:
    """Return the rules in a folder, the defaults where it has no file."""
    path = folder / RULES
    return parse(path, read_toml(path) if path.exists() else {}, MaskRules)


class ObjectMask(NamedTuple):
    """One object of an image, not yet read."""

    path: Path
    name: str  # for people
    kind: str  # its class, empty without one
    pixels: Callable[[Canvas], Pixels]  # drawn on the image, or InputError
    label: int = 0  # its id, 0 for the next that is free


def pixels_of_file(path: Path, threshold: float | None, canvas: Canvas) -> Pixels:
    """Return the pixels of a mask file above the threshold; InputError for another shape."""
    array = read_grey(path).array
    if array.shape != canvas.shape:
        raise InputError(
            f"{path}: a mask must have the image's shape {canvas.shape}, found {array.shape}"
        )
    level = float(array.max(initial=0)) / 2 if threshold is None else threshold
    # Whole numbers compare with whole ones ten times as fast, to the same end.
    return canvas.take(np.flatnonzero(array > (level if array.dtype.kind == "f" else floor(level))))


def _of_label_image(path: Path, shape: Shape) -> list[ObjectMask]:
    """Return the objects of a label image, named by their numbers."""
    labels = read_grey(path, LABELS_FIRST).array
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
    return [ObjectMask(path, str(number), "", partial(_known, part)) for number, part in parts]


def _known(pixels: Pixels, _: Canvas) -> Pixels:
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
    counts: IntMap

    @property
    def classes(self) -> dict[int, str]:
        """Classes of the labels that have one."""
        return {row.id: row.kind for row in self.objects if row.id and row.kind}


@dataclass(frozen=True, eq=False)
class Masks:
    """Labels of an image as masks of its objects; they are combined when they are read."""

    parent: Path  # the folder of all images
    place: Path  # folder of the masks, COCO file, label image, or file of ROIs
    rules: MaskRules
    objects: Sequence[ObjectMask] | None = None  # in the order of their ids; None: in the place
    left: IntMap = field(default_factory=dict)  # counts for `sentence`
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
        paths = [path for path in (self.parent / RULES, self.place) if path.is_file()]
        return tuple(dict.fromkeys([*paths, *(mask.path for mask in self.objects or ())]))

    @property
    def classes(self) -> Counter[str]:
        """Number of objects of each class."""
        return Counter(mask.kind for mask in self.objects or () if mask.kind)

    def read(self) -> Combined:
        """Return the labels; InputError for an unreadable mask, or one of another shape."""
        image = read(self.image, {"C": 0, "T": 0})
        masks = self.objects
        others = IntDict()
        if masks is None and is_rois(self.place):
            channels = 1
            with suppress(InputError):  # colours, and files without a header, are no hyperstacks
                geometry = header(self.image)
                channels = dict(zip(geometry.axes, geometry.shape, strict=True)).get("C", 1)
            rois, others = read_rois(self.place, image.shape, channels)
            masks = [
                ObjectMask(self.place, r.name, "", partial(_known, r.pixels), r.label) for r in rois
            ]
        elif masks is None:
            masks = _of_label_image(self.place, image.shape)
        with at(self.place):
            labels, objects, counts = combine(image.shape, masks, self.rules)
        volume = Volume(labels, image.spacing, image.axes, image.metadata)
        if any(others.values()):
            volume = warned(volume, sentence({"objects": len(masks), **others}, self.rules.overlap))
        return Combined(volume, objects, {**counts, **self.left, **others})


Source = Path | Masks  # of the labels of an image


def files_of(source: Source) -> tuple[Path, ...]:
    """Return the files of labels."""
    return source.files if isinstance(source, Masks) else (source,)


def read_labels(source: Source, group: str = LABELS_FIRST) -> Volume:
    """Return the labels of an image, from a file or from masks."""
    return source.read().volume if isinstance(source, Masks) else read(source, group=group)


def combine(
    shape: Shape, masks: Sequence[ObjectMask], rules: MaskRules
) -> tuple[Array, tuple[MaskObject, ...], IntDict]:
    """Return labels (uint16 or uint32), rows of objects, counts; ids are given or in order.

    One mask is in memory at a time.
    """
    canvas = Canvas(shape)
    least = max(1, rules.min_area)
    drawn = np.zeros(len(masks) + 1, np.int64)  # areas; 0 is the background
    flat = np.zeros(prod(shape), np.uint32)
    sharing = set[int]()
    for number, mask in enumerate(masks, 1):
        pixels = mask.pixels(canvas)
        drawn[number] = pixels.size
        if pixels.size < least:
            continue
        if (under := flat[pixels]).any():
            below = np.unique(under[under > 0]).tolist()
            if rules.overlap == "error":
                raise InputError(
                    f"{masks[below[0] - 1].name} and {mask.name} overlap in "
                    f"{np.count_nonzero(under)} pixels; correct one, or set overlap in {RULES}"
                )
            sharing.update(below, [number])
            if rules.overlap == "first":
                pixels = pixels[under == 0]
            elif rules.overlap == "smallest":  # of equal ones the last
                pixels = pixels[(under == 0) | (drawn[under] >= drawn[number])]
        flat[pixels] = number
    areas = drawn[1:]
    left = np.bincount(flat, minlength=drawn.size)[1:]
    labelled = np.array([mask.label for mask in masks], np.int64)
    free = labelled.max(initial=0) + np.cumsum((left >= least) & (labelled == 0))
    ids = np.where(left >= least, np.where(labelled > 0, labelled, free), 0)
    pieces = np.where(ids > 0, _pieces(flat.reshape(shape), len(masks)), 0)
    labels = np.concatenate([[0], ids]).astype(label_type(ids.max(initial=0)))[flat.reshape(shape)]
    counts = {
        "objects": len(masks),
        "overlapping": len(sharing),
        "vanished": int(np.count_nonzero((areas >= least) & (ids == 0))),
        "broken": int(np.count_nonzero(pieces > 1)),
        "small": int(np.count_nonzero((areas > 0) & (areas < least))),
        "empty": int(np.count_nonzero(areas == 0)),
    }
    rows = zip(masks, np.stack([ids, areas, areas - left, pieces], 1).tolist(), strict=True)
    objects = (
        MaskObject(n, mask.kind, printable(mask.name[:LONGEST_NAME]), *rest)
        for mask, (n, *rest) in rows
    )
    return labels, tuple(objects), counts


def _pieces(numbers: Words, count: int) -> Indices:
    """Return the pieces of each number from 1, which touch in no corner; in linear time."""
    from skimage.measure import label  # slow to load

    parts = label(numbers, connectivity=numbers.ndim)
    owners = np.zeros(parts.max(initial=0) + 1, np.uint32)
    owners[parts] = numbers
    return np.bincount(owners[1:], minlength=count + 1)[1:]


def sentence(counts: IntMap, overlap: str) -> str:
    """Return counts as a sentence, without zeros."""
    words = {
        "overlapping": f"overlap others (the {overlap} lies on top)",
        "vanished": "vanish below others",
        "broken": "are in several pieces",
        "small": "are smaller than min_area and left out",
        "empty": "are empty",
        "excluded": "more are of excluded classes",
        "clipped": "reach beyond the image and are cut",
        "crowds": "more are crowds of COCO (iscrowd), left out: finds there are false",
        "no areas": "more are points, lines or texts and left out",
        "frames": "more are of later time points and left out",
        "replaced": "label images do not count beside ROIs of the same name",
        "empty folders": "folders of a class are empty",
    }
    parts = [f"{counts[key]} {text}" for key, text in words.items() if counts.get(key)]
    return f"{counts.get('objects', 0)} masks" + (f": {', '.join(parts)}." if parts else ".")
