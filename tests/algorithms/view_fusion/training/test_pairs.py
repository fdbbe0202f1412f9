import shutil

import h5py
import numpy as np
import pytest
from view_pairs import (
    FUSED,
    SHAPE,
    SPACING,
    challenge,
    dataset,
    fused_of,
    pairs,
    published,
    two_folders,
    volume,
)

from cytosuite.algorithms.view_fusion.channels import maps_of
from cytosuite.algorithms.view_fusion.intensity import to_network, units_of
from cytosuite.algorithms.view_fusion.training.pairs import MESH, find_pairs, load_pairs
from cytosuite.errors import InputError
from cytosuite.formats import read, write
from cytosuite.tasks import VIEW, VIEW_FOLDER

CROP = (8, 16, 16)
LAYOUTS = [dataset, two_folders, challenge, published]


def _load(folder, inputs=(), crop=CROP, **given):
    return load_pairs(folder, ["*"], crop, inputs, **given)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_views_are_found_with_their_fused_images_in_every_layout(layout, tmp_path):
    found = _load(layout(tmp_path))
    assert len(found) == 3
    order = [next(n for n in "012" if n in each.path.stem) for each in found]
    assert order == sorted(order)
    for each, (view, fused) in zip(found, pairs(), strict=True):
        for stored, counts in ((each.view, view), (each.fused, fused)):
            np.testing.assert_allclose(stored, to_network(counts, units_of(counts)), atol=2e-3)
        assert each.shape == SHAPE


@pytest.mark.parametrize(
    ("layout", "channel", "study"),
    [
        (dataset, "nucleus", 3),
        (two_folders, "membrane", None),
        (challenge, "membrane", None),
        (published, "nucleus", 1),  # of the folder Study1_H5
    ],
)
def test_metadata_come_from_files_and_names(layout, channel, study, tmp_path):
    for each in _load(layout(tmp_path)):
        assert (each.channel, each.study) == (channel, study)
        assert each.spacing == (None if layout is published else SPACING)


def test_images_are_mapped_as_numbers_of_16_bits(tmp_path):
    (each,) = _load(dataset(tmp_path, 1))
    for array in (each.view, each.fused):
        assert isinstance(array, np.memmap)
        assert array.dtype == np.float16
    assert each.places.dtype == np.uint16


def test_units_are_those_of_each_whole_image(tmp_path):
    for each in _load(dataset(tmp_path)):
        for array in (each.view, each.fused):
            low, high = np.percentile(array.astype(np.float64), (2, 99.8))
            assert (low, high) == pytest.approx((0, 1), abs=5e-3)


def test_the_input_is_the_view_and_maps_of_all_of_it(tmp_path):
    (each,) = _load(dataset(tmp_path, 1), ("light", "distance"))
    view = read(each.path)
    box = (slice(2, 10), slice(8, 24), slice(20, 36))
    found = each.channels(box)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[0], each.view[box])
    for values, expected in zip(
        found[1:], maps_of(view.array, SPACING, ("light", "distance")), strict=True
    ):
        np.testing.assert_array_equal(values, expected.read(box))
    assert found[1:].any()


def test_the_foreground_is_at_or_above_the_mean(tmp_path):
    for each in _load(dataset(tmp_path)):
        assert (each.places % MESH == 0).all()
        values = each.fused[tuple(each.places.T)]
        mean = each.fused.mean(dtype=np.float64)
        assert values.min() >= mean
        grid = each.fused[tuple(slice(None, None, step) for step in MESH)]
        assert len(values) == (grid >= mean).sum()
        assert 0.05 < len(values) / grid.size < 0.6


def test_a_constant_image_is_foreground_throughout(tmp_path):
    for role in ("angle", "fused"):
        write(tmp_path / f"a_{role}.tif", volume(np.full(SHAPE, 7, np.uint16)))
    (each,) = _load(tmp_path)
    assert not each.fused.any()
    assert len(each.places) == 7 * 10 * 9


def test_a_small_image_goes_on_beyond_its_far_sides(tmp_path):
    crop = (16, 48, 16)
    (each,) = _load(dataset(tmp_path, 1), ["distance"], crop)
    assert each.view.shape == each.fused.shape == (16, 48, 36)
    assert each.shape == SHAPE
    np.testing.assert_array_equal(each.view[14:], each.view[[13, 13]])
    np.testing.assert_array_equal(each.fused[:, 40:], each.fused[:, [39] * 8])
    found = each.channels(tuple(slice(n) for n in each.view.shape))
    np.testing.assert_array_equal(found[:, 14], found[:, 13])
    np.testing.assert_allclose(found[1, 13, 40], found[1, 13, 39])


def test_a_voxel_size_that_no_file_gives_can_be_given(tmp_path):
    published(tmp_path, 1)
    plain, told = _load(tmp_path, ["distance"]), _load(tmp_path, ["distance"], spacing=SPACING)
    assert plain[0].maps[0].stride == (1, 1, 1)
    assert told[0].maps[0].stride == (1, 2, 2)
    assert told[0].spacing is None
    own = _load(dataset(tmp_path / "own", 1), ["distance"], spacing=(9.0, 1.0, 1.0))
    assert own[0].maps[0].stride == (1, 2, 2)


