import gc
import itertools
import os
import warnings

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile

from cytosuite.benchmark.submission.checks.outputs import accept_outputs, import_image
from cytosuite.benchmark.submission.checks.rules import refuses
from cytosuite.contract.tasks import TASKS
from cytosuite.contract.tracks import Track, write_tracks
from cytosuite.formats import write
from cytosuite.volume import Volume

SLUG = "images/instance-labels"
CM = {"resolution": (5e4, 4e4), "resolutionunit": "CENTIMETER"}


@pytest.fixture
def output(tmp_path):
    """Return the output of a case that is as it should be."""
    write(
        tmp_path / SLUG / "case.mha", Volume(np.ones((4, 5, 6), np.uint16), (1.0, 0.5, 0.5), "ZYX")
    )
    return tmp_path


def rules(folder, task=TASKS["segment"]):
    return [rule for rule, *_ in accept_outputs(folder, task)]


def test_nothing_is_found_in_a_good_output(output):
    assert rules(output) == []
    (output / "summary.json").write_text('{"n": 1}')
    assert rules(output, None) == []


def test_a_table_of_tracks_is_an_output_and_a_broken_one_is_found(tmp_path):
    write(
        tmp_path / "images/tracked-labels/a.tif",
        Volume(np.ones((2, 4, 5), np.uint16), (0.5, 0.5), "TYX"),
    )
    write_tracks(tmp_path / "tracks.csv", [Track(1, 0, 1)])
    assert rules(tmp_path, TASKS["track"]) == ["output.flat"]  # a note on the movie
    (tmp_path / "tracks.csv").write_text("label,begin\n1,0\n")
    assert rules(tmp_path, TASKS["track"]) == ["output.flat", "output.broken"]
    (tmp_path / "tracks.csv").unlink()
    assert rules(tmp_path, TASKS["track"]) == ["output.flat", "output.missing"]


def test_declared_outputs_are_missing_or_undeclared(output):
    (output / "more.json").write_text("{}")
    (output / "images/other").mkdir()
    assert rules(output) == ["output.undeclared", "output.undeclared"]
    assert rules(output, None) == ["output.missing"]
    assert rules(output, TASKS["enhance"])[0] == "output.missing"


@pytest.mark.parametrize(
    "text, expected",
    {
        b'{"a": 1}': [],
        b"\xef\xbb\xbf{}": [],
        b'{"a": NaN}': ["output.json-number"],
        b'{"a": 1e999}': ["output.json-number"],
        b'{"a": 1, "a": 2}': ["output.json-number"],
        b"": ["output.json"],
        b'{"a": "\xe9"}': ["output.json"],
        b"[" * 100_000: ["output.json"],
    }.items(),
)
def test_json_is_read_as_the_platform_does(tmp_path, text, expected):
    (tmp_path / "a.json").write_bytes(text)
    assert rules(tmp_path, None) == expected


def test_links_are_found_and_not_followed(output):
    (output / SLUG / "x.mha").symlink_to("/etc/passwd")
    (output / "a.json").symlink_to("/dev/zero")
    (output / "images/linked").symlink_to(output / SLUG)
    assert rules(output, None) == ["output.link"] * 3
    assert rules(output) == ["output.link", "output.undeclared", "output.undeclared"]


def test_a_pipe_does_not_stop_the_check(output):
    os.mkfifo(output / SLUG / "pipe")
    os.mkfifo(output / "a.json")
    assert rules(output, None) == ["output.json", "output.extra"]


def test_other_images_and_too_many_files_are_refused(output, monkeypatch):
    (output / SLUG / "case.mha").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    assert rules(output) == ["output.no-image"]
    monkeypatch.setattr("cytosuite.benchmark.submission.checks.outputs.FILES", 1)
    (output / SLUG / "1.txt").touch()
    assert rules(output) == ["output.too-many"]


@pytest.mark.parametrize(
    "settings, shape, expected",
    [
        ({}, (9, 9), "output.resolution"),
        ({"resolution": (5, 5), "resolutionunit": "INCH"}, (9, 9), "output.inch"),
        (CM, (5, 9, 9), "output.flat"),
        ({**CM, "photometric": "miniswhite"}, (9, 9), "output.colour"),
    ],
)
def test_each_rule_of_a_tiff_is_caught_and_no_other(tmp_path, settings, shape, expected):
    (tmp_path / SLUG).mkdir(parents=True)
    tifffile.imwrite(tmp_path / SLUG / "a.tif", np.ones(shape, np.uint8), **settings)
    assert rules(tmp_path) == [expected]


