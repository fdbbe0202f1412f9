"""A case of Fuse My Cells in its own layout: one file, no list, whatever it is called and says."""

import re

import numpy as np
import pytest
import tifffile
from mistakes import refused
from numpy.testing import assert_array_equal
from rasters import counted

from cytosuite.contract.interface import read_case, write_outputs
from cytosuite.contract.tasks import TASKS, VIEW, VIEW_FOLDER

FUSE = TASKS["fuse"]
FUSED = FUSE.outputs[0].slug
ARRAY = counted(5, 6, 7)
KEYS = {"spacing": 1.0, "PhysicalSizeX": 0.2, "PhysicalSizeY": 0.2, "PhysicalSizeZ": 1.0}
KEYS |= {"unit": "um", "channel": "membrane", "study": 1}


def _case(folder, name="image_1_membrane_angle.tif", array=ARRAY, **words):
    path = folder / "input/images" / VIEW_FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"axes": "ZYX"[-array.ndim :], **KEYS, **words}
    tifffile.imwrite(path, array, photometric="minisblack", metadata=metadata)
    return folder / "input"


def test_a_file_alone_is_a_case(tmp_path):
    case = read_case(_case(tmp_path), FUSE)
    view = case.volumes[VIEW]
    assert_array_equal(view.array, ARRAY)
    assert (view.spacing, dict(view.metadata)) == (
        (1, 0.2, 0.2),
        {"channel": "membrane", "study": 1},
    )
    assert (case.name, case.suffix, case.warnings) == ("image_1_membrane_angle", ".tif", ())


def test_the_output_has_the_name_of_the_input_and_its_keys(tmp_path):
    case = read_case(_case(tmp_path, "5c0b-1.TIF"), FUSE)
    write_outputs(tmp_path / "output", FUSE, case, {FUSED: case.volumes[VIEW].like(ARRAY + 1)})
    (path,) = (tmp_path / "output").rglob("*.*")
    assert path == tmp_path / f"output/images/fused-{VIEW_FOLDER}" / "5c0b-1.TIF"
    with tifffile.TiffFile(path) as file:
        assert file.shaped_metadata[0] == {**KEYS, "axes": "ZYX", "shape": [5, 6, 7]}
        assert_array_equal(file.asarray(), ARRAY + 1)


@pytest.mark.parametrize(
    "name, channel", [("image_7_nucleus_angle.tif", "nucleus"), ("5c0b.tif", None)]
)
def test_without_a_list_the_name_of_the_file_tells_the_channel(tmp_path, name, channel):
    case = read_case(_case(tmp_path, name, channel=[]), FUSE)
    assert case.volumes[VIEW].metadata.get("channel") == channel
    assert case.sources.get("channel") == (channel and "name")


def _cut(folder):
    (path,) = _case(folder).rglob("*.tif")
    path.write_bytes(path.read_bytes()[:-100])
    return folder / "input"


MISTAKES = [
    ("angle.tif: expected a stack of slices (z, y, x),", lambda f: _case(f, array=ARRAY[0])),
    ("angle.tif: expected a", lambda f: _case(f, array=np.stack([ARRAY, ARRAY]), axes="CZYX")),
    ("image_1_membrane_angle.tif: cannot be read as TIFF, cut or broken", _cut),
]


@pytest.mark.parametrize("expected, mistake", MISTAKES)
def test_explains(tmp_path, expected, mistake):
    refused(re.escape(expected), read_case, mistake(tmp_path), FUSE)
