"""A program that takes the arguments of Apptainer, and runs the entry point without it.

A case comes to the program and back by the mounts and variables of the command line alone.
"""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

APP = "@APP@"  # checkout with the algorithms


def fatal(line):
    sys.stderr.write(f"FATAL:   {line}\n")
    sys.exit(255)


def valued(words, name):
    """Return the values of a flag: which flags there are is a matter of test_apptainer.py."""
    return [value for flag, value in pairwise(words) if flag == name]


def mounted(values, root):
    """Put links in place of mounts: what lies in a folder that is mounted must be there before."""
    for value in values:
        (fields,) = csv.reader(io.StringIO(value, newline=""))
        entry = dict(field.partition("=")[::2] for field in fields)
        source = Path(entry["source"])
        target = entry["destination"]
        place = root / target.lstrip("/")
        if not source.exists():
            fatal(f"mount source {source} doesn't exist")
        if "ro" not in entry and target != "/output":
            fatal(f"{target} can be written to")
        if place.parent.name and target.count("/") > 1 and "opt" not in place.parts:
            if not place.exists() or place.is_dir() != source.is_dir():
                fatal(f"no mount point {target}")
            place.rmdir() if place.is_dir() else place.unlink()
        place.parent.mkdir(parents=True, exist_ok=True)
        if target == "/input":
            shutil.copytree(source, place)
        else:
            place.symlink_to(source)


def run(words):
    place = next(place for place, word in enumerate(words) if word.endswith(".sif"))
    flags = words[:place]
    command = words[place + 1 :]
    if command[:1] != ["env"] or command[-4:-1] != ["python3", "-m", "cytosuite.container"]:
        fatal(f"unexpected program {command}")
    scratch = Path(*valued(flags, "--workdir")) / "tmp"
    scratch.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        mounted(valued(flags, "--mount"), root)
        variables = dict(word.split("=", 1) for word in command[1:-4])
        model = root / "opt/ml/model"
        shipped = APP + "/weights/" + variables["CYTOSUITE_ALGORITHM"]
        variables |= {
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            "CYTOSUITE_INPUT": str(root / "input"),
            "CYTOSUITE_OUTPUT": str(root / "output"),
            "CYTOSUITE_MODEL": str(model) if model.exists() else shipped,
            "CYTOSUITE_RECORD": str(root / variables["CYTOSUITE_RECORD"].lstrip("/")),
            "PATH": os.environ["PATH"],
        }
        program = [sys.executable, *command[-3:]]
        code = subprocess.run(program, env=variables, cwd=APP, check=False).returncode
    sys.exit(code if code >= 0 else 128 - code)


def main(words):
    if strange := [name for name in os.environ if name.startswith(("APPTAINER", "SINGULARITY"))]:
        fatal(f"{strange} act on the container")
    if words == ["--version"]:
        sys.stdout.write("apptainer version @VERSION@\n")
    elif words[:3] == ["inspect", "--json", "--labels"]:
        labels = json.loads(Path(words[3]).read_text())
        json.dump({"data": {"attributes": {"labels": labels}}, "type": "container"}, sys.stdout)
    elif words[:2] == ["--silent", "exec"]:
        run(words[2:])
    else:
        fatal(f"unknown command {words}")


if __name__ == "__main__":
    main(sys.argv[1:])
