import pytest

from cytosuite.bodies import _kernels
from cytosuite.bodies.harmonics import fibonacci_sphere


@pytest.mark.parametrize("bend", [-0.5, 0.0, 0.35])
def test_bounds_hold_a_bent_ball(bend):
    ball = 1.1 * fibonacci_sphere()
    bent = ball[0] - bend * (ball[1] ** 2 + ball[2] ** 2 - 0.4)
    reach = _kernels.bounds(1.1, bend)
    inside = (bent / reach[0]) ** 2 + (ball[1] / reach[1]) ** 2 + (ball[2] / reach[2]) ** 2
    assert inside.max() <= 1 + 1e-6
