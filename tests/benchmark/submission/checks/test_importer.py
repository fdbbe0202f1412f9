import gc
import itertools
import random
import warnings
import zlib
from contextlib import suppress

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile

from cytosuite.benchmark.submission.checks.accept import accept_outputs
from cytosuite.benchmark.submission.checks.importer import import_image
from cytosuite.errors import InputError
from cytosuite.formats import write
from cytosuite.volume import Volume

SHAPE = (5, 20, 24)
CM = {"resolution": (5e4, 4e4), "resolutionunit": "CENTIMETER"}
INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
DTYPES = (*INTEGERS, "float32", "float64")


def voxels(dtype="uint16", shape=SHAPE):
    return (np.arange(np.prod(shape)) % 97).reshape(shape).astype(dtype)


def rules(folder):
    """Return the rules that an output folder breaks, the errors first."""
    found = accept_outputs(folder, None)
    return {each.rule for each in found if each.severity == "error"}, {each.rule for each in found}


@pytest.fixture(scope="module")
def images_of():
    """Return the names of images that the platform's importer takes, None where it breaks."""
    panimg = pytest.importorskip("panimg")
    builders = pytest.importorskip("panimg.image_builders.metaio_mhd_mha").image_builder_mhd
    tiffs = pytest.importorskip("panimg.image_builders.tiff").image_builder_tiff

    def taken(folder, target):
        given = {"input_directory": folder, "output_directory": target}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it leaves files open
            try:
                done = panimg.convert(**given, builders=[builders, tiffs])
                found = {image.name for image in done.new_images}
            except Exception:
                found = None
            gc.collect()
        return found

    return taken


@pytest.fixture
def output(tmp_path):
    """Return the folder of an image output."""
    folder = tmp_path / "output" / "images" / "labels"
    folder.mkdir(parents=True)
    return folder


def write_mha(path, array, *, compress=False, vector=False, spacing=None, flip=False, **keys):
    image = sitk.GetImageFromArray(array, isVector=vector)
    if spacing:
        image.SetSpacing(spacing)
    if flip:
        image.SetDirection(np.diag([-1.0, 1.0, 1.0]).ravel())
    for key, value in keys.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path), useCompression=compress)


MHA = {
    **{f"{t}-{c}": (voxels(t), {"compress": c}) for t in DTYPES for c in (True, False)},
    "plane": (voxels(shape=(20, 24)), {}),
    "frames": (voxels("float32", (2, 3, 8, 9)), {}),
    "frames-bool": (voxels("uint8", (2, 3, 8, 9)) % 2, {}),
    **{f"channels-{n}": (voxels("uint8", (3, 8, 9, n)), {"vector": True}) for n in (1, 2, 3, 4, 5)},
    "flipped": (voxels(), {"flip": True}),
    "spacing": (voxels(), {"spacing": (0.0002, 0.0002, 0.001)}),
    "own keys": (voxels(), {"channel": "nucleus", "study": "2"}),
    "thickness": (voxels(), {"SliceThickness": "1.5"}),
    "thickness-bad": (voxels(), {"SliceThickness": "thick"}),
    "laterality-long": (voxels(), {"Laterality": "L" * 129}),
    "window": (voxels(), {"WindowCenter": "1", "WindowWidth": "2"}),
    "window-alone": (voxels(), {"WindowCenter": "[1, 2]"}),
    "window-mixed": (voxels(), {"WindowCenter": "[1, 2]", "WindowWidth": "3"}),
    "window-lengths": (voxels(), {"WindowCenter": "[1, 2]", "WindowWidth": "[3]"}),
    "window-lists": (voxels(), {"WindowCenter": "[1, 2]", "WindowWidth": "[3,4]"}),
    "exposures": (voxels("uint8", (2, 3, 8, 9)), {"Exposures": "1 2"}),
    "exposures-three": (voxels("uint8", (2, 3, 8, 9)), {"Exposures": "1 2 3"}),
    "times-bad": (voxels(), {"ContentTimes": "250000"}),
    "nan": (np.full(SHAPE, np.nan, np.float32), {}),
}


@pytest.mark.parametrize("name", MHA)
def test_a_metaimage_is_judged_as_the_importer_does(images_of, output, tmp_path, name):
    array, settings = MHA[name]
    write_mha(output / "a.mha", array, **settings)
    taken = images_of(output, tmp_path / "taken") == {"a.mha"}
    errors, found = rules(output.parents[1])
    assert (not errors) == taken
    assert ("output.not-finite" in found) == (name == "nan")


HEADER = (
    "ObjectType = Image\nNDims = 2\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
    "CompressedData = {compressed}\nElementSpacing = 1 1\nDimSize = 4 3\n"
    "ElementType = MET_UCHAR\n{more}ElementDataFile = {data}\n"
)


def header(data="LOCAL", more="", compressed=False):
    return HEADER.format(data=data, more=more, compressed=compressed).encode()


