import pytest

from cytosuite.datasets.calibration.knobs import FILLED, KNOBS, Knob, nested, on_scale
from cytosuite.datasets.calibration.measure import VOLUME_STATISTICS
from cytosuite.datasets.ranges import is_range
from cytosuite.datasets.spheroid.parameters import parameters_from


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.parameter)
def test_knobs_turn_parameters_that_exist_and_follow_statistics_that_exist(knob):
    assert knob.statistic in VOLUME_STATISTICS
    section, name = knob.parameter.split(".")
    for value in (knob.low, knob.high):
        if knob.parameter == "tissue.n_nuclei":
            value = int(value)
        checked = parameters_from({section: {name: value}})
        assert is_range(getattr(getattr(checked, section), name)) or not knob.ranged


def test_one_parameter_has_one_knob():
    assert len({knob.parameter for knob in KNOBS}) == len(KNOBS)
    assert len({knob.statistic for knob in KNOBS}) == len(KNOBS)
    assert FILLED.parameter in {knob.parameter for knob in KNOBS}  # in whose place it steps


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.parameter)
def test_values_return_from_their_place(knob):
    middle = (knob.low + knob.high) / 2
    assert knob.value(knob.place(middle)) == pytest.approx(middle)
    assert knob.value(knob.place(middle) + 1e6) in (knob.low, knob.high)
    assert knob.value(knob.place(middle) - 1e6) in (knob.low, knob.high)


def test_scales():
    assert on_scale("inverse", 50.0) == 0.02
    assert on_scale("log", 1.0) == 0.0
    assert on_scale("plain", -3.0) == -3.0
    for scale, value in (("log", -1.0), ("inverse", 0.0), ("plain", float("nan"))):
        assert on_scale(scale, value) != on_scale(scale, value)  # NaN


def test_longest_attenuation_is_none_at_all():
    knob = Knob("optics.attenuation_um", "dimming", 1.0, 10.0, 1000.0, "inverse", "plain")
    assert knob.value(-0.5) == 1000.0  # light that grows with depth


def test_names_become_sections():
    assert nested({"a.x": 1, "b.y": 2, "a.z": 3}) == {"a": {"x": 1, "z": 3}, "b": {"y": 2}}
