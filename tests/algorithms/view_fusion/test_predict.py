from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from light_sheet import SPACING, noise, view
from mistakes import refused
from numpy.testing import assert_array_equal
from reach import roomy
from restorers import TINY, WHOLE, random_network
from scipy import ndimage

from cytosuite.algorithms.view_fusion.intensity import to_counts, to_network, units_of
from cytosuite.algorithms.view_fusion.network import RestorerArguments, build
from cytosuite.algorithms.view_fusion.predict import Parameters, agreement, predict, restore
from cytosuite.contract.tasks import VIEW
from cytosuite.networks.network import exact
from cytosuite.networks.tiling import fit
from cytosuite.volume import Origin, Volume

SIMPLE = {
    "identity": {"method": "identity"},
    "gaussian": {"method": "gaussian", "sigma_px": 0.442},
    "classical": {"method": "classical", "classical": {}},
}
METHODS = [*SIMPLE, "network"]


@pytest.fixture
def model(opened):
    """Return a function that opens the model of a card with some parameters."""

    def model(method, network=None, **parameters):
        entries = {**SIMPLE.get(method, {"method": method}), **parameters}
        if method != "network":
            return opened("view_fusion", "fuse", entries)
        entries.setdefault("network", TINY.model_dump(mode="json"))
        return opened("view_fusion", "fuse", entries, network or random_network(TINY, change=0.1))

    return model


FACTS = {"channel": "nucleus", "study": 3}
_volume = partial(replace, Volume(view(dtype="uint16"), SPACING, metadata=FACTS))


def _run(volume, model, **others):
    return predict({VIEW: volume, **others}, model)[f"fused-{VIEW}"]


@pytest.mark.parametrize("method", METHODS)
def test_the_result_has_metadata_and_warnings_of_the_view(method, model):
    volume = _volume(origin=Origin(warnings=("an earlier one",)))
    fused = _run(volume, model(method))
    assert fused.metadata["view_fusion_method"] == method
    assert volume.metadata.items() <= fused.metadata.items()
    assert fused.origin.warnings == ("an earlier one",)


def test_the_identity_hands_the_view_back(model):
    volume = _volume()
    assert_array_equal(_run(volume, model("identity")).array, volume.array)
    fused = _run(volume, model("network", build(TINY)))
    assert_array_equal(fused.array, volume.array)
    facts = {"method": "network", "agreement": 1, "tiles": 1}
    assert {key: fused.metadata[f"view_fusion_{key}"] for key in facts} == facts


def test_the_classical_restoration_says_what_it_has_found(model):
    fused = _run(_volume(), model("classical"))
    losses = [float(loss) for loss in fused.metadata["view_fusion_loss_per_mm"].split()]
    assert np.argmax(losses) == 4  # light comes from low x
    assert 1 < fused.metadata["view_fusion_gain"] <= 2


def _refused(fused, volume, fault):
    """Hold a result against the smoothed view in place of a refused answer."""
    line = f"the network is refused ({fault}): smoothed view in its place"
    assert fused.origin.warnings == (line,)
    assert fused.metadata["view_fusion_method"] == "gaussian"
    assert_array_equal(
        fused.array, np.rint(ndimage.gaussian_filter(volume.array.astype(np.float32), 0.442))
    )


@pytest.mark.parametrize("part", ["weight", "bias"])  # answers of NaN, and of infinity
def test_an_answer_that_is_no_number_gives_way_to_the_smoothed_view(part, model):
    network = build(TINY)
    with torch.no_grad():
        getattr(network.tail.conv, part).fill_(torch.inf)
    volume = _volume()
    _refused(_run(volume, model("network", network)), volume, "its answer is not finite")


def test_an_answer_of_another_image_gives_way_to_the_smoothed_view(model):
    torch.manual_seed(0)  # of some random weights an answer is constant
    network = build(TINY)
    with torch.no_grad():
        network.head.conv.weight.zero_()
        network.head.conv.weight[:, :, 1, 1, 1] = 1  # the view, turned upside down
        network.tail.conv.weight[:, :, 1, 1, 1] = -1
        network.up[0].conv.weight.zero_()
    volume = _volume()
    fused = _run(volume, model("network", network))
    assert fused.metadata["view_fusion_agreement"] < 0
    correlation = fused.metadata["view_fusion_agreement"]
    _refused(fused, volume, f"its answer correlates with the view by {correlation:.2f}")
    accepted = _run(volume, model("network", network, least_agreement=-1))
    assert accepted.metadata["view_fusion_method"] == "network"
    assert not accepted.origin.warnings


