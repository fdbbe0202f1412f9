import io
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from cytosuite.benchmark.commands import data, series
from cytosuite.benchmark.commands.app import app
from cytosuite.benchmark.commands.options import SimulateOptions
from cytosuite.benchmark.commands.simulate import simulate
from cytosuite.benchmark.engines.outcome import Outcome
from cytosuite.datasets.folder.collect import collect
from cytosuite.errors import InputError
from cytosuite.files import read_json
from cytosuite.formats import read, write
from cytosuite.metrics.tracks.track_folder import read_sequence, score_tracks, write_sequence

SMALL = (
    "shape=[128, 128]",
    "spacing_um=[1, 1]",
    "n_nuclei=5",
    "radius_um=[5, 6]",
    "step_um=1",
    "division=0.3",
)


def _make(out, frames=4, **options):
    chosen = {"dataset": "nuclei", "settings": SMALL, "frames": frames, "out": out} | options
    return simulate(SimulateOptions(**chosen), Console(file=io.StringIO()))


def test_sequences_are_accepted_by_our_own_reader_and_score_one_against_themselves(tmp_path):
    out = _make(tmp_path / "data", cases=2, seed=3)
    names = ["01", "01_GT", "01_SKETCH", "02", "02_GT", "02_SKETCH", "dataset.json"]
    assert sorted(path.name for path in out.iterdir()) == names
    for name in ("01_GT", "02_GT"):
        truth = read_sequence(out / name)
        frames = [truth.frames[number] for number in range(len(truth.frames))]
        assert len(frames) == 4
        write_sequence(tmp_path / f"{name}_RES", frames, truth.tracks)
        scores = score_tracks(out / name, tmp_path / f"{name}_RES", ["SEG", "TRA"])
        assert scores == {"SEG": 1, "TRA": 1}
    tracks = {track.label: track for track in read_sequence(out / "01_GT").tracks}
    daughters = [track for track in tracks.values() if track.parent]
    assert daughters
    assert all(tracks[d.parent].end == d.begin - 1 for d in daughters)
    assert len(collect(out).items) == 8
    record = read_json(out / "dataset.json")
    assert (record["seed"], record["frames"], record["sequences"]) == (3, 4, 2)
    assert record["parameters"]["n_nuclei"] == [5, 5]


def test_the_seed_decides_and_sequences_differ(tmp_path):
    first, again = (_make(tmp_path / name, 1, cases=2) for name in ("a", "b"))
    other = _make(tmp_path / "c", 1, seed=1)
    file = "t000.tif"
    assert (first / "01" / file).read_bytes() == (again / "01" / file).read_bytes()
    assert (first / "01" / file).read_bytes() != (first / "02" / file).read_bytes()
    assert (first / "01" / file).read_bytes() != (other / "01" / file).read_bytes()


def test_an_interrupted_series_leaves_nothing(tmp_path, monkeypatch):
    def stop(step, before, total, done):
        if done == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(series, "_count", stop)
    with pytest.raises(KeyboardInterrupt):
        _make(tmp_path / "data")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_empty_is_left_as_it_is(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="the folder is not empty"):
        _make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "membrane", "settings": ()}, "membrane has no time series; .* have: nuclei"),
        ({"dataset": "nuclei/hella"}, "did you mean 'nuclei/hela'"),
        ({"out": None}, "--frames 4: expected --out FOLDER and no layout, found no --out"),
        ({"layout": "nnunet"}, "--frames 4: .* found --layout nnunet"),
        ({"settings": (*SMALL[:-1], "division=2")}, "--set division=2: .* found 2"),
        ({"settings": (*SMALL, "n_nuclei=900")}, "900 nuclei .* do not fit"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(tmp_path, options, message):
    with pytest.raises(InputError, match=message) as error:
        _make(**{"out": tmp_path / "data"} | options)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


class _Copier:
    """Engine of a synthesiser that gives its labels back, 100 brighter."""

    name, models, guests = "fake", {}, {}

    def identity(self, algorithm):
        return algorithm

    @contextmanager
    def session(self, *given):
        yield SimpleNamespace(startup_seconds=0.5, predict=self._predict)

    def _predict(self, case_input, output, log, shown):
        (path,) = (case_input / "images" / "instance-labels").iterdir()
        labels = read(path)
        made = labels.like(labels.array + 100)
        write(output / "images" / "synthetic-image" / path.name, made)
        log.touch()
        return Outcome("ok", 0.25, 10**6, 0)


def test_frames_pass_the_chain_of_their_recipe(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "choose", lambda *wanted: (_Copier(), "engine: fake"))
    out = _make(tmp_path / "data", 2, dataset="nuclei/culture", cases=2)
    for sequence, frame in (("01", "000"), ("02", "001")):
        truth = read(out / f"{sequence}_GT" / "SEG" / f"man_seg{frame}.tif").array
        assert (read(out / sequence / f"t{frame}.tif").array == truth + 100).all()
    assert read_json(out / "dataset.json")["through"] == ["diffusion"]
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_a_folder_of_images_has_no_series(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError, match="--frames needs a simulated dataset"):
        _make(tmp_path / "data", dataset=str(tmp_path / "images"), settings=())


def test_the_command_takes_frames(tmp_path):
    words = ["simulate", "nuclei", "--frames", "2", "--out", str(tmp_path / "data")]
    done = CliRunner().invoke(app, [*words, *(w for s in SMALL for w in ("--set", s))])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "data" / "01_GT" / "TRA" / "man_track.txt").is_file()
    refused = CliRunner().invoke(app, [*words[:2], "--frames", "0"])
    assert refused.exit_code == 2
