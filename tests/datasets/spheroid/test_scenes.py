import numpy as np
import pytest
import tifffile
from mistakes import refused
from rasters import away_from
from spheroids import image_of, labels_of, make, small

from cytosuite.datasets.spheroid.grow import grow
from cytosuite.datasets.spheroid.parameters import Parameters, draw_values

WIDE = {"image": {"shape": (32, 128, 128), "spacing_um": (2.0, 0.5, 0.5)}}


def _drawn(*changes, seed=0):
    """Return generator, parameters and drawn values of a small recipe."""
    parameters = Parameters.model_validate(small(*changes))
    rng = np.random.default_rng(seed)
    return rng, parameters, draw_values(rng, parameters)


def _grown(*changes, seed=0):
    return grow(*_drawn(*changes, seed=seed))


def test_a_mask_from_a_file_says_where_nuclei_are(tmp_path):
    mask = np.zeros((20, 30, 30), np.uint8)
    mask[4:16, 3:27, 3:15] = 255
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    tissue = {
        "outline": "file",
        "masks": [str(tmp_path / "mask.tif")],
        "masks_um": (2, 2, 2),
        "n_nuclei": "auto",
    }
    labels = labels_of(make(WIDE, {"tissue": tissue}))
    spans = [np.ptp(np.nonzero(labels)[axis]) * s for axis, s in enumerate((2.0, 0.5, 0.5))]
    assert spans[0] < 26
    assert 35 < spans[1] < 50
    assert spans[2] < 26


def test_a_mask_without_voxel_size_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "mask.tif", np.ones((4, 8, 8), np.uint8), photometric="minisblack")
    tissue = {"outline": "file", "masks": [str(tmp_path / "mask.tif")]}
    refused("the mask gives no voxel size; set tissue.masks_um", make, {"tissue": tissue})


def test_a_given_width_is_the_width():
    sample = make({"tissue": {"width_um": 40.0, "flattening": 0.9, "n_nuclei": 8}})
    assert sample.metadata["tissue_x_um"] == pytest.approx(40, rel=0.05)
    assert sample.metadata["tissue_z_um"] == pytest.approx(36, rel=0.05)


def test_dying_nuclei_are_seen_and_not_labelled():
    dying = {"nucleus": {"apoptotic_fraction": 1.0}, "tissue": {"n_nuclei": 12}}
    sample = make(dying, {"camera": {"photons": 100}})
    assert sample.metadata["n_nuclei"] == 0
    assert sample.metadata["n_dying"] == 12
    assert image_of(sample).max() > 400


def test_new_ranges_leave_the_draws_of_a_recipe_as_they_were():
    wide = {"cells": {"bleed_through": [0.1, 0.4]}, "optics": {"cytoplasm_spread": [0.1, 0.4]}}
    before, after = (_drawn(changes)[2] for changes in ({}, wide))
    assert 0.1 <= after["bleed_through"] <= 0.4
    assert before | {name: after[name] for name in ("bleed_through", "cytoplasm_spread")} == after


def test_nuclei_too_faint_to_see_lose_their_labels():
    faint = {"camera": {"photons": 2, "read_noise": 2}}
    assert (
        labels_of(make(faint, {"labels": {"visibility": 1.0}})).max() < labels_of(make(faint)).max()
    )


def test_a_draw_too_dense_to_pack_is_lowered_within_its_range():
    rng, parameters, drawn = _drawn({"tissue": {"n_nuclei": 4, "volume_fraction": (0.2, 0.55)}})
    assert 0.2 < grow(rng, parameters, drawn | {"volume_fraction": 0.55}).volume_fraction < 0.5


def test_several_outlines_are_drawn_from():
    tissue = {"outline": ["ellipsoid", "fill"], "width_um": 25, "n_nuclei": 2}
    regions = [_grown({"tissue": tissue}, seed=seed).outline.living for seed in range(6)]
    assert {np.ptp(region.box_um[:, 2]) > 40 for region in regions} == {True, False}


def test_a_shell_gets_thick_enough_for_a_few_large_nuclei():
    shell = {"outline": "shell", "core": 0.85, "n_nuclei": 3, "width_um": 40.0, "flattening": 1}
    scene = _grown({"tissue": shell, "nucleus": {"diameter_um": 12.0}})
    assert len(scene.packed.centres_um) == 3  # each wider than a shell of that core


