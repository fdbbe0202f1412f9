import hashlib
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cytosuite.benchmark.cluster.processes import processes
from cytosuite.benchmark.data import recipe as module
from cytosuite.benchmark.data.dataset import prepare
from cytosuite.benchmark.data.recipe import DataRequest
from cytosuite.benchmark.integrity import STAMPS
from cytosuite.datasets.folder.part import Part
from cytosuite.errors import InputError
from cytosuite.formats import read, write
from cytosuite.interface import read_case
from cytosuite.tasks import TASKS
from cytosuite.volume import Volume
from cytosuite.working import MACHINE

SEGMENT = TASKS["segment"]


def recipe(dataset, size=None, seed=0, spacing=None, **more):
    """Return how a dataset is made."""
    return module.recipe(DataRequest(dataset, size, seed, spacing=spacing, **more))


def _silent(done, total):
    """Say nothing."""


def _bytes(folder):
    """Return the digest of each file below a folder, but for stamps, which differ each time."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != STAMPS
    }


def test_same_seed_same_bytes_whatever_the_number_of_workers(tmp_path):
    made = recipe("spheroid", "mini", 3)
    one = prepare(made, tmp_path / "one", processes(1), _silent)
    two = prepare(made, tmp_path / "two", processes(2), _silent)
    found = _bytes(tmp_path / "one")
    assert found == _bytes(tmp_path / "two")
    assert len(found) > 4 * len(one.cases)
    assert one.fingerprint == two.fingerprint


def test_other_seeds_and_sizes_are_other_datasets():
    found = {
        recipe("spheroid", size, seed).fingerprint for size in ("mini", "full") for seed in (0, 1)
    }
    assert len(found) == 4


def test_missing_cases_are_made_again_with_the_same_bytes(tmp_path):
    made = recipe("spheroid", "mini", 0)
    dataset = prepare(made, tmp_path, processes(1), _silent)
    before = _bytes(tmp_path)
    (home,) = tmp_path.iterdir()
    (home / "dataset.json").unlink()
    for path in sorted(dataset.cases[1].folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    dataset.cases[1].folder.rmdir()
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    owner = f"{MACHINE}-{ended.pid}-0"
    (home / "cases" / f".spheroid_02.{owner}.part").mkdir()
    (home / "cases" / "spheroid_01" / f".case.{owner}.part.json").touch()
    seen = []
    prepare(made, tmp_path, processes(1), lambda done, total: seen.append((done, total)))
    assert seen == [(5, 6), (6, 6)]
    assert _bytes(tmp_path) == before


def test_a_whole_dataset_is_not_touched(tmp_path):
    made = recipe("spheroid", "mini", 0)
    prepare(made, tmp_path, processes(1), _silent)
    seen = []
    prepare(made, tmp_path, processes(1), lambda done, total: seen.append(done))
    assert seen == []


def _image(case):
    return case.path("microscopy-image")


def _case(case):
    return case.folder / "case.json"


def _input(case):
    return case.input(SEGMENT) / "inputs.json"


def _seal(case):
    return case.folder / "SHA256SUMS"


def _summary(case):
    return case.folder.parents[1] / "dataset.json"


@pytest.mark.parametrize("place", [_image, _case, _input, _seal, _summary])
@pytest.mark.parametrize("fault", ["altered", "cut", "lost"])
def test_what_was_altered_is_made_again_and_no_other_case(make_dataset, place, fault):
    dataset = make_dataset(1, 2)
    before = _bytes(dataset.home)
    kept, path = dataset.cases[1].path("microscopy-image").stat(), place(dataset.cases[0])
    content = path.read_bytes()
    path.unlink()
    if fault != "lost":
        path.write_bytes(content[: len(content) // 2] + (b"" if fault == "cut" else b"#"))
    assert make_dataset(1, 2) == dataset
    assert _bytes(dataset.home) == before
    assert dataset.cases[1].path("microscopy-image").stat() == kept


def test_a_whole_dataset_holds_the_inputs_of_every_task_that_it_serves(make_dataset):
    (case,) = make_dataset(1).cases
    assert {path.name for path in (case.folder / "inputs").iterdir()} == {
        *("segment", "enhance", "synthesise")
    }
    before = _bytes(case.folder)
    case.input(SEGMENT)
    assert _bytes(case.folder) == before


def test_a_case_is_a_valid_input_and_keeps_its_truth_outside(tmp_path):
    dataset = prepare(recipe("spheroid", "mini", 0), tmp_path, processes(2), _silent)
    case = dataset.cases[0]
    found = read_case(case.input(SEGMENT), SEGMENT)
    assert found.name == "spheroid_01"
    assert found.volumes["microscopy-image"].metadata["channel"] == "nucleus"
    assert case.truth(SEGMENT)["instance-labels"].is_file()
    inside = [path.name for path in case.input(SEGMENT).rglob("*") if path.is_file()]
    assert sorted(inside) == ["acquisition-metadata.json", "inputs.json", "spheroid_01.tif"]
    assert "n_nuclei" not in (case.input(SEGMENT) / "acquisition-metadata.json").read_text()


def test_a_case_says_its_conditions_and_a_container_does_not_see_them(dataset):
    assert [case.conditions()["squares"] for case in dataset.cases] == [1, 2, 3]
    inside = [
        path.read_bytes() for path in dataset.cases[0].input(SEGMENT).rglob("*") if path.is_file()
    ]
    assert not any(b"squares" in content for content in inside)


@pytest.fixture
def own(tmp_path):
    """Return a user's folder with two images, one of them annotated, without voxel size."""
    for name in ("images/a.tif", "images/b.tif", "labels/a.tif"):
        path = tmp_path / "own" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, np.arange(48, dtype=np.uint8).reshape(6, 8))
    return tmp_path / "own"


