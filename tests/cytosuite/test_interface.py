import json
import re

import numpy as np
import pytest

from cytosuite.errors import InputError
from cytosuite.formats import read, write
from cytosuite.interface import channel_of, image_of, read_case, write_case, write_outputs
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


def test_a_listed_path_is_followed(tmp_path):
    _case(tmp_path)
    (tmp_path / "images" / SLUG).rename(tmp_path / "images" / "Other-3D")
    listed = json.loads((tmp_path / "inputs.json").read_text())
    listed[1]["interface"]["relative_path"] = "images/Other-3D"
    (tmp_path / "inputs.json").write_text(json.dumps(listed))
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
    assert found.sources == {"channel": "file", "study": "json", "spacing": "json"}


def test_the_original_name_tells_the_channel_as_a_last_resort(tmp_path):
    _case(tmp_path)
    listed = json.loads((tmp_path / "inputs.json").read_text())
    listed[1]["image"]["name"] = "image_3_membrane_angle.tif"
    (tmp_path / "inputs.json").write_text(json.dumps(listed))
    found = read_case(tmp_path, SEGMENT)
    assert found.volumes[SLUG].metadata == {"channel": "membrane"}
    assert found.sources["channel"] == "name"


NUCLEUS = ["DAPI", "H2B-mRFP1", "Hoechst 33342", "Nuclei", "nuclear", "H2BmCherry", "NLS-GFP"]
NUCLEUS += ["01_nuclei02", "his-H2Av", "DRAQ5", "405_dapi", "Histone H2B"]
MEMBRANE = ["Membrane", "plasma membranes", "plasmamembrane", "cell wall", "FM4-64", "CellMask"]
MEMBRANE += ["mCherry-CAAX", "WGA-488", "E-cadherin", "cell_outline"]


@pytest.mark.parametrize(
    ("words", "channel"),
    [(NUCLEUS, "nucleus"), (MEMBRANE, "membrane")],
    ids=["nucleus", "membrane"],
)
def test_a_channel_has_many_words_in_metadata_and_in_names(tmp_path, words, channel):
    for word in words:
        assert channel_of(word) == channel, word
        assert channel_of(f"image_3_{word}_t01.tif") == channel, word
    _case(tmp_path, channel=words[0])
    found = read_case(tmp_path, SEGMENT)
    assert found.volumes[SLUG].metadata["channel"] == channel
    assert found.sources["channel"] == "json"


@pytest.mark.parametrize(
    "word", ["GFP", "488", "actin", "", "nucleolus", "nuclei and membrane", "dapibus", "remembrane"]
)
def test_other_words_and_contradictions_are_no_known_channel(tmp_path, word):
    assert channel_of(word) is None
    _case(tmp_path, channel=word)
    assert read_case(tmp_path, SEGMENT).volumes[SLUG].metadata["channel"] == word


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
    """socket microscopy-image needs exactly one image (.mha, .tif, .tiff), found 2: b.tif, embryo.tif"""
    write(folder / "images" / SLUG / "b.tif", _volume())


def _no_image(folder):
    """socket microscopy-image needs exactly one image (.mha, .tif, .tiff), found none"""
    (folder / "images" / SLUG / "embryo.tif").unlink()


def _no_folder(folder):
    """socket microscopy-image needs exactly one image (.mha, .tif, .tiff), found none"""
    (folder / "images" / SLUG).rename(folder / "images" / "x")


def _list_of_numbers(folder):
    """inputs.json: expected a list of objects with interface.slug"""
    (folder / "inputs.json").write_text("[1, 2]")


def _metadata_is_a_list(folder):
    """acquisition-metadata.json: expected a JSON object, found [1]"""
    (folder / "acquisition-metadata.json").write_text("[1]")


def _spacing_is_text(folder):
    """acquisition metadata: spacing must be numbers in µm, found '2 um'"""
    (folder / "acquisition-metadata.json").write_text('{"spacing": "2 um"}')


@pytest.mark.parametrize(
    "mistake",
    [_two_images, _no_image, _no_folder, _list_of_numbers, _metadata_is_a_list, _spacing_is_text],
)
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


def _a_value_in_the_last_slice():
    """microscopy-image must be finite, found NaN or infinity"""
    array = np.zeros((3, 4, 5), np.float32)
    array[2, 3, 4] = -np.inf
    return {SLUG: Volume(array, (2.0, 0.5, 0.5))}


@pytest.mark.parametrize(
    "mistake", [_a_missing_image, _several_frames, _an_empty_image, _a_value_in_the_last_slice]
)
def test_explains_an_image_that_cannot_be_segmented(mistake):
    with pytest.raises(InputError, match=re.escape(mistake.__doc__)):
        image_of(mistake())
