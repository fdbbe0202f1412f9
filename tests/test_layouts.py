"""A folder of images and labels means the same to every command."""

import numpy as np
import pytest
from mistakes import refused
from participants import scored
from toys import put

from cytosuite.benchmark.commands.choice import own_images
from cytosuite.benchmark.commands.options.apply import SegmentOptions
from cytosuite.benchmark.runs.data.recipe import DataRequest, recipe
from cytosuite.datasets.phantoms.build import _pairs
from cytosuite.training.images import find_images
from cytosuite.training.nuclei.cases import find_cases

LAYOUTS = {
    "images and labels": "images/a.tif images/b.tif labels/a.tif labels/b.tif",
    "in capitals": "Images/a.tif LABELS/a.tif",
    "instance-labels": "images/a.tif instance-labels/a.tif",
    "sockets": "microscopy-image/a.tif instance-labels/a.tif",
    "labels of flat images": "a.tif labels/a.tif",
    "labels beside": "a.tif a_label.tif",
    "labels called so": "images/a.tif labels/a_label.tif",
    "Cellpose": "a.tif a_masks.tif",
    "Cell Tracking Challenge": "01/t000.tif 01_GT/SEG/man_seg000.tif",
    "nnU-Net": "imagesTr/a_0000.tif labelsTr/a.tif dataset.json",
    "nnU-Net with instances": "imagesTr/a_0000.tif labelsTr/a.tif instancesTr/a.tif",
    "cases": "cases/a/sockets/images/microscopy-image/a.tif "
    "cases/a/sockets/images/instance-labels/a.tif",
    "pix2pixHD": "train_B/a.tif train_A/a.tif",
    "one without labels": "images/a.tif images/b.tif labels/a.tif",
    "a picture beside": "images/a.tif images/a.png labels/a.tif",
}
REFUSED = {
    "sub-folders": "images/x/a.tif labels/x/a.tif",
    "two images of a name": "images/a.tif images/a.tiff labels/a.tif",
    "two labels of a name": "images/a.tif labels/a.tif labels/a.mha",
    "other names": "images/a.tif labels/b.tif",
    "nothing": "notes/a.txt",
}
MASKS = {"labels", "label", "masks", "seg", "man", "labelstr", "instancestr", "train_a"}

OBJECT = np.pad(np.ones((2, 6, 6), np.uint8), ((1, 1), (5, 5), (5, 5)))


def _folder(place, names):
    for name in names.split():
        (path := place / name).parent.mkdir(parents=True, exist_ok=True)
        array = np.full((4, 16, 16), 7, np.uint8)
        if "label" in name.lower() or any(word in name for word in ("mask", "seg", "inst", "_A/")):
            array[...] = OBJECT
        if path.suffix in {".png", ".txt", ".json"}:
            path.touch()
        else:
            put(path, array)
    return place


def _labelled(items):
    """Return name, image and labels of each item, None for one without."""
    return {i.name: (i.image, labels and getattr(labels, "place", labels))
            for i in items for labels in [i.files.get("instance-labels")]}  # fmt: skip


def _benchmark(folder, answers):
    return _labelled(maker.args[0] for _, maker in recipe(DataRequest(str(folder))).makers)


def _segment(folder, answers):
    items, _ = own_images(SegmentOptions(images=[folder], out=folder / "out"), "segment")
    return {item.name: item.image for item in items}


def _train(folder, answers):
    return _labelled(find_images(folder, ["*"]))


def _fine_tune(folder, answers):
    return {case.name: (case.image, getattr(case.labels, "place", case.labels))
            for case in find_cases(folder, light=False)}  # fmt: skip


def _phantoms(folder, answers):
    return {name: (image, getattr(labels, "place", labels))
            for name, image, labels in _pairs(folder, None)}  # fmt: skip


def _score(folder, answers):
    scores = scored(folder, answers, ["SEG"])
    return {name: values["SEG"] for name, values in scores["case"].items()}


@pytest.fixture
def answers(tmp_path):
    """Return a folder of predictions of everything."""
    for name in ("a", "b", "01_t000", "train_a"):
        put(tmp_path / f"answers/{name}.tif", OBJECT)
    return tmp_path / "answers"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_command_sees_the_same_cases(tmp_path, layout, answers):
    folder = _folder(tmp_path / "data", LAYOUTS[layout])
    cases = _benchmark(folder, answers)
    images = {name: image for name, (image, _) in cases.items()}
    annotated = {name: case for name, case in cases.items() if case[1] is not None}
    assert len(images) == 1 + ("b.tif" in LAYOUTS[layout])
    assert len(annotated) == 1 + ("labels/b.tif" in LAYOUTS[layout])
    assert not {path.relative_to(folder).parts[0].lower() for path in images.values()} & MASKS
    assert _segment(folder, answers) == images
    assert _train(folder, answers) == cases
    assert _fine_tune(folder, answers) == _phantoms(folder, answers) == annotated
    assert _score(folder, answers) == dict.fromkeys(annotated, 1.0)


@pytest.mark.parametrize("layout", REFUSED)
def test_every_command_refuses_the_same_folder_with_the_same_line(tmp_path, layout, answers):
    folder = _folder(tmp_path / "data", REFUSED[layout])
    lines = set()
    for command in (_benchmark, _segment, _train, _fine_tune, _phantoms, _score):
        lines.add(str(refused("", command, folder, answers)))
    assert len(lines) == 1