ODD = {
    "whole": header() + bytes(12),
    "cut": header() + bytes(11),
    "longer": header() + bytes(13),
    "windows": header().replace(b"\n", b"\r\n") + bytes(12),
    "deflated": header(compressed=True) + zlib.compress(bytes(12)),
    "deflated-altered": header(compressed=True) + bytes(9) + b"x",
    "no data": b"ObjectType = Image\nNDims = 2\n",
    "long line": header(more=f"Comment = {'c' * 10_000}\n") + bytes(12),
    "latin": header(more="Comment = ").replace(b"Comment = ", b"Comment = \xe9\n") + bytes(12),
    "lower local": header("local") + bytes(12),
    "elsewhere": header("../../other.raw"),
    "missing": header("other.raw"),
    "folder": header("."),
    "list": header("LIST"),
    "one dimension": b"NDims = 1\nDimSize = 12\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    + bytes(12),
    "no spacing": header().replace(b"ElementSpacing = 1 1\n", b"") + bytes(12),
    "zero spacing": header().replace(b"= 1 1", b"= 0 1") + bytes(12),
    "other type": header().replace(b"MET_UCHAR", b"MET_COLOUR") + bytes(12),
    "nifti": b"\x5c\x01\0\0" + bytes(400),
    "gzip": b"\x1f\x8b\x08\0" + bytes(400),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(400),
    "empty": b"",
    "text": b"no image",
}


@pytest.mark.parametrize("name", ODD)
def test_odd_headers_are_judged_as_the_importer_does(images_of, output, tmp_path, capfd, name):
    (output / "a.mha").write_bytes(ODD[name])
    taken = images_of(output, tmp_path / "taken") == {"a.mha"}
    errors, found = rules(output.parents[1])
    assert (not errors) == taken
    assert ("output.spacing" in found) == (name == "no spacing")


def test_a_header_with_its_pixels_in_a_file_beside_it_is_one_image(images_of, output, tmp_path):
    (output / "a.mhd").write_bytes(header("a.raw"))
    (output / "a.raw").write_bytes(bytes(12))
    assert images_of(output, tmp_path / "taken") == {"a.mhd"}
    assert rules(output.parents[1]) == (set(), set())
    (output / "a.raw").unlink()
    (output / "a.raw").symlink_to("/dev/zero")
    assert rules(output.parents[1])[0] == {"output.broken"}


TIFF = {
    "none": {},
    "cm": CM,
    "inch": {"resolution": (5e4, 4e4), "resolutionunit": "INCH"},
    "default": {"resolution": (5, 5)},
    "unit-none": {"resolution": (5, 5), "resolutionunit": "NONE"},
    "micrometre": {"resolution": (5, 5), "resolutionunit": "MICROMETER"},
    "zero": {"resolution": ((0, 1), (0, 1)), "resolutionunit": "CENTIMETER"},
    "zero-y": {"resolution": ((5, 1), (0, 1)), "resolutionunit": "CENTIMETER"},
}
WRITERS = {
    "plain": {},
    "imagej": {"imagej": True},
    "ome": {"ome": True},
    "big": {"bigtiff": True},
    "motorola": {"byteorder": ">"},
}
PIXELS = {
    "raw": {},
    "deflate": {"compression": "zlib"},
    "lzw": {"compression": "lzw", "predictor": True},
    "tiled": {"tile": (16, 16)},
    "tiled-deflate": {"tile": (16, 16), "compression": "zlib"},
    "strips": {"rowsperstrip": 3},
}


@pytest.mark.parametrize("shape", [(20, 24), SHAPE], ids=["plane", "stack"])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_tiff_is_judged_as_the_importer_does(images_of, tmp_path, shape, writer):
    """Of 3 dtypes, 8 units and 6 ways to store pixels."""
    folder = tmp_path / "given"
    folder.mkdir()
    for dtype, unit, pixels in itertools.product(("uint8", "uint16", "float32"), TIFF, PIXELS):
        if writer == "imagej" and pixels != "raw":
            continue
        path = folder / f"{dtype}-{unit}-{pixels}.tif"
        with tifffile.TiffWriter(path, **WRITERS[writer]) as file:
            settings = {**TIFF[unit], **PIXELS[pixels], "photometric": "minisblack"}
            file.write(voxels(dtype, shape), **settings)
    taken = images_of(folder, tmp_path / "taken")
    for path in folder.iterdir():
        found, _ = import_image(path, path.name)
        rules = {each.rule for each in found}
        assert (not any(each.severity == "error" for each in found)) == (path.name in taken), path
        assert ("output.flat" in rules) == (len(shape) > 2), path
        assert "output.pixels" not in rules, path
        inch = ("-inch-",) if writer == "imagej" else ("-inch-", "-default-")
        assert ("output.inch" in rules) == any(unit in path.name for unit in inch), path