def test_five_dimensions_are_refused(tmp_path):
    (tmp_path / SLUG).mkdir(parents=True)
    text = "NDims = 5\nDimSize = 2 2 2 2 2\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    (tmp_path / SLUG / "a.mha").write_bytes(text.encode() + bytes(32))
    assert rules(tmp_path) == ["output.dimensions"]


SHAPE = (5, 20, 24)


def voxels(dtype="uint16", shape=SHAPE):
    return (np.arange(np.prod(shape)) % 97).reshape(shape).astype(dtype)


def judged(image):
    """Return the rules that the output with an image folder breaks: those that refuse it, and all."""
    broken = set(rules(image.parents[1], None))
    return {rule for rule in broken if refuses([rule])}, broken


@pytest.fixture(scope="module")
def images_of(tmp_path_factory):
    """Return the names of images that the platform's importer takes, None where it breaks."""
    panimg = pytest.importorskip("panimg")
    builders = pytest.importorskip("panimg.image_builders.metaio_mhd_mha").image_builder_mhd
    tiffs = pytest.importorskip("panimg.image_builders.tiff").image_builder_tiff

    def taken(folder):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it leaves files open
            try:
                done = panimg.convert(
                    input_directory=folder,
                    output_directory=tmp_path_factory.mktemp("taken"),
                    builders=[builders, tiffs],
                )
                names = {image.name for image in done.new_images}
            except Exception:
                names = None
            gc.collect()
        return names

    gc.freeze()  # what other tests hold is not looked through each time
    yield taken
    gc.unfreeze()


@pytest.fixture
def folder(tmp_path):
    """Return the folder of an image output."""
    folder = tmp_path / "output/images/labels"
    folder.mkdir(parents=True)
    return folder


def write_mha(path, array, *, compress=False, vector=False, flip=False, **keys):
    image = sitk.GetImageFromArray(array, isVector=vector)
    if flip:
        image.SetDirection(np.diag([-1.0, 1.0, 1.0]).ravel())
    for key, value in keys.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path), useCompression=compress)


MHA = {
    **{f"{t}-{c}": (voxels(t), {"compress": c}) for t, c in (("int8", True), ("float64", False))},
    "plane": (voxels(shape=(20, 24)), {}),
    "frames-bool": (voxels("uint8", (2, 3, 8, 9)) % 2, {}),
    **{f"channels-{n}": (voxels("uint8", (3, 8, 9, n)), {"vector": True}) for n in (1, 2, 3, 5)},
    "flipped": (voxels(), {"flip": True}),
    "thickness-bad": (voxels(), {"SliceThickness": "thick"}),
    "laterality-long": (voxels(), {"Laterality": "L" * 129}),
    "window-alone": (voxels(), {"WindowCenter": "[1, 2]"}),
    "window-lengths": (voxels(), {"WindowCenter": "[1, 2]", "WindowWidth": "[3]"}),
    "exposures-two": (voxels("uint8", (2, 3, 8, 9)), {"Exposures": "1 2"}),
    "exposures-three": (voxels("uint8", (2, 3, 8, 9)), {"Exposures": "1 2 3"}),
    "times-bad": (voxels(), {"ContentTimes": "250000"}),
    "nan": (np.full(SHAPE, np.nan, np.float32), {}),
}


@pytest.mark.parametrize("name", MHA)
def test_a_metaimage_is_judged_as_the_importer_does(images_of, folder, name):
    array, settings = MHA[name]
    write_mha(folder / "a.mha", array, **settings)
    taken = images_of(folder) == {"a.mha"}
    errors, broken = judged(folder)
    assert (not errors) == taken
    assert ("output.not-finite" in broken) == (name == "nan")


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
    "windows": header().replace(b"\n", b"\r\n") + bytes(12),
    "deflated-altered": header(compressed=True) + bytes(9) + b"x",
    "long line": header(more=f"Comment = {'c' * 10_000}\n") + bytes(12),
    "latin": header(more="Comment = ").replace(b"Comment = ", b"Comment = \xe9\n") + bytes(12),
    "elsewhere": header("../../other.raw"),
    "one dimension": b"NDims = 1\nDimSize = 12\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    + bytes(12),
    "no spacing": header().replace(b"ElementSpacing = 1 1\n", b"") + bytes(12),
    "zero spacing": header().replace(b"= 1 1", b"= 0 1") + bytes(12),
    "nifti": b"\x5c\x01\0\0" + bytes(400),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_headers_are_judged_as_the_importer_does(images_of, folder, capfd, name):
    (folder / "a.mha").write_bytes(ODD[name])
    taken = images_of(folder) == {"a.mha"}
    errors, broken = judged(folder)
    assert (not errors) == taken
    assert ("output.spacing" in broken) == (name == "no spacing")


