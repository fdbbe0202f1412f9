import numpy as np
import pytest

from datasets import bodies, shapes
from datasets.grid import Grid

MIDDLE = np.array([[10.0, 10.0, 10.0]])


def _nuclei(count=1, seed=0, **options):
    options = {"diameter_um": 9.0} | options
    return shapes.draw_nuclei(np.random.default_rng(seed), count, **options)


def _grid(*spacing):
    return Grid(tuple(round(20 / step) for step in spacing), spacing)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spacing", [(0.4, 0.4, 0.4), (1.0, 0.3, 0.3)])
def test_label_has_the_volume_of_the_shape(seed, spacing):
    nuclei = _nuclei(seed=seed, roughness=0.06)
    volume = np.count_nonzero(bodies.label(nuclei, MIDDLE, _grid(*spacing))) * np.prod(spacing)
    assert volume == pytest.approx(bodies.volumes_um3(nuclei)[0], rel=0.03)


def test_diameters_and_axes_follow_their_distributions():
    nuclei = _nuclei(4000, diameter_spread=0.1, axis_spread=0.15)
    diameters = (6 / np.pi * bodies.volumes_um3(nuclei)) ** (1 / 3)
    assert np.median(diameters) == pytest.approx(9, rel=0.01)
    assert np.log(diameters).std() == pytest.approx(0.1, rel=0.05)
    # the mean of three logarithms is taken out, two thirds of the variance remain
    spread = np.log(nuclei.semi_axes_um).var(axis=1, ddof=1).mean()
    assert spread == pytest.approx(0.15**2, rel=0.05)


def test_rotations_are_rotations_in_all_directions():
    rotations = _nuclei(2000).rotations
    unit = rotations @ rotations.transpose(0, 2, 1)
    assert unit == pytest.approx(np.broadcast_to(np.eye(3), unit.shape), abs=1e-9)
    assert np.linalg.det(rotations) == pytest.approx(1)
    assert abs(rotations.mean(axis=0)).max() < 0.05


def test_extents_are_half_the_bounding_box():
    nuclei = _nuclei(roughness=0, axis_spread=0.3)
    inside = np.argwhere(bodies.label(nuclei, MIDDLE, _grid(0.2, 0.2, 0.2)))
    assert np.ptp(inside, axis=0) * 0.1 == pytest.approx(bodies.extents_um(nuclei)[0], abs=0.25)


def test_roughness_displaces_the_surface():
    smooth, rough = (
        bodies.label(_nuclei(roughness=r), MIDDLE, _grid(0.4, 0.4, 0.4)) for r in (0, 0.1)
    )
    changed = np.count_nonzero(smooth != rough) / np.count_nonzero(smooth)
    assert 0.05 < changed < 0.5


def test_crossing_surfaces_share_their_voxels_without_overlap():
    nuclei = _nuclei(2, axis_spread=0, diameter_spread=0, roughness=0)
    centres = np.array([[10, 10, 7.0], [10, 10, 13.0]])
    labels = bodies.label(nuclei, centres, _grid(0.4, 0.4, 0.4))
    sizes = np.bincount(labels.ravel())[1:]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)
    assert set(np.unique(labels[:, :, :25])) == {0, 1}
    assert set(np.unique(labels[:, :, 25:])) == {0, 2}


def test_nuclei_outside_of_the_grid_leave_no_trace():
    nuclei = _nuclei(2)
    centres = np.array([[-30.0, 10, 10], [10, 10, 60.0]])
    assert not bodies.label(nuclei, centres, _grid(1, 1, 1)).any()


def test_nucleus_cut_by_the_border_is_kept_in_part():
    nuclei = _nuclei(axis_spread=0, roughness=0)
    grid = _grid(0.4, 0.4, 0.4)
    whole = np.count_nonzero(bodies.label(nuclei, MIDDLE, grid))
    half = np.count_nonzero(bodies.label(nuclei, np.array([[0.0, 10, 10]]), grid))
    assert half == pytest.approx(whole / 2, rel=0.02)


def test_grid_origin_moves_the_objects():
    nuclei = _nuclei()
    shifted = Grid((30, 20, 20), (1, 1, 1), (-10, 0, 0))
    labels = bodies.label(nuclei, MIDDLE, shifted)
    assert (labels[10:] == bodies.label(nuclei, MIDDLE, _grid(1, 1, 1))).all()


def test_condensed_nuclei_are_small_bright_and_flat():
    resting, condensed = (_nuclei(500, mitotic_fraction=share) for share in (0, 1))
    assert condensed.mitotic.all()
    assert bodies.volumes_um3(condensed).mean() < 0.4 * bodies.volumes_um3(resting).mean()
    assert condensed.brightness.mean() > 1.8 * resting.brightness.mean()
    assert not condensed.nucleoli[..., 3].any()
    ratio = condensed.semi_axes_um[:, 0] / condensed.semi_axes_um[:, 1:].mean(axis=1)
    assert ratio.mean() < 0.7
