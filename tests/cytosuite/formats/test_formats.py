import os
import re

import h5py
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile
from mistakes import explained, refused
from numpy.testing import assert_array_equal
from PIL import Image
from rasters import counted, same

from cytosuite import files
from cytosuite.contract.spacing import plausible
from cytosuite.formats import header, read, write
from cytosuite.formats.hdf5 import LABELS_FIRST
from cytosuite.volume import Volume

PLANE = Volume(np.zeros((4, 6), np.uint8), (1.0, 1.0), "YX")
ARRAY = counted(5, 6, 7)
SIZE = (1.0, 0.39, 0.195)  # µm; two different edges of a pixel tell y from x
SIZES = {"PhysicalSizeX": 0.195, "PhysicalSizeY": 0.39, "PhysicalSizeZ": 1.0}
KEYS = {"spacing": 1.0, **SIZES, "unit": "um", "channel": "nucleus", "study": 2}
packed_or_not = pytest.mark.parametrize("compress", [True, False])


@pytest.mark.parametrize("suffix", [".tif", ".mha", ".h5"])
def test_an_unknown_voxel_size_stays_unknown(tmp_path, suffix):
    volume = Volume(np.zeros((4, 5), np.uint8), (1, 1), "YX", {"spacing_source": "assumed"})
    write(tmp_path / f"a{suffix}", volume)
    assert read(tmp_path / f"a{suffix}").spacing_is_assumed


@packed_or_not
@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "int64", "float32", "float64"])
def test_metaimage_is_written_as_itk_writes_it(tmp_path, mha, dtype, compress):
    metadata = {"study": 2, "channel": "nucleus", "A": "x  y", "gain": 0.1}
    array = np.arange(60).reshape(3, 4, 5).astype(dtype)
    write(mha, Volume(array, (2.0, 0.25, 0.1 / 3), "ZYX", metadata), compress=compress)
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
    assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(mha))), array)


# In mm, in µm that the file calls mm, and in both.
@pytest.mark.parametrize("edge, step", [(0.0005, 0.002), (0.5, 2), (0.0005, 2)])
def test_a_metaimage_keeps_its_place_in_space(tmp_path, mha, edge, step):
    image = sitk.GetImageFromArray(np.zeros((3, 4, 5), np.uint8))
    image.SetSpacing([edge, edge, step])
    image.SetOrigin([5.0, 0.1, -5.0])
    image.SetDirection([0, 1, 0, 1, 0, 0, 0, 0, -1])
    sitk.WriteImage(image, str(tmp_path / "b.mha"))
    volume = plausible(read(tmp_path / "b.mha"))
    assert volume.spacing == (2.0, 0.5, 0.5)
    write(mha, volume)
    assert sitk.ReadImage(str(mha)).IsSameImageGeometryAs(image, 0, 0)
    write(mha, Volume(volume.array[0], (0.5, 0.5), "YX", {}, volume.origin))
    assert sitk.ReadImage(str(mha)).GetOrigin() == (0, 0)


def _rgb_png(folder):
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(folder / "a.png")
    return folder / "a.png"


def _tiff(folder, shape, photometric):
    tifffile.imwrite(folder / "a.tif", np.zeros(shape, np.uint8), photometric=photometric)
    return folder / "a.tif"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "mistake",
    [
        (
            "expected a grey image, found a colour image of shape (4, 5, 3); give one channel",
            _rgb_png,
        ),
        ("expected a grey image, found a colour image of", _tiff, (4, 5, 3), "rgb"),
        ("expected a grey image, found a colour image of", _tiff, (4, 5, 4), "separated"),
        ("the file is empty", lambda f: (f / "a.tif").touch() or f / "a.tif"),
        ("no such file", lambda folder: folder / "a.tif"),
        ("expected one of .tif, .tiff, .mha, .h5, .hdf5, .png,", lambda folder: folder / "a.nii"),
        ("cannot tell the axes of shape (2,", _tiff, (2, 3, 4, 5), "minisblack"),
    ],
)
def test_explains(tmp_path, mistake):
    explained(read, tmp_path, mistake)


def test_a_lone_plane_has_no_z(tmp_path):
    assert read(_tiff(tmp_path, (1, 4, 5), "minisblack")).axes == "YX"


