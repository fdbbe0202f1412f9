"""What a folder holds: a table of cases, the file of each role, and what is skipped and why."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from itertools import chain
from pathlib import Path

from cytosuite.contract.metadata import CHANNELS, view_role
from cytosuite.contract.tasks import (
    FRAME_LABELS,
    IMAGE,
    LABELS,
    MOVIE,
    POINTS,
    TASKS,
    TRACKED,
    VIEW,
    Socket,
    Task,
)
from cytosuite.contract.words import SPLITS
from cytosuite.errors import InputError, count, plain
from cytosuite.files import PathDict, Paths, ScalarMap, TextDict, TextMap, Texts, TextSeq, frozen
from cytosuite.folders.conditions import FILE, read_conditions
from cytosuite.folders.entries import (
    DEEPER,
    Entries,
    case_name,
    entries,
    first_channels,
    folders_by_name,
    key_of,
    one_per_name,
    summary,
)
from cytosuite.folders.layouts import Annotations, annotated
from cytosuite.folders.masks import Masks, Source, files_of
from cytosuite.folders.part import EVERY, NNUNET, Part, channel_file, frames
from cytosuite.folders.points import tables_of
from cytosuite.folders.splits import Division, Splits, divide, listed_classes, parts_of, splits_of
from cytosuite.formats.imagefiles import LABEL, READABLE
from cytosuite.formats.lists import first_of, is_list, list_of, read_list

FUSION = TASKS["fuse"]
FUSED = FUSION.outputs[0].slug
TRACKING = TASKS["track"]
PLANE = re.compile(r"man_seg_(\d+)_.*\.tif")
FRAME = re.compile(r"t(\d{3,})\.tiff?", re.IGNORECASE)
SOCKETS: Mapping[str, Socket] = {
    socket.slug: socket for task in TASKS.values() for socket in (*task.inputs, *task.outputs)
}
OUTPUTS = frozenset(socket.slug for task in TASKS.values() for socket in task.outputs)
PLAIN = {LABELS.slug: "labels", POINTS.slug: "points"}  # names of folders of users
CLASSES = "labelstr"  # of nnU-Net, labels by class
IMAGES = ("images", NNUNET)
ROOMS = {  # of several, the last counts, and before it one that is named like the socket
    LABELS.slug: ("masks", CLASSES, "instancestr", "labels"),
    POINTS.slug: ("points",),
}
PUBLISHED = re.compile("(train|inference)[AB]")  # of a CycleGAN, with sub-folders
EXTRA = re.compile(r"step-\d+-light|visible-level|nucleus-labels")  # for trainings alone
HOME = re.compile("(?<=/)images/", re.IGNORECASE)
# Labels among images: in sub-folders, `a_label` of published simulators, `a_masks` of Cellpose.
LABELLED = re.compile(f"(?<=/)(labels|masks)/|({LABEL}|(_cp)?_masks)$", re.IGNORECASE)
CASES, RECORD = "cases", "case.json"  # folder of the cases of a dataset; how each was made
LAYOUTS = (
    "images/ (and labels/, points/), imagesTr/ (and labelsTr/) of nnU-Net, 01/ (and 01_GT/SEG/) "
    "of the Cell Tracking Challenge, or masks of one object each"
)


@frozen
class Views:
    """The main images, as views that are fused, with the truth where there is one."""

    listing: Entries  # the views, and reasons for skipped files
    fused: Mapping[str, Source] = field(default_factory=dict)  # the truth by the key of its view
    notes: Texts = ()  # sentences for the readers of the scores
    slug: str = FUSED  # socket of the truth


def by_name(listing: Entries) -> Views:
    """Return the images of a folder as views, ``<name>_fused`` as the truth of ``<name>_angle``."""
    roles = {key: role for key in listing.images if (role := view_role(key))}
    fused = one_per_name(
        "fused images",
        ((name, listing.images[key]) for key, (name, kind) in roles.items() if kind == "fused"),
    )
    truth = {
        key: fused[name] for key, (name, kind) in roles.items() if kind == "angle" and name in fused
    }
    taken = {*fused.values()}
    alone = taken - {*truth.values()}
    views = {key: path for key, path in listing.images.items() if path not in taken}
    if alone and not views:
        first = min(alone)
        view = re.sub("fused$", "angle", first.stem, flags=re.IGNORECASE)
        raise InputError(
            f"{first.parent}: expected views like {view}{first.suffix}, found fused images alone: "
            f"{first.name}"
        )
    left = {
        f"{key}{path.suffix}": "a fused image without its view"
        for key, path in listing.images.items()
        if path in alone
    }
    return Views(Entries(views, {**listing.skipped, **left}), truth)


def by_list(path: Path, root: Path, listing: Entries, task: str) -> Views:
    """Return the images of a list with their truth: of `synthesise` masks, from which they are."""
    pairs = read_list(path, root)
    if task == TASKS["synthesise"].name:
        pairs = [(mask or image, image if mask else None) for image, mask in pairs]
    views = {key_of(view, root): view for view, _ in pairs}
    truth = {key_of(view, root): truth for view, truth in pairs if truth is not None}
    listed = {*views.values(), *truth.values()}
    left = {
        f"{key}{image.suffix}": f"not in {path.name}"
        for key, image in listing.images.items()
        if image not in listed
    }
    tops = {f"{image.relative_to(root).parts[0]}/" for image in listed}
    used = {*tops, *(table.name for table in root.glob("*.csv") if first_of(table))}
    skipped = {name: why for name, why in listing.skipped.items() if name not in used}
    note = f"The pairs are those of {path.name}."
    return Views(Entries(views, {**skipped, **left}), truth, (note,), TASKS[task].outputs[0].slug)


@frozen
class Item:
    """The files of one case."""

    name: str  # name of the case, see `case_name`
    image: Path  # the main image
    files: Mapping[str, Source] = field(default_factory=dict)  # further ones by slug of the socket
    conditions: ScalarMap = field(default_factory=dict)  # facts by the user
    socket: str = IMAGE.slug  # slug of the main image's socket
    part: Part = field(default_factory=Part)  # of files with several channels, frames, images
    extras: Paths = field(default_factory=dict)  # of a simulation, by name

    @property
    def paths(self) -> list[Path]:
        """All files, also each mask of the labels."""
        return [self.image, *(path for source in self.files.values() for path in files_of(source))]

    def path(self, slug: str) -> Path | None:
        """Return the file of a role, None where there is none."""
        source = self.files.get(slug)
        return source if isinstance(source, Path) else None

    @property
    def all_paths(self) -> list[Path]:
        """All files, also extras; of a file of several images the image counts."""
        return [*self.extras.values(), *self.paths]

    @property
    def classes(self) -> Counter[str]:
        """Number of objects of each class, by masks."""
        labels = self.files.get(LABELS.slug)
        return labels.classes if isinstance(labels, Masks) else Counter()


@frozen
class FolderIndex:
    """The cases of a folder, with notes for the readers of the scores."""

    items: tuple[Item, ...]
    notes: Texts = ()  # sentences
    skipped: TextMap = field(default_factory=dict)  # reason by relative path

    @property
    def task(self) -> str:
        """The first task of this input that knows all further files, else its first task."""
        socket = self.items[0].socket
        held = {slug for item in self.items for slug in item.files}
        takers = [t for t in TASKS.values() if socket in {s.slug for s in t.inputs}]
        return next((t for t in takers if _holds(t, held)), takers[0]).name

    def labelled(self, place: Path) -> list[Item]:
        """Return the items with labels; InputError where none has any."""
        items = [item for item in self.items if LABELS.slug in item.files]
        if not items:
            raise InputError(
                f"{place}: expected images with labels of the same name, found {self.count} without"
            )
        return items

    def divided(self, source: Path, splits: Splits | None, place: object) -> Division | None:
        """Return the parts of the cases by rules, else by the rules of `source`; None without."""
        conditions = {item.name: item.conditions for item in self.items}
        rules = splits or splits_of(source) or parts_of(conditions)
        classes = {item.name: item.classes for item in self.items} | listed_classes(source)
        return divide(rules, conditions, classes, place) if rules else None

    @property
    def count(self) -> str:
        """The number of images, and the entries that are skipped, each with the reason."""
        images = count(len(self.items), "image")
        return f"{images}; {summary(dict(self.skipped))}" if self.skipped else images


def by_part(items: Iterable[Item], part: Part, task: str) -> Iterator[Item]:
    """Yield items with the wanted part; for every frame, each of an image without truth is one."""
    part = replace(part, stains=tuple(CHANNELS) if task == "segment" else ())
    for item in items:
        image = channel_file(item.image, part.channel)
        wanted = part if image == item.image else replace(part, channel=None)
        whole = SOCKETS[item.socket].axes or SOCKETS[item.socket].movie
        alone = part.frame != EVERY or whole or OUTPUTS & item.files.keys()
        last = 0 if alone else frames(image, wanted) - 1
        numbers = [f"{number:0{len(str(last))}d}" for number in range(last + 1)]
        for frame in numbers if last else [part.frame if alone else None]:
            name = f"{item.name}_frame-{frame}" if last else item.name
            yield replace(item, image=image, name=name, part=replace(wanted, frame=frame))


def index(
    place: Path, task: str | None = None, *, recursive: bool = False, root: Path | None = None
) -> FolderIndex:
    """Return the images in a folder, or of a list, with all that belongs to them; see the README.

    The names in a list are those of files in `root`, or in the folder of the list.
    """
    try:
        listed = list_of(place, "test") if is_list(place) or place.is_dir() else None
        if listed is not None:
            home = listed.parent
            cases = _listed(listed, root or home, task, recursive, whole=place.is_dir())
        elif root is not None:
            raise InputError(f"{place}: expected a list of files in {root} (--data-root)")
        elif place.is_dir():
            cases = _found(place, task, recursive or PUBLISHED.fullmatch(place.name) is not None)
            home = place
        else:
            raise InputError(f"{place}: {'a file; give a' if place.exists() else 'no such'} folder")
        table = home / FILE
    except OSError as error:
        place = error.filename or place
        raise InputError(f"{place}: cannot be read ({os.strerror(error.errno or 0)})") from None
    one_per_name(home, ((item.name.casefold(), item.image) for item in cases.items))
    if not os.path.lexists(table):
        return cases
    rows = read_conditions(table, {item.image: item.name for item in cases.items})
    items = (
        replace(item, conditions={**item.conditions, **rows.get(item.name, {})})
        for item in cases.items
    )
    return replace(cases, items=tuple(items))


def _listed(
    path: Path, root: Path, task: str | None, recursive: bool, *, whole: bool
) -> FolderIndex:
    """Return the images of a list; of the `whole` folder also the images outside the list."""
    first = first_of(path)
    name = task or (FUSION.name if first and view_role(first.stem) else "segment")
    rest = entries(root, {FILE, SPLITS}, recursive=recursive) if whole else Entries({}, {})
    return _matched(
        root, by_list(path, root, rest, name), TASKS[name].inputs[0].slug, {}, {}, recursive
    )


def _found(folder: Path, task: str | None, recursive: bool) -> FolderIndex:
    """Return the images of a folder in one of the known layouts."""
    if homes := _cases(folder):
        return _simulated(homes, task)
    children = folders_by_name(folder)
    rooms = {
        slug: children[name]
        for slug in SOCKETS
        for name in (*ROOMS.get(slug, ()), slug)
        if name in children
    }
    beside = {name: path for name, path in children.items() if EXTRA.fullmatch(name)}
    drawn = annotated(folder) if task is None or IMAGE in TASKS[task].inputs else Annotations()
    if drawn.items:
        items = (
            Item(pair.name, pair.image, {LABELS.slug: pair.labels}, pair.facts)
            for pair in drawn.items
        )
        return FolderIndex(tuple(items), (), drawn.skipped)
    room = next((children[name] for name in IMAGES if name in children), None)
    named = {FILE, SPLITS, *(path.name for path in (*rooms.values(), *beside.values()))}
    sequences = [path for name, path in children.items() if re.fullmatch(r"\d\d", name)]
    if room is None and sequences:  # also truth and results of the challenge
        named |= {name for name in children if re.fullmatch(r"\d\d(_\w+)?", name)}
        read = _movies if task == TRACKING.name else _sequences
        return _with_others(read(sequences), entries(folder, named))
    others = entries(folder, named | ({room.name} if room else set()))
    place = room or folder
    images = entries(place, () if room else named, recursive=recursive)
    images = first_channels(images) if room and room.name.lower() == NNUNET else images
    if not (room or images.images):
        main = next((slug for slug in _mains(task) if slug in rooms), "")
        if not main:
            end = f"; {summary(others.skipped)}" if others.skipped else ""
            raise InputError(f"{folder}: expected {LAYOUTS}, found no image{end}")
        place = rooms.pop(main)
        images = entries(place, recursive=recursive)
    else:
        main = _main_socket(rooms, task, images)
    paths = [*images.images.values()]
    if place == folder and task == TRACKING.name and paths[1:] and frames(paths[0], Part()) == 1:
        return _movies([folder])
    views = by_name(images) if main == VIEW else Views(images)
    cases = _matched(place, views, main, rooms, beside, recursive)
    if room and any(path.name.lower() == CLASSES for path in rooms.values()):
        line = "Each value in labelsTr counts as one object; instancesTr holds objects."
        cases = replace(cases, notes=(*cases.notes, line))
    return cases if place == folder else _with_others(cases, others)


def _mains(task: str | None) -> Iterator[str]:
    """Return the slugs of the inputs of a task, else of any, that can be main ones: no files."""
    tasks = [TASKS[task]] if task else TASKS.values()
    return (socket.slug for t in tasks for socket in t.inputs if not socket.is_file)


def _cases(folder: Path) -> list[Path]:
    """Return the folders of the cases of a dataset, which `simulate` has made, by name."""
    inner = folder / CASES
    home = folder if folder.name == CASES and not inner.is_dir() else inner
    return sorted(path.parent for path in home.glob("*/sockets"))


def _simulated(homes: Sequence[Path], task: str | None) -> FolderIndex:
    """Return the cases of a dataset, each with the main input of a task, else of any."""
    mains = dict.fromkeys(_mains(task))
    items = []
    for home in homes:
        images = sorted(home.glob("sockets/images/*/[!.]*"))
        files = {path.parent.name: path for path in images if path.parent.name in SOCKETS}
        files |= {path.stem: path for path in home.glob("sockets/*.*") if path.stem in SOCKETS}
        main = next((slug for slug in mains if slug in files), None)
        if main is None:
            raise InputError(f"{home}: expected {' or '.join(mains)}, found {', '.join(files)}")
        beside = {path.parent.name: path for path in sorted(home.glob("extras/*/[!.]*"))}
        beside |= {path.name: path for path in home.glob(RECORD)}
        items.append(Item(home.name, files.pop(main), files, socket=main, extras=beside))
    return FolderIndex(tuple(items))


def _with_others(cases: FolderIndex, beside: Entries) -> FolderIndex:
    """Return an index that lists images and folders of no layout as skipped; texts do not count."""
    images = {path.name: "beside the layout's folders" for path in beside.images.values()}
    others = {
        name: why.removesuffix(DEEPER) for name, why in beside.skipped.items() if why != "no image"
    }
    return replace(cases, skipped={**images, **others, **cases.skipped})


def _main_socket(rooms: Paths, task: str | None, images: Entries) -> str:
    """Return the slug of the socket that the images fill."""
    roles = {view_role(key) for key in images.images} if task is None else ()
    paired = any((role[0], "fused") in roles for role in roles if role and role[1] == "angle")
    if paired and _holds(FUSION, rooms):
        return VIEW
    tasks = [TASKS[task]] if task else [t for t in TASKS.values() if _holds(t, rooms)]
    slugs = [socket.slug for t in tasks[:1] for socket in t.inputs if socket.kind == "image"]
    main = (*slugs, IMAGE.slug)[0]
    return IMAGE.slug if main in rooms else main


def _holds(task: Task, slugs: Iterable[str]) -> bool:
    """Return whether sockets are all of a task."""
    return {socket.slug for socket in (*task.inputs, *task.outputs)}.issuperset(slugs)


def _matched(
    folder: Path, views: Views, socket: str, rooms: Paths, beside: Paths, recursive: bool
) -> FolderIndex:
    """Return images with the files of the same name in the folders of other sockets."""
    listed = views.listing.images
    skipped = dict(views.listing.skipped)
    if not listed:
        end = f"; {summary(skipped)}" if skipped else ""
        raise InputError(f"{folder}: expected images ({', '.join(READABLE)}), found none{end}")
    homes = {HOME.sub("", key): key for key in listed}
    pairs = (
        (homes[short], path)
        for key, path in listed.items()
        if LABELLED.search(key) and (short := LABELLED.sub("", key)) in homes
    )
    labelled = {} if LABELS.slug in rooms else one_per_name(folder, pairs)
    taken = {*labelled.values()}
    images = {key: path for key, path in listed.items() if path not in taken}
    sources = dict[str, Mapping[str, Source]]()
    notes = [*views.notes]

    def add(slug: str, paths: Mapping[str, Source], orphans: TextSeq = ()) -> None:
        """Add the files of a socket, with notes on images without one, and on files without one."""
        if not paths:
            return
        sources[slug] = {**sources.get(slug, {}), **paths}
        nouns, noun = ("labels", "label") if slug == LABELS.slug else (slug, slug)
        scored = " and are not scored" if slug in OUTPUTS else ""
        if lacking := len(images.keys() - sources[slug].keys()):
            notes.append(f"{lacking} of {len(images)} images have no {nouns}{scored}.")
        if orphans:
            notes.append(f"{len(orphans)} {noun} files have no image (first: {plain(orphans[0])}).")

    add(views.slug, views.fused)
    add(LABELS.slug, labelled)
    for slug, room in rooms.items():
        paths = {} if slug == socket else _files(room, slug, recursive, skipped)
        paths = {k if k in images else k.removesuffix(LABEL): path for k, path in paths.items()}
        orphans = sorted(paths.keys() - images.keys())
        if not paths or len(orphans) < len(paths):
            add(slug, paths, orphans)
        elif room.name == "masks":  # of the objects of one image?
            skipped["masks/"] = "no file is named like an image"
        else:
            image = next(iter(images.values()))
            file = paths[orphans[0]]
            raise InputError(
                f"{room}: no file is named like an image; expected for example "
                f"{image.stem}{file.suffix}, found {file.name}"
            )
    extras = {name: entries(room).images for name, room in beside.items()}
    items = (
        Item(
            case_name(key),
            path,
            {slug: paths[key] for slug, paths in sources.items() if key in paths},
            socket=socket,
            extras={name: paths[key] for name, paths in extras.items() if key in paths},
        )
        for key, path in images.items()
    )
    return FolderIndex(tuple(items), tuple(notes), skipped)


def _files(room: Path, slug: str, recursive: bool, skipped: TextDict) -> PathDict:
    """Return the files of a socket's folder by key; unreadable ones join the skipped."""
    if SOCKETS[slug].is_file:
        homes = [room, *sorted(path for path in room.rglob("*") if recursive and path.is_dir())]
        points = SOCKETS[slug].kind == "points"
        files = (
            tables_of(home) if points else home.glob(f"*{SOCKETS[slug].suffix}") for home in homes
        )
        paths = sorted(chain.from_iterable(files))
        names = [path.relative_to(room).with_suffix("").as_posix() for path in paths]
        keys = [unicodedata.normalize("NFC", name) for name in names]
        return one_per_name(room, zip(keys, paths, strict=True))
    listing = entries(room, recursive=recursive)
    skipped |= listing.skipped_in(room.name)
    return listing.images


