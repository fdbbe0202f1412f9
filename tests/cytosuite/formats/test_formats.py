import re

import h5py
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile
from PIL import Image

from cytosuite.errors import InputError
from cytosuite.formats import header, read, write
from cytosuite.formats.metaimage import write_metaimage
from cytosuite.volume import Header, Volume

SUFFIXES = [".tif", ".mha", ".h5"]
DTYPES = ["uint8", "uint16", "int32", "uint32", "float32"]


def _volume(shape=(3, 5, 7), dtype="uint16", spacing=(2.0, 0.25, 0.2)):
    values = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    axes = "ZYX"[-len(shape) :]
    return Volume(values, spacing[-len(shape) :], axes, {"channel": "nucleus", "study": 2})


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 5, 7), (5, 7), (1, 5, 7)])
def test_what_is_written_is_read(tmp_path, suffix, dtype, shape):
    volume = _volume(shape, dtype)
    write(tmp_path / f"a{suffix}", volume)
    found = read(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(found.array, volume.array)
    assert found.array.dtype == volume.array.dtype
    assert found.spacing == pytest.approx(volume.spacing, rel=1e-9)
    assert found.axes == volume.axes
    assert dict(found.metadata) == dict(volume.metadata)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_unknown_voxel_size_stays_unknown(tmp_path, suffix):
    volume = Volume(np.zeros((4, 5), np.uint8), (1, 1), "YX", {"spacing_source": "assumed"})
    write(tmp_path / f"a{suffix}", volume)
    assert read(tmp_path / f"a{suffix}").spacing_is_assumed


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_compression_changes_no_pixel(tmp_path, suffix, compress):
    write(tmp_path / f"a{suffix}", _volume(), compress=compress)
    np.testing.assert_array_equal(read(tmp_path / f"a{suffix}").array, _volume().array)


def test_tiff_carries_its_resolution_in_pixels_per_centimetre(tmp_path):
    write(tmp_path / "a.tif", _volume())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        tags = file.pages[0].tags
        assert tags["ResolutionUnit"].value == 3
        assert tags["XResolution"].value[0] / tags["XResolution"].value[1] == pytest.approx(
            1e4 / 0.2
        )
        assert tags["YResolution"].value[0] / tags["YResolution"].value[1] == pytest.approx(
            1e4 / 0.25
        )


def test_metaimage_stores_millimetres(tmp_path):
    write(tmp_path / "a.mha", _volume())
    assert sitk.ReadImage(str(tmp_path / "a.mha")).GetSpacing() == pytest.approx(
        (0.0002, 0.00025, 0.002)
    )


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "int64", "float32", "float64"])
def test_metaimage_is_written_as_itk_writes_it(tmp_path, dtype, compress):
    metadata = {"study": 2, "channel": "nucleus", "A": "x  y", "gain": 0.1}
    array = np.arange(60).reshape(3, 4, 5).astype(dtype)
    write(
        tmp_path / "a.mha", Volume(array, (2.0, 0.25, 0.1 / 3), "ZYX", metadata), compress=compress
    )
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([0.1 / 3 / 1000, 0.25 / 1000, 2.0 / 1000])
    for key, text in {**metadata, "A": "x y"}.items():
        image.SetMetaData(key, str(text))
    sitk.WriteImage(image, str(tmp_path / "b.mha"), useCompression=compress)
    ours, theirs = ((tmp_path / name).read_bytes() for name in ("a.mha", "b.mha"))
    if compress:  # the deflated bytes are those of another version of zlib
        ours, theirs = (
            re.sub(rb"DataSize = .*|LOCAL\n(?s:.*)", b"", file) for file in (ours, theirs)
        )
    assert ours == theirs
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.mha"))), array
    )


def test_metaimage_of_a_plane_and_of_foreign_bytes_is_read_by_itk(tmp_path):
    array = np.arange(12, dtype=">u2").reshape(3, 4)[:, ::-1]
    write(tmp_path / "a.mha", Volume(array, (0.5, 0.25), "YX"))
    found = sitk.ReadImage(str(tmp_path / "a.mha"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found), array)
    assert found.GetSpacing() == (0.00025, 0.0005)


