import numpy as np
import pytest
from PIL import Image

from cytosuite.benchmark.runs.data.preview import OUTLINE, write_preview, write_result, write_strip
from cytosuite.volume import Volume
from tests.hostile.tally import digests


def cube():
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
    shown = pixels(tmp_path / "preview.png")
    half = len(shown) // 2
    drawn = outline(tmp_path / "preview.png")
    assert not drawn[:half].any()
    assert drawn[half:].any()
    columns = np.flatnonzero((shown[40 : half - 30] > 250).all(axis=2).any(axis=0))
    assert np.count_nonzero(np.diff(columns) > 20) == 2  # three planes, apart
    assert not (tmp_path / "steps.png").exists()


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


@pytest.mark.parametrize("empty_middle", [False, True])
def test_pictures_of_volumes_on_disk_are_those_of_volumes_in_memory(
    tmp_path, mapped, empty_middle, rng
):
    image, labels = cube()
    image.array[...] += rng.integers(0, 90, image.shape, np.uint16)
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
        pictures.append(digests(folder))
        image, labels = (volume.like(mapped(volume.array)) for volume in (image, labels))
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) == 6
