import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from cytosuite.algorithms.watershed.predict import predict
from cytosuite.errors import InputError
from cytosuite.volume import Volume

SPACING = (2.0, 1.0, 1.0)


def model(**parameters):
    return SimpleNamespace(card=SimpleNamespace(name="test", parameters=parameters))


def image():
    grid = np.indices((12, 40, 40)).astype(np.float32)
    grid -= np.array([6, 20, 20], np.float32)[:, None, None, None]
    grid[0] *= 2
    ball = 1000 / (1 + np.exp(np.sqrt((grid**2).sum(0)) - 7))
    return np.random.default_rng(0).poisson(50 + ball).astype(np.uint16)


def test_labels_belong_to_the_image():
    volume = Volume(image(), SPACING, metadata={"channel": "nucleus"})
    labels = predict({"microscopy-image": volume}, model())["instance-labels"]
    assert labels.array.dtype == np.uint16
    assert labels.array.max() == 1
    assert (labels.spacing, labels.axes) == (volume.spacing, volume.axes)
    assert labels.metadata == volume.metadata


def test_two_dimensions():
    volume = Volume(image()[6], SPACING[1:], axes="YX")
    labels = predict({"microscopy-image": volume}, model())["instance-labels"]
    assert labels.array.max() == 1


def test_lengths_in_pixels_do_not_depend_on_the_voxel_size():
    sizes = [(1.0, 1.0), (0.1, 0.1), (7.0, 7.0)]
    made = [{"microscopy-image": Volume(image()[6], size, axes="YX")} for size in sizes]
    one, *others = [predict(given, model(in_pixels=True))["instance-labels"] for given in made]
    assert one.array.max() == 1
    assert [labels.spacing for labels in others] == sizes[1:]
    assert all((labels.array == one.array).all() for labels in others)
    assert not predict(made[1], model())["instance-labels"].array.any()


def test_explains_time_and_channels():
    volume = Volume(image()[None], SPACING, axes="TZYX")
    with pytest.raises(InputError, match="axes ZYX or YX, found TZYX: give one frame"):
        predict({"microscopy-image": volume}, model())


def test_explains_a_missing_image():
    with pytest.raises(InputError, match=r"expected the input microscopy-image, found \['other'\]"):
        predict({"other": Volume(image(), SPACING)}, model())


def test_explains_an_unknown_parameter():
    with pytest.raises(InputError, match="card test: .*smothing_um is not .* 'smoothing_um'"):
        predict({"microscopy-image": Volume(image(), SPACING)}, model(smothing_um=1.0))


def test_imports_neither_torch_nor_plots_nor_tables():
    code = (
        "import sys, cytosuite.algorithms.watershed.predict; "
        "sys.exit({'torch', 'matplotlib', 'pandas'} & set(sys.modules) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
    assert done.returncode == 0
