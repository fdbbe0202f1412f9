"""An algorithm on arrays, held against its container."""

import numpy as np
import pytest
from mistakes import refused
from rasters import away_from

from cytosuite.apply import DoubtfulModelWarning, apply
from cytosuite.container import Algorithm
from cytosuite.contract.interface import write_case
from cytosuite.contract.select import select
from cytosuite.contract.tasks import TASKS
from cytosuite.errors import ModelError
from cytosuite.formats import read
from cytosuite.volume import Volume


@pytest.fixture
def image(rng):
    """Return two bright balls in noise."""
    spacing = (1.0, 0.5, 0.5)
    balls = sum(away_from((8, 16, x), (16, 32, 64), spacing) < 5 for x in (16, 48))
    array = rng.poisson(20, balls.shape) + 200 * balls
    return Volume(array.astype(np.uint16), spacing, "ZYX", {"channel": "nucleus"})


def test_an_array_gives_what_the_container_writes(image, tmp_path):
    from cytosuite.benchmark.catalog.places import ROOT

    labels = apply("watershed", image)["instance-labels"]
    assert labels.array.max() == 2
    write_case(tmp_path / "in", TASKS["segment"], "balls", {"microscopy-image": image})
    models = [ROOT / "weights/watershed"]
    Algorithm("watershed", tmp_path / "in", tmp_path / "out", models).run_case()
    stored = read(tmp_path / "out/images/instance-labels/balls.tif")
    np.testing.assert_array_equal(stored.array, labels.array)
    assert stored.spacing == labels.spacing


def test_a_named_model_is_the_one_that_runs(image, monkeypatch):
    offered = []
    monkeypatch.setattr(
        "cytosuite.container.select",
        lambda cards, *rest: offered.append(cards) or select(cards, *rest),
    )
    apply("watershed", image, model="spheroid-nuclei-3d")
    apply("watershed", image)
    assert [card.name for card in offered[0]] == ["spheroid-nuclei-3d"]
    assert len(offered[1]) > 1


def test_a_stack_of_one_slice_is_a_plane(image):
    plane = Volume(image.array[8], (0.5, 0.5), "YX", image.metadata)
    stack = Volume(image.array[8:9], image.spacing, "ZYX", image.metadata)
    labels, flat = (apply("watershed", one)["instance-labels"] for one in (plane, stack))
    assert labels.array.max() == 2
    np.testing.assert_array_equal(flat.array, labels.array[None])
    assert flat.spacing == stack.spacing
    assert not apply("watershed", stack, model="embryo-nuclei-3d")["instance-labels"].array.any()


def test_a_doubtful_model_is_a_warning(image):
    far = Volume(image.array, (40.0, 20.0, 20.0), "ZYX", image.metadata)
    with pytest.warns(DoubtfulModelWarning, match="watershed: voxel size far from the model's"):
        apply("watershed", far)


def test_an_array_without_a_voxel_size_is_refused(image):
    for inputs in (image.array, {"microscopy-image": image.array}):
        refused("watershed: expected a Volume, or a mapping", apply, "watershed", inputs)


def test_an_unknown_model_is_one_line(image):
    line = "no model 'best' of watershed; there are cv1000-nuclei-3d, embryo-nuclei-3d"
    with pytest.raises(ModelError, match=line):
        apply("watershed", image, model="best")
