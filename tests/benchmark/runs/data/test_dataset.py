import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from unicodedata import normalize

import numpy as np
import pytest
import tifffile
from layouts import foreign
from mistakes import refused
from rasters import counted
from toys import made_in

from cytosuite.benchmark.runs.data import recipe as module
from cytosuite.benchmark.runs.data.dataset import prepare
from cytosuite.benchmark.runs.data.recipe import DataRequest
from cytosuite.benchmark.runs.data.several import recipe_of_all
from cytosuite.benchmark.runs.store.integrity import foreign_digest
from cytosuite.benchmark.runs.store.pool import Processes
from cytosuite.contract.interface import read_case
from cytosuite.contract.tasks import TASKS
from cytosuite.files.working import MACHINE
from cytosuite.folders.part import Part
from cytosuite.formats import write
from cytosuite.training.images import find_images
from cytosuite.training.settings import FileSettings
from cytosuite.training.validate import divided
from cytosuite.volume import Volume
from tests.hostile.tally import digests

SEGMENT = TASKS["segment"]


def recipe(*arguments, **more):
    return module.recipe(DataRequest(*arguments, **more))


def test_same_seed_same_bytes_whatever_the_number_of_workers(tmp_path):
    cells = recipe("cells", "mini", 3, cases=2)
    for workers in (1, 2):
        made_in(tmp_path / f"{workers}", cells, workers)
    written = digests(tmp_path / "1")  # the fingerprint stands in a file
    assert written == digests(tmp_path / "2")
    assert len(written) > 4 * 2


def test_missing_cases_are_made_again_with_the_same_bytes(tmp_path, dead):
    cells = recipe("cells", "mini", 0, cases=2)
    dataset = made_in(tmp_path, cells)
    before = digests(tmp_path)
    (home,) = tmp_path.iterdir()
    (home / "dataset.json").unlink()
    shutil.rmtree(dataset.cases[1].folder)
    owner = f"{MACHINE}-{dead}-0"
    (home / f"cases/.cells_02.{owner}.part").mkdir()
    (home / f"cases/cells_01/.case.{owner}.part.json").touch()
    seen = []
    prepare(cells, tmp_path, Processes(1), lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]
    assert digests(tmp_path) == before


def test_the_lock_of_a_program_that_was_killed_at_its_end_is_removed(make_dataset):
    home = make_dataset(1, 1).home
    (home / ".lock").touch()
    make_dataset(1, 1)
    assert not (home / ".lock").exists()


def test_an_altered_case_is_made_again_and_no_other(make_dataset):
    dataset = make_dataset(1, 2)
    before = digests(dataset.home)
    places = [c.path("microscopy-image") for c in dataset.cases]
    untouched = places[1].stat()
    places[0].write_bytes(places[0].read_bytes()[:-9])
    assert make_dataset(1, 2) == dataset
    assert (digests(dataset.home), places[1].stat()) == (before, untouched)


@pytest.fixture
def folder(tmp_path):
    """Return a user's folder with two images, one of them annotated, without voxel size."""
    for name in ("images/a.tif", "images/b.tif", "labels/a.tif"):
        foreign(tmp_path / "own" / name, np.arange(48, dtype=np.uint8).reshape(6, 8))
    return tmp_path / "own"


def _made(place, folder):
    return made_in(place / "runs", recipe(str(folder)))


def test_a_folder_becomes_cases(tmp_path, folder):
    dataset = _made(tmp_path, folder)
    assert [case.name for case in dataset.cases] == ["a", "b"]
    assert dataset.cases[0].truth(SEGMENT)["instance-labels"].is_file()
    assert dataset.cases[1].truth(SEGMENT) == {}
    assert dataset.notes[0] == "1 of 2 images have no labels and are not scored."
    assert "2 of 2 images give no voxel size: 1 µm was assumed" in dataset.notes[1]
    assert _made(tmp_path, folder) == dataset


