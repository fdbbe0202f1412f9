"""All readers, each with its seeds and what must hold of what it accepts."""

import json
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from cytosuite import formats
from cytosuite.benchmark.runs.data.recipe import DataRequest, recipe
from cytosuite.benchmark.runs.record import read_record
from cytosuite.benchmark.runs.validate import check
from cytosuite.benchmark.scores.cases import measure
from cytosuite.benchmark.scores.facts import case_facts
from cytosuite.benchmark.scores.objects import write_objects
from cytosuite.contract import manifest
from cytosuite.contract.interface import read_case
from cytosuite.contract.manifest import parse
from cytosuite.contract.tasks import TASKS
from cytosuite.contract.weights import open_model, read_cards
from cytosuite.datasets.calibration.calibrate import to_toml
from cytosuite.datasets.folder.load import load
from cytosuite.datasets.phantoms.library import read_library
from cytosuite.datasets.recipes import simulated
from cytosuite.datasets.spheroid.migration import migrate
from cytosuite.errors import InputError
from cytosuite.files import parse_json, read_toml
from cytosuite.folders.index import index
from cytosuite.folders.part import MODULES, Part, read_microscope
from cytosuite.folders.points import read_annotated
from cytosuite.folders.rois import read_rois
from cytosuite.metrics import board_metrics
from cytosuite.metrics.tracks.track_folder import read_sequence
from cytosuite.training.command import training_of
from cytosuite.training.images import find_images
from cytosuite.volume import AXES, SPATIAL, Header
from tests.hostile.fuzz import seeds

TRUTHS = {"segment": seeds.volume(dtype=np.int32), "enhance": seeds.volume(dtype=np.float64)}
FORMATS = all(find_spec(name) for name in ("bioio", *MODULES.values()))
LONGEST = 100_000  # characters of a text in metadata


class Nonsense(Exception):  # noqa: N818 - a finding
    """Something was accepted that cannot be true."""


@dataclass(frozen=True)
class Reader:
    """Inputs to begin with, and a function of the folder in which an altered one lies."""

    seeds: Callable[[], list[seeds.Tree]]
    read: Callable[[Path], object]
    names: bool = False  # whether names and kinds of entries are altered, too
    follows: bool = False  # whether a link, which is the user's own, may lead elsewhere


def hold(truth, *facts):
    if not truth:
        raise Nonsense(" ".join(map(str, facts)))


def only(folder):
    """Return the one file below a folder."""
    (path,) = (path for path in folder.rglob("*") if path.is_file())
    return path


