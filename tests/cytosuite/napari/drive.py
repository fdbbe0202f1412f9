"""Drive a real viewer as a user would, and write what it showed as JSON.

python drive.py RUN IMAGE FOLDER FACTS: open a run; segment an image by watershed; correct its labels and save them.
"""

import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import cytosuite

MANIFEST = Path(cytosuite.__file__).parent / "napari/napari.yaml"


def wait(runner):
    """Let the window live until its command has ended."""
    from qtpy.QtWidgets import QApplication  # not where tests are collected

    end = time.monotonic() + 120
    while runner.timer.isActive() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.02)


def started():
    """Return a viewer with the plugin as it is in this checkout, and its window."""
    import napari
    from npe2 import PluginManager, PluginManifest

    plugins = PluginManager.instance()
    if "cytosuite" not in plugins:
        plugins.register(PluginManifest.from_file(MANIFEST))
    viewer = napari.Viewer(show=False)
    return viewer, viewer.window.add_plugin_dock_widget("cytosuite")[1]


def main(run, image, folder, facts):
    """Do it all."""
    seen = {}
    viewer, window = started()
    viewer.open(run, plugin="cytosuite")
    seen["run"] = [layer.name for layer in viewer.layers]
    seen["contours"] = [layer.contour for layer in viewer.layers if layer.name == "truth"]
    seen["cases"] = [window.run.cases.item(n).text() for n in range(window.run.cases.count())]
    window.run.cases.setCurrentRow(1)
    window.run.show_case()
    seen["next"] = [layer.name for layer in viewer.layers]
    viewer.layers.clear()

    viewer.open(image, plugin="cytosuite")
    segment = window.segment
    segment.algorithm.setCurrentIndex(segment.algorithm.findData("watershed"))
    seen["spacing"] = segment.spacing.text()
    segment.go(dry=True)
    wait(segment.runner)
    seen["why"] = segment.reasons.toPlainText()
    segment.go(dry=False)
    seen["busy"] = [segment.runner.row.isVisibleTo(segment), segment.start.isEnabled()]
    segment.runner.stop()
    wait(segment.runner)
    seen["cancelled"] = segment.runner.line.text()
    segment.go(dry=False)
    wait(segment.runner)
    seen["said"] = segment.runner.line.text()
    labels = viewer.layers[-1]
    seen["labels"] = [type(labels).__name__, labels.scale.tolist(), int(labels.data.max())]

    correct = window.correct
    seen["active"] = labels.selected_label
    labels.data[0, 0, 0] = 1  # far from the object of this label
    labels.paint(tuple(np.array(labels.data.shape) // 2), 200)
    correct.folder.setText(folder)
    correct.write()
    seen["saved"] = [correct.runner.line.text(), correct.there.text(), correct.command.text()]
    correct.write()
    seen["again"] = correct.runner.line.text()

    correct.steps.setText(" 20 ")
    seen["command"] = correct.command.text()
    correct.runner.work = SimpleNamespace(words=correct.words())  # a training that has ended
    correct.new.setText("edited while it ran")
    correct._trained()
    seen["offered"] = correct.parents.itemText(correct.parents.count() - 1)
    viewer.close()
    Path(facts).write_text(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
