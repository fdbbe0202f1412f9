"""Run the cases of one algorithm in a container that serves, or in a container per case."""

import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from docker.errors import APIError, DockerException
from requests import RequestException

from cytosuite.benchmark.engines.collect import add_log, collect, empty, give, overfull
from cytosuite.benchmark.engines.gpu import GpuMeter
from cytosuite.benchmark.engines.images.daemon import Client, explained
from cytosuite.benchmark.engines.memory import Peak
from cytosuite.benchmark.engines.outcome import (
    GRACE_S,
    PATIENCE_S,
    Ending,
    GpuUse,
    Limits,
    Look,
    Outcome,
    Shown,
    StartError,
    ending,
    voxels_of,
)
from cytosuite.benchmark.engines.sandbox import QUICK_S, Sandbox, sandbox, speaker, watch
from cytosuite.contract.client import HEALTH, INVOKE, NOBODY, OTHERWISE, SILENCE
from cytosuite.contract.progress import latest
from cytosuite.contract.words import Api
from cytosuite.files import Json

ANSWERS = frozenset({0, 2, 3, 4})  # exit codes that only a living server gives
DEATH_S = 0.5  # longest time between the end of a server and its detection
SIZE_EVERY_S = 1.0
LOOK_S = 5.0  # longest wait for one answer of a server that is not ready
# Less is no work: the requests themselves take 0.1 s of processor time every few seconds.
IDLE_S, IDLE_SHARE, IDLE_CPU_S, IDLE_BYTES = 30.0, 0.03, 0.5, 2**24
UNANSWERED = {
    NOBODY: "the server listens no more",
    SILENCE: "the server broke off without an answer",
    OTHERWISE: "the server does not answer POST /invoke with 201, which the platform expects",
    **dict.fromkeys((125, 126, 127), "the container takes no request: no process can be started"),
}
Work = tuple[float, int] | None  # processor time [s] and memory [bytes], where they are known
SEEN = {NOBODY: "no server listens on port 4743", SILENCE: "GET /health has no answer"}


