import json
from hashlib import sha256
from typing import NamedTuple

import numpy as np
import pytest
from safetensors.torch import save_file
from unpaired import SPACING, TINY, random_network, simulated

from cytosuite import large
from cytosuite.algorithms.cyclegan3d import predict as module
from cytosuite.algorithms.cyclegan3d.measure import SHARES
from cytosuite.algorithms.cyclegan3d.network import build
from cytosuite.algorithms.cyclegan3d.predict import predict
from cytosuite.errors import InputError, ModelError
from cytosuite.manifest import ModelCard
from cytosuite.network import _loaded, tensors_of
from cytosuite.volume import Origin, Volume
from cytosuite.weights import Model, open_model, read_cards

TARGET = {"mean": 100.0, "sd": 5.0, "dtype": "uint16"}
STYLE = {
    "dtype": "uint8",
    "background": 20.0,
    "spread": 1.0,
    "glow": np.linspace(25, 40, len(SHARES)).tolist(),
    "objects": np.linspace(40, 200, len(SHARES)).tolist(),
    "noise": {"offset": 15.0, "read_variance": 1.0, "gain": 0.1, "skew": 0.0},
    "blur_um": [2.0, 0.5],
}


class Found(NamedTuple):
    """Stands in for what the guard has measured."""

    agreement: float = 0.123456


@pytest.fixture
def model(tmp_path):
    """Return a function that writes a card, with the weights of a network, and opens it."""

    def model(network=None, **parameters):
        card = {
            "name": "tiny",
            "version": "0.1.0",
            "algorithm": "cyclegan3d",
            "task": "enhance",
            "description": "Random weights.",
            "authors": "nobody",
            "license": "Apache-2.0",
            "describes": {"axes": "ZYX", "spacing": SPACING},
            "parameters": parameters,
        }
        if network is not None:
            tensors = {key: each.contiguous() for key, each in tensors_of(network).items()}
            save_file(tensors, path := tmp_path / "tiny.safetensors")
            own = {"network": TINY.model_dump(mode="json"), "target": TARGET}
            card["parameters"] = {**own, **parameters}
            card |= {"weights": path.name, "sha256": sha256(path.read_bytes()).hexdigest()}
        (tmp_path / "tiny.json").write_text(json.dumps(card))
        return open_model(tmp_path, read_cards(tmp_path, "cyclegan3d")[0])

    yield model
    _loaded.cache_clear()


@pytest.fixture
def guarded(monkeypatch):
    """Return a function that sets the guard's complaint, and notes what it has compared."""
    seen = []

    def guarded(fault):
        def compare(given, made, spacing):
            seen.append((given, made, spacing))
            return Found()

        monkeypatch.setattr(module, "compare", compare)
        monkeypatch.setattr(module, "complaint", lambda found, limits: fault)
        return seen

    return guarded


def _volume(**changes):
    given = {"array": simulated()[0], "spacing": SPACING, "metadata": {"channel": "nucleus"}}
    return Volume(**{**given, **changes})


def _run(volume, model):
    return predict({"microscopy-image": volume}, model)["enhanced-image"]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_result_has_the_geometry_of_the_image_and_the_dtype_of_the_target(dtype, model):
    given = _volume()
    tiny = model(random_network(TINY), guard="off", target={**TARGET, "dtype": dtype})
    made = _run(given, tiny)
    assert made.array.dtype == dtype
    assert (made.shape, made.spacing, made.axes) == (given.shape, given.spacing, given.axes)
    assert made.metadata == {
        "channel": "nucleus",
        "cyclegan3d_method": "network",
        "cyclegan3d_tiles": 1,
    }
    assert len(np.unique(made.array)) > 10


def test_a_network_of_no_change_on_the_scale_of_the_style_is_the_classical_transfer(model, guarded):
    guarded(None)
    target = {"mean": 20.0, "sd": 2.0, "dtype": "uint8"}
    made = _run(_volume(), model(build(TINY), scale="style", style=STYLE, target=target))
    expected = _run(_volume(), model(style=STYLE))
    assert made.metadata["cyclegan3d_method"] == "network"
    np.testing.assert_array_equal(made.array, expected.array)
    given = _volume(array=3 * simulated()[0] + 1000)  # any gain and offset
    again = _run(given, model(build(TINY), scale="style", style=STYLE, target=target))
    assert np.corrcoef(again.array.ravel(), made.array.ravel())[0, 1] > 0.9


def test_a_network_of_no_change_moves_the_background_to_the_targets(model, guarded):
    guarded(None)
    image = np.random.default_rng(0).normal(20, 2, (10, 24, 20))
    made = _run(_volume(array=image), model(build(TINY)))
    assert abs(np.median(made.array) - 100) < 2
    assert np.corrcoef(made.array.ravel(), image.ravel())[0, 1] > 0.99


def test_what_the_guard_has_measured_is_in_the_metadata(model, guarded):
    seen = guarded(None)
    volume = _volume()
    made = _run(volume, model(random_network(TINY)))
    assert made.metadata["cyclegan3d_method"] == "network"
    assert made.metadata["cyclegan3d_agreement"] == 0.1235
    (given, shown, spacing), *others = seen
    assert not others
    np.testing.assert_array_equal(given, volume.array)
    np.testing.assert_array_equal(shown, made.array)
    assert spacing == SPACING
    assert not made.origin.warnings


