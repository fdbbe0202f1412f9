"""The bundle of a competition on CodaBench, version 2.

https://docs.codabench.org/latest/Organizers/Benchmark_Creation/Yaml-Structure
"""

import json
from collections.abc import Mapping
from pathlib import Path

from cytosuite.benchmark.catalog.packages import ROOMS
from cytosuite.benchmark.catalog.places import need_checkout
from cytosuite.benchmark.engines.images.blueprints import evaluation_blueprint
from cytosuite.benchmark.runs.data.preview import write_preview
from cytosuite.benchmark.runs.store.documents import rendered
from cytosuite.benchmark.submission.judging.ground_truth import LIST, Contents, GroundTruth
from cytosuite.contract.tasks import TASKS
from cytosuite.files import read_json, work_folder
from cytosuite.files.archive import write_zip
from cytosuite.formats import read

PROGRAM = "python3 -m cytosuite.benchmark.submission.judging.codabench /app/input /app/output"
COMPETITION = Path(__file__).with_name("competition.template")  # its phase is open at once
OVERVIEW = COMPETITION.with_name("overview.template")
TERMS = "To be written by the organisers.\n"


def write_bundle(truth: GroundTruth, inputs: Path, image: str, path: Path) -> None:
    """Write a bundle: a container of the image scores its submissions; needs a checkout."""
    evaluation = truth.evaluation
    with work_folder(path.parent) as folder:
        first = inputs / next(iter(read_json(inputs / LIST)[0].values()))
        write_preview(folder, evaluation.cases[0].name, {"": read(first)}, None, {})
        files = [file for file in inputs.rglob("*") if file.is_file()]
        parts: Mapping[str, Contents] = {
            "inputs.zip": {file.relative_to(inputs).as_posix(): file for file in files},
            "program.zip": _program(need_checkout("a scoring program")),
            "reference.zip": truth.files,
        }
        facts = {"evaluation": evaluation, "task": TASKS[evaluation.task], "image": image}
        contents: Contents = {
            "competition.yaml": rendered(COMPETITION, **facts).encode(),  # JSON is YAML too
            "logo.png": folder / "preview.png",
            "overview.md": rendered(OVERVIEW, **facts).encode(),
            "terms.md": TERMS.encode(),
        }
        zips = {name: write_zip(folder / name, part) for name, part in parts.items()}
        write_zip(path, {**contents, **zips})


def _program(root: Path) -> Contents:
    """Return the scoring program: its command, and the package as one folder without links."""
    files = {}
    for file in evaluation_blueprint(root).files:
        place = file.relative_to(root)
        files[(Path("cytosuite") / place if place.parts[0] in ROOMS else place).as_posix()] = file
    return files | {"metadata.yaml": json.dumps({"command": PROGRAM}).encode()}
