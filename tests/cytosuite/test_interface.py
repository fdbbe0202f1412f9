import json
import os
import re

import numpy as np
import pytest

from cytosuite.errors import InputError
from cytosuite.formats import read, write
from cytosuite.imagefiles import image_files
from cytosuite.interface import image_of, read_case, write_case, write_outputs
from cytosuite.tasks import TASKS
from cytosuite.volume import Volume

SEGMENT = TASKS["segment"]
SLUG = "microscopy-image"


def _volume(**metadata):
    array = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)
    return Volume(array, (2.0, 0.5, 0.5), "ZYX", metadata)


def _case(folder, **metadata):
    write_case(folder, SEGMENT, "embryo", {SLUG: _volume(**metadata)})
    return folder


def test_what_is_written_is_read(tmp_path):
    found = read_case(_case(tmp_path, channel="nucleus"), SEGMENT)
    np.testing.assert_array_equal(found.volumes[SLUG].array, _volume().array)
    assert found.volumes[SLUG].spacing == (2.0, 0.5, 0.5)
    assert found.volumes[SLUG].metadata["channel"] == "nucleus"
    assert (found.name, found.suffix) == ("embryo", ".tif")


def test_inputs_are_listed_as_the_platform_lists_them(tmp_path):
    listed = json.loads((_case(tmp_path) / "inputs.json").read_text())
    assert [entry["interface"]["slug"] for entry in listed] == ["acquisition-metadata", SLUG]
    assert all(entry["socket"] == entry["interface"] for entry in listed)
    assert listed[1]["interface"]["relative_path"] == f"images/{SLUG}"
    assert listed[1]["image"]["name"] == "embryo.tif"
    assert listed[0]["value"]["spacing"] == [2.0, 0.5, 0.5]


def test_the_files_name_does_not_matter(tmp_path):
    folder = _case(tmp_path) / "images" / SLUG
    (folder / "embryo.tif").rename(folder / "0d1f-77.TIF")
    assert read_case(tmp_path, SEGMENT).name == "0d1f-77"


def test_it_works_without_a_list_and_without_metadata(tmp_path):
    (_case(tmp_path) / "inputs.json").unlink()
    (tmp_path / "acquisition-metadata.json").unlink()
    assert read_case(tmp_path, SEGMENT).volumes[SLUG].spacing == (2.0, 0.5, 0.5)


@pytest.mark.parametrize("kinds", [("interface",), ("socket",), ("interface", "socket")])
def test_every_generation_of_the_list_is_followed(tmp_path, kinds):
    _case(tmp_path)
    (tmp_path / "images" / SLUG).rename(tmp_path / "images" / "Other-3D")
    place = {"slug": SLUG, "relative_path": "images/Other-3D", "pk": 12, "overlay_segments": []}
    entry = {**dict.fromkeys(kinds, place), "image": {"pk": "a", "name": "wall.tif"}, "pk": 3}
    bare = {kind: {"slug": "acquisition-metadata"} for kind in kinds} | {"value": {}, "image": None}
    (tmp_path / "inputs.json").write_text(json.dumps([entry, bare]))
    assert read_case(tmp_path, SEGMENT).name == "embryo"


def test_the_json_socket_wins_over_the_file_and_the_file_over_the_name(tmp_path):
    _case(tmp_path, channel="nucleus", study=1)
    (tmp_path / "acquisition-metadata.json").write_text('{"study": 2, "spacing": [4, 1, 1]}')
    listed = json.loads((tmp_path / "inputs.json").read_text())
    listed[1]["image"]["name"] = "image_3_membrane_angle.tif"
    (tmp_path / "inputs.json").write_text(json.dumps(listed))
    found = read_case(tmp_path, SEGMENT)
    assert dict(found.volumes[SLUG].metadata) == {"channel": "nucleus", "study": 2}
    assert found.volumes[SLUG].spacing == (4.0, 1.0, 1.0)
    assert found.sources == {"channel": "json", "study": "json", "spacing": "json"}
    assert found.warnings == (
        "channel contradictory: nucleus (json of the file), membrane (name); the first was used",
        "voxel size contradictory: 4 x 1 x 1 µm (json), used, not 2 x 0.5 x 0.5 µm (json of the file)",
    )


