import numpy as np
import pytest
from scipy import ndimage

from cytosuite import large
from cytosuite.datasets.physics import grid
from cytosuite.datasets.spheroid.parameters import draw_values, parameters_from


def test_image_and_labels_are_of_one_scene(sample):
    image, labels = sample.volume("microscopy-image"), sample.volume("instance-labels")
    assert image.shape == labels.shape == (24, 96, 96)
    assert image.spacing == labels.spacing == (2.0, 0.5, 0.5)
    assert image.array.dtype == labels.array.dtype == np.uint16
    assert image.metadata["channel"] == "nucleus"
    inside = image.array[labels.array > 0].mean()
    assert inside - 100 > 3 * (image.array[labels.array == 0].mean() - 100)


def test_labels_are_whole_and_consecutive(sample, simulation):
    labels = simulation.labels(sample)
    assert np.unique(labels).tolist() == list(range(sample.metadata["n_nuclei"] + 1))
    for number in range(1, labels.max() + 1):
        assert ndimage.label(labels == number)[1] == 1
        assert np.count_nonzero(labels == number) >= 20


def test_labels_have_the_volume_of_the_nuclei(sample, simulation):
    volume = np.count_nonzero(simulation.labels(sample)) * 0.5
    expected = sample.metadata["n_simulated"] * sample.metadata["mean_volume_um3"]
    assert volume == pytest.approx(expected, rel=0.03)


def test_labels_have_the_volume_of_the_nuclei_on_a_fine_grid_to_two_percent(simulation):
    fine = {"image": {"shape": (96, 192, 192), "spacing_um": (0.5, 0.25, 0.25)}}
    sample = simulation.make(
        fine, {"image": {"oversampling": (1, 1, 1)}, "tissue": {"n_nuclei": 10}}
    )
    volume = np.count_nonzero(simulation.labels(sample)) * 0.5 * 0.25**2
    expected = sample.metadata["n_simulated"] * sample.metadata["mean_volume_um3"]
    assert volume == pytest.approx(expected, rel=0.02)


def test_same_seed_gives_the_same_bytes(sample, simulation):
    again = simulation.make()
    for read in (simulation.image, simulation.labels):
        assert read(again).tobytes() == read(sample).tobytes()
    assert again.metadata == sample.metadata


def test_other_seed_gives_another_scene(sample, simulation):
    other = simulation.make(seed=1)
    assert (simulation.labels(other) != simulation.labels(sample)).any()
    assert other.metadata["photons"] != sample.metadata["photons"]


def test_another_camera_leaves_the_nuclei_where_they_were(sample, simulation):
    camera = {"camera": {"gain": 2.0, "read_noise": 5.0}, "optics": {"psf_sigma_z_um": 3.0}}
    other = simulation.make(camera)
    assert (simulation.labels(other) == simulation.labels(sample)).all()
    assert (simulation.image(other) != simulation.image(sample)).any()


def test_global_random_state_does_not_count(sample, simulation):
    np.random.seed(7)  # noqa: NPY002
    assert (simulation.image(simulation.make()) == simulation.image(sample)).all()


def test_metadata_is_flat_and_physical(sample, simulation):
    assert all(type(value) in (int, float, str) for value in sample.metadata.values())
    known = {name: (low, high) for name, low, high in parameters_from(simulation.small()).ranges()}
    checked = 0
    for name, value in sample.metadata.items():
        if name in known:
            assert known[name][0] <= value <= known[name][1] or name == "n_nuclei"
            checked += 1
    assert checked > 15
    assert 0 < sample.metadata["nuclear_volume_fraction"] < 0.55
    assert sample.metadata["snr"] > 0


def test_conditions_are_what_was_made_and_measured(sample, simulation):
    known = sample.conditions
    assert known["objects"] == sample.metadata["n_nuclei"]
    assert known["density [%]"] == 100 * sample.metadata["nuclear_volume_fraction"]
    dim = simulation.make({"camera": {"photons": sample.metadata["photons"] / 4}})
    assert 0 < dim.conditions["signal / noise"] < 0.6 * known["signal / noise"]


def test_eight_bits_and_an_exposure(simulation):
    camera = {"bits": 8, "offset": 10, "exposure": 0.9, "photons": 200}
    sample = simulation.make({"camera": camera})
    image, labels = simulation.image(sample), simulation.labels(sample)
    assert image.dtype == np.uint8
    assert 0.75 * 255 < np.quantile(image[labels > 0], 0.9999) <= 255
    assert sample.metadata["gain"] != 4.0


def test_stages_are_kept_on_request(simulation):
    sample = simulation.make({"output": {"steps": True}})
    names = ["step-1-dye", "step-2-attenuated", "step-3-light", "step-4-counts"]
    assert sorted(sample.companions) == names
    dye, dim, light, counts = (sample.companions[name].array for name in names)
    assert (dim <= dye + 1e-5).all()
    assert dim.sum() < dye.sum()
    assert light.std() < dim.std()
    assert (counts == simulation.image(sample)).all()


def test_a_case_needs_no_companions(sample):
    assert not sample.companions


