"""The layout of nnU-Net, held against its documentation."""

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from scipy import ndimage

from cytosuite.benchmark.data.nnunet import classes_of, nnunet_name, write_nnunet
from cytosuite.errors import InputError
from cytosuite.files import read_json
from cytosuite.formats import read


def test_files_and_facts_are_those_that_nnunet_documents(make_dataset, tmp_path):
    out = tmp_path / "Dataset001_Squares"
    write_nnunet(make_dataset(1, 2), out, nnunet_name(out))
    facts = read_json(out / "dataset.json")
    assert facts["labels"] == {"background": 0, "inside": 1, "border": 2}
    assert facts["channel_names"] == {"0": "microscopy"}
    assert facts["numTraining"] == 2
    names = {path.relative_to(out).as_posix() for path in out.rglob("*.mha")}
    assert names == {
        f"{folder}/case_{number}{channel}{facts['file_ending']}"
        for number in (1, 2)
        for folder, channel in (("imagesTr", "_0000"), ("labelsTr", ""), ("instancesTr", ""))
    }


def test_its_reader_finds_shape_and_spacing_in_both(make_dataset, tmp_path):
    write_nnunet(make_dataset(2), tmp_path / "d", "Dataset001_Squares")
    for path in (tmp_path / "d").rglob("*.mha"):
        image = sitk.ReadImage(str(path))
        assert image.GetSize() == (24, 24, 4)
        np.testing.assert_allclose(image.GetSpacing(), (0.0005, 0.0005, 0.002))  # mm: x, y, z


def test_instances_come_back_as_they_were(make_dataset, tmp_path):
    dataset = make_dataset(3)
    write_nnunet(dataset, tmp_path / "d", "Dataset001_Squares")
    truth = read(dataset.cases[0].socket("instance-labels")).array
    found = read(tmp_path / "d" / "instancesTr" / "case_3.mha").array
    np.testing.assert_array_equal(found, truth)


def test_classes_of_a_plane_by_hand():
    labels = np.array([[1, 1, 1, 0], [1, 1, 1, 2], [1, 1, 1, 2], [0, 0, 2, 2]])
    wanted = [[1, 1, 2, 0], [1, 1, 2, 2], [2, 2, 2, 2], [0, 0, 2, 1]]
    np.testing.assert_array_equal(classes_of(labels), wanted)


def test_objects_that_touch_are_apart_inside():
    labels = np.zeros((9, 9, 18), np.uint16)
    labels[1:8, 1:8, 1:9], labels[1:8, 1:8, 9:17] = 1, 2
    classes = classes_of(labels)
    assert ndimage.label(labels > 0)[1] == 1
    assert ndimage.label(classes == 1)[1] == 2
    np.testing.assert_array_equal(classes > 0, labels > 0)


def test_a_case_without_labels_is_refused(make_dataset, tmp_path):
    with pytest.raises(InputError, match="case_1: nnU-Net needs microscopy-image and instance-lab"):
        write_nnunet(make_dataset(1, annotated=False), tmp_path / "d", "Dataset001_Squares")


@pytest.mark.parametrize("name", ["", "spheroids", "Dataset1_X", "Dataset001", "Dataset001_X.y"])
def test_a_name_that_nnunet_would_not_find_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="nnU-Net finds a folder called Dataset, three digits"):
        nnunet_name(tmp_path / name)
