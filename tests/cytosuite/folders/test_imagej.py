"""ROIs of ours in ImageJ, and those that ImageJ draws and saves in ours: the same pixels."""

import numpy as np
import pytest
import tifffile
from macros import needs_imagej, printed

from cytosuite.folders.rois import read_rois, write_rois
from cytosuite.volume import Volume

# Measures all ROIs of a file by its name, and saves them again.
MEASURE = """
roiManager("reset");
newImage("a", "8-bit black", {width}, {height}, {planes});
roiManager("Open", "{folder}/{name}_rois.zip");
run("Set Measurements...", "area centroid redirect=None decimal=6");
for (i = 0; i < roiManager("count"); i++) {{
    roiManager("Select", i);
    List.setMeasurements;
    print("{name} " + call("ij.plugin.frame.RoiManager.getName", i) + " " + getSliceNumber() + " "
        + List.getValue("Area") + " " + List.getValue("X") + " " + List.getValue("Y"));
}}
roiManager("Deselect");
roiManager("Save", "{folder}/{name}_saved_rois.zip");
"""
# Draws selections of all kinds in boxes of 40 pixels, fills them with their numbers, saves both.
DRAW = """
roiManager("reset");
newImage("a", "8-bit black", 400, 80, 1);
number = 0;
function add() {{
    number++;
    roiManager("Add");
    run("Set...", "value=" + number);
}}
makeRectangle(3, 4, 20, 11); add();
makeRectangle(43.4, 3.6, 20.3, 11.7); add();
makeOval(83, 4, 20, 11); add();
makeOval(123, 4, 9, 9); add();
makeOval(163.3, 4.6, 17.5, 30.2); add();
makePolygon(203, 4, 223, 24, 213, 34, 205, 22); add();
makePolygon(243.3, 4.2, 263.7, 24.9, 253.5, 34.5, 245.1, 22.8); add();
makeSelection("freehand", newArray(283, 303, 293, 285), newArray(4, 9, 34, 22)); add();
makeSelection("freehand", newArray(323.5, 343.5, 333.5), newArray(4.5, 9.5, 34.5)); add();
makeEllipse(365, 5, 385, 30, 0.5); add();
makeRectangle(3, 44, 20, 20); setKeyDown("alt"); makeRectangle(8, 49, 5, 5); add();
makeOval(43, 44, 20, 20); setKeyDown("shift"); makeRectangle(70, 60, 5, 5); add();
makePolygon(83, 44, 103, 64, 83, 64, 103, 44); add();
makeRotatedRectangle(130, 50, 150, 70, 9); add();
makeRectangle(163, 44, 30, 30); run("Make Band...", "band=2"); add();
makeLine(203, 44, 230, 60); roiManager("Add");
makePoint(243, 44); roiManager("Add");
roiManager("Deselect");
roiManager("Save", "{folder}/theirs_rois.zip");
run("Select None");
saveAs("Tiff", "{folder}/drawn.tif");
"""

pytestmark = [pytest.mark.slow, needs_imagej]


def _painted(regions, shape):
    labels = np.zeros(shape, np.uint32)
    for number, region in enumerate(regions, 1):
        labels.flat[region.pixels] = region.label or number
    return labels


def _labels(shape):
    noise = np.random.default_rng(0).integers(0, 99, (*shape[:-2], shape[-2] // 8, shape[-1] // 5))
    labels = noise.repeat(8, -2).repeat(5, -1).astype(np.uint32)
    labels[..., 3:9, 10:30] = 70_000
    labels[..., 5:7, 12:20] = 0  # a hole
    labels[..., 30:33, 40:45] = 70_000  # another piece
    return labels


SHAPES = {"plane": (40, 50), "stack": (5, 40, 50)}


@pytest.fixture(scope="module")
def imagej(tmp_path_factory):
    """Return the folder where one ImageJ saves all, and the words of the lines that it prints."""
    folder = tmp_path_factory.mktemp("imagej")
    macro = DRAW.format(folder=folder)
    for name, shape in SHAPES.items():
        volume = Volume(_labels(shape), (1.0,) * len(shape), "ZYX"[-len(shape) :])
        write_rois(folder / f"{name}_rois.zip", volume)
        planes, height, width = (1, *shape)[-3:]
        places = {"width": width, "height": height, "planes": planes, "folder": folder}
        macro += MEASURE.format(name=name, **places)
    return folder, [line.split() for line in printed(folder, macro)]


@pytest.mark.parametrize("name, shape", SHAPES.items())
def test_imagej_measures_the_pixels_of_labels_and_saves_the_same(imagej, name, shape):
    folder, lines = imagej
    labels = _labels(shape)
    measured = [words[1:] for words in lines if words[:1] == [name]]
    expected = []
    for z, plane in enumerate(labels if labels.ndim == 3 else [labels], 1):
        for label in np.unique(plane[plane > 0]).tolist():
            y, x = np.nonzero(plane == label)
            roi = f"{label:04d}-z{z:03d}" if labels.ndim == 3 else f"{label:04d}"
            expected.append((roi, z, len(y), x.mean() + 0.5, y.mean() + 0.5))
    assert [(n, int(z), float(a)) for n, z, a, *_ in measured] == [row[:3] for row in expected]
    places = np.array([line[3:] for line in measured], float)
    assert places == pytest.approx(np.array([row[3:] for row in expected]), abs=1e-3)
    regions, _ = read_rois(folder / f"{name}_saved_rois.zip", shape)
    assert np.array_equal(_painted(regions, shape), labels)


def test_selections_of_imagej_are_read_pixel_for_pixel(imagej):
    folder, _ = imagej
    drawn = tifffile.imread(folder / "drawn.tif")
    regions, counts = read_rois(folder / "theirs_rois.zip", drawn.shape)
    assert (len(regions), counts["no areas"], counts["clipped"]) == (15, 2, 0)
    painted = np.zeros_like(drawn)
    for region in regions:
        painted.flat[region.pixels] = np.bincount(drawn.flat[region.pixels]).argmax()
    assert np.array_equal(painted, drawn)
