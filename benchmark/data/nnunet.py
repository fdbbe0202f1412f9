"""Annotated cases in the layout of nnU-Net: ``imagesTr``, ``labelsTr``, ``dataset.json``."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import find_boundaries

from cytosuite.benchmark.data.dataset import Dataset
from cytosuite.errors import InputError
from cytosuite.files import write_json
from cytosuite.formats import read, write
from cytosuite.tasks import IMAGE, LABELS

NAME = re.compile(r"Dataset\d{3}_\w+")
CLASSES = {"background": 0, "inside": 1, "border": 2}
SUFFIX = ".mha"  # the one of its formats that itself holds the voxel size


def nnunet_name(folder: Path) -> str:
    """Return the name under which nnU-Net finds a folder.

    Raises
    ------
    InputError
        If it would not find it.

    Examples
    --------
    >>> nnunet_name(Path("nnUNet_raw/Dataset001_Spheroids"))
    'Dataset001_Spheroids'
    """
    if not NAME.fullmatch(folder.name):
        raise InputError(
            f"{folder}: nnU-Net finds a folder called Dataset, three digits, _ and a name; "
            "give one like --out nnUNet_raw/Dataset001_Spheroids"
        )
    return folder.name


def write_nnunet(dataset: Dataset, folder: Path, name: str) -> None:
    """Write a dataset as raw data of nnU-Net.

    Parameters
    ----------
    dataset : Dataset
        Every case with ``microscopy-image`` and ``instance-labels``.
    folder : Path
        A new folder: ``imagesTr/<case>_0000.mha``, ``labelsTr/<case>.mha`` (see `classes_of`),
        ``instancesTr/<case>.mha`` (the instance labels, which nnU-Net passes over) and
        ``dataset.json``.
    name : str
        See `nnunet_name`.

    Raises
    ------
    InputError
        If a case lacks its image or labels.

    Notes
    -----
    Raw data of version 2 (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, and the
    documentation of its dataset format). Spacing in the files is in mm, as MetaImage demands.
    """
    for case in dataset.cases:
        image, labels = case.socket(IMAGE.slug), case.socket(LABELS.slug)
        if image is None or labels is None:
            raise InputError(f"{case.name}: nnU-Net needs {IMAGE.slug} and {LABELS.slug}")
        write(folder / "imagesTr" / f"{case.name}_0000{SUFFIX}", read(image))
        truth = read(labels)
        write(folder / "labelsTr" / f"{case.name}{SUFFIX}", truth.like(classes_of(truth.array)))
        write(folder / "instancesTr" / f"{case.name}{SUFFIX}", truth)
    facts = {"channel_names": {"0": "microscopy"}, "labels": CLASSES, "file_ending": SUFFIX}
    write_json(folder / "dataset.json", {"name": name, "numTraining": len(dataset.cases), **facts})


def classes_of(labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return instance labels as classes: 0 background, 1 inside, 2 border of an object.

    Parameters
    ----------
    labels : ndarray of int
        Instances, 0 is background; any shape.

    Returns
    -------
    ndarray of uint8
        The border is every voxel of an object with a face towards another value, so that objects
        which touch stay apart: the connected components of class 1 are the objects.
    """
    classes = (labels > 0).astype(np.uint8)
    classes[find_boundaries(labels, connectivity=1, mode="inner") & (labels > 0)] = 2
    return classes