FLOATS = np.full((9, 20, 20), 0.1, np.float32)
POINTS = np.pad(np.full((1, 1, 1), 9, "u2"), 12)


@pytest.mark.parametrize(
    "method, image",
    {"identity": POINTS, "gaussian": FLOATS, "classical": POINTS, "network": FLOATS}.items(),
)
def test_images_without_contrast_come_back_as_they_are(image, method, model):
    fused = _run(_volume(array=image), model(method))
    assert_array_equal(fused.array, image)
    assert fused.metadata["view_fusion_method"] == "identity"
    warned = (
        () if method == "identity" else ("no contrast in the view: it is handed back as it is",)
    )
    assert fused.origin.warnings == warned


@pytest.mark.parametrize("method", ["gaussian", "classical"])
def test_planes_are_taken_by_methods_without_a_network(method, model):
    image = view(dtype="uint16")[10]
    fused = _run(_volume(array=image, spacing=SPACING[1:], axes="YX"), model(method))
    assert (fused.axes, fused.shape, fused.spacing) == ("YX", image.shape, SPACING[1:])


def test_a_network_takes_no_planes(model):
    plane = _volume(array=view()[5], spacing=SPACING[1:], axes="YX")
    refused(r"this network restores volumes \(ZYX\), found YX", _run, plane, model("network"))


@pytest.mark.parametrize("method", METHODS)
def test_a_view_on_disk_is_fused_like_one_in_memory(method, model, hold_on_disk):
    opened = model(method)
    hold_on_disk(lambda volume: _run(volume, opened), _volume())


BOTH = TINY.model_copy(update={"inputs": ("distance", "light")})
DEFAULT = RestorerArguments()


def _made(image, arguments, tile, network=None):
    network = network or random_network(arguments)
    return restore(image, SPACING, units_of(image), network, arguments, tile=tile)


def test_tiles_leave_no_seams():
    tile = roomy(BOTH)
    shape = [side * 4 // 3 + odd for side, odd in zip(tile, (1, 2, 3), strict=True)]
    image = view(shape=shape).astype(np.float32)  # rounding to grey values would hide much
    tiled, whole = (_made(image, BOTH, size) for size in (tile, WHOLE))
    assert tiled.tiles >= 8 > whole.tiles == 1
    assert np.abs(whole.image - image).mean() > 1
    np.testing.assert_allclose(tiled.image, whole.image, rtol=2e-5, atol=2e-3)


def test_the_answer_is_that_of_the_network():
    image = view(dtype="uint16")
    units = units_of(image)
    network = random_network(TINY)
    with exact("cpu"):
        answer = network(torch.from_numpy(to_network(image, units))[None, None])[0, 0].numpy()
    fused = _made(image, TINY, WHOLE, network)
    assert_array_equal(fused.image, to_counts(answer, units, "uint16"))
    assert fused.image.std() > 1


def test_little_memory_makes_smaller_tiles(monkeypatch):
    sizes = []
    monkeypatch.setattr(
        "cytosuite.algorithms.view_fusion.predict.fit",
        lambda shape, tile, *rest: sizes.append(tile) or fit(shape, tile, *rest),
    )
    largest = Parameters(method="network", network=DEFAULT).tile
    least = tuple(roomy(DEFAULT, halos=2))  # never all halo
    for free, tile in ((64.0, largest), (3.0, largest), (0.1, least)):
        monkeypatch.setattr("cytosuite.networks.tiling.free_gib", lambda free=free: free)
        _made(noise((4, 16, 16)), DEFAULT, tile, build(DEFAULT).eval())
    assert sizes == [largest, (64, 192, 192), least]


def test_agreement_is_that_of_structures():
    image = view()
    assert agreement(image, image, SPACING) == pytest.approx(1)
    assert agreement(image, 255 - image, SPACING) == pytest.approx(-1, abs=1e-3)
    assert abs(agreement(noise(seed=1), noise(seed=2), SPACING)) < 0.4
    noisy = image + 30 * noise(seed=3)  # most of it is noise
    assert np.corrcoef(image.ravel(), noisy.ravel())[0, 1] < 0.3
    assert agreement(image, noisy, SPACING) > 0.7


def test_agreement_of_constant_images_is_defined():
    image = view()
    flat = np.full((20, 72, 64), 7, np.uint8)
    assert agreement(flat, flat, SPACING) == 1
    assert agreement(image, flat, SPACING) == agreement(flat, image, SPACING) == 0
