import json

import numpy as np
import pytest
import torch
from mistakes import refused
from rasters import away_from
from scipy import ndimage

from cytosuite.algorithms.cellpose3d import predict as module
from cytosuite.algorithms.cellpose3d.network import Network, build, load
from cytosuite.algorithms.cellpose3d.predict import predict
from cytosuite.networks.tiling import plan
from cytosuite.segmentation.outline.redraw import Trees
from cytosuite.volume import Volume, memory
from cytosuite.volume.pieces import converted

SPACING = (2.0, 1.0, 1.0)
SMALL = {"widths": [4, 4, 4], "fold": 2}
CENTRES = ((12, 20, 14), (12, 20, 25), (14, 40, 36))  # µm; the first two touch

BRIGHT = Trees(  # above the threshold, or not
    np.zeros((1, 1), np.int32),
    np.zeros((1, 1), np.float32),
    np.array([[-3, 3]], np.float32),
    np.zeros(1, np.float32),
)


def image(spacing=SPACING, shape=(14, 56, 52)):
    """Return nuclei of 11 µm brightest in their middle, in photons on a dark ground."""
    light = np.zeros(shape)
    for place in np.divide(CENTRES, spacing) - 0.5:
        light = np.maximum(light, 200 * np.exp(-(away_from(place, shape, spacing) ** 2) / 30))
    return np.random.default_rng(0).poisson(20 + light).astype(np.uint16)


def uphill(inputs):
    """Stand in for a network: the level is the brightness, the flow goes to where it is greatest."""
    smooth = ndimage.gaussian_filter(inputs[0, 0].numpy(), (1, 1.5, 1.5))
    flow = [np.tanh(20 * np.gradient(smooth, axis=axis)) for axis in range(3)]
    return torch.from_numpy(np.stack([8 * (smooth - 0.55), *flow]).astype(np.float32))[None]


@pytest.fixture
def model(opened):
    """Return a function that opens a model of random weights."""

    def model(**parameters):
        network = build(Network.model_validate(SMALL), auxiliary=False)
        more = BRIGHT.tensors() if "outline" in parameters else ()
        entries = {"network": SMALL, "diameter": "trained", "seed_smoothing_um": 1.0, **parameters}
        return opened(
            "cellpose3d", "segment", entries, network, more, spacing=SPACING, diameter_um=11.0
        )

    return model


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    """Put the stand-in in the place of the network."""
    monkeypatch.setattr(module, "load_once", lambda model, arguments, load: uphill)


def run(array, model, spacing=SPACING, **metadata):
    volume = Volume(array, spacing, "ZYX", metadata)
    return predict({"microscopy-image": volume}, model)["instance-labels"]


def names_at_centres(labels, spacing=SPACING):
    return labels[tuple(np.divide(CENTRES, spacing).astype(int).T)].tolist()


def test_touching_nuclei_are_distinguished(model):
    volume = run(image(), model(), channel="nucleus")
    assert volume.array.dtype == np.uint16
    assert volume.array.max() == 3
    assert sorted(names_at_centres(volume.array)) == [1, 2, 3]
    assert volume.metadata["channel"] == "nucleus"
    assert volume.metadata["cellpose3d_objects"] == 3
    assert volume.metadata["cellpose3d_diameter_source"] == "trained"
    assert volume.metadata["cellpose3d_li_threshold"] > 20


def test_a_card_with_an_outline_draws_its_objects_anew(model):
    plain = run(image(), model())
    outlined = model(outline=0.5)
    drawn = run(image(), outlined)
    assert sorted(names_at_centres(drawn.array)) == [1, 2, 3]
    assert drawn.metadata["cellpose3d_objects"] == 3
    assert drawn.metadata["outline"] == 0.5
    assert 0 < (drawn.array > 0).sum() != (plain.array > 0).sum()
    assert load(SMALL, outlined.weights).flat is False  # trees are no weights of the network


def test_finer_voxels_are_rescaled_and_labels_come_back(model):
    fine = image((1.0, 0.5, 0.5), (28, 112, 104))
    volume = run(fine, model(), (1.0, 0.5, 0.5))
    assert volume.array.shape == fine.shape
    assert volume.metadata["cellpose3d_working_shape"] == "14 x 56 x 52"
    assert sorted(names_at_centres(volume.array, (1.0, 0.5, 0.5))) == [1, 2, 3]
    assert volume.array.max() == 3


