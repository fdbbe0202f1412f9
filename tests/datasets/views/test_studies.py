import pytest

from cytosuite.datasets.views.studies import STUDIES


@pytest.mark.parametrize(
    ("number", "shape", "spacing"),
    [
        (1, (222, 731, 860), (1.0, 0.195, 0.195)),
        (2, (264, 2008, 1091), (1.0, 0.195, 0.195)),
        (3, (891, 817, 817), (1.0, 0.39, 0.39)),
        (4, (80, 1920, 1920), (3.0, 0.33, 0.33)),
        (5, (309, 1920, 1920), (1.01, 0.388, 0.388)),
    ],
)
def test_full_scale_is_the_challenge(number, shape, spacing):
    grid = STUDIES[number].grid(1.0)
    assert (grid.shape, grid.spacing) == (shape, spacing)


def test_scaling_keeps_the_voxel_size_and_room_for_windows():
    grid = STUDIES[4].grid(0.05)
    assert grid.shape == (12, 96, 96)
    assert grid.spacing == STUDIES[4].spacing_um
    assert STUDIES[3].grid(0.05).shape == (45, 64, 64)


@pytest.mark.parametrize("number", STUDIES)
def test_light_is_lost_on_the_axes_of_the_study(number):
    axes = {0: {1: (), 2: (), 3: (1, 2), 4: (2,), 5: (2,)}[number]}
    study = STUDIES[number]
    assert tuple(study.illumination) == axes[0]
    for low, high in (study.detection, *study.illumination.values()):
        assert 0 < low < high < 1
