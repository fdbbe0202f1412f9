import numpy as np
import pytest

from cytosuite.datasets.calibration.measure import measure
from cytosuite.datasets.calibration.realism import floor, judge, realism


def side(toy, seeds, **changes):
    values = {
        "nucleus": {"diameter_um": 10.0},
        "camera": {"photons": 40.0, "background_photons": 0.5, "gain": 4.0, "offset": 100.0},
    }
    stacks = [toy({k: v | changes.get(k, {}) for k, v in values.items()}, s) for s in seeds]
    return [image for image, _ in stacks], measure(stacks)


@pytest.fixture(scope="module")
def real(toy):
    return side(toy, range(4))


@pytest.fixture(scope="module")
def alike(toy):
    return side(toy, range(10, 13))


@pytest.fixture(scope="module")
def small(toy):
    return side(toy, range(10, 13), nucleus={"diameter_um": 7.0})


def test_stacks_are_like_themselves(real):
    found, rows = realism(real, real)
    assert found == pytest.approx((1, 0, 0, 0, 1, 1))
    assert all(row.score_after == 1 for row in rows if np.isfinite(row.score_after))


def test_a_part_of_the_statistics_is_what_was_measured_there(toy, real):
    statistics = real[1]
    part = statistics.part([2, 0])
    alone = side(toy, [2])[1]
    assert part.volumes["signal"].tolist() == statistics.volumes["signal"][[2, 0]].tolist()
    assert sorted(statistics.part([2]).objects["signal"]) == sorted(alone.objects["signal"])
    assert len(part.objects["signal"]) == 16
    assert statistics.part([2]).inside.tolist() == alone.inside.tolist()


def test_real_stacks_differ_from_each_other(real, alike):
    between, similar = floor(*real)
    assert 0.5 < between.similarity < 1
    assert between.lateral_db > 0
    assert similar["signal"] > 0.8
    few, none = floor(real[0][:3], real[1].part([0, 1, 2]))
    assert np.isnan(few.similarity)
    assert none == {}


def test_a_poor_fit_is_said(real, small):
    found = judge(real, small)
    assert found.after.size == pytest.approx(0.343, abs=0.08)
    assert any(line.startswith("median volume of simulated objects is 0.3") for line in found.poor)
    assert any(line.startswith("per object: volume, µm³: similarity ") for line in found.poor)


def test_a_good_fit_is_not(real, alike):
    found = judge(real, alike)
    assert found.after.size == pytest.approx(1, abs=0.1)
    assert not any("objects is" in line for line in found.poor)
    assert found.as_text().count("|") % 4 == 0
