import numpy as np
import pytest
from mistakes import refused

from cytosuite.datasets.membrane.parameters import Parameters, draw_values
from cytosuite.datasets.membrane.structures import ball_um3, build


def _build(structure, **values):
    parameters = Parameters(structure=structure, **values)
    rng = np.random.default_rng(0)
    return build(rng, parameters, draw_values(rng, parameters)), parameters


@pytest.mark.parametrize("cell, spacing", [(6.0, (0.5, 0.5, 0.5)), (9.0, (1.5, 0.75, 0.5))])
def test_cells_of_tissue_have_the_wanted_volume_whatever_the_voxels(maker, cell, spacing):
    shape = tuple(round(45 / step) for step in spacing)
    sample = maker("tissue", shape=shape, spacing_um=spacing, cell_um=cell, microscope=False)
    seeds = sample.extras["seeds"].array
    inner = tuple(slice(size // 5, size - size // 5) for size in shape)
    room = np.prod([(s.stop - s.start) * step for s, step in zip(inner, spacing, strict=True)])
    assert room / seeds[inner].sum() == pytest.approx(ball_um3(cell), rel=0.15)


def test_a_meristem_is_a_dome_with_its_top_at_the_first_plane():
    anatomy, parameters = _build("meristem", bumps=0.0, extent=0.9)
    area = anatomy.inside.sum(axis=(1, 2))
    assert (np.diff(area.astype(int)) >= 0).all()
    assert area[0] == 0
    z, y, x = (0.9 * size for size in parameters.image.detector.size_um)
    volume = anatomy.inside.sum() * np.prod(parameters.image.spacing_um)
    assert volume == pytest.approx(2 / 3 * np.pi * z * y / 2 * x / 2, rel=0.02)


def test_cells_of_a_meristem_grow_from_layer_to_layer(maker):
    def sizes(growth):
        sample = maker(
            "meristem", shape=(80, 120, 120), spacing_um=(0.5,) * 3, growth=growth, cell_um=6.0,
            rounding=0.0, microscope=False, bumps=0.0,
        )  # fmt: skip
        labels = sample.volume("instance-labels")
        away = sample.extras["seeds"].array > 0
        ticks = np.argwhere(away) * 0.5 - (40, 30, 30)
        depth = 1 - np.linalg.norm(ticks / (38, 28.5, 28.5), axis=1)
        volume = np.bincount(labels.array.ravel())[labels.array[away]] / 8
        inner = ticks[:, 0] < -8
        return volume[inner & (depth < 0.15)].mean(), volume[inner & (depth > 0.4)].mean()

    outer, inner = sizes(1.25)
    assert outer == pytest.approx(ball_um3(6.0), rel=0.15)
    assert inner > 1.5 * outer
    same = sizes(1.0)
    assert same[1] == pytest.approx(same[0], rel=0.25)


def test_a_shell_thins_towards_the_ends_of_x_and_has_yolk_inside():
    anatomy, parameters = _build("shell", shape=(80, 160, 320), thickness_um=10.0, thinning=0.5)
    z, y, x = (size // 2 for size in parameters.image.shape)
    assert anatomy.inside[z, :, x].sum() * 0.5 == pytest.approx(20, abs=1)
    assert anatomy.inside[z, y].sum() * 0.5 == pytest.approx(
        10, rel=0.15
    )  # half as thick at each end
    assert not anatomy.inside[z, y, x]
    assert anatomy.depth_um[z, y, x] == pytest.approx(38, rel=0.05)


def test_cells_of_a_shell_are_one_layer_of_the_wanted_area():
    anatomy, _ = _build(
        "shell", shape=(80, 160, 240), cell_um=6.0, thickness_um=8.0, thinning=0.0, extent=0.9
    )
    p = 1.6075
    areas = []
    for axes in ([36.0, 36.0, 54.0], [28.0, 28.0, 46.0]):  # half of them, outside and inside
        mean = np.mean(np.multiply(axes, np.roll(axes, 1)) ** p)
        areas.append(4 * np.pi * mean ** (1 / p))  # Thomsen's formula, to 1 %
    assert np.mean(areas) / len(anatomy.centres_um) == pytest.approx(np.pi / 4 * 36, rel=0.12)


def test_cells_of_a_map_widen_away_from_the_equator(maker):
    def widths(latitude):
        labels = maker("cartographic", shape=(12, 160, 240), cell_um=5.0, latitude_deg=latitude)
        labels = labels.volume("instance-labels").array[6]
        runs = 1 + (np.diff(labels.astype(int), axis=1) != 0).sum(axis=1)
        return 240 / runs[[*range(5, 20), *range(140, 155)]].mean(), 240 / runs[70:90].mean()

    edge, equator = widths(65.0)
    assert edge / equator == pytest.approx(1 / np.cos(np.deg2rad(55)), rel=0.2)
    edge, equator = widths(5.0)
    assert edge / equator == pytest.approx(1, rel=0.15)


@pytest.mark.parametrize(
    "structure, values, message",
    [
        (
            "shell",
            {"thickness_um": 40.0},
            "a shell of 40 µm has no room in an ellipsoid of 30.4 µm",
        ),
        (
            "cartographic",
            {"thickness_um": 65.0},
            "a sheet of 65 µm has no room in an image of 64 µm",
        ),
        (
            "cartographic",
            {"shape": (16, 60, 128), "latitude_deg": 85.0, "thickness_um": 5.0},
            "the map is 64 µm wide, but the equator",
        ),
    ],
)
def test_refuses_structures_without_room(structure, values, message):
    refused(message, _build, structure, **values)


def test_a_map_may_be_nearly_as_wide_as_its_equator():
    _build("cartographic", shape=(16, 64, 128), latitude_deg=85.0, thickness_um=5.0)
