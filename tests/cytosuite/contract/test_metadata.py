import numpy as np
import pytest
from mistakes import refused

from cytosuite.contract.interface import read_case, write_case
from cytosuite.contract.metadata import channel_of, described, study_of, view_role
from cytosuite.contract.tasks import TASKS
from cytosuite.volume import Origin, Volume

SEGMENT = TASKS["segment"]
SLUG = "microscopy-image"


def _volume(spacing=(2.0, 0.5, 0.5), sources=None, **metadata):
    return Volume(np.zeros((3, 4, 5), np.uint16), spacing, "ZYX", metadata, Origin(sources or {}))


NUCLEUS = ["DAPI", "H2B-mRFP1", "Hoechst 33342", "Nuclei", "nuclear", "H2BmCherry", "NLS-GFP"]
NUCLEUS += ["01_nuclei02", "his-H2Av", "DRAQ5", "405_dapi", "Histone H2B"]
MEMBRANE = ["Membrane", "plasma membranes", "plasmamembrane", "cell wall", "FM4-64", "CellMask"]
MEMBRANE += ["mCherry-CAAX", "WGA-488", "E-cadherin", "cell_outline"]


@pytest.mark.parametrize(
    "channel, words",
    {
        "nucleus": NUCLEUS,
        "membrane": MEMBRANE,
        "cytoplasm": ["cytoplasm", "Cyto", "cytosolic GFP", "whole_cell", "CellTracker Green"],
    }.items(),
)
def test_a_channel_has_many_words_in_metadata_and_in_names(words, channel):
    for word in words:
        assert channel_of(word) == channel, word
        assert channel_of(f"image_3_{word}_t01.tif") == channel, word
    volume = described(_volume(), {"channel": words[0]})
    assert volume.metadata["channel"] == channel
    assert volume.origin.sources["channel"] == "json"


def test_other_words_and_contradictions_are_no_known_channel():
    others = ["GFP", "488", "", "nucleolus", "nuclei and membrane", "dapibus", "remembrane"]
    assert [channel_of(word) for word in others] == [None] * len(others)
    assert described(_volume(), {"channel": "actin"}).metadata["channel"] == "actin"


def test_names_of_fuse_my_cells_tell_specimen_role_and_study():
    assert view_role("image_19_membrane_angle") == ("image_19_membrane", "angle")
    assert view_role("image_19_membrane") is None
    assert study_of("Study3_Study1_H5_image_19_membrane_angle") == 1
    assert study_of("image_19") is None


def test_warnings_outlive_the_case_on_disk_and_stand_once(tmp_path):
    once = described(_volume((1750.0, 800.0, 800.0), {"spacing": "imagej"}), {})
    assert once.spacing == (1.75, 0.8, 0.8)
    write_case(tmp_path, SEGMENT, "a", {SLUG: once})
    case = read_case(tmp_path, SEGMENT)
    assert case.volumes[SLUG].spacing == (1.75, 0.8, 0.8)
    assert case.sources["spacing"] == "imagej"
    (line,) = case.warnings
    assert "1750 x 800 x 800 µm (imagej)" in line
    assert "1.75 x 0.8 x 0.8 µm" in line


def test_only_contradictions_are_contradictory():
    file = _volume(sources={"spacing": "ome", "channel": "ome"}, channel="DAPI")
    same = described(file, {"channel": "nuclei", "spacing": [2, 0.5, 0.5]}, "h2b.tif")
    assert same.origin.warnings == ()


@pytest.mark.parametrize(
    "size", [[2, 0.5, True], [2, 0.5, "0.5"], [2, 0.5, -0.5], [2.0, 0.4], 0.5, {"z": 2}]
)
def test_a_size_that_is_no_list_of_positive_numbers_is_refused(size):
    message = "^acquisition metadata: spacing must be (3 )?positive numbers in µm"
    refused(message, described, _volume(), {"spacing": size})
