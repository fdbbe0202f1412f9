import numpy as np
import pytest

from cytosuite.training.images import (
    find_images,
    objects_of,
    padded,
    turn_of,
    turned,
    views,
)
from cytosuite.volume import Volume


def _touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def test_images_are_found_with_their_labels_in_every_layout(tmp_path):
    flat, pairs, cases = tmp_path / "flat", tmp_path / "pairs", tmp_path / "dataset"
    for name in ("b.tif", "deep/a.mha", "labels/.c.tif"):
        _touch(flat / name)
    assert find_images(flat, ["*"]) == [(flat / "b.tif", None), (flat / "deep" / "a.mha", None)]
    for name in ("images/a.tif", "images/b.tif", "labels/b.mha", "other/c.tif"):
        _touch(pairs / name)
    assert find_images(pairs, ["*"]) == [
        (pairs / "images" / "a.tif", None),
        (pairs / "images" / "b.tif", pairs / "labels" / "b.mha"),
    ]
    for number in (2, 1):
        sockets = cases / "cases" / f"c_{number}" / "sockets" / "images"
        for socket in ("microscopy-image", "instance-labels", "structure-sketch"):
            _touch(sockets / socket / f"c_{number}.tif")
    found = find_images(cases, ["*"])
    assert [(image.stem, labels.parent.name) for image, labels in found] == [
        ("c_1", "instance-labels"),
        ("c_2", "instance-labels"),
    ]
    assert find_images(cases, ["*_2", "none"]) == found[1:]


def test_folders_are_found_in_any_case_the_exact_one_first(tmp_path):
    for name in ("Images/a.tif", "LABELS/a.tif"):
        _touch(tmp_path / name)
    loud = (tmp_path / "Images" / "a.tif", tmp_path / "LABELS" / "a.tif")
    assert find_images(tmp_path, ["*"]) == [loud]
    _touch(tmp_path / "images" / "b.tif")
    _touch(tmp_path / "labels" / "b.tif")
    found = find_images(tmp_path, ["*"])
    assert found == [(tmp_path / "images" / "b.tif", tmp_path / "labels" / "b.tif")]


def test_an_array_goes_on_until_a_crop_fits():
    array = np.arange(6).reshape(1, 2, 3)
    found = padded(array, (4, 2))
    assert found.shape == (1, 4, 3)
    np.testing.assert_array_equal(found[0, 1:], np.repeat(array[:, 1], 3, 0))
    np.testing.assert_array_equal(padded(array, (1, 1)), array)


@pytest.mark.parametrize("turn", [(1, 0, 0), (0, 1, 1)])
def test_a_crop_is_turned_in_its_planes(turn):
    crop = np.random.default_rng(0).random((3, 4, 4))
    expected = crop[:, ::-1] if turn[0] else crop
    expected = expected[..., ::-1] if turn[1] else expected
    expected = expected.transpose(0, 2, 1) if turn[2] else expected
    np.testing.assert_array_equal(turned(crop, np.array(turn, bool)), expected)


@pytest.mark.parametrize(("noise", "count"), [(True, 2), (False, 8)])
def test_crops_with_a_cameras_noise_keep_their_x(noise, count):
    rng = np.random.default_rng(0)
    found = {tuple(turn_of(rng, noise=noise).tolist()) for _ in range(100)}
    assert len(found) == count
    assert (not noise) or not any(swap or mirror for _, mirror, swap in found)


def test_objects_are_pieces_above_a_threshold():
    image = np.full((9, 40, 40), 10, np.uint16)
    image[2:7, 5:15, 5:15] = image[2:7, 25:35, 25:35] = 200
    found = objects_of(image)
    assert set(np.unique(found)) == {0, 1, 2}
    assert found[4, 10, 10] != found[4, 30, 30]


def test_views_are_the_middle_planes_as_light():
    array = np.zeros((4, 6, 8), np.uint16)
    array[2, :, 4:] = 1000
    found = views(Volume(array, (1.0, 1.0, 1.0)))
    assert found[:6, :8].max() == 255
    assert found[:6, :4].max() == 0
    assert found[2, 8 + 4 + 4] == 255
    flat = views(Volume(array[2:3], (1.0, 1.0, 1.0)))
    np.testing.assert_array_equal(flat[:6, :8], found[:6, :8])
    assert flat.shape == (6 + 4 - 4, 8 + 4)