@packed_or_not
@pytest.mark.parametrize("suffix", [".tif", ".mha", ".h5"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.9])
def test_a_cut_file_is_never_read_as_a_whole_one(tmp_path, suffix, share, compress):
    path = tmp_path / f"a{suffix}"
    rng = np.random.default_rng(1)
    write(path, Volume(rng.integers(0, 9999, (8, 32, 32), np.uint16), (1, 1, 2)), compress=compress)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(r"a\.\w+: ", read, path)


def test_a_failed_write_leaves_nothing(tmp_path, mha):
    refused(
        r"/a\.mha: MetaImage holds the axes YX or ZYX, found TYX",
        write,
        mha,
        Volume(np.zeros((2, 3, 4)), (1, 1), "TYX"),
    )
    refused(r"can write .*, found '\.png'", write, tmp_path / "a.png", PLANE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "names, chosen",
    [
        (["data/image", "data/distance", "data/illumination"], "data/image"),
        (["data/boundary", "data/instance", "data/seeds"], "data/instance"),
        (["data/light_map", "data/raw_image", "data/surface_distance"], "data/raw_image"),
        (["data/nuclei"], "data/nuclei"),
        (["data/image", "image"], "image"),
        (["raw", "labels"], "raw"),
        (["raw", "labels", "of labels"], "labels"),
        (["data/image", "data/instance", "data/of labels"], "data/instance"),
    ],
)
def test_images_in_the_group_of_published_tools_are_read(h5, names, chosen):
    with h5py.File(h5, "w") as file:
        for number, name in enumerate(names):
            file.create_dataset(name, data=np.full((1, 4, 5), number, np.float32))
    volume = read(h5, group=LABELS_FIRST if "of labels" in names[-1] else "")
    assert volume.array[0, 0, 0] == names.index(chosen)
    assert (volume.axes, volume.spacing_is_assumed) == ("ZYX", True)


