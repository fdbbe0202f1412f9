import pytest

from cytosuite.algorithms.diffusion.training.settings import Settings
from cytosuite.errors import InputError
from cytosuite.files import read_toml
from cytosuite.manifest import parse
from cytosuite.training.publish import ALGORITHMS
from cytosuite.training.validate import wanted_metrics

FOLDER = ALGORITHMS / "diffusion" / "training"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.name)
def test_the_settings_in_the_folder_are_allowed(path):
    found = parse(path, read_toml(path), Settings)
    assert wanted_metrics(found.validation)
    assert found.network.conditioned is (path.stem != "images")
    assert found.network.dimensions == (2 if path.stem == "planes" else 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"crops": {"shape": [7, 16, 16]}}, r"multiples of \[2, 4, 4\] .*found \[7, 16, 16\]"),
        ({"network": {"dimensions": 2, "widths": [4, 6]}}, "must begin with 1"),
        ({"crops": {"batch": 0}}, "crops.batch"),
        ({"process": {"t_start": 2000}}, "t_start must be at most"),
        ({"netwrok": {}}, "netwrok is not a known key"),
    ],
)
def test_impossible_settings_are_refused(given, message):
    base = {"network": {"widths": [4, 6]}, "crops": {"shape": [8, 16, 16]}}
    with pytest.raises(InputError, match=f"train.toml: .*{message}"):
        parse("train.toml", {**base, **given}, Settings)
