import numpy as np
import pytest
import tifffile
from mistakes import refused

from cytosuite.datasets.calibration.masks import (
    _radii,
    compare,
    look,
    mean_distance,
    objects_of,
    read_labels,
)
from cytosuite.formats import write
from cytosuite.volume import Volume


def plane(*boxes, spacing=(0.5, 0.5), dtype=np.uint16):
    array = np.zeros((24, 40), dtype)
    for number, (y, x, high, wide) in enumerate(boxes, 1):
        array[y : y + high, x : x + wide] = number
    return Volume(array, spacing, "YX")


BOX = plane((2, 2, 4, 4))


def test_measures_of_boxes():
    table = objects_of(plane((2, 2, 4, 8), (2, 10, 4, 8), (10, 6, 12, 4), (0, 30, 4, 8)))
    assert table["size"].tolist()[:3] == [8.0, 8.0, 12.0]  # of 32, 32, 48 pixels
    assert np.isnan(table["size"][3])  # cut
    assert table["cut"].tolist() == [0, 0, 0, 1]
    assert table["contact"] == pytest.approx([1 / 6, 1 / 6, 0, 0])
    assert table["neighbour_um"][:2].tolist() == [4.0, 4.0]
    assert table["turn_deg"][:3] == pytest.approx([0, 0, 90])
    assert table["solidity"][:3] == pytest.approx([1, 1, 1])


def test_a_tall_object_of_a_volume():
    array = np.zeros((30, 20, 20), np.uint8)
    array[5:25, 5:10, 5:10] = 1
    assert objects_of(Volume(array, (1.0, 1.0, 1.0)))["height"] == pytest.approx(np.log(4))


def tables(radii):
    return [{"radii": np.array(values, float), "cut": np.zeros(len(values))} for values in radii]


def test_sizes_within_images_and_between_them(rng):
    counts = (4, 8, 12, 16, 24, 32, 40, 64)
    middle = np.median(np.log(counts))
    fall = tables([np.full(n, 5 * np.exp(-0.3 * (np.log(n) - middle))) for n in counts])
    radii, between, exponent = _radii(fall, None)
    assert radii == pytest.approx(np.full(11, 5.0))
    assert (between, exponent) == pytest.approx((0, 0.3), abs=1e-6)
    apart = tables([np.exp(0.2 * rng.normal() + 0.1 * rng.normal(size=50)) * 4 for _ in range(60)])
    radii, between, exponent = _radii(apart, None)
    assert exponent == 0  # all images hold as many
    assert between == pytest.approx(0.2, rel=0.25)
    assert np.log(radii[9] / radii[1]) == pytest.approx(2 * 1.2816 * 0.1, rel=0.1)


def test_labels_are_as_far_from_themselves_as_nothing_and_halves_tell_their_noise():
    masks = look([plane((2, 2, 4, 6 + n), (12, 9, 5, 5), (10, 20, 6, 8)) for n in range(4)])
    rows = compare(masks, masks)
    assert mean_distance(rows) == 0
    assert {row.name for row in rows if row.floor > 0} >= {"size", "elongation"}
    assert mean_distance(compare(masks, look([plane((2, 2, 12, 30))] * 4, masks.reach_um))) > 1


def test_an_image_without_objects_counts_as_empty():
    assert look([plane(), plane((2, 2, 4, 6), (12, 9, 5, 5))]).density.tolist() == [0.0, 2 / 240]


def test_labels_alone_are_found(tmp_path):
    write(tmp_path / "images/a.tif", plane((2, 2, 4, 4), dtype=np.uint8))
    write(tmp_path / "labels/a.tif", BOX)
    write(tmp_path / "labels/b.tif", BOX)
    assert [item.name for item in read_labels(tmp_path)[0]] == ["a", "b"]
    assert read_labels(tmp_path / "labels", pattern="b*")[0][0].name == "b"
    assert len(read_labels(tmp_path / "labels/a.tif")[1]) == 1


@pytest.mark.parametrize(
    "images, message",
    [
        ([], "expected images named like '*', found none"),
        ([plane((2, 2, 4, 4), dtype=np.float32)], "labels must be integers, found dtype float32"),
        (
            [BOX, plane((2, 2, 4, 4), spacing=(1, 1))],
            "calibrate one kind of images at a time (--pattern)",
        ),
        (
            [BOX, Volume(np.ones((4, 4, 4), np.uint8), (1, 1, 1))],
            "ZYX with voxels of (1.0, 1.0, 1.0) µm",
        ),
    ],
)
def test_a_mistake_is_one_line(tmp_path, images, message):
    folder = tmp_path / "labels"
    folder.mkdir()
    for number, image in enumerate(images):
        write(folder / f"{number}.tif", image)
    refused(message, read_labels, tmp_path)


def test_a_voxel_size_is_needed_and_may_be_given(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", BOX.array)
    refused(r"a\.tif: the file gives no voxel size; give --spacing y,x", read_labels, tmp_path)
    assert read_labels(tmp_path, spacing=(0.3, 0.3))[1][0].spacing == (0.3, 0.3)