@pytest.mark.parametrize("dtype", ["bool", "float16"])
def test_metaimage_refuses_a_dtype_that_it_lacks(tmp_path, dtype):
    with pytest.raises(InputError, match=f"MetaImage cannot hold dtype {dtype}"):
        write_metaimage(
            tmp_path / "a.mha", Volume(np.zeros((3, 4), dtype), (1.0, 1.0), "YX"), False
        )


def test_imagej_files_are_read(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((4, 5, 6), np.uint16),
        imagej=True,
        resolution=(1 / 0.3, 1 / 0.4),
        metadata={"axes": "ZYX", "spacing": 2.5, "unit": "micron"},
    )
    found = read(tmp_path / "a.tif")
    assert found.axes == "ZYX"
    assert found.spacing == pytest.approx((2.5, 0.4, 0.3), rel=1e-4)
    assert not found.spacing_is_assumed


def test_imagej_pixels_without_unit_are_no_voxel_size(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), np.uint16), imagej=True)
    assert read(tmp_path / "a.tif").spacing_is_assumed


def test_ome_files_are_read(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        np.zeros((4, 5, 6), np.uint16),
        metadata={
            "axes": "ZYX",
            "PhysicalSizeX": 300.0,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 0.4,
            "PhysicalSizeYUnit": "µm",
            "PhysicalSizeZ": 2.5,
            "PhysicalSizeZUnit": "µm",
        },
    )
    assert read(tmp_path / "a.ome.tif").spacing == pytest.approx((2.5, 0.4, 0.3))


def test_fusion_challenge_metadata_are_read(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((4, 128, 128), np.uint16),
        tile=(128, 128),
        photometric="minisblack",
        metadata={
            "axes": "ZYX",
            "spacing": 1.5,
            "PhysicalSizeX": "0.2",
            "PhysicalSizeY": "0.3",
            "unit": "um",
            "channel": "membrane",
            "study": 4,
        },
    )
    found = read(tmp_path / "a.tif")
    assert found.spacing == pytest.approx((1.5, 0.3, 0.2))
    assert found.metadata["channel"] == "membrane"
    assert found.metadata["study"] == 4
    assert "spacing" not in found.metadata


def test_screen_resolution_is_no_voxel_size(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 9), np.uint8), resolution=(72, 72))
    assert read(tmp_path / "a.tif").spacing_is_assumed


def test_a_plane_with_size_and_no_step_says_that_it_guesses(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((4, 9, 9), np.uint8),
        resolution=(2e4, 2e4),
        resolutionunit="CENTIMETER",
        photometric="minisblack",
    )
    found = read(tmp_path / "a.tif")
    assert found.spacing == pytest.approx((0.5, 0.5, 0.5))
    assert found.spacing_is_assumed


def test_unnamed_pages_are_slices(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for _ in range(3):
            file.write(np.zeros((8, 9), np.uint8), contiguous=False, metadata=None)
    assert read(tmp_path / "a.tif").axes in {"ZYX", "YX"}


def test_axes_are_put_in_order(tmp_path):
    array = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    tifffile.imwrite(tmp_path / "a.tif", array, metadata={"axes": "ZCYX"}, photometric="minisblack")
    found = read(tmp_path / "a.tif")
    assert found.axes == "CZYX"
    np.testing.assert_array_equal(found.array, array.transpose(1, 0, 2, 3))


@pytest.mark.parametrize("suffix", [".tif", ".mha"])
@pytest.mark.parametrize("shape", [(3, 5, 7), (5, 7)])
def test_the_header_is_that_of_the_volume(tmp_path, suffix, shape):
    write(tmp_path / f"a{suffix}", _volume(shape, "uint32"))
    volume = read(tmp_path / f"a{suffix}")
    expected = Header(volume.shape, volume.array.dtype, volume.spacing, volume.axes)
    assert header(tmp_path / f"a{suffix}") == expected


def test_the_header_of_a_cut_file_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 60000, (3, 50, 70), np.uint16)
    write(tmp_path / "a.tif", Volume(noise, (2.0, 0.5, 0.5)))
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[:-500])
    with pytest.raises(InputError, match="cut or broken"):
        header(tmp_path / "a.tif")


def test_voxels_of_one_micrometre_are_known_voxels(tmp_path):
    write(tmp_path / "a.mha", Volume(np.zeros((3, 4, 5), np.uint8), (1.0, 1.0, 1.0)))
    assert not read(tmp_path / "a.mha").spacing_is_assumed


