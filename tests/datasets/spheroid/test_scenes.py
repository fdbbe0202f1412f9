from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from cytosuite.datasets.spheroid.grow import grow
from cytosuite.datasets.spheroid.parameters import draw_values, parameters_from
from cytosuite.errors import InputError
from cytosuite.formats import write
from cytosuite.volume import Volume

WIDE = {"image": {"shape": (32, 128, 128), "spacing_um": (2.0, 0.5, 0.5)}}


@pytest.mark.parametrize("outline", ["ellipsoid", "shell", "irregular", "fill"])
def test_all_outlines_hold_nuclei_without_overlap(simulation, outline):
    number = "auto" if outline == "fill" else 15
    sample = simulation.make(
        WIDE, {"tissue": {"outline": outline, "n_nuclei": number, "volume_fraction": (0.2, 0.35)}}
    )
    labels = simulation.labels(sample)
    assert labels.max() == sample.metadata["n_nuclei"] >= 14
    assert 0.19 < sample.metadata["nuclear_volume_fraction"] < 0.42


def test_a_shell_has_no_nuclei_in_its_core(simulation):
    tissue = {"outline": "shell", "core": 0.6, "core_offset": 0, "n_nuclei": 20}
    tissue["volume_fraction"] = (0.15, 0.2)
    labels = simulation.labels(simulation.make(WIDE, {"tissue": tissue}))
    middle = labels[14:18, 60:68, 60:68]
    assert not middle.any()
    assert labels.any()


def test_tissue_that_fills_the_image_is_cut_by_its_borders(simulation):
    tissue = {"outline": "fill", "n_nuclei": "auto"}
    labels = simulation.labels(simulation.make(WIDE, {"tissue": tissue}))
    for axis in range(3):
        assert np.take(labels, 0, axis).any()
        assert np.take(labels, -1, axis).any()


def test_a_mask_from_a_file_says_where_nuclei_are(simulation, tmp_path):
    mask = np.zeros((20, 30, 30), np.uint8)
    mask[4:16, 3:27, 3:15] = 255
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    tissue = {
        "outline": "file",
        "masks": [str(tmp_path / "mask.tif")],
        "masks_um": (2, 2, 2),
        "n_nuclei": "auto",
    }
    labels = simulation.labels(simulation.make(WIDE, {"tissue": tissue}))
    spans = [np.ptp(np.nonzero(labels)[axis]) * s for axis, s in enumerate((2.0, 0.5, 0.5))]
    assert spans[0] < 26
    assert 35 < spans[1] < 50
    assert spans[2] < 26


def test_a_mask_smaller_than_a_nucleus_is_refused(simulation, tmp_path):
    mask = np.zeros((4, 8, 8), np.uint8)
    mask[1:3, 2:5, 2:5] = 1
    tifffile.imwrite(tmp_path / "mask.tif", mask, photometric="minisblack")
    tissue = {"outline": "file", "masks": [str(tmp_path / "mask.tif")], "masks_um": (1, 1, 1)}
    with pytest.raises(InputError, match="fit"):
        simulation.make({"tissue": tissue})


def test_an_empty_mask_and_one_without_voxel_size_are_refused(simulation, tmp_path):
    path = tmp_path / "mask.tif"
    tifffile.imwrite(path, np.zeros((4, 8, 8), np.uint8), photometric="minisblack")
    tissue = {"outline": "file", "masks": [str(path)]}
    with pytest.raises(InputError, match="the mask gives no voxel size; set tissue.masks_um"):
        simulation.make({"tissue": tissue})
    with pytest.raises(InputError, match="mask of tissue is empty"):
        simulation.make({"tissue": tissue | {"masks_um": (1, 1, 1)}})


def test_a_given_width_is_the_width(simulation):
    tissue = {"width_um": 40.0, "flattening": 0.9, "n_nuclei": "auto"}
    sample = simulation.make(WIDE, {"tissue": tissue})
    assert sample.metadata["tissue_x_um"] == pytest.approx(40, rel=0.05)
    assert sample.metadata["tissue_z_um"] == pytest.approx(36, rel=0.05)


def test_random_places_end_with_what_was_reached(simulation):
    tissue = {"arrangement": "random", "n_nuclei": 200, "width_um": 45.0, "break_criterion": 50}
    sample = simulation.make(WIDE, {"tissue": tissue})
    assert 0 < sample.metadata["n_nuclei"] < 150
    assert 0.05 < sample.metadata["nuclear_volume_fraction"] < 0.35


