import json
from dataclasses import replace

import numpy as np
import pytest
from mistakes import refused

from cytosuite.bodies.grid import Grid
from cytosuite.datasets.phantoms.build import Cutting, extract, extract_to, render
from cytosuite.datasets.phantoms.library import read_library
from cytosuite.datasets.physics import bodies
from cytosuite.datasets.physics.bodies import chromatin_tile
from cytosuite.datasets.physics.shapes import draw_nuclei
from cytosuite.files import read_json
from cytosuite.formats import write
from cytosuite.volume import Volume

SPACING = (1.0, 0.5, 0.5)
FINE = (0.4, 0.4, 0.4)
CORNERS = [(2, 4, 4), (2, 18, 18), (0, 4, 18)]  # the last one touches the first slice

BALL = ((4, 8, 8), (6, 8, 8), 50)


def _stack(cubes, shape=(20, 40, 40), background=100):
    """Return image and labels; a cube is (corner, edges, grey value above the background)."""
    image = np.full(shape, background, np.float32)
    labels = np.zeros(shape, np.uint16)
    for label, (corner, edges, grey) in enumerate(cubes, 1):
        box = tuple(slice(a, a + n) for a, n in zip(corner, edges, strict=True))
        labels[box] = label
        image[box] += grey
    return Volume(image, SPACING), Volume(labels, SPACING)


def test_background_is_removed_and_relative_brightness_kept():
    edges = (6, 8, 8)
    cubes = [((2, 4, 4), edges, 50), ((2, 24, 4), edges, 100), ((12, 4, 24), edges, 300)]
    cut = extract(*_stack(cubes))
    assert [phantom.name for phantom in cut.phantoms] == [f"nucleus_000{n}" for n in (1, 2, 3)]
    assert [p.brightness for p in cut.phantoms] == pytest.approx([0.5, 1.0, 3.0])
    assert [p.volume_um3 for p in cut.phantoms] == pytest.approx([6 * 64 * 0.25] * 3, rel=2e-3)
    seen = {(f.background, f.background_from, f.skipped) for f in cut.objects}
    assert seen == {(100, "surroundings", "")}


def test_skipped_objects_are_listed_with_the_reason():
    cubes = [
        ((0, 4, 4), (6, 8, 8), 50),  # touches the first slice
        ((4, 4, 20), (2, 2, 2), 50),
        ((4, 20, 4), (6, 8, 8), -20),
        ((4, 20, 20), (6, 8, 8), 50),
    ]
    cut = extract(*_stack(cubes))
    assert [phantom.name for phantom in cut.phantoms] == ["nucleus_0004"]
    assert [(f.label, f.voxels, f.skipped) for f in cut.objects] == [
        (1, 384, "touches the border"),
        (2, 8, "smaller than 100 voxels"),
        (3, 384, "not brighter than its background"),
        (4, 384, ""),
    ]


def test_a_large_piece_that_is_left_out_is_listed_too():
    image, labels = _stack([BALL, ((4, 24, 24), (6, 8, 8), 50)])
    cut = extract(image, labels.like(np.minimum(labels.array, 1)))
    assert len(cut.phantoms) == 1
    assert [(f.label, f.voxels, f.skipped) for f in cut.objects] == [
        (1, 384, ""),
        (1, 384, "lies apart from a larger piece of its label"),
    ]


def test_a_neighbour_leaves_no_trace():
    first = extract(*_stack([BALL])).phantoms[0]
    crowded = _stack([BALL, ((4, 8, 16), (6, 8, 8), 900)])
    second = extract(*crowded, Cutting(min_voxels=10)).phantoms[0]
    assert np.array_equal(first.distance, second.distance)
    shape = first.intensity / first.brightness - second.intensity / second.brightness
    assert abs(shape).max() < 1e-5


def test_without_surroundings_the_background_is_that_of_the_stack():
    image, labels = _stack([BALL, ((4, 24, 24), (6, 8, 8), 50)])
    labels.array[2:12, 4:20, 4:20] += (labels.array == 0)[2:12, 4:20, 4:20] * np.uint16(3)
    cut = extract(image, labels, Cutting(margin_um=0.5))
    first = cut.objects[0]
    assert first.background_from == "stack"
    assert first.background == pytest.approx(100, abs=0.5)
    assert cut.objects[1].background_from == "surroundings"


def test_smoothing_takes_noise_out_and_keeps_the_mean(rng):
    image, labels = _stack([((4, 8, 8), (8, 12, 12), 50)])
    image = Volume((image.array + rng.normal(0, 10, image.shape)).astype(np.float32), SPACING)
    raw, smooth = (extract(image, labels, Cutting(smooth_um=s)).phantoms[0] for s in (0.0, 0.8))
    assert smooth.intensity[smooth.inside].std() < 0.3 * raw.intensity[raw.inside].std()
    assert smooth.brightness == pytest.approx(raw.brightness)


def test_stacks_that_cannot_be_used_are_refused():
    image, labels = _stack([BALL])
    plane = Volume(image.array[0], SPACING[1:], "YX")
    unknown = Volume(image.array, (1, 1, 1), "ZYX", {"spacing_source": "assumed"})
    hole = image.like(np.where(labels.array == 1, np.float32(np.nan), image.array))
    for one, other, message in (
        (plane, labels, "phantoms are cut from 3D images with labels of the same shape"),
        (unknown, labels, "the image gives no voxel size"),
        (replace(image, spacing=(2e3, 500, 500)), labels, "; found (2000.0, 500.0, 500.0) µm"),
        (image, labels.like(labels.array.astype(np.float32)), "labels must be integers"),
        (hole, labels, "finite intensities, found NaN"),
    ):
        refused(message, extract, one, other)


