"""The window of the plugin: run an algorithm, correct its labels for a fine-tuning, open a run."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from napari.layers import Image, Labels
from napari.viewer import Viewer
from qtpy import QtWidgets as Qw
from qtpy.QtCore import Qt, QTimer

from cytosuite.benchmark.catalog.models import algorithms, preferred
from cytosuite.benchmark.catalog.places import model_homes, workplace
from cytosuite.benchmark.commands.terminal.console import numbers
from cytosuite.benchmark.commands.terminal.options import AUTO, SEGMENT
from cytosuite.contract.tasks import TASKS
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.files import TextSeq, read_json, remove
from cytosuite.folders.entries import case_name
from cytosuite.formats import write
from cytosuite.napari import layers, runs
from cytosuite.napari.work import Work, outcome, train_words, typed, why

LOOK_MS = 100  # between two looks at a running command
ENGINES = ("process", "auto", "docker", "podman", "apptainer")
BY_IMAGE = "by the image"
RED = "#ff6b6b"
Layer = Any  # of napari
Button = Qw.QPushButton


class Cytosuite(Qw.QWidget):
    """The three parts as tabs."""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.segment, self.correct = SegmentTab(napari_viewer), CorrectTab(napari_viewer)
        self.run, self.tabs = RunTab(napari_viewer), Qw.QTabWidget()
        self.segment.made, self.correct.trained = self.correct.take, self.segment.show_models
        self.tabs.addTab(self.segment, "Segment")
        self.tabs.addTab(self.correct, "Correct, fine-tune")
        self.tabs.addTab(self.run, "Benchmark run")
        _stack(self, self.tabs)


class LayerBox(Qw.QComboBox):
    """A choice among the layers of a kind, the topmost first."""

    def __init__(self, viewer: Viewer, kind: type) -> None:
        super().__init__()
        self.layers, self.kind = viewer.layers, kind
        for event in (self.layers.events.inserted, self.layers.events.removed):
            _follow(self, event, self.refresh)
        self.refresh()

    @property
    def layer(self) -> Layer:
        """The chosen layer, None without any."""
        return self.currentData()

    def refresh(self, *_: object) -> None:
        """Show the layers that there are; the choice stays."""
        before = self.layer
        fitting: list[Layer] = [x for x in self.layers[::-1] if isinstance(x, self.kind)]
        self.blockSignals(True)
        self.clear()
        for layer in fitting:
            self.addItem(layer.name, layer)
            layer.events.name.connect(self.refresh)
        if before in fitting:
            self.setCurrentIndex(fitting.index(before))
        self.blockSignals(False)
        if self.layer is not before:
            self.currentIndexChanged.emit(self.currentIndex())


class Runner(Qw.QWidget):
    """One command at a time: progress, last line, and a button that ends it."""

    def __init__(self, *waiting: Qw.QPushButton) -> None:
        super().__init__()
        self.waiting = waiting  # buttons
        self.work: Work | None = None
        self.bar, self.line, self.cancel = Qw.QProgressBar(), _text(), Button("Cancel")
        self.cancel.clicked.connect(self.stop)
        self.timer = QTimer(self)
        self.timer.timeout.connect(self.look)
        self.row = _beside(self.bar, self.cancel)
        _stack(self, self.row, self.line)
        self.show_running(on=False)
        self._running: list[Work] = []  # ends with the window
        self.destroyed.connect(lambda *_, running=self._running: [work.kill() for work in running])

    def start(self, words: TextSeq, done: Callable[[], None]) -> None:
        """Start a command; `done` is called when it has gone well."""
        self.work, self.done = Work(words), done
        self._running[:] = [self.work]
        self.bar.setRange(0, 0)
        self.say(typed(words))
        self.show_running(on=True)
        self.timer.start(LOOK_MS)

    def look(self) -> None:
        """Show how far the command is, and how it ended."""
        assert self.work is not None
        before = len(self.work.lines)
        code = self.work.look()
        if self.work.share is not None:
            self.bar.setRange(0, 100)
            self.bar.setValue(round(100 * self.work.share))
        if self.work.lines[before:]:
            self.say(self.work.lines[-1])
        if code is None:
            return
        self.timer.stop()
        self._running.clear()
        self.show_running(on=False)
        with self.refused():
            if self.work.refusal:
                raise InputError(self.work.refusal)
            self.done()

    def stop(self) -> None:
        """End the command."""
        if self.work:
            self.work.stop()
            self.say("cancelling ...")

    def say(self, text: str, style: str = "") -> None:
        """Show a line."""
        self.line.setText(f"<span style='{style}'>{escape(text)}</span>")

    @contextmanager
    def refused(self) -> Iterator[None]:
        """Show the refusal of an input as a line."""
        try:
            yield
        except (CytosuiteError, OSError) as error:
            self.say(str(error), f"color:{RED}")

    def show_running(self, *, on: bool) -> None:
        """Show the progress alone while a command runs."""
        self.row.setVisible(on)
        for button in self.waiting:
            button.setEnabled(not on)


class SegmentTab(Qw.QWidget):
    """An algorithm on the selected image, with the reasons for its model."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.home = tempfile.TemporaryDirectory(prefix="cytosuite-", ignore_cleanup_errors=True)
        self.made: Callable[[Layer, Layer, str], None] = lambda *_: None  # image, labels, model
        self.image = LayerBox(viewer, Image)
        self.spacing, self.diameter = _field("not known; type it"), _field("estimated")
        self.channel = _field("as the image says")
        self.algorithm, self.model, self.engine = Qw.QComboBox(), Qw.QComboBox(), Qw.QComboBox()
        self.algorithm.addItem(f"{AUTO} ({SEGMENT})", AUTO)
        for name, manifest in algorithms().items():
            main = next(socket for socket in TASKS[manifest.task].inputs if socket.is_volume)
            if main.kind == "image":
                self.algorithm.addItem(f"{name} ({manifest.task})", name)
        self.engine.addItems(ENGINES)
        self.explain, self.start = Button("Which model?"), Button("Run")
        self.runner, self.reasons = Runner(self.explain, self.start), Qw.QTextBrowser()
        rows = {
            "image": self.image,
            "voxel µm (z, y, x)": self.spacing,
            "diameter µm": self.diameter,
            "channel": self.channel,
            "algorithm": self.algorithm,
            "model": self.model,
            "runs as": self.engine,
        }
        _stack(self, _form(rows), _beside(self.explain, self.start), self.runner, self.reasons)
        self.image.currentIndexChanged.connect(self.show_image)
        self.algorithm.currentIndexChanged.connect(self.show_models)
        self.explain.clicked.connect(partial(self.go, dry=True))
        self.start.clicked.connect(partial(self.go, dry=False))
        self.destroyed.connect(lambda *_, end=self.home.cleanup: end())
        self.show_image()
        self.show_models()

    def show_image(self) -> None:
        """Show voxel size and channel of the image."""
        layer = self.image.layer
        self.spacing.setText("" if layer is None else _sizes(layer))
        metadata = {} if layer is None else layer.metadata.get(layers.OWN, {})
        self.channel.setText(str(metadata.get("channel", "")))

    def show_models(self) -> None:
        """Show the models of the algorithm, also those trained since."""
        name = self.algorithm.currentData()
        names = [manifest.name for manifest in preferred(SEGMENT)] if name == AUTO else [name]
        self.model.clear()
        self.model.addItems(
            [BY_IMAGE, *(model for algorithm in names for model in _models(algorithm))]
        )

    def go(self, *_: object, dry: bool) -> None:
        """Run the algorithm, or only show which model would run."""
        with self.runner.refused():
            layer = self.image.layer
            if layer is None:
                raise InputError("expected an image, found none; open one first")
            self._take_spacing(layer)
            volume, name = layers.volume_of(layer, self.viewer.dims.point), case_name(layer.name)
            for former in Path(self.home.name).iterdir():
                remove(former)
            folder = Path(tempfile.mkdtemp(dir=self.home.name))
            write(folder / f"{name}.tif", volume, compress=False)
            out = folder / ("choice.json" if dry else "out")
            words = ["apply", str(folder / f"{name}.tif"), *self.options()]
            words += ["--dry-run", "--json"] if dry else ["--no-preview", "--out"]
            done = partial(self._explained, out) if dry else partial(self._made, layer, out, name)
            self.runner.start([*words, str(out)], done)

    def options(self) -> list[str]:
        """Return algorithm, model, diameter and channel as words of the command."""
        words = ["--algorithm", self.algorithm.currentData(), "--engine", self.engine.currentText()]
        words += ["--model", self.model.currentText()] if self.model.currentIndex() > 0 else []
        for flag, field in (("--diameter", self.diameter), ("--channel", self.channel)):
            text = field.text().strip() if field.isModified() else ""
            words += [flag, text] if text else []
        return words

    def _take_spacing(self, layer: Layer) -> None:
        """Give a layer the voxel size that the user has typed; show it where none is."""
        text, axes = self.spacing.text().strip(), layers.axes_of(layer)
        spacing = numbers(text) if text and self.spacing.isModified() else None
        if spacing is None:
            self.spacing.setText(_sizes(layer))
            return
        if len(spacing) != len(axes):
            order = ", ".join(axes.lower())
            raise InputError(f"voxel size: expected {len(axes)} numbers ({order}), found {text}")
        extra = layer.ndim - len(axes)
        layer.units = (*layer.units[:extra], *("um",) * len(axes))
        layer.scale = (*layer.scale[:extra], *spacing)
        self.spacing.setModified(False)

    def _explained(self, path: Path) -> None:
        """Show the choice of a model."""
        (choice,) = read_json(path)
        self.reasons.setHtml(why(choice))
        self.runner.say("nothing was run")

    def _made(self, layer: Layer, out: Path, name: str) -> None:
        """Show the outputs of an algorithm on the grid of its image."""
        (record, outputs), number = layers.results(out, name), len(layers.axes_of(layer))
        self.reasons.setHtml(why(record))
        for data, arguments, kind in outputs:
            if kind == "points" or data.ndim == number:
                same = ("scale", "translate", "units")
                arguments |= {key: getattr(layer, key)[-number:] for key in same}
            added = getattr(self.viewer, f"add_{kind}")(data, **arguments)
            if kind == "labels":
                self.made(layer, added, f"{record['algorithm']}:{record['model']}")
        self.runner.say(outcome(record))


