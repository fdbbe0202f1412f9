import io

import numpy as np
import pytest
import tifffile
from PIL import Image
from rich.console import Console

from cytosuite.benchmark.commands.options import SimulateOptions
from cytosuite.benchmark.commands.simulate import simulate
from cytosuite.errors import InputError
from cytosuite.files import read_json
from cytosuite.formats import read

pytestmark = pytest.mark.slow

SMALL = (
    "image.shape=[16, 64, 64]",
    "image.spacing_um=[2, 0.5, 0.5]",
    "tissue.n_nuclei=4",
    "tissue.volume_fraction=0.3",
)


def _options(tmp_path, **options):
    """Return the options of two small cases."""
    settings = SMALL + options.pop("more", ())
    fixed = {"dataset": "spheroid", "size": "mini", "cases": 2, "settings": settings}
    return SimulateOptions(**fixed, runs=tmp_path, workers=1, **options)


def _quiet():
    return Console(file=io.StringIO())


def test_plain_folders_with_image_labels_record_and_preview(tmp_path):
    out = simulate(_options(tmp_path, out=tmp_path / "data"), _quiet())
    assert sorted(path.name for path in out.iterdir()) == [
        "dataset.json",
        "images",
        "labels",
        "previews",
        "records",
    ]
    image = tifffile.imread(out / "images" / "spheroid_02.tif")
    labels = tifffile.imread(out / "labels" / "spheroid_02.tif")
    assert image.shape == labels.shape == (16, 64, 64)
    record = read_json(out / "records" / "spheroid_02.json")
    assert record["metadata"]["n_nuclei"] == labels.max()
    assert record["recipe"]["seed"] == 0
    assert record["recipe"]["parameters"]["tissue"]["n_nuclei"] == [4, 4]
    with Image.open(out / "previews" / "spheroid_01_preview.png") as picture:
        assert min(picture.size) > 200


def test_stages_and_cells_lie_in_folders_of_their_own(tmp_path):
    more = ("output.steps=true", "cells.enabled=true")
    out = simulate(_options(tmp_path, out=tmp_path / "data", more=more), _quiet())
    found = {path.name for path in out.iterdir()}
    assert {"membrane-image", "cell-labels", "step-1-dye", "step-3-light"} <= found
    assert (out / "previews" / "spheroid_01_steps.png").is_file()


def test_without_a_folder_the_cases_lie_where_a_benchmark_looks(tmp_path):
    cases = simulate(_options(tmp_path), _quiet())
    assert cases.parent.parent == tmp_path / "datasets"
    assert (cases / "spheroid_01" / "sockets").is_dir()


def test_a_folder_that_is_not_empty_is_left_as_it_is(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="the folder is not empty"):
        simulate(_options(tmp_path, out=tmp_path / "data"), _quiet())
    assert (tmp_path / "data" / "mine.txt").read_text() == "precious"


def test_a_folder_of_images_is_not_simulated(tmp_path):
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images" / "a.tif", np.zeros((8, 8), np.uint8))
    with pytest.raises(InputError, match="cannot be simulated"):
        simulate(SimulateOptions(dataset=str(tmp_path)), _quiet())


def test_the_layout_of_nnunet_is_written_whole(tmp_path):
    out = tmp_path / "raw" / "Dataset007_Spheroids"
    simulate(_options(tmp_path, out=out, layout="nnunet"), _quiet())
    assert sorted(path.name for path in out.iterdir()) == [
        "dataset.json",
        "imagesTr",
        "instancesTr",
        "labelsTr",
    ]
    assert read_json(out / "dataset.json")["name"] == "Dataset007_Spheroids"


def test_a_name_that_nnunet_would_not_find_is_refused_before_anything_is_simulated(tmp_path):
    with pytest.raises(InputError, match="nnU-Net finds a folder called"):
        simulate(_options(tmp_path, out=tmp_path / "cells", layout="nnunet"), _quiet())
    with pytest.raises(InputError, match="nnU-Net finds a folder called"):
        simulate(_options(tmp_path, layout="nnunet"), _quiet())
    assert not list(tmp_path.iterdir())


def test_large_images_are_folders_of_ome_zarr(tmp_path, monkeypatch):
    monkeypatch.setattr("cytosuite.imagefiles.LARGE", 16 * 64 * 64)
    out = simulate(_options(tmp_path, out=tmp_path / "data", more=("output.steps=true",)), _quiet())
    names = {path.name for path in (out / "images").iterdir()}
    assert names == {"spheroid_01.ome.zarr", "spheroid_02.ome.zarr"}
    assert read(out / "images" / "spheroid_01.ome.zarr").shape == (16, 64, 64)
    assert (out / "step-1-dye" / "spheroid_01.ome.zarr").is_dir()
