from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
from mistakes import refused
from numpy.testing import assert_array_equal
from sketches import SPACING, volume
from unpaired import TINY, random_network, simulated

from cytosuite.algorithms.cyclegan3d.measure import SHARES
from cytosuite.algorithms.cyclegan3d.network import build
from cytosuite.algorithms.cyclegan3d.predict import Parameters, predict
from cytosuite.contract.manifest import parse
from cytosuite.denoising.camera import CameraModel, light_of
from cytosuite.volume import Origin, seed_of

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


CAMERA = CameraModel(gain=2.0, offset=10.0, read_noise=1.0, lag=0.1)
OF_LIGHT = {
    "scale": "light",
    "camera": CAMERA.model_dump(),
    "target": {**CAMERA.units._asdict(), "dtype": "uint8"},
}


class Found(NamedTuple):
    """Stands in for what the guard has measured."""

    agreement: float = 0.123456


@pytest.fixture
def model(opened):
    """Return a function that opens the model of a card with some parameters."""

    def model(network=None, **parameters):
        entries = {"network": TINY.model_dump(mode="json"), "target": TARGET} if network else {}
        return opened("cyclegan3d", "enhance", {**entries, **parameters}, network)

    return model


@pytest.fixture
def guarded(monkeypatch):
    """Return a function that sets the guard's complaint, and notes what it has compared."""
    seen = []

    def guarded(fault):
        def compare(image, translation, spacing):
            seen.append((image, translation, spacing))
            return Found()

        monkeypatch.setattr("cytosuite.algorithms.cyclegan3d.predict.compare", compare)
        monkeypatch.setattr(
            "cytosuite.algorithms.cyclegan3d.predict.complaint", lambda facts, limits: fault
        )
        return seen

    return guarded


_volume = partial(replace, volume(simulated()[0], channel="nucleus"))


def _run(volume, model):
    return predict({"microscopy-image": volume}, model)["enhanced-image"]


def test_a_network_of_no_change_on_the_scale_of_the_style_is_the_classical_transfer(model, guarded):
    guarded(None)
    target = {"mean": 20.0, "sd": 2.0, "dtype": "uint8"}
    network = model(build(TINY), scale="style", style=STYLE, target=target)
    image = _run(_volume(), network)
    expected = _run(_volume(), model(style=STYLE))
    assert image.metadata["cyclegan3d_method"] == "network"
    assert_array_equal(image.array, expected.array)
    scaled = _volume(array=3 * simulated()[0] + 1000)  # any gain and offset
    assert np.corrcoef(_run(scaled, network).array.ravel(), image.array.ravel())[0, 1] > 0.9


def test_a_network_of_no_change_of_light_exposes_it_anew(model, guarded):
    seen = guarded(None)
    image = _run(_volume(), model(build(TINY), **OF_LIGHT))
    light = light_of(_volume().array, CAMERA)
    expected = CAMERA.expose(light, seed_of(_volume()))
    assert image.array.dtype == np.uint8
    np.testing.assert_allclose(image.array, np.rint(expected.clip(0, 255)), atol=1)
    np.testing.assert_allclose(seen[0][1], light, atol=0.01)  # noise is none of the network's


def test_what_the_guard_has_measured_is_in_the_metadata(model, guarded):
    seen = guarded(None)
    volume = _volume()
    image = _run(volume, model(random_network(TINY)))
    facts = {"method": "network", "agreement": 0.1235, "tiles": 1}
    assert image.metadata == volume.metadata | {f"cyclegan3d_{k}": v for k, v in facts.items()}
    (source, shown, spacing), *others = seen
    assert not others
    assert_array_equal(source, volume.array)
    assert_array_equal(shown, image.array)
    assert spacing == SPACING
    assert not image.origin.warnings


def test_a_translation_that_changes_structure_is_replaced_with_a_warning(model, guarded):
    guarded("three objects are lost")
    volume = _volume(origin=Origin(warnings=("an earlier one",)))
    image = _run(volume, model(random_network(TINY), style=STYLE))
    assert image.metadata["cyclegan3d_method"] == "style"
    assert image.metadata["cyclegan3d_agreement"] == 0.1235
    assert image.array.dtype == np.uint8
    line = "the network changes the structure (three objects are lost): classical transfer in its place"
    assert image.origin.warnings == ("an earlier one", line)
    assert_array_equal(image.array, _run(volume, model(style=STYLE)).array)


@pytest.mark.parametrize("options", [{"guard": "refuse", "style": STYLE}, {"guard": "replace"}])
def test_a_translation_that_changes_structure_is_refused(options, model, guarded):
    guarded("all is lost")
    refused(
        r"translation is refused, .* \(all is lost\); give",
        _run,
        _volume(),
        model(random_network(TINY), **options),
    )


def test_a_card_without_a_network_transfers_the_style(model):
    image = _run(_volume(), model(style=STYLE))
    assert image.metadata == {"channel": "nucleus", "cyclegan3d_method": "style"}
    assert image.array.dtype == np.uint8
    plane = _run(
        _volume(array=simulated()[0][5], spacing=SPACING[1:], axes="YX"), model(style=STYLE)
    )
    assert (plane.axes, plane.shape) == ("YX", (24, 20))


@pytest.mark.parametrize("scale", [{}, OF_LIGHT])
def test_an_image_on_disk_gives_the_result_of_one_in_memory(model, hold_on_disk, scale):
    opened = model(random_network(TINY), guard="replace", style=STYLE, **scale)
    hold_on_disk(lambda volume: _run(volume, opened), _volume())


NETWORK = {"widths": [4, 6], "blocks": 1, "fold": 2}


@pytest.mark.parametrize(
    "message, entries",
    {
        r"expected network \(with target\), style, or both": {},
        "expected target beside network": {"network": NETWORK},
        "expected style and target for scale style": {
            "network": NETWORK,
            "target": TARGET,
            "scale": "style",
        },
        "expected camera for scale light, and for no other": {
            "network": NETWORK,
            "target": TARGET,
            "scale": "light",
        },
    }.items(),
)
def test_a_card_that_cannot_translate_is_refused(entries, message):
    refused(f"card: .*{message}", parse, "card", entries, Parameters)


def test_a_network_that_sees_an_image_in_one_piece_takes_any_tile():
    network = {"widths": [4, 4, 4], "blocks": 1, "fold": 3, "norm": "instance"}
    assert parse("card", {"network": network, "target": TARGET, "tile": [1, 1, 1]}, Parameters)