def test_a_file_that_contradicts_itself_says_so(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        np.zeros((3, 4, 5), np.uint16),
        ome=True,
        resolution=(1e4, 1e4),
        resolutionunit="CENTIMETER",
        metadata={"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0},
    )
    volume = read(tmp_path / "a.ome.tif")
    assert volume.spacing == pytest.approx((2.0, 0.5, 0.5))
    (line,) = volume.origin.warnings
    assert line.endswith("z 2, y 0.5, x 0.5 µm (ome), which is used, and of y 1, x 1 µm (tiff)")


@pytest.mark.parametrize("mode", ["L", "I;16"])
def test_grey_pictures_are_read(tmp_path, mode):
    array = np.arange(12, dtype=np.uint8 if mode == "L" else np.uint16).reshape(3, 4)
    Image.fromarray(array).save(tmp_path / "a.png")
    assert_array_equal(read(tmp_path / "a.png").array, array)


def test_a_changed_file_is_looked_at_again_however_its_times_are_set(tmp_path, tif, monkeypatch):
    monkeypatch.setattr(files, "YOUNG_NS", 0)
    path = tif
    other = tmp_path / "b.tif"
    write(path, PLANE)
    before = path.stat()
    opened = []
    monkeypatch.setattr(
        "cytosuite.formats.open_regular", lambda p: opened.append(p) or files.open_regular(p)
    )
    assert [header(path).shape for _ in range(3)] == [(4, 6)] * 3
    assert len(opened) == 1
    write(other, Volume(np.zeros((6, 4), np.uint8), (1.0, 1.0), "YX"))
    path.write_bytes(other.read_bytes())  # in place
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert header(path).shape == (6, 4)
    path.unlink()
    refused("no such file", header, path)


def test_a_file_that_has_just_changed_is_opened_each_time(tmp_path, tif):
    write(tif, PLANE)
    assert files.settled(tif) == files.settled(tmp_path) == ()


def _written(path, words, **options):
    metadata = {key: value for key, value in words.items() if value is not None}
    tifffile.imwrite(path, ARRAY, resolution=(1 / 0.195, 1 / 0.39), metadata=metadata, **options)
    return path


def _template(path, **changes):
    """Write as the challenge's template does: big, tiled, µm as if they were inches, all in JSON."""
    words = {"shape": list(ARRAY.shape), "axes": "ZYX", **KEYS, **changes}
    return _written(path, words, bigtiff=True, tile=(128, 128))


def _imagej(path, **changes):
    return _written(path, {"axes": "ZYX", **KEYS, **changes}, imagej=True)


BOTH = pytest.mark.parametrize("program", [_template, _imagej])


@BOTH
def test_both_descriptions_are_read_alike(tif, program):
    volume = read(program(tif))
    same(volume.array, ARRAY)
    assert (volume.axes, volume.spacing) == ("ZYX", pytest.approx(SIZE))
    assert dict(volume.metadata) == {"channel": "nucleus", "study": 2}
    assert volume.origin.warnings == ()
    assert set(volume.origin.sources.values()) == {"json" if program is _template else "imagej"}
    assert header(tif).spacing == pytest.approx(SIZE)


NO_NUMBER = "is no positive number and does not count"
CONTRADICTS = "the file contradicts itself: it gives voxels of z 1, y 0.39, x 0.195 µm"


@BOTH
@pytest.mark.parametrize(
    "said, spacings",
    {
        (): ["1.0", 1, None, [1.0, 0.39, 0.195], "[1.0, 0.39, 0.195]", "(1.0; 0.39; 0.195)"],
        (NO_NUMBER,): [0, -1.0, "nan", "1 um"],
        (CONTRADICTS,): [3.0, [3.0, 0.39, 0.195], [0.195, 0.39, 1.0]],
    }.items(),
    ids=["a step", "no step", "another step"],
)
def test_a_step_is_a_number_a_text_or_one_of_three_and_sizes_by_axis_precede_it(
    tif, program, said, spacings
):
    for spacing in spacings:
        volume = read(program(tif, spacing=spacing))
        assert volume.spacing == pytest.approx(SIZE), spacing
        assert not volume.spacing_is_assumed, spacing
        assert all(word in line for word, line in zip(said, volume.origin.warnings, strict=True))


@pytest.mark.parametrize("axes", ["XYZ", "YXZ", "ZXY", "TYX", "CYX", "zyx", "QYX", "IYX"])
def test_a_stack_is_read_as_it_lies_whatever_its_axes_are_called(tif, axes):
    path = _template(tif, axes=axes)
    volume = read(path, axes="ZYX")
    same(volume.array, ARRAY)
    assert (volume.axes, volume.spacing) == ("ZYX", SIZE)
    assert header(path, axes="ZYX").shape == (5, 6, 7)
    named = ", ".join(axes.lower())
    odd = f"axes odd: the file calls them {named}; a stack is z, y, x as it lies"
    assert volume.origin.warnings == (() if axes in {"zyx", "QYX", "IYX"} else (odd,))


def _as_the_template_reads(path):
    keys = ("spacing", *SIZES, "unit", "axes", "channel", "shape", "study")
    with tifffile.TiffFile(path) as file:
        pixels = file.asarray()
        parts = file.shaped_metadata
        words = (
            dict(parts[0]) if parts is not None else file.imagej_metadata | {"shape": pixels.shape}
        )
    spelt = {key: (key, key.lower(), f"physical_size_{key[-1].lower()}") for key in keys}
    return pixels, {
        key: next(words[name] for name in names if name in words)
        for key, names in spelt.items()
        if any(name in words for name in names)
    }


@packed_or_not
def test_the_template_finds_all_keys_in_our_files(tif, compress):
    volume = Volume(ARRAY, SIZE, "ZYX", {"channel": "membrane", "study": 3, "gain": 0.1})
    write(tif, volume, compress=compress, as_json=True)
    pixels, words = _as_the_template_reads(tif)
    same(pixels, ARRAY)
    assert pixels.dtype == np.uint16
    assert words == {**KEYS, "axes": "ZYX", "shape": [5, 6, 7], "channel": "membrane", "study": 3}
    with tifffile.TiffFile(tif) as file:
        tags = file.pages[0].tags
        assert tags["ResolutionUnit"].value == 3
        x, y = (tags[f"{axis}Resolution"].value for axis in "XY")
        assert (x[0] / x[1], y[0] / y[1]) == pytest.approx((1e4 / 0.195, 1e4 / 0.39), rel=1e-5)
        assert not file.pages[0].is_tiled