def test_removed_objects_are_listed_with_place_and_reason(model):
    volume = run(image(), model(min_volume_um3=1e6))
    table = json.loads(volume.metadata["cellpose3d_removed_table"])
    assert not volume.array.any()
    assert volume.metadata["cellpose3d_removed"] == len(table) == 3
    assert {row["reason"] for row in table} == {"min_volume_um3"}
    assert all(row["value"] < row["limit"] == 1e6 for row in table)
    np.testing.assert_allclose(sorted(row["voxel"][2] for row in table), [14, 25, 36], atol=2)


@pytest.fixture
def in_blocks(monkeypatch):
    """Return a function that makes volumes be worked on in blocks of a size, or as a whole."""
    planned = module.blocks.plan_blocks

    def choose(size, margin=(12, 24, 24)):
        def plan_them(shape, image_shape, needed, *, multiple, tile, reason):
            del reason
            if size is None:
                return planned(shape, image_shape, needed, multiple=multiple, tile=tile)
            return plan(shape, size, margin, multiple=multiple)

        monkeypatch.setattr(module.blocks, "plan_blocks", plan_them)

    return choose


def crowd():
    """Return small nuclei at random places, of which many touch."""
    rng = np.random.default_rng(5)
    light = np.zeros((28, 72, 80))
    for _ in range(25):
        away = away_from(rng.uniform(0, light.shape), light.shape, SPACING) ** 2
        light = np.maximum(light, rng.uniform(100, 300) * np.exp(-away / 15))
    return rng.poisson(20 + light).astype(np.uint16)


SIMPLE = {"min_volume_um3": 500.0, "halo": [6, 8, 8], "seed_distance_um": 5.0}


def test_a_volume_too_large_for_memory_is_refused_with_the_reason(model, monkeypatch):
    monkeypatch.setattr(module.blocks, "free_gib", lambda: 0.001)
    array = image()
    refused(r"an image of 14 x 56 x 52 voxels, worked on in blocks", run, array, model(**SIMPLE))
    expected = (
        r"14 x 56 x 52 voxels \(rescaled by 1.5 x 2.5 x 2.5, as its voxels are 3 x 2.5 x 2.5 µm "
        r"and the model's 2 x 1 x 1 µm: check the voxel size\), worked on in blocks of .* needs"
    )
    refused(expected, run, array, model(**SIMPLE), (3.0, 2.5, 2.5))


def test_a_volume_on_disk_in_blocks_has_the_labels_of_one_in_memory(model, in_blocks, tight):
    array = np.kron(crowd(), np.ones((1, 2, 2), np.uint16))
    spacing = (2.0, 0.5, 0.5)
    in_blocks(None)
    expected = run(array, model(**SIMPLE), spacing)
    in_blocks((28, 64, 64))
    tight()
    mapped = converted(array, np.float64)
    segmented = run(mapped, model(**SIMPLE), spacing)
    assert memory.is_mapped(mapped)
    assert memory.is_mapped(segmented.array)
    assert expected.array.max() > 10
    np.testing.assert_array_equal(segmented.array, expected.array)
    for key in ("objects", "li_threshold", "removed"):
        assert segmented.metadata[f"cellpose3d_{key}"] == expected.metadata[f"cellpose3d_{key}"]
    assert segmented.metadata["cellpose3d_blocks"] > 1


def test_an_object_cut_by_too_small_a_margin_is_noted(model, in_blocks, rng):
    light = np.zeros((12, 40, 120))
    light[4:8, 16:24, 10:110] = 200
    rod = rng.poisson(20 + light).astype(np.uint16)
    in_blocks((12, 40, 48), (4, 8, 8))
    segmented = run(rod, model(li=False, halo=[3, 4, 4], seed_distance_um=200.0))
    assert 1 < segmented.metadata["cellpose3d_pieces"] <= segmented.metadata["cellpose3d_objects"]
    assert (segmented.array[6, 20, 12:108] > 0).all()
