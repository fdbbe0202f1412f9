"""A child that reads the altered inputs of jobs in a pipe, and judges each."""

import ctypes
import logging
import os
import re
import resource
import shutil
import sys
import time
import traceback
import warnings
from pathlib import Path

import numpy as np

from cytosuite.benchmark.runs.validate import BadOutput
from cytosuite.errors import CytosuiteError
from tests.hostile.fuzz.mutations import mutated
from tests.hostile.fuzz.readers import READERS, Nonsense
from tests.hostile.fuzz.seeds import hdf5s, plant, tiffs

SECONDS = 5.0  # of the processor, for one input
MEMORY = 3 * 2**29  # bytes more than at rest
# Words of an interpreter: a message with one of them tells a user nothing.
INTERNAL = re.compile(
    r"NoneType|has no attribute|index out of range|unsupported operand|Reason: Success|"
    r"not subscriptable|to unpack|positional argument|could not convert|object is not|"
    r"not supported between|indices must be|unhashable|recursion|bytes-like|requires a buffer|"
    r"<class |<function|object at 0x|object of type|Traceback|cannot reshape|(?<!other, )\b(?!Memory)\w+Error\b(?! in )|broadcast|"
    r"unconverted|out of bounds for axis|iterable|struct\.|itk::|/usr/|site-packages|\(\)\)"
)
# The program's own files, and settings of its libraries.
OWN = (
    *(str(Path(place).resolve()) for place in (sys.prefix, sys.base_prefix, "/usr")),
    "/proc/",
    "/sys/",
    "/dev/null",
    "/dev/urandom",
    str(Path(__file__).parents[3]),
    str(Path(np.__file__).resolve().parents[1]),  # packages may lie beside the environment
    str(Path("~/.config/dask").expanduser()),  # which a library of readers looks at when it starts
)


class Watch:
    """Files that are opened by Python, and any by name in the folder of a neighbour."""

    def __init__(self, home):
        self.home, self.on, self.opened = str(home), False, []
        libc = ctypes.CDLL(None)
        self.handle = libc.inotify_init1(os.O_NONBLOCK)
        libc.inotify_add_watch(self.handle, os.fsencode(home / "neighbour"), 0x20)  # IN_OPEN
        sys.addaudithook(self.hear)

    def hear(self, event, arguments):
        if self.on and event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path = os.path.normpath(Path.cwd() / os.fsdecode(arguments[0]))
            if not path.startswith((f"{self.home}/work", f"{self.home}/tmp", *OWN)):
                self.opened.append(path)

    def strangers(self):
        """Return the other files that were opened since the last call."""
        try:
            os.read(self.handle, 65536)
            self.opened.append("a neighbour's file")
        except BlockingIOError:
            pass
        opened = self.opened
        self.opened = []
        return opened


def judge(reader, work, watch, noise):
    """Return the verdict about one planted input: accepted, refused, or a finding with its kind."""
    began = time.process_time()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        watch.on = True
        try:
            reader.read(work)
            verdict = {"verdict": "accepted"}
        except CytosuiteError as error:
            verdict = refusal(error, work)
        except BadOutput as error:
            verdict = refusal(error, work, named=True)
        except Nonsense as error:
            verdict = finding("nonsense", error)
        except Exception as error:  # what we look for
            verdict = finding(type(error).__name__, error)
        finally:
            watch.on = False
    seconds = time.process_time() - began
    if verdict["verdict"] == "finding":
        return verdict
    if (others := watch.strangers()) and not reader.follows:
        return {"verdict": "finding", "kind": "opens another file", "text": others[0]}
    if warned:
        text = f"{warned[0].category.__name__}: {warned[0].message}"
        place = f"{Path(warned[0].filename).name}:{warned[0].lineno}"
        return {"verdict": "finding", "kind": "warning", "text": text, "where": place}
    if noise.tell():
        noise.seek(0)
        return {"verdict": "finding", "kind": "prints", "text": noise.read(300).decode("latin-1")}
    if seconds > SECONDS:
        return {"verdict": "finding", "kind": "slow", "text": f"{seconds:.0f} s"}
    return verdict


def refusal(error, work, named=False):
    """Return the verdict about a message: one printable line that names the place in our words."""
    text = str(error)
    bare = text.replace(str(work), "")
    kind = None
    if not text.isprintable() or not text:
        kind = "message is not one printable line"
    elif match := INTERNAL.search(bare):
        kind = f"message is an interpreter's: {match[0]}"
    elif not named and not any(name in text for name in names_of(work)):
        kind = "message names no file"
    if kind is None:
        return {"verdict": "refused"}
    return {"verdict": "finding", "kind": kind, "text": text, "where": place_of(error)}


def names_of(work):
    """Return words of which one tells a user where to look."""
    return [
        str(work),
        "acquisition metadata",
        "--set",
        *(f"{path.name}/" for path in work.iterdir()),
    ]


def finding(kind, error):
    text = f"{type(error).__name__}: {error}"[:500]
    return {"verdict": "finding", "kind": kind, "text": text, "where": place_of(error)}


def place_of(error):
    """Return the last frame of our code that an error passed, without the number of its line."""
    frames = [
        f"{Path(frame.filename).stem}.{frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "cytosuite/" in frame.filename and "site-packages" not in frame.filename
    ]
    return frames[-1] if frames else ""


def tree_of(job, trees):
    """Return the input of a job: made of a seed by its number."""
    rng = np.random.default_rng(job["seed"])
    seeds = trees.setdefault(job["reader"], READERS[job["reader"]].seeds())
    return mutated(rng, seeds[int(rng.integers(len(seeds)))], seeds, READERS[job["reader"]].names)


def main(home, pipe):
    """Serve until the pipe ends; what readers print on either stream is caught in a file."""
    noise = (home / "noise").open("w+b")
    os.dup2(noise.fileno(), 1)
    os.dup2(noise.fileno(), 2)
    neighbour = home / "neighbour"
    others = {"other.h5": hdf5s()[0]["a.h5"], "other.tif": tiffs()[0]["a.tif"]}
    plant(neighbour, {"pixels.raw": bytes(1000), **others})
    logging.lastResort = logging.StreamHandler(sys.stderr)
    watch, trees, work = Watch(home), {}, home / "work"
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    while True:
        if not (job := pipe.recv()):
            pipe.send([*READERS])
            continue
        tree = tree_of(job, trees)
        if job.get("unread"):
            pipe.send({"tree": tree})
            continue
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        noise.seek(0)
        noise.truncate()
        watch.strangers()
        try:
            plant(work, tree)
        except OSError:
            pipe.send({"verdict": "no input"})
            continue
        verdict = judge(READERS[job["reader"]], work, watch, noise)
        pipe.send(verdict | ({"tree": tree} if verdict["verdict"] == "finding" else {}))
