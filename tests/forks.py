"""Benchmarks in a house that can be killed, filled or cut off, and the state that they leave."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pandas as pd

from cytosuite.files.working import LEFTOVER, SESSION

ALGORITHMS = ("toy_limit", "watershed")
CASES = tuple(f"toy_cells_{number:02d}" for number in (1, 2, 3))
TIMES = ["s_per_case", "peak_MiB", "seconds", "peak_memory"]  # the columns that no run repeats
RUNNER = """
import importlib, json, os, resource, signal, sys, traceback
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
from cytosuite.benchmark.__main__ import main
from cytosuite.errors.ending import end
import cytosuite.benchmark.commands.app
import cytosuite.benchmark.commands.benchmark, cytosuite.datasets.toy_cells.generate
import cytosuite.benchmark.runs.data.preview, cytosuite.metrics.labels.surfaces
import cytosuite.benchmark.commands.run.planned, cytosuite.benchmark.scores.gather
import cytosuite.benchmark.report.files
import numpy as np
from cytosuite.metrics.labels.overlap import overlap
overlap(*np.ones((2, 2, 2), np.uint16))  # loads what is compiled

def fill(folder):
    '''Leave no byte on the disk of a folder.'''
    with open(os.path.join(folder, "ballast"), "ab", buffering=0) as sink:
        try:
            while sink.write(bytes(4096)):
                pass
        except OSError:
            pass

def full_before(place, folder):
    '''Fill the disk when a function is called.'''
    module, _, names = place.partition(":")
    owner = importlib.import_module(module)
    *path, last = names.split(".")
    for name in path:
        owner = getattr(owner, name)
    real = getattr(owner, last)
    def function(*given, **named):
        fill(folder)
        return real(*given, **named)
    setattr(owner, last, function)

def quickly(program):
    '''Run a program, and end without the tidying of all modules.'''
    try:
        end(program)
    except SystemExit as stop:
        sys.stdout.flush()
        os._exit(stop.code or 0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)

for line in sys.stdin:
    order = json.loads(line)
    if "wait" in order:
        code = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
        print(code, flush=True)
        continue
    name, _, function = order["program"].partition(":")
    program = name and getattr(importlib.import_module(name), function)
    for name in order["load"]:
        importlib.import_module(name)
    child = os.fork()
    if not child:
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.update(order["environment"])
        if order["full"]:
            full_before(*order["full"])
        for name, most in order["limits"].items():
            resource.setrlimit(getattr(resource, name), (most, most))
        os.chdir(order["folder"] or ".")
        if order["refused"]:
            sys.path.append(order["tests"])
            from refusals import refuse
            refuse(*order["refused"])
        sys.argv = ["cytosuite", *order["words"]]
        if program:
            quickly(program)
        main()
        os._exit(0)
    print(child, flush=True)
