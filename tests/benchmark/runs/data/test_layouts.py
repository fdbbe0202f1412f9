import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import toys
from mistakes import refused
from numpy.testing import assert_allclose, assert_array_equal

from cytosuite.benchmark.runs.data.layouts import (
    FILE,
    classes_of,
    nnunet_name,
    write_croissant,
    write_hdf5,
    write_nnunet,
)
from cytosuite.contract.tasks import IMAGE, LABELS
from cytosuite.files import read_json, write_json
from cytosuite.formats import read, write
from cytosuite.training.images import find_images
from cytosuite.volume import merged
from tests.hostile.tally import digests

SOCKETS = {"microscopy-image": toys.image, "instance-labels": toys.labels}


@pytest.mark.parametrize("stains", [["microscopy"], ["x", "x"]])
def test_files_and_facts_are_those_that_nnunet_documents_and_its_reader_finds(
    make_dataset, tmp_path, stains
):
    out = tmp_path / "Dataset001_Squares"
    dataset = make_dataset(1, 2)
    for path in [case.socket(IMAGE.slug) for case in dataset.cases]:
        write(path, merged([read(path)] * len(stains)))
    write_nnunet(dataset, out, nnunet_name(out))
    facts = read_json(out / "dataset.json")
    assert facts["labels"] == {"background": 0, "inside": 1, "border": 2}
    assert [*facts["channel_names"].values()] == stains
    assert facts["numTraining"] == 2
    names = {path.relative_to(out).as_posix() for path in out.rglob("*.mha")}
    assert names == {
        f"{folder}/case_{number}{channel}{facts['file_ending']}"
        for number in (1, 2)
        for folder, ends in {
            "imagesTr": ["_0000", "_0001"],
            "labelsTr": [""],
            "instancesTr": [""],
        }.items()
        for channel in ends[: len(stains)]
    }
    for name in names:
        image = sitk.ReadImage(str(out / name))
        assert image.GetSize() == (24, 24, 4)
        assert_allclose(image.GetSpacing(), (0.0005, 0.0005, 0.002))  # mm: x, y, z


def test_classes_of_a_plane_by_hand():
    labels = np.array([[1, 1, 1, 0], [1, 1, 1, 2], [1, 1, 1, 2], [0, 0, 2, 2]])
    expected = [[1, 1, 2, 0], [1, 1, 2, 2], [2, 2, 2, 2], [0, 0, 2, 1]]
    assert_array_equal(classes_of(labels), expected)


@pytest.mark.parametrize("name", ["", "spheroids", "Dataset1_X", "Dataset001", "Dataset001_X.y"])
def test_a_name_that_nnunet_would_not_find_is_refused(tmp_path, name):
    refused("nnU-Net finds a folder called Dataset, three digits", nnunet_name, tmp_path / name)


def test_hdf5_files_are_trained_on_by_their_list(make_dataset, tmp_path):
    dataset = make_dataset(1, 2)
    (case, _) = dataset.cases
    labels = read(case.socket(LABELS.slug))
    write(case.folder / f"extras/seeds/{case.name}.tif", labels)
    write_hdf5(dataset, tmp_path / "out")
    item, _ = find_images(tmp_path / "out", ["*"])
    image = item.image
    mask = item.files[LABELS.slug]
    assert_array_equal(read(image).array, read(case.socket(IMAGE.slug)).array)
    for group in ("", "data/instances", "data/seeds"):
        volume = read(mask, group=group)
        assert_array_equal(volume.array, labels.array)
        assert volume.spacing == labels.spacing


def test_a_card_holds_each_file_with_its_digest_and_the_files_of_each_case(dataset_of, tmp_path):
    dataset = dataset_of(**SOCKETS)
    folder = tmp_path / "out"
    for case in dataset.cases:
        for slug, room in zip(SOCKETS, ("images", "labels"), strict=True):
            write(folder / room / f"{case.name}.tif", read(case.socket(slug)))
    (folder / "read me.txt").write_text("more")
    write_croissant(dataset, folder)
    card = read_json(folder / FILE)
    files = {entry["contentUrl"]: entry["sha256"] for entry in card["distribution"]}
    assert files == digests(folder, {FILE})
    (records,) = card["recordSet"]
    keys = {entry["@id"] for entry in records["field"]}
    assert keys == {"cases/case", "cases/microscopy-image", "cases/instance-labels"}
    assert [row["cases/instance-labels"] for row in records["data"]] == [
        f"labels/c{number}.tif" for number in range(3)
    ]
    assert all({*row} == keys for row in records["data"])
    write_json(tmp_path / "asked/images/a.json", {})  # a request for masks
    write_croissant(dataset, tmp_path / "asked")
    assert ": 1 cases" in (tmp_path / "asked" / FILE).read_text()