def test_light_from_the_last_plane_turns_the_stack_over(simulation):
    lit = {"optics": {"attenuation_um": 20.0}, "tissue": {"middle": 0.4}}
    first = simulation.make(lit)
    last = simulation.make(lit, {"optics": {"objective": "last"}, "output": {"steps": True}})
    assert (simulation.image(last) == simulation.image(first)[::-1]).all()
    assert (simulation.labels(last) == simulation.labels(first)[::-1]).all()
    light = last.companions["step-1-dye"].array  # every stage lies on the same side
    inside = simulation.labels(last) > 0
    assert light[inside].mean() > 3 * light[~inside].mean()


def test_tissue_lies_as_deep_as_wanted(simulation):
    def depth(share):
        low = {"n_nuclei": 5, "middle": share}
        labels = simulation.labels(simulation.make({"tissue": low}))
        return np.mean(np.nonzero(labels)[0]) / 24

    assert depth(0.5) == pytest.approx(0.5, abs=0.06)
    assert depth(0.3) - depth(0.5) == pytest.approx(-0.2, abs=0.05)


def test_photons_fade_with_the_number_of_nuclei():
    few, many = ({"tissue": {"n_nuclei": n, "may_be_cut": True}} for n in (5, 80))
    for values in (few, many):
        values["camera"] = {"photons": 40.0, "fading": 0.5}
    drawn = [
        draw_values(np.random.default_rng(0), parameters_from(v))["photons"] for v in (few, many)
    ]
    assert drawn == pytest.approx([80, 20])


def test_tissue_may_be_cut_by_the_image_where_a_recipe_says_so(simulation):
    large = {"tissue": {"n_nuclei": 200, "may_be_cut": True}}
    made = simulation.make(large)
    assert made.metadata["n_nuclei"] < 0.8 * made.metadata["n_simulated"]


def test_labels_reach_into_the_haze_where_annotators_do(simulation):
    seen = {
        "tissue": {"n_nuclei": 4},
        "labels": {"style": "visible", "level": 0.05},
        "optics": {"haze": 0.4, "haze_sigma_um": [6.0, 2.0, 2.0]},
    }
    heights = []
    for haze in (False, True):
        labels = simulation.labels(simulation.make(seen, {"labels": {"haze": haze}}))
        heights.append(
            np.mean([box[0].stop - box[0].start for box in ndimage.find_objects(labels)])
        )
    assert heights[1] > 1.2 * heights[0]


def test_labels_drawn_plane_by_plane_are_taller_and_no_wider(simulation):
    def extents(plane_level):
        drawn = {"style": "visible", "level": 0.3, "plane_level": plane_level}
        seen = {"labels": drawn, "tissue": {"n_nuclei": 4}, "nucleus": {"mitotic_fraction": 0}}
        labels = simulation.labels(simulation.make(simulation.plain, seen))
        boxes = ndimage.find_objects(labels)
        return np.mean([[part.stop - part.start for part in box] for box in boxes], axis=0)

    (height, *width), (taller, *same), (lower, *_) = map(extents, (0, 0.03, 0.6))
    assert taller > 1.2 * height
    assert same == pytest.approx(width, rel=0.12)
    assert lower < height


def test_things_appear_taller_where_refractive_indices_differ(simulation):
    round_nuclei = {"tissue": {"n_nuclei": 6}, "nucleus": {"axis_spread": 0, "mitotic_fraction": 0}}
    ratios = []
    for stretch in (1.0, 1.4):
        made = simulation.make(round_nuclei, {"image": {"stretch": stretch}})
        assert made.volume("instance-labels").spacing == (2.0, 0.5, 0.5)
        boxes = ndimage.find_objects(simulation.labels(made))
        sizes = [[s.stop - s.start for s in box] for box in boxes]
        ratios.append(np.mean([2.0 * z / (0.25 * (y + x)) for z, y, x in sizes]))
    assert ratios[0] == pytest.approx(1, abs=0.15)
    assert ratios[1] / ratios[0] == pytest.approx(1.4, rel=0.1)


def test_a_shell_gets_thick_enough_for_a_few_large_nuclei(simulation):
    shell = {"outline": "shell", "core": 0.85, "n_nuclei": 3, "width_um": 40.0, "flattening": 1}
    made = simulation.make({"tissue": shell, "nucleus": {"diameter_um": 12.0}})
    assert made.metadata["n_simulated"] >= 3  # each wider than a shell of that core


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "labels": {"style": "visible", "visibility": 1.0},
            "optics": {"objective": "last", "haze": 0.2},
            "output": {"steps": True},
        },
        {
            "labels": {"style": "widened"},
            "camera": {"exposure": 0.8},
            "cells": {"enabled": True},
            "output": {"channel": "membrane"},
            "kinds": [{"name": "one", "share": 1}, {"name": "two", "share": 1}],
        },
    ],
    ids=["shape", "visible", "widened"],
)
def test_arrays_on_disk_hold_the_bytes_of_those_in_memory(
    simulation, monkeypatch, tmp_path, changes
):
    whole = simulation.make(changes)
    monkeypatch.setattr(large, "fits", lambda _: False)
    monkeypatch.setattr(grid, "SLAB", 5 * 96 * 96)
    monkeypatch.setenv(large.SCRATCH, str(tmp_path))
    slabs = simulation.make(changes)
    assert (slabs.metadata, slabs.conditions) == (whole.metadata, whole.conditions)
    assert set(slabs.companions) == set(whole.companions)
    others = {**slabs.sockets, **slabs.companions}
    for name, volume in {**whole.sockets, **whole.companions}.items():
        assert others[name].array.tobytes() == volume.array.tobytes(), name
        assert large.is_mapped(others[name].array), name
