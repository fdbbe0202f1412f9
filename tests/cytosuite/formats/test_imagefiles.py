from pathlib import Path

import numpy as np
import pytest

from cytosuite.files import write_text
from cytosuite.formats.imagefiles import CASE_SUFFIXES, case_suffix, image_files, is_image
from cytosuite.volume import Volume

SMALL = Volume(np.zeros((2, 3, 4), np.uint16), (1.0, 1.0, 1.0))


@pytest.fixture
def folder(tmp_path):
    for name in ("b.tif", "a.ome.zarr/0/c.tif", "d/e.zarr/f.mha", "d/g.OZX", ".h.tif", "i.txt"):
        write_text(tmp_path / name, "")
    (tmp_path / "j.tif").mkdir()
    (tmp_path / "k.zarr").touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    return tmp_path


def test_a_folder_of_zarr_is_one_image_that_is_not_searched(folder):
    assert image_files(folder) == [folder / "a.ome.zarr", folder / "b.tif"]
    deep = [folder / "a.ome.zarr", folder / "b.tif", folder / "d/e.zarr", folder / "d/g.OZX"]
    assert image_files(folder, deep=True) == deep
    assert all(map(is_image, deep))
    assert image_files(folder / "none") == []


def test_the_size_alone_decides_how_an_image_lies_in_a_case(monkeypatch):
    assert case_suffix(SMALL) == ".tif"
    monkeypatch.setattr("cytosuite.formats.imagefiles.LARGE", SMALL.array.nbytes)
    assert case_suffix(SMALL) == ".tif"
    monkeypatch.setattr("cytosuite.formats.imagefiles.LARGE", SMALL.array.nbytes - 1)
    assert case_suffix(SMALL) == ".ome.zarr"


def test_a_link_keeps_the_kind_of_its_file():
    names = {"a.TIFF": ".tif", "a.tif": ".tif", "a.zarr": ".ome.zarr", "a.ozx": ".ozx"}
    assert {name: case_suffix(Path(name)) for name in names} == names
    assert set(names.values()) == set(CASE_SUFFIXES)
    assert case_suffix(Path("a.mha")) not in CASE_SUFFIXES
