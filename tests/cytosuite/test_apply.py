"""An algorithm on arrays, held against its container."""

import numpy as np
import pytest

from cytosuite.apply import WEIGHTS, DoubtfulModelWarning, apply, apply_file
from cytosuite.container import Algorithm
from cytosuite.errors import InputError, ModelError
from cytosuite.formats import read, write
from cytosuite.interface import write_case
from cytosuite.select import select
from cytosuite.tasks import TASKS
from cytosuite.volume import Volume


@pytest.fixture
def image():
    """Return two bright balls in noise."""
    z, y, x = np.indices((16, 32, 64)) * np.array([1.0, 0.5, 0.5])[:, None, None, None]
    balls = sum((z - 8) ** 2 + (y - 8) ** 2 + (x - c) ** 2 < 25 for c in (8, 24))
    array = np.random.default_rng(0).poisson(20, balls.shape) + 200 * balls
    return Volume(array.astype(np.uint16), (1.0, 0.5, 0.5), "ZYX", {"channel": "nucleus"})


def test_an_array_gives_what_the_container_writes(image, tmp_path):
    from cytosuite.benchmark.catalog import ROOT

    found = apply("watershed", image)["instance-labels"]
    assert found.array.max() == 2
    write_case(tmp_path / "in", TASKS["segment"], "balls", {"microscopy-image": image})
    models = [ROOT / "weights" / "watershed"]
    Algorithm("watershed", tmp_path / "in", tmp_path / "out", models).run_case()
    stored = read(tmp_path / "out" / "images" / "instance-labels" / "balls.tif")
    np.testing.assert_array_equal(stored.array, found.array)
    assert stored.spacing == found.spacing


def test_a_mapping_is_the_same_as_its_main_input(image):
    one = apply("watershed", image)["instance-labels"].array
    other = apply("watershed", {"microscopy-image": image})["instance-labels"].array
    np.testing.assert_array_equal(one, other)


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


def test_a_doubtful_model_is_a_warning(image):
    far = Volume(image.array, (40.0, 20.0, 20.0), "ZYX", image.metadata)
    with pytest.warns(DoubtfulModelWarning, match="watershed: voxel size far from the model's"):
        apply("watershed", far)


def test_a_file_gives_what_its_array_gives(image, tmp_path):
    write(tmp_path / "balls.tif", image)
    apply_file(
        "watershed",
        tmp_path / "balls.tif",
        str(tmp_path / "new" / "out.mha"),
        WEIGHTS / "watershed",
    )
    found = read(tmp_path / "new" / "out.mha")
    np.testing.assert_array_equal(found.array, apply("watershed", image)["instance-labels"].array)
    assert found.spacing == image.spacing


def test_a_file_of_another_input_is_named_by_its_socket(image, tmp_path):
    labels = Volume((image.array > 100).astype(np.uint16), image.spacing, "ZYX", image.metadata)
    models = tmp_path / "models"
    models.mkdir()
    plain = WEIGHTS / "diffusion" / "plain-sketch.json"
    (models / plain.name).write_bytes(plain.read_bytes())
    write(tmp_path / "in.tif", labels)
    apply_file("diffusion", tmp_path / "in.tif", tmp_path / "o.tif", models, "instance-labels")
    expected = apply("diffusion", {"instance-labels": labels}, model=plain.stem)
    found = read(tmp_path / "o.tif")
    np.testing.assert_array_equal(found.array, expected["synthetic-image"].array)


def test_the_name_of_a_file_tells_its_channel(image, tmp_path):
    write(tmp_path / "wga.tif", Volume(image.array, image.spacing, "ZYX"))
    with pytest.warns(DoubtfulModelWarning, match="channel is 'membrane'"):
        apply_file("watershed", tmp_path / "wga.tif", tmp_path / "o.tif", WEIGHTS / "watershed")


def test_a_wrong_file_is_one_line_and_writes_nothing(image, tmp_path):
    models, out = WEIGHTS / "watershed", tmp_path / "out.tif"
    with pytest.raises(InputError, match=r"no\.tif: no such file"):
        apply_file("watershed", tmp_path / "no.tif", out, models)
    write(tmp_path / "in.tif", image)
    with pytest.raises(InputError, match="expected one of the images .*microscopy-image"):
        apply_file("watershed", tmp_path / "in.tif", out, models, "instance-labels")
    with pytest.raises(ModelError, match="no model card"):
        apply_file("watershed", tmp_path / "in.tif", out, tmp_path / "none")
    assert not out.exists()


def no_such_algorithm(image):
    """algorithms/watershd: no such algorithm here"""
    apply("watershd", image)


def no_such_model(image):
    """no model 'best' of watershed; there are embryo-nuclei-3d, nuclei-2d"""
    apply("watershed", image, model="best")


def a_wrong_slug(image):
    """expected the input microscopy-image, found ['image']"""
    apply("watershed", {"image": image})


@pytest.mark.parametrize("mistake", [no_such_algorithm, no_such_model, a_wrong_slug])
def test_a_mistake_is_one_line(image, mistake):
    with pytest.raises((InputError, ModelError)) as error:
        mistake(image)
    assert mistake.__doc__ in str(error.value)
