"""What the architecture promises, held against the tree."""

import ast
import os
import re
import tomllib
from collections import Counter
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from house import ROOT, ran
from hypothesis import HealthCheck, settings

from cytosuite.contract.manifest import read_algorithm

# Every algorithm or dataset has one of its own.
PER_FOLDER = {"LossWeights", "Network", "Parameters", "Settings"}
PACKAGES = ("cytosuite", "algorithms", "datasets", "benchmark")
# Rooms and the rooms they may import from.
ALLOWED = {
    "core": {"core"},
    "metrics": {"core", "metrics"},
    "ranking": {"core", "metrics", "ranking"},
    "training": {"core", "metrics", "training"},
    "datasets": {"core", "metrics", "datasets"},
    "monai": {"core", "metrics", "datasets", "training", "monai"},
    "algorithms": {"core", "algorithms"},
    "algorithms.training": {"core", "metrics", "training", "algorithms", "algorithms.training"},
    "benchmark": {"core", "metrics", "ranking", "datasets", "benchmark"},
    "napari": {"core", "metrics", "datasets", "benchmark", "napari"},
}
# Of the benchmark; each imports those before it.
BENCHMARK = ["catalog", "engines", "runs", "scores", "report", "submission", "commands"]
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def _module(path):
    """Return the dotted name of a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "cytosuite" else ("cytosuite", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_module(path): path for path in SOURCES}


@cache
def _nodes(path):
    """Return the nodes of a file, itself the first."""
    return [*ast.walk(ast.parse(path.read_text()))]


@cache
def _imports(path):
    """Return the imported modules, those within functions too, but for annotations."""
    imported = set()
    hints = {
        id(node)
        for block in _nodes(path)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and id(node) not in hints:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            imported |= {name if name in MODULES else node.module for name in names}
    return imported


def _room(module):
    """Return the room of a module."""
    parts = module.split(".")[1:]
    if parts and parts[0] == "algorithms":
        return "algorithms.training" if "training" in parts else "algorithms"
    return parts[0] if parts and parts[0] in ALLOWED else "core"


@pytest.mark.parametrize(
    "room", ["algorithms.watershed.predict", "benchmark.runs.plan", "datasets.folder"]
)
def test_a_module_has_the_path_that_git_knows(room):
    path = Path(import_module(f"cytosuite.{room}").__file__)
    assert path.is_relative_to(ROOT / room.partition(".")[0])


def test_imports_go_one_way():
    for path in SOURCES:
        ours = {name for name in _imports(path) if name.split(".")[0] == "cytosuite"}
        assert {_room(name) for name in ours} <= ALLOWED[_room(_module(path))], path


def test_the_seven_rooms_of_the_benchmark_import_one_way():
    home = "cytosuite.benchmark."
    for name in MODULES:
        if name.startswith(home) and name != f"{home}__main__":
            place = BENCHMARK.index(name.split(".")[2])
            others = {i.split(".")[2] for i in _imports(MODULES[name]) if i.startswith(home)}
            assert others <= {*BENCHMARK[: place + 1]}, name


def test_cytosuite_is_the_only_name_to_import():
    for path in (*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))):
        assert not {name.split(".")[0] for name in _imports(path)} & set(PACKAGES[1:]), path


def _folder(module):
    """Return the folder of a module, as a dotted name."""
    return module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]


@pytest.mark.parametrize("place", [str, _folder])
def test_no_circle_of_imports_binds_files_or_folders(place):
    graph = {place(name): set() for name in MODULES}
    for name, path in MODULES.items():
        graph[place(name)] |= {place(other) for other in _imports(path) if other in MODULES}
        graph[place(name)].discard(place(name))
    assert next(_circles(graph), []) == []


def _circles(graph):
    """Yield the circles of a graph."""
    done = set()

    def visit(name, way):
        if name in way:
            yield [*way[way.index(name) :], name]
        elif name not in done:
            for other in sorted(graph[name]):
                yield from visit(other, [*way, name])
            done.add(name)

    for start in graph:
        yield from visit(start, [])


# Files that are found by name and are none of a user's: recipes, cards, a library of phantoms.
BY_STEM = {"datasets/recipes.py", "training/convert.py", "phantoms/library.py"}


def test_files_are_paired_by_name_in_folders_alone():
    """Elsewhere no dictionary has names of files as keys, which is how files are paired."""
    words = {"key_of", "image_name", "bare_name"}
    for path in (path for path in SOURCES if not path.is_relative_to(ROOT / "cytosuite/folders")):
        keys = [node.key for node in _nodes(path) if isinstance(node, ast.DictComp)]
        parts = [part for key in keys for part in ast.walk(key)]
        calls = {
            part.func.id
            for part in parts
            if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)
        }
        stems = any(isinstance(part, ast.Attribute) and part.attr == "stem" for part in parts)
        pairs = "cytosuite.folders.entries.one_per_name" in _names(path)
        allowed = any(path.as_posix().endswith(name) for name in BY_STEM)
        assert allowed or not (calls & words or stems or pairs), path


def _names(path):
    """Return the names that a module imports, with their module."""
    froms = (node for node in _nodes(path) if isinstance(node, ast.ImportFrom))
    return {f"{node.module}.{alias.name}" for node in froms for alias in node.names}


def test_one_name_is_one_class():
    names = Counter(
        node.name
        for path in SOURCES
        for node in _nodes(path)[0].body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name for name, times in names.items() if times > 1} <= PER_FOLDER


def test_the_benchmark_never_imports_torch():
    for path in (path for path in SOURCES if _room(_module(path)) == "benchmark"):
        assert not {name.split(".")[0] for name in _imports(path)} & {"torch", "monai"}, path


def test_files_and_functions_are_short():
    for path in SOURCES:
        assert path.read_text().count("\n") <= 500, path
        for node in _nodes(path):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 80, f"{path}: {node.name} is too long"


def _weight(path):
    """Return the nodes of a file's syntax tree, whatever its lines."""
    plain = (ast.Load, ast.Store, ast.Del)
    return sum(not isinstance(node, plain) for node in _nodes(path))


