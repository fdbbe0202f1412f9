"""One frame, channel or scene of a TIFF, without the rest."""

import numpy as np
import pytest
import tifffile
from mistakes import refused
from rasters import counted, same

from cytosuite.formats import read

ARRAY = counted(2, 3, 4, 5, 6)  # TZCYX


IMAGEJ = {"data": ARRAY, "imagej": True, "metadata": {"axes": "TZCYX"}}
PACKED = {**IMAGEJ, "compression": "zlib"}


@pytest.mark.parametrize(
    "options",
    [IMAGEJ, PACKED, {"data": ARRAY.swapaxes(1, 2), "ome": True, "metadata": {"axes": "TCZYX"}}],
)
@pytest.mark.parametrize("pick", [{"T": 1, "C": 2}, {"C": 3}, {"T": 0}])
def test_the_part_is_that_of_the_whole(tif, options, pick):
    tifffile.imwrite(tif, **options)
    volume = read(tif, pick)
    same(volume.array, ARRAY.swapaxes(1, 2)[pick.get("T", slice(None)), pick.get("C", slice(None))])
    assert volume.axes == "".join(axis for axis in "TCZYX" if axis not in pick)


def test_other_channels_are_not_decoded(tif, monkeypatch):
    tifffile.imwrite(tif, **PACKED)
    asked = []
    asarray = tifffile.TiffFile.asarray

    def spy(self, key=None, **options):
        asked.append(key)
        return asarray(self, key, **options)

    monkeypatch.setattr(tifffile.TiffFile, "asarray", spy)
    read(tif, {"T": 1, "C": 2})
    assert [len(key) for key in asked] == [3]


def test_of_several_images_the_first_is_read_and_said_so(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        for number, step in enumerate((1.0, 2.0)):
            sizes = {"PhysicalSizeX": step, "PhysicalSizeY": step}
            file.write(np.full((5, 6), number, np.uint8), metadata={"axes": "YX", **sizes})
    first = read(tmp_path / "a.ome.tif")
    second = read(tmp_path / "a.ome.tif", scene=1)
    assert (first.array.max(), second.array.max()) == (0, 1)
    assert (first.spacing, second.spacing) == ((1.0, 1.0), (2.0, 2.0))
    assert first.origin.warnings == ("the file holds 2 images, and only the first is read",)
    assert second.origin.warnings == ()
    refused("expected a scene from 0 to 1, found 2", read, tmp_path / "a.ome.tif", scene=2)
