import json
from hashlib import sha256
from itertools import product

import numpy as np
import pytest
import torch
from light_sheet import DTYPES, SPACING, TINY, noise, random_network, view
from safetensors.torch import save_file
from scipy import ndimage

from cytosuite import large
from cytosuite.algorithms.view_fusion.network import build
from cytosuite.algorithms.view_fusion.predict import predict
from cytosuite.errors import InputError, ModelError
from cytosuite.manifest import ModelCard
from cytosuite.network import _loaded, tensors_of
from cytosuite.tasks import VIEW
from cytosuite.volume import Origin, Volume
from cytosuite.weights import Model, open_model, read_cards

SIMPLE = {
    "identity": {"method": "identity"},
    "gaussian": {"method": "gaussian", "sigma_px": 0.442},
    "classical": {"method": "classical", "classical": {}},
}
METHODS = [*SIMPLE, "network"]


@pytest.fixture
def model(tmp_path):
    """Return a function that writes a card, with the weights of a network, and opens it."""

    def model(method, network=None, arguments=TINY, **parameters):
        given = {**SIMPLE.get(method, {"method": method}), **parameters}
        card = {
            "name": "tiny",
            "version": "0.1.0",
            "algorithm": "view_fusion",
            "task": "fuse",
            "description": "Random weights.",
            "authors": "nobody",
            "license": "Apache-2.0",
            "describes": {"axes": "ZYX", "spacing": SPACING},
            "parameters": given,
        }
        if method == "network":
            network = network or random_network(arguments, change=0.1)
            tensors = {key: each.contiguous() for key, each in tensors_of(network).items()}
            save_file(tensors, path := tmp_path / "tiny.safetensors")
            given.setdefault("network", arguments.model_dump(mode="json"))
            card |= {"weights": path.name, "sha256": sha256(path.read_bytes()).hexdigest()}
        (tmp_path / "tiny.json").write_text(json.dumps(card))
        return open_model(tmp_path, read_cards(tmp_path, "view_fusion")[0])

    yield model
    _loaded.cache_clear()


def _volume(**changes):
    given = {
        "array": view(dtype="uint16"),
        "spacing": SPACING,
        "metadata": {"channel": "nucleus", "study": 3},
    }
    return Volume(**{**given, **changes})


