import numpy as np
import pytest
from mistakes import refused

from cytosuite.datasets.nuclei.generate import Parameters, generate, grey, labels_of, soften
from cytosuite.datasets.nuclei.population import Annotation

SMALL = {"shape": (20, 64, 64), "n_nuclei": (5, 8)}
FLAT = {"shape": (96, 128), "spacing_um": (0.5, 0.4), "n_nuclei": 12, "radius_um": (3, 5)}


def _make(seed=0, **changes):
    return generate(np.random.default_rng(seed), SMALL | changes)


def _plane(**changes):
    return generate(np.random.default_rng(0), FLAT | changes)


def _bytes(sample):
    volumes = {**sample.sockets, **sample.extras}
    return {name: volume.array.tobytes() for name, volume in volumes.items()}


@pytest.fixture(scope="module")
def volume():
    return _make()


@pytest.mark.parametrize("values", [SMALL, FLAT | {"max_overlap": 0.4}])
def test_labels_alone_are_those_of_the_sample(values):
    alone = labels_of(np.random.default_rng(3), values)
    whole = generate(np.random.default_rng(3), values).volume("instance-labels")
    assert (alone.axes, alone.spacing) == (whole.axes, whole.spacing)
    assert alone.array.tobytes() == whole.array.tobytes()


def test_one_nucleus_without_harmonics_is_a_sphere_of_its_radius_in_any_voxels():
    ball = {"n_nuclei": 1, "radius_um": 6.5, "order": 0, "foreground": "image"}
    sample = _make(shape=(15, 100, 60), spacing_um=(2.0, 0.3, 0.5), **ball)
    volume = np.count_nonzero(sample.volume("instance-labels").array) * 0.3
    assert volume == pytest.approx(4 / 3 * np.pi * 6.5**3, rel=0.01)
    assert sample.metadata["mean_radius_um"] == pytest.approx(6.5)


def test_layers_hold_every_cell_whole_and_add_up_to_the_labels():
    crowded = _plane(n_nuclei=40, max_overlap=0.4)
    labels = crowded.volume("instance-labels").array
    layers = crowded.volume("layered-labels").array.reshape(-1, *labels.shape)
    assert len(layers) == crowded.metadata["n_layers"] > 1
    homes = [set(np.unique(layer)) - {0} for layer in layers]
    assert sorted(number for home in homes for number in home) == list(range(1, labels.max() + 1))
    shown = np.any([layer == labels for layer in layers], axis=0)
    assert shown[labels > 0].all()  # the label in front is in one of the layers
    assert ((labels > 0) == np.any(layers, axis=0))[labels > 0].all()
    count = crowded.extras["overlap"].array
    assert (count == np.sum([layer > 0 for layer in layers], axis=0)).all()
    assert count.max() >= 2


def test_the_sketch_has_one_value_in_the_range_per_nucleus_and_is_dark_outside(volume):
    sharp = _make(smooth_um=0).volume("structure-sketch").array
    labels = volume.volume("instance-labels").array
    for number in range(1, labels.max() + 1):
        (value,) = np.unique(sharp[labels == number])
        assert 0.5 <= value <= 0.9
    assert not sharp[labels == 0].any()
    soft = volume.volume("structure-sketch").array
    assert 0 <= soft.min() < soft.max() <= 0.9
    assert len(np.unique(soft)) > 100


def test_values_add_up_to_one_at_most_where_cells_overlap():
    first, second = np.zeros((2, 1, 1, 5), np.uint16)
    first[0, 0, :3] = 1
    second[0, 0, 2:] = 2
    annotation = Annotation(first, (first, second), np.array([0, 1]))
    values = np.array([0.7, 0.2], np.float32)
    assert grey(annotation, values).ravel().tolist() == pytest.approx([0.7, 0.7, 0.9, 0.2, 0.2])
    assert grey(annotation, values + 0.2).ravel()[2] == 1


def test_smoothing_is_as_wide_in_space_in_any_voxels():
    parameters = Parameters(shape=(41, 41, 81), spacing_um=(1.0, 0.5, 0.25))
    point = np.zeros((41, 41, 81), np.uint16)
    point[20, 20, 40] = 1
    blurred = _softened(point, (2.0, 2.0, 2.0), parameters)
    for axis, step in enumerate((1.0, 0.5, 0.25)):
        line = blurred.sum(axis=tuple({0, 1, 2} - {axis}))
        away = (np.arange(len(line)) - len(line) // 2) * step
        assert np.sqrt((line * away**2).sum()) == pytest.approx(2.0, rel=0.01)
    flat = _softened(np.ones((1, 8, 8), np.uint16), (9.0, 1.0, 1.0), Parameters(**FLAT))
    assert flat == pytest.approx(1)


def _softened(labels, widths_um, parameters):
    """Return the blurred sketch of one nucleus of the value 1."""
    parts = soften(
        Annotation(labels, (labels,), np.array([0])), np.ones(1, np.float32), widths_um, parameters
    )
    return np.concatenate([part for _, part in parts])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"max_overlap": 0.3, "n_nuclei": 12, "radius_um": 5},
        {"foreground": "map", "radius_um": 2, "thickness_um": 6},
    ],
    ids=["volume", "layers", "map"],
)
def test_a_volume_in_slabs_on_disk_has_the_bytes_of_one_in_memory(hold_on_disk, changes):
    hold_on_disk(lambda: _make(**changes), 3 * 64 * 64)  # less than a nucleus or the blur


def test_sketch_and_extras_can_be_left_out_and_nothing_else_changes(volume):
    sample = _make(sketch=False, extras=False)
    assert set(sample.sockets) == {"instance-labels", "microscopy-image"}
    assert not sample.extras
    contents = _bytes(sample)
    assert contents == {name: _bytes(volume)[name] for name in contents}


def test_too_many_nuclei_for_the_image_are_refused():
    refused(r"200 nuclei with axes of .* do not fit .*; lower n_nuclei", _plane, n_nuclei=200)
