"""Write a library of phantoms, cut from annotated stacks or drawn, with a record of them."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from cytosuite.datasets.folder.collect import collect
from cytosuite.datasets.folder.entries import case_name, key_of
from cytosuite.datasets.phantoms.augment import Alteration, augment
from cytosuite.datasets.phantoms.extract import Cutting, Extraction, extract
from cytosuite.datasets.phantoms.library import Phantom, write_phantom
from cytosuite.datasets.phantoms.procedural import draw_library
from cytosuite.datasets.physics.grid import Lengths
from cytosuite.errors import InputError, at, plain
from cytosuite.files import atomic, digest, write_json
from cytosuite.formats import READERS, read
from cytosuite.places import need_folder
from cytosuite.tasks import LABELS

RECORD = "library.json"

Entry = dict[str, object]


@dataclass(frozen=True, slots=True)
class LibrarySummary:
    """Numbers of a new library.

    Parameters
    ----------
    folder, stacks, nuclei, copies : Path, int, int, int
        The library; stacks read, nuclei cut from them, altered copies made.
    skipped : dict of str to int
        Objects that were not cut out, by reason.
    median_volume_um3 : float
        Of the nuclei, without copies.
    """

    folder: Path
    stacks: int
    nuclei: int
    copies: int
    skipped: dict[str, int]
    median_volume_um3: float


def extract_to(
    image_path: Path,
    labels_path: Path | None,
    folder: Path,
    *,
    cutting: Cutting | None = None,
    augment_copies: int = 0,
    alteration: Alteration | None = None,
    seed: int = 0,
) -> LibrarySummary:
    """Cut the nuclei out of annotated stacks and write them as a library.

    Parameters
    ----------
    image_path, labels_path : Path, Path or None
        Two files; two folders with files of the same names; or one folder as
        `cytosuite.datasets.folder.collect` knows it, and None.
    folder : Path
        The library; must not exist or be empty. Written whole or not at all.
    cutting, alteration : Cutting, Alteration, optional
        How nuclei are cut out, and how far copies of them are altered.
    augment_copies, seed : int
        Altered copies of each nucleus; seed of the alterations.

    Returns
    -------
    LibrarySummary
        Its numbers, with digests of the sources, parameters, and volume and brightness of each
        phantom, are in ``library.json``.

    Raises
    ------
    InputError
        If the folder is not empty, no pair is found, or a stack cannot be used.
    """
    if augment_copies < 0:
        raise InputError(f"augment_copies: expected 0 or more, found {augment_copies}")
    cutting, alteration = cutting or Cutting(), alteration or Alteration()
    rng = np.random.default_rng(seed)
    found: list[Extraction] = []
    sources, entries = list[Entry](), list[Entry]()
    with _new_library(folder) as temporary:
        for name, image, labels in _pairs(image_path, labels_path):
            found.append(_cut(image, labels, cutting))
            objects = [asdict(item) for item in found[-1].objects]
            files = {"image": _file(image), "labels": _file(labels)}
            sources.append({"name": name, **files, "objects": objects})
            for phantom in found[-1].phantoms:
                own = replace(phantom, name=f"{name}_{phantom.name}")
                entries.append(_written(temporary, own, name))
                for number in range(1, augment_copies + 1):
                    copy = augment(rng, own, alteration, f"{own.name}_copy_{number:02d}")
                    entries.append(_written(temporary, copy, name))
        summary = _summary(folder, image_path, found, len(entries))
        settings = {"augment_copies": augment_copies, "alteration": asdict(alteration)}
        parameters = {"cutting": asdict(cutting), **settings}
        record = {"seed": seed, "parameters": parameters, "sources": sources, "phantoms": entries}
        write_json(temporary / RECORD, record)
    return summary


def draw_to(
    folder: Path, count: int, *, spacing_um: Lengths = (0.5, 0.25, 0.25), seed: int = 0
) -> LibrarySummary:
    """Write a library of drawn nuclei, without any download.

    Parameters
    ----------
    folder, seed : Path, int
        See `extract_to`.
    count : int
        Number of phantoms; some 3 % are in mitosis.
    spacing_um : tuple of float
        µm per voxel.

    Raises
    ------
    InputError
        If the folder is not empty.
    """
    rng = np.random.default_rng(seed)
    with _new_library(folder) as temporary:
        phantoms = draw_library(rng, count, spacing_um, mitotic_fraction=0.03)
        entries = [_written(temporary, phantom, "drawn") for phantom in phantoms]
        parameters = {"count": count, "spacing_um": list(spacing_um)}
        record = {"seed": seed, "parameters": parameters, "sources": [], "phantoms": entries}
        write_json(temporary / RECORD, record)
    median = float(np.median([phantom.volume_um3 for phantom in phantoms]))
    return LibrarySummary(folder, 0, len(phantoms), 0, {}, median)


@contextmanager
def _new_library(folder: Path) -> Iterator[Path]:
    """Give a folder that becomes `folder` once it is whole, and refuse one with content."""
    need_folder(folder, new=True)
    with atomic(folder) as temporary:
        temporary.mkdir()
        yield temporary


def _summary(folder: Path, source: Path, found: list[Extraction], written: int) -> LibrarySummary:
    """Return the numbers of a library, or refuse one without a nucleus."""
    phantoms = [phantom for extraction in found for phantom in extraction.phantoms]
    skipped = Counter(item.skipped for extraction in found for item in extraction.skipped)
    if not phantoms:
        reasons = ", ".join(f"{count} {reason}" for reason, count in skipped.items())
        raise InputError(
            f"{source}: expected nuclei to cut out, found none ({reasons or 'no label'})"
        )
    return LibrarySummary(
        folder=folder,
        stacks=len(found),
        nuclei=len(phantoms),
        copies=written - len(phantoms),
        skipped=dict(skipped),
        median_volume_um3=float(np.median([phantom.volume_um3 for phantom in phantoms])),
    )


def _cut(image: Path, labels: Path, cutting: Cutting) -> Extraction:
    """Return the nuclei of one stack; errors name its file."""
    with at(image):
        return extract(read(image), read(labels), cutting)


def _pairs(image_path: Path, labels_path: Path | None) -> list[tuple[str, Path, Path]]:
    """Return name, image and labels of each stack."""
    if labels_path is None:
        items = [item for item in collect(image_path).items if LABELS.slug in item.files]
        found = [(item.name, item.image, item.files[LABELS.slug]) for item in items]
    elif image_path.is_dir():
        if not labels_path.is_dir():
            raise InputError(f"{labels_path}: expected a folder of labels as images is one")
        labelled = {key_of(path): path for path in _images(labels_path)}
        keys = {path: key_of(path) for path in _images(image_path)}
        found = [(case_name(k), path, labelled[k]) for path, k in keys.items() if k in labelled]
    else:
        found = [(case_name(key_of(image_path)), image_path, labels_path)]
    if not found:
        raise InputError(f"{image_path}: expected images with labels of the same name, found none")
    twins = [name for name, count in Counter(name for name, _, _ in found).items() if count > 1]
    if twins:
        raise InputError(f"{image_path}: images need different names, found {twins[0]} twice")
    return found


def _images(folder: Path) -> list[Path]:
    """Return the image files in a folder, sorted."""
    found = (path for path in folder.iterdir() if path.suffix.lower() in READERS)
    return sorted(path for path in found if not path.name.startswith("."))


def _file(path: Path) -> Entry:
    """Return the record of a file."""
    return {"file": plain(path.name), "sha256": digest([path], path.parent)}


def _written(folder: Path, phantom: Phantom, source: str) -> Entry:
    """Write a phantom and return its record."""
    write_phantom(folder, phantom)
    return {
        "name": phantom.name,
        "source": source,
        "volume_um3": round(phantom.volume_um3, 3),
        "brightness": round(phantom.brightness, 4),
        "volume_ratio": round(phantom.volume_ratio, 4),
    }