def test_a_header_with_its_pixels_in_a_file_beside_it_is_one_image(images_of, folder):
    home = folder.parents[1]
    raw = folder / "a.raw"
    (folder / "a.mhd").write_bytes(header("a.raw"))
    raw.write_bytes(bytes(12))
    assert images_of(folder) == {"a.mhd"}
    assert judged(folder) == (set(), set())
    raw.rename(home / "b.raw")
    for place in ("/dev/zero", home / "b.raw"):
        raw.symlink_to(place)
        assert "output.broken" in judged(folder)[0]
        raw.unlink()
    (home / "b.raw").rename(folder / "b.raw")
    raw.symlink_to("b.raw")
    assert "output.broken" in judged(folder)[0]


TIFF = {
    "none": {},
    "cm": CM,
    "inch": {"resolution": (5e4, 4e4), "resolutionunit": "INCH"},
    "default": {"resolution": (5, 5)},
    "micrometre": {"resolution": (5, 5), "resolutionunit": "MICROMETER"},
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
    "tiled-deflate": {"tile": (16, 16), "compression": "zlib"},
}


@pytest.mark.parametrize("shape", [(20, 24), SHAPE], ids=["plane", "stack"])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_tiff_is_judged_as_the_importer_does(images_of, tmp_path, shape, writer):
    folder = tmp_path / "output"
    folder.mkdir()
    kinds = {*((unit, "raw") for unit in TIFF), *(("cm", pixels) for pixels in PIXELS)}
    for dtype, (unit, pixels) in itertools.product(("uint8", "float32"), kinds):
        if writer == "imagej" and pixels != "raw":
            continue
        path = folder / f"{dtype}-{unit}-{pixels}.tif"
        with tifffile.TiffWriter(path, **WRITERS[writer]) as file:
            settings = {**TIFF[unit], **PIXELS[pixels], "photometric": "minisblack"}
            file.write(voxels(dtype, shape), **settings)
    taken = images_of(folder)
    for path in folder.iterdir():
        rules = {rule for rule, _ in import_image(path)[0]}
        assert refuses(rules) != (path.name in taken), path
        assert ("output.flat" in rules) == (len(shape) > 2), path
        assert "output.pixels" not in rules, path
        inch = ("-inch-",) if writer == "imagej" else ("-inch-", "-default-")
        assert ("output.inch" in rules) == any(unit in path.name for unit in inch), path


APERIO = {"metadata": None, "tile": (16, 16)}
VENDORS = {
    "miniswhite": {"photometric": "miniswhite", **CM},
    "rgb": {"photometric": "rgb", **CM},
    "palette": {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16), **CM},
    "aperio-lines": {"description": "Aperio Image\r\n2x2 |AppMag = 20|MPP = 0.25|L = 1", **APERIO},
    "aperio-none": {"description": "Aperio Image|MPP = none", **APERIO},
    "signed": {"extratags": [(340, "H", 1, 1, True), (341, "H", 1, 90, True)], **CM},
    "infinite": CM,
}


@pytest.mark.parametrize("name", VENDORS)
def test_colours_and_vendors_are_judged_as_the_importer_does(images_of, folder, name):
    shape = (32, 32, 3) if name == "rgb" else (32, 32)
    tifffile.imwrite(folder / "a.tif", voxels("uint8", shape), **VENDORS[name])
    if name == "infinite":
        with tifffile.TiffFile(folder / "a.tif", mode="r+b") as file:
            file.pages.first.tags["XResolution"].overwrite((5, 0))
    assert (not judged(folder)[0]) == (images_of(folder) == {"a.tif"})


def test_pixels_that_are_cut_are_a_warning(images_of, folder):
    tifffile.imwrite(folder / "a.tif", voxels("uint16", (200, 200)), **CM)
    (folder / "a.tif").write_bytes((folder / "a.tif").read_bytes()[:-1000])
    assert images_of(folder) == {"a.tif"}
    assert judged(folder) == (set(), {"output.pixels"})


def test_an_image_larger_than_the_memory_is_refused_before_it_is_read(folder):
    (folder / "a.mha").write_bytes(header().replace(b"4 3", b"4000000 4000000") + bytes(12))
    assert judged(folder)[0] == {"output.broken"}


def test_two_images_are_refused(images_of, folder):
    write_mha(folder / "a.mha", voxels())
    tifffile.imwrite(folder / "b.tif", voxels(), **CM)
    assert images_of(folder) == {"a.mha", "b.tif"}
    assert judged(folder)[0] == {"output.several"}


def test_a_broken_header_and_key_are_caught(output, capfd):
    path = output / SLUG / "case.mha"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"NDims = 3", b"NDims = 7"))
    assert rules(output) == ["output.broken"]
    path.write_bytes(content.replace(b"AnatomicalOrientation", b"SliceThickness"))
    assert rules(output) == ["output.key"]