def test_kinds_have_their_own_size_and_are_mapped(simulation):
    kinds = [
        {"name": "large", "share": 1, "diameter_um": 9.0},
        {"name": "small", "share": 1, "diameter_um": 5.0, "brightness": 3.0},
    ]
    plain = {"diameter_spread": 0, "mitotic_fraction": 0}
    sample = simulation.make(WIDE, {"nucleus": plain, "kinds": kinds, "tissue": {"n_nuclei": 30}})
    labels, kinds_map = simulation.labels(sample), sample.companions["cell-kinds"].array
    assert ((kinds_map > 0) == (labels > 0)).all()
    numbers = range(1, labels.max() + 1)
    kind = ndimage.maximum(kinds_map, labels, numbers)
    assert (ndimage.minimum(kinds_map, labels, numbers) == kind).all()
    sizes = np.bincount(labels.ravel())[1:]
    assert sizes[kind == 1].min() > 2 * sizes[kind == 2].max()
    assert {"large_diameter_um", "small_diameter_um"} <= set(sample.metadata)


def test_a_subculture_keeps_its_kind_together(simulation):
    kinds = [{"name": "host"}, {"name": "guest", "share": 0}]
    guests = [{"kind": "guest", "diameter_um": 22.0}]
    wide = {"image": {"shape": (40, 160, 160)}}
    sample = simulation.make(
        wide,
        {
            "kinds": kinds,
            "subcultures": guests,
            "tissue": {"n_nuclei": 40, "volume_fraction": (0.15, 0.3)},
        },
    )
    kinds_map = sample.companions["cell-kinds"].array
    where = np.argwhere(kinds_map == 2) * np.array([2.0, 0.5, 0.5])
    assert len(where)
    assert np.ptp(where, axis=0).max() < 32
    assert np.count_nonzero(kinds_map == 1) > 3 * len(where)


def test_dying_nuclei_are_seen_and_not_labelled(simulation):
    dying = {"nucleus": {"apoptotic_fraction": 1.0}, "tissue": {"n_nuclei": 12}}
    sample = simulation.make(dying, {"camera": {"photons": 100}})
    assert sample.metadata["n_nuclei"] == 0
    assert sample.metadata["n_dying"] == 12
    assert simulation.image(sample).max() > 400


def test_debris_changes_the_image_and_not_the_labels(simulation, sample):
    litter = {"debris": {"bodies": 6, "body_brightness": 2.0, "blobs": 4, "blob_brightness": 0.3}}
    other = simulation.make(litter)
    assert (simulation.labels(other) == simulation.labels(sample)).all()
    assert simulation.image(other).sum() > simulation.image(sample).sum()


def test_each_nucleus_sits_in_its_own_cell(simulation):
    sample = simulation.make({"cells": {"enabled": True}, "nucleus": {"mitotic_fraction": 0}})
    nuclei, cells = simulation.labels(sample), sample.companions["cell-labels"].array
    assert cells.max() == nuclei.max() == sample.metadata["n_cells"]
    inside = [np.bincount(cells[nuclei == n]).max() for n in range(1, nuclei.max() + 1)]
    assert sum(inside) >= 0.995 * np.count_nonzero(nuclei)
    for number in range(1, cells.max() + 1):
        assert ndimage.label(cells == number)[1] == 1
    volume = np.count_nonzero(cells) * 0.5
    assert volume == pytest.approx(sample.metadata["tissue_volume_um3"], rel=0.03)


def test_membranes_shine_at_the_borders_of_cells(simulation):
    cells = {"cells": {"enabled": True}, "output": {"channel": "membrane"}}
    sample = simulation.make(cells, {"camera": {"photons": 200}})
    image, labels = simulation.image(sample).astype(float), simulation.labels(sample)
    assert sample.volume("microscopy-image").metadata["channel"] == "membrane"
    assert set(sample.companions) == {"nucleus-image", "nucleus-labels"}
    deep = ndimage.minimum_filter(labels, (1, 5, 5)) == ndimage.maximum_filter(labels, (1, 5, 5))
    edge = ndimage.minimum_filter(labels, (1, 3, 3)) != ndimage.maximum_filter(labels, (1, 3, 3))
    assert image[edge].mean() > 1.4 * image[deep & (labels > 0)].mean()


