import numpy as np
import pytest
from mistakes import refused

from cytosuite.datasets.calibration.fit import KNOBS, draw, fit, moments, nearest_range
from cytosuite.datasets.calibration.measure import VOLUME_STATISTICS, measure
from cytosuite.datasets.calibration.start import Start
from cytosuite.datasets.ranges import is_range
from cytosuite.datasets.spheroid.parameters import Parameters
from cytosuite.errors import InputError

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.parameter)
def test_knobs_turn_parameters_that_exist_and_follow_statistics_that_exist(knob):
    assert knob.statistic in VOLUME_STATISTICS
    section, name = knob.parameter.split(".")
    for value in (knob.low, knob.high):
        if knob.parameter == "tissue.n_nuclei":
            value = int(value)
        checked = Parameters.model_validate({section: {name: value}})
        assert is_range(getattr(getattr(checked, section), name)) or not knob.ranged


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.parameter)
def test_values_return_from_their_place(knob):
    middle = (knob.low + knob.high) / 2
    assert knob.value(knob.place(middle)) == pytest.approx(middle)
    assert knob.value(knob.place(middle) + 1e6) in (knob.low, knob.high)
    assert knob.value(knob.place(middle) - 1e6) in (knob.low, knob.high)


@pytest.fixture(scope="module")
def real(toy):
    """Six stacks that differ in light and size."""
    drawn = zip(np.geomspace(20, 80, 6), [9, 10, 11] * 2, strict=True)
    return measure([toy(toy.recipe(*values), seed) for seed, values in enumerate(drawn, start=77)])


def begin(**centres):
    first = {"camera.photons": 8.0, "camera.background_photons": 3.0, "nucleus.diameter_um": 7.5}
    return Start(
        {"camera.gain": 4.0, "camera.offset": 100.0},
        first | centres,
        {"camera.gain": "photon transfer"},
        (),
    )


def test_what_was_simulated_is_found_again(toy, real):
    lines = []
    fitted = fit(real, begin(), toy, rounds=6, cases=6, seed=5, say=lines.append)
    camera = fitted.parameters["camera"]
    nucleus = fitted.parameters["nucleus"]
    assert np.sqrt(np.prod(camera["photons"])) == pytest.approx(40, rel=0.2)
    assert np.mean(camera["background_photons"]) == pytest.approx(0.5, abs=0.15)
    assert np.mean(nucleus["diameter_um"]) == pytest.approx(10, rel=0.06)
    assert camera["gain"] == 4.0
    assert len(lines) == len(fitted.misfits) == 6
    first, last = (abs(fitted.misfits[n]["camera.photons"]) for n in (0, -1))
    assert last < 0.3 * first
    low, high = camera["photons"]
    assert low < 25  # ranges cover what differs between stacks
    assert high > 65
    assert lines[0].startswith("round 1 of 6, real against simulated: ")
    assert not any(
        knob.statistic in line for knob in KNOBS for line in lines if "_" in knob.statistic
    )


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
    sizes = 1000 * (numbers / 20) ** -0.6
    lights = 50 * (numbers / 20) ** -0.8
    crowded = real._replace(
        volumes=real.volumes | {"objects": numbers, "volume_um3": sizes, "signal": lights}
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
        return toy(toy.recipe(40, 14), seed)  # turns no knob

    fitted = fit(real, begin(**{"nucleus.diameter_um": 1.6}), huge, rounds=2, cases=2)
    assert fitted.limits == ("nucleus.diameter_um",)


def test_refusals_are_passed_on(real):
    def never(values, seed):
        raise InputError("spheroid parameters: not like this")

    refused("not like this", fit, real, begin(), never, rounds=1, cases=1)
    refused("not like this", draw, never, [{}] * 2, [1, 2])
