import json

import numpy as np
import pytest
from mistakes import refused
from PIL import Image

from cytosuite.files import read_json, write_json
from cytosuite.folders.layouts import annotated
from cytosuite.folders.outlines import CORNERS

# Columns of 3 pixels: (0 1 1) (0 0 1) (0 0 0) (0 1 1); the text is that of COCO's own program.
RUNS = {"counts": [1, 2, 2, 1, 4, 2], "size": [3, 4]}
GRID = [[0, 0, 0, 0], [1, 0, 0, 1], [1, 1, 0, 1]]


def _coco(folder, annotations, name="a.png", place="annotations", kind="cell", **more):
    (folder / "images").mkdir(exist_ok=True)
    (folder / place).mkdir(exist_ok=True)
    Image.fromarray(np.zeros((3, 4), np.uint8)).save(folder / "images/a.png")
    content = {
        "info": {},
        "images": [{"id": 7, "file_name": name, "height": 3, "width": 4}],
        "categories": [{"id": 1, "name": kind}, {"id": 2, "name": "Unidentified"}],
        "annotations": [
            {"id": n, "image_id": 7, "category_id": 1, "bbox": [], **annotation}
            if isinstance(annotation, dict)
            else annotation
            for n, annotation in enumerate(annotations)
        ],
        **more,
    }
    (folder / place / "instances.json").write_text(json.dumps(content))
    return folder


def _read(folder):
    return annotated(folder).items[0].labels.read()


@pytest.mark.parametrize("segmentation", [RUNS, {"counts": "122O21", "size": [3, 4]}])
@pytest.mark.parametrize("place", ["annotations", "."])
def test_run_lengths_are_masks(tmp_path, segmentation, place):
    (item,) = annotated(_coco(tmp_path, [{"segmentation": segmentation}], place=place)).items
    assert (item.labels.read().volume.array > 0).tolist() == (np.array(GRID) > 0).tolist()
    assert item.facts == {"class": "cell"}


def test_parts_of_an_object_are_one_and_crowds_and_excluded_ones_are_left_out(tmp_path):
    square = [[0, 0, 2, 0, 2, 2, 0, 2], [3, 2, 4, 2, 4, 3, 3, 3]]
    (tmp_path / "masks.toml").write_text('exclude = ["Unidentified"]')
    volume, objects, counts = _read(
        _coco(
            tmp_path,
            [
                {"segmentation": square},
                {"segmentation": RUNS, "iscrowd": 1},
                {"segmentation": RUNS, "category_id": 2},
            ],
        )
    )
    assert volume.array.tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1]]
    assert (objects[0].pieces, counts["crowds"], counts["excluded"]) == (2, 1, 1)


def test_a_polygon_holds_the_pixels_whose_centres_it_holds(tmp_path):
    corners = [[0.6, -1, 9, -1, 9, 9, 0.6, 9], [0, 0, 0.2, 0, 0, 0.2]]
    assert (
        _read(_coco(tmp_path, [{"segmentation": corners}])).volume.array.tolist()
        == [[0, 1, 1, 1]] * 3
    )


WHOLE = [0, 0, 4, 0, 4, 3, 0, 3]


@pytest.mark.parametrize(
    "annotations",
    [
        [{"segmentation": {"counts": [0, 12], "size": [3, 4]}}] * 9,
        [{"segmentation": [WHOLE]}] * 9,
        [{"segmentation": [WHOLE] * 9}],  # parts of one object
        [{"segmentation": [[1, 0, 1, 3] * 70]}],  # without pixels, over and over
        [{"segmentation": {"counts": [0] * 200 + [12], "size": [3, 4]}}],
    ],
)
def test_objects_cover_an_image_8_times_at_most(tmp_path, annotations):
    (item,) = annotated(_coco(tmp_path, annotations)).items
    refused("annotation .: expected objects that cover an image 8", item.labels.read)