def _run(volume, model, **others):
    return predict({VIEW: volume, **others}, model)[f"fused-{VIEW}"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", METHODS)
def test_the_result_has_geometry_dtype_and_metadata_of_the_view(method, dtype, model):
    given = _volume(array=view(dtype=dtype), origin=Origin(warnings=("an earlier one",)))
    made = _run(given, model(method))
    assert made.array.dtype == dtype
    assert (made.shape, made.spacing, made.axes) == (given.shape, given.spacing, given.axes)
    assert made.metadata["view_fusion_method"] == method
    assert {key: made.metadata[key] for key in given.metadata} == given.metadata
    assert made.origin.warnings == ("an earlier one",)
    assert np.isfinite(made.array.astype(float)).all()


def test_the_identity_hands_the_view_back(model):
    given = _volume()
    np.testing.assert_array_equal(_run(given, model("identity")).array, given.array)
    untrained = _run(given, model("network", build(TINY)))
    np.testing.assert_array_equal(untrained.array, given.array)
    assert untrained.metadata["view_fusion_method"] == "network"
    assert untrained.metadata["view_fusion_agreement"] == 1
    assert untrained.metadata["view_fusion_tiles"] == 1


def test_the_gaussian_is_that_of_the_card(model):
    given = _volume()
    for sigma in (0.442, 0.5):
        made = _run(given, model("gaussian", sigma_px=sigma)).array
        expected = np.rint(ndimage.gaussian_filter(given.array.astype(np.float32), sigma))
        np.testing.assert_array_equal(made, expected)


def test_the_classical_restoration_says_what_it_has_found(model):
    made = _run(_volume(), model("classical"))
    losses = [float(each) for each in made.metadata["view_fusion_loss_per_mm"].split()]
    assert np.argmax(losses) == 4  # light comes from low x
    assert 1 < made.metadata["view_fusion_gain"] <= 2


@pytest.mark.parametrize("method", METHODS)
def test_a_second_view_is_not_read(method, model):
    given, opened = _volume(), model(method)
    one = _run(given, opened)
    other = _run(
        given, opened, **{f"second-{VIEW}": _volume(array=noise()), "acquisition-metadata": {}}
    )
    np.testing.assert_array_equal(one.array, other.array)
    assert one.metadata == other.metadata


def _refused(made, given, fault):
    """Hold a result against the smoothed view in place of a refused answer."""
    line = f"the network is refused ({fault}): smoothed view in its place"
    assert made.origin.warnings == (line,)
    assert made.metadata["view_fusion_method"] == "gaussian"
    expected = np.rint(ndimage.gaussian_filter(given.array.astype(np.float32), 0.442))
    np.testing.assert_array_equal(made.array, expected)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_an_answer_that_is_no_number_gives_way_to_the_smoothed_view(value, model):
    network = build(TINY)
    with torch.no_grad():
        network.tail.bias[0] = value
    given = _volume()
    made = _run(given, model("network", network))
    _refused(made, given, "its answer is not finite")


def test_an_answer_of_another_image_gives_way_to_the_smoothed_view(model):
    network = build(TINY)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.weight[:, :, 1, 1, 1] = 1  # the view, turned upside down
        network.tail.weight[:, :, 1, 1, 1] = -1
    given = _volume()
    made = _run(given, model("network", network))
    assert made.metadata["view_fusion_agreement"] < 0
    found = made.metadata["view_fusion_agreement"]
    _refused(made, given, f"its answer correlates with the view by {found:.2f}")
    kept = _run(given, model("network", network, least_agreement=-1))
    assert kept.metadata["view_fusion_method"] == "network"
    assert not kept.origin.warnings


IMAGES = {
    "zeros": np.zeros((9, 20, 20), np.uint16),
    "constant": np.full((9, 20, 20), 777, np.uint16),
    "constant floats": np.full((9, 20, 20), 0.1, np.float32),
    "full": np.full((9, 20, 20), 255, np.uint8),
    "a few points": np.pad(np.full((1, 1, 1), 9, np.uint16), 12),
}


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("method", METHODS)
def test_images_without_contrast_come_back_as_they_are(name, method, model):
    made = _run(_volume(array=IMAGES[name]), model(method))
    np.testing.assert_array_equal(made.array, IMAGES[name])
    assert made.metadata["view_fusion_method"] == "identity"
    warned = (
        () if method == "identity" else ("no contrast in the view: it is handed back as it is",)
    )
    assert made.origin.warnings == warned


def _hot(dtype):
    """Return a dim image with one voxel at the top of its range."""
    image = noise(dtype=dtype)
    image[10, 30, 30] = np.iinfo(dtype).max
    return image


@pytest.mark.parametrize(
    "image", [_hot("uint16"), _hot("uint8"), view(dtype="uint8")], ids=["hot 16", "hot 8", "8 bits"]
)
@pytest.mark.parametrize("method", METHODS)
def test_hot_voxels_and_8_bits_change_no_scale(image, method, model):
    made = _run(_volume(array=image), model(method)).array
    assert made.dtype == image.dtype
    low, high = np.percentile(image, (2, 98))
    assert low - 2 * (high - low) < np.percentile(made, 2)
    assert np.percentile(made, 98) < high + 3 * (high - low)
    assert len(np.unique(made)) > 20


@pytest.mark.parametrize(
    "shape", [(5, 37, 41), (1, 1, 50), (1, 60, 1), (60, 1, 1), (2, 3, 5), (1, 1, 1)]
)
@pytest.mark.parametrize("method", METHODS)
def test_views_of_any_size_are_restored(shape, method, model):
    made = _run(_volume(array=noise(shape)), model(method))
    assert made.shape == shape
    assert made.array.dtype == np.uint16


@pytest.mark.parametrize("spacing", [(1e-9, 1e9, 1.0), (1000.0, 0.001, 0.001), (1e12, 1e12, 1e12)])
@pytest.mark.parametrize("method", METHODS)
def test_any_voxel_size_gives_a_result(spacing, method, model):
    arguments = TINY.model_copy(update={"inputs": ("distance", "light")})
    own = {"arguments": arguments} if method == "network" else {}
    made = _run(_volume(spacing=spacing), model(method, **own))
    assert np.isfinite(made.array.astype(float)).all()
    assert made.array.std() > 1


@pytest.mark.parametrize("method", list(SIMPLE))
def test_planes_are_taken_by_methods_without_a_network(method, model):
    image = view(dtype="uint16")[10]
    made = _run(_volume(array=image, spacing=SPACING[1:], axes="YX"), model(method))
    assert (made.axes, made.shape, made.spacing) == ("YX", image.shape, SPACING[1:])


def test_tiles_change_nothing(model):
    given = _volume(array=np.tile(view(dtype="uint16"), (3, 2, 2)))
    whole = _run(given, model("network"))
    tiled = _run(given, model("network", tile=[36, 72, 72]))
    assert tiled.metadata["view_fusion_tiles"] > whole.metadata["view_fusion_tiles"] == 1
    assert np.abs(tiled.array.astype(int) - whole.array.astype(int)).max() <= 1
    assert (tiled.array == whole.array).mean() > 0.999


@pytest.mark.parametrize("method", METHODS)
def test_the_same_view_gives_the_same_bytes_and_is_not_changed(method, model):
    given, opened = _volume(), model(method)
    before = given.array.copy()
    one, again = _run(given, opened), _run(given, opened)
    np.testing.assert_array_equal(one.array, again.array)
    np.testing.assert_array_equal(given.array, before)
    assert one.metadata == again.metadata


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("axes", [(2, 1, 0), (1, 0, 2)])
def test_arrays_in_any_order_of_memory_are_read(method, axes, model):
    array = np.ascontiguousarray(view(dtype="uint16").transpose(axes)).transpose(np.argsort(axes))
    opened = model(method)
    np.testing.assert_array_equal(
        _run(_volume(array=array), opened).array, _run(_volume(), opened).array
    )


def test_a_network_takes_no_planes(model):
    plane = _volume(array=view()[5], spacing=SPACING[1:], axes="YX")
    with pytest.raises(InputError, match=r"this network restores volumes \(ZYX\), found YX"):
        _run(plane, model("network"))


@pytest.mark.parametrize(
    ("array", "axes", "message"),
    [
        (np.zeros((2, 3, 9, 9)), "TZYX", "axes ZYX or YX, found TZYX: give one frame"),
        (np.full((3, 9, 9), np.nan), "ZYX", "must be finite, found NaN"),
        (np.zeros((0, 9, 9)), "ZYX", "must not be empty"),
    ],
)
@pytest.mark.parametrize("method", ["identity", "network"])
def test_explains_a_wrong_view(array, axes, message, method, model):
    with pytest.raises(InputError, match=message):
        _run(Volume(array, SPACING, axes), model(method))


@pytest.mark.parametrize("step", [0.0, -1.0, float("nan")])
def test_explains_a_voxel_without_size(step):
    with pytest.raises(InputError, match="spacing must be 3 positive numbers in µm"):
        _volume(spacing=(1.0, step, 1.0))


def test_explains_a_missing_view(model):
    with pytest.raises(InputError, match=rf"expected the input {VIEW}, found \['other'\]"):
        predict({"other": _volume()}, model("identity"))


def test_explains_a_model_without_weights(model):
    tiny = model("network")
    card = ModelCard.model_validate(tiny.card.model_dump() | {"weights": None, "sha256": None})
    with pytest.raises(ModelError, match="card tiny: it names no weights; train the model first"):
        _run(_volume(), Model(card))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "gaussian", "taw": 1}, "card tiny: parameters: taw is not a known key"),
        ({"method": "network"}, "method network needs network, found none"),
    ],
)
def test_explains_a_wrong_card(given, message, model):
    card = model("identity").card.model_copy(update={"parameters": given})
    with pytest.raises(InputError, match=message):
        _run(_volume(), Model(card))


def test_one_network_serves_several_views(model):
    opened = model("network")
    for seed, method in product(range(2), range(2)):
        _run(_volume(array=view(seed=seed + method, dtype="uint16")), opened)
    assert _loaded.cache_info().misses == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_a_view_on_disk_is_fused_like_one_in_memory(method, dtype, model, mapped, monkeypatch):
    opened = model(method)
    array = view(dtype=dtype)
    expected = _run(_volume(array=array), opened)
    monkeypatch.setattr(large, "fits", lambda _: False)
    monkeypatch.setattr(large, "SLAB", 3 * array[0].size)
    found = _run(_volume(array=mapped(array)), opened)
    assert large.is_mapped(found.array)
    np.testing.assert_array_equal(found.array, expected.array)
    assert found.metadata == expected.metadata
