from functools import partial

import numpy as np
import pytest
from layouts import hdf5
from mistakes import refused
from numpy.testing import assert_array_equal
from sketches import SHAPE, SPACING, image_of, labels_of, paired_dataset, volume
from training_data import trained
from trainings import short

from cytosuite.algorithms.diffusion.predict import predict
from cytosuite.algorithms.diffusion.training.train import TRAINING
from cytosuite.contract.manifest import read_card
from cytosuite.contract.weights import open_model
from cytosuite.denoising.noise import phase
from cytosuite.formats import read
from cytosuite.training.loop import begin, complete, take_step

_settings = partial(short, "diffusion")


def _cases(folder, settings):
    return {"images": TRAINING.load(folder, "images", settings)}


def _completed(folder, settings):
    cases = _cases(folder, settings)
    return cases, complete(TRAINING, settings, cases, None, lambda _: None)


def test_levels_of_noise_are_those_of_the_schedule(tmp_path):
    settings = _settings(process={"schedule": {"kind": "linear", "length": 50}, "t_start": 40})
    cases = _cases(paired_dataset(tmp_path), settings)
    phases = phase(settings.process.schedule.signal()).astype(np.float32)
    seen = {float(t) for step in range(60) for t in TRAINING.batch(cases, settings, step)["phase"]}
    assert seen <= set(phases.tolist())
    assert len(seen) > 40


@pytest.mark.parametrize("predicts, conditioned", [("velocity", True), ("noise", False)])
def test_the_first_loss_is_the_variance_of_the_answer(predicts, conditioned, tmp_path):
    settings = _settings(network={"predicts": predicts, "conditioned": conditioned})
    cases = _cases(paired_dataset(tmp_path), settings)
    state = begin(TRAINING, settings, None, "cpu")
    drawn = TRAINING.batch(cases, settings, 0)
    assert ("sketch" in drawn) is conditioned
    losses = take_step(TRAINING, settings, state, drawn)
    angle = drawn["phase"][:, None, None, None, None]
    answer = drawn["noise"]
    if predicts == "velocity":  # the network begins with the answer 0
        answer = np.cos(angle) * drawn["noise"] - np.sin(angle) * drawn["image"]
    assert losses["loss"].item() == pytest.approx(float((answer**2).mean()), rel=1e-3)


def test_measured_parameters_describe_the_images(tmp_path):
    settings = _settings()
    cases = _cases(paired_dataset(tmp_path), settings)
    measured = TRAINING.measure(cases, settings)
    assert measured["target"]["dtype"] == "uint16"
    assert measured["target"]["mean"] == pytest.approx(100, abs=5)
    assert measured["target"]["sd"] == pytest.approx(8, rel=0.3)
    contrast, (low, high) = measured["process"]["contrast"], measured["process"]["range"]
    assert abs(contrast["dark"]) < 0.3
    # 300 above the ground, of 8 counts: 0.5 asinh(300 / 24) = 1.6.
    assert contrast["bright"] == pytest.approx(1.6, abs=0.2)
    for item in cases["images"]:
        assert low < item.image.min()
        assert high > item.image.max()
    assert measured["process"]["t_start"] == 500
    assert (measured["given"], measured["dropped"]) == ("sketch", 0)
    assert TRAINING.describe(cases, settings) == {"axes": "ZYX", "spacing": list(SPACING)}
    assert TRAINING.notes(cases, settings) == []


def test_a_network_of_light_leaves_the_noise_to_its_camera(tmp_path):
    camera = {"gain": 4.0, "offset": 100.0, "read_noise": 2.0, "lag": 0.03}
    cases, settings = _completed(paired_dataset(tmp_path), _settings(camera=camera))
    parameters = settings.card.parameters
    assert parameters["camera"] == {**camera, "excess": 0}
    assert parameters["target"] == {
        "mean": 100.0,
        "sd": pytest.approx(4 / 3, rel=1e-5),
        "dtype": "uint16",
    }
    (scene,) = (TRAINING.held_out(case, 0, settings) for case in cases["images"][:1])
    image = TRAINING.answer(begin(TRAINING, settings, None, "cpu"), scene.inputs, settings)
    levels = np.unique(image.array.astype(int))
    assert (levels >= 100 - 4 * 2 * 5).all()  # five standard deviations of reading
    assert image.array.dtype == np.uint16


def test_the_card_says_what_the_network_was_given(tmp_path):
    sketched, labels = (
        paired_dataset(tmp_path / n, 2, sketches=n == "own") for n in ("own", "labels")
    )
    hiding = _settings(crops={"dropped": 0.2})
    measured = TRAINING.measure(_cases(labels, hiding), hiding)
    assert (measured["given"], measured["dropped"]) == ("labels", 0.2)
    alone = _settings(network={"conditioned": False})
    assert not {"given", "dropped"} & set(TRAINING.measure(_cases(sketched, alone), alone))
    both = [*_cases(sketched, hiding)["images"], *_cases(labels, hiding)["images"]]
    message = "a sketch for .*own.* and labels alone for .*labels.*s_0.tif; add the missing sketch"
    refused(message, TRAINING.measure, {"images": both}, hiding)