def test_the_house_keeps_its_weight():
    budget = tomllib.loads((ROOT / "tests/budget.toml").read_text())
    weights = Counter()
    for path in SOURCES:
        parts = path.relative_to(ROOT).parts
        weights["/".join(parts[:2] if len(parts) > 2 else parts[:1])] += _weight(path)
    assert set(budget["rooms"]) == set(weights), "a room without a budget, or without its room"
    heavy = {
        room: weight for room, weight in weights.items() if weight > budget["rooms"][room] * 1.03
    }
    assert heavy == {}
    assert weights.total() <= budget["total"]
    assert sum(map(_weight, (ROOT / "tests").rglob("*.py"))) <= weights.total() * budget["tests"]


def test_no_room_has_more_than_twenty_files():
    rooms = Counter(path.parent for path in SOURCES)
    assert {room: number for room, number in rooms.items() if number > 20} == {}


def test_one_algorithm_does_not_import_another():
    for path in (ROOT / "algorithms").glob("*/**/*.py"):
        algorithm = path.relative_to(ROOT / "algorithms").parts[0]
        others = {
            name.split(".")[2]
            for name in _imports(path)
            if name.startswith("cytosuite.algorithms.")
        } - {algorithm, *read_algorithm(ROOT / "algorithms" / algorithm / "algorithm.toml").uses}
        assert not others, path


def test_every_component_explains_itself():
    for folder, name in (("algorithms", "algorithm.toml"), ("datasets", "dataset.toml")):
        for manifest in (ROOT / folder).glob(f"*/{name}"):
            assert (manifest.parent / "README.md").is_file(), manifest
            assert manifest.parent.name in (ROOT / folder / "README.md").read_text()


