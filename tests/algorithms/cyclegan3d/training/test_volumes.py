import numpy as np
import pytest
from unpaired import SPACING, real, real_folder, simulated, simulated_dataset

from cytosuite.algorithms.cyclegan3d.intensity import to_network
from cytosuite.algorithms.cyclegan3d.training.volumes import in_grey_values_of, load_items
from cytosuite.errors import InputError
from cytosuite.formats import write
from cytosuite.normalise import Target, background_of
from cytosuite.training import images as module
from cytosuite.training.images import find_images
from cytosuite.volume import Volume

CROP = (4, 8, 8)


def _names(found):
    return [path.stem for path, _ in found]


def _write(path, array, axes="ZYX"):
    write(path, Volume(array, SPACING[3 - len(axes.replace("C", "")) :], axes))
    return path


def _load(folder, patterns=("*",), scale="background", crop=CROP, labelled=True, **more):
    return load_items(folder, patterns, scale, crop, labelled=labelled, **more)


def test_a_dataset_gives_its_images_and_labels(tmp_path):
    found = find_images(simulated_dataset(tmp_path), ["*"])
    assert _names(found) == ["s_0", "s_1", "s_2"]
    for path, twin in found:
        assert path.parent.name == "microscopy-image"
        assert twin == path.parent.parent / "instance-labels" / path.name


def test_a_folder_of_images_and_labels(tmp_path):
    for name in ("b", "a"):
        _write(tmp_path / "images" / f"{name}.tif", simulated()[0])
    _write(tmp_path / "labels" / "a.tiff", simulated()[1])
    found = find_images(tmp_path, ["*"])
    assert _names(found) == ["a", "b"]
    assert [twin for _, twin in found] == [tmp_path / "labels" / "a.tiff", None]


def test_a_flat_and_a_nested_folder_as_the_published_program_takes(tmp_path):
    for place in ("b.tif", "a/deep/er.tiff", "a/c.TIF", "a/.hidden.tif"):
        path = _write(tmp_path / place.replace("TIF", "tif"), real())
        path.rename(tmp_path / place)
    (tmp_path / "a" / "notes.txt").write_text("no image")
    (tmp_path / "a" / "folder.tif").mkdir()
    found = find_images(tmp_path, ["*"])
    assert sorted(_names(found)) == ["b", "c", "er"]
    assert all(twin is None for _, twin in found)
    assert found == find_images(tmp_path, ["*"])


def test_patterns_choose_by_name(tmp_path):
    folder = real_folder(tmp_path)
    assert _names(find_images(folder, ["r_1"])) == ["r_1"]
    assert _names(find_images(folder, ["r_[02]", "x*"])) == ["r_0", "r_2"]


def test_explains_a_folder_without_images(tmp_path):
    message = (
        r"expected images \(.mha, .tif, .tiff, .ozx\) with names like e_\*, x, found 3 of other"
    )
    with pytest.raises(InputError, match=message):
        find_images(real_folder(tmp_path / "real"), ["e_*", "x"])
    for number, layout in enumerate(("cases/a", "images", "deep/er")):
        (tmp_path / str(number) / layout).mkdir(parents=True)
        with pytest.raises(InputError, match="found 0 of other names"):
            find_images(tmp_path / str(number), ["*"])
    with pytest.raises(InputError, match="expected images"):
        find_images(tmp_path / "nowhere", ["*"])


def test_an_item_holds_the_image_in_units_of_the_network(tmp_path):
    items = _load(simulated_dataset(tmp_path, 1))
    image, labels = simulated()
    expected = to_network(image, "background")
    assert items[0].image.dtype == np.float16
    np.testing.assert_allclose(items[0].image[0], expected, atol=2e-3)
    np.testing.assert_array_equal(items[0].labels, labels)
    assert (items[0].labels.dtype, items[0].shape) == (np.int32, image.shape)
    assert items[0].spacing == SPACING
    assert items[0].twin.is_file()


def test_both_scales_are_those_of_the_inference(tmp_path):
    folder = real_folder(tmp_path, 1)
    for scale in ("background", "dtype"):
        expected = to_network(real(), scale)
        np.testing.assert_allclose(_load(folder, scale=scale)[0].image[0], expected, atol=2e-3)


