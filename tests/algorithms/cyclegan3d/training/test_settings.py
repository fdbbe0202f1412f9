import pytest
from pydantic import ValidationError

from cytosuite.algorithms.cyclegan3d.training.settings import Settings
from cytosuite.errors import InputError
from cytosuite.files import read_toml
from cytosuite.manifest import parse
from cytosuite.training.publish import ALGORITHMS

FOLDER = ALGORITHMS / "cyclegan3d" / "training"
SMALL = {"network": {"widths": [4, 6], "fold": 2}, "judge": {"widths": [4, 6]}}


def _settings(**given):
    return Settings.model_validate({**SMALL, "crops": {"shape": [8, 16, 16]}, **given})


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.name)
def test_the_settings_in_the_folder_are_allowed(path):
    found = parse(path, read_toml(path), Settings)
    assert (found.schedule.steps == 0) is path.stem.endswith("_style")


def test_small_settings_are_allowed():
    assert _settings().crops.shape == (8, 16, 16)
    assert _settings(loss={"pool": 0}, crops={"shape": [8, 16, 16], "batch": 4}).loss.pool == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"crops": {"shape": [7, 16, 16]}}, r"multiples of \[2, 4, 4\] .*found \[7, 16, 16\]"),
        ({"crops": {"shape": [8, 16, 18]}}, r"multiples of \[2, 4, 4\] for this network"),
        ({"crops": {"shape": [2, 16, 16]}}, r"at least \[4, 6, 6\] for these judges"),
        ({"crops": {"shape": [8, 4, 16]}}, r"at least \[4, 6, 6\] for these judges"),
        ({"crops": {"shape": [0, 16, 16]}}, "crops.shape"),
        ({"loss": {"pool": 2}, "crops": {"shape": [8, 16, 16], "batch": 3}}, "hold a batch"),
        ({"loss": {"window": [5, 8, 9]}}, r"loss.window must be odd numbers, found \[5, 8, 9\]"),
        ({"loss": {"window": [5, -1, 9]}}, "loss.window"),
        ({"loss": {"keep": "nothing"}}, "loss.keep"),
        ({"loss": {"judge_every": 0}}, "loss.judge_every"),
        ({"images": {"scale": "range"}}, "images.scale"),
        ({"card": {"parameters": {"scale": "dtype"}}}, "card.parameters.scale"),
        (
            {"images": {"scale": "style"}, "network": {**SMALL["network"], "channels": 2}},
            "style is of one channel: .*found network.channels 2",
        ),
        ({"netwrok": {}}, "netwrok is not a known key"),
    ],
)
def test_impossible_settings_are_refused(given, message):
    with pytest.raises(InputError, match=f"train.toml: .*{message}"):
        parse("train.toml", {**SMALL, "crops": {"shape": [8, 16, 16]}, **given}, Settings)


def test_the_card_has_the_scale_of_the_training():
    found = _settings(images={"scale": "dtype"}, card={"parameters": {"scale": "dtype"}})
    assert found.images.scale == found.card.parameters["scale"]


@pytest.mark.parametrize("name", ["cycle", "identity", "structure"])
def test_weights_of_losses_are_not_negative(name):
    assert getattr(_settings(loss={name: 0}).loss, name) == 0
    with pytest.raises(ValidationError, match=name):
        _settings(loss={name: -1})
