from dataclasses import replace

import numpy as np
import pytest

from cytosuite.datasets.calibration.fit import draw, fit, moments, nearest_range
from cytosuite.datasets.calibration.knobs import KNOBS
from cytosuite.datasets.calibration.measure import measure
from cytosuite.datasets.calibration.start import Start
from cytosuite.errors import InputError

pytestmark = pytest.mark.slow

FIXED = {"camera.gain": 4.0, "camera.offset": 100.0}


def parameters(photons, diameter, background=0.5):
    return {
        "nucleus": {"diameter_um": diameter},
        "camera": {
            "photons": photons,
            "background_photons": background,
            "gain": 4.0,
            "offset": 100.0,
        },
    }


@pytest.fixture(scope="module")
def real(toy):
    """Six stacks that differ in light and size."""
    stacks = []
    for seed, (photons, diameter) in enumerate(
        zip(np.geomspace(20, 80, 6), [9, 10, 11] * 2, strict=True)
    ):
        stacks.append(toy(parameters(photons, diameter), 77 + seed))
    return measure(stacks)


def begin(**centres):
    first = {
        "camera.photons": 8.0,
        "camera.background_photons": 3.0,
        "nucleus.diameter_um": 7.5,
    }
    return Start(dict(FIXED), first | centres, {"camera.gain": "photon transfer"}, ())


@pytest.fixture(scope="module")
def lines():
    return []


@pytest.fixture(scope="module")
def fitted(toy, real, lines):
    return fit(real, begin(), toy, rounds=8, cases=6, seed=5, say=lines.append)


def test_what_was_simulated_is_found_again(fitted, lines):
    camera, nucleus = fitted.parameters["camera"], fitted.parameters["nucleus"]
    assert np.sqrt(np.prod(camera["photons"])) == pytest.approx(40, rel=0.2)
    assert np.mean(camera["background_photons"]) == pytest.approx(0.5, abs=0.15)
    assert np.mean(nucleus["diameter_um"]) == pytest.approx(10, rel=0.06)
    assert camera["gain"] == 4.0
    assert len(lines) == len(fitted.misfits) == 8
    assert lines[0].startswith("round 1 of 8, real against simulated: ")
    assert not any(
        knob.statistic in line for knob in KNOBS for line in lines if "_" in knob.statistic
    )


def test_misfits_shrink(fitted):
    first, last = (abs(fitted.misfits[n]["camera.photons"]) for n in (0, -1))
    assert last < 0.3 * first


def test_ranges_cover_what_differs_between_stacks(fitted):
    low, high = fitted.parameters["camera"]["photons"]
    assert low < 25
    assert high > 65


def test_same_seed_same_fit(toy, real):
    first, same, other = (fit(real, begin(), toy, rounds=2, cases=2, seed=s) for s in (1, 1, 2))
    assert first == same
    assert first.misfits != other.misfits


def test_comments_name_the_statistic(toy, real):
    found = fit(real, begin(), toy, rounds=1, cases=1)
    assert found.comments["camera.photons"].startswith("signal ")
    assert found.comments["camera.gain"] == "photon transfer"


def test_without_labels_the_threshold_rules_both_sides(toy):
    stacks = [toy(parameters(40, 10), seed) for seed in range(2)]
    blind = measure([(image, None) for image, _ in stacks])
    found = fit(blind, begin(), toy, rounds=4, cases=2)
    assert np.mean(found.parameters["nucleus"]["diameter_um"]) == pytest.approx(10, rel=0.1)


def test_draws_are_spread_evenly_over_their_ranges(toy, real):
    drawn = []

    def seen(values, seed):
        drawn.append(values["camera"]["photons"])
        return toy(values, seed)

    fit(real, begin(), seen, rounds=1, cases=5)
    steps = np.diff(np.log(sorted(drawn)))
    assert len(drawn) == 5
    assert steps == pytest.approx([steps[0]] * 4)  # one of each fifth, whatever the seed
    assert steps[0] > 0.1


def test_size_and_light_follow_the_number_of_nuclei(real):
    numbers = np.array([4.0, 8, 16, 32, 64, 32])
    sizes, lights = 1000 * (numbers / 20) ** -0.6, 50 * (numbers / 20) ** -0.8
    crowded = replace(
        real,
        volumes=real.volumes | {"objects": numbers, "volume_um3": sizes, "signal": lights},
    )
    knobs = {knob.parameter: knob for knob in KNOBS}
    size, light = (moments(knobs[n], crowded) for n in ("nucleus.diameter_um", "camera.photons"))
    assert (np.exp(size.level), size.trend) == pytest.approx((1000, -0.6))
    assert (np.exp(light.level), light.trend) == pytest.approx((50, -0.8))
    assert size.spread == pytest.approx(0, abs=1e-9)
    assert np.exp(moments(knobs["tissue.n_nuclei"], crowded).level) == pytest.approx(26)  # mean


def test_the_nearest_range_holds_the_numbers():
    low, high = nearest_range(np.array([2.0, 2, 4, 4, 8, 15, 16, 17, 23, 25, 27, 32, 34, 49, 50]))
    assert 3 < low < 7
    assert 45 < high < 60


def test_parameters_left_at_their_limits_are_named(toy, real):
    def huge(values, seed):
        return toy(parameters(40, 14), seed)  # turns no knob

    found = fit(real, begin(**{"nucleus.diameter_um": 1.6}), huge, rounds=2, cases=2)
    assert found.limits == ("nucleus.diameter_um",)


def test_refusals_are_passed_on(toy, real):
    def never(values, seed):
        raise InputError("spheroid parameters: not like this")

    with pytest.raises(InputError, match="not like this"):
        fit(real, begin(), never, rounds=1, cases=1)
    with pytest.raises(InputError, match="not like this"):
        draw(never, {}, [1, 2])


def test_single_refusals_are_counted(toy):
    def sometimes(values, seed):
        if seed == 2:
            raise InputError("no room")
        return toy(values, seed)

    stacks, refused = draw(sometimes, parameters(10, 8), [1, 2, 3])
    assert (len(stacks), refused) == (2, 1)


@pytest.mark.parametrize(("rounds", "cases"), [(0, 1), (1, 0)])
def test_no_round_is_no_fit(toy, real, rounds, cases):
    with pytest.raises(InputError, match="needs a round and a case"):
        fit(real, begin(), toy, rounds=rounds, cases=cases)
