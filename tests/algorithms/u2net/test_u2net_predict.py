import cards
import numpy as np
import pytest
import torch
from mistakes import refused
from rasters import discs
from scipy import ndimage

from cytosuite.algorithms.u2net.predict import BORDER, GROUND, INSIDE, objects, predict
from cytosuite.contract.weights import Model
from cytosuite.networks.network import using
from cytosuite.volume import Volume


def chances(classes):
    """Return the chances (3, Y, X) of a network that is sure of its classes."""
    return np.where(np.arange(3)[:, None, None] == classes, 0.9, 0.05).astype(np.float32)


def test_pieces_of_inside_grow_to_the_border_and_a_piece_without_one_is_an_object():
    classes = np.full((20, 40), GROUND)
    classes[2:12, 2:22] = BORDER
    classes[4:10, 4:10] = classes[4:10, 14:20] = INSIDE
    classes[15:17, 30:32] = BORDER
    classes[18, 2] = BORDER
    labels = objects(chances(classes), 3)
    assert np.unique(labels).size == 4
    np.testing.assert_array_equal(labels > 0, (classes != GROUND) & ~(np.indices((20, 40))[0] > 17))
    one = labels[6, 6]
    two = labels[6, 16]
    assert one != two
    assert (labels[2:12, 2:10] == one).all()
    assert (labels[2:12, 14:22] == two).all()
    assert not objects(chances(np.zeros((5, 5))), 0).any()


class Bright(torch.nn.Linear):
    """A network that knows bright pixels as inside."""

    def forward(self, image):
        bright = (image[:, 0] > 0.5).float()
        return 20 * torch.stack([1 - bright, bright, 0 * bright], 1)


def model():
    parameters = {"network": {}, "tile": (1, 256, 256), "halo": (0, 32, 32)}
    facts = {"axes": "YX", "diameter_um": 12.0}
    return Model(cards.card(algorithm="u2net", describes=facts, parameters=parameters))


@pytest.mark.parametrize("radius", [6, 12])
def test_planes_of_any_size_of_nuclei(radius):
    image, truth = discs(radius)
    with using(Bright(1, 1)):
        outputs = predict({"microscopy-image": Volume(image, (0.5, 0.5), "YX")}, model())
    labels = outputs["instance-labels"]
    assert labels.metadata["u2net_objects"] == truth.max()
    assert labels.metadata["u2net_diameter_px"] == pytest.approx(2 * radius, rel=0.15)
    assert ((labels.array > 0) == (truth > 0)).mean() > 0.94  # resized twice
    assert labels.origin.warnings == ()


class Seeing(torch.nn.Linear):
    """A network that takes the brighter half of noise for objects."""

    def forward(self, image):
        return 20 * torch.stack([-image[:, 0], image[:, 0], 0 * image[:, 0] - 1], 1)


def test_objects_in_noise_alone_are_doubted(rng):
    noise = ndimage.gaussian_filter(rng.normal(1000, 90, (96, 96)), 2)
    with using(Seeing(1, 1)):
        outputs = predict({"microscopy-image": Volume(noise, (0.5, 0.5), "YX")}, model())
    assert outputs["instance-labels"].array.any()
    (line,) = outputs["instance-labels"].origin.warnings
    assert line.startswith("objects doubtful")


def test_a_volume_is_refused():
    refused(
        "the model is for planes, found a volume of 4 x 9 x 9",
        predict,
        {"microscopy-image": Volume(np.zeros((4, 9, 9)), (1.0,) * 3)},
        model(),
    )
