import numpy as np
import pytest

from cytosuite.errors import InputError
from cytosuite.formats import read, write
from cytosuite.interface import read_case, write_case
from cytosuite.metadata import acquisition, channel_of, described, study_of, view_role
from cytosuite.tasks import TASKS
from cytosuite.volume import Origin, Volume

SEGMENT = TASKS["segment"]
SLUG = "microscopy-image"
ARRAY = np.zeros((3, 4, 5), np.uint16)


def _volume(spacing=(2.0, 0.5, 0.5), sources=None, **metadata):
    return Volume(ARRAY, spacing, "ZYX", metadata, Origin(sources or {}))


def _case(folder, **metadata):
    write_case(folder, SEGMENT, "embryo", {SLUG: _volume(**metadata)})
    return folder


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


def test_the_source_of_each_value_outlives_the_case_on_disk(tmp_path):
    sources = {"spacing": "imagej", "channel": "user", "study": "ome"}
    volume = _volume(sources=sources, channel="nucleus", study=2)
    write_case(tmp_path, SEGMENT, "a", {SLUG: volume})
    found = read_case(tmp_path, SEGMENT)
    assert found.sources == sources
    assert found.warnings == ()
    again = _volume(sources=sources, channel="nucleus", study=2)
    assert acquisition(found.volumes[SLUG]) == acquisition(again)


def test_an_assumed_voxel_size_is_assumed(tmp_path):
    plane = Volume(ARRAY[0], (1, 1), "YX", {"spacing_source": "assumed"})
    write(tmp_path / "images" / SLUG / "a.tif", plane)
    assert read_case(tmp_path, SEGMENT).sources == {"spacing": "assumed"}


def test_warnings_outlive_the_case_on_disk_and_stand_once(tmp_path):
    nm = _volume((1750.0, 800.0, 800.0), {"spacing": "imagej"})
    once = described(nm, {})
    assert once.spacing == (1.75, 0.8, 0.8)
    write_case(tmp_path, SEGMENT, "a", {SLUG: once})
    found = read_case(tmp_path, SEGMENT)
    assert found.volumes[SLUG].spacing == (1.75, 0.8, 0.8)
    assert found.sources["spacing"] == "imagej"
    (line,) = found.warnings
    assert "1750 x 800 x 800 µm (imagej)" in line
    assert "1.75 x 0.8 x 0.8 µm" in line


def test_a_container_corrects_a_voxel_size_by_itself(tmp_path):
    write(tmp_path / "images" / SLUG / "a.tif", _volume((1750.0, 800.0, 800.0)))
    found = read_case(tmp_path, SEGMENT)
    assert found.volumes[SLUG].spacing == (1.75, 0.8, 0.8)
    assert len(found.warnings) == 1


def test_a_contradiction_tells_each_word_once(tmp_path):
    _case(tmp_path, channel="membrane")
    listed = (tmp_path / "inputs.json").read_text().replace("embryo.tif", "nuclei.tif")
    (tmp_path / "inputs.json").write_text(listed)
    assert read_case(tmp_path, SEGMENT).warnings == (
        "channel contradictory: membrane (json), nucleus (name); the first was used",
    )


def test_only_contradictions_are_contradictory():
    file = _volume(sources={"spacing": "ome", "channel": "ome"}, channel="DAPI")
    same = described(file, {"channel": "nuclei", "spacing": [2, 0.5, 0.5]}, "h2b.tif")
    assert same.origin.warnings == ()
    other = described(file, {"channel": "membrane", "spacing": [2, 0.4, 0.4]}, "a.tif")
    assert other.metadata["channel"] == "membrane"
    assert other.spacing == (2, 0.4, 0.4)
    assert other.origin.warnings == (
        "channel contradictory: membrane (json), nucleus (ome of the file); the first was used",
        "voxel size contradictory: 2 x 0.4 x 0.4 µm (json), used, not 2 x 0.5 x 0.5 µm (ome of the file)",
    )


@pytest.mark.parametrize("odd", [7, "x", ["x"], {"spacing": 3}, {"spacing": None}])
def test_odd_sources_and_warnings_of_strangers_do_no_harm(odd):
    found = described(_volume(), {"spacing": [2, 0.5, 0.5], "sources": odd, "warnings": odd})
    assert found.origin.sources["spacing"] == "json"
    assert all(isinstance(line, str) for line in found.origin.warnings)


@pytest.mark.parametrize("size", [[2, 0.5, True], [2, 0.5, "0.5"], [2, 0.5, -0.5], 0.5, {"z": 2}])
def test_a_size_that_is_no_list_of_positive_numbers_is_refused(size):
    with pytest.raises(InputError, match="spacing must be positive numbers in µm, found"):
        described(_volume(), {"spacing": size})


@pytest.mark.parametrize("suffix", [".mha", ".tif"])
def test_read_files_tell_their_kind(tmp_path, suffix):
    write(tmp_path / f"a{suffix}", _volume())
    kinds = {".mha": "metaimage", ".tif": "json"}
    assert described(read(tmp_path / f"a{suffix}"), {}).origin.sources["spacing"] == kinds[suffix]


@pytest.mark.parametrize("name", ["angle", "_angle", "image_1_nucleus", "image_1__fused", "fused"])
def test_other_names_are_no_pair_of_the_challenge(name):
    assert view_role(name) is None


def test_view_and_fused_image_share_their_specimen():
    assert view_role("image_7_nucleus_ANGLE") == ("image_7_nucleus", "angle")
    assert view_role("image_7_nucleus_fused") == ("image_7_nucleus", "fused")


@pytest.mark.parametrize(
    ("name", "study"),
    [
        ("Study1_H5_image_19_membrane_angle", 1),
        ("study 4_a", 4),
        ("my_STUDY-5_image", 5),
        ("Study12_a", 12),
        ("casestudy3_a", None),
        ("Study_image_19", None),
        ("image_1_nucleus_angle", None),
    ],
)
def test_a_study_is_told_by_its_folder(name, study):
    assert study_of(name) == study
