from types import SimpleNamespace

import numpy as np
from house import ROOT
from rasters import away_from
from safetensors.numpy import save_file

from cytosuite.algorithms.watershed.predict import predict
from cytosuite.contract.progress import shown
from cytosuite.files import read_json
from cytosuite.segmentation.outline.redraw import Trees
from cytosuite.volume import Volume

SPACING = (2.0, 1.0, 1.0)


def model(**parameters):
    return SimpleNamespace(card=SimpleNamespace(name="test", parameters=parameters, describes={}))


def image():
    ball = 1000 / (1 + np.exp(away_from((6, 20, 20), (12, 40, 40), (2, 1, 1)) - 7))
    return np.random.default_rng(0).poisson(50 + ball).astype(np.uint16)


def test_lengths_in_pixels_do_not_depend_on_the_voxel_size():
    sizes = [(1.0, 1.0), (0.1, 0.1), (7.0, 7.0)]
    inputs = [{"microscopy-image": Volume(image()[6], size, axes="YX")} for size in sizes]
    one, *others = [predict(case, model(in_pixels=True))["instance-labels"] for case in inputs]
    assert (one.array.max(), one.array.dtype) == (1, np.uint16)
    assert [labels.spacing for labels in others] == sizes[1:]
    assert all((labels.array == one.array).all() for labels in others)
    assert not predict(inputs[1], model())["instance-labels"].array.any()


def test_nuclei_too_wide_for_the_background_are_seen_in_fewer_pixels(rng):
    card = read_json(ROOT / "weights/watershed/nuclei-2d.json")
    inside = np.square(np.indices((720, 961)) % 240 - 120).sum(0) < 80**2
    plane = 100 + 400 * inside + rng.normal(0, 20, inside.shape)
    inputs = {"microscopy-image": Volume(plane, (1.0, 1.0), axes="YX")}
    labels = predict(inputs, model(**card["parameters"]))["instance-labels"].array
    assert labels.max() == 12
    assert np.mean((labels > 0) == inside) > 0.99


def test_a_card_with_an_outline_draws_its_objects_anew(tmp_path):
    path = tmp_path / "trees.safetensors"
    inside = np.array([[-3, 3]], np.float32)  # above the threshold, or not
    zero = np.zeros((1, 1), np.float32)
    save_file(Trees(zero.astype(np.int32), zero, inside, zero[0]).tensors(), path)
    inputs = {"microscopy-image": Volume(image(), SPACING)}
    plain = predict(inputs, model())["instance-labels"]
    drawn = predict(inputs, outlined := SimpleNamespace(**vars(model(outline=0.5)), weights=path))
    drawn = drawn["instance-labels"]
    assert (drawn.metadata["outline"], drawn.array.dtype, drawn.array.max()) == (0.5, np.uint16, 1)
    assert 0 < (drawn.array > 0).sum() != (plain.array > 0).sum()
    inputs = {"microscopy-image": Volume(image(), SPACING, metadata={"outline": "looser"})}
    shares = []
    with shown(shares.append):
        looser = predict(inputs, outlined)["instance-labels"]
    assert shares == sorted(shares)
    assert shares[0] < 0.4
    assert shares[-1] == 0.5  # the outline is the second half
    assert looser.metadata["outline"] == 0.65
    assert (looser.array > 0).sum() > (drawn.array > 0).sum()
    unused = predict(inputs, model())["instance-labels"]
    assert np.array_equal(unused.array, plain.array)
    assert "outline looser not used: the model test draws no outlines" in unused.origin.warnings
