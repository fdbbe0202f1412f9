import json
from hashlib import sha256

import numpy as np
import pytest
from safetensors.torch import save_file
from sketches import FLAT, SPACING, TINY, labels_of, random_network, volume

from cytosuite.algorithms.diffusion import predict as module
from cytosuite.algorithms.diffusion.predict import predict
from cytosuite.errors import InputError, ModelError
from cytosuite.manifest import ModelCard
from cytosuite.network import _loaded, tensors_of
from cytosuite.weights import Model, open_model, read_cards

TARGET = {"mean": 100.0, "sd": 5.0, "dtype": "uint16"}
PROCESS = {"steps": 3, "t_start": 600}


@pytest.fixture
def model(tmp_path):
    """Return a function that writes a card, with the weights of a network, and opens it."""

    def model(arguments=TINY, **parameters):
        card = {
            "name": "tiny",
            "version": "0.1.0",
            "algorithm": "diffusion",
            "task": "synthesise",
            "description": "Random weights.",
            "authors": "nobody",
            "license": "Apache-2.0",
            "describes": {"axes": "ZYX", "spacing": SPACING},
            "parameters": {"target": TARGET, "process": PROCESS, **parameters},
        }
        if arguments is not None:
            network = random_network(arguments)
            tensors = {key: each.contiguous() for key, each in tensors_of(network).items()}
            save_file(tensors, path := tmp_path / "tiny.safetensors")
            card["parameters"].setdefault("network", arguments.model_dump(mode="json"))
            card |= {"weights": path.name, "sha256": sha256(path.read_bytes()).hexdigest()}
        (tmp_path / "tiny.json").write_text(json.dumps(card))
        return open_model(tmp_path, read_cards(tmp_path, "diffusion")[0])

    yield model
    _loaded.cache_clear()


def _sketch(shape=(10, 24, 20), **metadata):
    return volume(np.where(labels_of(0, shape) > 0, 200, 50).astype(np.uint8), **metadata)


