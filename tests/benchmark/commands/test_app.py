"""The command line: options, groups, old names; a mistake is one line, and nothing is lost."""

import os
import re
import sys
from pathlib import Path

import pytest
import typer
from house import ROOT, printed, ran
from typer.testing import CliRunner

from cytosuite.benchmark.commands.app import COMMANDS, GROUPS
from cytosuite.benchmark.commands.terminal.console import names, numbers, pairs, several
from cytosuite.benchmark.commands.terminal.options import (
    argument,
    as_callback,
    command_options,
    option,
)
from cytosuite.files import write_text

LONG = 300 * "n"
OURS = ROOT / "benchmark/accepted/spheroid"
NO_TEXT = os.fsdecode(b"\xff\xfe")


@command_options
class Toy:
    """Options of a toy command."""

    place: Path = argument("")
    sizes: tuple[float, ...] | None = option("Sizes.", parse=numbers)
    words: list[str] = option("Words.", (), parse=names)
    settings: list[str] = option("Pairs.", (), parse=pairs, flag="--set", repeatable=True)
    level: int = option("Level.", 0, min=0, max=9, env="TOY_LEVEL")
    loud: bool = option("Loud.", False)


def test_every_field_is_an_option_and_texts_are_parsed():
    seen = []
    app = typer.Typer()

    def command(options: Toy, console: object) -> int:
        seen.append(options)
        return 3

    app.command()(as_callback(Toy, lambda: command))
    runner = CliRunner()
    assert runner.invoke(app, ["here"]).exit_code == 3
    assert seen.pop() == Toy(place=Path("here"))
    runner.invoke(app, ["here", "--sizes", "", "--words", ""])
    assert seen.pop() == Toy(place=Path("here"))
    words = ["x", "--sizes", "2,0.5", "--words", "a, b", "--set", "x.y=[1, 2] z.w=2", "--loud"]
    runner.invoke(app, words, env={"TOY_LEVEL": "7"})
    (toy,) = seen
    assert (toy.sizes, toy.words, toy.loud, toy.level) == ((2.0, 0.5), ["a", "b"], True, 7)
    assert toy.settings == ["x.y=[1, 2]", "z.w=2"]
    assert [runner.invoke(app, words).exit_code for words in ([], ["x", "--level", "10"])] == [2, 2]
    assert len(seen) == 1


@pytest.mark.parametrize(
    "text, settings",
    {
        "scale=0.1,studies=[4, 2]": ["scale=0.1", "studies=[4, 2]"],
        "image={shape=[9, 5, 5], stretch=1}": ["image={shape=[9, 5, 5], stretch=1}"],
        "structure=tissue, falloff_um=2": ["structure=tissue", "falloff_um=2"],
    }.items(),
)
def test_settings_in_one_text_are_parted_between_keys_alone(text, settings):
    assert pairs([text]) == settings
    assert several(["role=a,other=b", "c"]) == ["role=a", "other=b", "c"]


def test_the_help_shows_every_command_in_its_group(here):
    code, shown, _ = here()
    assert code == 0
    for title, commands in COMMANDS.items():
        assert f" {title} " in shown
        assert all(f" {command.name} " in shown for command in commands)
    for name, (_, _, commands) in GROUPS.items():
        _, shown, _ = here(name, "--help")
        assert all(f" {command.name} " in shown for command in commands)


def test_a_command_loads_its_own_parts_alone():
    code, every = "import sys, cytosuite.{}; print(*sys.modules)", {"numba", "skimage"}
    every |= (report := {"pandas", "matplotlib", "jinja2", "torch"})
    for module, heavy in (
        ("benchmark.commands.apply, cytosuite.benchmark.commands.doctor", every),
        ("benchmark.commands.benchmark", {"pandas", "matplotlib", "torch"}),
        ("benchmark.runs.data.dataset", report),
    ):
        loaded = printed(ran(sys.executable, "-c", code.format(module)))
        assert not heavy & {*loaded.split()}, module


