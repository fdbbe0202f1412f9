"""Faults of machine and files: files too long, two commands at once, wrong clocks, little memory.

Needs root for a machine without shared memory. Full and read-only disks: test_faults.py.
"""

import os
import resource
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from cytosuite.formats import write
from cytosuite.volume import Volume
from tests import forks
from tests.hostile.kills import COMMANDS, Place, again, finished
from tests.hostile.tally import campaign, differing, digests, in_order, left

DAY_S = 86400


@contextmanager
def place_of(kind):
    """Yield a place, a command in it, its program, and the state that it ends in."""
    with TemporaryDirectory(prefix="machine-") as folder:
        place = Place(Path(folder))
        command = COMMANDS[kind](place)
        program = getattr(command, "program", "")
        in_order(*place.run(*command.words(place.folder / "quiet"), program=program), fine=(0,))
        yield place, command, program, command.state(place.folder / "quiet")
        place.runs.base.communicate()


def equals(command, home, expected, *folders):
    """Hold the state of a command against an undisturbed one."""
    found, over = command.state(home), left(home, *folders)
    assert (found == expected, over) == (True, []), f"{differing(found, expected)} {over}"


HERE = ("simulate", "benchmark", "report")  # what they write lies in a folder that is named


def long_files(tally, options):
    """Forbid files longer than some bytes (RLIMIT_FSIZE), as a quota does."""
    rng = np.random.default_rng(options.seed)
    for kind in (*HERE, "trainer"):
        with place_of(kind) as (place, command, program, expected):
            most = max(p.stat().st_size for p in place.folder.rglob("*.*") if p.is_file())
            rooms = [place.home / room for room in ("weights", "runs")]
            for number in range(options.tries):
                limits = {"RLIMIT_FSIZE": int(np.exp(rng.uniform(np.log(2000), np.log(most))))}
                home = place.folder / f"short{number}"
                with tally.attempt(f"files too long, {kind}"):
                    words = command.words(home)
                    log = place.folder / "log"
                    process = place.runs.command(*words, program=program, limits=limits, log=log)
                    code, text = place.runs.end(process, log)
                    about = f"{limits}: "
                    try:
                        in_order(code, text, fine=(0, 1, 2))
                        assert (over := left(home, *rooms)) == [], over
                        if code:
                            in_order(*place.run(*words, program=program), fine=(0,))
                        equals(command, home, expected, *rooms)
                    except AssertionError as error:
                        raise AssertionError(f"{about}{error}") from None


def twice(tally, options):
    """Start a command twice in one folder, some moments apart."""
    rng = np.random.default_rng(options.seed)
    for kind in COMMANDS:
        with place_of(kind) as (place, command, program, expected):
            rooms = [place.home / room for room in ("weights", "runs")]
            for number in range(options.tries):
                home = place.folder / f"twice{number}"
                logs = [place.folder / f"log{number}-{turn}" for turn in range(2)]
                begun = []
                for log in logs:
                    begun.append(place.runs.command(*command.words(home), program=program, log=log))
                    time.sleep(rng.choice((0, 0.01, 0.3, 1)))
                ends = [place.runs.end(*both) for both in zip(begun, logs, strict=True)]
                with tally.attempt(f"twice at once, {kind}"):
                    for code, text in ends:
                        in_order(code, text)
                    assert 0 in {code for code, _ in ends}, ends
                    equals(command, home, expected, *rooms)


def clocks(tally, options):
    """Set the times of all files into the future and the past, then run the command again."""
    for kind in ("benchmark", "report", "trainer"):
        with place_of(kind) as (place, command, program, expected):
            for number, days in enumerate((-20_000, -400, -1, 1, 400, 20_000)):
                home = place.folder / f"clock{number}"
                moment = time.time() + days * DAY_S
                with tally.attempt(f"times of files, {kind}"):
                    process = place.runs.command(*command.words(home), program=program)
                    forks.wait(process, 1.0 if days % 2 else 3.0)
                    os.kill(process, 9)
                    place.runs.end(process)
                    rooms = [home, place.home / "runs"]
                    for path in (path for room in rooms for path in room.rglob("*")):
                        os.utime(path, (moment, moment), follow_symlinks=False)
                    finished(*again(place, command, home))
                    equals(command, home, expected, place.home / "runs")


PLAIN = """
import ctypes, os, resource, sys
libc = ctypes.CDLL(None, use_errno=True)
kind, *words = sys.argv[1:]
if kind == "noshm":
    os.unshare(os.CLONE_NEWNS) if hasattr(os, "unshare") else libc.unshare(0x20000)
    assert libc.mount(b"none", b"/", None, 0x44000, None) == 0  # private
    assert libc.mount(b"none", b"/dev/shm", b"tmpfs", 1, b"size=4k,mode=000") == 0  # read-only
elif kind != "none":
    most = int(kind)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
os.execvp(words[0], words)
"""