def _published(folder, shape, masks):
    """Write HDF5 files and a list as the published program does; planes get a leading axis."""
    rows = []
    for number in range(3):
        labels = labels_of(number, shape)
        image = image_of(labels, number).astype(np.float32)
        image = (image - image.min()) / np.ptp(image)
        for kind, name, array in (("a", "image", image), ("m", "instance", labels)):
            stored = {name: array.reshape(-1, *shape[-2:]), "boundary": np.zeros((1, 2, 2))}
            hdf5(folder / kind / f"p_{number}.h5", **stored)
        rows.append(f"a/p_{number}.h5" + (f";m/p_{number}.h5" if masks else ""))
    (folder / "x_train.csv").write_text("\n".join(rows))
    return folder


@pytest.mark.parametrize("dimensions, masks", [(2, True), (3, False)])
def test_published_lists_are_trained_on(dimensions, masks, tmp_path):
    shape = SHAPE[-dimensions:]
    folder = _published(tmp_path / "data", shape, masks)
    crops = {"shape": [1, 16, 16], "shown": [1, 16, 16]} if dimensions == 2 else {}
    settings = _settings(
        network={"conditioned": masks, "dimensions": dimensions},
        crops=crops,
        validation={"every": 2, "metric": "W1_by_std", "cases": 1},
    )
    said = []
    card = trained(TRAINING, settings, folder, say=said.append)
    assert (tmp_path / "work/pictures/step-000002.png").is_file()
    model = read_card(card)
    assert model.trained["cases"] == {"images": 2}
    assert model.describes == {"axes": "ZYX"[-dimensions:]} | ({"given": "labels"} if masks else {})
    assert sum("2 of 2 images give no voxel size" in line for line in said) == 1
    assert model.parameters["target"]["dtype"] == "float32"
    assert 0 < model.parameters["target"]["mean"] < 0.5
    labels = volume(labels_of(5, shape))
    slug = "instance-labels" if masks else "structure-sketch"
    image = predict({slug: labels}, open_model(card.parent, model))["synthetic-image"]
    assert (image.shape, image.array.dtype) == (shape, np.float32)
    if masks:
        assert model.parameters["given"] == "labels"


def test_images_of_two_channels_are_trained_on_and_made(tmp_path):
    folder = paired_dataset(tmp_path / "data", channels=2)
    settings = _settings(
        network={"channels": 2, "noise_channel": "laplace"},
        crops={"augment": {"prob": 1, "queue": ["scale", "stretch"]}, "dropped": 0.2},
        validation={"every": 2, "metric": "W1_by_std", "cases": 1},
    )
    card = trained(TRAINING, settings, folder)
    model = read_card(card)
    assert model.describes["axes"] == "CZYX"
    first, second = model.parameters["target"]
    assert second["mean"] == pytest.approx(2 * first["mean"], rel=0.05)
    sketch = volume(np.stack([labels_of(), labels_of(1)]).astype(np.float32))
    image = predict({"structure-sketch": sketch}, open_model(card.parent, model))["synthetic-image"]
    assert (image.shape, image.axes) == ((2, *SHAPE), "CZYX")
    refused(
        "expected an image with the axes ZYX, found CZYX",
        TRAINING.load,
        folder,
        "images",
        _settings(),
    )


def test_validation_makes_the_middle_of_held_out_images(tmp_path):
    cases, settings = _completed(paired_dataset(tmp_path), _settings())
    *parts, whole = TRAINING.validate(begin(TRAINING, settings, None, "cpu"), cases, settings)
    assert len(parts) == 3
    for number, facts in enumerate(parts):
        assert_array_equal(facts.get("labels"), labels_of(number)[1:9, 4:20, 2:18])
        assert facts.get("prediction").shape == facts.get("image").shape == (8, 16, 16)
        assert facts.get("spacing") == SPACING
    assert_array_equal(
        whole.get("real:arrays")[0], read(cases["images"][0].path).array[1:9, 4:20, 2:18]
    )
    assert_array_equal(whole.get("synthetic:volumes")[1].array, parts[1].get("prediction"))


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"network": {"conditioned": False}, "crops": {"dropped": 0.1}},
            "crops.dropped must be 0 for a network that is given no sketch, found 0.1",
        ),
        ({"process": {"guidance": 2}}, "guidance must be 1 where no sketch is hidden .*found 2;"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    refused(f"train.toml: .*{message}", _settings, **changes)
