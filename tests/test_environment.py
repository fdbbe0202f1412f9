"""The environments that users make: each module of ours is imported with the packages of one, and no other."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

import pytest
from house import ROOT

from cytosuite.benchmark.catalog.packages import follow
from cytosuite.files import visible_files

pytestmark = pytest.mark.slow

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Imports every module with the hidden packages away, as if they were not installed.
PROGRAM = """
import json, sys
from importlib import import_module
from importlib.machinery import PathFinder

hidden, modules = map(set, json.load(sys.stdin))

class Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name in hidden else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Installed
sys.path_importer_cache.clear()
failed = {}
for name in sorted(modules):
    try:
        import_module(name)
    except ImportError as error:
        failed[name] = error.name
print(json.dumps(failed))
"""


def name_of(requirement):
    """Return the normalised name of a distribution in a requirement."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def installed_with(requirements):
    """Return the distributions that pip installs for some requirements, where all is installed."""
    names = set()
    todo = list(requirements)
    while todo:
        name = name_of(todo.pop())
        if name in names:
            continue
        names.add(name)
        try:
            lines = requires(name) or []
        except PackageNotFoundError:  # of another system or Python
            continue
        todo += [line for line in lines if "extra ==" not in line]
    return names


LOCKS = sorted((ROOT / "algorithms").glob("*/requirements.txt"))  # of tools of others


def modules():
    """Return the names of all our modules but those of tools, which run in their own images."""
    tools = {("cytosuite", "algorithms", lock.parent.name) for lock in LOCKS}
    files = [path for path in visible_files(ROOT / "cytosuite") if path.suffix == ".py"]
    parts = [path.relative_to(ROOT).with_suffix("").parts for path in files]
    parts = [part for part in parts if part[:3] not in tools]
    return [".".join(part[:-1] if part[-1] == "__init__" else part) for part in parts]


def installed(*extras):
    """Return the names on import of the packages that come with extras of ours."""
    requirements = PROJECT["dependencies"] + [
        line for extra in extras for line in PROJECT["optional-dependencies"][extra]
    ]
    there = installed_with(requirements) | {"cytosuite"}
    packages = packages_distributions().items()
    return {name for name, dists in packages if {name_of(dist) for dist in dists} & there}


def failing(*extras, only=None):
    """Return the modules, or `only`, that cannot be imported with some extras, and what lacks."""
    hidden = set(packages_distributions()) - installed(*extras) - sys.stdlib_module_names
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([sorted(hidden), sorted(only or modules())]),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1800,
        check=True,
    )
    assert len(modules()) > 300
    return json.loads(done.stdout)


WINDOW = "cytosuite.napari.widget"  # the extra `napari` alone has its packages
CLUSTER = {
    "cytosuite.benchmark.runs.cluster.dask_pool",
    "cytosuite.benchmark.runs.cluster.spread",
}


def test_without_networks_their_rooms_alone_cannot_be_imported():
    extra = {name_of(line) for line in PROJECT["optional-dependencies"]["networks"]}
    rooms = re.compile(r"cytosuite\.(network|denoising\b|training\b|monai\b|algorithms\.\w+\.\w)")
    lacking = failing()
    assert lacking.pop(WINDOW) in {"napari", "qtpy"}
    assert {lacking.pop(name) for name in CLUSTER} <= {"dask", "distributed"}
    assert {name: lack for name, lack in lacking.items() if not rooms.match(name)} == {}
    assert set(lacking.values()) <= extra, lacking
    assert "cytosuite.networks.network" in lacking, "torch is not hidden"


def test_with_networks_every_module_is_imported():
    assert set(failing("networks")) == {WINDOW, *CLUSTER}
    assert failing("cluster", only=CLUSTER) == {}


def test_what_is_imported_while_a_program_runs_comes_with_an_extra():
    extras = ("networks", "cluster", "formats", "napari", "organise")
    imported = set(follow(modules(), ROOT / "cytosuite", later=True))
    lines = [line for extra in extras for line in PROJECT["optional-dependencies"][extra]]
    declared = {name_of(line).replace("-", "_") for line in lines}  # installed here or not
    assert imported - installed(*extras) - declared == set()


def test_tensorflow_is_in_the_image_of_stardist_alone_and_torchvision_in_no_base():
    reached = follow(modules(), ROOT / "cytosuite", later=True)
    assert not {"tensorflow", "keras", "torchvision"} & set(reached)
    # Not of docker/packages, which comes and goes while an image is built.
    bases = [p for place in ("", "e*/**/") for p in ROOT.glob(f"docker/{place}requirements*.txt")]
    assert not [path for path in bases if "torchvision" in path.read_text()]
    holding = [path.parent.name for path in [*LOCKS, *bases] if "tensorflow" in path.read_text()]
    assert holding == ["stardist"]
