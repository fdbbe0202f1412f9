"""Run what users run and print where they wait: time, memory, cores, and the share of stages.

Usage: python performance/waits.py [--only WORD...] [--all] [--list] [--measured]
           [--folder FOLDER] [--out FILE.json] [--baseline FILE.json]

Each wait is a process of its own with the real command; `--only` takes those with a word in their
name, `--all` the long ones too. Images are simulated once, with fixed seeds, into the folder, which
is kept where it is named. CPU and peak memory (of the largest process, at least that of this one)
are the kernel's, of the command and all that it starts; stages are sampled in every Python process
(`stages.py`). A wait of a fresh clone is what a newcomer types, on a clone of the last commit; its
stages are the seconds from a line of its output to the next, and before one with Docker the images
of cytosuite are removed. The table goes to the screen, the rows to FILE.json, and the table beside
it (.md) with those of the baseline; `--measured` writes what pages say into docs/measured.toml.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from stages import FOLDER

import cytosuite
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.formats import read, write
from cytosuite.volume import Volume

PROGRAM = (sys.executable, "-m", "cytosuite.benchmark")
MODEL = "waits"  # name of trained models, which are removed
SHOWN = 0.04  # share of the CPU time from which a stage is named
STACK = (
    "spheroid --cases 1 --set image.shape=[64,512,512] --set image.spacing_um=[2.0,0.5,0.5] "
    "--set tissue.n_nuclei=400"
)
TRAININGS = {
    "cellpose3d": "{training}",
    "harmonicnet": "{training}",
    "u2net": "nuclei/culture --cases 8",
    "view_fusion": "views --size mini",
    "cyclegan3d": "{training} --data real={training}/images",
    "masks": "cells --size mini --cases 60",
    "diffusion": "{training}",
}
IMAGES = ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"]
NAMES = re.compile("{(.*?)}")  # inputs in a command, and ``out``
HERE = Path(__file__).parent
Row = dict[str, Any]


@dataclass(frozen=True)
class Wait:
    """A command with ``{out}``, its own folder, and names of inputs in braces."""

    name: str
    command: str
    cold: bool = False  # with an empty cache of compiled loops
    again: bool = False  # its folder holds the results already
    long: bool = False  # left out by default
    clone: bool = False  # a goal of make, in a fresh clone


def waits() -> Iterator[Wait]:
    """Yield all waits in the order of a user's first day."""
    for engine in ("process", "docker"):
        command = f"benchmark DATASET=spheroid ENGINE={engine}"
        yield Wait(f"fresh clone, {engine}", command, long=True, clone=True)
    for goal in ("list", "setup", "peers"):
        yield Wait(f"fresh clone, make {goal}", goal, long=True, clone=True)
    yield Wait("list", "list")
    for size in ("mini", "default"):
        command = f"benchmark spheroid --size {size} --engine process --runs {{out}}"
        yield Wait(f"benchmark {size}, first call", command, cold=True)
        yield Wait(f"benchmark {size}, nothing to do", command, again=True)
    for name, image in (("plane", "1024 x 1024"), ("stack", "64 x 512 x 512")):
        programs = ["watershed", "cellpose3d"]
        programs += ["cellprofiler_like", "u2net"] if name == "plane" else ["harmonicnet"]
        for program in programs:
            yield segment(program, image, name)
    for program in ("watershed", "cellpose3d", "harmonicnet"):
        yield segment(program, "60 x 1024 x 1024", "large", long=program == "harmonicnet")
    apply = "apply {%s} --engine process --out {out} --algorithm %s"
    for program, image in (("spots", "stack"), ("view_fusion", "stack"), ("cyclegan3d", "stack")):
        yield Wait(f"{program}, 64 x 512 x 512", apply % (image, program))
    yield Wait("diffusion, 256 x 256", apply % ("tile", "diffusion --model culture-nuclei-2d"))
    yield Wait("score of 100 pairs", "score --truth {pairs}/labels --prediction {pairs}/guess")
    simulate = "simulate spheroid --out {out}/data --runs {out}/runs"
    yield Wait("simulate default, first call", simulate, cold=True)
    yield Wait("simulate default", simulate)
    yield Wait("simulate full", simulate + " --size full")
    calibrate = "calibrate spheroid {mini} --rounds 2 --cases 2 --out {out}/fitted.toml"
    yield Wait("calibrate, 2 rounds of 2", calibrate)
    for program, data in TRAININGS.items():
        command = f"train {program} {data} --name {MODEL}-{program} --runs {{out}} --steps "
        yield Wait(f"train {program}, 3 steps", command + "3")
        if program == "cellpose3d":
            yield Wait(f"train {program}, 100 steps", command + "100")
    command = "benchmark {tiles} --engine process --runs {out} --algorithm {twenty}"
    yield Wait("benchmark of 20 x 100, nothing to do", command, again=True)
    yield Wait("export", "export watershed --out {out}", long=True)
    yield Wait("preflight", "preflight {models.tar.gz}")


