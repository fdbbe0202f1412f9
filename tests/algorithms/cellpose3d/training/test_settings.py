import tomllib

import pytest

from algorithms.cellpose3d.training.checkpoint import HERE
from algorithms.cellpose3d.training.settings import Settings, read_settings
from cytosuite.errors import InputError

FILES = sorted(path.name for path in HERE.glob("train*.toml"))


@pytest.mark.parametrize("name", FILES)
def test_a_card_describes_the_channel_that_was_trained_on(name):
    settings = read_settings(HERE / name)
    assert settings.card.describes["channel"] == settings.channel


def test_nuclei_are_what_is_trained_on_where_nothing_is_said():
    values = tomllib.loads((HERE / "train.toml").read_text())
    assert "channel" not in values
    assert Settings.model_validate(values).channel == "nucleus"


def test_no_cell_is_lost_for_a_dim_membrane():
    camera = read_settings(HERE / "train_cells.toml").patches.camera
    assert camera.visibility == camera.contrast == 0


def test_other_channels_are_refused(tmp_path):
    path = tmp_path / "t.toml"
    text = (HERE / "train_cells.toml").read_text()
    path.write_text(text.replace('channel = "membrane"', 'channel = "wall"', 1))
    with pytest.raises(InputError, match=r"channel.*'nucleus' or 'membrane'.*wall"):
        read_settings(path)
