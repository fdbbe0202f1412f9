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


def test_loops_run_where_no_code_can_be_kept(monkeypatch):
    asked = []

    def njit(**options):
        asked.append("cache" in options)

        def keep(loop):
            if "cache" in options:
                raise RuntimeError("cannot cache function: no locator available")
            return loop

        return keep

    monkeypatch.setattr(_kernels, "njit", njit)
    assert _kernels.compiled(abs)(-3) == 3
    assert asked == [True, False]
