import io
import re
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import tifffile
from layouts import grey
from mistakes import refused
from PIL import Image
from rasters import away_from, counted
from rich.console import Console
from toys import put

from cytosuite.benchmark.commands.labels import combine_command, labels_command
from cytosuite.benchmark.commands.options.labels import CombineOptions, LabelsOptions, weights
from cytosuite.benchmark.commands.options.simulate import SimulateOptions
from cytosuite.benchmark.commands.simulate import simulate
from cytosuite.benchmark.engines.outcome import Outcome
from cytosuite.contract.manifest import read_recipe
from cytosuite.datasets.calibration.measure import VOLUME_STATISTICS
from cytosuite.datasets.phantoms.library import read_library
from cytosuite.datasets.ranges import files_in
from cytosuite.datasets.recipes import simulated
from cytosuite.files import read_json
from cytosuite.folders.index import index
from cytosuite.formats import read, write
from cytosuite.metrics.tracks.track_folder import read_sequence
from cytosuite.volume import Volume


def _options(tmp_path, **options):
    """Return the options of two small cases."""
    return SimulateOptions(
        dataset="spheroid",
        size="mini",
        cases=1,
        settings=(
            "image.shape=[16, 64, 64]",
            "image.spacing_um=[2, 0.5, 0.5]",
            "tissue.n_nuclei=4",
            "tissue.volume_fraction=0.3",
        ),
        runs=tmp_path,
        workers=1,
        **options,
    )


@pytest.mark.slow
def test_plain_folders_with_image_labels_record_and_preview(tmp_path, quiet):
    out = simulate(_options(tmp_path, out=tmp_path / "data"), quiet)
    names = {"croissant.json", "dataset.json", "images", "labels", "previews", "records"}
    assert {path.name for path in out.iterdir()} == names
    image = tifffile.imread(out / "images/spheroid_01.tif")
    labels = tifffile.imread(out / "labels/spheroid_01.tif")
    assert image.shape == labels.shape == (16, 64, 64)
    record = read_json(out / "records/spheroid_01.json")
    assert record["metadata"]["n_nuclei"] == labels.max()
    assert record["recipe"]["seed"] == 0
    assert record["recipe"]["parameters"]["tissue"]["n_nuclei"] == [4, 4]
    with Image.open(out / "previews/spheroid_01_preview.png") as picture:
        assert min(picture.size) > 200


def test_without_a_folder_the_cases_lie_where_a_benchmark_looks(tmp_path, quiet):
    cases = simulate(_options(tmp_path), quiet)
    assert cases.parent.parent == tmp_path / "datasets"
    assert (cases / "spheroid_01/sockets").is_dir()


def test_a_name_or_dataset_unfit_for_a_layout_is_refused_before_anything_is_simulated(
    tmp_path, quiet
):
    for place in ({"out": tmp_path / "cells"}, {}):
        refused(
            "nnU-Net finds a folder called",
            simulate,
            _options(tmp_path, layout="nnunet", **place),
            quiet,
        )
    views = SimulateOptions(dataset="views", runs=tmp_path, out=tmp_path / "a", layout="hdf5")
    refused("--layout hdf5 needs .* and instance-labels, found", simulate, views, quiet)
    assert not list(tmp_path.iterdir())


SERIES = (
    "shape=[128, 128]",
    "spacing_um=[1, 1]",
    "n_nuclei=5",
    "radius_um=[5, 6]",
    "step_um=1",
    "division=0.3",
)


def _make(out, frames=4, **options):
    chosen = {"dataset": "nuclei", "settings": SERIES, "frames": frames, "out": out} | options
    return simulate(SimulateOptions(**chosen), Console(quiet=True))


def test_sequences_are_accepted_by_our_own_reader(tmp_path):
    out = _make(tmp_path / "data", cases=2, seed=3)
    names = {"01", "01_GT", "01_SKETCH", "02", "02_GT", "02_SKETCH", "dataset.json", "records"}
    assert {path.name for path in out.iterdir()} == names
    assert [len(read_sequence(out / name).frames) for name in ("01_GT", "02_GT")] == [4, 4]
    assert len(index(out).items) == 8
    record = read_json(out / "dataset.json")
    assert (record["seed"], record["frames"], record["sequences"]) == (3, 4, 2)
    assert record["parameters"]["n_nuclei"] == [5, 5]
    assert "photons" in read_json(out / "records/02.json")["metadata"]


def test_the_seed_decides_and_sequences_differ(tmp_path):
    first, again = (_make(tmp_path / name, 1, cases=2) for name in ("a", "b"))
    other = _make(tmp_path / "c", 1, seed=1)
    file = "t000.tif"
    frame = (first / "01" / file).read_bytes()
    assert frame == (again / "01" / file).read_bytes()
    assert frame not in ((place / file).read_bytes() for place in (first / "02", other / "01"))