def test_neither_a_help_nor_the_list_loads_what_runs():
    code = """if True:
        import sys
        from cytosuite.benchmark.commands.app import COMMANDS, GROUPS, application

        words = [[], ["list"], *([command.name] for group in COMMANDS.values() for command in group)]
        words += [[name, command.name] for name, group in GROUPS.items() for command in group[2]]
        for own in words:
            own += ["--help"] * (own != ["list"])
            application(own)(own, standalone_mode=False)
            assert not {*sys.argv} & {*sys.modules}, own"""
    heavy = "numpy scipy pandas numba torch docker SimpleITK tifffile PIL skimage jinja2"
    printed(ran(sys.executable, "-c", code, *heavy.split()))


@pytest.fixture
def place(planes, monkeypatch):
    """Return the current folder: annotated images, and things that no command may alter."""
    tmp_path = planes.rename(planes.with_name("own")).parent
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("file", "file.toml", "folder/mine.txt", "fitted.json"):
        write_text(tmp_path / name, "{}")
    (tmp_path / "huge.json").write_text('{"px_size_desired": [1e-300, 1e300, 1]}')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _state(place):
    return {
        path.relative_to(place): path.read_bytes() if path.is_file() else None
        for path in place.rglob("*")
    }


SEGMENT = "segment own --engine process --algorithm watershed --out out"
SIMULATE = (
    "simulate spheroid --size mini --cases 1 --runs runs "
    "--set 'image.shape=[16, 64, 64] image.spacing_um=[2, 0.5, 0.5] tissue.n_nuclei=4'"
)


@pytest.mark.parametrize(
    "words, line",
    {
        "segmnt": "No such command 'segmnt'",
        f"list --{NO_TEXT}": r"No such option: --\udcff\udcfe",
        f"{SEGMENT} --diameter nan": "diameter must be 1e-06 to 1e+06 µm, found nan",
        f"{SEGMENT} --spacing 1e300,1,1": "spacing must be numbers in µm like 2,0.5,0.5",
        f"{SEGMENT} --memory inf": "less than or equal to 100000",
        f"{SEGMENT} --out file/x": "file: expected a folder, found something else",
        f"{SIMULATE} --out folder": "folder: the folder is not empty; name a new one",
        f"{SIMULATE} --out runs": "runs: the folder of all results; name another one",
        f"{SIMULATE} --set image.shape={2000 * '['}": "image.shape",
        "score --truth own/labels --prediction own/labels --csv pipe.csv": "pipe.csv: expected the name of a file to write",
        "list --csv ''": "--csv: expected a path, found nothing",
        "export ''": "expected a name or path as each argument, found none",
        "compare --accepted ''": "expected a name or path as each argument, found none",
        f"{SEGMENT} --device=cpu ''": "expected a name or path as each argument, found none",
        "benchmark own --engine magic": "ENGINE must be auto, docker, podman, appt",
        "benchmark own --run \x1b[31m": "expected a printable name of at most",
        "benchmark own --sockets file.toml": "SOCKETS=file.toml is for images of",
        "calibrate spheroid own --rounds 1 --cases 1 --out fitted.toml": "fitted.json: exists already, without fitted.toml",
        "maintain migrate huge.json --out m.toml": "huge.json: px_size_desired",
        f"new {LONG}": "File name too long",
        "phantoms --drawn 2 --copies 5 --out out": "--copies alters nuclei",
        "phantoms --out out": "phantoms: give a stack to cut nuclei from, --drawn NUMBER",
        "compare a": "expected two runs, found 1",
        "compare a b --accepted": "expected one run with --accepted, found 2",
        f"compare {OURS} {OURS}/../nuclei_2d": "no case in common",
        f"compare {OURS} {OURS} --metrics SGE": "no metric 'SGE'",
        f"compare {OURS} {OURS} --thresholds x.toml": "x.toml: no such file",
        "preflight none.tar.gz": "none.tar.gz: no such file",
        "preflight . --task sing": "task",
        "export watershed --series": "--series, --truth, --true-labels and --crop are for",
        "export": "expected the name of an algorithm, found none",
    }.items(),
)
def test_a_mistake_is_one_line(place, here, words, line):
    before = _state(place)
    code, _, errors = here(words)
    assert (code, errors.count("\n")) == (2, 1), errors
    assert errors.startswith("cytosuite: ")
    assert re.search(re.escape(line), errors), errors
    assert _state(place) == before
