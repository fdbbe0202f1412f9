"""Commands ``labels`` and ``combine``: folders of images that are written of other folders."""

from collections import Counter
from pathlib import Path

from rich.console import Console

from cytosuite.benchmark.commands.options.labels import CombineOptions, LabelsOptions
from cytosuite.benchmark.commands.terminal.console import copied, new_folder, progress, say
from cytosuite.benchmark.runs.store.csvfile import write_rows
from cytosuite.contract.manifest import parse
from cytosuite.errors import InputError, at
from cytosuite.files import need_folder
from cytosuite.folders.conditions import FILE, NAME
from cytosuite.folders.entries import readable, summary
from cytosuite.folders.layouts import LAYOUTS, annotated
from cytosuite.folders.masks import MaskRules, read_labels, read_rules, sentence
from cytosuite.folders.rois import ENDING as ROIS
from cytosuite.folders.rois import write_rois
from cytosuite.folders.sides import CLIPPED, side_by_side, weighted_sum
from cytosuite.folders.splits import OBJECTS
from cytosuite.formats import write
from cytosuite.formats.imagefiles import image_name


def rules_of(options: LabelsOptions) -> MaskRules:
    """Return the rules of a folder, overridden by the options of their names."""
    classes = dict(text.partition("=")[::2] for text in options.classes)
    if not all(map(all, classes.items())):
        raise InputError(f"--classes {','.join(options.classes)}: expected folder=class")
    typed = {**vars(options), "classes": classes}
    overrides = {k: typed[k] for k in MaskRules.model_fields if typed[k] not in (None, (), [], {})}
    return parse("labels", {**read_rules(options.folder).model_dump(), **overrides}, MaskRules)


def _unused(folder: Path, rules: MaskRules) -> set[str]:
    """Return the classes of rules that no mask has, none where a name is no cell of a table."""
    names = {*rules.exclude, *rules.classes}.difference(rules.classes.values())
    plain = rules.model_copy(update={"exclude": (), "classes": {}})
    try:
        items = annotated(folder, plain).items if names else ()
    except InputError:
        return set()
    return names.difference(*(item.labels.classes for item in items))


def labels_command(options: LabelsOptions, console: Console) -> None:
    """Write the labels of a folder of masks, and a table of all objects with their classes."""
    need_folder(options.out, new=True)
    rules = rules_of(options)
    items, skipped = annotated(options.folder, rules)
    if options.rois and not items:
        _outline(options, console)
        return
    if not items:
        raise InputError(f"{options.folder}: expected {LAYOUTS}, found none")
    rows = []
    total = Counter[str]()
    with progress(console, "combining") as step, new_folder(options.out) as temporary:
        for done, (name, image, labels, _) in enumerate(items):
            step(done, len(items), name)
            combined = labels.read()
            write(temporary / f"labels/{name}.tif", combined.volume)
            if options.rois:
                write_rois(temporary / f"labels/{name}{ROIS}", combined.volume)
            if options.copy_images:
                copied(image, temporary / f"images/{name}{image.suffix}")
            rows += [(name, *row) for row in combined.objects]
            total.update(combined.counts)
        head = ("image", "id", "class", "file", "area", "lost", "pieces")
        write_rows(temporary / OBJECTS, [head, *rows])
        if columns := dict.fromkeys(key for case in items for key in case.facts):
            facts = ((case.name, *map(case.facts.get, columns)) for case in items)
            write_rows(temporary / FILE, [(NAME, *columns)], facts)
    say(console, f"{len(items)} images; {sentence(total, rules.overlap)}")
    if names := _unused(options.folder, rules):
        say(console, f"--exclude, --classes: no mask is of a class {', '.join(sorted(names))}")
    if skipped:
        say(console, summary(dict(skipped)))
    say(console, f"written: {options.out}")


def _outline(options: LabelsOptions, console: Console) -> None:
    """Write the outlines of label images, in a folder or its ``labels``, as ROIs."""
    from cytosuite.metrics.labels.prepare import grey_doubt

    rules = (*MaskRules.model_fields, "copy_images")
    if unused := [name for name in rules if getattr(options, name)]:
        raise InputError(
            f"{options.folder}: expected masks of objects for --{unused[0].replace('_', '-')}, "
            "found label images; leave the option out"
        )
    room = options.folder / "labels"
    paths = readable(room if room.is_dir() else options.folder)
    if not paths:
        raise InputError(f"{options.folder}: expected label images, or {LAYOUTS}, found none")
    with progress(console, "outlining") as step, new_folder(options.out) as temporary:
        for done, path in enumerate(paths):
            step(done, len(paths), path.name)
            with at(path):
                if doubt := grey_doubt((labels := read_labels(path)).array):
                    raise InputError(doubt)
                write_rois(temporary / f"{image_name(path)}{ROIS}", labels)
    say(console, f"written: {options.out}, ROIs of {len(paths)} label images")


def combine_command(options: CombineOptions, console: Console) -> None:
    """Write the weighted sums of images of the same names."""
    need_folder(options.out, new=True)
    pairs = side_by_side([options.first, options.second])
    clipped = 0
    with progress(console, "combining") as step, new_folder(options.out) as temporary:
        for done, (name, paths) in enumerate(pairs.items()):
            step(done, len(pairs), name)
            volume = weighted_sum(paths, options.weights)
            clipped += volume.metadata.get(CLIPPED, 0) != 0
            write(temporary / f"{name}.tif", volume)
    if clipped:
        say(console, f"{clipped} of {len(pairs)} sums are clipped ({CLIPPED} in their metadata)")
    say(console, f"written: {options.out}, {len(pairs)} images")