def _run(given, model, slug="structure-sketch"):
    return predict({slug: given}, model)["synthetic-image"]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_result_has_the_geometry_of_the_sketch_and_the_dtype_of_the_target(dtype, model):
    given = _sketch(channel="nucleus")
    made = _run(given, model(target={**TARGET, "dtype": dtype}))
    assert made.array.dtype == dtype
    assert (made.shape, made.spacing, made.axes) == (given.shape, given.spacing, given.axes)
    assert made.metadata == {
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
    assert len(np.unique(made.array)) > 10


def test_a_plane_is_made_by_a_network_for_planes(model):
    given = _sketch((32, 40))
    made = _run(given, model(FLAT))
    assert (made.axes, made.shape, made.spacing) == ("YX", (32, 40), SPACING[1:])
    assert made.metadata["diffusion_method"] == "network"


@pytest.mark.parametrize("arguments", [TINY, None])
def test_the_same_sketch_gives_the_same_bytes_and_another_does_not(arguments, model):
    tiny = model(arguments)
    first, again = _run(_sketch(), tiny), _run(_sketch(), tiny)
    np.testing.assert_array_equal(first.array, again.array)
    assert first.metadata == again.metadata
    other = _sketch()
    moved = _run(volume(other.array[::-1].copy()), tiny)
    assert not np.array_equal(moved.array[::-1], first.array)


def test_frames_of_one_seed_share_their_noise(model):
    tiny = model(None, seed=7)
    still, moved = _sketch(), _sketch()
    moved.array[:, 20:] = 200
    first, second = _run(still, tiny), _run(moved, tiny)
    assert first.metadata["diffusion_seed"] == 7
    np.testing.assert_array_equal(first.array[:, :10], second.array[:, :10])
    free = model(None)
    first, second = _run(still, free), _run(moved, free)
    assert (first.array[:, :10] != second.array[:, :10]).mean() > 0.5


def test_gain_and_offset_of_the_sketch_do_not_matter(model):
    tiny = model(seed=3)
    given = _sketch()
    louder = volume(given.array.astype(np.uint16) * 100 + 7)
    first, second = (_run(each, tiny).array.astype(float) for each in (given, louder))
    np.testing.assert_allclose(first, second, atol=1)


def test_labels_stand_in_for_a_sketch_which_counts_where_both_are(model):
    tiny, labels = model(seed=1), volume(labels_of())
    by_labels = _run(labels, tiny, "instance-labels")
    assert by_labels.axes == "ZYX"
    given = _sketch()
    both = predict({"structure-sketch": given, "instance-labels": labels}, tiny)
    np.testing.assert_array_equal(both["synthetic-image"].array, _run(given, tiny).array)
    assert not np.array_equal(by_labels.array, _run(given, tiny).array)


def test_a_network_of_labels_is_given_labels_where_both_are(model):
    trained, labels = model(seed=1, given="labels"), volume(labels_of())
    both = {"structure-sketch": _sketch(), "instance-labels": labels}
    made = predict(both, trained)["synthetic-image"].array
    np.testing.assert_array_equal(made, _run(labels, trained, "instance-labels").array)
    by_default = predict(both, model(seed=1))["synthetic-image"].array
    assert not np.array_equal(made, by_default)


def test_explains_labels_that_a_network_of_labels_needs(model):
    message = (
        "trained on sketches of labels, expected instance-labels, found structure-sketch alone"
    )
    with pytest.raises(InputError, match=message):
        _run(_sketch(), model(given="labels"))


def test_guidance_costs_a_second_pass_and_stands_in_the_metadata(model):
    plain = _run(_sketch(), model(seed=1))
    one = _run(_sketch(), model(seed=1, process={**PROCESS, "guidance": 1}, dropped=0.1))
    np.testing.assert_array_equal(one.array, plain.array)
    assert one.metadata == plain.metadata
    guided = _run(_sketch(), model(seed=1, process={**PROCESS, "guidance": 3}, dropped=0.1))
    assert guided.metadata["diffusion_guidance"] == 3
    assert guided.metadata["diffusion_evaluations"] == 6
    assert not np.array_equal(guided.array, plain.array)


def test_without_a_network_the_sketch_is_blurred_and_noisy(model):
    given = _sketch((12, 48, 48))
    made = _run(given, model(None, target={**TARGET, "dtype": "float32"}))
    assert made.metadata["diffusion_method"] == "plain"
    ground = made.array[:, :8]
    assert ground.mean() == pytest.approx(100, abs=1)
    assert ground.std() == pytest.approx(5, rel=0.15)
    assert np.corrcoef(made.array.ravel(), given.array.ravel())[0, 1] > 0.5
    plane = _run(_sketch((24, 20)), model(None))
    assert (plane.axes, plane.shape) == ("YX", (24, 20))


def test_tiles_change_nothing(model):
    given = _sketch((8, 100, 110))
    whole = _run(given, model(seed=1))
    tiled = _run(given, model(seed=1, tile=[26, 52, 52]))
    assert tiled.metadata["diffusion_tiles"] > whole.metadata["diffusion_tiles"] == 1
    np.testing.assert_allclose(
        tiled.array.astype(float), whole.array.astype(float), rtol=1e-3, atol=1
    )


def test_explains_axes_of_another_network(model):
    with pytest.raises(InputError, match=r"this network makes volumes \(ZYX\), found YX"):
        _run(_sketch((24, 20)), model())
    with pytest.raises(InputError, match=r"this network makes planes \(YX\), found ZYX"):
        _run(_sketch(), model(FLAT))


def test_explains_labels_that_are_no_integers(model):
    with pytest.raises(InputError, match="instance-labels must be integers, found float64"):
        _run(volume(labels_of().astype(float)), model(), "instance-labels")


def test_explains_missing_inputs(model):
    with pytest.raises(InputError, match=r"expected the input instance-labels, found \['other'\]"):
        predict({"other": _sketch()}, model())


def test_explains_a_model_without_weights(model):
    card = ModelCard.model_validate(model().card.model_dump() | {"weights": None, "sha256": None})
    with pytest.raises(ModelError, match="card tiny: it names no weights; train the model first"):
        _run(_sketch(), Model(card))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"taw": 1}, "taw is not a known key"),
        ({"tile": [4, 8, 8]}, "tile must be at least .* for this network, found"),
        ({"seed": -1}, "seed"),
        ({"process": {"steps": 500}}, "steps must be at most 400"),
        ({"given": "both"}, "given"),
        ({"dropped": 1}, "dropped"),
        (
            {"process": {**PROCESS, "guidance": 2}},
            r"guidance must be 1 for a network that was always given its sketch .*found 2; train",
        ),
    ],
)
def test_explains_an_impossible_parameter(given, message, model):
    with pytest.raises(InputError, match=f"card tiny: parameters: .*{message}"):
        _run(_sketch(), model(**given))


def test_explains_memory_that_is_short(model, monkeypatch):
    monkeypatch.setattr(module, "free_gib", lambda: 1e-6)
    with pytest.raises(InputError, match=r"10 x 24 x 20 voxels takes .* GiB, 1e-06 GiB are free"):
        _run(_sketch(), model())


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((3, 9, 9), np.nan), "must be finite, found NaN"),
        (np.zeros((0, 9, 9)), "must not be empty"),
    ],
)
def test_explains_a_wrong_sketch(array, message, model):
    with pytest.raises(InputError, match=f"structure-sketch {message}"):
        _run(volume(array), model())
