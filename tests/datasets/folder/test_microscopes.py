"""Files of microscopes, and OME-Zarr with several channels. Nothing writes .nd2 and .lif: an OME-TIFF stands in for them."""

import re
import shutil
from functools import partial

import numpy as np
import pytest
import tifffile

from cytosuite.benchmark.cluster.processes import Processes
from cytosuite.datasets.folder import microscopes
from cytosuite.datasets.folder.collect import Item, collect
from cytosuite.datasets.folder.load import load
from cytosuite.datasets.folder.microscopes import content, read_microscope
from cytosuite.datasets.folder.part import Part, read_part
from cytosuite.errors import InputError
from cytosuite.files import digest
from cytosuite.packages import install

ARRAY = np.arange(2 * 3 * 4 * 40 * 50, dtype=np.uint16).reshape(2, 3, 4, 40, 50)  # TCZYX
NAMES = ("DAPI", "GFP", "RFP")
SIZES = (1.5, 0.25, 0.2)


@pytest.fixture
def zarr(tmp_path):
    """Return a function that writes an OME-Zarr image."""
    pytest.importorskip("bioio_ome_zarr", reason="needs make peers")
    from bioio_ome_zarr.writers import Channel, OMEZarrWriter

    def make(zarr_format=2, sizes=(1500, 0.25, 0.2)):
        writer = OMEZarrWriter(
            str(tmp_path / "a.ome.zarr"),
            level_shapes=ARRAY.shape,
            chunk_shape=(1, 1, 4, 40, 50),
            dtype=ARRAY.dtype,
            zarr_format=zarr_format,
            channels=[Channel(label=name, color="FFFFFF") for name in NAMES],
            axes_names=list("tczyx"),
            axes_types=["time", "channel", "space", "space", "space"],
            axes_units=["second", None, "nanometer", "micrometer", "micrometer"],
            physical_pixel_size=[1, 1, *sizes],
        )
        writer.write_full_volume(ARRAY)
        return tmp_path / "a.ome.zarr"

    return make


@pytest.mark.slow
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("channel", ["GFP", "1"])
def test_a_channel_of_ome_zarr_is_read_in_micrometres(zarr, zarr_format, channel):
    found = read_part(zarr(zarr_format), Part(channel, 1))
    np.testing.assert_array_equal(found.array, ARRAY[1, 1])
    assert (found.axes, found.array.dtype) == ("ZYX", np.uint16)
    assert found.spacing == pytest.approx(SIZES)
    assert found.metadata == {"channel": "GFP"}
    assert found.origin.sources == {"spacing": "ome", "channel": "ome"}


@pytest.mark.slow
def test_other_channels_are_not_read(zarr):
    path = zarr()
    # The files of the chunks hold one frame and channel each: those of others may be gone.
    broken = [chunk for chunk in path.glob("0/*/*/*/*/*") if chunk.parts[-5:-3] != ("1", "2")]
    assert len(broken) == 5
    for chunk in broken:
        chunk.write_bytes(b"no chunk")
    np.testing.assert_array_equal(read_part(path, Part("RFP", 1)).array, ARRAY[1, 2])


@pytest.mark.slow
def test_a_folder_of_zarr_is_a_dataset(zarr, tmp_path):
    zarr()
    (item,) = collect(tmp_path).items
    assert item.name == "a"
    sample = load(item, part=Part("DAPI", 0))
    assert sample.volume("microscopy-image").metadata["channel"] in {"nucleus", "DAPI"}
    with pytest.raises(InputError, match=r"zarr: found 3 channels \(0 DAPI, 1 GFP, 2 RFP\)"):
        load(item, part=Part(frame=0))
    with pytest.raises(InputError, match=r"zarr: found 2 frames \(0, 1\); choose one with --frame"):
        load(item, part=Part("0"))


@pytest.mark.slow
def test_a_changed_voxel_size_changes_the_digest(zarr, tmp_path):
    path = zarr()
    before = digest(content(path), tmp_path)
    shutil.rmtree(path)
    assert digest(content(zarr()), tmp_path) == before
    shutil.rmtree(path)
    assert digest(content(zarr(sizes=(1500, 0.25, 0.3))), tmp_path) != before


@pytest.mark.slow
def test_czi_is_read(tmp_path):
    pytest.importorskip("bioio_czi", reason="needs cytosuite[formats]")
    from pylibCZIrw import czi

    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        for channel in range(3):
            for z in range(4):
                plane = {"C": channel, "Z": z, "T": 0}
                file.write(ARRAY[0, channel, z][..., None], plane=plane)
        z, y, x = (size * 1e-6 for size in SIZES)
        names = dict(enumerate(NAMES))
        file.write_metadata("a", channel_names=names, scale_x=x, scale_y=y, scale_z=z)
    found = read_microscope(tmp_path / "a.czi", Part("GFP"))
    np.testing.assert_array_equal(found.array, ARRAY[0, 1])
    assert found.spacing == pytest.approx(SIZES)
    assert found.metadata == {"channel": "GFP"}


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
    found = load(image, part=Part("RFP", scene=1)).volume("microscopy-image")
    np.testing.assert_array_equal(found.array, ARRAY[1, 2])
    assert found.spacing == pytest.approx(SIZES)
    with pytest.raises(InputError, match=r"found 2 scenes \(0 .*\); choose one with --scene"):
        load(image, part=Part("RFP"))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".czi", ".nd2", ".lif"])
def test_a_broken_file_is_told(tmp_path, suffix):
    pytest.importorskip(f"bioio_{suffix[1:]}", reason="needs cytosuite[formats]")
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"no image")
    broken = re.escape(f"{path}: cannot be read as {suffix} (")
    with pytest.raises(InputError, match=broken):
        read_microscope(path, Part())
    # Cases are made in several processes: the error must travel.
    with pytest.raises(InputError, match=broken):
        list(Processes(2).each(partial(read_microscope, part=Part()), [path, path]))


@pytest.mark.parametrize("suffix", [".czi", ".nd2", ".LIF"])
def test_the_missing_extra_is_named(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(microscopes, "find_spec", lambda name: None)
    message = f"a{suffix}: {suffix.lower()} needs the extra `formats`: {install(['bioio'])}"
    with pytest.raises(InputError, match=re.escape(message)):
        load(Item("a", tmp_path / f"a{suffix}"))
