import cards
import numpy as np
import torch
from mistakes import refused
from rasters import away_from

from cytosuite.algorithms.harmonicnet.predict import predict
from cytosuite.bodies import fit
from cytosuite.bodies.grid import Grid
from cytosuite.bodies.stars import label, stars_from
from cytosuite.contract.weights import Model
from cytosuite.metrics.labels.detection import f1_at
from cytosuite.metrics.labels.overlap import overlap
from cytosuite.networks.network import using
from cytosuite.volume import Volume

ORDER = 6
RADIUS = 6.0
SHAPE = (24, 72, 64)
SPACING = (2.0, 1.0, 1.0)
CENTRES = np.array([[12.0, 20, 18], [14, 22, 33], [30, 50, 40], [36, 18, 50], [42, 60, 20]])


class Perfect(torch.nn.Module):
    """Stand in for a network: the maps of labels, whatever the image."""

    def __init__(self, labels, spacing):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))
        stars = fit(labels, spacing, ORDER, 0.0)
        half = np.floor_divide(labels.shape, 2)
        step = np.multiply(spacing, 2)
        places = (stars.centres / spacing - 0.5) / 2
        away = np.stack([away_from(place, half, step / (3, 2, 2)) for place in places]) ** 2
        nearest = away.argmin(axis=0)
        heat = np.exp(-away.min(axis=0) / 2).clip(1e-6, 1 - 1e-6)
        maps = np.moveaxis(stars.coefficients[nearest] / RADIUS, -1, 0)
        self.maps = torch.from_numpy(np.concatenate([np.log(heat / (1 - heat))[None], maps]))

    def forward(self, eights):
        assert eights.shape == (1, 8, *self.maps.shape[1:])
        return self.maps[None].float()


OWN = {"network": {"order": ORDER, "features": 8}, "spacing_um": SPACING, "radius_um": RADIUS}
OWN |= {"tile": (96,) * 3}
FACTS = {"axes": "ZYX", "spacing": SPACING}


def _truth(spacing=SPACING, shape=SHAPE):
    """Return labels of five uneven stars, some of which touch, at any voxel size."""
    drawn = np.random.default_rng(1).normal(size=(5, (ORDER + 1) ** 2)) * 0.3
    drawn[:, 0] = np.sqrt(4 * np.pi) * np.array([6, 8, 7, 6, 7])
    return label(stars_from(drawn), CENTRES, Grid(shape, spacing))


def _predicted(labels, network, volume=None, **parameters):
    image = np.random.default_rng(0).poisson(20 + 100 * (labels > 0)).astype(np.uint16)
    volume = volume or Volume(image, SPACING)
    card = cards.card(algorithm="harmonicnet", describes=FACTS, parameters=OWN | parameters)
    with using(network):
        (output,) = predict({"microscopy-image": volume}, Model(card)).values()
    return output


def _hold(truth, output):
    """Hold that each object is found with an IoU of 0.9 or more, and no other."""
    assert f1_at(overlap(truth, output.array), 90) == 1


def test_perfect_maps_give_the_labels_back():
    truth = _truth()
    output = _predicted(truth, Perfect(truth, SPACING))
    assert np.unique(output.array).tolist() == [0, 1, 2, 3, 4, 5]
    assert output.metadata["harmonicnet_objects"] == 5
    _hold(truth, output)


def test_labels_are_drawn_at_the_voxel_size_of_the_image_and_not_that_of_the_model():
    truth = _truth()
    fine = _truth((1.0, 0.5, 0.5), (48, 144, 128))
    image = Volume(fine * np.uint16(50), (1.0, 0.5, 0.5))
    _hold(fine, _predicted(truth, Perfect(truth, SPACING), image))


def test_a_diameter_scales_the_grid_and_the_stars():
    truth = _truth()
    image = Volume(truth * np.uint16(50), (4.0, 2.0, 2.0), metadata={"diameter_um": 4 * RADIUS})
    _hold(truth, _predicted(truth, Perfect(truth, SPACING), image))


def test_candidates_below_the_threshold_and_small_stars_are_left_out():
    truth = _truth()
    network = Perfect(truth, SPACING)
    assert _predicted(truth, network, threshold=0.7).metadata["harmonicnet_objects"] == 3
    assert _predicted(truth, network, smallest_um3=1500.0).metadata["harmonicnet_objects"] == 1


def test_a_plane_is_refused():
    plane = Volume(np.ones((64, 64)), (1.0, 1.0), "YX")
    network = Perfect(_truth(), SPACING)
    refused(
        "the model tiny is for volumes, found the axes YX", _predicted, plane.array, network, plane
    )


class Blocks(torch.nn.Module):
    """Stand in for a network: balls where the mean of eight voxels is bright."""

    def __init__(self):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, eights):
        heat = 5 * eights.mean(1, keepdim=True) - 6
        ball = torch.zeros(1, (ORDER + 1) ** 2, *heat.shape[2:])
        ball[:, 0] = 1.5
        return torch.cat([heat, ball], 1)


def test_tiles_give_the_labels_of_the_whole(rng):
    image = rng.poisson(20.0, (25, 70, 61))
    for z, y, x in [(3, 9, 9), (13, 35, 31), (13, 51, 45), (23, 67, 59)]:
        image[z - 1 : z + 1, y - 1 : y + 1, x - 1 : x + 1] = 400
    volume = Volume(image.astype(np.uint16), SPACING)
    whole = _predicted(image, Blocks(), volume)
    tiled = _predicted(image, Blocks(), volume, tile=(24,) * 3, halo=(8,) * 3)
    assert whole.metadata["harmonicnet_objects"] == 4
    assert (tiled.array == whole.array).all()
