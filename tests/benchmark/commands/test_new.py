"""A new algorithm: whole or absent, for every task, and accepted by its own contract."""

import importlib.util
from inspect import getdoc

import house
import pytest

from cytosuite.benchmark.commands import new as module
from cytosuite.benchmark.commands.new import new
from cytosuite.benchmark.contract import checks
from cytosuite.errors import InputError
from cytosuite.manifest import read_algorithm, read_card
from cytosuite.tasks import TASKS
from cytosuite.weights import open_model

LIST = "# Algorithms\n\n| algorithm | task | what it is |\n|---|---|---|\n"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return an empty checkout."""
    (tmp_path / "algorithms").mkdir()
    (tmp_path / "algorithms" / "README.md").write_text(LIST)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return tmp_path


def _load(path):
    """Return a module from its file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.parametrize("task", TASKS)
def test_what_is_written_passes_its_contract_in_every_task(root, task):
    new("mine", task)
    folder, models = root / "algorithms" / "mine", root / "weights" / "mine"
    model = open_model(models, read_card(models / "default.json"))
    predict = _load(folder / "predict.py").predict
    manifest = read_algorithm(folder / "algorithm.toml")
    found = list(checks(root, manifest, lambda inputs: predict(inputs, model)))
    assert [done for done in found if done.result != "pass"] == []
    assert len(found) == {"segment": 13, "fuse": 7}.get(task, 9)  # stacks have no planes


def test_the_list_of_algorithms_gets_a_row_and_keeps_the_others(root):
    new("mine", "segment")
    new("yours", "enhance")
    rows = (root / "algorithms" / "README.md").read_text().removeprefix(LIST).splitlines()
    assert [row.split(" | ")[:2] for row in rows] == [
        ["| [mine](mine/README.md)", "segment"],
        ["| [yours](yours/README.md)", "enhance"],
    ]


def _files(root):
    return {path: path.read_text() for path in root.rglob("*") if path.is_file()}


def a_python_keyword():
    """neither a word of Python"""
    return "class", "segment"


def a_path():
    """found '../mine'"""
    return "../mine", "segment"


def a_capital():
    """name must be lower-case words joined by _"""
    return "Mine", "segment"


def a_trailing_underscore():
    """found 'mine_'"""
    return "mine_", "segment"


def the_containers_base():
    """nor base, debian; found 'base'"""
    return "base", "segment"


def an_existing_name():
    """exists already; choose another name"""
    return "there", "segment"


def a_misspelt_task():
    """no task called 'segmnt'; did you mean 'segment'?"""
    return "mine", "segmnt"


@pytest.mark.parametrize(
    "mistake",
    [
        a_python_keyword,
        a_path,
        a_capital,
        a_trailing_underscore,
        the_containers_base,
        an_existing_name,
        a_misspelt_task,
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(root, mistake):
    (root / "weights" / "there").mkdir(parents=True)
    before = _files(root)
    with pytest.raises(InputError) as error:
        new(*mistake())
    assert getdoc(mistake) in str(error.value)
    assert _files(root) == before


def test_an_installed_package_is_not_written_into(root, monkeypatch):
    monkeypatch.setattr("cytosuite.benchmark.catalog.CHECKOUT", False)
    with pytest.raises(InputError, match="a new algorithm needs a checkout of the repository"):
        new("mine", "segment")


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_interruption_leaves_nothing_behind(root, monkeypatch, error):
    def fail(*arguments):
        raise error

    before = _files(root)
    monkeypatch.setattr(module, "_list", fail)
    with pytest.raises(type(error)):
        new("mine", "segment")
    assert _files(root) == before


@pytest.mark.long
@pytest.mark.slow
def test_the_command_line_writes_checks_and_runs_an_algorithm_of_every_task(tmp_path):
    place = house.build(tmp_path / "house")
    for task in TASKS:
        done = house.command(place, "new", f"mine_{task}", "--task", task)
        assert done.returncode == 0, done.stderr
        assert f"next: cytosuite check mine_{task}" in done.stdout
        done = house.command(place, "check", f"mine_{task}")
        assert done.returncode == 0, done.stdout + done.stderr
        tests = place / "tests" / "algorithms" / f"mine_{task}"
        ran = house.pytest_in(place, tests)
        assert ran.returncode == 0, ran.stdout
