"""Run an algorithm in its container: no network, writes to its output alone, all bounded."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.containers.daemon import Client, daemon_errors
from benchmark.containers.images import Device, image_tag
from benchmark.engines.collect import Refused, empty, give, size, take
from benchmark.engines.hardening import Host, flags, owner_label
from benchmark.engines.memory import Peak
from benchmark.engines.outcome import Api, Limits, Outcome, StartError, Status
from benchmark.engines.sandbox import HEALTH, INVOKE, Sandbox, remove_orphans, sandbox, watch
from cytosuite.errors import InputError
from cytosuite.files import remove

__all__ = ["DockerEngine", "DockerSession", "classify"]

HEALTH_S = 300.0  # as on the platform
ANSWERS = frozenset({0, 2, 3, 4})  # codes that only a living server gives
DEATH_S = 0.5  # a server that was killed is seen to be gone within this time
SIZE_EVERY_S = 1.0
LOG_CHARACTERS = 2**20


@dataclass
class DockerEngine:
    """Algorithms in containers of a Docker daemon on this machine.

    Parameters
    ----------
    client : docker.DockerClient
        As from :func:`find_docker`. The daemon must see this machine's files.
    device : str
        ``cuda`` takes the images of that device and gives them a GPU.
    image : callable
        Tag of an algorithm's image.
    """

    client: Client
    device: Device = "cpu"
    image: Callable[[str, Device], str] = image_tag
    name: str = "docker"

    def identity(self, algorithm: str) -> str:
        """Return the id of the algorithm's image, which changes with everything in it.

        Raises
        ------
        InputError
            If the image is missing or the daemon fails.
        """
        from docker.errors import ImageNotFound

        tag = self.image(algorithm, self.device)
        with daemon_errors(f"look at {tag}"):
            try:
                return str(self.client.images.get(tag).id)
            except ImageNotFound:
                raise InputError(
                    f"image {tag} is missing; build it with `make build-{algorithm}`"
                ) from None

    @contextmanager
    def session(
        self, algorithm: str, workspace: Path, limits: Limits, api: Api
    ) -> Iterator["DockerSession"]:
        """Start an algorithm; see `benchmark.engines.outcome.Engine`.

        Raises
        ------
        StartError
            If the server ends, or is not ready after 300 s.
        InputError
            If the image is missing, a limit is wrong, or the daemon refuses the container.
        """
        image = self.identity(algorithm)
        with daemon_errors(f"start of {algorithm}"):
            remove_orphans(self.client)
            chosen = flags(limits, Host.of(self.client.info()), owner_label())
            if self.device == "cuda":
                from docker.types import DeviceRequest

                chosen["device_requests"] = [DeviceRequest(count=1, capabilities=[["gpu"]])]
            exchange = _exchange(workspace)
            session = DockerSession(self.client, algorithm, image, exchange, limits, api, chosen)
            try:
                if api == "serve":
                    session.start()
            except BaseException:
                session.stop()
                raise
        try:
            yield session
        finally:
            session.stop()
            if exchange.is_dir():
                empty(exchange)
            remove(workspace)


@dataclass
class DockerSession:
    """One algorithm as a serving container, or as one container per case."""

    client: Client
    algorithm: str
    image: str
    exchange: Path
    limits: Limits
    api: Api
    chosen: dict[str, Any]
    startup_seconds: float = 0.0
    _box: Sandbox | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        """Start the server and wait until it is ready.

        Raises
        ------
        StartError
            If it ends instead, or is not ready after 300 s.
        """
        begin = time.perf_counter()
        box = self._enter("serve")
        ready = False

        def finished() -> bool:
            """Return whether it is ready, or never will be."""
            nonlocal ready
            ready = self._healthy(box, begin)
            return ready or not box.state().running

        if not watch(finished, lambda seconds: seconds > HEALTH_S, begin) or not ready:
            state, (_, line) = box.state(), box.said()
            self.stop()
            if state.oom_killed:
                line = f"memory limit of {self.limits.memory_gib:g} GiB exceeded"
            elif state.running:
                line = f"not ready after {HEALTH_S:g} s"
            reason = line or f"exit code {state.exit_code}"
            raise StartError(f"{self.algorithm} did not start: {reason}")
        self.startup_seconds = time.perf_counter() - begin

    def stop(self) -> None:
        """Remove the container."""
        self._box = None
        self._stack.close()

    def predict(self, case_input: Path, output: Path, log: Path) -> Outcome:
        """Run one case; see `benchmark.engines.outcome.Session`.

        Notes
        -----
        What the container leaves is taken over only after an exit code of 0, and never through a
        link. After a time-out, a lack of memory or the server's end the next case gets a new
        container.
        """
        from docker.errors import DockerException
        from requests import RequestException

        begin = time.perf_counter()
        try:
            for name in ("input", "output"):
                empty(self.exchange / name)
            give(case_input, self.exchange / "input")
            if self.api == "serve" and self._box is None:
                self.start()
            outcome = self._run(log)
            if outcome.status == "ok":
                outcome = self._take(outcome, output)
            if self.api == "exec":
                self.stop()
        except (DockerException, RequestException, OSError) as error:
            self.stop()
            reason = " ".join(str(error).split())[:300]
            return Outcome("engine error", time.perf_counter() - begin, None, None, reason)
        return outcome

    def _run(self, log: Path) -> Outcome:
        """Run the case that lies in the exchange folder."""
        begin = time.perf_counter()
        serving = self._box is not None
        box = self._box or self._enter("run")
        if not serving:
            self.startup_seconds = time.perf_counter() - begin
        killed = before = box.kills() if serving else 0
        code: int | None = None
        bound = Bounds(self.limits, self.exchange / "output")

        def used() -> int | None:
            """Return the memory in use, and note what was killed for it."""
            nonlocal killed
            killed = max(killed, box.kills())
            return box.used()

        begin = time.perf_counter()
        with Peak(used) as peak:
            ended = box.ask(INVOKE) if serving else box.exit_code

            def finished() -> bool:
                """Return whether the case has ended."""
                nonlocal code
                code = ended()
                return code is not None

            if not watch(finished, bound.broken, begin):
                box.end()
        seconds = time.perf_counter() - begin
        if serving and code not in ANSWERS:  # the server may have died of it
            watch(lambda: not box.state().running, lambda waited: waited > DEATH_S, begin + seconds)
        state = box.state()
        text, line = box.said()
        _append(log, text)
        if code != 0 and not state.running:
            code = state.exit_code
        starved = state.oom_killed or killed > before
        status, message = classify(
            code,
            oom_killed=starved,
            reason=bound.reason,
            line=line,
            memory_gib=self.limits.memory_gib,
        )
        if starved or bound.reason or not state.running:
            self.stop()
        return Outcome(status, seconds, peak.value, code, message)

    def _take(self, outcome: Outcome, output: Path) -> Outcome:
        """Take over what the container wrote; say what is wrong with it."""
        status: Status = outcome.status
        message = ""
        try:
            files = take(self.exchange / "output", output, int(self.limits.output_gib * 2**30))
            if files == 0:
                status, message = "missing output", "exit code 0, but nothing in /output"
        except Refused as finding:
            status, message = "bad output", str(finding)
        return Outcome(status, outcome.seconds, outcome.peak_memory, outcome.exit_code, message)

    def _enter(self, command: str) -> Sandbox:
        """Start a container that is removed by `stop`."""
        folders = {f"/{name}": self.exchange / name for name in ("input", "output")}
        box = self._stack.enter_context(
            sandbox(self.client, self.image, [command], folders, self.limits, self.chosen)
        )
        self._box = box if command == "serve" else None
        return box

    def _healthy(self, box: Sandbox, begin: float) -> bool:
        """Return whether the server says that it is ready; False too if the container has ended."""
        from docker.errors import APIError

        try:
            answer = box.ask(HEALTH, HEALTH_S)
            while (code := answer()) is None and time.perf_counter() - begin < HEALTH_S:
                time.sleep(0.05)
        except APIError:
            return False
        return code == 0


@dataclass
class Bounds:
    """Time and size of one case; the first that is broken stands in `reason`."""

    limits: Limits
    folder: Path
    reason: tuple[Status, str] | None = None
    _next: float = SIZE_EVERY_S

    def broken(self, seconds: float) -> bool:
        """Return whether a bound is broken this many seconds after the case's begin."""
        if seconds > self.limits.timeout_s:
            self.reason = "time-out", f"time limit of {self.limits.timeout_s:g} s exceeded"
        elif seconds > self._next:
            self._next = seconds + SIZE_EVERY_S
            limit = int(self.limits.output_gib * 2**30)
            if size(self.folder, limit) > limit:
                self.reason = (
                    "bad output",
                    f"output limit of {self.limits.output_gib:g} GiB exceeded",
                )
        return self.reason is not None


