import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mistakes import refused
from PIL import Image

from cytosuite.folders.layouts import annotated
from cytosuite.folders.masks import (
    MaskRules,
    ObjectMask,
    combine,
    read_rules,
    sentence,
)
from cytosuite.folders.sides import CLIPPED, side_by_side, weighted_sum
from cytosuite.formats import write
from cytosuite.volume import Volume


def _mask(name, inside):
    """Return a mask of the pixels of an array."""
    return ObjectMask(None, name, "", lambda _: np.flatnonzero(inside))


def _combined(rows, **rules):
    """Combine masks that are rows of letters: each letter a mask, in the order of the alphabet."""
    grid = [list(row) for row in rows]
    letters = sorted({letter for row in grid for cell in row for letter in cell} - {" "})
    masks = [
        _mask(letter, np.array([[letter in cell for cell in row] for row in grid]))
        for letter in letters
    ]
    return combine((len(grid), len(grid[0])), masks, MaskRules(**rules))


# b lies within a, c on its edge; cells of several letters are overlaps
STACK = [["a", "ab", "a", "ac", "c"]]


@pytest.mark.parametrize(
    "overlap, labels, lost",
    [
        ("smallest", [1, 2, 1, 3, 3], [2, 0, 0]),
        ("last", [1, 2, 1, 3, 3], [2, 0, 0]),
        ("first", [1, 1, 1, 1, 2], [0, 1, 1]),
    ],
)
def test_overlaps_follow_the_rule_and_are_reported(overlap, labels, lost):
    combined, objects, counts = _combined(STACK, overlap=overlap)
    assert combined.tolist() == [labels]
    assert [mask.lost for mask in objects] == lost
    assert counts["overlapping"] == 3
    first = overlap == "first"
    assert [mask.id for mask in objects] == ([1, 0, 2] if first else [1, 2, 3])  # b vanishes
    assert (counts["vanished"], counts["broken"]) == ((1, 0) if first else (0, 1))
    assert [mask.pieces for mask in objects] == ([1, 0, 1] if first else [2, 1, 1])


def test_of_equal_masks_the_last_lies_on_top():
    assert _combined([["a", "ab", "b"]])[0].tolist() == [[1, 2, 2]]


@pytest.mark.parametrize("overlap, labels", [("last", [0, 1, 1, 1]), ("first", [1, 1, 1, 0])])
def test_what_others_leave_of_a_mask_may_be_too_small(overlap, labels):
    combined, objects, counts = _combined([["a", "ab", "ab", "b"]], overlap=overlap, min_area=2)
    assert combined.tolist() == [labels]
    assert [mask.id for mask in objects] == [labels[0], labels[-1]]
    assert (counts["vanished"], counts["small"]) == (1, 0)


def test_an_overlap_may_be_an_error_that_names_both():
    refused("a and b overlap in 1 pixels", _combined, STACK, overlap="error")


def test_small_and_empty_masks_are_left_out_and_ids_stay_consecutive():
    masks = [
        _mask(name, np.array(row))
        for name, row in {"x": [0, 0, 0], "y": [1, 0, 0], "z": [0, 1, 1]}.items()
    ]
    labels, objects, counts = combine((1, 3), masks, MaskRules(min_area=2))
    assert labels.tolist() == [[0, 1, 1]]
    assert [mask.id for mask in objects] == [0, 0, 1]
    words = sentence(counts, "smallest")
    assert words == "3 masks: 1 are smaller than min_area and left out, 1 are empty."


@given(
    st.lists(st.tuples(*[st.integers(0, 6)] * 4), max_size=8), st.sampled_from(["last", "first"])
)
def test_every_pixel_of_a_mask_has_a_label_and_no_other(boxes, overlap):
    shapes = [np.zeros((8, 8), bool) for _ in boxes]
    for shape, (y, x, height, width) in zip(shapes, boxes, strict=True):
        shape[y : y + height, x : x + width] = True
    masks = [_mask("", shape) for shape in shapes]
    labels, objects, _ = combine((8, 8), masks, MaskRules(overlap=overlap))
    assert np.array_equal(labels > 0, np.any([np.zeros((8, 8), bool), *shapes], axis=0))
    assert sorted(m.id for m in objects if m.id) == list(range(1, labels.max(initial=0) + 1))
    for mask, shape in zip(objects, shapes, strict=True):
        assert mask.area == shape.sum()
        assert mask.area - mask.lost == ((labels == mask.id).sum() if mask.id else 0)


def test_masks_are_drawn_one_by_one_and_cover_an_image_8_times_at_most(tmp_path):
    alive = weakref.WeakValueDictionary()

    def drawn(number):
        assert len(alive) < 2
        alive[number] = pixels = np.arange(9)
        return pixels

    masks = [ObjectMask(None, "", "", lambda _, n=n: drawn(n)) for n in range(9)]
    assert combine((3, 3), masks, MaskRules())[0].max() == 1
    labels = _one(tmp_path, [[255] * 4])
    for number in range(2, 10):
        labels.read()
        (tmp_path / f"masks/a/{number}.png").hardlink_to(tmp_path / "masks/a/1.png")
        (labels,) = (item.labels for item in annotated(tmp_path).items)
    refused("a: expected objects that cover an image 8 times at most", labels.read)


