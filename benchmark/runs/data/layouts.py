"""Annotated cases in the layouts of nnU-Net and of lists of HDF5 files; the card of a dataset.

Croissant 1.0 of MLCommons, http://mlcommons.org/croissant/1.0.
"""

import re
from collections.abc import Collection
from mimetypes import guess_type
from pathlib import Path
from typing import Any

import numpy as np

from cytosuite import __version__
from cytosuite.benchmark.runs.data.dataset import Dataset
from cytosuite.contract.tasks import IMAGE, LABELS, REQUEST, TASKS
from cytosuite.errors import InputError
from cytosuite.files import Json, TextPair, file_digest, read_json, write_json
from cytosuite.folders.index import Item, index
from cytosuite.formats import channels, read, write
from cytosuite.formats.hdf5 import write_named
from cytosuite.formats.imagefiles import image_files
from cytosuite.volume.arrays import Bytes, Integers
from cytosuite.volume.objects import borders

NAME = re.compile(r"Dataset\d{3}_\w+")
CLASSES = {"background": 0, "inside": 1, "border": 2}
GROUPS = ("boundary", "distance", "seeds")  # extras of a sketch
SUFFIX = ".mha"  # the one of its formats that itself holds the voxel size
FILE = "croissant.json"
FORMAT = "http://mlcommons.org/croissant/1.0"
CONTEXT = read_json(Path(__file__).with_name("croissant.json"))  # of the format, word by word
SHORT = 12  # digits of a fingerprint that tell versions apart


def nnunet_name(folder: Path) -> str:
    """Return the name under which nnU-Net finds a folder."""
    if not NAME.fullmatch(folder.name):
        raise InputError(
            f"{folder}: nnU-Net finds a folder called Dataset, three digits, _ and a name; "
            "give one like --out nnUNet_raw/Dataset001_Spheroids"
        )
    return folder.name


def sockets_of(layout: str, name: str, task: str, offers: Collection[str]) -> TextPair:
    """Return the slugs of images and labels in a layout; InputError for a dataset without."""
    slug = IMAGE.slug if layout == "nnunet" else TASKS[task].inputs[0].slug
    if not {slug, LABELS.slug} <= {*offers}:
        raise InputError(
            f"{name}: --layout {layout} needs {slug} and {LABELS.slug}, found "
            f"{', '.join(sorted(offers))}; leave --layout out"
        )
    return slug, LABELS.slug


def write_nnunet(dataset: Dataset, folder: Path, name: str) -> None:
    """Write raw data of nnU-Net version 2 (doi:10.1038/s41592-020-01008-z), spacing in mm.

    A channel is a file; our own readers of this layout take the first.
    """
    sockets = sockets_of("nnunet", dataset.name, dataset.task, dataset.offers)
    for case in dataset.cases:
        image, labels = filter(None, map(case.socket, sockets))
        names = channels(image)
        names = names if len(names) > 1 else ["microscopy"]
        for number in range(len(names)):
            write(folder / f"imagesTr/{case.name}_{number:04d}{SUFFIX}", read(image, {"C": number}))
        truth = read(labels)
        write(folder / f"labelsTr/{case.name}{SUFFIX}", truth.like(classes_of(truth.array)))
        write(folder / f"instancesTr/{case.name}{SUFFIX}", truth)
    facts = {
        "name": name,
        "channel_names": dict(enumerate(names)),
        "labels": CLASSES,
        "numTraining": len(dataset.cases),
        "file_ending": SUFFIX,
    }
    write_json(folder / "dataset.json", facts)


def classes_of(labels: Integers) -> Bytes:
    """Return background, inside, border of instances as uint8: the border touches another value."""
    classes = (labels > 0).astype(np.uint8)
    classes[borders(labels)] *= 2
    return classes


def write_hdf5(dataset: Dataset, folder: Path) -> None:
    """Write images and masks as the programs of Eschweiler et al. do, and the list of both."""
    sockets = sockets_of("hdf5", dataset.name, dataset.task, dataset.offers)
    rows = []
    for case in dataset.cases:
        image, labels = filter(None, map(case.socket, sockets))
        masks = {"instances": labels}
        for name in GROUPS:
            for path in image_files(case.folder / "extras" / name):
                masks[name] = path
        for room, paths in {"images": {"image": image}, "masks": masks}.items():
            (folder / room).mkdir(parents=True, exist_ok=True)
            volumes = {f"data/{name}": read(path) for name, path in paths.items()}
            write_named(folder / room / f"{case.name}.h5", volumes, compress=True)
        rows.append(f"images/{case.name}.h5;masks/{case.name}.h5\n")
    (folder / "files.csv").write_text("".join(rows))


def write_croissant(dataset: Dataset, folder: Path) -> None:
    """Write the card of a simulated dataset that lies in a folder, whole.

    Licence, address and authors are for the one who publishes it to add.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = {path: path.relative_to(folder).as_posix() for path in files}
    rows = []
    requests = sorted(folder.glob("images/*.json"))  # for images, without any
    asked = [Item(path.stem, path, socket=REQUEST.slug) for path in requests]
    for item in asked or index(folder, dataset.task).items:
        sockets = {slug: path for slug in item.files if (path := item.path(slug))}
        by_role = {item.socket: item.image, **sockets, **item.extras}
        paths = {role: names[path] for role, path in by_role.items() if path in names}
        rows.append({f"cases/{key}": text for key, text in {"case": item.name, **paths}.items()})
    fields = dict.fromkeys(key for row in rows for key in row)
    write_json(
        folder / FILE,
        {
            "@context": CONTEXT,
            "@type": "sc:Dataset",
            "conformsTo": FORMAT,
            "name": dataset.name,
            "description": f"{dataset.title} ({dataset.size}): {len(rows)} cases for the task "
            f"{dataset.task}, simulated by cytosuite {__version__} with the seed {dataset.seed}.",
            "version": f"1.0.0+{dataset.fingerprint[:SHORT]}",
            "distribution": [
                _element("FileObject", name, contentUrl=name, sha256=file_digest(path))
                | {"encodingFormat": guess_type(name)[0] or "application/octet-stream"}
                for path, name in names.items()
            ],
            "recordSet": [
                _element(
                    "RecordSet",
                    "cases",
                    field=[_element("Field", key, dataType="sc:Text") for key in fields],
                    data=[{key: row.get(key, "") for key in fields} for row in rows],
                )
            ],
        },
    )


def _element(kind: str, name: str, **properties: Any) -> Json:  # noqa: ANN401 - JSON
    """Return an element of the card."""
    return {"@type": f"cr:{kind}", "@id": name, "name": name, **properties}
