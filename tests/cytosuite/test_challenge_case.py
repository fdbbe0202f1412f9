"""A case of Fuse My Cells in its own layout: one file, no list, whatever it is called and says."""

import json
import re

import numpy as np
import pytest
import tifffile

from cytosuite.errors import InputError
from cytosuite.formats import read, write
from cytosuite.interface import read_case, write_outputs
from cytosuite.tasks import TASKS, VIEW, VIEW_FOLDER
from cytosuite.volume import Volume

FUSE = TASKS["fuse"]
FUSED = FUSE.outputs[0].slug
ARRAY = np.arange(5 * 6 * 7, dtype=np.uint16).reshape(5, 6, 7)
KEYS = {"spacing": 1.0, "PhysicalSizeX": 0.2, "PhysicalSizeY": 0.2, "PhysicalSizeZ": 1.0}
KEYS |= {"unit": "um", "channel": "membrane", "study": 1}


def _case(folder, name="image_1_membrane_angle.tif", array=ARRAY, **words):
    path = folder / "input" / "images" / VIEW_FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"axes": "ZYX"[-array.ndim :], **KEYS, **words}
    tifffile.imwrite(path, array, photometric="minisblack", metadata=metadata)
    return folder / "input"


def test_a_file_alone_is_a_case(tmp_path):
    found = read_case(_case(tmp_path), FUSE)
    view = found.volumes[VIEW]
    np.testing.assert_array_equal(view.array, ARRAY)
    assert (view.spacing, dict(view.metadata)) == (
        (1, 0.2, 0.2),
        {"channel": "membrane", "study": 1},
    )
    assert (found.name, found.suffix, found.warnings) == ("image_1_membrane_angle", ".tif", ())


def test_the_output_has_the_name_of_the_input_and_its_keys(tmp_path):
    found = read_case(_case(tmp_path, "5c0b-1.TIF"), FUSE)
    answer = found.volumes[VIEW].like(ARRAY + 1)
    write_outputs(tmp_path / "output", FUSE, found, {FUSED: answer})
    (path,) = (tmp_path / "output").rglob("*.*")
    assert path == tmp_path / "output" / "images" / f"fused-{VIEW_FOLDER}" / "5c0b-1.TIF"
    with tifffile.TiffFile(path) as file:
        assert file.shaped_metadata[0] == {**KEYS, "axes": "ZYX", "shape": [5, 6, 7]}
        np.testing.assert_array_equal(file.asarray(), ARRAY + 1)


def test_other_tasks_write_as_before(tmp_path):
    task = TASKS["enhance"]
    write(tmp_path / "in" / "images" / "microscopy-image" / "a.tif", Volume(ARRAY, (1, 0.2, 0.2)))
    found = read_case(tmp_path / "in", task)
    outputs = {"enhanced-image": found.volumes["microscopy-image"]}
    write_outputs(tmp_path / "out", task, found, outputs)
    with tifffile.TiffFile(tmp_path / "out" / "images" / "enhanced-image" / "a.tif") as file:
        assert file.is_imagej


@pytest.mark.parametrize("axes", ["XYZ", "YXZ", "TYX", "CYX"])
def test_wrong_axes_change_neither_shape_nor_order(tmp_path, axes):
    found = read_case(_case(tmp_path, axes=axes), FUSE)
    np.testing.assert_array_equal(found.volumes[VIEW].array, ARRAY)
    (line,) = found.warnings
    assert line.startswith("axes odd: the file calls them")
    write_outputs(tmp_path / "output", FUSE, found, {FUSED: found.volumes[VIEW]})
    path = tmp_path / "output" / FUSE.outputs[0].relative_path / "image_1_membrane_angle.tif"
    np.testing.assert_array_equal(tifffile.imread(path), ARRAY)
    assert read(path).axes == "ZYX"


@pytest.mark.parametrize(
    ("name", "channel"), [("image_7_nucleus_angle.tif", "nucleus"), ("5c0b.tif", None)]
)
def test_without_a_list_the_name_of_the_file_tells_the_channel(tmp_path, name, channel):
    found = read_case(_case(tmp_path, name, channel=[]), FUSE)
    assert found.volumes[VIEW].metadata.get("channel") == channel
    assert found.sources.get("channel") == (channel and "name")


def test_the_original_name_in_the_list_precedes_that_of_the_file(tmp_path):
    folder = _case(tmp_path, "image_7_nucleus_angle.tif", channel=[])
    entry = {"socket": {"slug": VIEW}, "image": {"name": "image_7_membrane_angle.tif"}}
    (folder / "inputs.json").write_text(json.dumps([entry]))
    assert read_case(folder, FUSE).volumes[VIEW].metadata["channel"] == "membrane"


def test_the_file_precedes_its_name_and_a_contradiction_is_told(tmp_path):
    found = read_case(_case(tmp_path, "image_7_nucleus_angle.tif"), FUSE)
    assert found.volumes[VIEW].metadata["channel"] == "membrane"
    assert found.warnings == (
        "channel contradictory: membrane (json of the file), nucleus (name); the first was used",
    )


def _plane(folder):
    """angle.tif: expected a stack of slices (z, y, x), found shape (6, 7) with axes YX"""
    return _case(folder, array=ARRAY[0])


def _two_channels(folder):
    """angle.tif: expected a stack of slices (z, y, x), found shape (2, 5, 6, 7) with axes CZYX"""
    return _case(folder, array=np.stack([ARRAY, ARRAY]), axes="CZYX")


def _two_files(folder):
    """needs exactly one image (.mha, .tif, .tiff, .ozx, .zarr), found 2: a.tif, b.tif"""
    _case(folder, "a.tif")
    return _case(folder, "b.tif")


def _no_file(folder):
    """needs exactly one image (.mha, .tif, .tiff, .ozx, .zarr), found none"""
    (folder / "input" / "images" / VIEW_FOLDER).mkdir(parents=True)
    return folder / "input"


def _cut(folder):
    """image_1_membrane_angle.tif: cannot be read as TIFF, cut or broken"""
    (path,) = _case(folder).rglob("*.tif")
    path.write_bytes(path.read_bytes()[:-100])
    return folder / "input"


@pytest.mark.parametrize("mistake", [_plane, _two_channels, _two_files, _no_file, _cut])
def test_explains(tmp_path, mistake):
    with pytest.raises(InputError, match=re.escape(mistake.__doc__)) as caught:
        read_case(mistake(tmp_path), FUSE)
    assert len(str(caught.value).splitlines()) == 1