def segment(program: str, image: str, name: str, *, long: bool = False) -> Wait:
    """Return the segmentation of an input."""
    command = f"segment {{{name}}} --algorithm {program} --engine process --out {{out}}"
    return Wait(f"segment {image} by {program}", command, long=long)


class Inputs:
    """The inputs of all waits in a folder, each made once when a command names it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.makers: dict[str, Callable[[Path], None]] = {
            "plane": partial(simulated, "cells --size full --cases 1"),
            "stack": partial(simulated, STACK),
            "mini": partial(simulated, "spheroid --size mini"),
            "training": partial(simulated, "spheroid --cases 12"),
            "large": partial(self.mirrored, shape=(60, 1024, 1024)),
            "tile": partial(self.tiles, size=256, count=1),
            "tiles": partial(self.tiles, size=96, count=100),
            "pairs": self.pairs,
            "models.tar.gz": self.tarball,
        }

    def __getitem__(self, name: str) -> str:
        """Return the path of an input, which is made if it is missing; `twenty`: algorithms."""
        if name == "twenty":
            return ",".join(f"watershed:{path}" for path in self.cards())
        path = self.folder / name
        if not path.exists():
            print(f"making {name}", file=sys.stderr)
            self.makers[name](path)
        return str(path)

    def array(self, name: str) -> tuple[Volume, Volume]:
        """Return the first image and labels of an input."""
        paths = (next((Path(self[name]) / part).glob("*.tif")) for part in ("images", "labels"))
        image, labels = map(read, paths)
        return image, labels

    def mirrored(self, path: Path, shape: tuple[int, ...]) -> None:
        """Write the stack, mirrored until it has a shape, without labels."""
        image, _ = self.array("stack")
        more = [(0, max(n - have, 0)) for n, have in zip(shape, image.array.shape, strict=True)]
        whole = np.pad(image.array, more, mode="symmetric")[tuple(map(slice, shape))]
        path.mkdir()
        write(path / "image.tif", Volume(whole, image.spacing, image.axes))

    def tiles(self, path: Path, size: int, count: int) -> None:
        """Write tiles of the plane with their labels."""
        across = 1024 // size
        for part, volume in zip(("images", "labels"), self.array("plane"), strict=True):
            (path / part).mkdir(parents=True)
            for n in range(count):
                y, x = (size * k for k in divmod(n, across))
                tile = volume.array[y : y + size, x : x + size]
                write(path / part / f"{n:03d}.tif", Volume(tile, volume.spacing, volume.axes))

    def pairs(self, path: Path) -> None:
        """Write labels of 100 volumes, and the same shifted by a voxel as predictions."""
        simulated("spheroid --size mini --cases 100", path)
        (path / "guess").mkdir()
        for file in sorted((path / "labels").glob("*.tif")):
            truth = read(file)
            moved = Volume(np.roll(truth.array, 1, axis=-1), truth.spacing, truth.axes)
            write(path / "guess" / file.name, moved)

    def tarball(self, path: Path) -> None:
        """Write the models of an algorithm as an archive."""
        with tarfile.open(path, "w:gz") as archive:
            archive.add(ROOT / "weights" / "watershed", arcname=".")

    def cards(self) -> Iterator[Path]:
        """Yield twenty cards of one model of planes."""
        (self.folder / "cards").mkdir(exist_ok=True)
        for n in range(20):
            path = self.folder / "cards" / f"like-{n:02d}.json"
            card = json.loads((ROOT / "weights" / "watershed" / "nuclei-2d.json").read_text())
            path.write_text(json.dumps(card | {"name": path.stem}))
            yield path


def simulated(words: str, path: Path) -> None:
    """Simulate images and labels into a new folder."""
    with tempfile.TemporaryDirectory() as runs:
        command = [*PROGRAM, "simulate", *words.split(), "--out", str(path), "--runs", runs]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measured(wait: Wait, inputs: Inputs, tools: Path) -> Row:
    """Run a wait and return its row."""
    digest = hashlib.sha256(wait.command.encode()).hexdigest()[:12]
    out = inputs.folder / "results" / digest
    if wait.clone:
        return in_clone(wait, out)
    places = {"out": str(out)} | {n: inputs[n] for n in NAMES.findall(wait.command) if n != "out"}
    words = [*PROGRAM, *NAMES.sub(lambda match: places[match[1]], wait.command).split()]
    forget()
    if not wait.again:
        shutil.rmtree(out, ignore_errors=True)
    elif not out.exists():
        run(words, os.environ)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        samples, cache = Path(place, "stages"), Path(place, "loops")
        samples.mkdir()
        environment = {**os.environ, FOLDER: str(samples), FOLDER + "_ROOT": str(ROOT)}
        before = os.environ.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(tools), before]))
        if wait.cold:
            environment["NUMBA_CACHE_DIR"] = str(cache)
        row = run(words, environment)
        stages: Counter[str] = Counter()
        for path in samples.glob("*.json"):
            stages.update(json.loads(path.read_text()))
    forget()
    del row["lines"]
    stages["not sampled"] = max(row["cpu_s"] - stages.total(), 0.0)
    return {"name": wait.name, **row, "stages": dict(stages.most_common())}


def in_clone(wait: Wait, folder: Path) -> Row:
    """Run a goal of make in a fresh clone; stages are the seconds after each line of its output."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    if "docker" in wait.name:
        tags = subprocess.run(IMAGES, capture_output=True, text=True, check=True).stdout.split()
        ours = [tag for tag in tags if tag.startswith("cytosuite/") and "/debian" not in tag]
        subprocess.run(["docker", "rmi", "--force", *ours], check=bool(ours), capture_output=True)
    row = run(["make", *wait.command.split()], os.environ, folder)
    stages: Counter[str] = Counter()
    for (begin, line), (end, _) in pairwise([*row.pop("lines"), (row["wall_s"], "")]):
        stages[re.sub(r"[\d(|].*", "", line).strip()[:40]] += end - begin
    size = sum(512 * path.lstat().st_blocks for path in (folder / ".venv").rglob("*"))
    return {"name": wait.name, **row, "venv_gb": size / 1e9, "stages": dict(stages)}


