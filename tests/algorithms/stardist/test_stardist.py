"""Images, models and settings on their way to StarDist and back; the tool is a stub."""

import zipfile

import h5py
import numpy as np
import pytest
from adapters import ASSUMED, Adapter, scene
from mistakes import refused

from cytosuite.contract import progress
from cytosuite.files import write_json


@pytest.fixture
def tool(stubbed, tmp_path):
    """Return the adapter of the stub."""
    return Adapter(stubbed, tmp_path, "stardist", "StarDist2D", train_epochs=2)


@pytest.mark.parametrize("shape", [(32, 32), (24, 32, 32)])
def test_an_image_is_segmented_with_the_thresholds_of_the_training(tool, shape):
    image, labels = scene(*shape)
    model = tool.model(tool.learned((image, labels)))
    output, call, facts = tool.predicted(image, model)
    assert np.array_equal(output.array, labels.array)
    assert (output.array.dtype, output.spacing, output.axes) == (
        np.uint32,
        image.spacing,
        image.axes,
    )
    assert call["thresholds"]._asdict() == {"prob": 0.7, "nms": 0.3}
    assert (call["scale"], call["n_tiles"]) == (None, [1] * len(shape))
    assert facts.words == {"tool": "stardist 0.stub, Keras 3.stub", "size": "not used"}
    assert facts.network_seconds > 0
    assert not tool.predicted(image.like(np.zeros(shape)), model)[0].array.any()


def test_another_voxel_size_is_scaled_by_the_tool_and_an_unknown_one_is_not(tool):
    model = tool.model(tool.learned(scene(32, 32)))
    _, call, facts = tool.predicted(scene(900, 32, spacing=1.0)[0], model)
    assert (call["scale"], call["n_tiles"]) == ((2.0, 2.0), [2, 1])
    assert facts.words["size"] == "given: voxels of another size, scaled by 2 x 2"
    assert tool.predicted(scene(32, 32, spacing=0.502)[0], model)[1]["scale"] is None
    assert tool.predicted(scene(32, 32, spacing=1.0, **ASSUMED)[0], model)[1]["scale"] is None
    refused(
        r"voxels of 0.5 x 0.5 µm, found 9 x 9 µm: check the vox",
        tool.predicted,
        scene(32, 32, spacing=9.0)[0],
        model,
    )


def test_other_dimensions_are_refused(tool):
    model = tool.model(tool.learned(scene(32, 32)))
    message = "own is a model of 2 dimensions, found ZYX of 24 x 32"
    refused(message, tool.predicted, scene(24, 32, 32)[0], model)


def test_every_fifth_image_is_held_out_and_progress_is_said(tool, capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    with progress.shown():
        learned = tool.learned(*[scene(40, 70)] * 6)
    call = tool.tool.calls[-1]
    assert (call["seen"], call["held"]) == (5, 1)
    assert capsys.readouterr().out.split("\n")[:-1] == ["progress 50 %", "progress 100 %"]
    config = learned.parameters["config"]
    assert (config["train_patch_size"], config["n_rays"], config["grid"]) == ([32, 32], 32, (2, 2))
    assert not config["train_tensorboard"]
    assert learned.describes == {"axes": "YX", "spacing": (0.5, 0.5)}
    assert learned.tensors["000/conv/kernel"].tolist() == [0, 1, 2]
    assert tool.learn.keras.seeds[-1] == 1


def test_rays_and_grid_of_volumes_follow_the_objects(tool):
    image, labels = scene(24, 64, 64)
    flat = labels.array.copy()
    flat[4:12] = 0
    flat[4:6, 4:8, 4:8] = 1
    flat[14:] = 0
    config = tool.learned((image, image.like(flat))).parameters["config"]
    assert (config["anisotropy"], config["grid"]) == ((2.0, 1.0, 1.0), (1, 2, 2))
    assert (config["n_rays"], config["train_patch_size"]) == (64, [24, 64, 64])
    assert config["train_batch_size"] == 1


def test_images_are_learned_at_the_middle_voxel_size(tool):
    pairs = [scene(32, 32), scene(32, 32), scene(32, 32, spacing=1.0)]
    assert tool.learned(pairs[2], pairs[0], pairs[1]).parameters["spacing"] == (0.5, 0.5)
    assert tool.tool.calls[-1]["x"].shape == (64, 64)
    assert "spacing" not in tool.learned(scene(32, 32, **ASSUMED)).parameters


def test_a_training_without_objects_of_both_kinds_or_of_small_images_is_refused(tool):
    image, labels = scene(32, 32)
    refused(
        "needs labelled objects, found none",
        tool.learned,
        (image, image.like(np.zeros((32, 32), int))),
    )
    refused("takes planes or volumes, found both", tool.learned, (image, labels), scene(24, 32, 32))
    refused("images of 16 voxels along each axis", tool.learned, scene(18, 12))


@pytest.fixture
def packed(tmp_path):
    """Return a function that zips a model as StarDist stores it, and can leave files out."""

    def pack(*without, **changes):
        folder = tmp_path / "kept"
        config = {"axes": "YXC", "n_channel_in": 1, "n_dim": 2, "n_rays": 32}
        write_json(folder / "config.json", config | changes)
        write_json(folder / "thresholds.json", {"prob": 0.6, "nms": 0.2})
        with h5py.File(folder / "weights_best.h5", "w") as stored:
            stored["w"] = np.full(3, 4.0, np.float32)
        with zipfile.ZipFile(path := tmp_path / "2D_own.zip", "w") as archive:
            for file in folder.iterdir():
                if file.name not in without:
                    archive.write(file, f"deep/{file.name}")
            archive.writestr("../thresholds.txt", "outside")
        scratch = tmp_path / f"scratch{len(list(tmp_path.glob('scratch*')))}"
        scratch.mkdir()
        return path, scratch

    return pack


def test_a_model_of_the_tool_keeps_weights_and_thresholds(tool, packed):
    converted = tool.learn.convert(*packed())
    assert converted.parameters["thresholds"] == {"prob": 0.6, "nms": 0.2}
    assert converted.tensors["000/conv/kernel"].tolist() == [4, 4, 4]
    assert converted.describes == {"axes": "YX"}
    _, call, facts = tool.predicted(scene(32, 32, spacing=1.0)[0], tool.model(converted))
    assert call["thresholds"]._asdict() == {"prob": 0.6, "nms": 0.2}
    assert facts.words["size"] == "not used"
    assert tool.learn.convert(*packed("thresholds.json")).parameters["thresholds"]["prob"] == 0.5


def test_what_is_no_model_of_one_channel_is_refused(tool, packed, tmp_path):
    refused(
        r"expected the folder of .*, found no weights_best.h5",
        tool.learn.convert,
        *packed("weights_best.h5"),
    )
    refused(
        "a model of images with one channel, .* 3 channels",
        tool.learn.convert,
        *packed(n_channel_in=3),
    )
    path, _ = packed()
    (scratch := tmp_path / "new").mkdir()
    with h5py.File(tmp_path / "kept/weights_best.h5", "w") as file:
        file["other"] = 1
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("config.json", "weights_best.h5"):
            archive.write(tmp_path / "kept" / name, name)
    refused(
        "2D_own.zip: expected the folder of a StarDist model", tool.learn.convert, path, scratch
    )
    scratch = packed()[1]
    path.write_bytes(b"no zip")
    refused("or a zip of it; .* not a zip file", tool.learn.convert, path, scratch)
