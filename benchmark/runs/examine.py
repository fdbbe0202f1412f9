"""Examine outputs of a case in a process of its own: a hang, a crash or a bomb ends it alone."""

import json
import os
import resource
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from math import prod
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import Self

import numpy as np

from cytosuite.benchmark.catalog.places import PACKAGE
from cytosuite.benchmark.engines.hardening import at_most
from cytosuite.benchmark.engines.outcome import Status
from cytosuite.benchmark.runs.validate import BadOutput, check
from cytosuite.contract.tasks import Socket
from cytosuite.errors import last_line
from cytosuite.files import Json, Paths, TextDict, parse_json
from cytosuite.volume import Header

READ_S = 60.0  # longest time to decode the outputs of a case
BYTES_PER_S = 10**6  # of the outputs: large ones may take longer
VOXELS_PER_S = 10**7  # of its main input: large outputs may be much smaller in a file
ROOM_BYTES = 4 * 2**30  # of memory: libraries with their threads
BYTES_PER_VOXEL = 32  # of an image
ANSWER_BYTES = 2**16
BAD: Status = "bad output"
MISSING: Status = "missing output"


class Examiner:
    """A process that decodes the outputs of strangers, started when it is first needed."""

    def __init__(
        self, read_s: float = READ_S, *, lenient: bool = False, files: bool = False
    ) -> None:
        self.read_s = read_s
        self.manner = {"lenient": lenient, "files": files}
        self.exact = not (lenient or files)  # voxel sizes other than the main input's are refused
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the process, which loads its libraries meanwhile."""
        self._start()
        return self

    def __exit__(self, *error: object) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    with suppress(BrokenPipeError):
                        stream.close()
        self._process = None

    def examine(self, folder: Path, sockets: Sequence[Socket], geometry: Header | None) -> Paths:
        """Check the outputs of a case, see `validate.check`, within limits of time and memory."""
        # 60 s and 1 s per MB or 10 million voxels, the memory of four images.
        question = {
            "folder": str(folder),
            "sockets": [asdict(socket) for socket in sockets],
            "geometry": geometry and {**asdict(geometry), "dtype": geometry.dtype.str},
            "manner": self.manner,
        }
        files = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        voxels = prod(geometry.shape) if geometry else 0
        answer = self._ask(question, self.read_s + max(files / BYTES_PER_S, voxels / VOXELS_PER_S))
        if "reason" in answer:
            raise BadOutput(MISSING if answer.get("status") == MISSING else BAD, answer["reason"])
        by_slug = {socket.slug: socket for socket in sockets}
        return {slug: folder / _inside(by_slug[slug], name) for slug, name in answer.items()}

    def _ask(self, question: object, patience_s: float, *, again: bool = True) -> TextDict:
        """Return the answer to a question, put again if SIGTERM or SIGKILL ends the process."""
        process = self._start()
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
        line = self._line(process, time.monotonic() + patience_s)
        if line is not None and line.endswith(b"\n"):
            return {str(key): str(value) for key, value in parse_json(line.decode()).items()}
        self.__exit__()
        if line is None:
            raise BadOutput(BAD, f"cannot be read within {patience_s:.0f} s")
        number = -process.returncode
        if number in (SIGTERM, SIGKILL) and again:  # from outside, as at the end of a cluster's job
            return self._ask(question, patience_s, again=False)
        name = Signals(number).name if number in set(Signals) else f"exit code {-number}"
        raise BadOutput(BAD, f"reading it ended the program that reads ({name})")

    def _line(self, process: subprocess.Popen[bytes], deadline: float) -> bytes | None:
        """Return a line of the process, a part of one when it has ended, None without an answer."""
        assert process.stdout is not None
        line = b""
        while not line.endswith(b"\n") and len(line) < ANSWER_BYTES:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([process.stdout], [], [], left)[0]:
                return None
            part = os.read(process.stdout.fileno(), ANSWER_BYTES)
            if not part:
                break
            line += part
        return line

    def _start(self) -> subprocess.Popen[bytes]:
        """Return the running process."""
        if self._process is None or self._process.poll() is not None:
            self.__exit__()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cytosuite.benchmark.runs.examine"],
                cwd=PACKAGE.parent,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the runner
            )
        return self._process


def answer(question: Json) -> TextDict:
    """Return the names of the valid files by socket slug, or status and reason of a finding."""
    folder = Path(question["folder"])
    described = question["geometry"]
    geometry = described and Header(
        tuple(described["shape"]),
        np.dtype(described["dtype"]),
        tuple(described["spacing"]),
        described["axes"],
    )
    try:
        usage = Path("/proc/self/statm")
        if usage.exists():  # on Linux, which alone enforces a limit of memory
            voxels = prod(geometry.shape) if geometry else 0
            present = int(usage.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            limit = at_most(present + ROOM_BYTES + BYTES_PER_VOXEL * voxels, resource.RLIMIT_AS)
            resource.setrlimit(
                resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1])
            )
        names = {}
        for socket in (Socket(**values) for values in question["sockets"]):
            path = check(folder, socket, geometry, **question["manner"])
            if path is not None:
                names[socket.slug] = path.name
    except BadOutput as finding:
        return {"status": finding.status, "reason": str(finding)}
    except MemoryError:
        return {"status": BAD, "reason": "decoding it needs more memory than four such images"}
    except Exception as error:
        return {"status": BAD, "reason": f"cannot be read: {last_line(error)}"}
    return names


def main() -> None:
    """Answer the questions on stdin, lines of JSON, until it ends."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # the words of a library are no answer
        for line in sys.stdin:
            answers.write(json.dumps(answer(json.loads(line))) + "\n")
            answers.flush()


def _inside(socket: Socket, name: str) -> Path:
    """Return the place of a socket's file, if its name is one."""
    place = Path(socket.relative_path)
    if Path(name).name != name:
        raise BadOutput(BAD, f"{socket.relative_path}: no name of a file: {name}")
    return place if socket.is_file else place / name


if __name__ == "__main__":
    main()
