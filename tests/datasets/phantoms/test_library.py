import re
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from cytosuite.datasets.phantoms.library import from_mask, read_library, write_phantom
from cytosuite.errors import InputError
from cytosuite.formats import read, write
from cytosuite.volume import Volume

SPACING = (1.0, 0.5, 0.5)


def _published(folder, name="a", *, label=None):
    """Write a pair as others do: uint8, cropped, grey values stretched, no voxel size."""
    image = np.full((8, 12, 12), 20, np.uint8)
    image[1:7, 2:10, 2:10] = 220
    mask = (image > 100).astype(np.uint8) if label is None else label
    tifffile.imwrite(folder / f"{name}.tif", image)
    tifffile.imwrite(folder / f"{name}_label.tif", mask)
    return image, mask


def test_an_ellipsoid_has_its_axes_volume_and_directions(ellipsoid):
    phantom = ellipsoid((7.0, 4.0, 5.0))
    assert phantom.volume_um3 == pytest.approx(4 / 3 * np.pi * 140, rel=0.01)
    assert phantom.semi_axes_um == pytest.approx([4, 5, 7], rel=0.01)
    assert abs(phantom.rotation) == pytest.approx(np.eye(3)[:, [1, 2, 0]], abs=0.02)
    assert np.linalg.det(phantom.rotation) == pytest.approx(1)
    assert 4 / 3 * np.pi * phantom.semi_axes_um.prod() == pytest.approx(phantom.volume_um3)
    assert np.ptp(phantom.surface_um, axis=0) == pytest.approx([14, 8, 10], rel=0.02)
    assert phantom.surface_um.mean(axis=0) == pytest.approx([0, 0, 0], abs=0.1)


def test_nothing_is_left_outside_and_filling_goes_on_from_inside(ellipsoid):
    phantom = ellipsoid(brightness=1.7)
    assert (phantom.intensity[~phantom.inside] == 0).all()
    assert phantom.filled == pytest.approx(1.7)
    assert phantom.brightness == pytest.approx(1.7)


def test_a_label_without_light_is_no_phantom():
    mask = np.pad(np.ones((3, 3, 3), bool), 2)
    with pytest.raises(InputError, match="phantom dark: expected light inside the label"):
        from_mask("dark", np.zeros(mask.shape, np.float32), mask, SPACING)


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.5), (1.5, 0.6, 0.6)])
def test_what_is_written_is_read_again(tmp_path, ellipsoid, spacing):
    phantom = ellipsoid((6.0, 4.0, 5.0), spacing, brightness=0.8, ramp=0.3)
    write_phantom(tmp_path, replace(phantom, name="one"))
    (again,) = read_library(tmp_path)
    assert again.name == "one"
    assert again.spacing == spacing
    assert again.volume_um3 == pytest.approx(phantom.volume_um3, rel=2e-3)
    assert again.brightness == pytest.approx(phantom.brightness, rel=0.02)
    assert again.distance.shape == phantom.distance.shape
    near = abs(phantom.distance) < 1
    moved = abs(again.distance - phantom.distance)[near]
    assert moved.max() < 0.4 * max(spacing)
    assert moved.mean() < 0.1 * max(spacing)
    both = again.inside & phantom.inside
    assert np.array_equal(again.intensity[both], phantom.intensity[both])
    label = read(tmp_path / "one_label.tif")
    assert label.array.dtype == np.uint8
    assert label.spacing == spacing
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.tif", "one_label.tif"]


def test_published_pairs_need_a_spacing_and_lose_background_and_stretch(tmp_path):
    _published(tmp_path, "b")
    _published(tmp_path, "a")
    with pytest.raises(InputError, match=re.escape("a.tif: the file gives no voxel size; give")):
        read_library(tmp_path)
    first, second = read_library(tmp_path, SPACING)
    assert (first.name, second.name) == ("a", "b")
    assert first.brightness == pytest.approx(1.0)
    assert first.volume_um3 == pytest.approx(6 * 8 * 8 * 0.25, rel=2e-3)
    assert first.intensity[first.inside] == pytest.approx(1.0)