def test_a_translation_that_changes_structure_is_replaced_with_a_warning(model, guarded):
    guarded("three objects are lost")
    volume = _volume(origin=Origin(warnings=("an earlier one",)))
    tiny = model(random_network(TINY), style=STYLE)
    made = _run(volume, tiny)
    assert made.metadata["cyclegan3d_method"] == "style"
    assert made.metadata["cyclegan3d_agreement"] == 0.1235
    assert made.array.dtype == np.uint8
    line = "the network changes the structure (three objects are lost): classical transfer in its place"
    assert made.origin.warnings == ("an earlier one", line)
    plain = _run(volume, model(style=STYLE))
    np.testing.assert_array_equal(made.array, plain.array)


@pytest.mark.parametrize("given", [{"guard": "refuse", "style": STYLE}, {"guard": "replace"}])
def test_a_translation_that_changes_structure_is_refused(given, model, guarded):
    guarded("all is lost")
    with pytest.raises(InputError, match=r"translation is refused, .* \(all is lost\); give"):
        _run(_volume(), model(random_network(TINY), **given))


def test_without_a_guard_nothing_is_compared(model, guarded):
    seen = guarded("all is lost")
    made = _run(_volume(), model(random_network(TINY), guard="off", style=STYLE))
    assert made.metadata["cyclegan3d_method"] == "network"
    assert not seen


@pytest.mark.parametrize("kind", ["network", "style"])
def test_the_same_image_gives_the_same_bytes(kind, model):
    tiny = model(random_network(TINY), guard="off") if kind == "network" else model(style=STYLE)
    first, again = _run(_volume(), tiny), _run(_volume(), tiny)
    np.testing.assert_array_equal(first.array, again.array)
    assert first.metadata == again.metadata
    other = _run(_volume(array=simulated(1)[0]), tiny)
    assert not np.array_equal(first.array, other.array)
    if kind == "network":
        assert (_loaded.cache_info().misses, _loaded.cache_info().hits) == (1, 2)


def test_a_card_without_a_network_transfers_the_style(model):
    made = _run(_volume(), model(style=STYLE))
    assert made.metadata == {"channel": "nucleus", "cyclegan3d_method": "style"}
    assert made.array.dtype == np.uint8
    plane = _run(
        _volume(array=simulated()[0][5], spacing=SPACING[1:], axes="YX"), model(style=STYLE)
    )
    assert (plane.axes, plane.shape) == ("YX", (24, 20))


def test_a_network_takes_no_planes(model):
    plane = _volume(array=simulated()[0][5], spacing=SPACING[1:], axes="YX")
    with pytest.raises(InputError, match=r"translates volumes \(ZYX\), found YX"):
        _run(plane, model(random_network(TINY)))


def test_tiles_change_nothing(model):
    volume = _volume(array=np.tile(simulated()[0], (4, 2, 3)))
    whole = _run(volume, model(random_network(TINY), guard="off"))
    tiled = _run(volume, model(random_network(TINY), guard="off", tile=[24, 48, 48]))
    assert tiled.metadata["cyclegan3d_tiles"] > whole.metadata["cyclegan3d_tiles"] == 1
    np.testing.assert_allclose(
        tiled.array.astype(float), whole.array.astype(float), rtol=1e-4, atol=1
    )


def test_explains_a_model_without_weights(model):
    tiny = model(random_network(TINY), guard="off")
    card = ModelCard.model_validate(tiny.card.model_dump() | {"weights": None, "sha256": None})
    with pytest.raises(ModelError, match="card tiny: it names no weights; train the model first"):
        _run(_volume(), Model(card))


def test_explains_an_unknown_parameter(model):
    with pytest.raises(InputError, match="card tiny: parameters: taw is not a known key"):
        _run(_volume(), model(style=STYLE, taw=1))


@pytest.mark.parametrize(
    ("array", "axes", "message"),
    [
        (np.zeros((2, 3, 9, 9)), "TZYX", "axes ZYX or YX, found TZYX: give one frame"),
        (np.zeros((2, 3, 9, 9)), "CZYX", "axes ZYX or YX, found CZYX"),
        (np.full((3, 9, 9), np.nan), "ZYX", "must be finite, found NaN"),
        (np.zeros((0, 9, 9)), "ZYX", "must not be empty"),
    ],
)
def test_explains_a_wrong_image(array, axes, message, model):
    with pytest.raises(InputError, match=message):
        _run(Volume(array, SPACING, axes), model(random_network(TINY)))


def test_explains_a_missing_image(model):
    with pytest.raises(InputError, match=r"expected the input microscopy-image, found \['other'\]"):
        predict({"other": _volume()}, model(style=STYLE))


def test_floats_beyond_the_scale_of_the_dtype_are_refused(model):
    tiny = model(random_network(TINY), guard="off", scale="dtype")
    with pytest.raises(InputError, match=r"the scale dtype takes integers, or floats in 0\.\.1"):
        _run(_volume(array=simulated()[0].astype(np.float32)), tiny)
    assert _run(_volume(), tiny).array.dtype == np.uint16


@pytest.mark.parametrize("guard", ["off", "replace"])
def test_an_image_on_disk_gives_the_result_of_one_in_memory(guard, model, mapped, monkeypatch):
    opened = model(random_network(TINY), guard=guard, style=STYLE)
    volume = Volume(simulated()[0], SPACING)
    expected = predict({"microscopy-image": volume}, opened)["enhanced-image"]
    monkeypatch.setattr(large, "fits", lambda _: False)
    on_disk = Volume(mapped(volume.array), SPACING)
    found = predict({"microscopy-image": on_disk}, opened)["enhanced-image"]
    assert large.is_mapped(found.array)
    np.testing.assert_array_equal(found.array, expected.array)
    assert found.metadata == expected.metadata