def test_the_original_name_tells_the_channel_as_a_last_resort(tmp_path):
    _case(tmp_path)
    listed = json.loads((tmp_path / "inputs.json").read_text())
    listed[1]["image"]["name"] = "image_3_membrane_angle.tif"
    (tmp_path / "inputs.json").write_text(json.dumps(listed))
    found = read_case(tmp_path, SEGMENT)
    assert found.volumes[SLUG].metadata == {"channel": "membrane"}
    assert found.sources["channel"] == "name"


def test_a_given_voxel_size_replaces_an_assumed_one(tmp_path):
    plane = Volume(np.zeros((4, 5), np.uint8), (1, 1), "YX", {"spacing_source": "assumed"})
    write_case(tmp_path, SEGMENT, "a", {SLUG: plane})
    assert read_case(tmp_path, SEGMENT).volumes[SLUG].spacing_is_assumed
    (tmp_path / "acquisition-metadata.json").write_text('{"spacing": [0.3, 0.3]}')
    found = read_case(tmp_path, SEGMENT).volumes[SLUG]
    assert found.spacing == (0.3, 0.3)
    assert not found.spacing_is_assumed


@pytest.mark.parametrize("suffix", [".tif", ".mha"])
def test_outputs_are_named_and_stored_like_the_input(tmp_path, suffix):
    write(tmp_path / "in" / "images" / SLUG / f"a.b{suffix}", _volume())
    case = read_case(tmp_path / "in", SEGMENT)
    labels = case.volumes[SLUG].like(np.ones((3, 4, 5), np.uint16))
    write_outputs(tmp_path / "out", SEGMENT, case, {"instance-labels": labels})
    path = tmp_path / "out" / "images" / "instance-labels" / f"a.b{suffix}"
    assert [path] == list(path.parent.iterdir())
    assert read(path).spacing == (2.0, 0.5, 0.5)


def test_undeclared_outputs_are_refused(tmp_path):
    case = read_case(_case(tmp_path), SEGMENT)
    with pytest.raises(InputError, match="expected the outputs .'instance-labels'., found .'x'."):
        write_outputs(tmp_path / "out", SEGMENT, case, {"x": _volume()})


def _two_images(folder):
    """socket microscopy-image needs exactly one image (.mha, .tif, .tiff, .ozx, .zarr), found 2: b.tif, embryo.tif"""
    write(folder / "images" / SLUG / "b.tif", _volume())


def _no_image(folder):
    """socket microscopy-image needs exactly one image (.mha, .tif, .tiff, .ozx, .zarr), found none"""
    (folder / "images" / SLUG / "embryo.tif").unlink()


def _no_folder(folder):
    """socket microscopy-image needs exactly one image (.mha, .tif, .tiff, .ozx, .zarr), found none"""
    (folder / "images" / SLUG).rename(folder / "images" / "x")


def _listed(folder, *entries):
    (folder / "inputs.json").write_text(json.dumps(entries))


def _list_of_numbers(folder):
    """inputs.json: expected a list of objects, one per socket"""
    _listed(folder, 1, 2)


def _list_is_an_object(folder):
    """inputs.json: expected a list of objects, one per socket"""
    (folder / "inputs.json").write_text('{"slug": "microscopy-image"}')


def _neither_interface_nor_socket(folder):
    """inputs.json: entry 0: expected interface.slug or socket.slug, found {"slug": "x"}"""
    _listed(folder, {"slug": "x"})


def _no_slug(folder):
    """inputs.json: entry 1: expected socket.slug, a text, found {}"""
    _listed(folder, {"socket": {"slug": "x"}}, {"socket": {}})


def _socket_is_a_list(folder):
    """inputs.json: entry 0: expected socket.slug, a text, found ["microscopy-image"]"""
    _listed(folder, {"socket": [SLUG]})


def _path_is_a_number(folder):
    """inputs.json: entry 0: expected interface.relative_path, a text, found 7"""
    _listed(folder, {"interface": {"slug": SLUG, "relative_path": 7}})


def _contradictory_slugs(folder):
    """interface and socket contradict each other: slug is "microscopy-image" and "other"""
    _listed(folder, {"interface": {"slug": SLUG}, "socket": {"slug": "other"}})


