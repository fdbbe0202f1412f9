import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from layouts import foreign, grey, hdf5
from mistakes import refused
from PIL import Image
from rasters import counted

from cytosuite.benchmark.runs.data.recipe import DataRequest, recipe
from cytosuite.contract.tasks import VIEW
from cytosuite.datasets.folder.load import load
from cytosuite.folders.index import FUSED, index
from cytosuite.folders.layouts import annotated
from cytosuite.folders.masks import MaskRules
from cytosuite.training.images import find_images
from cytosuite.training.nuclei.cases import find_cases
from cytosuite.training.settings import FileSettings
from cytosuite.training.validate import divided

SHAPE = (8, 8)
ARRAY = counted(5, 6, 7)
KEYS = {"axes": "ZYX", "PhysicalSizeX": 0.2, "PhysicalSizeY": 0.2, "PhysicalSizeZ": 1.0}


def _write(folder, *names):
    """Write images, and masks of a row of pixels: the row is the last number of the name."""
    for name in names:
        path = folder / name
        array = np.zeros(SHAPE, np.uint8)
        if "masks/" in name:
            array[int(path.stem[-1])] = 255
        grey(path, array)
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
    {
        ("images/X_10.png", "masks/X_1/1.png"): "masks/X_1: expected an image named exactly X_1,",
        ("images/X_1.png", "images/X_10.png", "masks/X_1/1.png"): "X_10.png: expected masks named exactly X_10",
        ("images/X.png", "images/X.jpg", "masks/X/1.png"): "one image named X, found images/X.jpg and images/X.png",
        ("images/X.png", "images-color/X.png", "masks/X/1.png"): 'found images and images-color; name one',
        ("a/images/a.png", "a/images/b.png", "a/masks/1.png"): "one image named a, found a/images/a.png and a/images/b.png",
        ("a/images/a.png", "a/masks/1.png", "b/images/b.png"): "b/images/b.png: expected masks",
        ("images/X.png", "masks/X/c/d/1.png"): "expected masks in .*/c, found a folder",
        ("train_B/1.png", "train_B/2.png", "train_A/1.png"): "train_B/2.png: expected masks named exactly train/2",
        ("a.png", "a_masks.png", "b.png"): "b.png: expected masks named exactly b",
        ("a.png", "a_masks.png", "a_masks.tif"): "one mask named a, found a_masks.png and a_masks.tif",
    }.items(),
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


def _images(folder, *names, **words):
    for name in names:
        foreign(folder / name, ARRAY + ("fused" in name), metadata={**KEYS, **words})
    return folder


def _pair(folder, specimen, **words):
    return _images(folder, f"{specimen}_angle.tif", f"{specimen}_fused.tif", **words)


def _converted(folder, *names):
    """Write as the published converter does: raw_image, and for views the maps of it."""
    for name in names:
        image = np.full((5, 6, 7), float("fused" in name), np.float32)
        maps = {"light_map": ARRAY, "surface_distance": ARRAY.astype(np.float32) - 9}
        hdf5(folder / name, raw_image=image, **maps if "angle" in name else {})
    return folder


def _found(folder, task="fuse", **options):
    listing = index(folder, task, **options)
    assert {item.socket for item in listing.items} <= {VIEW}
    return {item.name: (path := item.files.get(FUSED)) and path.name for item in listing.items}


@pytest.mark.parametrize("task", ["fuse", None])
def test_views_find_their_fused_images(tmp_path, task):
    _pair(tmp_path, "image_2_nucleus")
    _pair(tmp_path, "image_10_membrane")
    assert _found(tmp_path, task) == {
        "image_10_membrane_angle": "image_10_membrane_fused.tif",
        "image_2_nucleus_angle": "image_2_nucleus_fused.tif",
    }
    listing = index(tmp_path, task)
    assert (listing.notes, listing.skipped, listing.task) == ((), {}, "fuse")


def test_a_view_without_fused_image_is_not_scored_and_one_without_view_is_left_out(tmp_path):
    _pair(tmp_path, "image_2_nucleus")
    _images(tmp_path, "image_3_nucleus_angle.tif", "image_4_nucleus_fused.tif", "other.tif")
    listing = index(tmp_path, "fuse")
    assert _found(tmp_path) == {
        "image_2_nucleus_angle": "image_2_nucleus_fused.tif",
        "image_3_nucleus_angle": None,
        "other": None,
    }
    assert listing.notes == (f"2 of 3 images have no {FUSED} and are not scored.",)
    assert listing.count == (
        "3 images; skipped 1: image_4_nucleus_fused.tif (a fused image without its view)"
    )