def writable(value):
    """Check that a value is JSON that is written and read."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        hold(parse_json(text.encode().decode()) == json.loads(text), "another value")
    except ValueError as error:
        raise Nonsense(f"cannot be written as JSON: {error}") from error


def sane(image):
    """Check geometry and, of a volume, metadata."""
    hold(image.axes == "".join(a for a in AXES if a in image.axes), "axes", image.axes)
    hold(image.axes.endswith("YX") and len(image.axes) == len(image.shape), image.axes, image.shape)
    sizes = image.spacing
    hold(len(sizes) == sum(axis in SPATIAL for axis in image.axes), "spacing", sizes, image.axes)
    hold(all(type(s) is float and math.isfinite(s) and s > 0 for s in sizes), "spacing", sizes)
    hold(all(type(n) is int and n >= 0 for n in image.shape), "shape", image.shape)


def sane_volume(volume):
    sane(volume)
    hold(volume.array.dtype.kind in "buif", "dtype", volume.array.dtype)
    hold(type(volume.array) is np.ndarray, "array", type(volume.array))
    for key, value in volume.metadata.items():
        hold(isinstance(key, str) and isinstance(value, str | int | float), "metadata", key)
        for text in (key, value):
            if isinstance(text, str):
                hold(len(text) <= LONGEST, "metadata of", len(text), "characters")
                hold(
                    not any(ord(c) < 32 and c not in "\t\r\n" for c in text),
                    "control characters in metadata",
                )
    writable({"metadata": dict(volume.metadata), "sources": dict(volume.origin.sources)})
    for line in volume.origin.warnings:
        hold(line.isprintable() and len(line) <= 1000, "warning", ascii(line[:80]))
    writable(list(volume.origin.warnings))


def image(folder):
    path = only(folder)
    volume = formats.read(path)
    sane_volume(volume)
    if path.suffix in (".tif", ".mha"):
        head = formats.header(path)
        for name in ("shape", "axes", "spacing"):
            one = getattr(head, name)
            two = getattr(volume, name)
            hold(one == two, "header has another", name, one, two)
        hold(head.dtype == volume.array.dtype, "header has dtype", head.dtype, volume.array.dtype)


def omezarr(folder):
    """Read an image of OME-Zarr: a folder, or a file."""
    for path in folder.glob("a.*"):
        head = formats.header(path)
        volume = formats.read(path)
        sane_volume(volume)
        hold(
            head == Header(volume.shape, volume.array.dtype, volume.spacing, volume.axes), "header"
        )
        hold(sum(map(len, formats.slabs(path, 2))) == len(volume.array), "slabs")
        writable(formats.channels(path))


def head_of(folder):
    sane(formats.header(only(folder)))


def channels(folder):
    names = formats.channels(only(folder))
    hold(all(isinstance(name, str) and len(name) <= LONGEST for name in names), "names")
    writable(names)


def manifests(folder):
    path = only(folder)
    named = {"algorithm.toml": manifest.read_algorithm, "dataset.toml": manifest.read_dataset}
    read = manifest.read_card if path.suffix == ".json" else manifest.read_recipe
    # The dataset itself checks its parameters: see `a_recipe`.
    left = {"parameters", "sizes"}
    writable(named.get(path.name, read)(path).model_dump(mode="json", exclude=left))


def a_recipe(folder):
    path = only(folder)
    writable(simulated(str(path), None).parameters.model_dump(mode="json"))
    recipe(DataRequest(str(path)))


def setting(folder):
    text = only(folder).read_bytes().decode(errors="surrogateescape")
    writable(simulated("spheroid", "mini", 1, text.split(",")).parameters.model_dump(mode="json"))


def settings_of(algorithm):
    """Return a function that reads settings of a training, which may be those of published programs."""

    def read(folder):
        training = training_of(algorithm)
        content, notes = training.translate(only(folder), {})
        settings = parse(only(folder), content, training.settings)
        writable([list(notes), settings.model_dump(mode="json")])

    return read


def parameters(folder):
    """Translate parameters of published simulators, and read the recipe that they become."""
    migrated = migrate(folder / "params.json", folder)
    writable([list(migrated.untranslated), list(migrated.notes)])
    (folder / "new.toml").write_text(to_toml(migrated.recipe, {}, []))
    simulated(str(folder / "new.toml"), None)


def listed(folder):
    """Read the images and labels of a list, as a benchmark and a training do."""
    for item in find_images(folder, ["*"]):
        for volume in load(item).sockets.values():
            sane_volume(volume)
    recipe(DataRequest(str(folder)))


def cards(folder):
    for card in read_cards(folder, "watershed"):
        open_model(folder, card)
        writable(card.model_dump(mode="json"))


def case(folder):
    for task in ("segment", "fuse"):
        if (folder / "inputs.json").is_file() and (task == "fuse") == any(
            folder.glob("images/*3D*")
        ):
            inputs = read_case(folder, TASKS[task])
            for volume in inputs.volumes.values():
                sane_volume(volume)
            writable([dict(inputs.values), dict(inputs.sources), list(inputs.warnings)])


def user_folder(folder):
    for recursive in (False, True):
        listing = index(folder, recursive=recursive)
        names = [item.name for item in listing.items]
        hold(len({name.casefold() for name in names}) == len(names), "names", names)
        places = [item.image.resolve() for item in listing.items if not item.image.is_symlink()]
        hold(len(set(places)) == len(places), "an image twice", *names[:3])
        for name in names:
            hold(name.isprintable() and "/" not in name and len(name.encode()) <= 200, ascii(name))
        writable([listing.count, *listing.notes])
        for item in listing.items:
            writable(dict(item.conditions))
            sample = load(item)
            sane_volume(sample.sockets[item.socket])
            writable(dict(sample.conditions))


def microscope(folder):
    (path,) = folder.iterdir()
    sane_volume(read_microscope(path, Part()))


def sequence(folder):
    read_sequence(folder / "01_X")


def phantoms(folder):
    for phantom in read_library(folder):
        hold(np.isfinite(phantom.intensity).all() and phantom.volume_um3 > 0, "light")
        hold(math.isfinite(phantom.brightness), "brightness")


def outputs(folder):
    """Read the outputs of a container, and score what is accepted."""
    for name, answer in TRUTHS.items():
        (socket,) = TASKS[name].outputs
        if not (folder / socket.relative_path).exists():
            continue
        check(folder, socket, Header(answer.shape, answer.array.dtype, answer.spacing, answer.axes))
        output = formats.read(check(folder, socket, None))
        sane_volume(output)
        hold((output.shape, output.axes) == (answer.shape, answer.axes), output.shape, output.axes)
        score(folder, name, answer, output)


def score(folder, name, answer, output):
    """Compute the metrics of an output, and the table of its objects."""
    values = {"truth": lambda: answer, "image": lambda: answer, "prediction": lambda: output}
    facts = case_facts(values, lambda: float(np.ptp(answer.array)))
    scores = measure("a", "b", board_metrics(name), facts)
    hold(all(isinstance(value, float) for value in scores.values.values()), scores.values)
    if name == "segment":
        with suppress(InputError):
            write_objects(folder / "objects.csv", output, answer, answer)


def points(folder):
    """Read the points of a table or a JSON file."""
    places = read_annotated(only(folder), (0.5, 0.5))
    hold(places.array.shape == (len(places.array), 2) and np.isfinite(places.array).all(), "places")
    writable(places.document())


def outlines(folder):
    """Read ROIs of a volume: labels of its size, each within its bounds."""
    places, counts = read_rois(only(folder), (3, 6, 8))
    for name, label, pixels in places:
        hold(0 <= label < 2**31 and pixels.size <= 144, "label", label)
        hold(((pixels >= 0) & (pixels < 144)).all(), "pixels beyond the image of", ascii(name))
    hold(
        all(type(n) is int or isinstance(n, np.bool_ | np.integer) for n in counts.values()), counts
    )


def record(folder):
    """Read a record: it is what was written, or none."""
    path = only(folder)
    recorded = read_record(path.parent)
    if recorded is not None and path.name == "record.json":
        hold(recorded == seeds.RECORD, "an altered record")


READERS = {
    "tiff": Reader(seeds.tiffs, image),
    "tiff header": Reader(seeds.tiffs, head_of),
    "tiff channels": Reader(seeds.tiffs, channels),
    "metaimage": Reader(seeds.metaimages, image),
    "metaimage header": Reader(seeds.metaimages, head_of),
    "hdf5": Reader(seeds.hdf5s, image),
    "omezarr": Reader(seeds.omezarrs, omezarr, names=True),
    "picture": Reader(seeds.pictures, image),
    "toml": Reader(seeds.tomls, lambda folder: read_toml(only(folder))),
    "manifests": Reader(seeds.manifests, manifests),
    "recipe": Reader(seeds.recipes, a_recipe, follows=True),
    "setting": Reader(seeds.settings, setting, follows=True),
    "params.json": Reader(seeds.parameters, parameters, follows=True),
    "settings.hjson": Reader(seeds.published, settings_of("cyclegan3d"), follows=True),
    "settings.toml": Reader(seeds.trainings, settings_of("u2net"), follows=True),
    "lists": Reader(seeds.lists, listed, names=True, follows=True),
    "models": Reader(seeds.cards, cards, names=True, follows=True),
    "case": Reader(seeds.cases, case, names=True, follows=True),
    "folder": Reader(seeds.folders, user_folder, names=True, follows=True),
    **({"microscope": Reader(seeds.microscopes, microscope)} if FORMATS else {}),
    "tracks": Reader(seeds.sequences, sequence, names=True, follows=True),
    "phantoms": Reader(seeds.phantoms, phantoms, names=True, follows=True),
    "output images": Reader(seeds.outputs, outputs),
    "points": Reader(seeds.points, points),
    "record": Reader(seeds.records, record),
    "rois": Reader(seeds.rois, outlines),
}
