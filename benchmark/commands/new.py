"""Start a new algorithm: a folder that builds, runs and passes its checks."""

import json
import keyword
import re
from pathlib import Path
from string import Template

from cytosuite.benchmark.catalog import ROOT, need_checkout, pick
from cytosuite.errors import InputError
from cytosuite.files import atomic, remove
from cytosuite.tasks import TASKS, Task

TEMPLATES = Path(__file__).resolve().parents[1] / "scaffold"
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")  # of a Python module and of an image's tag
TAKEN = {"base", "debian"}  # images of the containers' own


def new(name: str, task: str) -> list[Path]:
    """Write the files of a new algorithm.

    Parameters
    ----------
    name : str
        Name of its folder.
    task : str
        One of `cytosuite.tasks.TASKS`.

    Returns
    -------
    list of Path
        Folders of the algorithm, its models and its tests; a row in ``algorithms/README.md``
        names it. All of them are written, or none.

    Raises
    ------
    InputError
        If the name is not allowed or taken, there is no such task, or this is no checkout.
    """
    (chosen,) = pick("task", [task], TASKS)
    need_checkout("a new algorithm")
    if not NAME.fullmatch(name) or keyword.iskeyword(name) or name in TAKEN:
        raise InputError(
            "name must be lower-case words joined by _ (a-z, 0-9, a letter first), and neither a "
            f"word of Python nor {', '.join(sorted(TAKEN))}; found {name!r}"
        )
    homes = [ROOT / room / name for room in ("algorithms", "weights", "tests/algorithms")]
    if taken := [home for home in homes if home.exists()]:
        raise InputError(f"{taken[0]}: exists already; choose another name")
    files = _files(name, TASKS[chosen])
    try:
        for home in homes:
            with atomic(home) as temporary:
                temporary.mkdir()
                for path, text in files.items():
                    if path.parent == home:
                        (temporary / path.name).write_text(text, encoding="utf-8")
        _list(name, TASKS[chosen])
    except BaseException:  # also Ctrl-C: all of the folders, or none
        for home in homes:
            remove(home)
        raise
    return homes


def _files(name: str, task: Task) -> dict[Path, str]:
    """Return the files of a new algorithm with their content."""
    images = [socket for socket in task.inputs if socket.kind != "json"]
    main = next(
        (socket for socket in images if not socket.optional),
        next((socket for socket in images if socket.kind == "labels"), None),
    )
    output = task.main_output if main is not None else None
    kind = output.kind if output is not None else "json"
    words = {
        "name": name,
        "title": name.replace("_", " ").capitalize(),
        "task": task.name,
        "tasks": ", ".join(TASKS),
        "needs": json.dumps([main.slug] if main is not None and main.optional else []),
        "main": main.slug if main is not None else "",
        "output": (output or task.outputs[0]).slug,
    }
    algorithm = ROOT / "algorithms" / name
    places = {
        algorithm / "algorithm.toml": "algorithm.toml",
        algorithm / "predict.py": f"{kind}.py",
        algorithm / "README.md": "README.md",
        ROOT / "weights" / name / "default.json": "card.json",
        ROOT / "tests" / "algorithms" / name / "test_predict.py": f"test_{kind}.py",
    }
    made = {path: _fill(template, words) for path, template in places.items()}
    return made | {algorithm / "__init__.py": f'"""The algorithm {name}."""\n'}


def _fill(template: str, words: dict[str, str]) -> str:
    """Return a template with its words filled in."""
    text = (TEMPLATES / f"{template}.template").read_text(encoding="utf-8")
    return Template(text).substitute(words)


def _list(name: str, task: Task) -> None:
    """Add a row to the table of algorithms in their README, where there is one."""
    path = ROOT / "algorithms" / "README.md"
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8").rstrip("\n")
    row = f"| [{name}]({name}/README.md) | {task.name} | What it does, in a sentence. |"
    with atomic(path) as temporary:
        temporary.write_text(f"{text}\n{row}\n", encoding="utf-8")
