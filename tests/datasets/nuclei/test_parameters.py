import numpy as np
import pytest
from mistakes import refused

from cytosuite.contract.manifest import parse
from cytosuite.datasets.nuclei.parameters import Parameters


def _of(**values):
    return parse("nuclei", values, Parameters)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shape": (30, 40)}, "shape has 2 axes and spacing_um 3; give both"),
        (
            {"shape": (30, 40), "spacing_um": (1, 1), "foreground": "map"},
            "foreground map needs an image with the axes z, y, x, found a plane of 30 x 40 pixels",
        ),
        ({"radius_um": (1.0, 3.0, 2.0)}, "range [low, high] with low <= high"),
        ({"upright": True, "outward": True}, "upright and outward contradict each other"),
    ],
)
def test_a_mistake_is_one_line(values, message):
    refused(message, _of, **values)


def test_the_overlap_of_discs_is_that_of_balls_at_the_same_distance():
    parameters = _of(shape=(30, 40), spacing_um=(0.5, 0.5), max_overlap=0.3)
    share = parameters.packed_overlap
    u = np.roots([1, 0, -3, 2 - 2 * share])
    u = float(u[(u.imag == 0) & (u > 0) & (u < 1)].real[0])
    x, y = np.meshgrid(np.linspace(-1, 1, 1001), np.linspace(-1, 1, 1001))
    disc = x**2 + y**2 < 1
    other = (x - 2 * u) ** 2 + y**2 < 1
    assert (disc & other).sum() / disc.sum() == pytest.approx(0.3, abs=0.005)
    assert _of(max_overlap=0.3).packed_overlap == 0.3
