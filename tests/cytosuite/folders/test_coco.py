import json

import numpy as np
import pytest
from PIL import Image

from cytosuite.errors import InputError
from cytosuite.folders.layouts import annotated

# Columns of 3 pixels: (0 1 1) (0 0 1) (0 0 0) (0 1 1); the text is that of COCO's own program.
RUNS = {"counts": [1, 2, 2, 1, 4, 2], "size": [3, 4]}
TEXT = {"counts": "122O21", "size": [3, 4]}
GRID = [[0, 0, 0, 0], [1, 0, 0, 1], [1, 1, 0, 1]]


def _coco(folder, annotations, name="a.png", place="annotations"):
    (folder / "images").mkdir(exist_ok=True)
    (folder / place).mkdir(exist_ok=True)
    Image.fromarray(np.zeros((3, 4), np.uint8)).save(folder / "images/a.png")
    content = {
        "info": {},
        "images": [{"id": 7, "file_name": name, "height": 3, "width": 4}],
        "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "Unidentified"}],
        "annotations": [
            {"id": n, "image_id": 7, "category_id": 1, "bbox": [], **own}
            for n, own in enumerate(annotations)
        ],
    }
    (folder / place / "instances.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("found", [RUNS, TEXT])
@pytest.mark.parametrize("place", ["annotations", "."])
def test_run_lengths_are_masks(tmp_path, found, place):
    (item,) = annotated(_coco(tmp_path, [{"segmentation": found}], place=place)).items
    assert (item.labels.read().volume.array > 0).tolist() == (np.array(GRID) > 0).tolist()
    assert item.facts == {"class": "cell"}


def test_parts_of_an_object_are_one_and_crowds_and_excluded_ones_are_left_out(tmp_path):
    square = [[0, 0, 2, 0, 2, 2, 0, 2], [3, 2, 4, 2, 4, 3, 3, 3]]
    others = [{"segmentation": RUNS, "iscrowd": 1}, {"segmentation": RUNS, "category_id": 2}]
    (tmp_path / "masks.toml").write_text('exclude = ["Unidentified"]')
    (item,) = annotated(_coco(tmp_path, [{"segmentation": square}, *others])).items
    volume, objects, counts = item.labels.read()
    assert volume.array.tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1]]
    assert (objects[0].pieces, counts["crowds"], counts["excluded"]) == (2, 1, 1)


def test_a_polygon_holds_the_pixels_whose_centres_it_holds(tmp_path):
    corners = [[0.6, -1, 9, -1, 9, 9, 0.6, 9], [0, 0, 0.2, 0, 0, 0.2]]
    (item,) = annotated(_coco(tmp_path, [{"segmentation": corners}])).items
    assert item.labels.read().volume.array.tolist() == [[0, 1, 1, 1]] * 3


@pytest.mark.parametrize(
    ("annotation", "name", "message"),
    [
        ({"segmentation": RUNS}, "b.png", "expected one image b.png, found none"),
        ({"segmentation": []}, "a.png", "annotation 0: expected polygons"),
        ({"segmentation": [[0, 0, 1, 1]]}, "a.png", "3 corners or more"),
        ({"segmentation": {"counts": [1], "size": [3, 4]}}, "a.png", "found 1 pixels"),
        ({"segmentation": {"counts": [20], "size": [4, 5]}}, "a.png", r"found \(4, 5\)"),
        ({"segmentation": RUNS, "image_id": 8}, "a.png", "annotation 0 is of no image: 8"),
        ({"segmentation": 5}, "a.png", "annotations.0.segmentation"),
        ({"segmentation": [[0, 0, 1, 1, float("nan"), 2]]}, "a.png", "expected polygons"),
    ],
)
def test_wrong_files_are_refused(tmp_path, annotation, name, message):
    with pytest.raises(InputError, match=message):
        annotated(_coco(tmp_path, [annotation], name)).items[0].labels.read()
