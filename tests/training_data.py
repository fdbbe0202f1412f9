"""Small volumes with two round nuclei, laid out as a simulated dataset and as a real folder."""

from copy import deepcopy
from itertools import product
from shutil import rmtree

import numpy as np
import torch

from cytosuite.files import write_json
from cytosuite.formats import read, write
from cytosuite.training.images import Turn
from cytosuite.training.loop import train
from cytosuite.training.nuclei.cases import Targets
from cytosuite.volume import Volume

SPACING = (2.0, 0.8, 0.8)
SHAPE = (10, 24, 24)
TURNS = [Turn(bits[:3], bits[3]) for bits in product((False, True), repeat=4)]


def scene(number=0):
    """Return light, level and labels of a bright and a dim nucleus."""
    z, y, x = np.indices(SHAPE).astype(np.float32)
    light = np.full(SHAPE, 0.02, np.float32)
    level = np.zeros(SHAPE, np.float32)
    labels = np.zeros(SHAPE, np.uint16)
    for label, (cy, cx, bright) in enumerate([(7 + number % 3, 7, 2.0), (16, 15, 0.5)], 1):
        blob = np.exp(-(((z - 5) / 2) ** 2 + ((y - cy) / 3) ** 2 + ((x - cx) / 3) ** 2) / 2)
        light += bright * blob
        wins = (blob > 0.08) & (blob > level)
        level[wins] = blob[wins]
        labels[wins] = label
    return light, level, labels


def directed(labels):
    """Return targets whose vectors point to the centroid, and whose shares fall with the label."""
    vectors = np.zeros((3, *labels.shape), np.float32)
    grid = np.indices(labels.shape)
    for label in np.unique(labels[labels > 0]):
        inside = labels == label
        vectors[:, inside] = np.tanh((grid[:, inside].mean(1, keepdims=True) - grid[:, inside]) / 9)
    shares = np.where(labels > 0, 1 / np.maximum(labels, 1), 0).astype(np.float32)
    return Targets(vectors, shares[None])


def simulated_folder(folder, cases=2):
    """Write cases as `cytosuite simulate` leaves them, and return the folder."""
    for number in range(cases):
        name = f"case_{number}"
        home = folder / "cases" / name
        for place, array in zip(
            ("extras/step-3-light", "extras/visible-level", "sockets/images/instance-labels"),
            scene(number),
            strict=True,
        ):
            write(home / place / f"{name}.tif", Volume(array, SPACING))
        write(
            home / f"sockets/images/microscopy-image/{name}.tif", Volume(scene(number)[0], SPACING)
        )
        (home / "case.json").write_text("{}")
    write_json(folder / "dataset.json", {"fingerprint": "f" * 64})
    return folder


def _seen(light):
    """Return the image of some light by a microscope."""
    noise = np.random.default_rng(0).normal(100, 3, SHAPE)
    return Volume((50 * light + noise).astype(np.float32), SPACING)


def chain_folder(folder, level=True):
    """Write simulated cases behind an algorithm that makes new images, and return the folder."""
    for home in (simulated_folder(folder) / "cases").iterdir():
        light = read(home / f"extras/step-3-light/{home.name}.tif").array
        write(home / f"sockets/images/microscopy-image/{home.name}.tif", _seen(light))
        rmtree(home / "extras/step-3-light")  # a stage of the former image
        if not level:
            rmtree(home / "extras/visible-level")
        write_json(home / "case.json", {"through": [{"algorithm": "other"}]})
    return folder


def plain_folder(folder):
    """Write one case as `cytosuite simulate --out` does, and return the folder."""
    for place, array in zip(("step-3-light", "visible-level", "labels"), scene(), strict=True):
        write(folder / place / "a.tif", Volume(array, SPACING))
    write(folder / "images/a.tif", Volume(scene()[0], SPACING))
    return folder


def cells_folder(folder):
    """Write a case of two touching cells as a recipe that shows membranes does."""
    x = np.indices(SHAPE)[2]
    labels = np.where(x < 12, 1, 2).astype(np.uint16)
    labels[:, :4] = 0
    light = (0.1 + 3 * (np.abs(x - 11.5) < 1)).astype(np.float32)
    arrays = {"images": light, "step-3-light": light, "nucleus-labels": labels, "labels": labels}
    for place, array in arrays.items():
        write(folder / place / "a.tif", Volume(array, SPACING))
    return folder


def real_folder(folder):
    """Write one annotated image, and return the folder."""
    light, _, labels = scene()
    write(folder / "images/a.tif", _seen(light))
    write(folder / "labels/a.tif", Volume(labels, SPACING))
    return folder


def planes_folder(folder):
    """Write planes with two nuclei each, and labels of them and, by other numbers, their kernels."""
    labels = np.zeros((40, 48), np.uint16)
    labels[8:20, 8:20] = 1
    labels[8:20, 20:34] = 2
    inner = np.where((np.roll(labels, 3, 0) == labels) & (labels > 0), 9 - labels, 0)
    noise = np.random.default_rng(0).normal(10, 1, labels.shape)
    grey = (noise + 50 * (labels > 0)).astype(np.float32)
    for name in "ab":
        for place, array in (("images", grey), ("labels", labels), ("nucleus-labels", inner)):
            write(folder / place / f"{name}.tif", Volume(array, (0.5, 0.5), "YX"))
    return folder


def moves(monkeypatch, state):
    """Return which modules each optimiser moves, by its name: filled while steps are taken."""
    moved = {}
    update = type(state).update

    def seen(state, optimiser, loss):
        before = deepcopy(state.modules)
        update(state, optimiser, loss)
        moved[optimiser] = {
            name
            for name, module in state.modules.items()
            if not all(map(torch.equal, before[name].parameters(), module.parameters()))
        }

    monkeypatch.setattr(type(state), "update", seen)
    return moved


def trained(training, settings, folder, **options):
    """Return the card of a training by a folder of images; its files lie beside the folder."""
    card = folder.with_name("weights") / "mine.json"
    return train(
        training, settings, {"images": [folder]}, card, work=folder.with_name("work"), **options
    )


def merged(base, changes):
    """Return settings with others in place of them; of a section, those that are given."""
    sections = {
        name: {**base.get(name, {}), **s} for name, s in changes.items() if isinstance(s, dict)
    }
    return base | changes | sections