@pytest.mark.parametrize("mode", ["L", "I;16"])
def test_grey_pictures_are_read(tmp_path, mode):
    array = np.arange(12, dtype=np.uint8 if mode == "L" else np.uint16).reshape(3, 4)
    Image.fromarray(array).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png").array, array)


def _rgb_png(folder):
    """expected a grey image, found a colour image of shape (4, 5, 3); give one channel"""
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(folder / "a.png")
    return folder / "a.png"


def _rgb_tiff(folder):
    """expected a grey image, found a colour image of shape (4, 5, 3); give one channel"""
    tifffile.imwrite(folder / "a.tif", np.zeros((4, 5, 3), np.uint8), photometric="rgb")
    return folder / "a.tif"


def _rgb_mha(folder):
    """expected a grey image, found a colour image; give one channel"""
    image = sitk.GetImageFromArray(np.zeros((4, 5, 3), np.uint8), isVector=True)
    sitk.WriteImage(image, str(folder / "a.mha"))
    return folder / "a.mha"


def _pixels_elsewhere(folder):
    """expected a MetaImage with ElementDataFile = LOCAL"""
    text = "ObjectType = Image\nNDims = 2\nDimSize = 4 4\nElementType = MET_UCHAR\n"
    (folder / "a.mha").write_text(text + "ElementDataFile = /etc/passwd\n")
    return folder / "a.mha"


def _empty_file(folder):
    """the file is empty"""
    (folder / "a.tif").touch()
    return folder / "a.tif"


def _no_file(folder):
    """no such file"""
    return folder / "a.tif"


def _no_tiff(folder):
    """cannot be read as TIFF, cut or broken"""
    (folder / "a.tif").write_text("hello")
    return folder / "a.tif"


def _no_picture(folder):
    """cannot be read as a picture"""
    (folder / "a.png").write_text("hello")
    return folder / "a.png"


def _no_hdf5(folder):
    """cannot be read as HDF5"""
    (folder / "a.h5").write_text("hello")
    return folder / "a.h5"


def _other_kind(folder):
    """expected one of .tif, .tiff, .mha, .h5, .hdf5, .png, .jpg, .jpeg, .zarr, .ozx, found '.nii'"""
    return folder / "a.nii"


def _unknown_axes(folder):
    """cannot tell the axes of shape (2, 3, 4, 5); name them in the file's metadata"""
    tifffile.imwrite(folder / "a.tif", np.zeros((2, 3, 4, 5), np.uint8), photometric="minisblack")
    return folder / "a.tif"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "mistake",
    [
        _rgb_png,
        _rgb_tiff,
        _rgb_mha,
        _pixels_elsewhere,
        _empty_file,
        _no_file,
        _no_tiff,
        _no_picture,
        _no_hdf5,
        _other_kind,
        _unknown_axes,
    ],
)
def test_explains(tmp_path, mistake):
    path = mistake(tmp_path)
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: {mistake.__doc__}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("suffix", [".tif", ".mha", ".h5"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.9])
def test_a_cut_file_is_never_read_as_a_whole_one(tmp_path, suffix, share, compress):
    path = tmp_path / f"a{suffix}"
    rng = np.random.default_rng(1)
    write(path, Volume(rng.integers(0, 9999, (8, 32, 32), np.uint16), (1, 1, 2)), compress=compress)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=r"a\.\w+: "):
        read(path)


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match=r"/a\.mha: MetaImage holds the axes YX or ZYX, found TYX"):
        write(tmp_path / "a.mha", Volume(np.zeros((2, 3, 4)), (1, 1), "TYX"))
    with pytest.raises(InputError, match=r"can write .*, found '\.png'"):
        write(tmp_path / "a.png", _volume())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_ends_between_two_slices_is_cut(tmp_path):
    path = tmp_path / "a.tif"
    ends = []
    with tifffile.TiffWriter(path) as file:
        for _ in range(4):
            file.write(np.zeros((32, 32), np.uint8), contiguous=False, metadata=None)
            ends.append(path.stat().st_size)
    assert read(path).shape == (4, 32, 32)
    path.write_bytes(path.read_bytes()[: ends[1]])
    with pytest.raises(InputError, match="cut or broken"):
        read(path)


