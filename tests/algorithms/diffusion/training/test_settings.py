import pytest

from cytosuite.algorithms.diffusion.training.settings import Settings
from cytosuite.errors import InputError
from cytosuite.files import read_toml
from cytosuite.manifest import parse
from cytosuite.training.publish import ALGORITHMS
from cytosuite.training.validate import wanted_metrics

DROPPED = {"shape": [8, 16, 16], "dropped": 0.1}
FOLDER = ALGORITHMS / "diffusion" / "training"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.name)
def test_the_settings_in_the_folder_are_allowed(path):
    found = parse(path, read_toml(path), Settings)
    assert wanted_metrics(found.validation)
    assert found.network.conditioned is (path.stem != "images")
    assert found.network.dimensions == (2 if path.stem in {"planes", "culture"} else 3)


def test_guidance_goes_with_hidden_sketches():
    given = {"process": {"guidance": 2}, "crops": DROPPED}
    assert Settings.model_validate(given | {"network": {"widths": [4, 6]}}).process.guidance == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"crops": {"shape": [7, 16, 16]}}, r"multiples of \[2, 4, 4\] .*found \[7, 16, 16\]"),
        ({"network": {"dimensions": 2, "widths": [4, 6]}}, "must begin with 1"),
        ({"crops": {"batch": 0}}, "crops.batch"),
        ({"process": {"t_start": 2000}}, "t_start must be at most"),
        ({"crops": {"dropped": 1}}, "crops.dropped"),
        (
            {"network": {"widths": [4, 6], "conditioned": False}, "crops": DROPPED},
            "crops.dropped must be 0 for a network that is given no sketch, found 0.1",
        ),
        ({"process": {"guidance": 2}}, "guidance must be 1 where no sketch is hidden .*found 2;"),
        ({"netwrok": {}}, "netwrok is not a known key"),
    ],
)
def test_impossible_settings_are_refused(given, message):
    base = {"network": {"widths": [4, 6]}, "crops": {"shape": [8, 16, 16]}}
    with pytest.raises(InputError, match=f"train.toml: .*{message}"):
        parse("train.toml", {**base, **given}, Settings)