@dataclass
class DockerSession:
    """One algorithm as a serving container, or as one container per case."""

    client: Client
    algorithm: str
    image: str
    exchange: Path
    limits: Limits
    api: Api
    chosen: Json
    model: Path | None
    external: bool = False  # others built the image: it gets no arguments
    voice: tuple[str, Json] | None = None  # image and flags of the `speaker` it needs
    meter: GpuMeter | None = None
    startup_seconds: float = 0.0
    _box: Sandbox | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        """Start the server; raise a `StartError` if it ends or is not ready after 900 s."""
        begin = time.perf_counter()
        box = self._enter("invoke")
        if problem := _not_ready(box, begin):
            state = box.state()
            _, line = box.new_log()
            self.stop()
            if state.oom_killed:
                problem = self.limits.memory_exceeded[1]
            elif not state.running:
                problem = line or f"it ended with exit code {state.exit_code} and without a message"
            elif line:
                problem = f"{problem}; its last line: {line}"
            raise StartError(f"{self.algorithm} did not start: {problem}")
        self.startup_seconds = time.perf_counter() - begin
        self._freeze()

    def stop(self) -> None:
        """Remove the container."""
        self._box = None
        self._stack.close()

    def predict(
        self, case_input: Path, output: Path, log: Path, shown: Shown = lambda _: None
    ) -> Outcome:
        """Run one case; processes stand still while its folders are read, emptied and filled."""
        # After a time-out, a lack of memory or its end the next case gets a new container.
        begin = time.perf_counter()
        try:
            for name in ("input", "output"):
                empty(self.exchange / name)
            give(case_input, self.exchange / "input")
            if (limits := self.limits.grown(case_input, self.exchange)) != self.limits:
                self.stop()  # the largest file is a limit of the container
                self.limits = limits
            if self.api == "invoke" and self._box is None:
                self.start()
            outcome = self._run(log, shown)
            outcome = collect(
                outcome, self.exchange / "output", output, self.limits.within(voxels_of(case_input))
            )
            if self.api == "exec":
                self.stop()
        except (DockerException, RequestException, OSError) as error:
            self.stop()
            return Outcome("engine error", time.perf_counter() - begin, message=explained(error))
        return outcome

    def _run(self, log: Path, shown: Shown) -> Outcome:
        """Run the case in the exchange folder."""
        begin = time.perf_counter()
        kills, look = 0, None
        if self._box is not None:
            kills, look = self._box.kills(), self._asked(self._box)
        serving = look is not None
        box = self._box or self._enter("exec")
        if not serving:
            self.startup_seconds = time.perf_counter() - begin
        bounds = Bounds(self.limits, self.exchange / "output", lambda: _tell(box, shown))
        begin = time.perf_counter()
        using = self.meter.measured() if self.meter else nullcontext(GpuUse)
        with Peak(box.used) as peak, using as use:
            code = watch(look or box.exit_code, bounds.exceed, begin)
            if code is None:
                box.container.stop(timeout=GRACE_S)
        seconds = time.perf_counter() - begin
        if serving and code not in ANSWERS:  # perhaps because the server has ended
            watch(box.exit_code, lambda waited: waited > DEATH_S, begin + seconds)
        state = box.state()
        # Also if only a child was killed: the exit code may be 0, but the output is not complete.
        starved = state.oom_killed or box.kills() > kills
        text, line = box.new_log()
        add_log(log, text)
        if code != 0 and not state.running:
            code = state.exit_code
        exceeded = self.limits.memory_exceeded if starved else bounds.exceeded
        if serving and state.running and code in UNANSWERED:
            said = "" if code == OTHERWISE else line
            exceeded = exceeded or ("non-zero exit", said or UNANSWERED[code])
        if exceeded or not state.running:
            self.stop()
        self._freeze()
        status, message = exceeded or ending(code, line)
        return Outcome(status, seconds, peak.value, code, message, use())

    def _asked(self, box: Sandbox) -> Look | None:
        """Give the case to the server, to a new one if it has ended; None if that cannot freeze."""
        try:
            box.thaw()
            return box.ask(INVOKE)
        except APIError:
            if box.exit_code() is None:
                raise
        self.stop()
        self.start()
        if self._box is None:
            return None
        self._box.thaw()
        return self._box.ask(INVOKE)

    def _freeze(self) -> None:
        """Freeze the container, so that nothing changes in its folders; else remove it."""
        if self._box is not None:
            try:
                self._box.freeze()
            except APIError:  # a daemon that cannot, or the container has ended
                self.stop()

    def _enter(self, command: str) -> Sandbox:
        """Start a container that is removed by `stop`."""
        folders = {f"/{name}": self.exchange / name for name in ("input", "output")}
        if self.model:
            folders["/opt/ml/model"] = self.model
        words = () if self.external else (command,)
        box = self._stack.enter_context(
            sandbox(self.client, self.image, words, folders, self.limits, self.chosen)
        )
        if command == "invoke" and self.voice is not None:
            image, chosen = self.voice
            try:
                self._stack.enter_context(speaker(self.client, image, box, chosen))
            except APIError:
                if box.exit_code() is None:  # else the server has ended already
                    raise
        self._box = box if command == "invoke" else None
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
            limits = self.limits
            self.exceeded = overfull(self.folder, limits.output_gib, limits.output_exceeded)
        return self.exceeded is not None


def _tell(box: Sandbox, shown: Shown) -> None:
    """Show the progress that a container has written last."""
    if (share := latest(box.end_of_log())) is not None:
        shown(share)


def _not_ready(box: Sandbox, begin: float) -> str:
    """Wait until the server is ready; return why it is not, empty if it is."""
    # It has more time than on the platform, but only while it works.
    work, since, seen = box.work(), time.perf_counter(), SEEN[NOBODY]
    while box.exit_code() is None:
        seconds = time.perf_counter() - begin
        if seconds > PATIENCE_S:
            return f"{seen} after {PATIENCE_S:g} s"
        with suppress(APIError):  # the container has just ended
            look = box.ask(HEALTH, LOOK_S, LOOK_S)
            code = watch(look, lambda waited: waited > 4 * LOOK_S, time.perf_counter())
            if code == 0:
                return ""
            seen = SEEN.get(code or SILENCE, "GET /health is not answered with 200")
        later = box.work()
        now = time.perf_counter()
        if not _is_idle(work, later, now - since):
            work = later
            since = now
        if now - since > IDLE_S:
            return f"{seen}, and the container has been idle for {IDLE_S:g} s"
        time.sleep(QUICK_S if seconds < LOOK_S else LOOK_S / 5)
    return "it ended"


def _is_idle(before: Work, after: Work, seconds: float) -> bool:
    """Return whether a container has neither computed nor loaded anything for some seconds."""
    if before is None or after is None:
        return False
    computed = after[0] - before[0]
    loaded = abs(after[1] - before[1])
    return computed <= IDLE_CPU_S + IDLE_SHARE * seconds and loaded <= IDLE_BYTES