def test_an_interrupted_series_leaves_nothing(tmp_path, monkeypatch):
    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(
        "cytosuite.benchmark.commands.simulate.progress", lambda *_: nullcontext(stop)
    )
    with pytest.raises(KeyboardInterrupt):
        _make(tmp_path / "data")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "message, options",
    {
        "membrane has no time series; .* have: nuclei": {"dataset": "membrane", "settings": ()},
        "did you mean 'nuclei/hela'": {"dataset": "nuclei/hella"},
        "--frames needs a simulated dataset": {"dataset": ".", "settings": ()},
        "--frames 4: expected --out FOLDER and no layout, found no --out": {"out": None},
        "--frames 4: .* found --layout nnunet": {"layout": "nnunet"},
        "commands: the folder is not empty; name a new one": {"out": Path(__file__).parent},
        "--set division=2: .* found 2": {"settings": (*SERIES[:-1], "division=2")},
        "900 nuclei .* do not fit": {"settings": (*SERIES, "n_nuclei=900")},
    }.items(),
)
def test_a_mistake_is_one_line_and_nothing_is_written(tmp_path, options, message):
    refused(message, _make, **{"out": tmp_path / "data"} | options)
    assert not list(tmp_path.iterdir())


def test_frames_pass_the_chain_of_their_recipe(tmp_path, use, fakes):
    class Copier(fakes.Engine):
        """A synthesiser that gives its labels back, 100 brighter."""

        def _predict(self, case_input, output, log, shown):
            (path,) = (case_input / "images/instance-labels").iterdir()
            labels = read(path)
            write(output / "images/synthetic-image" / path.name, labels.like(labels.array + 100))
            log.touch()
            return Outcome("ok", 0.25, 10**6, 0)

    use(Copier(None))
    out = _make(tmp_path / "data", 2, dataset="nuclei/culture", cases=2)
    for sequence, frame in (("01", "000"), ("02", "001")):
        truth = read(out / f"{sequence}_GT" / f"SEG/man_seg{frame}.tif").array
        assert (read(out / sequence / f"t{frame}.tif").array == truth + 100).all()
    assert read_json(out / "dataset.json")["through"] == ["diffusion"]
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


@pytest.fixture
def stack(tmp_path):
    """Return a stack with two round nuclei and its labels."""
    balls = [away_from((10, 20, c), (20, 40, 80)) < 7 for c in (20, 55)]
    labels = balls[0] + 2 * balls[1]
    for name, array in (("image", 100 + 200 * labels), ("labels", labels)):
        write(tmp_path / f"{name}.tif", Volume(array.astype(np.uint16), (0.5, 0.5, 0.5), "ZYX"))
    return tmp_path / "image.tif", tmp_path / "labels.tif"


def test_phantoms_are_cut_from_a_stack(cli, stack, tmp_path):
    image, labels = stack
    out = tmp_path / "library"
    done = cli("phantoms", image, "--labels", labels, "--out", out, "--copies 1")
    assert "2 nuclei and 2 copies" in done.output
    assert len(read_library(out)) == 4


def test_phantoms_writes_the_outline_of_a_stack(cli, stack, tmp_path):
    done = cli("phantoms --outline", stack[0], "--out", tmp_path / "masks", "--smooth 1")
    assert (tmp_path / "masks/image_mask.tif").is_file()
    assert "image_mask.tif" in done.output
    refused(
        "--outline STACK, or --placement CELLS",
        cli,
        "phantoms --outline",
        stack[0],
        "--drawn 3",
    )


def test_phantoms_writes_how_nuclei_lie_in_cells(cli, stack, tmp_path):
    words = ("phantoms", "--placement", stack[1], "--labels", stack[1], "--out")
    assert "rows.json, 2 cells" in cli(*words, tmp_path / "rows.json").output
    refused("--out NAME.json", cli, *words, tmp_path / "rows")


def test_calibrate_takes_the_options_of_images_and_tells_its_time(
    cli, stack, tmp_path, monkeypatch
):
    image, labels = (read(path) for path in stack)

    def simulate(parameters, seed):
        grey = (image.array + np.random.default_rng(seed).poisson(100, image.shape)).astype(
            np.uint16
        )
        return Volume(grey, parameters["image"]["spacing_um"]), labels.array

    monkeypatch.setattr("cytosuite.datasets.calibration.calibrate.simulator", lambda name: simulate)
    real, _ = simulate({"image": {"spacing_um": image.spacing}}, 0)
    channels = np.stack([np.zeros_like(real.array), real.array], axis=1)  # without a voxel size
    (tmp_path / "real/day1").mkdir(parents=True)
    tifffile.imwrite(tmp_path / "real/day1/a.tif", channels, imagej=True, metadata={"axes": "ZCYX"})
    out = tmp_path / "m.toml"
    words = "--recursive --channel-index 1 --spacing 2,0.5,0.5"
    small = "--rounds 1 --cases 2 --workers 1"  # a function of a test does not pickle
    shown = cli("calibrate spheroid", tmp_path / "real", "--out", out, small, words).stdout
    assert read_recipe(out).parameters["image"]["spacing_um"] == [2.0, 0.5, 0.5]
    assert re.search(
        r"^10 stacks to simulate and measure, [\d.e-]+ s each: about \d+ s$", shown, re.M
    )
    said = re.findall(r"(?m)^(?:round|warning: poor fit).*", shown)
    assert not any(key in line for line in said for key in VOLUME_STATISTICS if "_" in key)