"""


class Runs:
    """Commands in a house, each the child of a program that has loaded everything already."""

    def __init__(self, home):
        self.home = home
        self.log = home / "log.txt"
        self.base = subprocess.Popen(
            [sys.executable, "-c", RUNNER],
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def _order(self, **order):
        self.base.stdin.write(json.dumps(order) + "\n")
        self.base.stdin.flush()
        return int(self.base.stdout.readline())

    def start(self, runs, *words, engine="process", run="run", **more):
        """Start a benchmark and return its process id; see `command`."""
        return self.command(
            "benchmark",
            "toy_cells",
            "--size",
            "mini",
            "--runs",
            str(runs),
            "--run",
            run,
            "--engine",
            engine,
            "--algorithm",
            ",".join(ALGORITHMS if engine == "process" else ALGORITHMS[:1]),
            *words,
            **more,
        )

    def command(
        self,
        *words,
        full=None,
        log=None,
        host=None,
        program="",
        load=(),
        limits=None,
        folder="",
        refused=(),
    ):
        """Start any command, or another program as `module:function`, and return its process id.

        The modules in `load` are imported before, once; `refused` are a number of an error and
        the system calls that fail with it.
        """
        return self._order(
            words=[str(word) for word in words],
            log=str(log or self.log),
            full=full,
            environment={"DOCKER_HOST": host} if host else {},
            program=program,
            load=load,
            limits=limits or {},
            folder=str(folder),
            refused=refused,
            tests=str(Path(__file__).parent),
        )

    def end(self, process, log=None):
        """Return exit code and text of a benchmark."""
        return self._order(wait=process), (log or self.log).read_text()

    def __call__(self, runs, *words, **more):
        """Run a benchmark to its end."""
        return self.end(self.start(runs, *words, **more))

    def well(self, process, log=None):
        """Return the text of a benchmark that ends well."""
        code, text = self.end(process, log)
        assert code == 0, text
        return text

    def goes_on(self, folder, undisturbed, *words, run="run", **more):
        """Run a benchmark to its good end: nothing whole is made again, and all is as undisturbed."""
        before = results(folder, run)
        text = self.well(self.start(folder, *words, run=run, **more))
        assert before.items() <= results(folder, run).items()
        as_if_nothing(folder, undisturbed, run)
        return text


def scores(runs, run="run"):
    """Return the tables of a run without the columns of times."""
    report = runs / run / "report"
    tables = {name: pd.read_csv(report / name) for name in ("leaderboard.csv", "scores.csv")}
    tables["objects.csv"] = pd.read_csv(report / "objects.csv")
    return {
        name: table.drop(columns=TIMES, errors="ignore").to_csv() for name, table in tables.items()
    }


def as_if_nothing(folder, undisturbed, run="run"):
    """Hold a run that ended well against one without a fault."""
    assert scores(folder, run) == scores(undisturbed)
    assert leftovers(folder) == []
    assert not [path for path in folder.rglob("*") if path.name in (".lock", ".lease")]


def only_line(text):
    """Return the only line of an error."""
    lines = [line for line in text.splitlines() if line.startswith("cytosuite: ")]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]


def leftovers(runs):
    """Return everything half-written below a folder, and algorithms that still run for it."""
    files = [
        path
        for path in runs.rglob("*")
        if LEFTOVER.fullmatch(path.name) or path.name.startswith(SESSION)
    ]
    return [*files, *lasting(lambda: _servers(runs))]


def lasting(look):
    """Return the processes that are still there after some seconds: an end takes a moment."""
    deadline = time.monotonic() + 10
    while (alive := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive


def _servers(runs):
    """Return the processes of algorithms whose output lies below a folder."""
    servers = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"CYTOSUITE_OUTPUT={runs}".encode() in (process / "environ").read_bytes():
                servers.append(process)
        except OSError:
            continue
    return servers


def results(runs, run="run"):
    """Return the file of each output with the number that a new file of this name would not have."""
    return {
        path.relative_to(runs / run).parts[:2]: path.stat().st_ino
        for path in (runs / run).glob("*/*/output/images/*/*.tif")
        if not any(part.startswith(".") for part in path.relative_to(runs).parts)
    }


def wait(process, seconds):
    """Wait so long, or until a process has ended."""
    end = time.monotonic() + seconds
    state = Path(f"/proc/{process}/stat")
    while time.monotonic() < end and state.read_text().rsplit(") ", 1)[1][0] != "Z":
        time.sleep(0.01)


def containers(client, folder):
    """Return the containers that see a folder."""
    running = client.containers.list(all=True, sparse=True)
    mounts = {one.id: [mount.get("Source", "") for mount in one.attrs["Mounts"]] for one in running}
    return [one for one in mounts if any(str(folder) in source for source in mounts[one])]


class Line:
    """A line to the daemon that can be cut: what a client sees when the daemon dies."""

    def __init__(self, daemon, path):
        self.daemon, self.path, self.open, self.listener = daemon, path, [], None

    def connect(self):
        """Take connections."""
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen()
        Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def cut(self):
        """End all connections and take no new ones."""
        self.path.unlink()
        for one in (self.listener, *self.open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self.open.clear()

    def _accept(self, listener):
        with suppress(OSError):
            while True:
                near = listener.accept()[0]
                far = socket.socket(socket.AF_UNIX)
                far.connect(self.daemon)
                self.open += [near, far]
                for ends in ((near, far), (far, near)):
                    Thread(target=self._copy, args=ends, daemon=True).start()

    def _copy(self, source, sink):
        with suppress(OSError):
            while part := source.recv(2**16):
                sink.sendall(part)
            sink.shutdown(socket.SHUT_WR)


def flip(path):
    """Change one byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
