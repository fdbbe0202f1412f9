"""Run an algorithm as a plain process: the entry point of its container, without the walls."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from benchmark.catalog import ROOT
from benchmark.engines.outcome import Api, Limits, Outcome, StartError, Status
from cytosuite.files import remove

POLL_S = 0.02
GRACE_S = 5.0
HEALTH_S = 300.0
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class ProcessEngine:
    """Algorithms as plain processes of the user: no root, no Docker, no isolation."""

    name = "process"

    def identity(self, algorithm: str) -> str:
        """Return a constant: sources and weights are what is run, and are digested anyway."""
        del algorithm
        return self.name

    @contextmanager
    def session(
        self, algorithm: str, workspace: Path, limits: Limits, api: Api
    ) -> Iterator["ProcessSession"]:
        """Start an algorithm; see `benchmark.engines.outcome.Engine`."""
        remove(workspace)
        session = ProcessSession(algorithm, workspace, limits, api)
        try:
            session.start()
            yield session
        finally:
            session.stop()
            remove(workspace)


@dataclass
class ProcessSession:
    """One algorithm as a server process, or as one process per case."""

    algorithm: str
    workspace: Path
    limits: Limits
    api: Api
    startup_seconds: float = 0.0
    process: "subprocess.Popen[bytes] | None" = None
    port: int = 0
    listener: socket.socket | None = None
    log: IO[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start the server and wait until it answers; nothing to do for one process per case."""
        (self.workspace / "input").parent.mkdir(parents=True, exist_ok=True)
        if self.api == "exec":
            return
        begin = time.perf_counter()
        # The runner binds the port, so that no other program can take it in between.
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.log = (self.workspace / "server.log").open("ab")
        self.process = self._launch("serve", self.log, self.listener)
        while not self._healthy():
            if self.process.poll() is not None or time.perf_counter() - begin > HEALTH_S:
                reason = _last_line(self.workspace / "server.log", 0)
                self.stop()
                raise StartError(f"{self.algorithm} did not start: {reason}")
            time.sleep(POLL_S)
        self.startup_seconds = time.perf_counter() - begin

    def stop(self) -> None:
        """End the process with all its children."""
        if self.process is not None:
            _end(self.process)
            self.process = None
        if self.listener is not None:
            self.listener.close()
        if self.log is not None:
            self.log.close()

    def predict(self, case_input: Path, output: Path, log: Path) -> Outcome:
        """Run one case; see `benchmark.engines.outcome.Session`."""
        for name, target in (("input", case_input), ("output", output)):
            remove(self.workspace / name)
            (self.workspace / name).symlink_to(target.resolve(), target_is_directory=True)
        if self.api == "exec":
            with log.open("ab") as stream:
                self.process = self._launch("run", stream, None)
            outcome = self._watch(self.process, None, log, 0)
            self.stop()
            return outcome
        if self.process is None or self.process.poll() is not None:
            self.stop()
            self.start()
        server_log = self.workspace / "server.log"
        begin = server_log.stat().st_size
        answer: list[int | None] = []
        asking = threading.Thread(target=lambda: answer.append(self._invoke()), daemon=True)
        process = self.process
        assert process is not None
        asking.start()
        outcome = self._watch(process, (asking, answer), server_log, begin)
        with server_log.open("rb") as source:
            source.seek(begin)
            log.write_bytes(source.read())
        return outcome

    def _launch(
        self, command: str, log: IO[bytes], listener: socket.socket | None
    ) -> "subprocess.Popen[bytes]":
        """Start the container's entry point."""
        environment = {
            **os.environ,
            **dict.fromkeys(THREADS, str(max(1, int(self.limits.cpus)))),
            **_variables(self.algorithm, self.workspace),
            "CYTOSUITE_MEMORY_GIB": f"{self.limits.memory_gib:g}",
        }
        if listener is not None:
            environment["CYTOSUITE_LISTEN_FD"] = str(listener.fileno())
        return subprocess.Popen(
            [sys.executable, "-m", "cytosuite.container", command],
            cwd=ROOT,
            env=environment,
            # Held open by the runner: a server whose stdin ends has lost its runner, and ends.
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[listener.fileno()] if listener is not None else [],
            start_new_session=True,
        )

    def _watch(
        self,
        process: "subprocess.Popen[bytes]",
        asking: tuple[threading.Thread, list[int | None]] | None,
        log: Path,
        log_begin: int,
    ) -> Outcome:
        """Wait for a case to end, within its limits."""
        begin = time.perf_counter()
        limit = self.limits.memory_gib * 2**30
        _reset_peak(process.pid)
        peak: int | None = None
        broken: tuple[Status, str] | None = None
        while True:
            if asking is not None:
                asking[0].join(POLL_S)
                done = not asking[0].is_alive()
            else:
                done = _ended(process)
            found = _peak_memory(process.pid)
            peak = max(peak or 0, found) if found is not None else peak
            seconds = time.perf_counter() - begin
            if done:
                break
            if seconds > self.limits.timeout_s:
                broken = "time-out", f"time limit of {self.limits.timeout_s:g} s exceeded"
            elif peak is not None and peak > limit:
                broken = "out of memory", f"memory limit of {self.limits.memory_gib:g} GiB exceeded"
            if broken is not None:
                _end(process)
                return Outcome(broken[0], seconds, peak, process.returncode, broken[1])
        code = process.poll() if asking is None else asking[1][0]
        if code is None:  # no answer: the server is dying, or about to be found dead
            _ended(process, GRACE_S)
            code = process.poll()
        status, message = _classify(code, _last_line(log, log_begin))
        return Outcome(status, seconds, peak, code, message)

    def _healthy(self) -> bool:
        """Return whether the server says that it is ready."""
        return self._ask("GET", "/health", 1.0) == 0

    def _invoke(self) -> int | None:
        """Return 0 once the case is done, else the exit code a run would have had."""
        return self._ask("POST", "/invoke", None)

    def _ask(self, method: str, path: str, timeout_s: float | None) -> int | None:
        """Send one request to the server; None when it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            text = answer.read(200).decode(errors="replace")
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        if answer.status in {200, 201}:
            return 0
        return int(text) if text.isdigit() else 1


def _variables(algorithm: str, workspace: Path) -> Mapping[str, str]:
    """Return the variables that stand for a container's mounts."""
    return {
        "CYTOSUITE_ALGORITHM": algorithm,
        "CYTOSUITE_INPUT": str(workspace / "input"),
        "CYTOSUITE_OUTPUT": str(workspace / "output"),
        "CYTOSUITE_MODEL": str(ROOT / "weights" / algorithm),
        "CYTOSUITE_RECORD": str(workspace / "output" / "record.json"),
        "PYTHONUNBUFFERED": "1",
    }


def _classify(code: int | None, line: str) -> tuple[Status, str]:
    """Return the status that an exit code means, with the reason."""
    if code == 0:
        return "ok", ""
    if code == 4:
        return "out of memory", line
    if code is not None and code < 0:
        return "killed", f"ended by {signal.Signals(-code).name}"
    return "non-zero exit", line or f"exit code {code} without a message"


def _ended(process: "subprocess.Popen[bytes]", patience_s: float = POLL_S) -> bool:
    """Wait a moment and return whether a process has ended."""
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process and its children to end, then make them."""
    for number, patience in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
        if process.poll() is not None:
            break
        try:
            os.killpg(process.pid, number)
            process.wait(patience)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
    if process.stdin is not None:
        process.stdin.close()


def _reset_peak(pid: int) -> None:
    """Let the kernel count the peak memory of a process anew, where it can."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    except OSError:
        return


def _peak_memory(pid: int) -> int | None:
    """Return the peak resident memory of a process in bytes, None where that is not known."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None


def _last_line(log: Path, begin: int) -> str:
    """Return the last line that is not empty after a position in a log."""
    with log.open("rb") as stream:
        stream.seek(begin)
        text = stream.read().decode("utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
