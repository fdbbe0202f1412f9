"""Files of microscopes. Nothing writes .nd2 and .lif: an OME-TIFF stands in for them."""

import re
from dataclasses import replace
from functools import partial

import pytest
import tifffile
from mistakes import refused
from numpy.testing import assert_array_equal
from rasters import counted

from cytosuite.benchmark.runs.store.pool import Processes
from cytosuite.datasets.folder.load import load
from cytosuite.errors.packages import install
from cytosuite.folders import part as microscopes
from cytosuite.folders.index import Item
from cytosuite.folders.part import Part, content, read_microscope

ARRAY = counted(2, 3, 4, 40, 50)  # TCZYX
NAMES = ("DAPI", "GFP", "RFP")
SIZES = (1.5, 0.25, 0.2)


@pytest.mark.slow
def test_czi_is_read(tmp_path):
    pytest.importorskip("bioio_czi", reason="needs cytosuite[formats]")
    from pylibCZIrw import czi

    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        for channel in range(3):
            for z in range(4):
                file.write(ARRAY[0, channel, z][..., None], plane={"C": channel, "Z": z, "T": 0})
        z, y, x = (size * 1e-6 for size in SIZES)
        names = dict(enumerate(NAMES))
        file.write_metadata("a", channel_names=names, scale_x=x, scale_y=y, scale_z=z)
    volume = read_microscope(tmp_path / "a.czi", Part("GFP"))
    assert_array_equal(volume.array, ARRAY[0, 1])
    assert volume.spacing == pytest.approx(SIZES)
    assert volume.metadata == {"channel": "GFP"}
    assert_array_equal(read_microscope(tmp_path / "a.czi", Part("2,0")).array, ARRAY[0, [2, 0]])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("suffix", [".nd2", ".lif"])
def test_other_readers_are_used_alike(tmp_path, suffix, monkeypatch):
    pytest.importorskip("bioio_ome_tiff", reason="needs make peers")
    monkeypatch.setitem(microscopes.MODULES, suffix, "bioio_ome_tiff")
    with tifffile.TiffWriter(tmp_path / f"a{suffix}", ome=True) as file:
        for scene in range(2):
            sizes = {f"PhysicalSize{a}": s for a, s in zip("ZYX", SIZES, strict=True)}
            metadata = {"axes": "CZYX", "Channel": {"Name": list(NAMES)}, **sizes}
            file.write(ARRAY[scene], photometric="minisblack", metadata=metadata)
    image = Item("a", tmp_path / f"a{suffix}")
    volume = load(replace(image, part=Part("RFP", scene=1))).volume("microscopy-image")
    assert_array_equal(volume.array, ARRAY[1, 2])
    assert volume.spacing == pytest.approx(SIZES)
    refused(
        r"found 2 scenes \(0 .*\); choose one with --scene", load, replace(image, part=Part("RFP"))
    )


@pytest.mark.slow
def test_a_broken_file_is_told(tmp_path):
    pytest.importorskip("bioio_czi", reason="needs cytosuite[formats]")
    path = tmp_path / "a.czi"
    path.write_bytes(b"no image")
    broken = re.escape(f"{path}: cannot be read as .czi (")
    refused(broken, read_microscope, path, Part())
    # Cases are made in several processes: the error must travel.
    refused(broken, list, Processes(2).each(partial(read_microscope, part=Part()), [path, path]))


def test_the_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(microscopes, "find_spec", lambda name: None)
    message = f"a.LIF: .lif needs the extra `formats`: {install(['bioio'])}"
    refused(re.escape(message), load, Item("a", tmp_path / "a.LIF"))


def test_a_digest_counts_the_hidden_files_of_a_folder(tmp_path):
    hidden = tmp_path / "a.ome.zarr/0/.zarray"
    hidden.parent.mkdir(parents=True)
    hidden.touch()
    assert content(tmp_path / "a.ome.zarr") == [tmp_path / "a.ome.zarr", hidden]
    assert content(hidden) == [hidden]
