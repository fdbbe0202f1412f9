import numpy as np
import pytest

from cytosuite.datasets.views.light import Shadow, draw_shadows, passed, view
from cytosuite.datasets.views.parameters import Parameters

NEAR = (False, False, False)
FAR = (True, True, True)


def _lit(drawn, **changes):
    return drawn.model_copy(update={"illumination": {}, **changes})


def test_the_share_that_passes_the_whole_tissue_is_the_drawn_one(scene):
    _, drawn, body, (grid, _) = scene
    left = passed(body, [], _lit(drawn, detection=0.25), grid, grid, NEAR)
    assert np.allclose(left[1:] / left[:-1], 0.25 ** (1 / 12))
    assert left[0] == pytest.approx(0.25 ** (0.5 / 12))
    assert left[-1] == pytest.approx(0.25 ** (11.5 / 12))


@pytest.mark.parametrize("axis", [1, 2])
def test_a_sheet_loses_light_along_its_axis(scene, axis):
    _, drawn, body, (grid, _) = scene
    values = drawn.model_copy(update={"detection": 1 - 1e-6, "illumination": {axis: 0.5}})
    left = np.moveaxis(passed(body, [], values, grid, grid, NEAR), axis, 0)
    assert np.allclose(left[-1] / left[0], 0.5 ** (1 - 1 / grid.shape[axis]), rtol=1e-4)
    other = np.moveaxis(passed(body, [], values, grid, grid, FAR), axis, 0)
    assert np.allclose(left, other[::-1], rtol=1e-5)


def test_without_blur_a_view_is_dye_times_the_light_that_is_left(scene, rng):
    parameters, drawn, body, grids = scene
    spotted = body._replace(dye=rng.random(body.dye.shape, np.float32))
    seen = view(spotted, [], parameters, drawn, grids, (True, False, False))
    assert np.allclose(seen.photons, spotted.dye * seen.passed, atol=1e-4)


def test_blur_grows_with_the_distance_from_the_camera(scene):
    _, drawn, body, grids = scene
    parameters = Parameters(psf_sigma_um=(0.0, 0.6, 0.6), haze=0)
    dye = np.zeros_like(body.dye)
    dye[[1, -2], 10, 15] = 1
    points = body._replace(dye=dye, tissue=np.zeros_like(dye))
    values = drawn.model_copy(update={"growth": 2.0, "haze": 0.0})
    near = view(points, [], parameters, values, grids, NEAR).photons.max((1, 2))
    far = view(points, [], parameters, values, grids, FAR).photons.max((1, 2))
    assert near[1] > 2 * near[-2] > 0
    assert far[-2] == pytest.approx(near[1], rel=1e-3)


def test_a_shadow_lies_behind_its_spot_only(scene):
    _, drawn, body, (grid, _) = scene
    empty = body._replace(tissue=np.zeros_like(body.tissue))
    spot = Shadow((6.0, 5.0, 7.5), 0.5, 1.0, 2)
    left = passed(empty, [spot], _lit(drawn), grid, grid, NEAR)
    assert left[6, 10, 28] < 0.65
    assert left[6, 10, 2] > 0.98
    assert left[0, 0, 28] > 0.98
    back = passed(empty, [spot], _lit(drawn), grid, grid, FAR)
    assert back[6, 10, 2] < 0.65
    assert back[6, 10, 28] > 0.98
    assert left.min() >= 0.5
    assert left.max() <= 1


def test_shadows_follow_the_sheet_of_their_study(scene, rng):
    parameters, drawn, _, (grid, _) = scene
    for illumination, axis in (({}, 2), ({2: 0.5}, 2), ({1: 0.5}, 1)):
        values = drawn.model_copy(update={"shadows": 4, "illumination": illumination})
        shadows = draw_shadows(rng, parameters, values, grid)
        assert [spot.axis for spot in shadows] == [axis] * 4
        for spot in shadows:
            assert all(0 < place < n for place, n in zip(spot.place_um, grid.size_um, strict=True))
            assert parameters.shadow_depth[0] <= spot.depth <= parameters.shadow_depth[1]
