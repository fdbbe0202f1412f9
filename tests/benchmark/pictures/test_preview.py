import sys
from subprocess import run

import numpy as np
import pytest
from PIL import Image

from cytosuite.benchmark.pictures.preview import OUTLINE, write_preview, write_result, write_strip
from cytosuite.volume import Volume


def cube():
    """Return a bright cube in the dark, and its label."""
    image = np.zeros((10, 40, 40), np.uint16)
    image[3:7, 10:30, 10:30] = 1000
    volume = Volume(image, (2.0, 0.5, 0.5), "ZYX")
    return volume, volume.like((image > 0).astype(np.uint16))


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def outline(path):
    return (pixels(path) == OUTLINE).all(axis=2)


def test_the_preview_shows_three_planes_and_the_outlines(tmp_path):
    image, labels = cube()
    write_preview(tmp_path, "cube", {"image": image}, labels, {})
    found = pixels(tmp_path / "preview.png")
    half = len(found) // 2
    drawn = outline(tmp_path / "preview.png")
    assert not drawn[:half].any()
    assert drawn[half:].any()
    white = (found[: half - 30] > 250).all(axis=2)
    columns = np.flatnonzero(white[40:].any(axis=0))
    assert np.count_nonzero(np.diff(columns) > 20) == 2  # three planes, apart
    assert not (tmp_path / "steps.png").exists()


def test_planes_have_square_micrometres(tmp_path):
    image, labels = cube()
    write_preview(tmp_path, "cube", {"image": image}, labels, {})
    first = pixels(tmp_path / "preview.png")[26:386, 8:368]
    rows, columns = (np.flatnonzero((first > 250).all(axis=2).any(axis=a)) for a in (1, 0))
    assert np.ptp(rows) == np.ptp(columns)
    assert abs(np.ptp(rows) / 360 - 0.5) < 0.05  # 20 of 40 voxels


def test_stages_make_a_sheet_of_their_own(tmp_path):
    image, _ = cube()
    write_preview(tmp_path, "cube", {"image": image}, None, {"dye": image, "camera": image})
    assert (
        len(pixels(tmp_path / "steps.png"))
        == 2 * len(pixels(tmp_path / "preview.png")) - 8  # one margin is shared
    )


def test_images_without_objects_have_no_outlines(tmp_path):
    image, _ = cube()
    write_preview(tmp_path, "cube", {"view": image, "second view": image}, None, {})
    assert not outline(tmp_path / "preview.png").any()


def test_labels_of_another_shape_or_alone_are_drawn_on_black(tmp_path):
    image, labels = cube()
    other = Volume(image.array[:5, :20, :20], image.spacing)
    for name, volumes in {"other": {"image": other}, "alone": {}}.items():
        write_preview(tmp_path / name, "cube", volumes, labels, {})
        assert outline(tmp_path / name / "preview.png").any()


@pytest.mark.parametrize("axes", ["YX", "CYX", "TZYX"])
def test_images_of_any_axes_are_shown(tmp_path, axes):
    array = np.arange(6 * 8 * 9 * 2, dtype=np.float32).reshape(2, 6, 8, 9)[(0,) * (4 - len(axes))]
    spacing = (2.0, 0.5, 0.5)[3 - sum(axis in "ZYX" for axis in axes) :]
    write_preview(tmp_path, "odd", {"image": Volume(array, spacing, axes)}, None, {})
    assert (tmp_path / "preview.png").is_file()


def test_labels_among_the_images_are_not_shown_twice(tmp_path):
    image, labels = cube()
    write_preview(tmp_path / "both", "cube", {"image": image, "labels": labels}, labels, {})
    write_preview(tmp_path / "image", "cube", {"image": image}, labels, {})
    both, one = (pixels(tmp_path / name / "preview.png") for name in ("both", "image"))
    np.testing.assert_array_equal(both, one)


def test_a_case_without_images_has_no_preview(tmp_path):
    write_preview(tmp_path, "numbers", {}, None, {})
    assert not list(tmp_path.iterdir())


def test_an_empty_or_constant_image_is_shown_too(tmp_path):
    flat = Volume(np.full((4, 8, 8), 7, np.uint8), (1.0, 1.0, 1.0), "ZYX")
    write_preview(tmp_path, "flat", {"image": flat}, flat.like(flat.array * 0), {})
    assert (tmp_path / "preview.png").is_file()


def test_a_result_stands_beside_its_image(tmp_path):
    image, labels = cube()
    write_result(tmp_path / "labels.png", image, labels, "labels")
    drawn = outline(tmp_path / "labels.png")
    assert drawn.shape == (480, 960)  # 12 pixels for each of 40 x 40 voxels, twice
    assert not drawn[:, :480].any()
    assert drawn[:, 480:].sum() == 4 * (12 * 20 - 1)
    write_result(tmp_path / "image.png", image, image.like(image.array * 3), "image")
    both = pixels(tmp_path / "image.png")
    np.testing.assert_array_equal(both[:, :480], both[:, 480:])  # each in its own contrast


def stacks(level, count=2):
    image = np.zeros((10, 20, 30), np.uint16)
    image[3:6, 5:15, 5:20] = level
    return [(Volume(image, (2.0, 1.0, 1.0)), (image > 0).astype(np.uint8))] * count


def halves(path):
    with Image.open(path) as picture:
        grey = np.asarray(picture.convert("L")).astype(int)
    middle = grey.shape[0] // 2
    return grey[:middle], grey[middle:]


def lit(half):
    return ((half > 40) & (half < 250)).sum()


def test_contrast_is_equal_on_both_sides(tmp_path):
    path = tmp_path / "strip.png"
    write_strip(path, stacks(1000), stacks(1000))
    real, alike = halves(path)
    write_strip(path, stacks(1000), stacks(200))
    _, dim = halves(path)
    assert abs((real == 0).sum() - (alike == 0).sum()) < 0.02 * real.size
    assert lit(dim) > lit(alike)  # a fifth of the light is grey, not white


def test_same_images_same_bytes(tmp_path):
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    for path in (first, second):
        write_strip(path, stacks(100, 5), stacks(50, 1))
    assert first.read_bytes() == second.read_bytes()


def test_stacks_without_objects_are_shown(tmp_path):
    image = Volume(np.ones((8, 8, 8), np.uint8), (1, 1, 1))
    write_strip(tmp_path / "strip.png", [(image, 0 * image.array)], [(image, 0 * image.array)])
    assert (tmp_path / "strip.png").is_file()


def test_previews_load_no_report():
    code = (
        "import sys, cytosuite.benchmark.pictures.preview;"
        "sys.exit({'pandas', 'jinja2'} & set(sys.modules) or None)"
    )
    run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("empty_middle", [False, True])
def test_pictures_of_volumes_on_disk_are_those_of_volumes_in_memory(tmp_path, mapped, empty_middle):
    image, labels = cube()
    image.array[...] += np.random.default_rng(0).integers(0, 90, image.shape, np.uint16)
    if empty_middle:
        labels.array[4:] = labels.array[:, 15:] = labels.array[:, :, 15:] = 0
    pictures = []
    for place in ("memory", "disk"):
        folder = tmp_path / place
        write_preview(folder, "cube", {"image": image}, labels, {"step": image})
        write_preview(folder / "labels", "cube", {"labels": labels}, labels, {})
        write_result(folder / "result.png", image, labels, "labels")
        write_result(folder / "other.png", image, image, "image")
        write_strip(folder / "strip.png", [(image, labels.array)], [(image, labels.array)])
        pictures.append({p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.png")})
        image, labels = (volume.like(mapped(volume.array)) for volume in (image, labels))
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) == 6