def _contradictory_paths(folder):
    """interface and socket contradict each other: relative_path is "images/a" and "images/b"""
    a, b = ({"slug": SLUG, "relative_path": f"images/{name}"} for name in "ab")
    _listed(folder, {"interface": a, "socket": b})


def _path_outside(folder):
    """inputs.json: entry 0: relative_path must stay in the folder, found "../secret"""
    _listed(folder, {"socket": {"slug": SLUG, "relative_path": "../secret"}})


def _two_entries_of_a_socket(folder):
    """inputs.json: expected one entry per socket, found two of microscopy-image"""
    _listed(folder, {"socket": {"slug": SLUG}}, {"interface": {"slug": SLUG}})


def _metadata_is_a_list(folder):
    """acquisition-metadata.json: expected a JSON object, found [1]"""
    (folder / "acquisition-metadata.json").write_text("[1]")


def _spacing_is_text(folder):
    """acquisition metadata: spacing must be positive numbers in µm, found '2 um'"""
    (folder / "acquisition-metadata.json").write_text('{"spacing": "2 um"}')


def _spacing_is_zero(folder):
    """acquisition metadata: spacing must be positive numbers in µm, found [0, 0.5, 0.5]"""
    (folder / "acquisition-metadata.json").write_text('{"spacing": [0, 0.5, 0.5]}')


def _spacing_is_nan(folder):
    """acquisition-metadata.json: expected JSON, found NaN, which is no number of JSON"""
    (folder / "acquisition-metadata.json").write_text('{"spacing": [NaN, 0.5, 0.5]}')


def _long_path(folder):
    """cannot be opened (File name too long)"""
    _with_path(folder, "a" * 300)


def _path_with_a_nul(folder):
    """socket microscopy-image needs exactly one image"""
    _with_path(folder, "images\0")


def _with_path(folder, path, slug=SLUG):
    """Write a list in which a socket has a path."""
    entry = {"socket": {"slug": slug, "relative_path": path}}
    (folder / "inputs.json").write_text(json.dumps([entry]))


def _path_of_metadata_that_is_too_long(folder):
    """cannot be opened (File name too long)"""
    _with_path(folder, "a" * 300, "acquisition-metadata")


def _list_that_is_a_pipe(folder):
    """inputs.json: expected a file, found a folder, a pipe or a device"""
    (folder / "inputs.json").unlink(missing_ok=True)
    os.mkfifo(folder / "inputs.json")


def _metadata_that_are_a_pipe(folder):
    """acquisition-metadata.json: expected a file, found a folder, a pipe or a device"""
    (folder / "acquisition-metadata.json").unlink(missing_ok=True)
    os.mkfifo(folder / "acquisition-metadata.json")


def _spacing_of_a_plane(folder):
    """acquisition metadata: spacing must be 3 positive numbers in µm (z, y, x), found [0.5, 0.5]"""
    (folder / "acquisition-metadata.json").write_text('{"spacing": [0.5, 0.5]}')


def _spacing_makes_no_sense(folder):
    """voxel size 3 x 90000 x 90000 µm (json) makes no sense: a nucleus of 15 pixels is 1.35 m"""
    (folder / "acquisition-metadata.json").write_text('{"spacing": [3, 90000, 90000]}')


MISTAKES = [_two_images, _no_image, _no_folder, _list_of_numbers, _list_is_an_object, _no_slug]
MISTAKES += [_neither_interface_nor_socket, _socket_is_a_list, _path_is_a_number, _path_outside]
MISTAKES += [_contradictory_slugs, _contradictory_paths, _two_entries_of_a_socket]
MISTAKES += [_metadata_is_a_list, _spacing_is_text, _spacing_is_zero, _spacing_is_nan]
MISTAKES += [_spacing_of_a_plane, _spacing_makes_no_sense, _long_path, _path_with_a_nul]
MISTAKES += [_path_of_metadata_that_is_too_long, _list_that_is_a_pipe, _metadata_that_are_a_pipe]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_explains(tmp_path, mistake):
    mistake(_case(tmp_path))
    with pytest.raises(InputError, match=re.escape(mistake.__doc__)):
        read_case(tmp_path, SEGMENT)


