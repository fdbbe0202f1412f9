import tomllib

import pytest

from cytosuite.algorithms.cellpose3d.parameters import Parameters
from cytosuite.algorithms.cellpose3d.training.settings import Settings
from cytosuite.algorithms.cellpose3d.training.train import TRAINING
from cytosuite.errors import InputError
from cytosuite.files import read_toml
from cytosuite.manifest import parse
from cytosuite.training.publish import ALGORITHMS

HERE = ALGORITHMS / "cellpose3d" / "training"
FILES = sorted(path.name for path in HERE.glob("*.toml"))


@pytest.mark.parametrize("name", FILES)
def test_shipped_settings_hold_images_out_and_leave_the_card_to_the_training(name):
    settings = parse(HERE / name, read_toml(HERE / name), Settings)
    card = settings.card
    assert (card.description, card.authors, card.describes) == ("", "", {})
    assert settings.validation.every <= settings.schedule.steps
    assert 0 < settings.validation.cases < 1
    Parameters(network=settings.network, **settings.card.parameters)


def test_nuclei_are_the_default_channel_and_embryos_the_default_settings():
    assert TRAINING.default == "embryo.toml" in FILES
    values = tomllib.loads((HERE / TRAINING.default).read_text())
    assert "channel" not in values
    assert Settings.model_validate(values).channel == "nucleus"
    assert Settings.model_validate(values).patches.shape == (32, 64, 64)


def test_no_cell_is_lost_for_a_dim_membrane():
    camera = parse(HERE / "cells.toml", read_toml(HERE / "cells.toml"), Settings).patches.camera
    assert camera.visibility == camera.contrast == 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('channel = "membrane"', 'channel = "wall"', "channel.*'nucleus' or 'membrane'.*wall"),
        ("steps = 2800", "step = 2800", r"schedule\.step is not a known key; .*'steps'"),
        ("[32, 64, 64]", "[32, 64, 72]", r"multiples of \[8, 16, 16\].*found \[32, 64, 72\]"),
        ("[32, 64, 64]", "[32, 64, 80]", "as long in y as in x"),
    ],
)
def test_explains_the_place_of_a_mistake(tmp_path, old, new, message):
    path, text = tmp_path / "t.toml", (HERE / "cells.toml").read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        parse(path, read_toml(path), Settings)