def test_phantoms_have_the_volume_and_shape_of_the_drawn_nuclei(rng):
    nuclei = draw_nuclei(rng, 5, diameter_um=8.0, axis_spread=0.2)
    phantoms = render(nuclei, FINE, chromatin_tile(rng, Grid((1, 1, 1), FINE), 0.8))
    assert [phantom.name for phantom in phantoms] == [f"drawn_000{n}" for n in range(1, 6)]
    for phantom, axes, volume in zip(
        phantoms, nuclei.semi_axes_um, bodies.volumes_um3(nuclei), strict=True
    ):
        assert phantom.volume_um3 == pytest.approx(volume, rel=0.04)
        assert phantom.semi_axes_um == pytest.approx(np.sort(axes), rel=0.08)


def test_the_rim_is_not_darkened_twice(rng):
    even = draw_nuclei(rng, 1, diameter_um=8.0, contrast=0.0)
    phantom = render(even, FINE, chromatin_tile(rng, Grid((1, 1, 1), FINE), 0.6))[0]
    rim = phantom.inside & (phantom.distance > -0.4)
    assert phantom.intensity[rim].mean() > 0.9 * phantom.brightness


def _files(folder, name="one", corners=CORNERS):
    cubes = [(corner, (6, 8, 8), 60 * label) for label, corner in enumerate(corners, 1)]
    paths = [folder / kind / f"{name}.tif" for kind in ("images", "labels")]
    for path, volume in zip(paths, _stack(cubes, (12, 30, 30), 90), strict=True):
        write(path, volume)
    return paths


def test_two_files_become_a_library_with_a_record(tmp_path):
    summary = extract_to(*_files(tmp_path), tmp_path / "library")
    assert (summary.nuclei, summary.copies) == (2, 0)
    assert summary.skipped == {"touches the border": 1}
    assert summary.median_volume_um3 == pytest.approx(6 * 64 * 0.25, rel=0.01)
    phantoms = read_library(tmp_path / "library")
    assert [p.name for p in phantoms] == ["one_nucleus_0001", "one_nucleus_0002"]
    assert [p.brightness for p in phantoms] == pytest.approx([2 / 3, 4 / 3], rel=0.01)
    record = read_json(tmp_path / "library/library.json")
    assert [entry["name"] for entry in record["phantoms"]] == [p.name for p in phantoms]
    assert record["phantoms"][0]["volume_um3"] == pytest.approx(96, rel=0.01)
    assert record["sources"][0]["image"]["file"] == "one.tif"
    assert len(record["sources"][0]["labels"]["sha256"]) == 64
    skipped = [item["skipped"] for item in record["sources"][0]["objects"]]
    assert skipped == ["", "", "touches the border"]
    assert str(tmp_path) not in json.dumps(record)


def test_folders_are_paired_by_name_in_both_forms(tmp_path):
    _files(tmp_path, "one")
    _files(tmp_path, "two")
    both = extract_to(tmp_path / "images", tmp_path / "labels", tmp_path / "a")
    assert both.nuclei == extract_to(tmp_path, None, tmp_path / "b").nuclei == 4
    assert read_json(tmp_path / "a/library.json") == read_json(tmp_path / "b/library.json")


def test_copies_are_altered_recorded_and_repeatable(tmp_path):
    paths = _files(tmp_path)
    for name in ("a", "b"):
        summary = extract_to(*paths, tmp_path / name, augment_copies=2, seed=4)
        assert (summary.nuclei, summary.copies) == (2, 4)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "ab"
    )
    assert "one_nucleus_0001_copy_02_label.tif" in first
    assert len(first) == 2 * 6 + 1
    assert first == second
    record = json.loads(first["library.json"])
    assert record["seed"] == 4
    assert record["parameters"]["augment_copies"] == 2
    ratios = [entry["volume_ratio"] for entry in record["phantoms"]]
    assert ratios[0] == 1
    assert ratios[1] != 1
    phantoms = {phantom.name: phantom for phantom in read_library(tmp_path / "a")}
    assert phantoms["one_nucleus_0001_copy_01"].volume_ratio == pytest.approx(ratios[1], abs=1e-3)


def test_without_any_nucleus_nothing_is_written(tmp_path):
    paths = _files(tmp_path, corners=CORNERS[2:])
    message = "expected nuclei to cut out, found none (1 touches the border)"
    refused(message, extract_to, *paths, tmp_path / "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "labels"]


def test_mistakes_in_the_call_are_named(tmp_path):
    image, labels = _files(tmp_path)
    out = tmp_path / "a"
    refused("expected a folder of labels", extract_to, image.parent, labels, out)
    labels.with_suffix(".mha").touch()
    refused(
        r"labels: expected one file named one, found one\.mha and",
        extract_to,
        image.parent,
        labels.parent,
        out,
    )
    (tmp_path / "none").mkdir()
    refused(r"expected images .*found n", extract_to, image.parent, tmp_path / "none", out)
    plane = tmp_path / "plane.tif"
    write(plane, Volume(np.ones((4, 4), np.uint8), (1, 1), "YX"))
    refused("plane.tif: phantoms are cut from 3D images", extract_to, plane, plane, out)
    refused(f"{image}: labels must be integers", extract_to, plane, image, out)