def test_walls_bleed_through_into_the_nuclei_and_change_no_label(simulation):
    bright = {"camera": {"photons": 200}}
    plain = simulation.make(simulation.plain, bright)
    seen = {
        share: simulation.make(simulation.plain, bright, {"cells": {"bleed_through": share}})
        for share in (0.0, 0.2, 0.4)
    }
    np.testing.assert_array_equal(simulation.image(seen[0.0]), simulation.image(plain))
    for sample in seen.values():
        np.testing.assert_array_equal(simulation.labels(sample), simulation.labels(plain))
        assert not sample.companions  # the cells have no channel of their own
    walls = {
        s: simulation.image(m).astype(float) - simulation.image(plain) for s, m in seen.items()
    }
    assert walls[0.4].sum() == pytest.approx(2 * walls[0.2].sum(), rel=0.05)
    cells = simulation.make({"cells": {"enabled": True}}).companions["cell-labels"].array
    edge = ndimage.minimum_filter(cells, (1, 3, 3)) != ndimage.maximum_filter(cells, (1, 3, 3))
    assert walls[0.4][edge].mean() > 1.4 * walls[0.4][(cells > 0) & ~edge].mean()


def test_an_uneven_glow_keeps_its_mean(simulation):
    def glow(**optics):
        """Return the counts of the tissue without nuclei."""
        wanted = {"cytoplasm": 0.5, "attenuation": "none", **optics}
        sample = simulation.make(
            simulation.plain,
            {"tissue": {"outline": "fill", "n_nuclei": 1}, "optics": wanted},
            {"camera": {"photons": 300}},
        )
        far = ndimage.binary_dilation(simulation.labels(sample) > 0, iterations=8)
        return simulation.image(sample)[~far].astype(float) - 100

    even, uneven = glow(), glow(cytoplasm_spread=0.6, cytoplasm_um=1.5)
    assert uneven.mean() == pytest.approx(even.mean(), rel=0.05)
    assert uneven.std() > 3 * even.std()
    finer = glow(cytoplasm_spread=0.6, cytoplasm_um=0.5)
    assert finer.std() < uneven.std()  # the blur evens out small parts


def test_new_ranges_leave_the_draws_of_a_recipe_as_they_were(simulation):
    wide = {"cells": {"bleed_through": [0.1, 0.4]}, "optics": {"cytoplasm_spread": [0.1, 0.4]}}
    before, after = simulation.make(), simulation.make(wide)
    changed = {"bleed_through", "cytoplasm_spread", "snr"}
    for name, value in before.metadata.items():
        assert after.metadata[name] == value or name in changed
    assert 0.1 <= after.metadata["bleed_through"] <= 0.4


def test_visible_labels_follow_the_axial_blur(simulation):
    blur = {"optics": {"psf_sigma_z_um": 3.0, "haze": 0.0}, "tissue": {"n_nuclei": 5}}
    shape, seen, widened = (
        simulation.make(blur, {"labels": {"style": style, "level": 0.2}})
        for style in ("shape", "visible", "widened")
    )
    heights = [
        np.mean([b[0].stop - b[0].start for b in ndimage.find_objects(simulation.labels(s))])
        for s in (shape, seen, widened)
    ]
    assert heights[1] > heights[0] + 1.5
    assert heights[2] > heights[0] + 1.5


def test_visible_labels_follow_the_stack_of_their_depth(simulation, tmp_path):
    names = []
    for number, height in enumerate((0.6, 3.0)):
        z, y, x = np.indices((25, 9, 9)) - np.array([12, 4, 4])[:, None, None, None]
        stack = 1000 * np.exp(-0.5 * (z / height) ** 2 - 0.5 * (y**2 + x**2))
        names.append(str(tmp_path / f"bead{number}.tif"))
        write(Path(names[-1]), Volume(stack.astype(np.float32), (1.0, 0.3, 0.3), "ZYX"))
    optics = {"psf": "file", "psf_files": names}
    tissue = {"outline": "fill", "n_nuclei": "auto", "volume_fraction": 0.1}
    view = {"shape": (40, 64, 64), "spacing_um": (2.0, 0.8, 0.8)}
    style = {"style": "visible", "level": 0.2}
    round_ = {"axis_spread": 0, "diameter_spread": 0, "mitotic_fraction": 0, "diameter_um": 6}
    sample = simulation.make(
        {"optics": optics, "tissue": tissue, "image": view, "labels": style, "nucleus": round_}
    )
    boxes = ndimage.find_objects(simulation.labels(sample))
    heights = {
        half: np.median(
            [b[0].stop - b[0].start for b in boxes if low <= b[0].start and b[0].stop <= high]
        )
        for half, low, high in (("front", 1, 16), ("back", 26, 39))
    }
    assert heights["back"] > heights["front"] + 1