class CorrectTab(Qw.QWidget):
    """Corrected labels into a folder, and a fine-tuning on it."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.trained: Callable[[], None] = lambda: None  # a new model is there
        self.image, self.labels = LayerBox(viewer, Image), LayerBox(viewer, Labels)
        self.name, self.folder, self.new = _field("of the files"), _field("a folder"), _field("")
        self.replace = Qw.QCheckBox("replace one of this name")
        self.save, self.there = Button("Save image and labels"), _text()
        self.parents, self.command, self.train = Qw.QComboBox(), _text(), Button("Fine-tune")
        self.parents.addItems([f"cellpose3d:{name}" for name in _models("cellpose3d")])
        self.folder.setText(str(workplace() / "runs/corrected"))
        self.new.setText("mine")
        self.steps = _field("as many as the algorithm takes")
        self.runner, self.log = Runner(self.train), Qw.QTextBrowser()
        self.log.setVisible(False)
        rows = {
            "image": self.image,
            "corrected labels": self.labels,
            "name": self.name,
            "folder": _browsed(self.folder),
            "": self.replace,
        }
        more = {"from model": self.parents, "new model": self.new, "steps": self.steps}
        last = (self.command, self.train, self.runner, self.log)
        _stack(self, _form(rows), self.save, self.there, _form(more), *last)
        self.layout().addStretch()
        self.image.currentIndexChanged.connect(self.show_name)
        self.labels.currentIndexChanged.connect(
            lambda _: self.parents.setCurrentText(layers.made_by(self.labels.layer))
        )
        self.save.clicked.connect(self.write)
        self.train.clicked.connect(self.fine_tune)
        for field in (self.folder, self.new, self.steps):
            field.textChanged.connect(self.show_command)
        self.parents.currentIndexChanged.connect(self.show_command)
        self.runner.timer.timeout.connect(self.show_log)
        self.show_name()
        self.show_command()

    def take(self, image: Layer, labels: Layer, model: str) -> None:
        """Take over an image, the labels of an algorithm, and its model."""
        for box, layer in ((self.image, image), (self.labels, labels)):
            box.setCurrentText(layer.name)
        self.parents.setCurrentText(model)

    def show_name(self) -> None:
        """Propose the name of the image."""
        layer = self.image.layer
        self.name.setText("" if layer is None else case_name(layer.name))

    def words(self) -> list[str]:
        """Return the command of the fine-tuning."""
        name, steps = self.new.text().strip(), self.steps.text().strip()
        return train_words(self.folder.text(), self.parents.currentText(), name, steps)

    def show_command(self) -> None:
        """Show how many images lie in the folder, and the command that trains on them."""
        self.command.setText(typed(self.words()))
        try:
            number = layers.count(Path(self.folder.text()))
        except (CytosuiteError, OSError) as error:
            self.there.setText(str(error))
        else:
            self.there.setText(f"images with labels in the folder: {number}")

    def write(self) -> None:
        """Write image and labels into the folder."""
        with self.runner.refused():
            image, labels = self.image.layer, self.labels.layer
            if image is None or labels is None:
                raise InputError("expected an image and its labels, found no such layer")
            volume = layers.volume_of(image, self.viewer.dims.point)
            truth = layers.labels_of(labels, volume, self.viewer.dims.point)
            folder, name = Path(self.folder.text()), self.name.text().strip()
            number = layers.save_pair(folder, name, volume, truth, replace=self.replace.isChecked())
            self.replace.setChecked(False)
            self.runner.say(f"saved: {name}, {number} objects{layers.in_pieces(truth)}")
            self.show_command()

    def fine_tune(self) -> None:
        """Start the training."""
        with self.runner.refused():
            if not self.new.text().strip():
                raise InputError("expected a name of the new model, found none")
            if not layers.count(Path(self.folder.text())):
                raise InputError(f"{self.folder.text()}: expected images with labels, found none")
            self.log.setVisible(True)
            self.runner.start(self.words(), self._trained)

    def show_log(self) -> None:
        """Show all lines of the training."""
        if self.runner.work:
            self.log.setPlainText("\n".join(self.runner.work.lines))
            self.log.verticalScrollBar().setValue(self.log.verticalScrollBar().maximum())

    def _trained(self) -> None:
        """Offer the new model, of the name that it had when the training began."""
        assert self.runner.work is not None
        words = self.runner.work.words
        algorithm, model = words[1], words[words.index("--name") + 1]
        self.parents.addItem(f"{algorithm}:{model}")
        self.trained()
        self.runner.say(f"trained: choose {algorithm} and its model {model} to run it")


class RunTab(Qw.QWidget):
    """The cases of a run, the worst first, each as layers with its errors."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.opened: runs.OpenedRun | None = None
        self.folder = _field("folder of a run: runs/...")
        self.cases, self.open, self.runner = Qw.QListWidget(), Button("Open the case"), Runner()
        signs = (f"<span style='color:{rgb}'>■</span> {name}" for name, rgb in runs.LEGEND.items())
        legend = _text(" ".join(signs))
        _stack(self, _browsed(self.folder), self.cases, self.open, legend, self.runner)
        self.folder.textChanged.connect(self.list_cases)
        self.open.clicked.connect(self.show_case)
        self.cases.itemDoubleClicked.connect(self.show_case)
        _follow(self, viewer.layers.events.inserted, lambda event: self.meet(event.value))
        for layer in viewer.layers:
            self.meet(layer)

    def meet(self, layer: Layer) -> None:
        """Free a label to paint with, draw outlines, and list the run of an opened case."""
        layers.paint_anew(layer)
        metadata = layer.metadata
        if runs.CONTOUR in metadata:
            layer.contour, layer.opacity = metadata[runs.CONTOUR], 1.0
        run = metadata.get(runs.RUN)
        if run and (not self.opened or run != str(self.opened.run.folder)):
            self.folder.setText(run)

    def list_cases(self) -> None:
        """List the cases of the folder's run."""
        self.cases.clear()
        self.opened = None
        with self.runner.refused():
            if place := runs.run_of(Path(self.folder.text())):
                self.opened = runs.open_run(place[0])
                self.cases.addItems([self.opened.title(case) for case in self.opened.cases])
                self.cases.setCurrentRow(0)
                self.runner.say(f"cases, the worst first: {len(self.opened.cases)}")

    def show_case(self, *_: object) -> None:
        """Replace the layers of the run by the layers of the chosen case."""
        with self.runner.refused():
            if not self.opened or self.cases.currentRow() < 0:
                raise InputError("expected a run and one of its cases, found none")
            shown = runs.case_layers(self.opened, self.opened.cases[self.cases.currentRow()])
            for layer in [layer for layer in self.viewer.layers if runs.RUN in layer.metadata]:
                self.viewer.layers.remove(layer)
            for data, arguments, kind in shown:
                getattr(self.viewer, f"add_{kind}")(data, **arguments)


