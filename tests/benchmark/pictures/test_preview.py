import numpy as np
from PIL import Image

from benchmark.pictures.preview import OUTLINE, write_previews
from cytosuite.tasks import TASKS
from cytosuite.volume import Volume
from datasets.sample import Sample

TASK = TASKS["segment"]


def _sample(**more):
    """Return a bright cube in the dark, with its label."""
    image = np.zeros((10, 40, 40), np.uint16)
    image[3:7, 10:30, 10:30] = 1000
    volume = Volume(image, (2.0, 0.5, 0.5), "ZYX")
    labels = volume.like((image > 0).astype(np.uint16))
    return Sample({"microscopy-image": volume}, {"instance-labels": labels}, **more)


def _pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_the_preview_shows_three_planes_and_the_outlines(tmp_path):
    write_previews(tmp_path, "cube", _sample(), TASK)
    pixels = _pixels(tmp_path / "preview.png")
    half = len(pixels) // 2
    outline = (pixels == OUTLINE).all(axis=2)
    assert not outline[:half].any()
    assert outline[half:].any()
    white = (pixels[: half - 30] > 250).all(axis=2)
    columns = np.flatnonzero(white[40:].any(axis=0))
    assert np.count_nonzero(np.diff(columns) > 20) == 2  # three planes, apart
    assert not (tmp_path / "steps.png").exists()


def test_planes_have_square_micrometres(tmp_path):
    write_previews(tmp_path, "cube", _sample(), TASK)
    first = _pixels(tmp_path / "preview.png")[26:386, 8:368]
    rows, columns = (np.flatnonzero((first > 250).all(axis=2).any(axis=a)) for a in (1, 0))
    assert np.ptp(rows) == np.ptp(columns)
    assert abs(np.ptp(rows) / 360 - 0.5) < 0.05  # 20 of 40 voxels


def test_stages_make_a_strip(tmp_path):
    sample = _sample()
    stages = {f"step-{n}-x": sample.inputs["microscopy-image"] for n in (1, 2)}
    write_previews(tmp_path, "cube", _sample(companions=stages), TASK)
    assert (tmp_path / "steps.png").is_file()


def test_an_empty_or_constant_image_is_shown_too(tmp_path):
    flat = Volume(np.full((4, 8, 8), 7, np.uint8), (1.0, 1.0, 1.0), "ZYX")
    none = Sample({"microscopy-image": flat}, {"instance-labels": flat.like(flat.array * 0)})
    write_previews(tmp_path, "flat", none, TASK)
    assert (tmp_path / "preview.png").is_file()