def test_the_parts_of_a_folder_are_a_condition_and_one_may_be_run_alone(tmp_path, folder):
    (folder / "conditions.csv").write_text("name,well\na.tif,C01\nb.tif,C02\n")
    rules = 'names = "(?P<letter>.)"\nrules = [{ part = "test", where = { well = "C02" } }]'
    (folder / "splits.toml").write_text(rules)
    conditions = [case.conditions() for case in _made(tmp_path, folder).cases]
    assert [(row["part"], row["letter"]) for row in conditions] == [("train", "a"), ("test", "b")]
    alone = made_in(tmp_path / "runs", recipe(str(folder), only="test"))
    assert ([case.name for case in alone.cases], alone.name) == (["b"], "own-test")
    assert "part" not in alone.cases[0].conditions()
    other = tmp_path / "other.toml"
    other.write_text('rules = [{ part = "test", match = "a" }]')
    both = recipe_of_all(DataRequest(f"{folder},spheroid", "mini", only="test", splits=other))
    assert (both.makers[0][0], [*both.parts]) == ("a", ["own-test"])
    refused(
        "PART=validate: .*other.toml names no such part",
        recipe,
        str(folder),
        only="validate",
        splits=other,
    )
    (folder / "splits.toml").unlink()
    refused("PART=test: no such file: .*splits.toml", recipe, str(folder), only="test")


@pytest.mark.parametrize(
    "place", ["images/{}.tif", "images/{}.ome.zarr", "list", "sub/{}.tif", "{}/images/z.tif"]
)
def test_a_training_divides_a_folder_as_the_benchmark_does(tmp_path, place):
    folder = tmp_path / "own"
    names = ("b.x", "a", "o\u0308", "c-1", "d")
    plane = Volume(np.eye(8, dtype=np.uint8), (1.0, 1.0), "YX")
    deep = place.startswith("sub")
    paths = [folder / place.replace("list", "images/{}.tif").format(name) for name in names]
    labels = [folder / f"labels/{name}.tif" for name in names]
    if place.endswith("z.tif"):
        labels = [folder / name / "masks/1.tif" for name in names]
    for path in (*paths, *([] if deep else labels)):
        write(path, plane)
    if place == "list":
        rows = (f"images/{name}.tif;labels/{name}.tif" for name in names)
        (folder / "my.csv").write_text("\n".join(rows))
    called = [
        normalize("NFC", n) if p.stem == "z" else p.name for n, p in zip(names, paths, strict=True)
    ]
    rows = (f"{name},w{number % 4}" for number, name in enumerate(called))
    (folder / "conditions.csv").write_text("\n".join(["name,well", *rows]))
    (folder / "splits.toml").write_text('folds = 3\ngroup = "well"')
    (placed,) = recipe(str(folder), recursive=deep).parts.values()
    files = FileSettings(recursive=deep)
    cases = [SimpleNamespace(path=item.image) for item in find_images(folder, ["*"], files)]
    parts, division = divided(folder, cases, files, print)
    assert set(division.placed) == set(placed)
    assert sum(map(len, parts.values())) == len(cases) == len(names)


