"""Run an algorithm as a plain process: the entry point of its container, without isolation."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, ClassVar

from cytosuite.benchmark.catalog.models import hand_over, identity_with
from cytosuite.benchmark.catalog.packages import Device, need_packages
from cytosuite.benchmark.catalog.places import PACKAGE, ROOT, program_of
from cytosuite.benchmark.engines.collect import LOG_CHARACTERS, add_log, clear, collect
from cytosuite.benchmark.engines.memory import process_peak, reset_peak
from cytosuite.benchmark.engines.outcome import (
    GRACE_S,
    PATIENCE_S,
    VISIBLE,
    Ending,
    Engine,
    GpuUse,
    Limits,
    Look,
    Outcome,
    Shown,
    StartError,
    ending,
    voxels_of,
)
from cytosuite.contract.client import HEALTH, INVOKE, request
from cytosuite.contract.progress import LINE, latest
from cytosuite.contract.words import Api, Say
from cytosuite.errors import InputError
from cytosuite.files import TextDict, link, read_tail, remove
from cytosuite.volume.memory import SCRATCH

if TYPE_CHECKING:
    from cytosuite.benchmark.engines.gpu import GpuMeter

POLL_S = 0.02
ASK_S = 1.0  # between two looks at the progress of a case
END_BYTES = 4096  # of a log that are read for it
Process = subprocess.Popen[bytes]


@dataclass
class ProcessSession:
    """One algorithm as a server process, or as one process per case, without isolation."""

    engine: "ProcessEngine"
    algorithm: str
    workspace: Path
    limits: Limits
    api: Api
    model: Path | None = None  # folder of the model that the user names
    meter: "GpuMeter | None" = None
    startup_seconds: float = 0.0
    process: Process | None = None
    listener: socket.socket | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        """Name the file with the words of the algorithm on its start or the present case."""
        self._words = self.workspace / "server.log"

    def start(self) -> None:
        """Start the server and wait until it answers; with one process per case do nothing."""
        if self.api == "exec":
            return
        begin = time.perf_counter()
        # The runner binds the port, so that no other program can take it.
        self.listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.process = self._launch("invoke", self._stack.enter_context(self._words.open("ab")))
        while self._ask(HEALTH, 1.0) != 0:
            if self.process.poll() is not None or time.perf_counter() - begin > PATIENCE_S:
                self.stop()
                raise StartError(f"{self.algorithm} did not start: {_last_line(self._words)}")
            time.sleep(POLL_S)
        self.startup_seconds = time.perf_counter() - begin

    def stop(self) -> None:
        """End the process with all its children."""
        self._stack.close()
        self.process = None

    def predict(
        self, case_input: Path, output: Path, log: Path, shown: Shown = lambda _: None
    ) -> Outcome:
        """Run one case; see `cytosuite.benchmark.engines.outcome.Session`."""
        place = self.workspace / "output"
        remove(self.workspace / "input")
        clear(place)
        self.give(case_input, self.workspace / "input")
        place.mkdir()
        if self.api == "exec":
            with self._words.open("ab") as stream:
                process = self._launch("exec", stream)
            look: Look = partial(_exit_code, process)
        else:
            if self.process is None or self.process.poll() is not None:
                self.stop()
                self.start()
            assert self.process is not None
            process = self.process
            look = self._invoke(process)
        using = self.meter.measured() if self.meter else nullcontext(GpuUse)
        with using as use:
            outcome = self._watch(process, look, shown)
        if self.api == "exec":
            self.stop()
        add_log(log, read_tail(self._words, LOG_CHARACTERS))
        self._words.write_bytes(b"")  # a server adds those on the next case
        limits = self.limits.grown(case_input, place).within(voxels_of(case_input))
        return collect(replace(outcome, gpu=use()), place, output, limits)

    def give(self, case_input: Path, target: Path) -> None:
        """Put the input of a case at a place that does not exist yet."""
        link(target, case_input)

    def call(self, command: str) -> tuple[list[str], TextDict]:
        """Return the words of a program that runs a command of the entry point, and variables."""
        models = self.model or ROOT / "weights" / self.algorithm
        variables = {  # in place of the folders that a container mounts
            **os.environ,
            **self.limits.environment,
            "CYTOSUITE_ALGORITHM": program_of(self.algorithm),
            "CYTOSUITE_INPUT": str(self.workspace / "input"),
            "CYTOSUITE_OUTPUT": str(self.workspace / "output"),
            "CYTOSUITE_MODEL": str(models),
            "CYTOSUITE_RECORD": str(self.workspace / "output/record.json"),
            "CYTOSUITE_MEMORY_GIB": f"{self.limits.memory_gib:g}",
            SCRATCH: os.environ.get(SCRATCH) or str(self.workspace),
            "PYTHONUNBUFFERED": "1",
        }
        return [sys.executable, "-m", "cytosuite.container", command], variables

    def memory(self, pid: int) -> int | None:
        """Return the largest memory of the program so far [bytes], None where not known."""
        return process_peak(pid)

    def exceeded(self, seconds: float) -> Ending | None:  # noqa: ARG002
        """Return the limit, of all but time and memory, that a case exceeds after this time."""
        return None

    def ending(self, code: int | None, line: str, peak: int | None) -> Ending:  # noqa: ARG002
        """Return status and reason from the exit code, the last line and the peak memory."""
        return ending(code, line)

    def _launch(self, command: str, log: IO[bytes]) -> Process:
        """Start the container's entry point, which `stop` ends."""
        words, environment = self.call(command)
        environment |= self.meter.gpu.environment if self.meter else {VISIBLE: ""}
        descriptors = []
        if command == "invoke" and self.listener is not None:
            descriptors = [self.listener.fileno()]
            environment["CYTOSUITE_LISTEN_FD"] = str(descriptors[0])
        process = subprocess.Popen(
            words,
            cwd=PACKAGE.parent,
            env=environment,
            # Held open by the runner: a server ends when its stdin ends, hence with the runner.
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=descriptors,
            start_new_session=True,
        )
        self._stack.callback(_end, process)
        return process

    def _watch(self, process: Process, look: Look, shown: Shown) -> Outcome:
        """Wait within the limits for a case to end; `look` waits briefly for its exit code."""
        begin = time.perf_counter()
        peak = None
        asked = 0.0
        code = exceeded = None
        while code is None and exceeded is None:
            code = look()
            used = self.memory(process.pid)
            if used is not None:
                peak = max(peak or 0, used)
            seconds = time.perf_counter() - begin
            if seconds > asked + ASK_S:
                asked = seconds
                if (share := latest(read_tail(self._words, END_BYTES))) is not None:
                    shown(share)
            if code is None and seconds > self.limits.timeout_s:
                exceeded = self.limits.time_exceeded
            elif code is None and (peak or 0) > self.limits.memory_gib * 2**30:
                exceeded = self.limits.memory_exceeded
            elif code is None:
                exceeded = self.exceeded(seconds)
        if exceeded is not None:
            _end(process)
            code = process.returncode
        status, message = exceeded or self.ending(code, _last_line(self._words), peak)
        return Outcome(status, seconds, peak, code, message)

    def _invoke(self, process: Process) -> Look:
        """Start the case in the server; return a function that waits briefly for its exit code."""
        codes = []

        def _request() -> None:
            code = self._ask(INVOKE, None)  # without an answer wait for the end of the server
            codes.append(code if code is not None else _exit_code(process, GRACE_S) or 1)

        reset_peak(process.pid)  # before the case starts: a short one has its peak at once
        asking = threading.Thread(target=_request, daemon=True)
        asking.start()

        def look() -> int | None:
            """Return the exit code, None while the case runs."""
            asking.join(POLL_S)
            return codes[0] if codes else None

        return look

    def _ask(self, line: str, timeout_s: float | None) -> int | None:
        """Send a request to the server; return an exit code, None if it does not answer."""
        assert self.listener is not None
        try:
            return request(line, self.listener.getsockname()[1], timeout_s)
        except OSError:
            return None


