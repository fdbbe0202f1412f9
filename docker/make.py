"""What `make` asks before it runs: whether its goals take the variables given, and their options.

``python docker/make.py check|options|help GOALS WITHOUT OVERRIDES``: the last are the variables of
the command line as MAKEOVERRIDES holds them, others are of the environment. docs/variables.md has
those of commands. Standard library alone: there may be no virtual environment yet.
"""

import difflib
import os
import re
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).resolve().parents[1] / "docs" / "variables.md"
SWITCH = "0 or 1"  # as the default of a variable that is on or off
DEVICE = (
    "guard compare-methods fuzz bundle networks setup peers test test-fast test-long lint format"
)
OWN = {  # of goals without a command, beside DEVICE; with ? on or off
    "ctc": "ALGORITHM RUN OUT SERIES? TRUTH? TRUE_LABELS CROP",
    "docs": "PICTURES? REPOSITORY NIGHTLY",
    "fuzz": "MINUTES SEED",
    "guard": "TASK ENGINE",
    "compare-methods": "DATA ENGINE",
}
ENVIRONMENT = ("DEVICE", "BASE_IMAGE", "SIF")  # by which they reach the commands
SEE = "see docs/variables.md"
RENAMED = {"CUDA": "DEVICE=cuda", "SIMULATED": "DATASET", "SITE": "CLUSTER=site.toml"}


class Variable(NamedTuple):
    """A variable that a goal takes."""

    name: str
    switch: bool
    text: str = SEE


def taken(goal: str) -> list[Variable]:
    """Return the variables of a goal."""
    goal = "build-*" if goal.startswith("build-") and goal != "build-evaluation" else goal
    names = [*OWN.get(goal, "").split(), *(["DEVICE"] if goal in DEVICE.split() else [])]
    listed = [Variable(name.rstrip("?"), name.endswith("?")) for name in names]
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 4 and goal in cells[3].split(", "):
            default = f" [{cells[2]}]" if cells[2] else ""
            name = cells[0].strip("`")
            listed.append(Variable(name, SWITCH in cells[2], cells[1] + default))
    return list({variable.name: variable for variable in reversed(listed)}.values())[::-1]


def refusal(goals: str, given: dict[str, str]) -> str:
    """Return why variables are refused, empty if they are not."""
    known = {variable.name: variable for goal in goals.split() for variable in taken(goal)}
    start, names = f"make {goals}: ", ["PYTHON", *sorted(known)]
    for name in sorted(given.keys() - {*names, "SHELL"}):
        near = difflib.get_close_matches(name.upper(), names, 1)
        remedy = f"the nearest is {near[0]}" if near else f"there are {' '.join(names)}"
        remedy = f"it is now {RENAMED[name]}" if name in RENAMED else remedy
        return f"{start}no variable {name}; {remedy}"
    for name, variable in known.items():
        value = given.get(name, os.environ.get(name, ""))
        if variable.switch and value not in ("", "0", "no", "1", "yes"):
            return f'{start}expected {name}=1 or 0, found "{value}"'
    return ""


def options(goal: str, without: str, given: dict[str, str]) -> str:
    """Return the options of the command behind a goal, but for those that its recipe places."""
    words = []
    for name, switch, _ in taken(goal):
        value = given.get(name, os.environ.get(name, ""))
        if name in {*without.split(), *ENVIRONMENT} or value in (
            "",
            *(("0", "no") if switch else ()),
        ):
            continue
        words.append(f"--{name.lower().replace('_', '-')}")
        words += [] if switch else [value]
    return shlex.join(words)


def main() -> str:
    """Return what was asked."""
    asked, goals, without, overrides = sys.argv[1:]
    # Make escapes spaces and backslashes, and doubles each $, two of which a user types for one.
    words = re.findall(r"(?:\\.|\S)+", overrides.replace("$$$$", "$"))
    plain = (re.sub(r"\\(.)", r"\1", word) for word in words)
    given = {name.rstrip(":+?"): value for name, _, value in (w.partition("=") for w in plain)}
    if asked == "check":
        return refusal(goals, given)
    if asked == "options":
        return options(goals, without, given)
    rows = {variable.name: variable.text for goal in goals.split() for variable in taken(goal)}
    return "\n".join(f"{name:<19} {text}" for name, text in {"PYTHON": SEE, **rows}.items())


if __name__ == "__main__":
    print(main())  # noqa: T201 - its answer