def test_a_grey_count_of_integers_is_known_where_crops_are_dithered(tmp_path):
    _write(tmp_path / "a" / "a.tif", real())
    _write(tmp_path / "b" / "b.tif", real().astype(np.float32))
    assert _load(tmp_path / "a")[0].counts == _load(tmp_path / "b", dithered=True)[0].counts == ()
    (item,) = _load(tmp_path / "a", dithered=True)
    assert item.counts == pytest.approx([1 / 3 / background_of(real()).sd], rel=1e-3)
    (item,) = _load(tmp_path / "a", scale="dtype", dithered=True)
    assert item.counts == pytest.approx([2 / 65535], rel=0.01)
    # Each count of 16 bits is kept apart.
    np.testing.assert_array_equal(np.rint((item.image[0] + 1) * (65535 / 2)), real())
    target = Target(mean=100, sd=4, dtype="uint16")
    for image, counts in ((real(), [1 / 12]), (real().astype(np.float32), [])):
        item = in_grey_values_of(item, image, target, CROP)
        assert item.counts == pytest.approx(counts, rel=1e-3)
        assert item.scale == "style"


def test_an_item_is_mapped_and_leaves_no_file(tmp_path, monkeypatch):
    folder = simulated_dataset(tmp_path / "data", 1)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(module, "TemporaryFile", _in(tmp_path / "tmp"))
    item = _load(folder)[0]
    assert isinstance(item.image, np.memmap)
    assert isinstance(item.labels, np.memmap)
    assert not list((tmp_path / "tmp").iterdir())
    assert item.image.std() > 0


def _in(folder):
    """Return the maker of temporary files, in a folder."""
    original = module.TemporaryFile
    return lambda: original(dir=folder)


def test_channels_are_scaled_one_by_one(tmp_path):
    image = np.stack([real(0), 3 * real(1)])
    _write(tmp_path / "a.tif", image, "CZYX")
    item = _load(tmp_path)[0]
    assert (item.image.shape, item.shape) == (image.shape, image.shape[1:])
    expected = [to_network(channel, "background") for channel in image]
    np.testing.assert_allclose(item.image, expected, atol=2e-3)


def test_volumes_smaller_than_a_crop_go_on_with_their_border(tmp_path):
    image, labels = simulated()
    item = _load(simulated_dataset(tmp_path, 1), crop=(16, 8, 32))[0]
    assert item.image.shape == (1, 16, 24, 32)
    assert item.labels.shape == (16, 24, 32)
    assert item.shape == image.shape == (10, 24, 20)
    np.testing.assert_array_equal(item.labels[:10, :, :20], labels)
    np.testing.assert_array_equal(item.image[0, 10:], np.repeat(item.image[0, 9:10], 6, 0))
    np.testing.assert_array_equal(item.image[..., 20:], np.repeat(item.image[..., 19:20], 12, -1))


@pytest.mark.parametrize("axes", ["YX", "TZYX"])
def test_only_volumes_are_taken(axes, tmp_path):
    array = real()[0] if axes == "YX" else np.stack([real(), real()])
    write(tmp_path / "a.tif", Volume(array, SPACING[-2:] if axes == "YX" else SPACING, axes))
    with pytest.raises(InputError, match=rf"a\.tif: expected a volume .* found {axes}"):
        _load(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(value, tmp_path):
    image = real().astype(np.float32)
    image[3, 4, 5] = value
    _write(tmp_path / "a.tif", image)
    with pytest.raises(InputError, match=r"a\.tif: .*(NaN|finite)"):
        _load(tmp_path)


def test_labels_of_another_shape_are_refused(tmp_path):
    folder = simulated_dataset(tmp_path, 1)
    twin = find_images(folder, ["*"])[0][1]
    _write(twin, simulated()[1][:-1])
    with pytest.raises(InputError, match=r"s_0\.tif: expected labels of the shape .*found \(9,"):
        _load(folder)
    assert _load(folder, labelled=False)[0].labels is None


def test_labels_that_are_not_wanted_are_never_opened(tmp_path):
    folder = simulated_dataset(tmp_path, 2)
    for _, twin in find_images(folder, ["*"]):
        twin.write_bytes(b"broken")
    items = _load(folder, labelled=False)
    assert [item.labels for item in items] == [None, None]
    with pytest.raises(InputError, match="s_0"):
        _load(folder)


def test_a_broken_image_is_named(tmp_path):
    folder = real_folder(tmp_path, 2)
    (folder / "r_1.tif").write_bytes(b"II*\0broken")
    with pytest.raises(InputError, match=r"r_1\.tif"):
        _load(folder)
