import numpy as np
import pytest
from rasters import away_from
from scipy import ndimage

from cytosuite.bodies.grid import Grid
from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.nuclei.population import (
    annotate,
    draw_population,
    foreground,
    layers,
    populate,
)
from cytosuite.datasets.physics.harmonics import draw_stars
from cytosuite.datasets.physics.harmonics_model import fit
from cytosuite.datasets.ranges import files_in
from cytosuite.volume import Volume

GRID = Grid((1, 40, 90), (1.0, 1.0, 1.0))


def _row(*places):
    """Return discs in a row at places along x."""
    axes = np.full((len(places), 3), 8.0)
    turns = np.broadcast_to(np.eye(3), (len(places), 3, 3))
    stars = draw_stars(np.random.default_rng(0), axes, turns, order=0, plane=True)
    return stars, np.array([[0.5, 20.0, place] for place in places])


def _numbers(*values):
    return np.array(values, np.uint16)


def test_discs_apart_need_one_layer_and_a_chain_two():
    assert len(layers(*_row(10, 40, 70), GRID, _numbers(1, 2, 3))) == 1
    first, second = layers(*_row(10, 22, 34), GRID, _numbers(1, 2, 3))
    assert set(np.unique(first)) == {0, 1, 3}
    assert set(np.unique(second)) == {0, 2}


def test_a_hidden_disc_is_left_out_of_labels_and_layers():
    stars, centres = _row(30, 30, 60)
    flat = Parameters(shape=(40, 90), spacing_um=(1, 1), max_overlap=0.5)
    annotation = annotate(stars, centres, flat)  # the second lies exactly under the first
    assert annotation.numbers.tolist() == [0, 2]
    assert [np.unique(layer).tolist() for layer in (annotation.labels, *annotation.layers)] == [
        [0, 1, 2]
    ] * 2


def test_populations_have_the_sizes_and_turns_asked_for(rng):
    parameters = Parameters(
        shape=(60, 300, 300),
        n_nuclei=60,
        radius_um=(4.0, 5.0),
        elongation=(1.5, 1.5),
        upright=True,
        turn_deg=20,
        order=0,
    )
    stars, centres, _ = populate(rng, np.random.default_rng(1), parameters)
    radii = stars.axes_um.prod(axis=1) ** (1 / 3)
    assert 4 <= radii.min() <= radii.max() <= 5
    assert stars.axes_um[:, 2] / stars.axes_um[:, 0] == pytest.approx(1.5)
    long = stars.rotations[:, :, 2]
    turn = np.rad2deg(np.arctan2(long[:, 1], long[:, 2]))
    assert np.abs(turn).max() == pytest.approx(20, abs=2)
    assert not long[:, 0].any()
    assert np.linalg.det(stars.rotations) == pytest.approx(1)
    assert ((centres > 4 * 0.8) & (centres < [56.8, 146.8, 146.8])).all()


def test_discs_in_which_nuclei_find_no_room_are_drawn_anew(rng, monkeypatch):
    discs = {"foreground": "discs", "discs": 2, "disc_radius_um": 20}
    wide = Parameters(shape=(60, 60), spacing_um=(1, 1), n_nuclei=4, radius_um=5, **discs)
    narrow = wide.model_copy(update={"disc_radius_um": 4.0})
    draws = iter([narrow, narrow, wide])
    monkeypatch.setattr(
        "cytosuite.datasets.nuclei.population.foreground",
        lambda rng, _: foreground(rng, next(draws)),
    )
    assert len(populate(rng, rng, wide)[0]) == 4
    assert next(draws, None) is None


def test_sizes_follow_quantiles_cases_and_the_number_of_nuclei():
    flat = {"shape": (100, 100), "spacing_um": (1.0, 1.0)}

    def radii(count, seed=0, **changes):
        axes = draw_population(
            np.random.default_rng(seed), count, Parameters(**flat | changes)
        ).axes_um
        return np.sqrt(axes[:, 1] * axes[:, 2])

    spread = radii(4000, radius_um=(1.0, 2.0, 6.0), n_nuclei=(1, 4000, 9000))
    assert np.quantile(spread, [0.25, 0.5, 0.75]) == pytest.approx([1.5, 2, 4], rel=0.05)
    fewer = radii(500, radius_um=2.0, n_nuclei=(100, 1000, 4000), shrinkage=0.5)
    assert fewer == pytest.approx(2 * np.sqrt(2))
    cases = [np.log(radii(5, seed, radius_um=2.0, case_spread=0.3)) for seed in range(200)]
    assert np.ptp(cases, axis=1) == pytest.approx(0)
    assert np.std(cases) == pytest.approx(0.3, rel=0.2)


def test_stretched_nuclei_are_taller_in_the_image_alone(rng):
    parameters = Parameters(
        shape=(60, 40, 40),
        spacing_um=(1.0, 1.0, 1.0),
        n_nuclei=1,
        order=0,
        radius_um=6.0,
        stretch=2.0,
    )
    bodies = populate(rng, np.random.default_rng(1), parameters)[:2]
    (box,) = ndimage.find_objects(annotate(*bodies, parameters).labels)
    assert [part.stop - part.start for part in box] == pytest.approx([24, 12, 12], abs=1)


def test_a_map_shows_the_nuclei_of_its_rows_and_widens_them(rng):
    parameters = Parameters(
        shape=(10, 200, 280),
        spacing_um=(1.0, 0.5, 0.5),
        n_nuclei=80,
        foreground="map",
        latitude_deg=70,
        thickness_um=6.0,
        radius_um=2.5,
        order=0,
    )
    stars, centres, _ = populate(rng, np.random.default_rng(1), parameters)
    annotation = annotate(stars, centres, parameters)
    assert 30 < len(annotation.numbers) < 80  # of the whole ball
    boxes = ndimage.find_objects(annotation.labels)
    middle = [box for box in boxes if box[2].start > 0 and box[2].stop < 280]
    away = np.abs([(box[1].start + box[1].stop) / 2 - 100 for box in middle])
    ratio = np.array([(b[2].stop - b[2].start) / (b[1].stop - b[1].start) for b in middle])
    assert ratio[away < 25].mean() == pytest.approx(1, abs=0.15)  # at the equator
    assert ratio[(away > 70) & (away < 90)].mean() > 1.5


def test_learned_shapes_take_the_place_of_random_ones(tmp_path, rng):
    ellipses = [away_from((29.7, 29.7), (60, 60), (1 / 10, 1 / n)) < 1 for n in (17.5, 18, 18.5)]
    labels = [Volume(inside.astype(np.uint8), (1.0, 1.0), "YX") for inside in ellipses]
    fit(labels, order=3).write(tmp_path / "shapes.json")
    parameters = Parameters(
        shape=(100, 100),
        spacing_um=(1.0, 1.0),
        n_nuclei=8,
        radius_um=5,
        shapes=str(tmp_path / "shapes.json"),
    )
    assert [*files_in(parameters)] == [tmp_path / "shapes.json"]
    stars, centres, _ = populate(rng, np.random.default_rng(1), parameters)
    assert stars.semi_axes_um[:, 2] / stars.semi_axes_um[:, 1] == pytest.approx(1.8, abs=0.15)
    labels = annotate(stars, centres, parameters).labels
    assert np.count_nonzero(labels) == pytest.approx(8 * np.pi * 25, rel=0.25)