@dataclass(kw_only=True)
class ProcessEngine(Engine):
    """Algorithms as plain processes of the user: no root, no Docker, no isolation."""

    name: str = "process"
    kind: ClassVar[type[ProcessSession]] = ProcessSession

    def prepare(self, algorithms: Collection[str], base_image: str | None) -> None:  # noqa: ARG002
        """Refuse algorithms with a package that is not installed."""
        for name in algorithms:
            need_packages(name)

    def check_gpu(self, algorithm: str) -> None:
        """Let torch compute on a GPU in a plain process; InputError if it cannot."""
        from cytosuite.benchmark.engines.gpu import REMEDY, held, torch_trouble

        with held(self.say) as gpu:
            reason, remedy = torch_trouble(gpu)
        if reason:
            raise InputError(
                f"DEVICE=cuda: {algorithm} finds no GPU in a plain process ({reason}) although the "
                f"machine has {gpu.name}; {remedy}, {REMEDY}"
            )

    def identity(self, algorithm: str) -> str:
        """Return the identity of a named model, and of the device if it is a GPU."""
        device = f"{self.name}-{self.device}" if self.on_gpu(algorithm) else self.name
        return identity_with(self.models, algorithm, device)

    @contextmanager
    def session(
        self, algorithm: str, workspace: Path, limits: Limits, api: Api
    ) -> Iterator[ProcessSession]:
        """Start an algorithm; see `cytosuite.benchmark.engines.outcome.Engine`."""
        clear(workspace)
        meter = None
        with ExitStack() as stack:
            stack.callback(clear, workspace)
            if self.on_gpu(algorithm):
                from cytosuite.benchmark.engines.gpu import metered

                meter = stack.enter_context(metered(self.say))
            workspace.mkdir(parents=True, mode=0o700)
            card = self.models.get(algorithm)
            model = hand_over(card, workspace / "model") if card else None
            session = self.kind(self, algorithm, workspace, limits, api, model, meter)
            stack.callback(session.stop)
            session.start()
            yield session


def start(_name: str, device: Device, say: Say) -> ProcessEngine:
    """Return the engine of plain processes."""
    return ProcessEngine(device=device, say=say)


def _exit_code(process: Process, patience_s: float = POLL_S) -> int | None:
    """Wait briefly and return the exit code of a process, None while it runs."""
    try:
        return process.wait(patience_s)
    except subprocess.TimeoutExpired:
        return None


def _end(process: Process) -> None:
    """End a process and its children, by SIGKILL if SIGTERM does not suffice."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        try:
            os.killpg(process.pid, number)
            process.wait(GRACE_S)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
    if process.stdin is not None:
        process.stdin.close()


def _last_line(log: Path) -> str:
    """Return the last line of a log that is neither empty nor a progress."""
    lines = (line.strip() for line in reversed(read_tail(log, LOG_CHARACTERS).splitlines()))
    return next((line for line in lines if line and not LINE.fullmatch(line)), "")
