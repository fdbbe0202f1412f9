import numpy as np
import pytest
from mistakes import refused
from numpy.testing import assert_array_equal
from sketches import FLAT, TINY, TWO, labels_of, random_network, volume

from cytosuite.algorithms.diffusion.predict import predict

TARGET = {"mean": 100.0, "sd": 5.0, "dtype": "uint16"}
PROCESS = {"steps": 3, "t_start": 600}


@pytest.fixture
def model(opened):
    """Return a function that opens the model of a card with some parameters."""

    def model(arguments=TINY, **parameters):
        entries = {"target": TARGET, "process": PROCESS, **parameters}
        if arguments is None:
            return opened("diffusion", "synthesise", entries)
        entries.setdefault("network", arguments.model_dump(mode="json"))
        return opened("diffusion", "synthesise", entries, random_network(arguments))

    return model


def _sketch(shape=(10, 24, 20), **metadata):
    return volume(np.where(labels_of(0, shape) > 0, 200, 50).astype(np.uint8), **metadata)


def _run(image, model, slug="structure-sketch"):
    return predict({slug: image}, model)["synthetic-image"]


def test_the_result_has_the_dtype_of_the_target_and_says_how_it_was_made(model):
    image = _run(_sketch(channel="nucleus"), model(target={**TARGET, "dtype": "uint8"}))
    assert image.array.dtype == np.uint8
    assert image.metadata == {
        "channel": "nucleus",
        "diffusion_method": "network",
        "diffusion_seed": "by image",
        "diffusion_solver": "dpm",
        "diffusion_steps": 3,
        "diffusion_t_start": 600,
        "diffusion_signal": pytest.approx(0.3407, abs=1e-3),
        "diffusion_tiles": 1,
        "diffusion_evaluations": 3,
    }
    assert len(np.unique(image.array)) > 10


def test_frames_of_one_seed_share_their_noise(model):
    tiny = model(None, seed=7)
    still = _sketch()
    moved = _sketch()
    moved.array[:, 20:] = 200
    first = _run(still, tiny)
    second = _run(moved, tiny)
    assert first.metadata["diffusion_seed"] == 7
    assert_array_equal(first.array[:, :10], second.array[:, :10])
    free = model(None)
    first = _run(still, free)
    second = _run(moved, free)
    assert (first.array[:, :10] != second.array[:, :10]).mean() > 0.5


def test_frames_of_a_series_have_noise_that_moves_with_their_labels(model):
    tiny = model(given="labels")
    labels = labels_of()
    frames = [volume(np.roll(labels, n, axis=2), series_seed=5) for n in (0, 8)]
    first, second = (_run(frame, tiny, "instance-labels") for frame in frames)
    assert first.metadata["diffusion_seed"] == "by series"
    inside = labels > 0
    seen, moved = (image.array.astype(float) for image in (first, second))
    alike = np.corrcoef(seen[inside], np.roll(moved, -8, axis=2)[inside])[0, 1]
    alone = _run(volume(frames[1].array), tiny, "instance-labels").array
    assert alike > 0.5 > abs(np.corrcoef(seen[inside], np.roll(alone, -8, axis=2)[inside])[0, 1])


CAMERA = {"gain": 20.0, "offset": 100.0, "read_noise": 0.1, "excess": 1.0}


def test_a_camera_counts_the_light_of_a_network_by_the_image_alone(model):
    light = {"target": {"mean": 100.0, "sd": 20 / 3, "dtype": "float32"}}
    sketch = _sketch()
    expected = _run(sketch, model(**light, tile=(96, 320, 320))).array
    image, again = (
        _run(sketch, model(**light, camera=CAMERA, tile=tile))
        for tile in ((96, 320, 320), (48, 128, 128))
    )
    assert_array_equal(image.array, again.array)
    photons = (expected - 100).clip(0) / 20
    off = (image.array - 100 - 20 * photons) / np.sqrt(20**2 * (2 * photons + 0.01))
    assert off.mean() == pytest.approx(0, abs=0.05)
    assert off.std() == pytest.approx(1, abs=0.1)


def test_frames_of_a_series_are_counted_anew(model):
    still = [volume(labels_of(), series_seed=5, frame=n) for n in (0, 0)]
    moved = volume(np.roll(labels_of(), 1, axis=2), series_seed=5)
    shown = model(given="labels", camera=CAMERA)
    first, same, other = (_run(frame, shown, "instance-labels").array for frame in (*still, moved))
    assert_array_equal(first, same)
    assert (first[:, :3] != other[:, :3]).mean() > 0.5


def test_the_light_of_layers_adds_up_and_the_ground_is_that_of_one(model):
    front = np.zeros((64, 64), np.uint16)
    front[10:30, 10:40] = 1
    front[10:30, 30:50] = 2
    whole = [np.where(front == 1, 1, 0), np.zeros_like(front)]
    whole[0][10:30, 10:40] = 1
    whole[1][10:30, 30:50] = 2
    layers = np.concatenate(whole).astype(np.uint16)
    inputs = {"instance-labels": volume(front), "layered-labels": volume(layers)}
    plain = model(None, given="labels", target={**TARGET, "dtype": "float32"})
    image = predict(inputs, plain)["synthetic-image"]
    assert (image.shape, image.metadata["diffusion_layers"]) == ((64, 64), 2)
    light = image.array - 100
    assert light[14:26, 33:37].mean() == pytest.approx(2 * light[14:26, 14:26].mean(), rel=0.1)
    assert light[40:].std() == pytest.approx(5, rel=0.15)
    inputs["layered-labels"] = volume(layers[:, 1:])
    refused(r"layered-labels: expected .* \(64, 64\), joined", predict, inputs, plain)


