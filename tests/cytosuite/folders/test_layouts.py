import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from mistakes import refused
from PIL import Image

from cytosuite.benchmark.runs.data.recipe import DataRequest, recipe
from cytosuite.datasets.folder.load import load
from cytosuite.folders.index import index
from cytosuite.folders.layouts import annotated
from cytosuite.folders.masks import MaskRules
from cytosuite.training.images import find_images
from cytosuite.training.nuclei.cases import find_cases
from cytosuite.training.settings import FileSettings
from cytosuite.training.validate import divided

SHAPE = (8, 8)


def _write(folder, *names):
    """Write images, and masks of a row of pixels: the row is the last number of the name."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        array = np.zeros(SHAPE, np.uint8)
        if "masks/" in name:
            array[int(path.stem[-1])] = 255
        Image.fromarray(array).save(path)
    return folder


def _rows(labels):
    """Return the label of each row."""
    return labels.read().volume.array[:, 0].tolist()


CLASSES = ("images/X_1.png", "masks/X_1/basal/0.png", "masks/X_1/basal/1.png",
           "masks/X_1/activated/2.png", "masks/X_1/activated/3.png")  # fmt: skip


def test_two_classes_of_two_cells_give_four_ids(tmp_path):
    (item,) = annotated(_write(tmp_path, *CLASSES)).items
    combined = item.labels.read()
    assert _rows(item.labels) == [3, 4, 1, 2, 0, 0, 0, 0]
    assert combined.classes == {1: "activated", 2: "activated", 3: "basal", 4: "basal"}
    assert item.facts == {"class": "activated + basal"}


def test_ids_do_not_depend_on_the_order_of_files(tmp_path, monkeypatch):
    _write(tmp_path, "images/a.png", *(f"masks/a/c{n}.png" for n in (1, 2, 3)), "masks/a/c10_4.png")
    listed = Path.iterdir
    rows = []
    for seed in range(4):

        def shuffled(path, seed=seed):
            entries = sorted(listed(path))
            random.Random(seed).shuffle(entries)
            return iter(entries)

        monkeypatch.setattr(Path, "iterdir", shuffled)
        rows.append(_rows(annotated(tmp_path).items[0].labels))
    assert rows == [[0, 1, 2, 3, 4, 0, 0, 0]] * 4  # c10 after c3


def test_an_image_of_excluded_cells_holds_none_and_not_those_of_another(tmp_path):
    _write(tmp_path, *CLASSES, "images/X_2.png", "masks/X_2/Unidentified/5.png")
    (tmp_path / "masks/X_2/dead").mkdir()
    (tmp_path / "masks.toml").write_text('exclude = ["Unidentified"]\nclasses = {basal = "fed"}')
    first, second = annotated(tmp_path).items
    assert first.facts == {"class": "activated + fed"}
    labels, _, counts = second.labels.read()
    assert labels.array.max() == 0
    assert (counts["excluded"], counts["empty folders"]) == (1, 1)


def test_names_of_classes_and_conditions_are_cells_of_tables(tmp_path):
    _write(tmp_path, "images/X\x1b1.png", "masks/X\x1b1/good/1.png")
    for rules in ('classes = {good = "\\u001b[31m"}', "pairs = '(?P<name>X(?P<colour>.)1)'"):
        (tmp_path / "masks.toml").write_text(rules)
        refused("expected printable cells", annotated, tmp_path)
    (tmp_path / "masks.toml").write_text("")
    (tmp_path / "masks/X\x1b1/good").rename(tmp_path / "masks/X\x1b1/\x1b[31m")
    refused(r"masks/X\\x1b1/\\x1b\[31m: expected printable cells", annotated, tmp_path)


def test_a_prefix_never_pairs(tmp_path):
    for number in (1, 2, 10):
        _write(tmp_path, f"images/X_{number}.png", f"masks/X_{number}/1.png")
    names = [(item.name, item.image.stem, item.labels.name) for item in annotated(tmp_path).items]
    assert names == [(f"X_{number}",) * 3 for number in (1, 2, 10)]


@pytest.mark.parametrize(
    "names, message",
    [
        (("images/X_10.png", "masks/X_1/1.png"), "masks/X_1: expected an image named exactly X_1,"),
        (("images/X_1.png", "images/X_10.png", "masks/X_1/1.png"), "X_10.png: expected masks named exactly X_10"),
        (("images/X.png", "images/X.jpg", "masks/X/1.png"), "one image named X, found images/X.jpg and images/X.png"),
        (("images/X.png", "images-color/X.png", "masks/X/1.png"), 'found images and images-color; name one'),
        (("a/images/a.png", "a/images/b.png", "a/masks/1.png"), "one image named a, found a/images/a.png and a/images/b.png"),
        (("a/images/a.png", "a/masks/1.png", "b/images/b.png"), "b/images/b.png: expected masks"),
        (("images/X.png", "masks/X/c/d/1.png"), "expected masks in .*/c, found a folder"),
        (("train_B/1.png", "train_B/2.png", "train_A/1.png"), "train_B/2.png: expected masks named exactly train/2"),
        (("a.png", "a_masks.png", "b.png"), "b.png: expected masks named exactly b"),
        (("a.png", "a_masks.png", "a_masks.tif"), "one mask named a, found a_masks.png and a_masks.tif"),
    ],
)  # fmt: skip
def test_a_missing_or_double_partner_is_named(tmp_path, names, message):
    refused(message, annotated, _write(tmp_path, *names))


def test_the_folder_of_images_is_one_beside_the_masks(tmp_path):
    rules = MaskRules(images="../other")
    line = f"{tmp_path}: found images; name one in masks.toml: images = 'images'"
    refused(line, annotated, _write(tmp_path, "images/X.png", "masks/X/1.png"), rules)
    _write(tmp_path, "images-color/X.png")
    named = MaskRules(images="images-color")
    assert annotated(tmp_path, named).items[0].image.parent.name == "images-color"


def test_names_pair_by_an_expression_and_its_groups_are_conditions(tmp_path):
    _write(tmp_path, "images/ST_C03_2_ch0.png", "images/ST_C03_2_ch1.png", "masks/ST_C03_2/1.png")
    rule = r"pairs = '(?P<name>(?P<series>ST)_(?P<well>C\d+)_(?P<position>\d+))(_ch0)?'"
    (tmp_path / "masks.toml").write_text(rule)
    listing = annotated(tmp_path)
    (item,) = listing.items
    assert (item.name, item.image.name) == ("ST_C03_2", "ST_C03_2_ch0.png")
    assert item.facts == {"series": "ST", "well": "C03", "position": "2"}
    assert listing.skipped == {"images/ST_C03_2_ch1.png": "does not fit pairs in masks.toml"}
    (case,) = index(tmp_path).items
    assert case.conditions == item.facts


def test_a_folder_per_image_and_what_lies_beside(tmp_path):
    for name, image in {"n2": "z", "n10": 4}.items():  # a mask may be named as its image
        _write(tmp_path, f"{name}/images/{image}.png", f"{name}/masks/4.png", "extra.png")
    listing = annotated(tmp_path)
    assert [item.name for item in listing.items] == ["n2", "n10"]
    assert _rows(listing.items[1].labels)[4] == 1
    assert listing.skipped == {"extra.png": "no image with masks"}


def test_label_images_beside_images_get_consecutive_ids(tmp_path):
    _write(tmp_path, "a.png", "a_flows.png")
    labels = np.zeros(SHAPE, np.uint16)
    labels[1] = 700
    labels[3] = 9
    Image.fromarray(labels).save(tmp_path / "a_cp_masks.png")
    refused("up to 700", annotated(tmp_path).items[0].labels.read)
    labels[1] = 60
    Image.fromarray(labels).save(tmp_path / "a_cp_masks.png")
    (item,) = annotated(tmp_path).items
    assert _rows(item.labels) == [0, 2, 0, 1, 0, 0, 0, 0]
    assert [mask.file for mask in item.labels.read().objects] == ["9", "60"]


def test_rules_without_masks_are_refused(tmp_path):
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images/a.tif", np.zeros(SHAPE, np.uint8))
    (tmp_path / "masks.toml").write_text("min_area = 5")
    refused("masks.toml is for masks", index, tmp_path)


def test_cases_and_trainings_read_the_same_labels_in_place(tmp_path):
    _write(tmp_path, *CLASSES)
    colour = np.zeros((*SHAPE, 3), np.uint8)
    colour[..., 0] = 30
    Image.fromarray(colour).save(tmp_path / "images/X_1.png")
    (item,) = index(tmp_path).items
    sample = load(item)
    labels = sample.volume("instance-labels").array
    (learned,) = find_images(tmp_path, ["*"])
    image = learned.image
    source = learned.files["instance-labels"]
    assert image == item.image
    assert np.array_equal(source.read().volume.array, labels)
    assert sample.volume("microscopy-image").array.max() == 10  # the mean of red, green and blue
    assert sample.masks["classes"] == {1: "activated", 2: "activated", 3: "basal", 4: "basal"}
    assert item.paths == [image, *source.files]
    assert find_cases(tmp_path)[0].labels.files == source.files
    assert item.classes == {"activated": 2, "basal": 2}


def _phases(folder, *pairs):
    """Write an image and its labels, of rows 1 to 3, for each pair of folders."""
    labels = np.repeat(np.uint8([0, 1, 1, 0, 2, 2, 0, 3])[:, None], 8, axis=1)
    for images, masks in pairs:
        _write(folder, f"{images}/1.png")
        (folder / masks).mkdir(exist_ok=True)
        Image.fromarray(np.stack([labels] * 3, -1)).save(folder / masks / "1.png")
    return folder


def test_phases_of_pix2pix_are_parts_of_which_the_training_sees_its_own(tmp_path):
    _phases(tmp_path, ("train_B", "train_A"), ("val_B", "val_A"), ("test_B", "test_A"))
    items = annotated(tmp_path).items
    assert [(item.name, item.facts["part"]) for item in items] == [
        ("test_1", "test"), ("train_1", "train"), ("val_1", "validate")]  # fmt: skip
    assert _rows(items[0].labels) == [0, 1, 1, 0, 2, 2, 0, 3]
    cases = [SimpleNamespace(path=item.image) for item in find_images(tmp_path, ["*"])]
    parts, _ = divided(tmp_path, cases, FileSettings(), print)
    names = {part: [case.path.parent.name for case in members] for part, members in parts.items()}
    assert names == {"train": ["train_B"], "validate": ["val_B"], "test": ["test_B"]}
    assert [name for name, _ in recipe(DataRequest(str(tmp_path), only="test")).makers] == [
        "test_1"
    ]


def test_instances_win_over_classes_and_a_phase_without_images_is_left_out(tmp_path):
    _phases(tmp_path, ("train_img", "train_inst"))
    _write(tmp_path, "train_label/1.png", "test_label/1.png")
    (item,) = annotated(tmp_path).items
    assert item.labels.place == tmp_path / "train_inst/1.png"
    assert "test_label/" in annotated(tmp_path).skipped
