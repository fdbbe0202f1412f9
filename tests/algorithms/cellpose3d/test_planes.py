"""Planes: from training on scaled images to labels of nuclei of any size."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from mistakes import refused
from numpy.testing import assert_array_equal
from rasters import discs
from scipy import ndimage
from training_data import trained

from cytosuite.algorithms.cellpose3d.flows import flow_targets
from cytosuite.algorithms.cellpose3d.network import Network, load
from cytosuite.algorithms.cellpose3d.parameters import Parameters
from cytosuite.algorithms.cellpose3d.predict import predict
from cytosuite.algorithms.cellpose3d.training.train import TRAINING, Settings, targets_of
from cytosuite.contract.manifest import parse
from cytosuite.contract.sizes import size_in
from cytosuite.contract.weights import open_model, read_cards
from cytosuite.formats import read, write
from cytosuite.networks.grid import in_pixels
from cytosuite.networks.network import using
from cytosuite.networks.scale import Trained, choose_scale, scale_of_objects, sizes_of
from cytosuite.training.loop import begin
from cytosuite.training.nuclei.cases import find_cases, load_case
from cytosuite.training.nuclei.patches import (
    AugmentRanges,
    Patches,
    draw_image,
    draw_patch,
    resized,
    resized_labels,
    zoom_of,
)
from cytosuite.volume import Volume

PATCHES = Patches(shape=(1, 32, 32), batch=2, diameter=12.0, near=1.0)
FLAT = Network(dimensions=2, widths=(4, 6, 8), fold=2)
TRAINED = Trained(spacing=(1.0, 1.0, 1.0), diameter_um=12.0)
CARD = {
    "quietest": 0.03,
    "li": False,
    "tau": 0.5,
    "diameter": "network",
    "tile": [1, 64, 64],
    "halo": [0, 8, 8],
}
PARAMETERS = Parameters(network=FLAT, **CARD)


@pytest.fixture
def folder(tmp_path):
    """Write two planes with discs of other sizes as a user has them."""
    for name, radius in (("a", 6), ("b", 12)):
        for place, array in zip(("images", "labels"), discs(radius), strict=True):
            write(tmp_path / "data" / place / f"{name}.tif", Volume(array, (0.5, 0.5), "YX"))
    return tmp_path / "data"


@pytest.mark.parametrize("number", [0, 1])
def test_patches_show_nuclei_of_any_size_as_the_settings_say_and_held_out_images_their_own(
    folder, number, rng
):
    case = load_case(find_cases(folder)[number], PATCHES.shape, targets_of, quietest=0.03)
    assert case.is_plane
    assert case.spacing == (1, 1, 1)
    assert zoom_of(case, PATCHES) == pytest.approx((1, 0.5)[number], rel=0.1)
    (image,), (labels,) = draw_image(rng, case, PATCHES)
    assert_array_equal(labels, discs((6, 12)[number])[1])
    assert image.shape[1:] == labels.shape


def test_the_targets_of_a_patch_are_those_of_its_labels(folder, rng):
    case = load_case(find_cases(folder)[1], PATCHES.shape, targets_of, quietest=0.03)
    still = PATCHES.model_copy(update={"augment": AugmentRanges(brightness=(1, 1), noise=0)})
    twice = replace(case, further=case.image[None])  # channels keep their places
    _, (image, same), target, _ = draw_patch(rng, [twice], still)
    assert_array_equal(image, same)
    assert image.shape == (1, 32, 32)
    assert target.shape == (6, 1, 32, 32)
    inside = target[0] > 0
    assert 0.2 < inside.mean() < 0.9
    assert image[inside].min() > np.median(image[~inside])
    assert not target[1].any()
    assert not target[1:, ~inside].any()
    assert target[4].max() > 0.9


def test_images_and_labels_are_scaled_about_the_same_box():
    _, labels = discs(6)
    larger = resized_labels(labels[None], (1, 2 * len(labels), 2 * len(labels)))
    assert_array_equal(larger[0, ::2, 1::2], labels)
    mask = resized((labels[None] > 0).astype(np.float32), larger.shape)
    assert ((mask > 0.5) == (larger > 0)).mean() > 0.98


def test_pixels_of_any_size_are_alike():
    image, _ = discs(12)
    scales = [
        choose_scale(image[None], in_pixels(Volume(image, size, "YX")), TRAINED, PARAMETERS)
        for size in ((0.5, 0.5), (3.0, 3.0))
    ]
    assert scales[0] == scales[1]


def test_the_size_of_the_objects_wins_where_it_differs():
    _, labels = discs(12)
    volume = in_pixels(Volume(labels, (1.0, 1.0), "YX", {"diameter_um": 12.0}))
    first = choose_scale(labels[None], volume, TRAINED, PARAMETERS)
    fitted = scale_of_objects(labels[None], first)
    assert fitted.source == "network"
    assert fitted.ratio * 12 == pytest.approx(24, rel=0.05)
    noted = sizes_of(fitted, "px")
    assert size_in(noted, 0.5) == (noted["diameter_px"] / 2, "network", 6.0)
    assert size_in(sizes_of(first, "px"), 0.5) is None  # it was given
    np.testing.assert_allclose(fitted.factor, (1, 0.5, 0.5), rtol=0.05)
    assert scale_of_objects(labels[None], fitted) is fitted
    assert scale_of_objects(0 * labels[None], first) is first
    # for which it would be enlarged 450 times
    assert scale_of_objects(np.arange(1, 26).reshape(1, 5, 5), first) is first
    assert scale_of_objects(50 * labels[None], first).ratio == fitted.ratio  # most numbers unused


class Known(torch.nn.Linear):
    """A network that knows bright pixels that touch as one nucleus."""

    def forward(self, image):
        bright = image[0, 0].numpy() > 0.5
        flow = flow_targets(ndimage.label(bright)[0])
        return torch.from_numpy(np.concatenate([20 * bright[None] - 10, flow])).float()[None]


class Sized(Known):
    """A network whose flow is weaker the more nuclei differ from 18 pixels."""

    def forward(self, image):
        fields = super().forward(image)
        area = np.bincount(ndimage.label(fields[0, 0, 0] > 0)[0].ravel())[1:].max()
        fields[:, 1:] *= np.exp(-abs(np.log(np.sqrt(4 * area / np.pi) / 18)))
        return fields


class Second(Known):
    """A network that knows the nuclei of the second channel."""

    def forward(self, image):
        return super().forward(image[:, 1:])


@pytest.fixture
def model(folder):
    """Return a model after two steps of training."""
    return _trained(folder, _settings())


def _settings(**network):
    return parse(
        "t",
        {
            "network": FLAT.model_dump() | network,
            "schedule": {"steps": 2, "report": 1},
            "patches": PATCHES.model_dump(),
            "card": {"parameters": CARD},
        },
        Settings,
    )


def _trained(folder, settings, **options):
    card = trained(TRAINING, settings, folder, **options)
    return open_model(card.parent, read_cards(card.parent, "cellpose3d")[0])


def _predicted(volume, model, network=Known):
    with using(network(1, 1)):
        return predict({"microscopy-image": volume}, model)["instance-labels"]


def test_a_trained_model_segments_planes_and_refuses_volumes(model):
    assert model.card.describes == {"axes": "YX", "channel": "nucleus", "diameter_um": 12}
    assert load(model.card.parameters["network"], model.weights).flat
    image, _ = discs(12)
    volume = Volume(image, (0.5, 0.5), "YX")
    segmented = _predicted(volume, model)
    assert segmented.metadata["cellpose3d_objects"] == 16
    assert segmented.metadata["cellpose3d_diameter_px"] == pytest.approx(24, rel=0.15)
    stack = replace(volume, array=np.stack([image] * 4), axes="ZYX", spacing=(1.0,) * 3)
    refused("the model is for planes, found a volume", _predicted, stack, model)


def test_a_second_channel_is_learned_from_and_asked_for(folder):
    image, labels = discs(12)
    both = Volume(np.stack([image, np.where(labels > 4, 0, image)]), (0.5, 0.5), "CYX")
    one = _settings()
    two = _settings(channels=2)
    refused("a.tif: expected channels: 2, found 1; set network.channels", _trained, folder, two)
    card = _trained(folder, one).weights.with_suffix(".json")
    narrow, wide = (begin(TRAINING, settings, card, "cpu").average for settings in (one, two))
    seen = torch.rand(1, 2, 1, 32, 32)
    torch.testing.assert_close(wide(seen), narrow(seen[:, :1]))  # further channels begin at 0
    for path in folder.glob("images/*"):
        write(path, replace(both, array=np.stack([read(path).array] * 2)))
    model = _trained(folder, two, parent=card, resume=False)
    assert model.card.describes["axes"] == "CYX"
    segmented = _predicted(both, model, Second)
    assert (segmented.axes, segmented.metadata["cellpose3d_objects"]) == ("YX", 4)
    alone = replace(both, array=image, axes="YX")
    refused("mine is for images of 2 channels, found 1", _predicted, alone, model)
    write(folder / "images/a.tif", replace(both, axes="ZYX", spacing=(1.0, 0.5, 0.5)))
    line = "found 1; save those that were read as Z as axis C"
    refused(line, load_case, find_cases(folder)[0], PATCHES.shape, channels=2)


def test_the_size_of_cells_is_that_at_which_the_flow_fits_them(model):
    image, _ = discs(12)
    volume = Volume(image, (0.5, 0.5), "YX")
    least = {**model.card.parameters, "diameter": "flow"}
    by_flow = replace(model, card=model.card.model_copy(update={"parameters": least}))
    other = _predicted(volume, by_flow, Sized)
    assert other.metadata["cellpose3d_objects"] == 16
    assert 24 * 12 / other.metadata["cellpose3d_diameter_px"] == pytest.approx(18, rel=0.2)
    few = replace(volume, array=image[:64, :64])  # four nuclei: the blobs' size stays
    size = _predicted(few, by_flow, Sized).metadata
    assert size["cellpose3d_diameter_px"] == size["cellpose3d_blobs_px"]
