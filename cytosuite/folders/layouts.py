"""Annotated images in the folders of published data sets and programs."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from cytosuite.contract.words import SplitName
from cytosuite.errors import InputError
from cytosuite.files import TextDict, TextMap
from cytosuite.folders.coco import pixels_of_annotation, read_coco
from cytosuite.folders.conditions import LONGEST_CELL, cell_of
from cytosuite.folders.entries import case_name, key_of, natural, readable
from cytosuite.folders.masks import (
    RULES,
    MaskRules,
    Masks,
    ObjectMask,
    Source,
    pixels_of_file,
    read_rules,
)
from cytosuite.folders.rois import roi_files
from cytosuite.folders.splits import PART
from cytosuite.formats.imagefiles import is_readable

MASKS = re.compile(r"(.+?)(_cp)?_masks")  # of Cellpose
OUTPUT = re.compile(r".+_(flows|cp_output|outlines)")  # of Cellpose
LAYOUTS = (
    "<image>/images and <image>/masks, images/ and masks/<image>/, name.tif and name_masks.tif, "
    "train_A/ and train_B/, train_label/ and train_img/, a COCO file, or name_rois.zip of ImageJ"
)
PHASES: Mapping[str, SplitName] = {"train": "train", "val": "validate", "test": "test"}
ENDS = {"B": ("A",), "img": ("inst", "label")}  # of folders of images, and of labels: first counts
Place = TypeVar("Place", bound=Source)
# Images and labels, files that become masks or masks, by the names by which they pair.
# Images and labels of a folder by name; None: the folder has another layout.
Pairs = tuple[Sequence[tuple[str, Path]], Sequence[tuple[str, Source]]] | None


class Annotated(NamedTuple):
    """An image with its labels; facts are groups of `MaskRules.pairs`, class and part."""

    name: str  # of the case
    image: Path
    labels: Masks
    facts: TextMap


class Annotations(NamedTuple):
    """Annotated images of a folder in natural order, and why others are skipped."""

    items: Sequence[Annotated] = ()
    skipped: TextMap = MappingProxyType({})  # by relative path


def annotated(folder: Path, rules: MaskRules | None = None) -> Annotations:
    """Return the annotated images of a folder; none in other layouts.

    Beside ``labels/`` only ROIs count. InputError for an image or masks without partner, or two.
    """
    if not folder.is_dir() or (folder / "cases").is_dir():
        return Annotations()
    rules = rules or read_rules(folder)
    plain = (folder / "labels").is_dir()
    others = () if plain else (_of_coco, _by_phase, _by_image, _by_class, _beside)
    pairs = next(filter(None, (layout(folder, rules) for layout in (*others, _of_rois))), None)
    if pairs is None:
        if (folder / RULES).exists() and not plain:
            raise InputError(f"{folder}: {RULES} is for masks; expected {LAYOUTS}, found neither")
        return Annotations()
    images = _by_key(folder, "image", pairs[0], rules)
    labels = _by_key(folder, "mask", pairs[1], rules)
    for key in sorted(images.keys() ^ labels.keys(), key=natural):
        (here, name, _), lacks = (images | labels)[key], "masks" if key in images else "an image"
        raise InputError(
            f"{here}: expected {lacks} named exactly {name}, found none; add it, or take this one "
            "away"
        )
    items = []
    for key in sorted(images, key=natural):
        (image, _, facts), (place, *_) = images[key], labels[key]
        masks = place if isinstance(place, Masks) else Masks(folder, place, rules)
        labelled = replace(masks, image=image)
        phase, _, end = image.parent.name.partition("_")
        part = {PART: PHASES[phase]} if phase in PHASES and end in ENDS else {}
        facts = {**_class_of(masks), **part, **facts}
        facts = {name: cell_of(image, text) for name, text in facts.items()}
        items.append(Annotated(key, image, labelled, facts))
    taken = {path for pair in items for path in (pair.image, *pair.labels.files)}
    tops = {path.relative_to(folder).parts[0] for path in taken}
    rest = [path for path in (*_images(folder), *_folders(folder)) if path.name not in tops]
    odd = [str(path.relative_to(folder)) for _, path in pairs[0] if path not in taken]
    skipped = {f"{p.name}/" if p.is_dir() else p.name: "no image with masks" for p in rest}
    return Annotations(items, {**skipped, **dict.fromkeys(odd, f"does not fit pairs in {RULES}")})


def _by_key(
    folder: Path, noun: str, files: Sequence[tuple[str, Place]], rules: MaskRules
) -> dict[str, tuple[Place, str, TextDict]]:
    """Return places, names and conditions by key; images that do not fit `pairs` are left out."""
    by_key = dict[str, tuple[Place, str, TextDict]]()
    names = [unicodedata.normalize("NFC", name) for name, _ in files]
    for (_, place), named in zip(files, rules.named(names), strict=True):
        if named is None and noun == "mask":
            raise InputError(f"{place}: expected a name that fits pairs = {rules.pairs!r}")
        if named is None:
            continue
        base, facts = named
        if (key := case_name(base)) in by_key:
            two = (Path(str(source)).relative_to(folder) for source in (by_key[key][0], place))
            raise InputError(
                f"{folder}: expected one {noun} named {key}, found {' and '.join(map(str, two))}"
            )
        by_key[key] = place, base, facts
    return by_key


def _by_phase(folder: Path, _: MaskRules) -> Pairs:
    """Return ``train_A/*`` and ``train_B/*``, or ``_inst``, ``_label`` and ``_img`` (pix2pixHD)."""
    images: list[tuple[str, Path]] = []
    labels: list[tuple[str, Path]] = []
    for phase, (end, others) in product(PHASES, ENDS.items()):
        room = folder / f"{phase}_{end}"
        homes = [path for name in others if (path := folder / f"{phase}_{name}").is_dir()]
        if room.is_dir() and homes:
            for place, files in ((room, images), (homes[0], labels)):
                files += [(f"{phase}/{key_of(path)}", path) for path in _images(place)]
    return (images, labels) if images or labels else None


def _class_of(masks: Masks) -> TextDict:
    """Return the classes of an image as a condition, of many their number, without any nothing."""
    words = " + ".join(sorted(masks.classes))
    if len(words) > LONGEST_CELL:
        words = f"{len(masks.classes)} classes"
    return {"class": words} if words else {}


def _by_image(folder: Path, rules: MaskRules) -> Pairs:
    """Return ``<image>/images/*`` and ``<image>/masks/*`` (BBBC038); of label images none."""
    homes = _folders(folder)
    images = [(home.name, path) for home in homes for path in _images(home / "images")]
    masks = [(home.name, home / "masks") for home in homes if (home / "masks").is_dir()]
    names = {(name, key_of(path)) for name, place in masks for path in _images(place)}
    labels = set() < names <= {(name, key_of(path)) for name, path in images}
    if labels or not dict(images).keys() & dict(masks):
        return None
    return images, [(name, _masks(folder, place, rules)) for name, place in masks]


def _by_class(folder: Path, rules: MaskRules) -> Pairs:
    """Return ``images*/<image>.*`` and ``masks/<image>/<class>/*`` (CELLULAR)."""
    homes = _folders(folder / "masks")
    rooms = [path for path in _folders(folder) if path.name.startswith("images")]
    wanted = [path for path in _folders(folder) if path.name == rules.images] or rooms
    if not homes or not wanted:
        return None
    if len(wanted) > 1 or rules.images not in ("", wanted[0].name):
        names = " and ".join(room.name for room in rooms)
        raise InputError(
            f"{folder}: found {names}; name one in {RULES}: images = {rooms[0].name!r}"
        )
    images = [(key_of(path), path) for path in _images(wanted[0])]
    return images, [(home.name, _masks(folder, home, rules)) for home in homes]


def _masks(folder: Path, home: Path, rules: MaskRules) -> Masks:
    """Return the masks in a folder, and in a folder per class."""

    def mask(path: Path, kind: str = "") -> ObjectMask:
        """Return the mask in a file, with its class."""
        return ObjectMask(path, path.name, kind, partial(pixels_of_file, path, rules.threshold))

    masks = [mask(path) for path in _images(home)]
    left = Counter[str]()
    for inner in _folders(home):
        paths = _images(inner)
        kind = rules.class_of(inner, inner.name)
        if deeper := _folders(inner):
            raise InputError(f"{deeper[0]}: expected masks in {inner}, found a folder")
        left["empty folders"] += not paths
        left["excluded"] += len(paths) if kind is None else 0
        masks += [mask(path, kind) for path in paths if kind is not None]
    return Masks(folder, home, rules, masks, left)


def _beside(folder: Path, _: MaskRules) -> Pairs:
    """Return ``name.*`` and label images ``name_masks.*`` (Cellpose)."""
    named = [(key_of(path), path) for path in _images(folder)]
    labels = [(match[1], path) for name, path in named if (match := MASKS.fullmatch(name))]
    images = [(n, p) for n, p in named if not MASKS.fullmatch(n) and not OUTPUT.fullmatch(n)]
    if not dict(images).keys() & dict(labels):
        return None
    return images, labels


def _of_rois(folder: Path, rules: MaskRules) -> Pairs:
    """Return images and files of ROIs: next to them, in ``labels`` or in ``rois``.

    Images without ROIs take label images in ``labels``.
    """
    room = folder / "images"
    home = folder / "labels"
    images = [(key_of(path), path) for path in readable(room if room.is_dir() else folder)]
    names = [name for name, _ in images]
    places = (folder, room, home, folder / "rois")
    files_by_place = [(place, files) for place in places if (files := roi_files(place, names))]
    if len(files_by_place) > 1:
        both = " and ".join(str(place) for place, _ in files_by_place)
        raise InputError(f"{folder}: expected ROIs in one folder, found them in {both}")
    rois = {
        unicodedata.normalize("NFC", name): path
        for _, paths in files_by_place
        for name, path in paths.items()
    }
    if not rois.keys() & names:
        return None
    labels: dict[str, Source] = {key_of(path): path for path in _images(home)}
    labels |= {
        name: Masks(folder, path, rules, None, {"replaced": int(name in labels)})
        for name, path in rois.items()
    }
    return images, [*labels.items()]


def _of_coco(folder: Path, rules: MaskRules) -> Pairs:
    """Return the images in COCO files of a folder, or of its ``annotations``, and their objects."""
    places = [*_visible(folder), *_visible(folder / "annotations")]
    files = {path: content for path in places if (content := read_coco(path))}
    if not files:
        return None
    paths = defaultdict[str, list[Path]](list)
    for path in sorted(filter(is_readable, folder.rglob("*"))):
        paths[path.name].append(path)
    images = []
    labels = []
    for file, content in files.items():
        kinds = {
            category.id: rules.class_of(file, category.name) for category in content.categories
        }
        sizes = {image.id: (image.height, image.width) for image in content.images}
        masks = {number: (list[ObjectMask](), Counter[str]()) for number in sizes}
        for annotation in sorted(content.annotations, key=lambda entry: natural(str(entry.id))):
            where = f"{file}: annotation {annotation.id}"
            if annotation.image_id not in sizes:
                raise InputError(f"{where} is of no image: {annotation.image_id}")
            if kinds and annotation.category_id not in kinds:
                raise InputError(
                    f"{where}: expected a category of the file, like {min(kinds)}, found "
                    f"{annotation.category_id}"
                )
            kind, (drawn, left) = kinds.get(annotation.category_id, ""), masks[annotation.image_id]
            if annotation.iscrowd or kind is None:
                left["crowds" if annotation.iscrowd else "excluded"] += 1
            else:
                draw = partial(
                    pixels_of_annotation, where, annotation.segmentation, sizes[annotation.image_id]
                )
                drawn.append(ObjectMask(file, str(annotation.id), kind, draw))
        for image in content.images:
            end = PurePosixPath(image.file_name)
            fits = [p for p in paths[end.name] if p.parts[-len(end.parts) :] == end.parts]
            if len(fits) != 1:
                names = " and ".join(str(path.relative_to(folder)) for path in fits) or "none"
                raise InputError(f"{file}: expected one image {image.file_name}, found {names}")
            name = end.with_suffix("").as_posix()
            images.append((name, fits[0]))
            labels.append((name, Masks(folder, file, rules, *masks[image.id])))
    return images, labels


def _visible(folder: Path) -> list[Path]:
    """Return the visible entries of a folder in natural order, none where it is missing."""
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted((p for p in paths if p.name[0] != "."), key=lambda path: natural(path.name))


def _images(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if is_readable(path)]


def _folders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir() and not is_readable(path)]