def test_the_card_says_whether_sketch_or_labels_count(model):
    sketch = _sketch()
    labels = volume(labels_of())
    by_sketch = _run(sketch, model(seed=1)).array
    by_labels = _run(labels, model(seed=1), "instance-labels").array  # where there is no sketch
    assert not np.array_equal(by_sketch, by_labels)
    both = {"structure-sketch": sketch, "instance-labels": labels}
    for kind, expected in (("sketch", by_sketch), ("labels", by_labels)):
        assert_array_equal(
            predict(both, model(seed=1, given=kind))["synthetic-image"].array, expected
        )
    refused(
        "expected instance-labels, found structure-sketch alone",
        _run,
        sketch,
        model(given="labels"),
    )


def test_guidance_and_its_second_pass_stand_in_the_metadata(model):
    guided = _run(_sketch(), model(process={**PROCESS, "guidance": 3}, dropped=0.1)).metadata
    assert (guided["diffusion_guidance"], guided["diffusion_evaluations"]) == (3, 6)


def test_without_a_network_the_sketch_is_blurred_and_noisy(model):
    sketch = _sketch((12, 48, 48))
    image = _run(sketch, model(None, target={**TARGET, "dtype": "float32"}))
    assert image.metadata["diffusion_method"] == "plain"
    ground = image.array[:, :8]
    assert ground.mean() == pytest.approx(100, abs=1)
    assert ground.std() == pytest.approx(5, rel=0.15)
    assert np.corrcoef(image.array.ravel(), sketch.array.ravel())[0, 1] > 0.5
    plane = _run(_sketch((24, 20)), model(None))
    assert (plane.axes, plane.shape) == ("YX", (24, 20))


def test_channels_have_their_own_grey_values(model):
    sketches = volume(np.stack([_sketch().array] * 2))
    images = _run(
        sketches, model(TWO, target=[TARGET, {"dark": 1000.0, "bright": 3000.0, "dtype": "uint16"}])
    )
    assert (images.shape, images.axes, images.spacing) == (sketches.shape, "CZYX", sketches.spacing)
    assert np.median(images.array[1]) > 500 > np.median(images.array[0])
    refused(
        r"makes volumes \(CZYX\) of 2 channels, found CZYX of .*3",
        _run,
        volume(np.stack([_sketch().array] * 3)),
        model(TWO),
    )
    refused(
        "target must be one, or one per channel, 2: 3",
        _run,
        sketches,
        model(TWO, target=[TARGET] * 3),
    )


def test_the_course_ends_in_the_result_and_changes_nothing(model):
    plain = _run(_sketch(), model(seed=1))
    outputs = predict(
        {"structure-sketch": _sketch()}, model(seed=1, process={**PROCESS, "save": 2})
    )
    course = outputs["sampling-course"]
    assert (course.axes, course.shape) == ("TZYX", (2, *plain.shape))
    assert_array_equal(outputs["synthetic-image"].array, plain.array)
    assert_array_equal(course.array[-1], plain.array)
    assert not np.array_equal(course.array[0], plain.array)


@pytest.mark.parametrize("predicts, start", [("noise", 1000), ("noise", 600), ("velocity", 1000)])
def test_noise_predicted_from_noise_alone_is_doubtful(predicts, start, model):
    arguments = TINY.model_copy(update={"predicts": predicts})
    doubts = _run(
        _sketch(), model(arguments, process={**PROCESS, "t_start": start})
    ).origin.warnings
    assert [line.split(":")[0] for line in doubts] == ["start from noise alone"] * (
        (predicts, start) == ("noise", 1000)
    )


def test_explains_axes_of_another_network(model):
    refused(r"this network makes volumes \(ZYX\), found YX", _run, _sketch((24, 20)), model())
    refused(r"this network makes planes \(YX\), found ZYX", _run, _sketch(), model(FLAT))


def test_explains_labels_that_are_no_integers(model):
    refused(
        "instance-labels must be integers, found float64",
        _run,
        volume(labels_of().astype(float)),
        model(),
        "instance-labels",
    )


def test_explains_guidance_of_a_network_without_it(model):
    message = r"card tiny: parameters: .*guidance must be 1 for a network that .*found 2; train"
    refused(message, _run, _sketch(), model(process={**PROCESS, "guidance": 2}))


def test_explains_memory_that_is_short(model, monkeypatch):
    monkeypatch.setattr("cytosuite.volume.memory.free_gib", lambda: 1e-6)
    refused(r"10 x 24 x 20 voxels takes .* GiB .*, 1e-06 GiB are free", _run, _sketch(), model())