def _movies(sequences: Sequence[Path]) -> FolderIndex:
    """Return Cell Tracking Challenge sequences as movies, with true markers and cells to link."""
    ends = {TRACKED.slug: "_GT", FRAME_LABELS.slug: "_ERR_SEG"}
    items = []
    for path in sequences:
        files = {
            slug: room
            for slug, end in ends.items()
            if (room := path.with_name(path.name + end)).is_dir()
        }
        items.append(Item(path.name, path, files, socket=MOVIE.slug))
    note = "SEG is computed on the tracking markers (TRA), not on the segmentation masks (SEG)."
    notes = (note,) if any(TRACKED.slug in item.files for item in items) else ()
    return FolderIndex(tuple(items), notes)


def _sequences(sequences: Sequence[Path]) -> FolderIndex:
    """Return the frames of Cell Tracking Challenge sequences."""
    items = []
    skipped: TextDict = {}
    sliced = 0
    for sequence in sequences:
        truth = sequence.with_name(f"{sequence.name}_GT") / "SEG"
        conditions = {"sequence": sequence.name} if sequences[1:] else {}
        listing = entries(sequence)
        planes = {match[1] for path in truth.glob("*") if (match := PLANE.match(path.name))}
        skipped |= listing.skipped_in(sequence.name)
        for path in listing.images.values():
            match = FRAME.fullmatch(path.name)
            if match is None:
                raise InputError(f"{path}: expected frames named t000.tif, t001.tif, ...")
            whole = truth / f"man_seg{match[1]}.tif"
            files = {LABELS.slug: whole} if whole.is_file() else {}
            sliced += match[1] in planes and not files
            items.append(Item(f"{sequence.name}_{path.stem}", path, files, conditions))
    if not items:
        raise InputError(f"{sequences[0]}: expected frames t000.tif, ..., found none")
    notes = ["DET is computed on the segmentation masks (SEG), not on the tracking markers (TRA)."]
    without = sum(not item.files for item in items)
    if without == len(items):
        notes = []
    elif without:
        notes.append(f"{without} of {len(items)} frames have no full mask and are not scored.")
    if sliced:
        notes.append(f"{sliced} frames are annotated in single slices only; these are not scored.")
    return FolderIndex(tuple(items), tuple(notes), skipped)