def test_a_pair_becomes_a_case_by_channel_and_study(tmp_path):
    _pair(tmp_path / "Study3/Study2", "image_2_nucleus")
    (item,) = index(tmp_path, recursive=True).items
    sample = load(item)
    view = sample.volume(VIEW)
    truth = sample.volume(FUSED)
    np.testing.assert_array_equal(truth.array, ARRAY + 1)
    assert (view.spacing, truth.spacing) == ((1, 0.2, 0.2), (1, 0.2, 0.2))
    assert dict(view.metadata) == {"channel": "nucleus", "study": 2}
    assert view.origin.sources == {"spacing": "json", "channel": "name", "study": "name"}
    assert sample.conditions == {"study": "study 2", "channel": "nucleus"}


def test_a_file_knows_more_than_its_name_and_the_user_more_than_both(tmp_path):
    _pair(tmp_path / "Study2", "image_2_nucleus", channel="membrane", study="4")
    (item,) = index(tmp_path, recursive=True).items
    sample = load(item)
    assert sample.conditions == {"study": "study 4", "channel": "membrane"}
    assert "channel contradictory: membrane" in sample.volume(VIEW).origin.warnings[0]
    named = load(item, metadata={"channel": "nucleus", "study": 5})
    assert named.conditions == {"study": "study 5", "channel": "nucleus"}


ROWS = "Study1_H5/image_{0}_nucleus_angle.h5;Study1_H5/image_{0}_nucleus_fused.h5\n"
H5 = [f"Study1_H5/image_{n}_nucleus_{role}.h5" for n in (1, 2, 3) for role in ("angle", "fused")]


@pytest.mark.parametrize("task", ["fuse", None])
def test_a_list_names_the_pairs_that_count(tmp_path, task):
    _converted(tmp_path, *H5, "image_9_nucleus_angle.h5")
    (tmp_path / "fmc.csv").write_text(ROWS.format(2) + ROWS.format(1))
    listing = index(tmp_path, task)
    assert _found(tmp_path, task) == {
        "Study1_H5_image_1_nucleus_angle": "image_1_nucleus_fused.h5",
        "Study1_H5_image_2_nucleus_angle": "image_2_nucleus_fused.h5",
    }
    assert listing.notes == ("The pairs are those of fmc.csv.",)
    assert listing.skipped == {"image_9_nucleus_angle.h5": "not in fmc.csv"}
    assert index(tmp_path / "fmc.csv", task).items == listing.items
    deep = index(tmp_path, task, recursive=True)
    assert deep.items == listing.items
    assert deep.skipped == dict.fromkeys((*H5[4:], "image_9_nucleus_angle.h5"), "not in fmc.csv")


def test_the_list_of_the_test_precedes_those_of_the_training(tmp_path):
    _converted(tmp_path, *H5)
    for number, part in enumerate(("train", "val", "test"), 1):
        (tmp_path / f"fmc_{part}.csv").write_text(ROWS.format(number))
    listing = index(tmp_path, "fuse")
    assert list(_found(tmp_path)) == ["Study1_H5_image_3_nucleus_angle"]
    assert (listing.notes, listing.skipped) == (("The pairs are those of fmc_test.csv.",), {})


def test_other_tables_are_no_lists_of_pairs(tmp_path):
    _pair(tmp_path, "a")
    (tmp_path / "notes.csv").write_text("name;size\na;3\n")
    (tmp_path / "odd.csv").write_bytes(b"\xff\xfe\n")
    (tmp_path / "empty.csv").touch()
    listing = index(tmp_path)
    assert [item.name for item in listing.items] == ["a_angle"]
    assert listing.count == "1 image; skipped 3: empty.csv, notes.csv, odd.csv (no image)"


@pytest.mark.parametrize(
    "names, message",
    [
        (
            ["image_1_nucleus_fused.tif"],
            (
                "expected views like image_1_nucleus_angle.tif, "
                "found fused images alone: image_1_nucleus_fused.tif"
            ),
        ),
        (
            ["a_angle.tif", "a_FUSED.tif", "a_fused.tif"],
            "fused images: expected one file named a, found a_FUSED.tif and a_fused.tif; remove one",
        ),
    ],
)
def test_fused_images_alone_and_twice_are_explained(tmp_path, names, message):
    refused(message, index, _images(tmp_path, *names), "fuse")


def test_two_lists_are_explained(tmp_path):
    _converted(tmp_path, *H5)
    for part in ("train", "val"):
        (tmp_path / f"fmc_{part}.csv").write_text(ROWS.format(1))
    message = "expected one list *_test.csv, found 2: fmc_train.csv, fmc_val.csv; name one of them"
    refused(message, index, tmp_path, "fuse")
