from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from cytosuite.datasets.physics import bodies, shapes
from cytosuite.datasets.physics.grid import Grid

MIDDLE = np.array([[10.0, 10.0, 10.0]])


def _nuclei(count=1, seed=0, **options):
    options = {"diameter_um": 9.0} | options
    return shapes.draw_nuclei(np.random.default_rng(seed), count, **options)


def _grid(*spacing):
    return Grid(tuple(round(20 / step) for step in spacing), spacing)


def _volume(nuclei, spacing, centres=MIDDLE):
    labels = bodies.label(nuclei, centres, _grid(*spacing))
    assert ndimage.label(labels)[1] == 1
    return np.count_nonzero(labels) * np.prod(spacing)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("roughness", [0, 0.05, 0.1])
@pytest.mark.parametrize("spacing", [(0.25, 0.25, 0.25), (0.5, 0.2, 0.2)])
def test_label_is_in_one_piece_and_has_the_volume_of_the_shape(seed, roughness, spacing):
    nuclei = _nuclei(seed=seed, roughness=roughness)
    assert _volume(nuclei, spacing) == pytest.approx(bodies.volumes_um3(nuclei)[0], rel=0.02)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("bend", [-0.4, 0.2, 0.4])
def test_flat_bent_nuclei_keep_their_volume(seed, bend):
    nuclei = replace(_nuclei(seed=seed, flat_fraction=1), bend=np.array([bend]))
    volume = _volume(nuclei, (0.2, 0.2, 0.2))
    assert volume == pytest.approx(bodies.volumes_um3(nuclei)[0], rel=0.02)


def test_edge_of_a_bent_nucleus_leans_against_its_first_axis():
    flat = replace(
        _nuclei(roughness=0),
        semi_axes_um=np.array([[2.0, 6.0, 6.0]]),
        rotations=np.eye(3)[None],
        bend=np.array([0.5]),
    )
    z, y, x = np.nonzero(bodies.label(flat, MIDDLE, _grid(0.2, 0.2, 0.2)))
    away = np.hypot(y - 49.5, x - 49.5) * 0.2
    # at distance r of 6 the middle surface lies 0.5 (r² / 36 - 0.4) half heights of 2 µm lower
    assert (z[away < 1] - 49.5).mean() * 0.2 == pytest.approx(0.4, abs=0.1)
    assert (z[away > 5.5] - 49.5).mean() * 0.2 == pytest.approx(-0.5, abs=0.1)


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


def test_part_of_a_population_keeps_its_nuclei():
    nuclei = _nuclei(5)
    part = nuclei.take(np.array([3, 3, 0]))
    assert len(part) == 3
    assert (part.semi_axes_um == nuclei.semi_axes_um[[3, 3, 0]]).all()
    assert len(nuclei.take(np.array([True, False, True, False, False]))) == 2


def test_brightness_is_the_median():
    brightness = _nuclei(3000, brightness=2.5, brightness_spread=0.3).brightness
    assert np.median(brightness) == pytest.approx(2.5, rel=0.03)


def test_flat_nuclei_are_up_to_two_and_a_half_times_longer_than_high():
    ratios = [
        axes[:, 2] / axes[:, 0]
        for axes in (_nuclei(2000, flat_fraction=f).semi_axes_um for f in (0, 0.3, 1))
    ]
    assert (np.median(ratios[0]), ratios[0].max()) < (1.3, 2.2)
    assert ratios[2].min() >= 1.6
    assert 2.4 < ratios[2].max() <= 2.5 + 1e-9
    assert (ratios[1] > 1.6).mean() == pytest.approx(0.3, abs=0.05)


def test_flat_nuclei_are_discs_spindles_and_all_between():
    axes = _nuclei(1000, flat_fraction=1).semi_axes_um
    middle = np.log(axes[:, 1] / axes[:, 0]) / np.log(axes[:, 2] / axes[:, 0])
    assert np.quantile(middle, [0.05, 0.5, 0.95]) == pytest.approx([0.05, 0.5, 0.95], abs=0.06)
    assert (np.diff(axes, axis=1) >= 0).all()


def test_aligned_nuclei_turn_their_shortest_axis_to_the_normal():
    nuclei = _nuclei(6, flat_fraction=1)
    chosen = np.array([4, 0, 2, 5])
    shortest = nuclei.rotations[:, :, 0]
    normals = np.array([[0, 3.0, 4.0], [0, 0, 1.0], 2 * shortest[2], -shortest[5]])
    turned = shapes.align(nuclei, chosen, normals)
    unit = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    assert turned.rotations[chosen, :, 0] == pytest.approx(unit)
    assert turned.rotations[2] == pytest.approx(nuclei.rotations[2])  # it lay so before
    assert (turned.rotations[[1, 3]] == nuclei.rotations[[1, 3]]).all()
    products = turned.rotations @ turned.rotations.transpose(0, 2, 1)
    assert products == pytest.approx(np.broadcast_to(np.eye(3), products.shape), abs=1e-9)
    assert np.linalg.det(turned.rotations) == pytest.approx(1)


def test_aligning_nobody_changes_nothing():
    nuclei = _nuclei(3)
    same = shapes.align(nuclei, np.zeros(0, int), np.zeros((0, 3)))
    assert (same.rotations == nuclei.rotations).all()


def test_phases_have_their_shares():
    phase = _nuclei(20000, mitotic_fraction=0.5).phase
    shares = np.bincount(phase, minlength=5) / len(phase)
    assert shares == pytest.approx([0.5, 0.15, 0.2, 0.15, 0], abs=0.01)
    assert not _nuclei(1000).mitotic.any()


def test_prophase_is_a_little_larger_and_late_is_long():
    nuclei = _nuclei(4000, mitotic_fraction=1, diameter_spread=0)
    volume = bodies.volumes_um3(nuclei) / (np.pi / 6 * 9**3)
    assert volume[nuclei.phase == shapes.PROPHASE] == pytest.approx(1.2)
    assert volume[nuclei.phase == shapes.LATE] == pytest.approx(1)
    assert nuclei.brightness[nuclei.phase == shapes.PROPHASE].mean() > 1.3
    axes = nuclei.semi_axes_um[nuclei.phase == shapes.LATE]
    assert (axes[:, 2] > 1.2 * axes[:, 1]).all()


def test_metaphase_is_a_small_bright_plate():
    resting, mitotic = (_nuclei(900, mitotic_fraction=share) for share in (0, 1))
    assert mitotic.mitotic.all()
    plates = mitotic.take(mitotic.phase == shapes.METAPHASE)
    ratio = bodies.volumes_um3(plates).mean() / bodies.volumes_um3(resting).mean()
    assert 0.2 < ratio < 0.35
    assert plates.brightness.mean() > 1.8 * resting.brightness.mean()
    assert not mitotic.nucleoli[..., 3].any()
    flatness = plates.semi_axes_um[:, 0] / plates.semi_axes_um[:, 1:].mean(axis=1)
    assert flatness.mean() < 0.6