def test_calibrate_learns_nuclei_from_labels_alone(cli, tmp_path):
    grid = np.mgrid[:48, :48]
    y, x = grid % 16 - 8
    numbers = 1 + grid[0] // 16 * 3 + grid[1] // 16
    array = numbers * (y**2 + x**2 * (1 + numbers / 9) <= 25)
    tifffile.imwrite(tmp_path / "a.tif", array.astype(np.uint16))
    words = ["--spacing 0.5,0.5 --rounds 1 --cases 1 --out", tmp_path / "m.toml"]
    assert cli("calibrate nuclei", tmp_path / "a.tif", *words).stdout.startswith(
        "label images: 1, objects: 9\n"
    )
    assert {path.suffix for path in tmp_path.glob("m*")} == {".toml", ".json", ".md", ".png"}
    assert next(files_in(simulated(str(tmp_path / "m.toml"), None, 1, ()).parameters)).is_file()
    refused(
        "--data-root: labels are read from a file or folder",
        cli,
        "calibrate cells",
        tmp_path / "a.tif",
        "--data-root",
        tmp_path,
        *words,
    )


def _labels(folder, out, **rules):
    shown = io.StringIO()
    labels_command(LabelsOptions(folder=folder, out=out, **rules), Console(file=shown))
    return shown.getvalue()


def test_labels_are_written_with_a_table_of_objects_and_conditions(tmp_path, out):
    folder = tmp_path / "given"
    for name, rows in {"images/w1_1": 0, "masks/w1_1/a/1": 2, "masks/w1_1/b/1": 1}.items():
        array = np.zeros((4, 4))
        array[:rows] = 255
        grey(folder / f"{name}.png", array)
    shown = _labels(
        folder,
        out,
        copy_images=True,
        threshold=0,
        overlap="first",
        classes=["a=basal"],
        exclude=["c"],
        pairs=r"(?P<well>w\d+)_\d+",
    )
    (item,) = index(out).items
    assert item.image.read_bytes() == (folder / "images/w1_1.png").read_bytes()
    labels = tifffile.imread(out / "labels/w1_1.tif")
    assert (labels.dtype, labels[:, 0].tolist()) == (np.uint16, [1, 1, 0, 0])
    head, *rows = (out / "objects.csv").read_text().split()
    assert head == "image,id,class,file,area,lost,pieces"
    assert rows == ["w1_1,1,basal,1.png,8,0,1", "w1_1,0,b,1.png,4,4,0"]
    assert item.conditions == {"class": "b + basal", "well": "w1"}
    assert "1 images; 2 masks: 2 overlap others (the first lies on top), 1 vanish" in shown
    assert "no mask is of a class c\nwritten" in shown
    refused("the folder is not empty", _labels, folder, out)
    refused("--classes a: expected folder=class", _labels, folder, out / "more", classes=["a"])


def test_labels_are_written_as_rois_and_rois_as_labels(tmp_path, out):
    array = np.zeros((6, 8), np.uint32)
    array[1:4, 1:4] = 7
    array[4:, 6:] = 70_000
    for room in ("images", "labels"):
        put(tmp_path / "own" / room / "a b.tif", array)
    assert "ROIs of 1 label images" in _labels(tmp_path / "own", tmp_path / "own/rois", rois=True)
    assert "1 images; 2 masks: 1 label images do not count beside ROIs" in _labels(
        tmp_path / "own", out, rois=True
    )
    folder = tmp_path / "out/labels"
    assert np.array_equal(tifffile.imread(folder / "a b.tif"), array)
    same = (tmp_path / "own/rois/a b_rois.zip").read_bytes()
    assert (folder / "a b_rois.zip").read_bytes() == same


def test_grey_values_are_not_written_as_rois(tmp_path, out):
    put(tmp_path / "a.tif", counted(30, 30))
    refused(r"a.tif: grey values in place of labels", _labels, tmp_path, out, rois=True)
    line = "expected masks of objects for --min-area, found label images"
    refused(line, _labels, tmp_path, out, rois=True, min_area=9)
    assert not out.exists()


def test_a_folder_without_masks_has_no_labels_to_write(tmp_path, out):
    refused("expected <image>/images and <image>/masks", _labels, tmp_path, out)
    assert not out.exists()


def test_combine_writes_a_sum_for_each_name(tmp_path, quiet):
    for name, value in {"cells/x": 200, "cells/y": 10, "spots/x": 100, "spots/y": 10}.items():
        put(tmp_path / f"{name}.tif", np.full((4, 4), value, np.uint8))
    out = tmp_path / "sums"
    combine_command(
        CombineOptions(first=tmp_path / "cells", second=tmp_path / "spots", out=out), quiet
    )
    assert {path.name: read(path).array.max() for path in out.iterdir()} == {
        "x.tif": 255,
        "y.tif": 20,
    }
    assert "1 of 2 sums are clipped" in quiet.export_text()
    refused("--weights: expected two numbers like 1,0.5, found 1,x", weights, "1,x")