def test_a_given_spacing_takes_the_place_of_the_files(tmp_path, ellipsoid):
    phantom = ellipsoid()
    write_phantom(tmp_path, replace(phantom, name="one"))
    (again,) = read_library(tmp_path, (1.0, 1.0, 1.0))
    assert again.volume_um3 == pytest.approx(8 * phantom.volume_um3, rel=2e-3)


def test_only_the_largest_piece_of_one_label_is_kept(tmp_path):
    label = np.zeros((8, 12, 12), np.uint8)
    label[1:7, 2:10, 2:8] = 7  # 288 voxels
    label[1:7, 2:10, 8:10] = 9  # a neighbour that touches it
    label[1:3, 11, 11] = 7  # a crumb
    _published(tmp_path, label=label)
    (phantom,) = read_library(tmp_path, (1.0, 1.0, 1.0))
    assert phantom.volume_um3 == pytest.approx(288, rel=0.01)


def _empty(folder):
    pass


def _only_image(folder):
    _published(folder)
    (folder / "a_label.tif").unlink()


def _only_label(folder):
    _published(folder)
    _published(folder, "b")
    (folder / "a.tif").unlink()


def _other_shape(folder):
    _published(folder, label=np.ones((8, 12, 11), np.uint8))


def _empty_label(folder):
    _published(folder, label=np.zeros((8, 12, 12), np.uint8))


def _dark(folder):
    image, _ = _published(folder)
    tifffile.imwrite(folder / "a.tif", 255 - image)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_empty, "expected pairs <name>.tif and <name>_label.tif, found none"),
        (_only_image, "a.tif: expected its label a_label.tif, found none"),
        (_only_label, "a_label.tif: expected its image a.tif, found none"),
        (_other_shape, "a_label.tif: expected a 3D label of the image's shape (8, 12, 12), found"),
        (_empty_label, "a_label.tif: expected a nucleus (nonzero voxels), found an empty label"),
        (_dark, "a.tif: expected a nucleus brighter than its surroundings, found none"),
    ],
)
def test_what_is_wrong_with_a_library_is_one_line(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(InputError, match=re.escape(message)) as error:
        read_library(tmp_path, SPACING)
    assert "\n" not in str(error.value)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder of phantoms"):
        read_library(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["", "a_label"])
def test_names_that_could_not_be_read_again_are_refused(tmp_path, ellipsoid, name):
    with pytest.raises(InputError, match="expected a name that does not end in _label"):
        write_phantom(tmp_path, replace(ellipsoid(), name=name))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"volume_um3": "large"}, "volume_um3 must be a positive number, found 'large'"),
        ({"volume_um3": -5.0}, "volume_um3 must be a positive number, found -5.0"),
        (
            {"volume_um3": 1e300},
            "expected a volume_um3 like that of the label, 27 voxels, found 1e",
        ),
        (
            {"volume_um3": 27.0, "volume_ratio": 0},
            "volume_ratio must be a positive number, found 0",
        ),
    ],
)
def test_numbers_of_a_phantom_that_make_no_sense_are_refused(tmp_path, metadata, message):
    mask = np.zeros((9, 9, 9), np.uint8)
    mask[3:6, 3:6, 3:6] = 1
    image = Volume(mask.astype(np.float32), (1.0, 1.0, 1.0), "ZYX", metadata)
    write(tmp_path / "n.tif", image)
    write(tmp_path / "n_label.tif", Volume(mask, (1.0, 1.0, 1.0)))
    with pytest.raises(InputError, match=re.escape(f"n.tif: {message}")):
        read_library(tmp_path)


@pytest.mark.parametrize("light", [np.nan, np.inf, 1e308])
def test_a_phantom_of_endless_light_is_refused(tmp_path, light):
    mask = np.zeros((9, 9, 9), np.uint8)
    mask[3:6, 3:6, 3:6] = 1
    write(tmp_path / "n.tif", Volume(np.where(mask, light, 0.0), (1.0, 1.0, 1.0)))
    write(tmp_path / "n_label.tif", Volume(mask, (1.0, 1.0, 1.0)))
    with pytest.raises(InputError, match=r"n\.tif: expected finite intensities, found NaN or inf"):
        read_library(tmp_path)