def test_dependencies_have_lower_bounds_only():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [name for names in project["optional-dependencies"].values() for name in names]
    for requirement in project["dependencies"] + extras:
        assert re.fullmatch(
            r"cytosuite\[\w+\]|[A-Za-z0-9_.\-]+>=[\d.]+(; python_version .*)?", requirement
        ), requirement


def test_a_busy_machine_fails_no_property():
    assert settings.default.deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check


def test_links_in_the_documents_lead_somewhere():
    documents = []
    for place, folders, names in os.walk(ROOT):  # packages come and go while an image is built
        folders[:] = {*folders} - {".venv", ".git", "runs", "packages", "build"}
        documents += [Path(place) / name for name in names if name.endswith(".md")]
    assert len(documents) > 30
    for document in documents:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document}: {target}"


def test_the_makefile_explains_every_target_and_keeps_to_one_line():
    text = (ROOT / "Makefile").read_text()
    targets = [line for line in text.splitlines() if re.match(r"^[a-z%-]+:", line)]
    assert targets
    for line in targets:
        assert "## " in line, line
    shown = ran("make", "-s").stdout
    for line in targets:
        assert f"make {line.split(':')[0]} " in shown


# What asks for processes, and what lists folders or removes; a temporary folder with `dir` outlives
# a killed program. Permitted is what knows its own alone.
PROCESSES = {"os.getpid", "os.getppid", "os.kill", "is_abandoned", "is_running"}
NAMED = {"mkdtemp", "mkstemp", "TemporaryDirectory", "NamedTemporaryFile"}
LISTING = {"glob", "rglob", "iterdir", "scandir", "walk", "listdir"}
REMOVING = {"clear", "remove", "rmtree", "os.remove", ".rmdir", ".unlink", ".rmtree"}
PERMITTED = {
    "benchmark/runs/trial.py run": "cases in its own temporary folder",
    "benchmark/runs/trial.py running": "the same",
    "benchmark/commands/files/applied.py put": "the former result of an image",
    "benchmark/commands/model.py _drop": "weights of one model",
    "benchmark/commands/run/sources.py annotated": "its own links; listed is the truth",
    "benchmark/commands/train.py train": "its own number, for the process that it starts",
    "benchmark/engines/images/build.py _built": "the packages of a base that is built",
    "benchmark/engines/external.py _taken": "within the folder of a session",
    "benchmark/engines/hardening.py enforceable": "its own number spreads runners on processors",
    "benchmark/submission/judging/grand_challenge.py fetch": "answers of another job, by its table",
    "benchmark/runs/store/integrity.py forget": "stamps, which are made again",
    "cytosuite/contract/call.py delivered": "files of its own case",
    "cytosuite/napari/widget.py go": "former results in its own temporary folder",
    "cytosuite/training/command.py _follow": "its own parent, and itself",
}


def _deeds(function):
    """Return the calls in a function, by name and by the end of it."""
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    names = [(ast.unparse(call.func), {word.arg for word in call.keywords}) for call in calls]
    ends = {(name.rpartition(".")[2], "dir" in words) for name, words in names}
    placed = {"dir=" for name, has_dir in ends if has_dir and name in NAMED}
    return {name for name, _ in names} | {f".{name}" for name, _ in ends} | placed


def test_only_one_room_knows_and_removes_what_programs_have_left():
    """Process ids, names of work and the folders of ended programs are a matter of files/ alone."""
    odd = set()
    for path in (path for path in SOURCES if path.parent != ROOT / "cytosuite/files"):
        for node in (n for n in _nodes(path) if isinstance(n, ast.FunctionDef)):
            deeds = _deeds(node)
            lists = deeds & {f".{name}" for name in LISTING}
            if deeds & {*PROCESSES, "dir="} or (lists and deeds & REMOVING):
                odd.add(f"{path.relative_to(ROOT)} {node.name}")
    assert odd == set(PERMITTED)