def test_visible_levels_are_kept_with_the_stages(simulation):
    changes = {"labels": {"style": "visible", "level": 0.1}, "output": {"steps": True}}
    sample = simulation.make(changes)
    levels, labels = sample.companions["visible-level"].array, simulation.labels(sample)
    assert ((levels > 0) == (labels > 0)).all()
    assert 0.1 <= levels[labels > 0].min() < 0.2
    assert levels.max() <= 1


def test_nuclei_too_faint_to_see_lose_their_labels(simulation):
    faint = {"camera": {"photons": 2, "read_noise": 2}}
    seen = simulation.make(faint, {"labels": {"visibility": 1.0}})
    assert simulation.labels(seen).max() < simulation.labels(simulation.make(faint)).max()


def test_a_draw_too_dense_to_pack_is_lowered_within_its_range(simulation):
    changes = {"tissue": {"n_nuclei": 8, "volume_fraction": (0.2, 0.55)}}
    parameters = parameters_from(simulation.small(changes))
    rng = np.random.default_rng(0)
    drawn = draw_values(rng, parameters) | {"volume_fraction": 0.55}
    assert 0.2 < grow(rng, parameters, drawn).volume_fraction < 0.5


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_few_nuclei_fill_what_they_can(simulation, count):
    sample = simulation.make({"tissue": {"n_nuclei": count}, "nucleus": {"mitotic_fraction": 0}})
    assert sample.metadata["n_nuclei"] == count
    assert 0.12 < sample.metadata["nuclear_volume_fraction"] < 0.45


def test_explains_a_density_that_cannot_be_packed(simulation):
    with pytest.raises(InputError, match=r"after \d+ rounds .* free of overlap") as caught:
        simulation.make(WIDE, {"tissue": {"n_nuclei": 24, "volume_fraction": 0.55}})
    assert "\n" not in str(caught.value)


def test_flat_nuclei_lie_along_the_surface_if_wanted(simulation):
    flat = {"flat_fraction": 1.0, "mitotic_fraction": 0, "axis_spread": 0}
    tissue = {"width_um": 42.0, "n_nuclei": 12, "flattening": 1.0}
    tilts = []
    for along in (False, True):
        changes = {"nucleus": flat | {"flat_along_surface": along}, "tissue": tissue}
        parameters = parameters_from(simulation.small(WIDE, changes))
        spheroid = grow(
            np.random.default_rng(0), parameters, draw_values(np.random.default_rng(0), parameters)
        )
        points = spheroid.parts[0][1] - np.asarray(spheroid.outline.centre_um)
        radii = np.linalg.norm(points, axis=1)
        outer = radii > 12
        shortest = spheroid.parts[0][0].rotations[outer][:, :, 0]
        cosines = np.abs((shortest * (points / radii[:, None])[outer]).sum(axis=1))
        tilts.append(np.median(cosines))
    assert tilts[1] > 0.95 > tilts[0]


def test_several_outlines_are_drawn_from(simulation):
    tissue = {"outline": ["ellipsoid", "fill"], "width_um": 25, "n_nuclei": "auto"}
    widths = {
        round(simulation.make({"tissue": tissue}, seed=seed).metadata["tissue_x_um"]) > 40
        for seed in range(6)
    }
    assert widths == {True, False}


def test_nuclei_shrink_with_their_number(simulation):
    sizes = [
        simulation.make(
            {"tissue": {"n_nuclei": n, "shrinkage": 0.3}, "nucleus": {"diameter_spread": 0}}
        ).metadata["diameter_um"]
        for n in (5, 20)
    ]
    assert sizes[0] / sizes[1] == pytest.approx(4**0.3, rel=1e-6)


def test_stored_nuclei_take_the_place_of_drawn_ones(simulation, tmp_path):
    from cytosuite.datasets.phantoms.library import write_phantom
    from cytosuite.datasets.phantoms.procedural import draw_library

    for phantom in draw_library(np.random.default_rng(0), 3, (0.8, 0.4, 0.4), diameter_um=7.0):
        write_phantom(tmp_path, phantom)
    stored = {"nucleus": {"phantoms": str(tmp_path)}, "tissue": {"n_nuclei": 10}}
    sample = simulation.make(stored)
    assert sample.metadata["n_nuclei"] == 10
    assert sample.metadata["mean_volume_um3"] == pytest.approx(np.pi / 6 * 7**3, rel=0.25)
