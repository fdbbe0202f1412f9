import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cytosuite.datasets.calibration.toml_text import to_toml
from cytosuite.errors import InputError

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
PLAIN = st.one_of(
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12),
)
FLAT = st.dictionaries(NAMES, st.one_of(PLAIN, st.lists(PLAIN, max_size=3)), max_size=3)
TABLES = st.lists(st.dictionaries(NAMES, PLAIN, min_size=1, max_size=3), min_size=1, max_size=3)
SECTION = st.dictionaries(NAMES, st.one_of(PLAIN, FLAT, TABLES), max_size=4)


@given(st.dictionaries(NAMES, st.one_of(PLAIN, SECTION), max_size=4))
def test_everything_reads_back(recipe):
    assert tomllib.loads(to_toml(recipe)) == recipe


def test_recipes_look_as_people_write_them():
    recipe = {
        "dataset": "spheroid",
        "parameters": {
            "camera": {"gain": np.float64(2.5), "photons": (np.float32(4), 8.0)},
            "kinds": [{"name": "small"}, {"name": "large", "share": 0.5}],
        },
    }
    text = to_toml(recipe, {"parameters.camera.gain": "photon transfer"}, ["Measured."])
    assert text == (
        '# Measured.\n\ndataset = "spheroid"\n\n'
        "[parameters.camera]\ngain = 2.5 # photon transfer\nphotons = [4.0, 8.0]\n\n"
        '[[parameters.kinds]]\nname = "small"\n\n'
        '[[parameters.kinds]]\nname = "large"\nshare = 0.5\n'
    )


def test_plain_values_stay_above_tables():
    text = to_toml({"camera": {"gain": 1.0}, "cases": 3})
    assert tomllib.loads(text) == {"cases": 3, "camera": {"gain": 1.0}}
    assert text.startswith("cases")


def test_what_toml_has_no_form_for_is_named():
    with pytest.raises(InputError, match=r"parameters\.gain: None has no form in TOML"):
        to_toml({"parameters": {"gain": None}})
