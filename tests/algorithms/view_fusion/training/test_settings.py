import pytest

from cytosuite.algorithms.view_fusion.training.settings import Settings
from cytosuite.files import read_toml
from cytosuite.manifest import parse
from cytosuite.training.publish import ALGORITHMS
from cytosuite.training.validate import wanted_metrics

FILES = sorted((ALGORITHMS / "view_fusion" / "training").glob("*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_settings_that_come_with_it_are_valid(path):
    found = parse(path, read_toml(path), Settings)
    assert found.validation.every
    assert wanted_metrics(found.validation)[0].name == "N_SSIM"


def test_published_crops_are_possible():
    given = {"shape": (64, 256, 256), "batch": 1}
    assert Settings.model_validate({"crops": given}).crops.shape == (64, 256, 256)


def test_crops_that_the_network_cannot_halve_are_refused():
    given = {"crops": {"shape": (31, 96, 96)}, "network": {"flat": 0}}
    with pytest.raises(ValueError, match=r"crops\.shape must be multiples of \[4, 8, 8\]"):
        Settings.model_validate(given)


@pytest.mark.parametrize("mirror", [("t",), "xyc", 1])
def test_axes_that_no_crop_has_are_refused(mirror):
    with pytest.raises(ValueError, match="mirror"):
        Settings.model_validate({"crops": {"mirror": mirror}})