@pytest.mark.parametrize("compression", ["lzw", "packbits", "zstd"])
def test_compressed_files_of_others_are_read(tmp_path, compression):
    array = np.arange(256, dtype=np.uint16).reshape(16, 16)
    tifffile.imwrite(tmp_path / "a.tif", array, compression=compression)
    np.testing.assert_array_equal(read(tmp_path / "a.tif").array, array)


def _imagej(path, unit="um", **metadata):
    tifffile.imwrite(
        path,
        np.zeros((3, 4, 5), np.uint16),
        imagej=True,
        resolution=(2.0, 2.0),
        metadata={"axes": "ZYX", "spacing": 2.0, "unit": unit, **metadata},
    )


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["data/image", "data/distance", "data/illumination"], "data/image"),
        (["data/boundary", "data/instance", "data/seeds"], "data/instance"),
        (["data/light_map", "data/raw_image", "data/surface_distance"], "data/raw_image"),
        (["data/nuclei"], "data/nuclei"),
        (["data/image", "image"], "image"),
    ],
)
def test_images_in_the_group_of_published_tools_are_read(tmp_path, names, chosen):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number, name in enumerate(names):
            file.create_dataset(name, data=np.full((1, 4, 5), number, np.float32))
    found = read(tmp_path / "a.h5")
    assert found.array[0, 0, 0] == names.index(chosen)
    assert (found.axes, found.spacing_is_assumed) == ("ZYX", True)


def test_the_origin_of_the_voxel_size_is_known(tmp_path):
    _imagej(tmp_path / "ij.tif", Labels="a")
    write(tmp_path / "ours.tif", _volume())
    write(tmp_path / "a.mha", _volume())
    write(tmp_path / "a.h5", _volume())
    write(tmp_path / "none.png.tif", Volume(np.zeros((4, 5), np.uint8), (1, 1), "YX"))
    found = {path.name: read(path).origin for path in tmp_path.iterdir()}
    assert found["ij.tif"].sources["spacing"] == "imagej"
    assert found["ours.tif"].sources == {"spacing": "json", "channel": "json", "study": "json"}
    assert (found["a.mha"].sources["spacing"], found["a.mha"].unit) == ("metaimage", "mm")
    assert found["a.h5"].sources["channel"] == "hdf5"
    assert not any(origin.warnings for origin in found.values())


def test_the_unit_of_the_file_is_known(tmp_path):
    _imagej(tmp_path / "a.tif", "inch")
    found = read(tmp_path / "a.tif")
    assert found.spacing == pytest.approx((2 * 25400, 12700, 12700))
    assert found.origin.unit == "inch"


def test_a_file_that_contradicts_itself_says_so(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        np.zeros((3, 4, 5), np.uint16),
        ome=True,
        resolution=(1e4, 1e4),
        resolutionunit="CENTIMETER",
        metadata={"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0},
    )
    found = read(tmp_path / "a.ome.tif")
    assert found.spacing == pytest.approx((2.0, 0.5, 0.5))
    (line,) = found.origin.warnings
    assert line.endswith("z 2, y 0.5, x 0.5 µm (ome), which is used, and of y 1, x 1 µm (tiff)")


@pytest.mark.parametrize("step", [0, -2.0, "nan", "inf"])
def test_a_step_that_is_no_positive_number_does_not_count_and_is_told(tmp_path, step):
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((3, 4, 5), np.uint16),
        photometric="minisblack",
        metadata={"axes": "ZYX", "spacing": [str(step), 0.5, 0.5]},
    )
    found = read(tmp_path / "a.tif")
    assert found.spacing_is_assumed
    assert found.origin.sources["spacing"] == "assumed"
    (line,) = found.origin.warnings
    assert line == f"a voxel size of {step} (json) is no positive number and does not count"


@pytest.mark.parametrize("size", ["2 um", 3.0])
def test_a_spacing_in_hdf5_that_is_no_list_is_refused_in_one_line(tmp_path, size):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("image", data=np.zeros((3, 4, 5))).attrs["spacing"] = size
    with pytest.raises(InputError, match=r"a\.h5: expected a list of µm as spacing, found"):
        read(tmp_path / "a.h5")