def test_light_of_a_measured_stack_is_spread_as_the_stack_says(tmp_path):
    from cytosuite.formats import write
    from cytosuite.volume import Volume

    stack = 1000 * np.exp(-(away_from((7, 10, 10), (15, 21, 21)) ** 2) / 8)
    stack[8:] *= 1.5
    path = tmp_path / "bead.tif"
    write(path, Volume(stack.astype(np.float32), (0.8, 0.25, 0.25), "ZYX"))
    optics = {"psf": "file", "psf_files": [str(path)], "attenuation": "none"}
    measured = make({"optics": optics, "camera": {"photons": 300}})
    gauss = {"psf_sigma_z_um": 1.6, "psf_sigma_xy_um": 0.5, "haze": 0, "attenuation": "none"}
    gaussian = make({"optics": gauss, "camera": {"photons": 300}})
    images = [image_of(s).astype(float) for s in (measured, gaussian)]
    assert np.corrcoef(images[0].ravel(), images[1].ravel())[0, 1] > 0.95
    assert images[0].sum() == pytest.approx(images[1].sum(), rel=0.02)


EMBRYO = {
    "image": {"shape": (40, 80, 80), "spacing_um": (1.5, 0.8, 0.8)},
    "tissue": {"outline": "blastocyst", "n_nuclei": 26, "volume_fraction": 0.25},
    "nucleus": {"diameter_um": 9.0, "flat_fraction": 0.6, "flat_along_surface": True},
}
CROWD = {"tissue": {"contact": 0.06, "max_overlap": 0.1, "may_be_cut": True}}


@pytest.mark.parametrize("width", [{}, {"width_um": 64.0}])
def test_flat_nuclei_of_a_blastocyst_lie_along_its_surface_and_the_others_in_the_mass(width):
    tissue = {"n_nuclei": 80, "core": 0.75, "inner": 0.4, "may_be_cut": True}
    scene = _grown(EMBRYO, {"tissue": tissue | width, "nucleus": {"diameter_um": 7.0}}, seed=3)
    (living, _), (whole, layer, mass) = scene.packed.parts, scene.outline.homes
    places = scene.packed.centres_um
    axes = living.semi_axes_um
    outer = layer.distance_at(places) < 0
    inner = mass.distance_at(places) < 0
    assert (outer ^ inner).all()
    assert inner.sum() == pytest.approx(80 * 0.4, abs=6)
    assert scene.inner[1] == pytest.approx(0.25, abs=0.06)
    flat = axes.max(axis=1) / axes.min(axis=1)
    assert np.median(flat[outer]) > 1.5 * np.median(flat[inner])
    shortest = living.rotations[np.arange(len(axes)), :, axes.argmin(axis=1)]
    assert np.abs((shortest * whole.normals_at(places)).sum(axis=1))[outer].min() > 0.99


def test_a_crowd_has_the_contacts_that_it_says_and_labels_of_one_piece():
    sample = make(EMBRYO, CROWD)
    assert sample.metadata["contact_share"] == pytest.approx(0.06, abs=0.02)
    assert "contact" not in sample.metadata.get("missed", "")
    labels = labels_of(sample)
    pairs = np.unique(np.stack([labels[..., 1:], labels[..., :-1]]).reshape(2, -1), axis=1)
    assert np.count_nonzero((pairs[0] != pairs[1]) & pairs.all(axis=0)) > 5


def test_what_cannot_be_met_is_said_in_one_line():
    loose = {"tissue": {"contact": 0.4, "volume_fraction": 0.1}}
    assert make(EMBRYO, CROWD, loose).metadata["missed"].startswith("contact 0.4 asked, 0.")
    dense = {"tissue": {"arrangement": "random", "volume_fraction": 0.5}}
    assert make(dense).metadata["missed"].startswith("volume_fraction 0.5 asked, 0.")
    metadata = make({"tissue": {"n_nuclei": 6, "width_um": 40.0}}).metadata
    assert not {"volume_fraction", "missed"} & set(metadata)


@pytest.mark.parametrize("style", ["shape", "widened", "visible"])
def test_looseness_of_labels_leaves_the_image_as_it_is(style):
    few = {"tissue": {"n_nuclei": 4, "volume_fraction": 0.15}}
    samples = [make(few, {"labels": {"style": style, "loose_um": um}}) for um in (-0.5, 0.0, 0.5)]
    assert len({image_of(sample).tobytes() for sample in samples}) == 1
    tight, even, loose = (np.count_nonzero(labels_of(sample)) for sample in samples)
    assert tight < 0.9 * even < 0.8 * loose
