import os
import re

import numpy as np
import pytest
from mistakes import refused
from numpy.testing import assert_array_equal
from rasters import counted

from cytosuite.contract.interface import image_of, read_case, write_case, write_outputs
from cytosuite.contract.tasks import TASKS
from cytosuite.files import read_json, write_json
from cytosuite.formats import read, write
from cytosuite.volume import Volume

SEGMENT = TASKS["segment"]
SLUG = "microscopy-image"
SPACING = (2.0, 0.5, 0.5)


def _volume(**metadata):
    return Volume(counted(3, 4, 5), SPACING, "ZYX", metadata)


def _case(folder, **metadata):
    write_case(folder, SEGMENT, "embryo", {SLUG: _volume(**metadata)})
    return folder


def test_what_is_written_is_read_and_listed_as_the_platform_lists_it(tmp_path):
    case = read_case(_case(tmp_path, channel="nucleus"), SEGMENT)
    assert_array_equal(case.volumes[SLUG].array, _volume().array)
    assert case.volumes[SLUG].spacing == SPACING
    assert case.volumes[SLUG].metadata["channel"] == "nucleus"
    assert (case.name, case.suffix) == ("embryo", ".tif")
    listed = read_json(tmp_path / "inputs.json")
    assert [entry["interface"]["slug"] for entry in listed] == ["acquisition-metadata", SLUG]
    assert all(entry["socket"] == entry["interface"] for entry in listed)
    assert listed[1]["interface"]["relative_path"] == f"images/{SLUG}"
    assert listed[1]["image"]["name"] == "embryo.tif"
    assert listed[0]["value"]["spacing"] == [2.0, 0.5, 0.5]


@pytest.mark.parametrize("kinds", [("interface",), ("socket",), ("interface", "socket")])
def test_every_generation_of_the_list_is_followed(tmp_path, kinds):
    _case(tmp_path)
    (tmp_path / "images" / SLUG).rename(tmp_path / "images/Other-3D")
    place = {"slug": SLUG, "relative_path": "images/Other-3D", "pk": 12, "overlay_segments": []}
    entry = {**dict.fromkeys(kinds, place), "image": {"pk": "a", "name": "wall.tif"}, "pk": 3}
    bare = {kind: {"slug": "acquisition-metadata"} for kind in kinds} | {"value": {}, "image": None}
    write_json(tmp_path / "inputs.json", [entry, bare])
    assert read_case(tmp_path, SEGMENT).name == "embryo"


def test_the_json_socket_wins_over_the_file_and_the_file_over_the_name(tmp_path):
    _case(tmp_path, channel="nucleus", study=1)
    (tmp_path / "acquisition-metadata.json").write_text('{"study": 2, "spacing": [4, 1, 1]}')
    listed = read_json(tmp_path / "inputs.json")
    listed[1]["image"]["name"] = "image_3_membrane_angle.tif"
    write_json(tmp_path / "inputs.json", listed)
    case = read_case(tmp_path, SEGMENT)
    assert dict(case.volumes[SLUG].metadata) == {"channel": "nucleus", "study": 2}
    assert case.volumes[SLUG].spacing == (4.0, 1.0, 1.0)
    assert case.sources == {"channel": "json", "study": "json", "spacing": "json"}
    assert case.warnings == (
        "channel contradictory: nucleus (json of the file), membrane (name); the first was used",
        "voxel size contradictory: 4 x 1 x 1 µm (json), used, not 2 x 0.5 x 0.5 µm (json of the file)",
    )


def _listed(folder, *entries):
    write_json(folder / "inputs.json", entries)


def _contradictory_paths(folder):
    a, b = ({"slug": SLUG, "relative_path": f"images/{name}"} for name in "ab")
    _listed(folder, {"interface": a, "socket": b})


def _with_path(folder, path):
    _listed(folder, {"socket": {"slug": SLUG, "relative_path": path}})


def _list_that_is_a_pipe(folder):
    (folder / "inputs.json").unlink(missing_ok=True)
    os.mkfifo(folder / "inputs.json")


MISTAKES = [
    ("socket microscopy-image needs", lambda f: write(f / "images" / SLUG / "b.tif", _volume())),
    ("socket microscopy-image needs", lambda f: (f / "images" / SLUG / "embryo.tif").unlink()),
    ("inputs.json: expected a list of objects, one per socket", lambda f: _listed(f, 1, 2)),
    ("inputs.json: entry 1:", lambda f: _listed(f, {"socket": {"slug": "x"}}, {"socket": {}})),
    ("inputs.json: entry 0: expected interface.slug or", lambda f: _listed(f, {"slug": "x"})),
    ("inputs.json: entry", lambda f: _listed(f, {"interface": {"slug": SLUG, "relative_path": 7}})),
    ("inputs.json: entry 0: relative_path must stay in the", lambda f: _with_path(f, "../secret")),
    ("interface and socket contradict each other: relative_path is", _contradictory_paths),
    (
        "inputs.json: expected one entry per socket, found two of microscopy-image",
        lambda f: _listed(f, {"socket": {"slug": SLUG}}, {"interface": {"slug": SLUG}}),
    ),
    ("acquisition-metadata.json:", lambda f: (f / "acquisition-metadata.json").write_text("[1]")),
    (
        "voxel size 3 x 90000 x 90000 µm (json) makes no sense: a nucleus of 15 pixels is 1.35 m",
        lambda f: (f / "acquisition-metadata.json").write_text('{"spacing": [3, 90000, 90000]}'),
    ),
    ("cannot be opened (File name too long)", lambda f: _with_path(f, "a" * 300)),
    ("socket microscopy-image needs exactly one image", lambda f: _with_path(f, "images\0")),
    ("inputs.json: expected a file, found a folder, a pipe or a device", _list_that_is_a_pipe),
]


