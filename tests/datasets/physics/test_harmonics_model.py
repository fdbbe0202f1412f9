import json

import numpy as np
import pytest

from cytosuite.datasets.physics.bodies import label
from cytosuite.datasets.physics.grid import Grid
from cytosuite.datasets.physics.harmonics import draw_stars
from cytosuite.datasets.physics.harmonics_model import coefficients, entries, fit, read_model
from cytosuite.datasets.physics.shapes import random_rotations
from cytosuite.errors import InputError
from cytosuite.volume import Volume


def _ellipsoids(count, plane=False, seed=0):
    """Return labels of ellipsoids of one volume at random elongations and turns, and the former."""
    rng = np.random.default_rng(seed)
    ratios = rng.uniform(1.2, 2.2, count)
    shape, spacing = ((70, 80), (1.0, 0.8)) if plane else ((24, 60, 60), (2.0, 1.0, 1.0))
    found = []
    for ratio, turn in zip(ratios, random_rotations(rng, count), strict=True):
        points = np.stack(np.indices(shape), -1) * spacing
        points -= np.multiply(shape, spacing) / 2 + rng.uniform(-0.5, 0.5, len(shape))
        if plane:
            angle = rng.uniform(0, np.pi)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            axes = 12 * np.array([ratio**-0.5, ratio**0.5])
        else:
            axes = 10 * np.array([ratio ** (-1 / 3)] * 2 + [ratio ** (2 / 3)])
        inside = ((points @ turn / axes) ** 2).sum(-1) < 1
        found.append(Volume(inside.astype(np.uint16), spacing, "YX" if plane else "ZYX"))
    return found, ratios


def _elongations(model, count=300, seed=1):
    axes, turns = np.full((count, 3), 10.0), np.tile(np.eye(3), (count, 1, 1))
    stars = model.draw(np.random.default_rng(seed), axes, turns)
    short = stars.semi_axes_um[:, 1] if model.axes == "YX" else stars.semi_axes_um[:, :2].mean(1)
    return stars, stars.semi_axes_um[:, 2] / short


@pytest.mark.parametrize("plane", [False, True])
def test_the_one_mode_of_ellipsoids_is_their_elongation(plane):
    labels, ratios = _ellipsoids(25, plane)
    model = fit(labels, order=6)
    power = np.square(model.deviations)
    assert power[0] / power.sum() > 0.95
    kept = entries(6, plane)
    vectors = np.stack([coefficients(v.array > 0, v.spacing, 6) for v in labels])
    scores = (vectors - model.mean) @ model.modes[0]
    assert kept.sum() == vectors.shape[1] == (12 if plane else 48)
    assert abs(np.corrcoef(scores, ratios)[0, 1]) > 0.98
    _, drawn = _elongations(model)
    assert drawn.mean() == pytest.approx(ratios.mean(), abs=0.08)
    assert drawn.std() == pytest.approx(ratios.std(), rel=0.3)


def test_a_ball_has_no_coefficients_and_size_and_voxels_do_not_count():
    for radius, spacing in ((6.0, (0.5, 0.5, 0.5)), (9.0, (1.5, 0.5, 0.75))):
        shape = tuple(int(26 / step) for step in spacing)
        points = (np.stack(np.indices(shape), -1) + 0.3) * spacing - 13
        ball = np.linalg.norm(points, axis=-1) < radius
        assert np.abs(coefficients(ball, spacing, 4)).max() < 0.06


def test_coefficients_of_a_painted_body_are_those_it_was_painted_with():
    stars = draw_stars(
        np.random.default_rng(2),
        np.array([[20.0, 20.0, 20.0]]),
        np.eye(3)[None],
        order=4,
        circularity=4.0,
    )
    volume = label(stars, np.array([[32.0, 32, 32]]), Grid((64,) * 3, (1.0,) * 3)) > 0
    wanted = stars.coefficients[0][entries(4, False)] / np.sqrt(4 * np.pi)
    found = coefficients(volume, (1.0,) * 3, 4)
    per_degree = [
        np.broadcast_to(np.arange(5), (2, 5, 5))[entries(4, False)] == n for n in (2, 3, 4)
    ]
    # The axes are other ones: only the power of each degree is the same.
    for own in per_degree:
        power = [np.sqrt((each[own] ** 2).sum()) for each in (wanted * np.sqrt(4 * np.pi), found)]
        assert power[1] == pytest.approx(power[0], rel=0.15, abs=0.02)


