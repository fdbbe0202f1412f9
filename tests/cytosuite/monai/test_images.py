import numpy as np
import pytest
from mistakes import refused
from monai.transforms.io.dictionary import LoadImaged
from numpy.testing import assert_array_equal

from cytosuite.formats import read, write
from cytosuite.monai import NormaliseBackgroundd, VolumeReader, save_volume
from cytosuite.monai.images import tensor_of
from cytosuite.networks.normalise import background_of, normalise
from cytosuite.volume import Volume

pytestmark = pytest.mark.filterwarnings("ignore")  # of MONAI, about torch
SIDES = {"YX": (9, 7), "ZYX": (5, 9, 7), "CZYX": (2, 5, 9, 7)}


@pytest.mark.parametrize("axes", SIDES)
def test_an_image_is_written_as_it_was_read(axes, tmp_path, rng):
    array = rng.integers(0, 65536, SIDES[axes]).astype(np.uint16)
    spacing = (2.0, 0.3, 0.25)[-len(axes.removeprefix("C")) :]
    write(tmp_path / "a.tif", Volume(array, spacing, axes, {"channel": "nucleus"}))
    load = LoadImaged("image", reader=VolumeReader(), ensure_channel_first=True)
    image = load({"image": str(tmp_path / "a.tif")})["image"]
    assert image.shape == (array.shape if axes[0] == "C" else (1, *array.shape))
    assert tuple(image.pixdim.tolist()) == spacing
    save_volume(image, tmp_path / "new")
    first = read(tmp_path / "a.tif")
    second = read(tmp_path / "new/a.tif")
    assert_array_equal(first.array, second.array)
    assert first.array.dtype == second.array.dtype
    assert (first.axes, first.spacing, first.metadata) == (
        second.axes,
        second.spacing,
        second.metadata,
    )
    save_volume(image / 65536, tmp_path / "new")  # which no whole numbers hold
    assert read(tmp_path / "new/a.tif").array.max() == pytest.approx(array.max() / 65536)


def test_frames_are_refused():
    refused(
        r"expected the axes .* found TZYX; pick one frame",
        tensor_of,
        Volume(np.zeros((2, 3, 4, 4)), (1.0, 1.0, 1.0), "TZYX"),
    )


def test_channels_are_normalised_on_their_own_and_keep_their_metadata(rng):
    array = rng.normal(((100,), (300,)), ((2,), (9,)), (2, 4096))
    image = tensor_of(Volume(array.reshape(2, 4, 32, 32), (2.0, 1.0, 1.0), "CZYX"))
    normalised = NormaliseBackgroundd("image")({"image": image})["image"]
    for output, channel in zip(normalised.numpy(), image.numpy(), strict=True):
        assert_array_equal(output, normalise(channel, background_of(channel)))
    assert normalised.meta.keys() == image.meta.keys()
