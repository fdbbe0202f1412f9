"""Images, models and settings on their way to Cellpose and back; the tool is a stub."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from adapters import ASSUMED, Adapter, scene
from mistakes import refused

from cytosuite.contract import progress
from cytosuite.volume import Volume


@pytest.fixture
def tool(stubbed, tmp_path, monkeypatch):
    """Return the adapter of the stub, at work in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return Adapter(stubbed, tmp_path, "cellpose", "CellposeModel", n_epochs=2)


@pytest.fixture
def model(tool):
    """Return a model of two squares."""
    return tool.model(tool.learned(scene(32, 32)))


def test_a_plane_is_segmented_with_the_diameter_of_the_training_in_its_own_pixels(tool, model):
    image, labels = scene(32, 32, spacing=0.25)
    output, call, facts = tool.predicted(image, model)
    assert np.array_equal(output.array, labels.array)
    assert output.array.dtype == np.uint32
    assert (output.spacing, output.axes) == (image.spacing, "YX")
    squares = 4 * 2 / np.pi**0.5 * 0.5  # µm: the disk of as many pixels
    assert call == {"channels": [0, 0], "diameter": pytest.approx(squares / 0.25)}
    assert facts.words["tool"] == "cellpose 3.stub"
    assert facts.words["size"] == "given: 9.027 px, for objects of 2.257 µm"
    assert facts.network_seconds > 0


@pytest.mark.parametrize(
    "metadata, diameter, size",
    [
        (ASSUMED, 21.0, "given: 21 px, mean of its training"),
        ({"diameter_um": 8}, 16.0, "given: 16 px, for objects of 8 µm"),
    ],
)
def test_the_diameter_without_a_pixel_size_and_of_the_user(tool, model, metadata, diameter, size):
    _, call, facts = tool.predicted(scene(32, 32, **metadata)[0], model)
    assert call["diameter"] == diameter
    assert facts.words["size"] == size
    refused(
        "diameter_um must be a positive number of µm, found 0",
        tool.predicted,
        scene(32, 32, diameter_um=0)[0],
        model,
    )


def test_a_volume_is_segmented_by_planes_along_all_axes_and_one_slice_as_a_plane(tool, model):
    image, labels = scene(20, 32, 32)
    output, call, _ = tool.predicted(image, model)
    assert np.array_equal(output.array, labels.array)
    assert call["anisotropy"] == 4.0
    output, call, _ = tool.predicted(Volume(image.array[5:6], image.spacing), model)
    assert output.shape == (1, 32, 32)
    assert output.array.any()
    assert "anisotropy" not in call
    assert not tool.predicted(image.like(np.zeros(image.shape)), model)[0].array.any()


def test_a_card_changes_the_tool_s_settings(tool):
    learned = tool.learned(scene(32, 32))
    changed = {**learned.parameters, "evaluation": {"flow_threshold": 0.9, "diameter": 12.0}}
    _, call, _ = tool.predicted(scene(32, 32)[0], tool.model(learned._replace(parameters=changed)))
    assert call == {"channels": [0, 0], "diameter": 12.0, "flow_threshold": 0.9}


def test_every_fifth_image_is_held_out_and_progress_is_said(tool, capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    with progress.shown():
        learned = tool.learned(*[scene(32, 32)] * 6, nimg_per_epoch=3, batch_size=2)
    seen = tool.learn.train_seg.__globals__["seen"]
    assert (len(seen["data"]), len(seen["labels"]), len(seen["test_data"])) == (5, 5, 1)
    assert (seen["channels"], seen["bsize"], seen["SGD"]) == ([0, 0], 128, False)
    assert capsys.readouterr().out.split("\n")[:-1] == [
        f"progress {n} %" for n in (25, 50, 75, 100)
    ]
    assert learned.parameters == {
        "tool": "cellpose 3.stub",
        "diameter_um": pytest.approx(2.257, 1e-3),
    }
    assert learned.tensors["diam_labels"] == 21.0
    assert not [name for name in learned.tensors if "num_batches" in name]


def test_the_seed_gives_the_same_model_and_an_unknown_pixel_size_none_in_um(tool):
    pair = scene(32, 32, **ASSUMED)
    one, same, other = (tool.learned(pair, seed=seed) for seed in (1, 1, 2))
    assert one.parameters["diameter_um"] is None
    assert np.array_equal(one.tensors["output.weight"], same.tensors["output.weight"])
    assert not np.array_equal(one.tensors["output.weight"], other.tensors["output.weight"])


def test_volumes_are_seen_in_planes_along_all_axes_with_square_pixels(tool):
    tool.learned(scene(20, 32, 40), planes=3)
    seen = tool.learn.train_seg.__globals__["seen"]
    assert [plane.shape for plane in seen["data"]] == [(32, 40)] * 3 + [(80, 40)] * 3 + [
        (80, 32)
    ] * 3
    assert all(labels.any() for labels in seen["labels"])
    blank = scene(32, 32)[0]
    refused(
        "needs labelled objects, found none",
        tool.learned,
        (blank, blank.like(np.zeros((32, 32), int))),
    )


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("hacked"),)


def test_a_model_of_the_tool_keeps_its_weights_and_sizes_and_others_are_refused(tool, tmp_path):
    net = tool.tool(mkldnn=False, diam_mean=17.0).net
    torch.save(net.state_dict(), path := tmp_path / "cyto3")
    converted = tool.learn.convert(path, tmp_path)
    assert np.array_equal(converted.tensors["output.weight"], net.output.weight.detach().numpy())
    assert converted.tensors["diam_mean"] == 17.0
    assert converted.parameters == {"tool": "cellpose 3.stub", "diameter_um": None}
    old = {key: value for key, value in net.state_dict().items() if "diam" not in key}
    torch.save(old, path)
    assert tool.learn.convert(path, tmp_path).tensors["diam_labels"] == 30.0
    torch.save({**old, "W2": torch.ones(1)}, path)
    message = "cyto3: expected a model file of Cellpose .* W2 differs"
    refused(message, tool.learn.convert, path, tmp_path)
    for content in (pickle.dumps(Evil(), 2), b"", b"no model"):
        path.write_bytes(content)
        message = "cyto3: expected a model file of Cellpose 1 to 3, wei"
        refused(message, tool.learn.convert, path, tmp_path)
    assert not Path("hacked").exists()
