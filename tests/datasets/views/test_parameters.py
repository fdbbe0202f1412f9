from pathlib import Path

import numpy as np
import pytest

from cytosuite.benchmark.data.simulated import simulated, sources
from cytosuite.datasets.views import generate as views
from cytosuite.datasets.views.parameters import CROWD, Parameters, draw_values
from cytosuite.datasets.views.studies import STUDIES
from cytosuite.errors import InputError

FOLDER = Path(views.__file__).parent


def _drawn(number, seed=0, **given):
    return draw_values(np.random.default_rng(seed), Parameters(**given), number)


def test_the_readme_explains_every_parameter_with_its_default():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name, field in Parameters.model_fields.items():
        default = field.default
        shown = list(default) if isinstance(default, tuple) else default
        description = " ".join(field.description.split())
        assert f"| `{name}` | `{shown}` | {description} |" in text


@pytest.mark.parametrize(("size", "scale"), [("mini", 0.1), ("default", 0.2), ("full", 0.5)])
def test_sizes_are_valid(size, scale):
    assert simulated("views", size).parameters.scale == scale


@pytest.mark.parametrize("content", ["nucleus", "membrane"])
def test_recipes_hold_one_content(content):
    assert simulated(f"views/{content}", None).parameters.contents == (content,)


def test_ten_cases_are_all_studies_of_both_contents():
    found = [(drawn.content, drawn.study) for drawn in map(_drawn, range(10))]
    assert found[:5] == [("nucleus", study) for study in STUDIES]
    assert found[5:] == [("membrane", study) for study in STUDIES]
    assert _drawn(10).study == 1


def test_a_user_chooses_studies_and_contents():
    found = [_drawn(n, studies=(4, 2), contents=("membrane",)) for n in range(3)]
    assert [(drawn.study, drawn.content) for drawn in found] == [
        (4, "membrane"),
        (2, "membrane"),
        (4, "membrane"),
    ]


def test_drawn_values_lie_in_their_ranges():
    for seed in range(100):
        drawn = _drawn(2, seed, photons=(10.0, 20.0), shadows=(1, 2))
        assert 10 <= drawn.photons <= 20
        assert drawn.shadows == 1
        assert 0.2 <= drawn.detection <= 0.5
        assert sorted(drawn.illumination) == [1, 2]


def test_several_cells_have_room_in_the_smallest_specimen():
    drawn = _drawn(0, scale=0.05, extent=0.9, cell_um=14.0)
    height, *_ = STUDIES[1].grid(0.05).size_um
    assert drawn.cell_um == pytest.approx(CROWD * 0.9 * min(STUDIES[1].grid(0.05).size_um))
    assert drawn.cell_um < height


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("studies=[6]", "studies.0"),
        ("studies=[]", "studies"),
        ("contents=['actin']", "contents.0"),
        ("scale=1.0", "scale"),
        ("photons=[5,1]", "photons"),
        ("haze=2", "haze"),
    ],
)
def test_values_that_mean_nothing_are_refused(setting, message):
    with pytest.raises(InputError, match=message):
        simulated("views", "mini", None, [setting])


def test_the_fingerprint_counts_the_simulators_that_it_uses(monkeypatch):
    from cytosuite.benchmark.data import simulated as module

    own = sources("views")
    manifests = module.dataset_manifests()
    bare = {**manifests, "views": manifests["views"].model_copy(update={"uses": ()})}
    monkeypatch.setattr(module, "dataset_manifests", lambda: bare)
    assert sources("views") != own