def test_drawn_shapes_have_the_mean_radius_asked_for_and_follow_the_seed():
    model = fit(_ellipsoids(6)[0], order=4)
    stars, first = _elongations(model, 5)
    assert (_elongations(model, 5)[1] == first).all()
    assert (_elongations(model, 5, seed=2)[1] != first).any()
    assert stars.coefficients[:, 0, 0, 0] == pytest.approx(np.sqrt(4 * np.pi))
    table = stars.table(0)
    ring = np.sin(np.linspace(0, np.pi, len(table)))[:, None]
    assert (table[:, :-1] * ring).sum() / (ring.sum() * (table.shape[1] - 1)) == pytest.approx(
        1, abs=0.01
    )


def test_the_ellipsoid_of_a_drawn_body_has_its_volume():
    model = fit(_ellipsoids(6)[0], order=6)
    stars, _ = _elongations(model, 4)
    grid = Grid((64, 64, 64), (1.0, 1.0, 1.0))
    for index in range(4):
        one = type(stars)(*(getattr(stars, n)[index : index + 1] for n in _FIELDS))
        voxels = np.count_nonzero(label(one, np.array([[32.0, 32, 32]]), grid))
        wanted = 4 / 3 * np.pi * stars.semi_axes_um[index].prod()
        assert voxels == pytest.approx(wanted, rel=0.03)


_FIELDS = ("axes_um", "rotations", "coefficients", "brightness", "semi_axes_um")


def test_a_model_comes_back_from_its_file_as_it_was(tmp_path):
    model = fit(_ellipsoids(5, plane=True)[0], order=3)
    model.write(tmp_path / "shapes.json")
    assert read_model(tmp_path / "shapes.json", plane=True) == model


def test_objects_at_the_faces_and_small_ones_teach_nothing():
    labels, _ = _ellipsoids(4)
    more = labels[0].array.copy()
    more[:, :8, :8], more[12, 55, 55] = 7, 9
    assert fit([Volume(more, labels[0].spacing), *labels[1:]]).shapes == 4


def test_numbers_of_labels_need_not_follow_each_other():
    labels, _ = _ellipsoids(4)
    apart = [Volume((v.array * 60000).astype(np.uint32), v.spacing) for v in labels]
    assert fit(apart) == fit(labels)


def _broken(**changes):
    model = {"axes": "YX", "order": 1, "shapes": 3, "mean": [0.0, 0.1]}
    return model | {"deviations": [0.1], "modes": [[1.0, 0.0]]} | changes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_broken(mean=[0.0]), "mean holds 1 coefficients, expected 2 for YX and order 1"),
        (_broken(modes=[[1.0]]), "a mode holds 1 coefficients, expected 2"),
        (_broken(deviations=[]), "1 modes have 0 deviations"),
        (_broken(deviations=[-1.0]), "deviations"),
        (_broken(order=99), "order"),
        (_broken(mean=[0.0, 1e9]), "mean"),
        (_broken(colour=1), "colour"),
        ([], "shapes.json"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "shapes.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError) as error:
        read_model(path, plane=True)
    assert message in str(error.value)
    assert "shapes.json" in str(error.value)
    assert "\n" not in str(error.value)


def test_shapes_of_planes_are_refused_for_volumes(tmp_path):
    path = tmp_path / "shapes.json"
    path.write_text(json.dumps(_broken()))
    with pytest.raises(InputError, match="shapes with the axes YX, but the image has the axes ZYX"):
        read_model(path, plane=False)
    with pytest.raises(InputError, match=r"missing.json"):
        read_model(tmp_path / "missing.json", plane=False)


def test_too_few_shapes_mixed_axes_and_grey_images_are_refused():
    labels, _ = _ellipsoids(3)
    with pytest.raises(InputError, match="at least 3 objects .* found 2; give more labels"):
        fit(labels[:2])
    with pytest.raises(InputError, match="found uint16 labels with the axes YX, ZYX"):
        fit([*labels, *_ellipsoids(1, plane=True)[0]])
    with pytest.raises(InputError, match="found float32 labels"):
        fit([Volume(labels[0].array.astype(np.float32), labels[0].spacing)])
    with pytest.raises(InputError, match="order of harmonics must be 1 to 40, found 0"):
        fit(labels, order=0)