def test_a_folder_becomes_cases(tmp_path, own):
    dataset = prepare(recipe(str(own), None, 0), tmp_path / "runs", processes(1), _silent)
    assert [case.name for case in dataset.cases] == ["a", "b"]
    assert dataset.cases[0].truth(SEGMENT)["instance-labels"].is_file()
    assert dataset.cases[1].truth(SEGMENT) == {}
    assert dataset.notes[0] == "1 of 2 images have no labels and are not scored."
    assert "2 of 2 images give no voxel size: 1 µm was assumed" in dataset.notes[1]
    again = prepare(recipe(str(own), None, 0), tmp_path / "runs", processes(1), _silent)
    assert again == dataset


def test_a_given_voxel_size_is_another_dataset_without_the_note(tmp_path, own):
    dataset = prepare(
        recipe(str(own), None, 0, (0.5, 0.5)), tmp_path / "runs", processes(1), _silent
    )
    assert len(dataset.notes) == 1
    assert dataset.fingerprint != recipe(str(own), None, 0).fingerprint


def test_what_a_folder_holds_beside_its_images_is_noted(own):
    (own / "images" / "c.ims").touch()
    (own / "images" / "day 2").mkdir()
    (own / "images" / "a.tif").rename(own / "images" / "day 2" / "ä.tif")
    (own / "labels" / "a.tif").unlink()
    found = recipe(str(own))
    (note,) = found.notes
    assert note == (
        "1 image; skipped 2: c.ims (no reader for .ims: save as OME-TIFF), "
        "day 2/ (a folder: --recursive)."
    )
    deep = recipe(str(own), recursive=True)
    assert [name for name, _ in deep.makers] == ["b", "day 2_ä"]
    assert deep.fingerprint != found.fingerprint


def test_another_channel_is_another_dataset(tmp_path, own):
    array = np.arange(96, dtype=np.uint8).reshape(2, 6, 8)
    axes = {"axes": "CYX"}
    tifffile.imwrite(own / "images" / "b.tif", array, metadata=axes, photometric="minisblack")
    (own / "images" / "a.tif").unlink()
    (own / "labels" / "a.tif").unlink()
    made = [recipe(str(own), part=Part(channel)) for channel in "01"]
    assert made[0].fingerprint != made[1].fingerprint
    images = [maker().volume("microscopy-image") for found in made for _, maker in found.makers]
    np.testing.assert_array_equal([image.array for image in images], array)
    with pytest.raises(InputError, match="spheroid is simulated: it has one channel"):
        recipe("spheroid", part=Part("1"))


def test_objects_that_are_too_small_are_counted_recorded_and_noted(tmp_path, own):
    labels = np.zeros((6, 8), np.uint8)
    labels[0, :5], labels[2, :2], labels[4, 0] = 1, 2, 3
    tifffile.imwrite(own / "labels" / "a.tif", labels)
    wanted = recipe(str(own), min_object_voxels=3)
    assert wanted.fingerprint != recipe(str(own)).fingerprint
    dataset = prepare(wanted, tmp_path / "runs", processes(1), _silent)
    case, bare = dataset.cases
    assert case.facts()["ignored"] == {"min_object_voxels": 3, "objects": 2, "of": 3}
    assert (case.min_object_voxels, bare.facts()["ignored"]["of"]) == (3, 0)
    assert any(
        note.startswith("2 of 3 true objects have fewer than 3 voxels: the scores ignore them")
        for note in dataset.notes
    )
    again = prepare(wanted, tmp_path / "runs", processes(1), _silent)
    assert again.notes == dataset.notes
    plain = prepare(recipe(str(own)), tmp_path / "runs", processes(1), _silent)
    assert plain.cases[0].min_object_voxels == 0
    assert "ignored" not in plain.cases[0].facts()


