"""Imports go one way: the core, containers, engines."""

import ast

from cytosuite.benchmark.catalog import ROOT

ROOMS = ("containers", "engines")
MODULES = {
    f"cytosuite.benchmark.{room}.{path.stem}": path
    for room in ROOMS
    for path in (ROOT / "benchmark" / room).glob("*.py")
}


def _imports(path):
    found = [
        node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)
    ]
    return {node.module for node in found if node.module.startswith("cytosuite.benchmark.")}


def test_containers_import_no_engine_and_engines_no_report():
    for name, path in MODULES.items():
        rooms = {module.split(".")[2] for module in _imports(path)}
        assert rooms <= (
            {"containers"}
            if ".containers." in name
            else {"containers", "engines", "catalog", "models"}
        )
