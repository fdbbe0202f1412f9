from dataclasses import replace

import numpy as np
import pytest
from mistakes import refused

from cytosuite.contract.interface import read_case, write_case, write_outputs
from cytosuite.contract.tasks import REQUEST, TASKS
from cytosuite.files import read_json, write_json
from cytosuite.formats import header, read, slabs
from cytosuite.formats.imagefiles import image_files
from cytosuite.formats.request import canvas_of, request_of

PLAIN = {"seed": 7, "shape": [6, 8], "spacing": [0.8, 0.5]}
WHOLE = {**PLAIN, "number": 4, "truncation": 0.8, "to": 9, "share": 0.25}


@pytest.mark.parametrize(
    "request_", [PLAIN, WHOLE, {**PLAIN, "shape": [2] * 3, "spacing": [1] * 3}]
)
def test_a_request_is_an_empty_image_and_back_again(request_, tmp_path):
    path = tmp_path / "a.json"
    write_json(path, request_)
    volume = read(path)
    assert (list(volume.shape), list(volume.spacing)) == (request_["shape"], request_["spacing"])
    assert volume.array.strides == (0,) * volume.array.ndim
    assert request_of(volume) == request_
    assert header(path).axes == volume.axes == "ZYX"[-volume.array.ndim :]
    assert np.concatenate(list(slabs(path))).shape == volume.shape
    assert image_files(tmp_path) == []  # in a folder it is no image


WHOLE_NUMBER = "expected a whole number from 0, found"


@pytest.mark.parametrize(
    "message, change",
    {
        f"seed: {WHOLE_NUMBER} None": {"seed": None},
        "keys seed, shape, spacing and maybe number, truncation, to, share, found 's": {"sead": 1},
        f"seed: {WHOLE_NUMBER} -1": {"seed": -1},
        f"number: {WHOLE_NUMBER} True": {"number": True},
        r"shape: expected \[z, y, x\] or \[y, x\], of at most 2147483648 v": {"shape": [6, 8.5]},
        "shape: expected": {"shape": [2**20, 2**20]},
        r"spacing: expected the size of a voxel in µm.*found \[0, 1\]": {"spacing": [0, 1]},
        r"spacing: expected 2 numbers as of shape, found \[1, 1, 1\]": {"spacing": [1, 1, 1]},
        "truncation: expected a number from 0 to 2, found 3": {"truncation": 3},
        "to, share: expected both or none, found one": {"to": 3},
    }.items(),
)
def test_a_wrong_request_is_refused(change, message):
    refused(message, canvas_of, PLAIN | change)
    refused("expected a request with the keys .*, found no seed", canvas_of, [change])


def test_a_case_is_json_on_disk_and_its_outputs_are_images_of_that_size(tmp_path):
    inputs = tmp_path / "in"
    task = TASKS["sample"]
    canvas = canvas_of(WHOLE)
    write_case(inputs, task, "a", {REQUEST.slug: canvas})
    assert read_json(inputs / "sample-request.json") == WHOLE
    case = read_case(inputs, task)
    assert replace(case.volumes[REQUEST.slug], origin=canvas.origin).metadata == canvas.metadata
    cells = canvas.like(np.ones(canvas.shape, np.uint16))
    write_outputs(tmp_path / "out", task, case, {"sampled-cells": cells})
    (path,) = (tmp_path / "out/images/sampled-cells").iterdir()
    assert (path.suffix, read(path).spacing) == (".tif", canvas.spacing)
    (inputs / "sample-request.json").unlink()
    refused("sample-request.json", read_case, inputs, task)