def plain(place, kind, words):
    """Run a command in a process of its own behind a change of the machine."""
    begun = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, kind, sys.executable, "-m", "cytosuite.benchmark", *map(str, words)],
        cwd=place.home, capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime
    return done.returncode, done.stdout + done.stderr, spent, ended.ru_maxrss / 1024


def shared_memory(tally, options):
    """Run commands without a usable /dev/shm."""
    for kind in ("simulate", "benchmark", "report", "train"):
        with place_of(kind) as (place, command, _, expected), tally.attempt(f"no /dev/shm, {kind}"):
            home = place.folder / "noshm"
            code, text, *_ = plain(place, "noshm", command.words(home))
            in_order(code, text, fine=(0,))
            equals(command, home, expected, place.home / "weights")


def little_memory(tally, options):
    """Run commands with 1 GiB of private memory (RLIMIT_DATA), and with less and less."""
    for kind in ("simulate", "benchmark", "report", "train", "model install"):
        with place_of(kind) as (place, command, _, expected):
            # Below, OpenBLAS tries for ever to get memory when torch and scipy load it.
            for mib in (1024, 512) if kind == "train" else (1024, 512, 256, 128):
                with tally.attempt(f"{mib} MiB, {kind}"):
                    home = place.folder / f"mib{mib}"
                    code, text, *_ = plain(place, str(mib * 2**20), command.words(home))
                    in_order(code, text, fine=(0,) if mib == 1024 else (0, 1, 2, 3))
                    if code:
                        in_order(*place.run(*command.words(home)), fine=(0,))
                    equals(command, home, expected, place.home / "weights")


def workers(tally, options):
    """Simulate with 1 and 2 workers, and train with data of both: the same bytes."""
    with TemporaryDirectory(prefix="machine-") as folder:
        place = Place(Path(folder))
        names = ("toy_cells",)
        for name in names:
            with tally.attempt(f"1 and 2 workers, simulate {name}"):
                homes = []
                for count in (1, 2):
                    homes.append(place.folder / f"{name}-{count}")
                    given = ["--size", "mini", "--cases", 5, "--workers", count]
                    words = ["simulate", name, *given, "--runs", homes[-1] / "runs"]
                    in_order(*place.run(*words, "--out", homes[-1] / "out"), fine=(0,))
                one, two = map(digests, homes)
                assert one == two, differing(one, two)
        with tally.attempt("1 and 2 workers, train"):
            cards = []
            for count in (1, 2):
                given = ["--name", f"w{count}", "--settings", place.settings, "--workers", count]
                words = ["train", "u2net", place.data, *given]
                in_order(*place.run(*words), fine=(0,))
                cards.append(place.home / "weights" / "u2net" / f"w{count}.safetensors")
            assert cards[0].read_bytes() == cards[1].read_bytes()
        place.runs.base.communicate()


def many(tally, options):
    """Run commands on 100, 200 and 400 tiny images a try: the time grows with their number alone."""
    with TemporaryDirectory(prefix="machine-") as folder:
        place, spent = Place(Path(folder)), {}
        labels = np.zeros((8, 8), np.uint16)
        labels[2:5, 2:6] = 1
        for count in (100 * options.tries * factor for factor in (1, 2, 4)):
            home = place.folder / f"many{count}"
            for room, array in (("images", labels * 100), ("labels", labels)):
                (home / room).mkdir(parents=True)
                write(first := home / room / "i0.tif", Volume(array, (1.0, 1.0), "YX"))
                for number in range(1, count):
                    shutil.copyfile(first, home / room / f"i{number}.tif")
            engine = ["--algorithm", "toy_threshold", "--engine", "process"]
            orders = {
                "segment": ["segment", home / "images", "--out", home / "out", *engine],
                "score": [
                    "score",
                    "--truth",
                    home / "labels",
                    "--prediction",
                    home / "labels",
                    "--csv",
                    home / "table.csv",
                ],
                "benchmark": ["benchmark", home, *engine, "--runs", home / "runs", "--run", "r"],
            }
            for kind, words in orders.items():
                code, text, seconds, mib = plain(place, "none", words)
                spent[kind, count] = seconds, mib
                tally.say(
                    f"{kind} of {count} images: {seconds:.1f} s of the CPU, {mib:.0f} MiB at most"
                )
                with tally.attempt(f"thousands of images, {kind}"):
                    in_order(code, text, fine=(0,))
                    if (kind, count // 2) in spent:
                        before, _ = spent[kind, count // 2]
                        assert seconds < 2.6 * before, f"{before:.1f} s, then {seconds:.1f} s"
                    assert mib < 2000, f"{mib:.0f} MiB"
        place.runs.base.communicate()


KINDS = {
    "long-files": long_files,
    "twice": twice,
    "clocks": clocks,
    "shared-memory": shared_memory,
    "little-memory": little_memory,
    "workers": workers,
    "many": many,
}

if __name__ == "__main__":
    campaign("machine", KINDS, __doc__, tries=5)