def feed(rows: list[Row]) -> None:
    """Write the times and sizes that pages say into docs/measured.toml."""
    path = ROOT / "docs" / "measured.toml"
    text = path.read_text()
    for row in rows:
        if engine := re.fullmatch("fresh clone, (process|docker)", row["name"]):
            wall = row["wall_s"]
            time_said = f"{wall:.0f} s" if wall < 100 else f"{wall / 60:.1f} min"
            values = {f"first_run_{engine[1]}": time_said}
            values[f"{engine[1]}_disk"] = f"{row['venv_gb']:.1f} GB"
            for key, value in values.items():
                text = re.sub(rf'(?m)^{key} = ".*"$', f'{key} = "{value}"', text)
    path.write_text(text)


def forget() -> None:
    """Remove the models of former trainings, which would go on where they were."""
    for path in (*ROOT.glob(f"weights/*/{MODEL}-*"), *ROOT.glob(f"runs/training/*/{MODEL}-*")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def run(words: list[str], environment: Any, place: Path = ROOT) -> Row:  # noqa: ANN401 - of the system
    """Run a program to its end; return seconds, peak MiB, how it ended, and its timed lines."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        words,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=place,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    with process.stdout as said:
        lines = [(time.perf_counter() - begin, line.strip()) for line in said]
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    error = f"exit code {process.returncode}: {lines[-1][1] if lines else ''}"
    return {
        **{"wall_s": wall, "cpu_s": cpu, "cores": cpu / wall, "peak_mib": peak},
        "error": error if process.returncode else "",
        "lines": [(0.0, "start"), *lines],
    }


def table(rows: list[Row], baseline: dict[str, Row]) -> str:
    """Return rows as Markdown, beside those of a baseline."""
    old = ["CPU s before", "wall s before"] if baseline else []
    head = ["wait", *old, "CPU s", "wall s", "cores", "peak MiB", "stages, share of the CPU time"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        cells = [row["name"]]
        if baseline:
            before = baseline.get(row["name"])
            cells += [f"{before[key]:.1f}" if before else "" for key in ("cpu_s", "wall_s")]
        cells += [f"{row['cpu_s']:.1f}", f"{row['wall_s']:.1f}", f"{row['cores']:.2f}"]
        whole = row["wall_s"] if "venv_gb" in row else row["cpu_s"]
        shares = {name: spent / whole for name, spent in row["stages"].items()}
        named = [f"{name} {share:.0%}" for name, share in shares.items() if share >= SHOWN]
        cells += [f"{row['peak_mib']:.0f}", row["error"] or ", ".join(named[:5])]
        lines.append(cells)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Run the chosen waits; print and write their table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD")
    parser.add_argument("--folder", type=Path, help="for inputs and results; kept")
    parser.add_argument("--out", type=Path, default=Path("waits.json"))
    parser.add_argument("--baseline", type=Path)
    for name in ("all", "list", "measured"):
        parser.add_argument(f"--{name}", action="store_true")
    options = parser.parse_args()
    chosen = [
        wait
        for wait in waits()
        if any(word in wait.name for word in options.only)
        or (not options.only and (options.all or not wait.long))
    ]
    if options.list:
        for wait in chosen:
            print(f"{wait.name}: {'make' if wait.clone else 'cytosuite'} {wait.command}")
        return
    before = json.loads(options.baseline.read_text())["waits"] if options.baseline else []
    baseline = {row["name"]: row for row in before}
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary, "work")
        folder.mkdir(parents=True, exist_ok=True)
        tools = Path(temporary, "tools")
        tools.mkdir()
        shutil.copyfile(HERE / "stages.py", tools / "sitecustomize.py")
        inputs, rows = Inputs(folder.resolve()), list[Row]()
        for wait in chosen:
            rows.append(measured(wait, inputs, tools))
            print(table(rows[-1:], baseline).splitlines()[-1], flush=True)
        machine = f"{platform.machine()}, {os.cpu_count()} cores, cytosuite {cytosuite.__version__}"
        text = f"{machine}\n\n{table(rows, baseline)}"
    print(f"\n{text}")
    options.out.write_text(json.dumps({"machine": machine, "waits": rows}, indent=1))
    options.out.with_suffix(".md").write_text(text + "\n")
    if options.measured:
        feed(rows)


if __name__ == "__main__":
    main()
