"""A real viewer, in a process of its own: no other test loads Qt."""

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from house import ran

from cytosuite.datasets.folder.load import load
from cytosuite.files import read_json
from cytosuite.folders.index import index
from cytosuite.formats import write
from cytosuite.volume import Volume

DRIVE = Path(__file__).with_name("drive.py")
SCREEN = [] if os.environ.get("DISPLAY") else ["xvfb-run", "--auto-servernum"]
LACKS = "napari" if find_spec("napari") is None else ""
LACKS = LACKS or ("xvfb-run" if SCREEN and shutil.which(SCREEN[0]) is None else "")
SPACING = (2.0, 0.5, 0.5)


@pytest.mark.slow
@pytest.mark.skipif(bool(LACKS), reason=f"{LACKS} is not installed")
def test_a_run_opens_and_labels_are_made_corrected_and_saved(run, tmp_path):
    ball = np.pad(np.full((4, 12, 12), 200, np.uint16), ((3, 3), (10, 10), (10, 10)))
    image = tmp_path / "a cell.tif"
    folder = tmp_path / "my folder"
    write(image, Volume(ball, SPACING, "ZYX", {"channel": "nucleus"}))
    done = ran(*SCREEN, sys.executable, DRIVE, run, image, folder, tmp_path / "facts.json")
    assert done.returncode == 0, done.stderr
    seen = read_json(tmp_path / "facts.json")
    facts = {
        "run": ["bad", "truth", "watershed", "watershed: missed (1)"],
        "contours": [1],
        "cases": ["bad   SEG 0.500", "good   SEG 1.000"],
        "next": ["good", "truth", "watershed"],
        "spacing": "2, 0.5, 0.5",
        "busy": [True, False],
        "labels": ["Labels", list(SPACING), 1],
        "active": 2,
    }
    assert {name: seen[name] for name in facts} == facts
    assert "chosen by the image" in seen["why"]
    assert "cancelled" in seen["cancelled"]
    assert "1 objects" in seen["said"]
    said = "saved: a cell, 2 objects; in several pieces, which may be objects of their own: 1<"
    assert said in seen["saved"][0]
    assert seen["command"].endswith(" --name mine --steps 20")
    assert seen["offered"].endswith(":mine")
    assert seen["saved"][1] == "images with labels in the folder: 1"
    assert str(folder) in seen["saved"][2]
    assert "is there already" in seen["again"]
    (item,) = index(folder, "segment").items
    assert load(item, None, {}).volume("instance-labels").spacing == SPACING