@pytest.mark.parametrize(
    "kind, condition",
    {"two\n words": "two words", "a" * 200: "a" * 200, "\x1b[31m": "", "a" * 201: ""}.items(),
)
def test_classes_are_cells_of_tables(tmp_path, kind, condition):
    folder = _coco(tmp_path, [{"segmentation": RUNS}], kind=kind)
    if condition:
        (item,) = annotated(folder).items
        assert item.facts == {"class": condition}
        assert item.labels.read().classes == {1: condition}
    else:
        refused("instances.json: expected printable cells", annotated, folder)


def test_without_a_list_of_categories_all_objects_are_of_none(tmp_path):
    _coco(tmp_path, [{"segmentation": RUNS}], categories=[])
    assert len(_read(tmp_path).objects) == 1


@pytest.mark.parametrize("part", ["images", "annotations", "categories"])
def test_an_id_that_occurs_twice_is_refused(tmp_path, part):
    path = _coco(tmp_path, [{"segmentation": RUNS}]) / "annotations/instances.json"
    content = read_json(path)
    content[part].append(content[part][0])
    write_json(path, content)
    refused(rf"{part}: expected one of the id \d, found 2", annotated, tmp_path)


def test_many_classes_are_a_number_in_conditions(tmp_path):
    kinds = [{"id": n, "name": f"kind {n}"} for n in range(90)]
    objects = [{"segmentation": RUNS, "category_id": n} for n in range(90)]
    assert annotated(_coco(tmp_path, objects, categories=kinds)).items[0].facts == {
        "class": "90 classes"
    }


def test_files_of_holes_are_left_alone(tmp_path):
    path = _coco(tmp_path, []) / "annotations/instances.json"
    assert len(annotated(tmp_path).items) == 1
    for content, whole in ((b"", True), (path.read_bytes(), False)):
        with path.open("wb") as stream:
            stream.write(content)
            stream.truncate(2**40)
        if whole:
            assert annotated(tmp_path).items == ()
        else:
            refused("at most 1024 MiB of JSON, without holes", annotated, tmp_path)


@pytest.mark.parametrize(
    "annotation, name, message",
    [
        ({"segmentation": RUNS}, "b.png", "expected one image b.png, found none"),
        ({"segmentation": []}, "a.png", "annotation 0: expected polygons"),
        ({"segmentation": [[0, 0, 1, 1]]}, "a.png", "3 corners or more"),
        ({"segmentation": {"counts": [1], "size": [3, 4]}}, "a.png", "found 1 pixels"),
        ({"segmentation": {"counts": [20], "size": [4, 5]}}, "a.png", r"found \(4, 5\)"),
        ({"segmentation": RUNS, "image_id": 8}, "a.png", "annotation 0 is of no image: 8"),
        (
            {"segmentation": RUNS, "category_id": 9},
            "a.png",
            "annotation 0: expected a category of the file, like 1, found 9",
        ),
        ({"segmentation": 5}, "a.png", "annotations.0.segmentation"),
        ([5, 5], "a.png", r"annotations\.0: .*, found 5$"),  # no messages of the others
        ({"segmentation": [[0] * (2 * CORNERS + 2)]}, "a.png", "at most 524288 corners"),
        ({"segmentation": [[0, 0, 1e9, 0, 0, 5]]}, "a.png", "annotation 0: expected corners near"),
        (
            {"segmentation": {"counts": "o" * 10**5 + "0", "size": [3, 4]}},
            "a.png",
            "text, found 'o'",
        ),
        ({"segmentation": {"counts": "1 22O21", "size": [3, 4]}}, "a.png", "as text, found ' '"),
        ({"segmentation": {"counts": "o" * 12 + "1", "size": [3, 4]}}, "a.png", "expected runs of"),
        ({"segmentation": RUNS, "caption": "\ud800"}, "a.png", "expected JSON"),
    ],
)
def test_wrong_files_are_refused(tmp_path, annotation, name, message):
    _coco(tmp_path, annotation if isinstance(annotation, list) else [annotation], name)
    refused(message, _read, tmp_path)