def test_patterns_choose_among_the_views(tmp_path):
    folder = challenge(tmp_path)
    for role in ("angle", "fused"):
        write(folder / f"image_7_nucleus_{role}.tif", volume(fused_of()))
    assert len(find_pairs(folder, ["*"])) == 4
    assert [view.stem for view, _ in find_pairs(folder, ["*_nucleus_*"])] == [
        "image_7_nucleus_angle"
    ]


def test_the_platforms_folders_and_letters_are_found(tmp_path):
    folder = two_folders(tmp_path, 1)
    (folder / VIEW).rename(folder / VIEW_FOLDER)
    (folder / FUSED).rename(folder / f"fused-{VIEW_FOLDER}")
    ((view, fused),) = find_pairs(folder, ["*"])
    assert view == folder / VIEW_FOLDER / "a_0.tif"
    assert fused.parent.name == f"fused-{VIEW_FOLDER}"
    loud = tmp_path / "loud"
    write(loud / "A_ANGLE.tif", volume(fused_of()))
    write(loud / "A_Fused.tiff", volume(fused_of()))
    assert find_pairs(loud, ["*"]) == [(loud / "A_ANGLE.tif", loud / "A_Fused.tiff")]


def test_a_row_of_a_list_may_leave_the_fused_image_to_its_name(tmp_path):
    folder = published(tmp_path, 1)
    listed = folder / "Study1_nucleus_train.csv"
    row = listed.read_text()
    listed.write_text(row.split(";")[0] + "\n")
    ((_, fused),) = find_pairs(folder, ["*"])
    assert fused == folder / row.strip().split(";")[1]


@pytest.mark.parametrize("layout", [dataset, two_folders, challenge])
def test_a_view_without_its_fused_image_is_refused_by_the_name_of_the_file(layout, tmp_path):
    folder = layout(tmp_path)
    view, fused = find_pairs(folder, ["*"])[1]
    fused.unlink()
    with pytest.raises(InputError) as caught:
        find_pairs(folder, ["*"])
    message = str(caught.value)
    assert message.startswith(f"{view}: expected its fused image {fused}, found none")
    assert "\n" not in message


def test_a_list_that_names_a_missing_file_is_refused(tmp_path):
    folder = published(tmp_path)
    (folder / "Study1_H5" / "image_1_nucleus_fused.h5").unlink()
    with pytest.raises(InputError, match=r"row 2: no such file: .*image_1_nucleus_fused\.h5"):
        find_pairs(folder, ["*"])


def test_folders_without_pairs_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected images"):
        find_pairs(tmp_path / "nowhere", ["*"])
    write(tmp_path / "plain" / "a.tif", volume(fused_of()))
    with pytest.raises(InputError, match=r"a\.tif: expected views .* found none of these"):
        find_pairs(tmp_path / "plain", ["*"])
    write(tmp_path / "alone" / "a_fused.tif", volume(fused_of()))
    with pytest.raises(InputError, match="found fused images alone"):
        find_pairs(tmp_path / "alone", ["*"])
    with pytest.raises(InputError, match="names like x"):
        find_pairs(challenge(tmp_path / "pairs"), ["x"])


def _alter(folder, array, role="fused"):
    write(folder / f"image_0_membrane_{role}.tif", volume(array))
    return folder


def shape_differs(folder):
    """image_0_membrane_angle.tif: expected a fused image of the view's shape (14, 40, 36), found"""
    return _alter(folder, fused_of()[1:])


def view_is_not_finite(folder):
    """image_0_membrane_angle.tif: expected finite grey values, found NaN or infinity"""
    return _alter(folder, np.where(fused_of() > 500, np.nan, 1).astype(np.float32), "angle")


def fused_image_is_not_finite(folder):
    """image_0_membrane_fused.tif: expected finite grey values, found NaN or infinity"""
    return _alter(folder, np.where(fused_of() > 500, np.inf, 1).astype(np.float32))


def view_is_a_plane(folder):
    """image_0_membrane_angle.tif: expected a volume with the axes ZYX, found YX"""
    plane = volume(fused_of())
    array = type(plane)(plane.array[0], SPACING[1:], "YX")
    write(folder / "image_0_membrane_angle.tif", array)
    return folder


def fused_image_is_no_image(folder):
    """image_0_membrane_fused.tif"""
    (folder / "image_0_membrane_fused.tif").write_bytes(b"II*\0 and no more")
    return folder


@pytest.mark.parametrize(
    "mistake",
    [
        shape_differs,
        view_is_not_finite,
        fused_image_is_not_finite,
        view_is_a_plane,
        fused_image_is_no_image,
    ],
)
def test_wrong_pairs_are_refused_in_one_line(mistake, tmp_path):
    folder = mistake(challenge(tmp_path))
    with pytest.raises(InputError) as caught:
        _load(folder)
    assert mistake.__doc__ in str(caught.value)
    assert "\n" not in str(caught.value)


def test_hidden_files_are_no_views(tmp_path):
    folder = challenge(tmp_path)
    shutil.copy(folder / "image_0_membrane_angle.tif", folder / "._image_9_membrane_angle.tif")
    assert len(find_pairs(folder, ["*"])) == 3


def test_the_published_files_need_no_maps_of_their_own(tmp_path):
    folder = published(tmp_path, 1)
    with h5py.File(folder / "Study1_H5" / "image_0_nucleus_angle.h5", "a") as file:
        del file["data/light_map"], file["data/surface_distance"]
    (each,) = _load(folder, ["light", "distance"])
    assert len(each.maps) == 2