def test_a_changed_file_is_another_dataset_and_a_touched_one_is_not(own):
    before = recipe(str(own), None, 0).fingerprint
    (own / "images" / "a.tif").touch()
    assert recipe(str(own), None, 0).fingerprint == before
    tifffile.imwrite(own / "labels" / "a.tif", np.zeros((6, 8), np.uint8))
    assert recipe(str(own), None, 0).fingerprint != before


def test_a_folder_with_a_wrong_file_is_refused_and_nothing_counts(tmp_path, own):
    tifffile.imwrite(own / "labels" / "a.tif", np.zeros((5, 5), np.uint8))
    with pytest.raises(InputError, match="labels must have the image's shape"):
        prepare(recipe(str(own), None, 0), tmp_path / "runs", processes(2), _silent)
    assert not list((tmp_path / "runs").rglob("dataset.json"))


def _misspelt(folder):
    """no dataset called 'speroid'; did you mean 'spheroid'?; or give the path of a folder"""
    return recipe("speroid", None, 0)


def _missing_folder(folder):
    """no such folder"""
    return recipe(str(folder / "nothing"), None, 0)


def _unknown_size(folder):
    """no size of spheroid called 'huge'; there are: default, full, mini"""
    return recipe("spheroid", "huge", 0)


def _size_of_a_folder(folder):
    """SIZE=mini: a folder has the size it has; leave SIZE out"""
    return recipe(str(folder), "mini", 0)


def _spacing_of_a_simulation(folder):
    """SPACING: spheroid is simulated and knows its voxel size"""
    return recipe("spheroid", "mini", 0, (1.0, 1.0, 1.0))


def _small_objects_of_a_simulation(folder):
    """MIN_OBJECT_VOXELS: spheroid is simulated, no object of it is a defect"""
    return recipe("spheroid", "mini", 0, min_object_voxels=5)


@pytest.mark.parametrize(
    "mistake",
    [
        _misspelt,
        _missing_folder,
        _unknown_size,
        _size_of_a_folder,
        _spacing_of_a_simulation,
        _small_objects_of_a_simulation,
    ],
)
def test_explains(tmp_path: Path, mistake):
    with pytest.raises(InputError, match=re.escape(mistake.__doc__)):
        mistake(tmp_path)


def test_large_images_of_a_user_are_linked_into_their_cases(tmp_path, monkeypatch):
    monkeypatch.setattr("cytosuite.imagefiles.LARGE", 0)
    image = Volume(np.arange(60, dtype=np.uint16).reshape(3, 4, 5), (2.0, 0.5, 0.4))
    write(tmp_path / "own" / "images" / "a.ome.zarr", image)
    write(tmp_path / "own" / "labels" / "a.ozx", image)
    dataset = prepare(recipe(str(tmp_path / "own")), tmp_path / "runs", processes(1), _silent)
    (case,) = dataset.cases
    main, truth = case.main(SEGMENT), case.truth(SEGMENT)["instance-labels"]
    assert (main.name, truth.name) == ("a.ome.zarr", "a.ozx")
    assert main.is_symlink()
    assert truth.is_symlink()
    found = read_case(case.input(SEGMENT), SEGMENT)
    np.testing.assert_array_equal(found.volumes["microscopy-image"].array, image.array)
    assert found.suffix == ".ozx"
    assert (
        prepare(recipe(str(tmp_path / "own")), tmp_path / "runs", processes(1), _silent) == dataset
    )


def test_a_changed_chunk_is_another_dataset(tmp_path):
    image = Volume(np.arange(60, dtype=np.uint16).reshape(3, 4, 5), (2.0, 0.5, 0.4))
    write(tmp_path / "own" / "a.ome.zarr", image)
    before = recipe(str(tmp_path / "own")).fingerprint
    assert recipe(str(tmp_path / "own")).fingerprint == before
    write(tmp_path / "own" / "a.ome.zarr", image.like(image.array + 1))
    assert recipe(str(tmp_path / "own")).fingerprint != before


def test_large_simulated_images_are_ome_zarr(make_dataset, monkeypatch):
    small = make_dataset(1, 2)
    monkeypatch.setattr("cytosuite.imagefiles.LARGE", 0)
    large = make_dataset(1, 2, fingerprint="e" * 64)
    for one, two in zip(small.cases, large.cases, strict=True):
        assert two.main(SEGMENT).name == f"{two.name}.ome.zarr"
        for slug in ("microscopy-image", "instance-labels"):
            np.testing.assert_array_equal(
                read(two.socket(slug)).array, read(one.socket(slug)).array
            )
        assert one.facts()["conditions"] == two.facts()["conditions"]
    assert large.offers == small.offers