def classify(
    code: int | None,
    *,
    oom_killed: bool,
    reason: tuple[Status, str] | None,
    line: str,
    memory_gib: float,
) -> tuple[Status, str]:
    """Return how a case ended, and why.

    Parameters
    ----------
    code : int or None
        Exit code as the daemon gives it: 128 + n when signal n ended the program.
    oom_killed : bool
        Whether the kernel killed a process of the container for want of memory. It may have been a
        child: then the exit code can be 0, and yet the output is not to be trusted.
    reason : tuple or None
        The bound for which the engine itself ended the container.
    line : str
        Last line of stderr.
    memory_gib : float
        The limit, for the message.

    Returns
    -------
    status : str
        One of `benchmark.engines.outcome.STATUSES`.
    message : str
        Empty for ``ok``.

    Examples
    --------
    >>> classify(137, oom_killed=False, reason=None, line="", memory_gib=8.0)
    ('killed', 'ended by SIGKILL')
    """
    if oom_killed:
        return "out of memory", f"memory limit of {memory_gib:g} GiB exceeded"
    if reason is not None:
        return reason
    if code is None:
        return "engine error", "the daemon gave no exit code"
    if code == 0:
        return "ok", ""
    if code == 4:  # the container's own word for a MemoryError that it caught
        return "out of memory", line
    if 128 < code < 128 + signal.NSIG:
        try:
            return "killed", f"ended by {signal.Signals(code - 128).name}"
        except ValueError:
            return "killed", f"ended by signal {code - 128}"
    return "non-zero exit", line or f"exit code {code} without a message"


def _exchange(workspace: Path) -> Path:
    """Make the folders that a container sees, closed to other users of this machine."""
    remove(workspace)
    exchange = workspace / "exchange"
    for name, mode in (("input", 0o755), ("output", 0o777)):
        (exchange / name).mkdir(parents=True)
        (exchange / name).chmod(mode)
    exchange.chmod(0o700)
    return exchange


def _append(log: Path, text: str) -> None:
    """Add what a container said to a log, at most a million characters of it."""
    if len(text) > LOG_CHARACTERS:
        left = math.ceil((len(text) - LOG_CHARACTERS) / 2**10)
        text = f"[the first {left} KiB are left out]\n" + text[-LOG_CHARACTERS:]
    with log.open("a", encoding="utf-8") as stream:
        stream.write(text)