@pytest.mark.parametrize("expected, mistake", MISTAKES)
def test_explains(tmp_path, expected, mistake):
    mistake(_case(tmp_path))
    refused(re.escape(expected), read_case, tmp_path, SEGMENT)


def _a_value_in_the_last_slice():
    array = np.zeros((3, 4, 5), np.float16)
    array[2, 3, 4] = -np.inf
    return {SLUG: Volume(array, SPACING)}


def _integers(value):
    return {SLUG: Volume(np.array([[[0, value]]]), SPACING)}


UNFIT = [
    ("expected the input microscopy-image, found ['other']", lambda: {"other": _volume()}),
    ("microscopy-image must", lambda: {SLUG: Volume(np.zeros((2, 4, 5)), (0.5, 0.5), "TYX")}),
    ("microscopy-image must not", lambda: {SLUG: Volume(np.zeros((0, 4, 5)), SPACING)}),
    ("microscopy-image must be finite, found NaN or infinity", _a_value_in_the_last_slice),
    ("or more than 1e+15", lambda: _integers(2**62)),
    ("or more than 1e+15", lambda: _integers(-(2**63))),
]


@pytest.mark.parametrize("expected, mistake", UNFIT)
def test_explains_an_image_that_cannot_be_segmented(expected, mistake):
    refused(re.escape(expected), image_of, mistake())


@pytest.mark.parametrize("name", ["image.ome.zarr", "image.ozx", "image.zarr"])
def test_an_image_may_be_an_ome_zarr(tmp_path, name):
    _case(tmp_path, channel="nucleus")
    folder = tmp_path / "images" / SLUG
    (folder / "embryo.tif").unlink()
    write(folder / name, _volume())
    case = read_case(tmp_path, SEGMENT)
    assert_array_equal(case.volumes[SLUG].array, _volume().array)
    assert (case.name, case.suffix) == ("image", ".ozx")
    labels = {"instance-labels": case.volumes[SLUG].like(_volume().array.astype(np.uint32))}
    write_outputs(tmp_path / "out", SEGMENT, case, labels)
    path = tmp_path / "out/images/instance-labels/image.ozx"
    assert_array_equal(read(path).array, _volume().array)
    assert read(path).spacing == SPACING


def test_a_large_case_is_an_ome_zarr(tmp_path, monkeypatch):
    monkeypatch.setattr("cytosuite.formats.imagefiles.LARGE", 60)
    case = _case(tmp_path / "case", channel="nucleus")
    assert [path.name for path in (case / "images" / SLUG).iterdir()] == ["embryo.ome.zarr"]
    assert read_json(case / "inputs.json")[1]["image"]["name"] == "embryo.ome.zarr"
    assert_array_equal(read_case(case, SEGMENT).volumes[SLUG].array, _volume().array)
    write_case(tmp_path / "link", SEGMENT, "b", {SLUG: case / "images" / SLUG / "embryo.ome.zarr"})
    assert (tmp_path / "link/images" / SLUG / "b.ome.zarr").is_symlink()
    assert read_case(tmp_path / "link", SEGMENT).name == "b"


def test_a_given_voxel_size_replaces_an_assumed_one(tmp_path):
    plane = Volume(np.zeros((4, 5), np.uint8), (1, 1), "YX", {"spacing_source": "assumed"})
    write_case(tmp_path, SEGMENT, "a", {SLUG: plane})
    assert read_case(tmp_path, SEGMENT).volumes[SLUG].spacing_is_assumed
    (tmp_path / "acquisition-metadata.json").write_text('{"spacing": [0.3, 0.3]}')
    volume = read_case(tmp_path, SEGMENT).volumes[SLUG]
    assert volume.spacing == (0.3, 0.3)
    assert not volume.spacing_is_assumed


def test_undeclared_outputs_are_refused(tmp_path):
    refused(
        "expected the outputs .'instance-labels'., found .'x'.",
        write_outputs,
        tmp_path / "out",
        SEGMENT,
        read_case(_case(tmp_path), SEGMENT),
        {"x": _volume()},
    )


def test_truth_values_are_an_image_of_0_and_1():
    image = Volume(np.eye(3, dtype=bool), (1.0, 1.0), "YX")
    array = image_of({"microscopy-image": image}, offset=False).array
    assert array.dtype.kind == "u"
    assert_array_equal(array, np.eye(3))