def _stack(home: Qw.QWidget, *parts: Qw.QWidget) -> None:
    """Put widgets below each other into one."""
    column = Qw.QVBoxLayout(home)
    for part in parts:
        column.addWidget(part)


def _beside(*parts: Qw.QWidget) -> Qw.QWidget:
    """Return widgets side by side."""
    home = Qw.QWidget()
    row = Qw.QHBoxLayout(home)
    row.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        row.addWidget(part)
    return home


def _form(rows: Mapping[str, Qw.QWidget]) -> Qw.QWidget:
    """Return widgets with their names; choices may be narrower than their longest entry."""
    home = Qw.QWidget()
    form = Qw.QFormLayout(home)
    form.setContentsMargins(0, 0, 0, 0)
    for name, part in rows.items():
        if isinstance(part, Qw.QComboBox):
            part.setSizeAdjustPolicy(part.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            part.setMinimumContentsLength(12)
        form.addRow(name, part)
    return home


def _text(lines: str = "") -> Qw.QLabel:
    """Return lines to read and to copy."""
    text = Qw.QLabel(lines)
    text.setWordWrap(True)
    text.setSizePolicy(Qw.QSizePolicy.Policy.Preferred, Qw.QSizePolicy.Policy.Maximum)
    text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return text


def _field(hint: str) -> Qw.QLineEdit:
    """Return a line to type in, with a hint where it is empty."""
    field = Qw.QLineEdit()
    field.setPlaceholderText(hint)
    return field


def _follow(widget: Qw.QWidget, event: Any, react: Callable[..., None]) -> None:  # noqa: ANN401
    """React to an event of napari as long as a widget exists."""
    event.connect(react)
    widget.destroyed.connect(lambda *_: event.disconnect(react))


def _sizes(layer: Layer) -> str:
    """Return the voxel size of a layer as text, empty where it is not known."""
    return ", ".join(f"{size:.6g}" for size in layers.spacing_of(layer) or ())


def _browsed(field: Qw.QLineEdit) -> Qw.QWidget:
    """Return a field with a button that lets the user choose a folder."""
    browse = Button("...")
    browse.clicked.connect(
        lambda *_: field.setText(
            Qw.QFileDialog.getExistingDirectory(None, "cytosuite", field.text()) or field.text()
        )
    )
    return _beside(field, browse)


def _models(algorithm: str) -> list[str]:
    """Return the names of the models of an algorithm, ours and the user's."""
    homes = (home / algorithm for home in model_homes())
    return sorted({path.stem for home in homes for path in home.glob("*.json")})