def test_a_reference_set_of_a_relative_path_has_a_digest(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    reference = recipe(folder.name, reference=Path(folder.name)).reference
    assert foreign_digest([*reference], Path("/"))  # a crash after all the work, before


def test_objects_that_are_too_small_are_counted_recorded_and_noted(tmp_path, folder):
    labels = np.zeros((6, 8), np.uint8)
    labels[0, :5], labels[2, :2], labels[4, 0] = 1, 2, 3
    tifffile.imwrite(folder / "labels/a.tif", labels)
    filtered = recipe(str(folder), min_object_voxels=3)
    assert filtered.fingerprint != recipe(str(folder)).fingerprint
    dataset = made_in(tmp_path / "runs", filtered)
    case, bare = dataset.cases
    assert case.facts()["ignored"] == {"min_object_voxels": 3, "objects": 2, "of": 3}
    assert (case.stated().ignored.min_object_voxels, bare.facts()["ignored"]["of"]) == (3, 0)
    assert any(
        note.startswith("2 of 3 true objects have fewer than 3 voxels: the scores ignore them")
        for note in dataset.notes
    )
    plain = _made(tmp_path, folder)
    assert plain.cases[0].stated().ignored.min_object_voxels == 0
    assert "ignored" not in plain.cases[0].facts()


def test_a_mask_of_all_objects_is_noted_beside_true_labels(tmp_path, folder):
    tifffile.imwrite(folder / "labels/a.tif", 255 * np.eye(6, 8, dtype=np.uint8))
    tifffile.imwrite(folder / "labels/b.tif", np.indices((6, 8), np.uint8)[1])
    *_, note = _made(tmp_path, folder).notes
    assert note.startswith("a mask in place of labels?: 6 pieces have one number in a: ")


def test_a_changed_file_is_another_dataset_and_a_touched_one_is_not(folder):
    def fingerprint():
        return recipe(str(folder)).fingerprint

    before = fingerprint()
    (folder / "images/a.tif").touch()
    assert fingerprint() == before
    tifffile.imwrite(folder / "labels/a.tif", np.zeros((6, 8), np.uint8))
    assert fingerprint() != before


@pytest.mark.parametrize(
    "dataset, more, message",
    [
        ("speroid", {}, "did you mean 'spheroid'?; or give the path of a folder"),
        ("/no/such/folder", {}, "no such folder"),
        ("spheroid", {"size": "huge"}, "no size of spheroid called 'huge'; there are: default"),
        (".", {"size": "mini"}, "SIZE=mini: a folder has the size it has; leave SIZE out"),
        (".", {"cases": 2}, "CASES=2: a folder"),
        ("spheroid", {"spacing": (1.0, 1.0, 1.0)}, "SPACING: spheroid is simulated"),
        ("spheroid", {"min_object_voxels": 5}, "MIN_OBJECT_VOXELS: spheroid is simulated"),
        ("spheroid", {"part": Part("1")}, "spheroid is simulated: it has one channel"),
        ("spheroid", {"only": "test"}, "PART and SPLITS divide a folder of images; spheroid is"),
        ("spheroid", {"seed": -1}, "SEED=-1: expected a whole number from 0"),
    ],
)
def test_explains(dataset, more, message):
    refused(re.escape(message), recipe, dataset, **more)


def test_all_files_that_are_unfit_are_named_at_once(tmp_path, folder):
    for path in folder.glob("images/*.tif"):
        path.write_bytes(path.read_bytes()[:-9])
    refused(r"a\.tif: cannot be read [^;]*; [^;]*b\.tif: cannot be read", _made, tmp_path, folder)


def test_large_images_of_a_user_are_linked_into_their_cases(tmp_path, monkeypatch):
    monkeypatch.setattr("cytosuite.formats.imagefiles.LARGE", 0)
    image = Volume(counted(3, 4, 5), (2.0, 0.5, 0.4))
    write(tmp_path / "own/images/a.ome.zarr", image)
    write(tmp_path / "own/labels/a.ozx", image)
    dataset = _made(tmp_path, tmp_path / "own")
    (case,) = dataset.cases
    main = case.main(SEGMENT)
    truth = case.truth(SEGMENT)["instance-labels"]
    assert (main.name, truth.name) == ("a.ome.zarr", "a.ozx")
    assert main.is_symlink()
    assert truth.is_symlink()
    inputs = read_case(case.input(SEGMENT), SEGMENT)
    np.testing.assert_array_equal(inputs.volumes["microscopy-image"].array, image.array)
    assert inputs.suffix == ".ozx"
    assert _made(tmp_path, tmp_path / "own") == dataset
