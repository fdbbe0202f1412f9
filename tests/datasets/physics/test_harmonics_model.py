import numpy as np
import pytest
from mistakes import refused

from cytosuite.datasets.physics.harmonics_model import coefficients, entries, fit, read_model
from cytosuite.datasets.physics.shapes import about_axis, random_rotations
from cytosuite.files import write_json
from cytosuite.volume import Volume


def _ellipsoids(count, plane=False):
    """Return labels of ellipsoids of one volume at random elongations and turns, and the former."""
    rng = np.random.default_rng(0)
    ratios = rng.uniform(1.2, 2.2, count)
    shape, spacing = ((70, 80), (1.0, 0.8)) if plane else ((24, 60, 60), (2.0, 1.0, 1.0))
    labels = []
    for ratio, turn in zip(ratios, random_rotations(rng, count), strict=True):
        points = np.stack(np.indices(shape), -1) * spacing
        points -= np.multiply(shape, spacing) / 2 + rng.uniform(-0.5, 0.5, len(shape))
        if plane:
            turn = about_axis(rng.uniform(0, np.pi, 1))[0, 1:, 1:]
            axes = 12 * ratio ** np.array([-0.5, 0.5])
        else:
            axes = 10 * ratio ** (np.array([-1, -1, 2]) / 3)
        inside = ((points @ turn / axes) ** 2).sum(-1) < 1
        labels.append(Volume(inside.astype(np.uint16), spacing, "YX" if plane else "ZYX"))
    return labels, ratios


@pytest.mark.parametrize("plane", [False, True])
def test_the_one_mode_of_ellipsoids_is_their_elongation(plane, rng):
    labels, ratios = _ellipsoids(12, plane)
    model = fit(labels, order=6)
    power = np.square(model.deviations)
    assert power[0] / power.sum() > 0.95
    mask = entries(6, plane)
    vectors = np.stack([coefficients(v.array > 0, v.spacing, 6) for v in labels])
    scores = (vectors - model.mean) @ model.modes[0]
    assert mask.sum() == vectors.shape[1] == (12 if plane else 48)
    assert abs(np.corrcoef(scores, ratios)[0, 1]) > 0.98
    axes = model.draw(rng, np.full((300, 3), 10.0), np.tile(np.eye(3), (300, 1, 1))).semi_axes_um
    drawn = axes[:, 2] / (axes[:, 1] if plane else axes[:, :2].mean(1))
    assert drawn.mean() == pytest.approx(ratios.mean(), abs=0.08)
    assert drawn.std() == pytest.approx(ratios.std(), rel=0.3)


def test_a_model_comes_back_from_its_file_as_it_was(tmp_path):
    model = fit(_ellipsoids(5, plane=True)[0], order=3)
    model.write(tmp_path / "shapes.json")
    assert read_model(tmp_path / "shapes.json", plane=True) == model


def test_objects_at_the_faces_and_small_ones_teach_nothing():
    labels, _ = _ellipsoids(4)
    more = labels[0].array.copy()
    more[:, :8, :8] = 7
    more[12, 55, 55] = 9
    assert fit([Volume(more, labels[0].spacing), *labels[1:]]).shapes == 4


def _broken(**changes):
    model = {"axes": "YX", "order": 1, "shapes": 3, "mean": [0.0, 0.1]}
    return model | {"deviations": [0.1], "modes": [[1.0, 0.0]]} | changes


@pytest.mark.parametrize(
    "message, content",
    {
        "mean holds 1 coefficients, expected 2 for YX and order 1": _broken(mean=[0.0]),
        "a mode holds 1 coefficients, expected 2": _broken(modes=[[1.0]]),
        "1 modes have 0 deviations": _broken(deviations=[]),
        "deviations": _broken(deviations=[-1.0]),
        "order": _broken(order=99),
        "mean": _broken(mean=[0.0, 1e9]),
        "colour": _broken(colour=1),
        "shapes.json": [],
    }.items(),
)
def test_a_broken_file_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "shapes.json"
    write_json(path, content)
    refused(message, read_model, path, plane=True)


def test_shapes_of_planes_are_refused_for_volumes(tmp_path):
    path = tmp_path / "shapes.json"
    write_json(path, _broken())
    refused(
        "shapes with the axes YX, but the image has the axes ZYX", read_model, path, plane=False
    )
    refused(r"missing.json", read_model, tmp_path / "missing.json", plane=False)


def test_too_few_shapes_mixed_axes_and_grey_images_are_refused():
    labels, _ = _ellipsoids(3)
    refused("at least 3 objects .* found 2; give more labels", fit, labels[:2])
    refused(
        "found uint16 labels with the axes YX, ZYX", fit, [*labels, *_ellipsoids(1, plane=True)[0]]
    )
    refused(
        "found float32 labels", fit, [Volume(labels[0].array.astype(np.float32), labels[0].spacing)]
    )
    refused("order of harmonics must be 1 to 40, found 0", fit, labels, order=0)
