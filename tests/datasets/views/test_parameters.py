import numpy as np
import pytest
from mistakes import refused

from cytosuite.contract.manifest import parse
from cytosuite.datasets import recipes
from cytosuite.datasets.views.parameters import CROWD, STUDIES, Parameters, draw_values


def _drawn(number, seed=0, **options):
    return draw_values(np.random.default_rng(seed), Parameters(**options), number)


def test_ten_cases_are_all_studies_of_both_contents():
    cases = [(drawn.content, drawn.study) for drawn in map(_drawn, range(10))]
    assert cases[:5] == [("nucleus", study) for study in STUDIES]
    assert cases[5:] == [("membrane", study) for study in STUDIES]
    assert _drawn(10).study == 1
    cases = [_drawn(n, studies=(4, 2), contents=("membrane",)) for n in range(3)]
    assert [(drawn.study, drawn.content) for drawn in cases] == [
        (study, "membrane") for study in (4, 2, 4)
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


def test_the_fingerprint_counts_the_simulators_that_it_uses(monkeypatch):
    monkeypatch.setattr(recipes, "digest", lambda paths, _: paths)
    counted = {f"{path.parent.name}/{path.name}" for path in recipes.sources("views")}
    assert {
        "views/light.py",
        "spheroid/grow.py",
        "membrane/structures.py",
        "physics/psf.py",
    } < counted
    assert not {"spheroid/migration.py", "calibration/fit.py", "folder/load.py"} & counted


def test_no_weight_is_too_small_for_its_type():
    refused("preference: input should be less than", parse, "views", {"preference": 7}, Parameters)


def test_scaling_keeps_the_voxel_size_and_room_for_windows():
    grid = STUDIES[4].grid(0.05)
    assert grid.shape == (12, 96, 96)
    assert grid.spacing == STUDIES[4].spacing_um
    assert STUDIES[3].grid(0.05).shape == (45, 64, 64)