def test_names_of_objects_are_printable():
    _, (row,), _ = combine((1, 1), [_mask("a\x1b\udcff  b\n" + "c" * 999, [[1]])], MaskRules())
    assert row.file == r"a\x1b\udcff  b\n" + "c" * 248


def test_more_objects_than_16_bits_hold_become_uint32():
    masks = [ObjectMask(None, "", "", lambda _, n=n: np.array([n])) for n in range(2**16)]
    labels, _, _ = combine((2**8, 2**8), masks, MaskRules())
    assert labels.dtype == np.uint32
    assert labels.ravel().tolist() == list(range(1, 2**16 + 1))
    assert combine((3, 3), masks[:9], MaskRules())[0].dtype == np.uint16


def _one(folder, mask):
    for name, array in {"images/a.png": np.zeros((1, 4), np.uint8), "masks/a/1.png": mask}.items():
        (folder / name).parent.mkdir(parents=True)
        Image.fromarray(np.array(array, np.uint8)).save(folder / name)
    return annotated(folder).items[0].labels


@pytest.mark.parametrize(
    "values, rules, area",
    [
        ([0, 1, 1, 0], "", 2),
        ([0, 127, 128, 255], "", 2),  # half of the largest value bounds an object
        ([90, 200, 90, 90], "", 1),
        ([0, 3, 100, 255], "threshold = 0", 3),
        ([[0, 0, 0], [0, 0, 0], [200, 210, 220], [0, 0, 0]], "", 1),  # colours
    ],
)
def test_a_threshold_bounds_an_object(tmp_path, values, rules, area):
    (tmp_path / "masks.toml").write_text(rules)
    assert _one(tmp_path, [values]).read().objects[0].area == area


def test_a_mask_that_does_not_fit_is_refused_by_name(tmp_path):
    labels = _one(tmp_path, [[0] * 5])
    refused(r"1.png: .*image's shape \(1, 4\), found \(1, 5\)", labels.read)
    (tmp_path / "masks/a/1.png").write_text("no picture")
    refused("1.png: cannot be read as a picture", labels.read)


@pytest.mark.parametrize(
    "text, message",
    {
        'overlap = "centre"': "overlap",
        'pairs = "("': "valid regular expression",
        f'pairs = "{"(" * 2000}{")" * 2000}"': "at most 500 characters",
        'pairs = "a{99999999999}"': "valid regular expression",
        "threshold = -5": "threshold: .*greater than or equal to 0",
        "threshold = 1e16": "threshold: .*less than or equal to",
        "min_area = 1000000000000001": "min_area: .*less than or equal to",
        f"min_area = 0x{'f' * 5000}": "an integer of more than 64 bits",
        'exclud = ["a"]': "did you mean 'exclude'",
    }.items(),
)
def test_wrong_rules_are_refused(tmp_path, text, message):
    (tmp_path / "masks.toml").write_text(text)
    refused(message, read_rules, tmp_path)


def _pair(home, first, second):
    for folder, array in (("a", first), ("b", second)):
        write(home / folder / "x.tif", Volume(np.array(array), (0.5, 0.25), "YX"))
    return home / "a/x.tif", home / "b/x.tif"


@pytest.mark.parametrize(
    "dtype, expected, clipped",
    [(np.uint8, [[3, 2], [255, 0]], 0.25), (np.float32, [[3.25, 1.5], [300.5, 0]], None)],
)
def test_a_sum_is_rounded_and_clipped_once_in_the_dtype_of_its_images(
    tmp_path, dtype, expected, clipped
):
    paths = _pair(
        tmp_path, np.array([[1, 1], [250, 0]], dtype), np.array([[9, 2], [202, 0]], dtype)
    )
    summed = weighted_sum(paths, (1, 0.25))
    assert summed.array.dtype == dtype
    assert summed.array.tolist() == expected
    assert summed.metadata.get(CLIPPED) == clipped
    assert summed.spacing == (0.5, 0.25)


def test_colours_are_summed_apart(tmp_path):
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 200
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.fromarray(red).save(tmp_path / name / "x.png")
    summed = weighted_sum([tmp_path / "a/x.png", tmp_path / "b/x.png"], (0.5, 0.25))
    assert summed.axes == "CYX"
    assert summed.array[:, 0, 0].tolist() == [150, 0, 0]


def test_images_that_do_not_fit_are_refused(tmp_path):
    square = np.zeros((4, 4), np.uint8)
    folders = [tmp_path / "a", tmp_path / "b"]
    paths = _pair(tmp_path, square, np.zeros((4, 5), np.uint8))
    image = Volume(square, (1.0, 1.0), "YX")
    refused(r"b/x.tif: expected YX \(4, 4\) uint8 as in .*a/x.tif", weighted_sum, paths, (1, 1))
    write(paths[1], Volume(square, (0.5, 0.5), "YX"))
    refused("b/x.tif: expected voxels of 0.5 x 0.25 µm as in", weighted_sum, paths, (1, 1))
    write(folders[0] / "y.tif", image)
    refused(
        "b: expected an image y, as the others have it",
        side_by_side,
        folders,
    )
    write(folders[0] / "y.mha", image)
    refused(
        r"a: expected one file named y, found y\.mha and y\.tif",
        side_by_side,
        folders,
    )
    refused(r"expected images \(.*\), found none", side_by_side, [tmp_path, tmp_path])
