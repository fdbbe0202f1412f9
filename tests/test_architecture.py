"""What the architecture promises, held against the tree."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("cytosuite", "algorithms", "datasets", "benchmark")
ALLOWED = {
    "cytosuite": {"cytosuite"},
    "algorithms": {"cytosuite", "algorithms"},
    "datasets": {"cytosuite", "datasets"},
    "benchmark": {"cytosuite", "datasets", "benchmark"},
}
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _name(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_imports_go_one_way(path):
    package = _name(path).split("/")[0]
    ours = {name.split(".")[0] for name in _imports(path)} & set(PACKAGES)
    assert ours <= ALLOWED[package]


@pytest.mark.parametrize("path", [p for p in SOURCES if "benchmark" in p.parts], ids=_name)
def test_the_benchmark_never_imports_torch(path):
    assert not {name.split(".")[0] for name in _imports(path)} & {"torch", "monai"}


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno + 1 <= 60, f"{node.name} is too long"


def test_one_algorithm_does_not_import_another():
    for path in (ROOT / "algorithms").glob("*/**/*.py"):
        own = path.relative_to(ROOT / "algorithms").parts[0]
        others = {
            name.split(".")[1] for name in _imports(path) if name.startswith("algorithms.")
        } - {own}
        assert not others, path


@pytest.mark.parametrize("module", ["benchmark.commands.benchmark", "cytosuite.container"])
def test_the_runner_and_the_container_start_without_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


def test_every_component_explains_itself():
    for folder in ("algorithms", "datasets"):
        for manifest in (ROOT / folder).glob("*/*.toml"):
            assert (manifest.parent / "README.md").is_file(), manifest
            assert manifest.parent.name in (ROOT / folder / "README.md").read_text()


def test_dependencies_have_lower_bounds_only():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [name for names in project["optional-dependencies"].values() for name in names]
    for requirement in project["dependencies"] + extras:
        assert re.fullmatch(r"cytosuite\[\w+\]|[A-Za-z0-9_.\-]+>=[\d.]+", requirement), requirement


def test_links_in_the_documents_lead_somewhere():
    for document in (path for path in ROOT.rglob("*.md") if ".venv" not in path.parts):
        if "runs" in document.parts or "wheelhouse" in document.parts:
            continue
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document}: {target}"


def test_the_makefile_explains_every_target_and_keeps_to_one_line():
    text = (ROOT / "Makefile").read_text()
    targets = [line for line in text.splitlines() if re.match(r"^[a-z%-]+:", line)]
    assert targets
    for line in targets:
        assert "## " in line, line
    shown = subprocess.run(
        ["make", "-s", "-C", str(ROOT)], capture_output=True, text=True, check=True, timeout=30
    ).stdout
    for line in targets:
        assert f"make {line.split(':')[0]} " in shown
