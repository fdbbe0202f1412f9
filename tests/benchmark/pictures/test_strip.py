import numpy as np
from PIL import Image

from benchmark.pictures.strip import strip
from cytosuite.volume import Volume


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
    strip(path, stacks(1000), stacks(1000))
    real, alike = halves(path)
    strip(path, stacks(1000), stacks(200))
    _, dim = halves(path)
    assert abs((real == 0).sum() - (alike == 0).sum()) < 0.02 * real.size
    assert lit(dim) > lit(alike)  # a fifth of the light is grey, not white


def test_same_images_same_bytes(tmp_path):
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    for path in (first, second):
        strip(path, stacks(100, 5), stacks(50, 1))
    assert first.read_bytes() == second.read_bytes()


def test_stacks_without_objects_are_shown(tmp_path):
    image = Volume(np.ones((8, 8, 8), np.uint8), (1, 1, 1))
    strip(tmp_path / "strip.png", [(image, 0 * image.array)], [(image, 0 * image.array)])
    assert (tmp_path / "strip.png").is_file()
