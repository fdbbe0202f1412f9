from dataclasses import replace

import numpy as np
import pytest
import tifffile
from mistakes import refused
from rasters import away_from

from cytosuite.datasets.phantoms.library import (
    draw_rotations,
    enclosed_um3,
    from_mask,
    moments,
    read_library,
    signed_distance,
    write_phantom,
)
from cytosuite.formats import read, write
from cytosuite.volume import Volume

SPACING = (1.0, 0.5, 0.5)


def _ball(spacing):
    counts = np.ceil(np.divide(5, spacing)).astype(int) + 4
    return away_from(counts + 0.2, 2 * counts + 1, spacing)


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.5), (1.0, 0.5, 0.5), (1.75, 0.8, 0.8)])
def test_distance_to_a_ball_is_right_to_a_fraction_of_a_voxel(spacing):
    away = _ball(spacing)
    distance = signed_distance(away < 5, spacing)
    error = (distance - (away - 5))[abs(away - 5) < 1.5]
    assert np.sqrt((error**2).mean()) < 0.13 * max(spacing)
    assert abs(error.mean()) < 0.05 * max(spacing)
    assert distance.dtype == np.float32


@pytest.mark.parametrize("target", [None, 480.0, 560.0])
def test_the_surface_encloses_the_volume_asked_for(target):
    spacing = (1.0, 0.6, 0.6)
    mask = _ball(spacing) < 5
    distance = signed_distance(mask, spacing, target)
    expected = np.count_nonzero(mask) * np.prod(spacing) if target is None else target
    assert enclosed_um3(distance, spacing) == pytest.approx(expected, rel=1e-3)


def test_moments_of_a_box_are_exact():
    inside = np.zeros((9, 9, 9), bool)
    inside[1:5, 2:8, 3:6] = True  # 4 x 6 x 3 voxels
    centre, covariance = moments(inside, (2.0, 1.0, 1.0), 100.0)
    assert centre == pytest.approx([5.0, 4.5, 4.0])
    assert covariance[0, 0] / covariance[1, 1] == pytest.approx((8 / 6) ** 2)
    axes = np.sqrt(5 * np.linalg.eigvalsh(covariance))
    assert 4 / 3 * np.pi * axes.prod() == pytest.approx(100.0)


@pytest.mark.parametrize("tilt", [180.0, 30.0, 0.0])
def test_rotations_keep_to_their_limits(tilt, rng):
    rotations = draw_rotations(rng, 3000, tilt)
    assert rotations @ rotations.transpose(0, 2, 1) == pytest.approx(
        np.broadcast_to(np.eye(3), rotations.shape), abs=1e-12
    )
    assert np.linalg.det(rotations) == pytest.approx(1)
    cosine = rotations[:, 0, 0]
    assert cosine.min() >= np.cos(np.deg2rad(tilt)) - 1e-12
    assert cosine.mean() == pytest.approx((1 + np.cos(np.deg2rad(tilt))) / 2, abs=0.03)
    if tilt == 180:  # uniform: no direction is preferred
        assert abs(rotations.mean(axis=0)).max() < 0.05
        assert (rotations**2).mean(axis=0) == pytest.approx(np.full((3, 3), 1 / 3), abs=0.03)


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


def test_a_label_without_light_is_no_phantom():
    mask = np.pad(np.ones((3, 3, 3), bool), 2)
    refused(
        "phantom dark: expected light inside the label",
        from_mask,
        "dark",
        np.zeros(mask.shape, np.float32),
        mask,
        SPACING,
    )


def test_what_is_written_is_read_again(tmp_path, ellipsoid):
    spacing = (1.5, 0.6, 0.6)
    phantom = ellipsoid((6.0, 4.0, 5.0), spacing, brightness=0.8, ramp=0.3)
    write_phantom(tmp_path, replace(phantom, name="one"))
    (again,) = read_library(tmp_path)
    assert again.name == "one"
    assert again.spacing == spacing
    assert again.volume_um3 == pytest.approx(phantom.volume_um3, rel=2e-3)
    assert again.brightness == pytest.approx(phantom.brightness, rel=0.02)
    assert again.distance.shape == phantom.distance.shape
    moved = abs(again.distance - phantom.distance)[abs(phantom.distance) < 1]
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
    refused("a.tif: the file gives no voxel size; give", read_library, tmp_path)
    first, second = read_library(tmp_path, SPACING)
    assert (first.name, second.name) == ("a", "b")
    assert first.brightness == pytest.approx(1.0)
    assert first.volume_um3 == pytest.approx(6 * 8 * 8 * 0.25, rel=2e-3)
    assert first.intensity[first.inside] == pytest.approx(1.0)


def test_only_the_largest_piece_of_one_label_is_kept(tmp_path):
    label = np.zeros((8, 12, 12), np.uint8)
    label[1:7, 2:10, 2:8] = 7  # 288 voxels
    label[1:7, 2:10, 8:10] = 9  # a neighbour that touches it
    label[1:3, 11, 11] = 7  # a crumb
    _published(tmp_path, label=label)
    (phantom,) = read_library(tmp_path, (1.0, 1.0, 1.0))
    assert phantom.volume_um3 == pytest.approx(288, rel=0.01)


def test_what_is_wrong_with_a_library_is_one_line(tmp_path):
    image, _ = _published(tmp_path)
    other = np.ones((8, 12, 11), np.uint8)
    for name, array, message in (
        ("a", 255 - image, "a.tif: expected a nucleus brighter than its surroundings, found none"),
        ("a_label", other, "expected a 3D label of the image's shape (8, 12, 12), found"),
        (
            "a_label",
            np.zeros((8, 12, 12), np.uint8),
            "a_label.tif: expected a nucleus (nonzero voxels), found an empty label",
        ),
        ("a_label", None, "a.tif: expected its label a_label.tif, found none"),
        ("a", None, "expected pairs <name>.tif and <name>_label.tif, found none"),
    ):
        path = tmp_path / f"{name}.tif"
        path.unlink() if array is None else tifffile.imwrite(path, array)
        refused(message, read_library, tmp_path, SPACING)
    _published(tmp_path)
    (tmp_path / "a.tif").unlink()
    refused("a_label.tif: expected its image a.tif", read_library, tmp_path, SPACING)


@pytest.mark.parametrize("name", ["", "a_label"])
def test_names_that_could_not_be_read_again_are_refused(tmp_path, ellipsoid, name):
    refused(
        "expected a name that does not end in _label",
        write_phantom,
        tmp_path,
        replace(ellipsoid(), name=name),
    )


@pytest.mark.parametrize(
    "light, metadata, message",
    [
        (1.0, {"volume_um3": "large"}, "volume_um3 must be a positive number, found 'large'"),
        (1.0, {"volume_um3": 1e300}, "expected a volume_um3 like that of the label, 27 voxels"),
        (1.0, {"volume_um3": 27.0, "volume_ratio": 0}, "volume_ratio must be a positive number"),
        (np.inf, {}, "expected finite intensities, found NaN or infinity"),
        (1e308, {}, "expected finite intensities, found NaN or infinity"),
    ],
)
def test_numbers_of_a_phantom_that_make_no_sense_are_refused(tmp_path, light, metadata, message):
    mask = np.zeros((9, 9, 9), np.uint8)
    mask[3:6, 3:6, 3:6] = 1
    write(tmp_path / "n.tif", Volume(np.where(mask, light, 0.0), (1.0, 1.0, 1.0), "ZYX", metadata))
    write(tmp_path / "n_label.tif", Volume(mask, (1.0, 1.0, 1.0)))
    refused(f"n.tif: {message}", read_library, tmp_path)
