"""The bundle of a competition on CodaBench, version 2.

https://docs.codabench.org/latest/Organizers/Benchmark_Creation/Yaml-Structure
"""

import json
from collections.abc import Mapping
from pathlib import Path

from cytosuite.benchmark.catalog.places import need_checkout
from cytosuite.benchmark.containers.images import evaluation_blueprint
from cytosuite.benchmark.containers.sources import ROOMS
from cytosuite.benchmark.data.preview import write_preview
from cytosuite.benchmark.submission.judging.evaluation import Evaluation
from cytosuite.benchmark.submission.judging.ground_truth import LIST, GroundTruth
from cytosuite.contract.tasks import TASKS
from cytosuite.files import Json, json_text, read_json, work_folder
from cytosuite.files.archive import write_zip
from cytosuite.formats import read

PROGRAM = "python3 -m cytosuite.benchmark.submission.judging.codabench /app/input /app/output"
START = "2000-01-01"  # of the phase, which is open at once
DIGITS = 3  # as participants read scores
TERMS = "To be written by the organisers.\n"


def write_bundle(truth: GroundTruth, inputs: Path, image: str, path: Path) -> None:
    """Write a bundle: a container of the image scores its submissions; needs a checkout."""
    evaluation = truth.evaluation
    with work_folder(path.parent) as folder:
        first = inputs / next(iter(read_json(inputs / LIST)[0].values()))
        write_preview(folder, evaluation.cases[0].name, {"": read(first)}, None, {})
        files = [file for file in inputs.rglob("*") if file.is_file()]
        parts: Mapping[str, Mapping[str, bytes | Path]] = {
            "inputs.zip": {file.relative_to(inputs).as_posix(): file for file in files},
            "program.zip": _program(need_checkout("a scoring program")),
            "reference.zip": truth.files,
        }
        contents: dict[str, bytes | Path] = {
            "competition.yaml": json_text(competition(evaluation, image)).encode(),  # also YAML
            "logo.png": folder / "preview.png",
            "overview.md": overview(evaluation).encode(),
            "terms.md": TERMS.encode(),
        }
        zips = {name: write_zip(folder / name, part) for name, part in parts.items()}
        write_zip(path, {**contents, **zips})


def competition(evaluation: Evaluation, image: str) -> Json:
    """Return the description of a competition with one phase."""
    columns = [
        {"index": number, "title": ranked.metric, "key": ranked.key}
        | {"sorting": ranked.order, "precision": DIGITS}
        for number, ranked in enumerate(evaluation.ranked)
    ]
    task = {"index": 0, "name": evaluation.dataset, "description": evaluation.title}
    files = {"reference_data": "reference.zip", "scoring_program": "program.zip"}
    phase = {"index": 0, "name": "Test", "description": evaluation.title, "start": START}
    return {
        "version": 2,
        "title": evaluation.title,
        "description": f"{TASKS[evaluation.task].title}: {len(evaluation.cases)} images.",
        "image": "logo.png",
        "terms": "terms.md",
        "docker_image": image,
        "enable_detailed_results": True,
        "pages": [{"title": "Overview", "file": "overview.md"}],
        "tasks": [task | files],
        "phases": [phase | {"tasks": [0], "public_data": "inputs.zip"}],
        "leaderboards": [{"index": 0, "title": "Results", "key": "main", "columns": columns}],
    }


def overview(evaluation: Evaluation) -> str:
    """Return the page for participants: files to hand in."""
    task, case = TASKS[evaluation.task], evaluation.cases[0].name
    files = [f"    {socket.slug}/{case}{socket.suffix or '.tif'}" for socket in task.outputs]
    metrics = ", ".join(ranked.metric for ranked in evaluation.ranked)
    lines = [
        f"# {evaluation.title}\n",
        f"{task.title}: {len(evaluation.cases)} images in the public data, a folder for each case.",
        "Hand in a zip with a file for each, named by its case:\n",
        *files,
        "\nAn image has the shape of its input; a missing or unusable one has the worst value of",
        f"each metric. Ranked by {metrics}.\n",
    ]
    return "\n".join(lines)


def _program(root: Path) -> dict[str, bytes | Path]:
    """Return the scoring program: its command, and the package as one folder without links."""
    files: dict[str, bytes | Path] = {}
    for file in evaluation_blueprint(root).files:
        place = file.relative_to(root)
        files[(Path("cytosuite") / place if place.parts[0] in ROOMS else place).as_posix()] = file
    return files | {"metadata.yaml": json.dumps({"command": PROGRAM}).encode()}