APERIO = {"metadata": None, "tile": (16, 16)}
VENDORS = {
    "minisblack": {"photometric": "minisblack", **CM},
    "miniswhite": {"photometric": "miniswhite", **CM},
    "rgb": {"photometric": "rgb", **CM},
    "palette": {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16), **CM},
    "filter": {"photometric": "cfa", **CM},
    "aperio-untiled": {"description": "Aperio Image|MPP = 0.25|x", "metadata": None},
    "aperio": {"description": "Aperio Image|MPP = 0.25", **APERIO},
    "aperio-lines": {"description": "Aperio Image\r\n2x2 |AppMag = 20|MPP = 0.25|L = 1", **APERIO},
    "aperio-twice": {"description": "Aperio Image|MPP = 0.25", "tile": (16, 16)},
    "aperio-none": {"description": "Aperio Image|MPP = none", **APERIO},
    "least": {"extratags": [(280, "H", 1, 0, True), (281, "H", 1, 9, True)], **CM},
    "signed": {"extratags": [(340, "H", 1, 1, True), (341, "H", 1, 90, True)], **CM},
    "infinite": CM,
}


@pytest.mark.parametrize("name", VENDORS)
def test_colours_and_vendors_are_judged_as_the_importer_does(images_of, output, tmp_path, name):
    shape = (32, 32, 3) if name == "rgb" else (32, 32)
    tifffile.imwrite(output / "a.tif", voxels("uint8", shape), **VENDORS[name])
    if name == "infinite":
        with tifffile.TiffFile(output / "a.tif", mode="r+b") as file:
            file.pages.first.tags["XResolution"].overwrite((5, 0))
    taken = images_of(output, tmp_path / "taken") == {"a.tif"}
    assert (not rules(output.parents[1])[0]) == taken


def test_our_own_files_are_taken(images_of, tmp_path):
    folder = tmp_path / "given"
    for suffix, dtype in itertools.product((".tif", ".mha"), DTYPES):
        with suppress(InputError):  # a format that cannot hold the dtype
            write(folder / f"{dtype}{suffix}", Volume(voxels(dtype), (1.0, 0.2, 0.3), "ZYX"))
    taken = images_of(folder, tmp_path / "taken")
    assert len(taken) >= 12
    for path in folder.iterdir():
        found = import_image(path, path.name)[0]
        assert path.name in taken
        assert {each.rule for each in found} <= {"output.flat"}


@pytest.mark.parametrize("names", [("a.mha", "b.mha"), ("a.mha", "b.tif"), ("a.tif", "x/b.tif")])
def test_two_images_are_refused(images_of, output, tmp_path, names):
    for name in names:
        (output / name).parent.mkdir(exist_ok=True)
        if name.endswith(".mha"):
            write_mha(output / name, voxels())
        else:
            tifffile.imwrite(output / name, voxels(), **CM)
    assert images_of(output, tmp_path / "taken") == {*(name.split("/")[-1] for name in names)}
    assert rules(output.parents[1])[0] == {"output.several"}


def test_a_file_that_is_no_image_beside_one_is_passed_over(images_of, output, tmp_path):
    write_mha(output / "a.mha", voxels())
    (output / "b.txt").write_text("done")
    assert images_of(output, tmp_path / "taken") == {"a.mha"}
    assert rules(output.parents[1]) == (set(), {"output.extra"})


def test_a_suffix_says_nothing(images_of, output, tmp_path):
    tifffile.imwrite(output / "a.tif", voxels("uint16", (9, 9)), **CM)
    (output / "a.tif").rename(output / "a.png")
    assert images_of(output, tmp_path / "taken") == {"a.png"}
    assert rules(output.parents[1]) == (set(), set())


def test_cut_and_altered_images_never_give_a_traceback(output, capfd):
    draw = random.Random(0)
    tifffile.imwrite(output / "a.tif", voxels(), **CM)
    write_mha(output / "b.mha", voxels(), compress=True)
    whole = {path.name: path.read_bytes() for path in output.iterdir()}
    for name, content in whole.items():
        for other in output.iterdir():
            other.unlink()
        for _ in range(60):
            cut = bytearray(content[: draw.randrange(len(content))])
            (output / name).write_bytes(cut)
            assert rules(output.parents[1])[1], (name, len(cut))
            for _ in range(draw.choice([1, 9]) if cut else 0):
                cut[draw.randrange(min(len(cut), 600))] = draw.randrange(256)
            (output / name).write_bytes(cut)
            rules(output.parents[1])


def test_pixels_that_are_cut_are_a_warning(images_of, output, tmp_path):
    tifffile.imwrite(output / "a.tif", voxels("uint16", (200, 200)), **CM)
    content = (output / "a.tif").read_bytes()
    (output / "a.tif").write_bytes(content[:-1000])
    assert images_of(output, tmp_path / "taken") == {"a.tif"}
    assert rules(output.parents[1]) == (set(), {"output.pixels"})


def test_values_of_a_tiff_are_finite(output):
    array = voxels("float32")
    array[1, 2, 3] = np.inf
    tifffile.imwrite(output / "a.tif", array, **CM)
    assert "output.not-finite" in rules(output.parents[1])[1]


def test_an_image_larger_than_the_memory_is_refused_before_it_is_read(output):
    text = header().replace(b"4 3", b"4000000 4000000")
    (output / "a.mha").write_bytes(text + bytes(12))
    assert rules(output.parents[1])[0] == {"output.broken"}