def test_the_image_is_the_one_given():
    given = _volume()
    assert image_of({SLUG: given, "other": _volume()}) is given
    flat = Volume(np.zeros((4, 5), np.float32), (0.5, 0.5), "YX")
    assert image_of({SLUG: flat}) is flat


def _a_missing_image():
    """expected the input microscopy-image, found ['other']"""
    return {"other": _volume()}


def _several_frames():
    """microscopy-image must have the axes ZYX or YX, found TYX: give one frame and one channel"""
    return {SLUG: Volume(np.zeros((2, 4, 5)), (0.5, 0.5), "TYX")}


def _an_empty_image():
    """microscopy-image must not be empty, found shape (0, 4, 5)"""
    return {SLUG: Volume(np.zeros((0, 4, 5)), (2.0, 0.5, 0.5))}


def _endless_light():
    """microscopy-image must be finite, found NaN or infinity, or more than 1e+15"""
    return {SLUG: Volume(np.full((3, 4, 5), 1e308), (2.0, 0.5, 0.5))}


def _a_value_in_the_last_slice():
    """microscopy-image must be finite, found NaN or infinity"""
    array = np.zeros((3, 4, 5), np.float32)
    array[2, 3, 4] = -np.inf
    return {SLUG: Volume(array, (2.0, 0.5, 0.5))}


@pytest.mark.parametrize(
    "mistake",
    [
        _a_missing_image,
        _several_frames,
        _an_empty_image,
        _endless_light,
        _a_value_in_the_last_slice,
    ],
)
def test_explains_an_image_that_cannot_be_segmented(mistake):
    with pytest.raises(InputError, match=re.escape(mistake.__doc__)):
        image_of(mistake())


def test_images_of_a_folder_are_sorted_and_neither_hidden_nor_folders(tmp_path):
    for place in ("b.tif", "a/deep.TIFF", "a/.hidden.tif", "._b.tif", "c.mha", "notes.txt"):
        path = tmp_path / place
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "d.tif").mkdir()
    assert image_files(tmp_path) == [tmp_path / "b.tif", tmp_path / "c.mha"]
    assert image_files(tmp_path, deep=True) == [
        tmp_path / p for p in ("a/deep.TIFF", "b.tif", "c.mha")
    ]
    assert image_files(tmp_path / "missing") == []


@pytest.mark.parametrize("name", ["image.ome.zarr", "image.ozx", "image.zarr"])
def test_an_image_may_be_an_ome_zarr(tmp_path, name):
    _case(tmp_path, channel="nucleus")
    folder = tmp_path / "images" / SLUG
    (folder / "embryo.tif").unlink()
    write(folder / name, _volume())
    found = read_case(tmp_path, SEGMENT)
    np.testing.assert_array_equal(found.volumes[SLUG].array, _volume().array)
    assert (found.name, found.suffix) == ("image", ".ozx")
    labels = {"instance-labels": found.volumes[SLUG].like(_volume().array.astype(np.uint32))}
    write_outputs(tmp_path / "out", SEGMENT, found, labels)
    path = tmp_path / "out" / "images" / "instance-labels" / "image.ozx"
    np.testing.assert_array_equal(read(path).array, _volume().array)
    assert read(path).spacing == (2.0, 0.5, 0.5)


def test_a_large_case_is_an_ome_zarr(tmp_path, monkeypatch):
    monkeypatch.setattr("cytosuite.imagefiles.LARGE", 60)
    case = _case(tmp_path / "case", channel="nucleus")
    assert [path.name for path in (case / "images" / SLUG).iterdir()] == ["embryo.ome.zarr"]
    assert json.loads((case / "inputs.json").read_text())[1]["image"]["name"] == "embryo.ome.zarr"
    np.testing.assert_array_equal(read_case(case, SEGMENT).volumes[SLUG].array, _volume().array)
    write_case(tmp_path / "link", SEGMENT, "b", {SLUG: case / "images" / SLUG / "embryo.ome.zarr"})
    assert (tmp_path / "link" / "images" / SLUG / "b.ome.zarr").is_symlink()
    assert read_case(tmp_path / "link", SEGMENT).name == "b"
