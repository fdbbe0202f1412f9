"""Run the cases of one algorithm in a container that serves, or in a container per case."""

import math
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cytosuite.benchmark.containers.daemon import Client
from cytosuite.benchmark.engines.collect import Refused, empty, give, size, take
from cytosuite.benchmark.engines.memory import Peak
from cytosuite.benchmark.engines.outcome import (
    HEALTH_S,
    Api,
    Ending,
    Limits,
    Outcome,
    Shown,
    StartError,
    ending,
)
from cytosuite.benchmark.engines.sandbox import QUICK_S, Sandbox, sandbox, watch
from cytosuite.client import HEALTH, INVOKE
from cytosuite.progress import latest

ANSWERS = frozenset({0, 2, 3, 4})  # exit codes that only a living server gives
DEATH_S = 0.5  # longest time between the end of a server and its detection
MODEL = "/opt/ml/model"  # the platform's place for a model that is not part of the image
SIZE_EVERY_S = 1.0
LOG_CHARACTERS = 2**20


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
    model: Path | None = None
    startup_seconds: float = 0.0
    _box: Sandbox | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        """Start the server; raise a `StartError` if it ends or is not ready after 300 s."""
        begin = time.perf_counter()
        box = self._enter("serve")
        if not _ready(box, begin):
            state, (_, line) = box.state(), box.new_log()
            self.stop()
            if state.oom_killed:
                line = self.limits.memory_exceeded[1]
            elif state.running:
                line = f"not ready after {HEALTH_S:g} s"
            reason = line or f"exit code {state.exit_code}"
            raise StartError(f"{self.algorithm} did not start: {reason}")
        self.startup_seconds = time.perf_counter() - begin

    def stop(self) -> None:
        """Remove the container."""
        self._box = None
        self._stack.close()

    def predict(
        self, case_input: Path, output: Path, log: Path, shown: Shown = lambda _: None
    ) -> Outcome:
        """Run one case; see `cytosuite.benchmark.engines.outcome.Session`.

        Output is copied only after exit code 0, and links are never followed. After a time-out, a
        lack of memory or the server's end the next case gets a new container.
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
            outcome = self._run(log, shown)
            if outcome.status == "ok":
                outcome = self._take(outcome, output)
            if self.api == "exec":
                self.stop()
        except (DockerException, RequestException, OSError) as error:
            self.stop()
            reason = " ".join(str(error).split())[:300]
            return Outcome("engine error", time.perf_counter() - begin, None, None, reason)
        return outcome

    def _run(self, log: Path, shown: Shown) -> Outcome:
        """Run the case in the exchange folder."""
        begin = time.perf_counter()
        serving = self._box is not None
        box = self._box or self._enter("run")
        if not serving:
            self.startup_seconds = time.perf_counter() - begin
        kills = box.kills() if serving else 0
        bounds = Bounds(self.limits, self.exchange / "output", lambda: _tell(box, shown))
        begin = time.perf_counter()
        with Peak(box.used) as peak:
            code = watch(box.ask(INVOKE) if serving else box.exit_code, bounds.exceed, begin)
            if code is None:
                box.end()
        seconds = time.perf_counter() - begin
        if serving and code not in ANSWERS:  # perhaps because the server has ended
            watch(box.exit_code, lambda waited: waited > DEATH_S, begin + seconds)
        state = box.state()
        text, line = box.new_log()
        _append(log, text)
        if code != 0 and not state.running:
            code = state.exit_code
        # Also if only a child was killed: the exit code may be 0, but the output is not complete.
        starved = state.oom_killed or box.kills() > kills
        exceeded = self.limits.memory_exceeded if starved else bounds.exceeded
        if exceeded or not state.running:
            self.stop()
        status, message = exceeded or ending(code, line)
        return Outcome(status, seconds, peak.value, code, message)

    def _take(self, outcome: Outcome, output: Path) -> Outcome:
        """Copy the container's output; return the outcome with the reason if it is refused."""
        try:
            files = take(self.exchange / "output", output, int(self.limits.output_gib * 2**30))
        except Refused as finding:
            return replace(outcome, status="bad output", message=str(finding))
        if files == 0:
            message = "exit code 0, but nothing in /output"
            return replace(outcome, status="missing output", message=message)
        return outcome

    def _enter(self, command: str) -> Sandbox:
        """Start a container that is removed by `stop`."""
        folders = {f"/{name}": self.exchange / name for name in ("input", "output")}
        folders |= {MODEL: self.model} if self.model else {}
        box = self._stack.enter_context(
            sandbox(self.client, self.image, [command], folders, self.limits, self.chosen)
        )
        self._box = box if command == "serve" else None
        return box


@dataclass
class Bounds:
    """Time and size of one case; `exceeded` is the first limit that the case exceeds."""

    limits: Limits
    folder: Path
    each_second: Callable[[], None] = lambda: None
    exceeded: Ending | None = None
    _next: float = SIZE_EVERY_S

    def exceed(self, seconds: float) -> bool:
        """Return whether a limit is exceeded this many seconds after the case's begin."""
        if seconds > self.limits.timeout_s:
            self.exceeded = self.limits.time_exceeded
        elif seconds > self._next:
            self._next = seconds + SIZE_EVERY_S
            self.each_second()
            limit = int(self.limits.output_gib * 2**30)
            if size(self.folder, limit) > limit:
                self.exceeded = self.limits.output_exceeded
        return self.exceeded is not None


def _tell(box: Sandbox, shown: Shown) -> None:
    """Show the progress that a container has written last."""
    if (share := latest(box.end_of_log())) is not None:
        shown(share)


def _ready(box: Sandbox, begin: float) -> bool:
    """Wait until the server is ready; return False if it ends or 300 s have passed before."""
    from docker.errors import APIError

    while box.exit_code() is None and time.perf_counter() - begin <= HEALTH_S:
        with suppress(APIError):  # the container has just ended
            if watch(box.ask(HEALTH, HEALTH_S), lambda waited: waited > HEALTH_S, begin) == 0:
                return True
        time.sleep(QUICK_S)
    return False


def _append(log: Path, text: str) -> None:
    """Add the output of a container to a log, at most the last million characters of it."""
    if len(text) > LOG_CHARACTERS:
        left = math.ceil((len(text) - LOG_CHARACTERS) / 2**10)
        text = f"[the first {left} KiB are left out]\n" + text[-LOG_CHARACTERS:]
    with log.open("a", encoding="utf-8") as stream:
        stream.write(text)
